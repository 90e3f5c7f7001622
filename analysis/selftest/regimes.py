"""The shapes of worlds: how often markets resolve YES, how sure one can be, how events are cut, how alike forecasters are.

Two are mild; the others are shaped like real prediction markets, each in one respect, and one has the marginals of a
hundred published markets.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit, ndtr

from coordeval.analysis.base.checks import Floats, Ints

Sizes = Literal["small", "heavy", "one large", "published"]
_NODES: Final = 6_001
_PUBLISHED: Final = (
    *(0.007, 0.023, 0.074, 0.122, 0.164, 0.203, 0.244, 0.262, 0.345, 0.375, 0.423),
    *(0.452, 0.502, 0.537, 0.587, 0.631, 0.676, 0.711, 0.832, 0.914, 0.987),
)
"""Quantiles 0%, 5%, ..., 100% of the prices, a day before resolution, of 100 resolved Polymarket markets (Nechepurenko &
Shuvalov 2026, coordination-traces-100, CC BY 4.0)."""
_SHARES: Final[Mapping[Sizes, tuple[float, ...]]] = {
    "small": (0.6, 0.25, 0.15),
    "published": (84 / 90, 3 / 90, 2 / 90, 1 / 90),
}
"""Share of the events that have 1, 2, 3, ... markets; the published ones are those of the same hundred markets."""
_TAIL: Final = 1.2
_LARGEST: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """One shape. The latent logit of a market is an increasing function of a standard normal variable."""

    name: str
    about: str
    base_rate: float = 0.45
    """Share that resolves YES; not used where `prices` are given."""
    sd: float = 1.9
    """Of the latent logits."""
    prices: tuple[float, ...] = ()
    """Even quantiles of the true probabilities, in place of a normal law of their logits."""
    sizes: Sizes = "small"
    alike: float = 0.0
    """Share of the variance of all noise that every forecaster has in common."""

    @property
    def mean(self) -> float:
        """Mean of the latent logits that gives the base rate."""
        return _mean(self.base_rate, self.sd)

    def latent(self, z: Floats) -> Floats:
        """The logits at these values of a standard normal variable."""
        if not self.prices:
            return np.asarray(self.mean + self.sd * z, np.float64)
        return np.asarray(np.interp(ndtr(z), np.linspace(0, 1, len(self.prices)), logit(self.prices)), np.float64)

    def events_of(self, markets: int, rng: np.random.Generator) -> Ints:
        """The event of each market, (markets,), nondecreasing from 0; the last event may be cut short."""
        return np.repeat(np.arange(markets), _sizes(self.sizes, markets, rng))[:markets].astype(np.int64)


REGIMES: Final = (
    Regime(name="balanced", about="45% resolve YES"),
    Regime(name="skewed", about="18% resolve YES, as often as on Polymarket", base_rate=0.18),
    Regime(name="rare", about="4% resolve YES", base_rate=0.04),
    Regime(name="sure", about="true probabilities near 0 and 1: most under 2% or over 98%", sd=7.0),
    Regime(name="uneven", about="event sizes with a heavy tail (Pareto 1.2, at most a fifth of all markets)", sizes="heavy"),
    Regime(name="one event", about="a fifth of all markets are one event", sizes="one large"),
    Regime(name="alike", about="noise of any two forecasters correlated by .98", alike=0.98),
    Regime(
        name="published",
        about="prices, base rate and events as of 100 published markets a day before resolution",
        prices=_PUBLISHED,
        sizes="published",
    ),
)

MILD: Final = REGIMES[:2]
"""Those in which everything is tried; in the others what a report says first."""


def regime(name: str) -> Regime:
    """The one of that name."""
    return next(one for one in REGIMES if one.name == name)


def normal_grid(nodes: int = _NODES) -> tuple[Floats, Floats]:
    """Nodes and weights of a standard normal: a fine even grid, exact to rounding for smooth functions."""
    z = np.linspace(-9, 9, nodes)
    weight = np.exp(-z * z / 2)
    return z, weight / weight.sum()


@lru_cache
def _mean(base_rate: float, sd: float) -> float:
    z, weight = normal_grid()
    return float(brentq(lambda m: weight @ expit(m + sd * z) - base_rate, -40, 40))


def _sizes(kind: Sizes, markets: int, rng: np.random.Generator) -> Ints:
    """Markets of each event, as many events as could be needed."""
    most = max(1, round(_LARGEST * markets))
    if kind == "heavy":
        drawn = np.floor(rng.random(markets) ** (-1 / _TAIL))
        return np.minimum(drawn, most).astype(np.int64)
    shares = _SHARES.get(kind, _SHARES["small"])
    drawn = rng.choice(np.arange(1, len(shares) + 1), size=markets, p=shares)
    return np.concatenate([[most], drawn[1:]]) if kind == "one large" else drawn
