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
_BOUND: Final = 2.0
"""Standard errors of the error that the luck of the draws does not explain."""


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
    luck: float
    """The part of the error that draws bring which calling always has too: see `own_error`."""
    own: float
    """The rest: what is the gate's own."""
    own_sem: float
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
    estimated, true, own, at_own, best, always, together, varied, _ = map(float, mean)
    errors = np.array([row[0] - row[1] for row in rows])
    sem = float(errors.std(ddof=1) / sqrt(worlds))
    left, left_sem = own_error(errors, np.array([row[-1] for row in rows]))
    failures = []
    if abs(left) > _BOUND * left_sem:
        failures.append(
            f"what gates say of their gain is off by {left:.5f} that no luck of draws explains, over {_BOUND:g} standard "
            f"errors ({left_sem:.5f})"
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
        luck=float(errors.mean()) - left,
        own=left,
        own_sem=left_sem,
        own_choice=own,
        at_own=at_own,
        best_at_own=best,
        always=always,
        slope=together / varied,
        failures=tuple(failures),
    )


def own_error(errors: Floats, luck: Floats) -> tuple[float, float]:
    """Mean of `errors`, (worlds,), and its standard error, without what goes with `luck`, (worlds,), whose mean is 0.

    `luck`: by how much the same draws make always calling look better than it is. Its true mean is 0, as nothing is fitted
    or chosen there, so what of the errors goes with it is noise: a control variate (Lavenberg & Welch 1981), with its
    coefficient by least squares. It leaves a bias of the gate where it is, and takes three fifths of the standard error.

    >>> import numpy as np
    >>> from coordeval.analysis.selftest.gates import own_error
    >>> own_error(np.array([0.1, -0.1, 0.2, -0.2]) + 0.01, np.array([0.1, -0.1, 0.2, -0.2]))[0].__round__(6)
    0.01
    """
    apart = luck - luck.mean()
    weight = float(apart @ errors) / max(float(apart @ apart), 1e-300)
    left = errors - weight * luck
    return float(left.mean()), float(left.std(ddof=2) / sqrt(len(left)))


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
        told["gain of always"] - float(utility.mean()),
    )


def _top(by: Floats, gain: Floats, many: int) -> float:
    return float(gain[np.argsort(-by, kind="stable")[:many]].sum() / len(gain))
