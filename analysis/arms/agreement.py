"""Does the ranking of configurations hold across arms? Kendall's W, and what it would be by chance and if it did hold."""

from itertools import combinations
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.arms.crossing import Crossing
from coordeval.analysis.arms.effects import arm_effects
from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats, finite
from coordeval.analysis.base.resampling import ratio

COLUMNS: Final[dict[str, Any]] = {
    "across": pl.String,
    **dict.fromkeys(("rankings", "configurations"), pl.Int64),
    **dict.fromkeys(("w", "w_chance", "w_chance_high", "p_value", "w_one_low", "w_one", "p_one"), pl.Float64),
    "reason": pl.String,
}
PAIRS: Final[dict[str, Any]] = {"first": pl.String, "second": pl.String, "tau": pl.Float64, "reason": pl.String}
_TAIL: Final = 0.05
_BLOCK: Final = 2_000_000


@asked
def concordance(scores: Floats) -> float:
    """Kendall's W of `scores`, (rankings, items): 1 where all rank alike, 0 where ranks cancel; NaN where all tie.

    W = 12 S/(m² (n³ − n) − m Σ T), S the sum of squares of the n rank sums, T = Σ (t³ − t) over the ties of each of the m
    rankings. Source: Kendall & Babington Smith (1939). Raises AnalysisError where a score is not finite.

    >>> import numpy as np
    >>> from coordeval.analysis import concordance
    >>> concordance(np.array([[1.0, 2.0, 3.0], [0.1, 0.2, 0.3]])), concordance(np.array([[1.0, 2.0], [2.0, 1.0]]))
    (1.0, 0.0)
    """
    values = finite(scores, name="scores")
    if values.ndim != 2:
        raise AnalysisError(f"scores has the shape {values.shape}: give (rankings, items)")
    return float(_concordances(values[None])[0])


def _concordances(values: Floats) -> Floats:
    """(rows, rankings, items) -> (rows,)."""
    _, m, items = values.shape
    below = values[:, :, :, None] > values[:, :, None, :]
    equal = values[:, :, :, None] == values[:, :, None, :]
    ranks = below.sum(axis=3) + (equal.sum(axis=3) + 1) / 2
    sums = ranks.sum(axis=1)
    spread = np.sum((sums - sums.mean(axis=1, keepdims=True)) ** 2, axis=1)
    ties = np.sum(equal.sum(axis=3).astype(np.float64) ** 2 - 1, axis=(1, 2))  # Σ t (t² − 1) over groups of ties
    most = m**2 * (items**3 - items) - m * ties
    return ratio(12 * spread, np.maximum(most, 0.0))


def agreement(made: Crossing, *, n: int, seed: int) -> pl.DataFrame:
    """across, rankings, configurations, w, w_chance, w_chance_high, p_value, w_one_low, w_one, p_one, reason.

    Across all arms, and where arms are crossed across models (each the mean of its arms) and across information. Both
    references give random signs to how far events are from the mean, all arms of an event together, so what arms share of
    markets and draws stays.
    By chance: no configuration differs in any arm; `w_chance` is the mean, `w_chance_high` what 5% exceed, `p_value` the
    share as high as W. If the ranking were one: every arm has the mean effects; `w_one` the mean, `w_one_low` what 5% are
    below, `p_one` the share as low as W. The effects of few events spread more than the true ones, so `w_one` is a bit high.
    """
    sums = arm_effects(made)
    counts = np.bincount(made.event).astype(np.float64)
    rows = [_row("arms", sums, counts, n=n, seed=seed)]
    for factor, levels in made.levels.items():
        each = levels[:: len(made.configurations)]
        names = tuple(dict.fromkeys(each))
        if factor in ("configuration", "arm") or not 1 < len(names) < len(made.arms):
            continue
        groups = [[a for a, level in enumerate(each) if level == name] for name in names]
        means = np.stack([sums[:, group].mean(axis=1) for group in groups], axis=1)
        rows.append(_row(factor, means, counts, n=n, seed=seed))
    return pl.DataFrame(rows, schema=COLUMNS)


def _row(across: str, sums: Floats, counts: Floats, *, n: int, seed: int) -> dict[str, Any]:
    events, rankings, items = sums.shape
    row: dict[str, Any] = {"across": across, "rankings": rankings, "configurations": items}
    if items < 2:
        return row | {"reason": "one configuration has no ranking"}
    markets = counts.sum()
    mean = sums.sum(axis=0) / markets
    w = float(_concordances(mean[None])[0])
    if np.isnan(w):
        return row | {"reason": "all configurations score the same in every arm"}
    rng = np.random.default_rng(seed)
    flat = sums.reshape(events, -1) / markets
    apart = flat - counts[:, None] / markets * mean.ravel()
    one = np.broadcast_to(mean.mean(axis=0), mean.shape).ravel()
    chance, same = [], []
    step = max(1, min(_BLOCK // events, _BLOCK // (rankings * items**2)))
    for done in range(0, n, step):
        signs = 2.0 * rng.integers(0, 2, (min(step, n - done), events)) - 1
        drawn = signs @ apart
        chance.append(_concordances(drawn.reshape(-1, rankings, items)))
        same.append(_concordances((one + drawn).reshape(-1, rankings, items)))
    null, alike = (np.nan_to_num(np.concatenate(parts), nan=1.0) for parts in (chance, same))
    return row | {
        "w": w,
        **{"w_chance": float(null.mean()), "w_chance_high": float(np.quantile(null, 1 - _TAIL))},
        "p_value": float((1 + np.sum(null >= w - 1e-12)) / (1 + n)),
        **{"w_one": float(alike.mean()), "w_one_low": float(np.quantile(alike, _TAIL))},
        "p_one": float((1 + np.sum(alike <= w + 1e-12)) / (1 + n)),
    }


def taus(made: Crossing) -> pl.DataFrame:
    """first, second, tau, reason: Kendall's τ_b of the Brier scores of two arms, of every pair of arms."""
    x = made.x.mean(axis=0).reshape(len(made.arms), len(made.configurations))
    rows = []
    for a, b in combinations(range(len(made.arms)), 2):
        signs = [np.sign(x[k][:, None] - x[k][None, :])[np.triu_indices(x.shape[1], 1)] for k in (a, b)]
        size = np.sqrt(float(signs[0] @ signs[0]) * float(signs[1] @ signs[1]))
        tau = float(signs[0] @ signs[1]) / size if size else None
        reason = None if size else "all configurations of one arm score the same, or there is one"
        rows.append({"first": made.arms[a], "second": made.arms[b], "tau": tau, "reason": reason})
    return pl.DataFrame(rows, schema=PAIRS)
