"""What single tool calls are worth, against planted truth: does the interval of `tools ablate` hold what it should?

Of market i in event e, x_i its latent logit, y_i what happens, and each call of an agent there:

    without = σ(x_i + 1.1 v_i + 0.5 z),  given = σ(x_i + 0.5 w_i + 0.5 z') where the tool is `search`,
                                         given = σ(x_i + 1.1 w_i + 0.5 z') where it is `details`, which tells nothing

with standard normals v, w that all calls of a market share, so that calls are alike by market and events by x; half of the
calls are of each tool. Agents call more where they are unsure: 1 + Poisson(3 exp(−|x|)) calls. True values are integrals.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from math import sqrt
from typing import Final

import numpy as np
import polars as pl
from scipy.special import expit

from coordeval.analysis.base.checks import at_least
from coordeval.analysis.selftest.regimes import normal_grid, regime
from coordeval.analysis.tools.ablation import EVERY, ablation

WORLDS: Final = 1000
SIZES: Final = (100, 400)
"""Markets."""
_OF_MARKET: Final = {"search": 0.5, "details": 1.1}
_OWN: Final = 0.5
_WITHOUT: Final = 1.1
_SHAPE: Final = regime("balanced")
_TOLERANCE: Final = 1.5
"""Points that a coverage may be off from 95% beyond what the number of worlds leaves open (2.58 standard errors)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """How often one interval held its true value."""

    markets: int
    tool: str
    measure: str
    true: float
    coverage: float
    """Percent."""
    sem: float
    worlds: int

    @property
    def failure(self) -> str | None:
        """In words where it is under 95% by more than is tolerated and more than chance."""
        if self.coverage + 2.58 * self.sem >= 95 - _TOLERANCE:
            return None
        return (
            f"{self.measure} of {self.tool}, {self.markets} markets: its 95% interval holds the true value in "
            f"{self.coverage:.1f} ± {self.sem:.1f}%"
        )


def ablations(
    worlds: int = WORLDS, *, seed: int = 0, resamples: int = 500, told: Callable[[int], None] = lambda done: None
) -> tuple[Covered, ...]:
    """Coverage of every interval of `tools.ablation`, in so many worlds of each size. Raises AnalysisError for under two."""
    at_least("worlds", worlds, 2)
    true = true_values()
    held: Counter[tuple[int, str, str]] = Counter()
    for markets in SIZES:
        for k in range(worlds):
            calls = calls_of(markets, np.random.default_rng([seed, markets, k]))
            for row in ablation(calls, n=resamples, seed=k).totals.to_dicts():
                key = (row["tool"], row["measure"])
                held[markets, *key] += row["low"] is not None and row["low"] <= true[key] <= row["high"]
            told(k + 1)
    rows = []
    for (size, tool, measure), right in held.items():
        share = right / worlds
        sem = 100 * sqrt(max(share * (1 - share), 0.25 / worlds) / worlds)
        value = true[tool, measure]
        made = Covered(markets=size, tool=tool, measure=measure, true=value, coverage=100 * share, sem=sem, worlds=worlds)
        rows.append(made)
    return tuple(rows)


def calls_of(markets: int, rng: np.random.Generator) -> pl.DataFrame:
    """One world, as `tools.ablation.NEEDED`."""
    event = _SHAPE.events_of(markets, rng)
    x = _SHAPE.latent(0.8 * rng.standard_normal(event[-1] + 1)[event] + 0.6 * rng.standard_normal(markets))
    y = rng.random(markets) < expit(x)
    of_market = rng.standard_normal((2, markets))
    at = np.repeat(np.arange(markets), 1 + rng.poisson(3 * np.exp(-np.abs(x))))
    search = rng.random(len(at)) < 0.5
    own = _OWN * rng.standard_normal((2, len(at)))
    spread = np.where(search, _OF_MARKET["search"], _OF_MARKET["details"])
    return pl.DataFrame(
        {
            "event_id": [f"e{e:04}" for e in event[at]],
            "tool": np.where(search, "search", "details"),
            "given": expit(x[at] + spread * of_market[1][at] + own[1]),
            "without": expit(x[at] + _WITHOUT * of_market[0][at] + own[0]),
            "outcome": y[at].astype(np.int64),
        }
    )


@cache
def true_values() -> Mapping[tuple[str, str], float]:
    """(tool, measure) -> its mean over calls: every market counts by the calls that are expected of it."""
    z, weight = normal_grid(201)
    v, weight_v = normal_grid(121)
    x = _SHAPE.latent(z)
    often = weight * (1 + 3 * np.exp(-np.abs(x)))
    often /= often.sum()
    pair = weight_v[:, None] * weight_v
    true: dict[tuple[str, str], float] = {}
    for tool, spread in _OF_MARKET.items():
        parts = dict.fromkeys(("utility", "moved", "helpful", "harmful"), 0.0)
        for latent, share in zip(x, often, strict=True):
            without = expit(latent + np.hypot(_WITHOUT, _OWN) * v)[:, None]
            given = expit(latent + np.hypot(spread, _OWN) * v)[None, :]
            parts["moved"] += share * float(np.sum(pair * np.abs(given - without)))
            for outcome, chance in ((1.0, expit(latent)), (0.0, 1 - expit(latent))):
                gain = (without - outcome) ** 2 - (given - outcome) ** 2
                parts["utility"] += share * chance * float(np.sum(pair * gain))
                better = float(np.sum(pair * ((gain > 0) + 0.5 * (gain == 0))))
                parts["helpful"] += share * chance * better
                parts["harmful"] += share * chance * (1 - better)
        true |= {(tool, name): value for name, value in parts.items()}
    return true | {(EVERY, name): (true["search", name] + true["details", name]) / 2 for _, name in list(true)}
