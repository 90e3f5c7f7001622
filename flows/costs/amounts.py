"""An amount that is expected, with the interval that it should fall into."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Final

import numpy as np
from scipy import stats

LEVEL: Final = 0.9


@dataclass(frozen=True, slots=True)
class Amount:
    """A total that is expected, in [low, high] with probability LEVEL; null where it is not known, low and high also where
    one market says nothing about how markets differ."""

    mean: float | None
    low: float | None = None
    high: float | None = None

    def scaled(self, by: float) -> "Amount":
        return Amount(*(None if part is None else part * by for part in (self.mean, self.low, self.high)))

    def widened(self, factor: float) -> "Amount":
        """From 1/factor of its low end to factor times its high one: for what rests on an assumption, not on a sample."""
        low, high = (self.mean if part is None else part for part in (self.low, self.high))
        return Amount(self.mean, None if low is None else low / factor, None if high is None else high * factor)

    def as_json(self) -> dict[str, Any]:
        return {"mean": self.mean, "low": self.low, "high": self.high}


def predicted(per_market: Sequence[float | None], cells: int, markets: int) -> Amount:
    """The total of `cells` that are still to be made on `markets`, from the mean per cell on each market of a sample.

    Both the sample and what is to come vary: the variance is cells² · s² · (1/n + 1/markets), s² that of the sample's n
    markets, with Student's t at n - 1 degrees of freedom.

    >>> from coordeval.flows.costs.amounts import predicted
    >>> predicted([2.0, 2.0, 2.0], 10, 5)
    Amount(mean=20.0, low=20.0, high=20.0)
    >>> predicted([2.0, None], 10, 5)
    Amount(mean=None, low=None, high=None)
    """
    if cells == 0:
        return Amount(0.0, 0.0, 0.0)
    if not per_market or None in per_market:
        return Amount(None)
    values = np.asarray(per_market, dtype=float)
    mean = cells * float(values.mean())
    if len(values) < 2:
        return Amount(mean)
    t = float(stats.t.ppf(0.5 + LEVEL / 2, len(values) - 1))
    half = t * cells * float(values.std(ddof=1)) * sqrt(1 / len(values) + 1 / markets)
    return Amount(mean, max(0.0, mean - half), mean + half)


def together(parts: Sequence[Amount]) -> Amount:
    """The sum of independent amounts: their half-widths add in quadrature. None where one is not known."""
    means = [part.mean for part in parts]
    if None in means:
        return Amount(None)
    mean = sum(value for value in means if value is not None)
    if any(part.low is None or part.high is None for part in parts):
        return Amount(mean)
    below = sqrt(sum((part.mean - part.low) ** 2 for part in parts if part.mean is not None and part.low is not None))
    above = sqrt(sum((part.high - part.mean) ** 2 for part in parts if part.mean is not None and part.high is not None))
    return Amount(mean, max(0.0, mean - below), mean + above)
