"""Studies of a planned size, drawn from the events of a first one: how often a t test sees a difference that is there.

A formula from a mean and a variance is wrong where differences are skewed, as Brier scores of rare events are: a study that
happens to miss the rare large difference has a mean that is off and a standard error that is too small.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from coordeval.analysis.base.checks import Floats
from coordeval.analysis.base.scipy_parts import special

STUDIES: Final = 6_000
SEED: Final = 20_250_601
MOST: Final = 5_000
"""Events of a first study that are kept: more tell nothing more."""
_HELD: Final = 8_000_000  # drawn numbers of one size; beyond it fewer studies are drawn
_FEWEST: Final = 1_000
_TOO_OFTEN: Final = 1.4
"""A two-sided test that rejects a true null this many times as often as it says is not one to plan with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the differences of a first study look like: its events, with their markets and how far off the mean they lie."""

    markets: tuple[int, ...]
    """(events,)"""
    apart: tuple[tuple[float, ...], ...]
    """Per pair of configurations, (events,): the event's sum of differences less their mean, in standard deviations of
    the difference on one market; positive on the side of the mean itself, as where the worse one errs seldom but much."""


def shape_of(markets: Floats, apart: Floats) -> Shape:
    """Of sizes (events,) and sums (events, pairs); of more than `MOST` events a sample of so many, of the same variance."""
    if markets.size > MOST:
        spread = np.sum(apart**2, axis=0) / markets.sum()
        picked = np.sort(np.random.default_rng(SEED).choice(markets.size, MOST, replace=False))
        markets, apart = markets[picked], apart[picked]
        apart = apart - markets[:, None] * apart.sum(axis=0) / markets.sum()
        apart = apart * np.sqrt(spread * markets.sum() / np.sum(apart**2, axis=0))
    return Shape(markets=tuple(markets.astype(int).tolist()), apart=tuple(map(tuple, apart.T.tolist())))


@dataclass(frozen=True, slots=True, kw_only=True)
class Studies:
    """What a paired t test by events finds in studies of one size."""

    power: float
    """Share that finds the difference, with its right sign."""
    wrong_sign: float
    """Share that finds one with the wrong sign."""
    false: float
    """Share that would find one, of either sign, if there was none."""
    n: int


def studies(shape: Shape, markets: int, *, size: float, alpha: float) -> Studies:
    """Draws studies of `markets` markets and tests each at `alpha`; `size` is the true difference in standard deviations.

    Events are drawn with replacement from the first study's, of an average pair of configurations. The same numbers are
    drawn for every `size`, so more is always seen sooner.

    >>> from coordeval.analysis.plan.studies import Shape, studies
    >>> even = Shape(markets=(1,) * 10, apart=((-1.5, -1.2, -0.9, -0.5, -0.1, 0.1, 0.5, 0.9, 1.2, 1.5),))
    >>> found = studies(even, 50, size=0.4, alpha=0.05)
    >>> round(found.power, 1), found.wrong_sign < 0.001, round(found.false, 2)
    (0.8, True, 0.05)
    """
    mean, error, critical = _drawn(shape, markets, alpha)
    seen = mean + size
    return Studies(
        power=float(np.mean(seen > critical * error)),
        wrong_sign=float(np.mean(seen < -critical * error)),
        false=float(np.mean(np.abs(mean) > critical * error)),
        n=mean.size,
    )


def unfit(found: Studies, alpha: float) -> str | None:
    """Why a study of this size is not to be planned with a t test; None where it rejects a true null as often as it says."""
    luck = 3 * np.sqrt(alpha / found.n)
    if found.false <= _TOO_OFTEN * alpha + luck:
        return None
    return (
        f"the differences of the first study are too skewed for a t test of so few markets: it would find one that is not "
        f"there in {found.false:.1%}, at a level of {alpha:.2g}"
    )


@lru_cache(maxsize=64)
def _drawn(shape: Shape, markets: int, alpha: float) -> tuple[Floats, Floats, Floats]:
    """(studies,) each: mean difference and its standard error, in standard deviations of one market, and critical t.

    As `base.events.clustered_error`, of sums over the drawn events.
    """
    rng = np.random.default_rng([SEED, markets])
    n, z = np.array(shape.markets, np.float64), np.array(shape.apart)
    events = max(2, round(markets * n.size / n.sum()))
    count = min(STUDIES, max(_FEWEST, _HELD // events))
    pair = rng.integers(0, len(z), count)
    found = np.empty((3, count))
    step = max(1, 2_000_000 // events)
    for start in range(0, count, step):
        rows = slice(start, min(start + step, count))
        drawn = rng.integers(0, n.size, (rows.stop - start, events))
        size, apart = n[drawn], z[pair[rows, None], drawn]
        total = size.sum(axis=1, keepdims=True)
        mean = apart.sum(axis=1, keepdims=True) / total
        rest = np.maximum(1 - size / total, 1e-9)
        error = np.sqrt(np.sum((apart - size * mean) ** 2 / rest, axis=1)) / total[:, 0]
        u = size**2 / rest
        together = (u.sum(axis=1) ** 2 - np.sum(u * u, axis=1)) / total[:, 0] ** 2
        freedom = total[:, 0] ** 2 / (np.sum(size * size, axis=1) + together)
        found[:, rows] = mean[:, 0], error, special.stdtrit(np.maximum(freedom, 1e-3), 1 - alpha / 2)
    return found[0], found[1], found[2]
