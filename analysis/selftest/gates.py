"""A gate in front of tools against planted truth: is its estimate of its own gain unbiased, and where does its curve lie?

In each world tools help by planted, varying amounts (`analysis.tools.example`); a gate is fitted on it, cross-fitted by
event, and what it says of itself is held against the true utilities, which it never sees.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np
import polars as pl

from coordeval.analysis.base.checks import Floats, at_least
from coordeval.analysis.tools.example import gate_rows, tool_world
from coordeval.analysis.tools.gate import fit_gate

WORLDS: Final = 200
MARKETS: Final = 300
_BOUND: Final = 2.58
"""Standard errors that chance exceeds in 1% of seeds, as in the other self-tests; 2 are exceeded in 5%."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """Means over worlds, in Brier points gained over never calling."""

    worlds: int
    markets: int
    estimated: float
    """What gates said that they gain."""
    true: float
    """What they did gain."""
    error: float
    """Mean of estimated − true."""
    error_sem: float
    own_choice: float
    """True gain of the agent's own choice."""
    at_own: float
    """True gain of the gate at as many calls."""
    best_at_own: float
    """The most that as many calls can gain."""
    always: float
    slope: float
    """Of true utilities on predicted ones, on events that were not seen, all worlds together: 1 is calibrated."""
    failures: tuple[str, ...]


def gates(
    worlds: int = WORLDS, *, markets: int = MARKETS, seed: int = 0, told: Callable[[int], None] = lambda done: None
) -> Gates:
    """Raises AnalysisError for fewer than two worlds, or too few markets to fit a gate on."""
    at_least("worlds", worlds, 2)
    at_least("markets", markets, 100)
    rows = []
    for k in range(worlds):
        rows.append(_one(markets, np.random.default_rng([seed, markets, k])))
        told(k + 1)
    mean = np.mean(rows, axis=0)
    estimated, true, own, at_own, best, always, together, varied = map(float, mean)
    errors = np.array([row[0] - row[1] for row in rows])
    sem = float(errors.std(ddof=1) / sqrt(worlds))
    failures = []
    if abs(float(errors.mean())) > _BOUND * sem:
        failures.append(
            f"what gates say of their gain is off by {errors.mean():.4f}, over {_BOUND:g} standard errors ({sem:.4f})"
        )
    if not own < at_own < best:
        failures.append(
            f"at equal calls the gate gains {at_own:.4f}, own choice {own:.4f}, the best {best:.4f}: not in between"
        )
    return Gates(
        worlds=worlds,
        markets=markets,
        estimated=estimated,
        true=true,
        error=float(errors.mean()),
        error_sem=sem,
        own_choice=own,
        at_own=at_own,
        best_at_own=best,
        always=always,
        slope=together / varied,
        failures=tuple(failures),
    )


def _one(markets: int, rng: np.random.Generator) -> tuple[float, ...]:
    world = tool_world(markets, rng=rng)
    rows = gate_rows(world).with_columns(utility=pl.Series(np.tile(world.utility, world.answers.without.shape[1])))
    made = fit_gate(rows, draws=3, n=2)
    known = ~np.isnan(made.predicted)
    utility, predicted = rows["utility"].to_numpy()[known], made.predicted[known]
    told = dict(made.measures.select("measure", "estimate").iter_rows())
    share = float((world.answers.calls > 0).mean())
    many = round(share * len(utility))
    return (
        told["gain"],
        float(np.mean((predicted > 0) * utility)),
        share * float(world.utility.mean()),
        _top(predicted, utility, many),
        _top(utility, utility, many),
        float(utility.mean()),
        float(np.mean((predicted - predicted.mean()) * (utility - utility.mean()))),
        float(np.var(predicted)),
    )


def _top(by: Floats, gain: Floats, many: int) -> float:
    return float(gain[np.argsort(-by, kind="stable")[:many]].sum() / len(gain))
