"""Numbers and dollars as text: what is undefined is said, never 0; and what of a difference is only rounding."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from coordeval.analysis.base.checks import Floats, Ints

SAME: Final = 1e-9
"""The one tolerance: two probabilities, prices, Brier scores or costs in USD that differ by no more are the same.

What is left between them is rounding, such as the last bit in which the mean of 0.2, 0.2 and 0.2 differs from 0.2. It
decides nothing: not a bin, a tie, a test, a place on the frontier or what is recalibrated together.
"""


def without_rounding(differences: ArrayLike) -> Floats:
    """Differences in Brier points, 0 where they are no more than SAME; NaN stays.

    A model that answers alike each time leaves differences of 1e-17 between its replicates: no noise to divide by.

    >>> from coordeval.analysis.base.numerals import without_rounding
    >>> without_rounding([2.8e-17, -0.004]).tolist()
    [0.0, -0.004]
    """
    values = np.asarray(differences, dtype=np.float64)
    return np.where(np.abs(values) <= SAME, 0.0, values)


def distinct(values: ArrayLike) -> tuple[Floats, Ints]:
    """The distinct values, increasing, and the place of each value among them; neighbours within SAME are one value.

    Of values that are one, the lowest stands for all. `values`: (n_obs,), without NaN.

    >>> from statistics import fmean
    >>> from coordeval.analysis.base.numerals import distinct
    >>> found, place = distinct([0.3, fmean([0.01, 0.01, 0.58]), 0.2])
    >>> found.round(3).tolist(), place.tolist()
    ([0.2, 0.3], [1, 0, 0])
    """
    found, place = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True)
    opens = np.diff(found, prepend=-np.inf) > SAME
    return found[opens], (np.cumsum(opens) - 1)[place]


def counted(n: int, word: str) -> str:
    """A number with its noun: `1 market`, `2,000 markets`."""
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"


def number(value: float | None, digits: int = 4) -> str:
    """A number with a true minus sign; `not defined` for null, never 0."""
    if value is None:
        return "not defined"
    text = f"{value:,.{digits}f}"
    return text.lstrip("-") if not float(text.replace(",", "")) else text.replace("-", "−")  # no minus before a zero


def usd(value: float | None, places: int | None = None) -> str:
    """Dollars with the digits that matter, or with `places` of a column; a null price is said, never $0."""
    if value is None:
        return "not known"
    return "$0" if value == 0 else f"${value:,.{usd_places([value]) if places is None else places}f}"


def usd_places(column: Iterable[float | None]) -> int:
    """Decimal places for all dollars of a column: 2 where the least are a dime and the most ten dollars, else 4.

    >>> from coordeval.analysis.base.numerals import usd, usd_places
    >>> column = [15.8512, 7.7335, None]
    >>> [usd(value, usd_places(column)) for value in column], usd(0.0206)
    (['$15.85', '$7.73', 'not known'], '$0.0206')
    """
    known = [value for value in column if value]
    return 2 if known and max(known) >= 10 and min(known) >= 0.1 else 4
