"""Worlds with arms whose split is known: configurations × models × information, on the markets of `worlds`.

For cell k of market i in event e(i), with x, y as in `worlds` and v, w, ε standard normal:

    p_ikr = σ(slope_k x_i + kept_k (v_ek + v_ik)/√2 + own (√a w_dir + √(1 − a) ε_ikr))

The slope is a sum of what the configuration, the model, the information and pairs of them add to it, so each has an effect
on the mean and on how markets differ; w is common to all cells of a model, as draws are that are shared. In the additive
world `kept` is solved for so that the mean error is a sum of what configuration and arm add. True values are integrals.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any, Final, Literal

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, ndtr

from coordeval.analysis.arms.agreement import agreement
from coordeval.analysis.arms.components import AGAIN, MARKET, components
from coordeval.analysis.arms.crossing import TIMES, Crossing, bases_of
from coordeval.analysis.arms.effects import interactions
from coordeval.analysis.base.checks import Floats
from coordeval.analysis.selftest.regimes import Regime, normal_grid

CONFIGURATIONS: Final = ("alone", "debate", "pool")
MODELS: Final = ("small", "large")
INFORMATION: Final = ("none", "all")
ARMS: Final = tuple(f"{model}, {known}" for model in MODELS for known in INFORMATION)
FACTORS: Final = ("configuration", "model", "information")
EFFECTS: Final = tuple(TIMES.join(some) for k in (1, 2, 3) for some in combinations(FACTORS, k))
REPLICATES: Final = 2
OWN: Final = 0.6
Kind = Literal["interval", "test"]
COMMON: Final = 0.5
"""Share of the variance of a fresh draw that all cells of a model have in common."""
_X, _V = 301, 61


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """slope and kept of each cell, (12,), arm by arm."""

    slope: Floats
    kept: Floats


def levels() -> Mapping[str, tuple[str, ...]]:
    cells = [(c, model, known) for model in MODELS for known in INFORMATION for c in CONFIGURATIONS]
    return dict(zip(FACTORS, zip(*cells, strict=True), strict=True))


@cache
def split_cast() -> Cast:
    """Every effect and every interaction is there, of unequal sizes."""
    c, d, i = (
        np.array([{name: k for k, name in enumerate(dict.fromkeys(names))}[one] for one in names])
        for names in levels().values()
    )
    slope = np.array([0.55, 1.0, 1.35])[c] + 0.3 * d + 0.25 * i + np.array([0.0, -0.45, 0.35])[c] * d * (1 + i) / 2
    kept = np.array([1.5, 0.9, 1.1])[c] - 0.5 * d - 0.4 * i * (c != 2) + 0.3 * (c == 0) * i
    return Cast(slope=slope, kept=kept)


@cache
def additive_cast(regime: Regime) -> Cast:
    """The slopes of configurations differ, and the mean error is what configuration and arm add, to 1e-9."""
    c = np.tile(np.arange(3), len(ARMS))
    arm = np.repeat(np.arange(len(ARMS)), 3)
    slope = np.array([0.7, 1.0, 1.3])[c] + np.array([0.0, 0.1, -0.1, 0.0])[arm]
    best = max(_brier(s, 0.0, regime) for s in slope)
    aims = best + np.array([0.012, 0.0, 0.006])[c] + np.array([0.004, 0.014, 0.009, 0.02])[arm]
    kept = [brentq(lambda k, s=s, aim=aim: _brier(s, k, regime) - aim, 0.0, 5.0) for s, aim in zip(slope, aims, strict=True)]
    return Cast(slope=slope, kept=np.array(kept))


@cache
def null_cast() -> Cast:
    """No configuration differs in any arm."""
    return Cast(slope=np.ones(12), kept=np.full(12, 0.5))


def arms_world(markets: int, cast: Cast, *, regime: Regime, rng: np.random.Generator) -> Crossing:
    """One world, as `arms.crossing` has it."""
    event = regime.events_of(markets, rng)
    events, cells = int(event[-1]) + 1, cast.slope.size
    shared, single = rng.standard_normal((2, events)), rng.standard_normal((2, markets))
    latent = regime.latent(0.8 * shared[0][event] + 0.6 * single[0])
    y = ndtr(0.7 * shared[1][event] + np.sqrt(0.51) * single[1]) < expit(latent)
    kept = (rng.standard_normal((events, cells))[event] + rng.standard_normal((markets, cells))) / np.sqrt(2)
    own = np.sqrt(1 - COMMON) * rng.standard_normal((markets, cells, REPLICATES))
    common = rng.standard_normal((markets, len(MODELS), REPLICATES))
    own += np.sqrt(COMMON) * np.repeat(common, cells // len(MODELS), axis=1)
    p = expit((cast.slope * latent[:, None] + cast.kept * kept)[:, :, None] + OWN * own)
    known = levels()
    return Crossing(
        configurations=CONFIGURATIONS,
        arms=ARMS,
        levels=known,
        bases=bases_of(known, cells),
        event=event,
        errors=(p - y[:, None, None]) ** 2,
        arm_fields={name: dict(zip(("model", "information"), name.split(", "), strict=True)) for name in ARMS},
        left_out=(),
    )


@cache
def true_split(regime: Regime) -> Mapping[str, float]:
    """Component -> its true value in the world of `split_cast`."""
    cast, known = split_cast(), levels()
    z, weight = normal_grid(_X)
    v, weight_v = normal_grid(_V)
    latent = regime.latent(z)
    chances = np.stack([weight * (1 - expit(latent)), weight * expit(latent)])  # (y, x)
    given, second, within = np.empty((2, cast.slope.size, _X)), np.empty(cast.slope.size), 0.0
    for k, (slope, kept) in enumerate(zip(cast.slope, cast.kept, strict=True)):
        p = expit((slope * latent[:, None] + kept * v)[:, :, None] + OWN * v)
        errors = np.stack([p**2, (1 - p) ** 2])
        m = errors @ weight_v  # (y, x, v)
        given[:, k] = m @ weight_v
        second[k] = float(np.sum(chances * (m**2 @ weight_v)))
        within += float(np.sum(chances * ((errors**2 @ weight_v - m**2) @ weight_v))) / cast.slope.size
    mean = np.einsum("yx,ykx->k", chances, given)
    s = np.einsum("yx,ykx,ylx->kl", chances, given, given)
    s[np.diag_indices(len(s))] = second
    s -= np.outer(mean, mean)
    true = {AGAIN: within}
    for name, basis in bases_of(known, len(s)).items():
        true[MARKET if name == "mean" else f"{MARKET}{TIMES}{name}"] = float(np.trace(basis.T @ s @ basis)) / len(s)
        if name != "mean":
            true[name] = float(np.sum((mean @ basis) ** 2)) / len(s)
    return true


def judged(
    markets: int, *, regime: Regime, rng: np.random.Generator, n: int, seed: int
) -> Iterator[tuple[Kind, str, str, Any]]:
    """kind, measure, of, and the row of an interval with its true value, or a p-value."""
    true = true_split(regime)
    for row in components(arms_world(markets, split_cast(), regime=regime, rng=rng), n=n, seed=seed, level=0.95).to_dicts():
        yield "interval", f"split: {row['component']}", "2 models × 2 arms × 3", (row, true[row["component"]])
    yield from interaction_tests(markets, regime=regime, rng=rng, n=n, seed=seed)
    made = arms_world(markets, null_cast(), regime=regime, rng=rng)
    row = agreement(made, n=499, seed=seed).row(0, named=True)
    yield "test", "rankings agree across arms", "no configuration differs", row["p_value"]


def interaction_tests(
    markets: int, *, regime: Regime, rng: np.random.Generator, n: int, seed: int
) -> Iterator[tuple[Kind, str, str, float]]:
    """As `judged`: the tests of what configurations and arms do together, where they add up; by 999 random signs or more."""
    made = arms_world(markets, additive_cast(regime), regime=regime, rng=rng)
    for row in interactions(made, n=max(n, 999), seed=seed).to_dicts():
        if TIMES in row["effect"] and row["effect"].startswith("configuration"):
            yield "test", f"{row['effect']}, signs of events", "additive truth", row["p_value"]


@cache
def _brier(slope: float, kept: float, regime: Regime) -> float:
    z, weight = normal_grid(_X)
    v, weight_v = normal_grid(121)
    latent = regime.latent(z)
    p = expit(slope * latent[:, None] + np.hypot(kept, OWN) * v)
    yes = expit(latent)[:, None]
    return float(weight @ ((p**2 - 2 * p * yes + yes) @ weight_v))
