"""What a report may state: all that it looks at is one family of tests, in which chance states anything in 5% at most."""

from typing import Final

ALPHA: Final = 0.05
"""Of all reports on studies in which there is nothing to find, the share that may state anything."""
QUESTIONS: Final = 0.04
"""The part of `ALPHA` that is shared, in equal parts, by the tests of the questions that a report is asked for."""
ASIDE: Final = (ALPHA - QUESTIONS) / 8
"""The part of each kind of finding beside these questions, corrected by Holm over all that it looks at.

There are eight: REL, MCB, contrasts, talking, blends, cells, pools, looks.
"""
CORRECTED: Final = "after correction for all that this report asks"


def family_size(configurations: int, *, priced: bool = True, sampled: bool = True, predictions: int = 0) -> int:
    """How many tests the questions of a report are: every pair, each against the price and against plain sampling.

    `priced`: a market price is known; `sampled`: there is a baseline whose draws are the curve of plain sampling;
    `predictions` that the study states are questions too. The number is known before anything is looked at, so what is
    found changes nothing of what else is, and a plan can use it.

    >>> from coordeval.analysis.study.family import family_size
    >>> family_size(7), family_size(2, priced=False, sampled=False)
    (34, 1)
    """
    pairs = configurations * (configurations - 1) // 2
    return max(1, pairs + priced * configurations + sampled * max(0, configurations - 1) + predictions)


def factor(tests: int) -> float:
    """By how much a p-value of one of so many tests is multiplied to be told beside `ALPHA`.

    >>> from coordeval.analysis.study.family import factor
    >>> factor(8)
    10.0
    """
    return ALPHA * tests / QUESTIONS


def level(tests: int) -> float:
    """The level of one of so many tests.

    >>> from coordeval.analysis.study.family import level
    >>> level(8)
    0.005
    """
    return QUESTIONS / tests
