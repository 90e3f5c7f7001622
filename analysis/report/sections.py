"""What stands below the first screen of the page: every answer, table and figure, under the question that it belongs to."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One question. Closed until it is asked; a link to anything inside opens it."""

    name: str
    title: str
    about: str
    """One line for somebody who does not know the terms."""
    answers: tuple[str, ...] = ()
    """Names of `words.answers.Answer`."""
    figures: tuple[str, ...] = ()
    """Names of pictures; `reliability` is all panels of that kind."""
    sections: tuple[tuple[str, str], ...] = ()
    """(template and anchor, title in the list of contents)."""


GROUPS: Final = (
    Group(
        name="better",
        title="Is any better, and how surely?",
        about="Every difference in Brier score with its interval, its test, and what sampling the same thing again changes.",
        answers=("better", "differences", "predictions"),
        figures=("matched", "replicates"),
        sections=(
            ("comparisons", "Every pair"),
            ("sampling", "Plain sampling at the same cost"),
            ("intervals", "Intervals"),
            ("predictions", "Predictions"),
        ),
    ),
    Group(
        name="talk",
        title="What did coordination itself do?",
        about="What agents said before they saw each other, against what they said in the end.",
        answers=("coordination", "structure"),
        sections=(
            ("coordination", "What talking did"),
            ("openings", "How they begin"),
            ("structure", "One procedure or two"),
            ("pools", "Other ways to pool"),
        ),
    ),
    Group(
        name="worth",
        title="Is it worth its cost?",
        about="Which configurations no other one beats in both cost and score, and what each of them used.",
        answers=("frontier",),
        sections=(("frontier", "The frontier"), ("costs", "Costs")),
    ),
    Group(
        name="quality",
        title="How good are the forecasts?",
        about="A Brier score taken apart: do forecasts mean what they say, and do they tell markets apart?",
        answers=("calibration",),
        figures=("plane", "reliability"),
        sections=(
            ("scores", "All scores"),
            ("decomposition", "The parts of the Brier score"),
            ("nulls", "What chance alone would show"),
            ("bins", "Other bins"),
            ("groups", "By category and price"),
        ),
    ),
    Group(
        name="beside",
        title="Do they know what the market price does not?",
        about="How near forecasts stay to the price, and whether a blend of both would beat it.",
        answers=("market",),
        sections=(("price", "Beside the price"),),
    ),
    Group(
        name="doubt",
        title="How far can this be trusted?",
        about="What was held fixed, what failed, and what hangs on a single market or a choice of ours.",
        answers=("trust",),
        sections=(
            ("audit", "What failed in silence"),
            ("control", "What was held fixed"),
            ("failures", "Failures"),
            ("trust", "Single markets, missing forecasts"),
            ("looking", "Looking while data come in"),
            ("coherence", "Linked markets"),
        ),
    ),
    Group(
        name="next",
        title="What would it take to know more?",
        about="Where the noise comes from, and how many markets or replicates would beat it.",
        answers=("more",),
        sections=(("more", "Where the noise comes from"),),
    ),
    Group(
        name="every",
        title="Every market",
        about="Each question with its outcome, its price and all forecasts.",
        sections=(("markets", "Markets"),),
    ),
    Group(
        name="setup",
        title="What was run?",
        about="Each configuration as a graph of who is shown what, and the study that the numbers are of.",
        sections=(("configurations", "Configurations"), ("study", "Study and notes")),
    ),
    Group(
        name="words", title="What do the words mean?", about="Each term in one line.", sections=(("glossary", "Glossary"),)
    ),
)
