"""How many instances a study of games needs: the difference that so many would show, and how many a difference needs.

For two arms paired by instance, with R games of each on every instance, the mean difference over N instances has the
variance (τ² + (σ₁² + σ₂²)/R)/N: τ² is how true differences vary between instances, σ² how games of one instance vary by
chance. σ² is measured from replicates, τ² is what is left of the spread of the measured differences. A difference is shown
with probability `power` where it reaches (z(1 − α/2) + z(power)) of its standard deviations; α is shared out among the arms
that are held against the baseline, as Holm's first step does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.base.scipy_parts import special
from coordeval.analysis.games.comparing import COLUMNS

INSTANCES: Final = (12, 24, 48, 96, 192)
REPLICATES: Final = (1, 2, 4)
MOST: Final = 100_000
"""Instances beyond which nothing is planned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GamesPlan:
    """What it takes to tell arms from the baseline."""

    measure: str
    baseline: str
    difference: float
    """The one that `needed` is about, in units of the measure."""
    power: float
    alpha: float
    """Shared out among the arms."""
    spreads: pl.DataFrame
    """arm, instances, delta, between (τ), within (√(σ₁² + σ₂²)), reason."""
    detectable: pl.DataFrame
    """arm, instances, replicates, detectable: the true difference that so many show with probability `power`."""
    needed: pl.DataFrame
    """arm, replicates, instances (null with a reason), reason: for `difference`."""


@asked
def plan(
    frame: pl.DataFrame,
    measure: str,
    *,
    baseline: str,
    difference: float = 0.05,
    arms: Sequence[str] = (),
    instances: Sequence[int] = INSTANCES,
    replicates: Sequence[int] = REPLICATES,
    power: float = 0.8,
    alpha: float = 0.05,
) -> GamesPlan:
    """The plan from played games: `frame` has arm, instance_id, replicate and the measure, as for `compared`.

    Raises:
        AnalysisError: a column or the baseline is missing, fewer than three instances were played by both, or a number is
            out of range.

    >>> import polars as pl
    >>> from coordeval.analysis.games import plan
    >>> rows = [(arm, str(i), r, (0.9 if arm == "record" else 0.6) + (i % 3) * (arm == "record") / 10)
    ...         for arm in ("record", "talk") for i in range(9) for r in range(2)]
    >>> frame = pl.DataFrame(rows, schema=["arm", "instance_id", "replicate", "efficiency"], orient="row")
    >>> plan(frame, "efficiency", baseline="talk", difference=0.05).needed.filter(replicates=1)["instances"].item()
    24
    """
    for name, value, low, high in (("difference", difference, 0, 1), ("power", power, 0, 1), ("alpha", alpha, 0, 1)):
        if not low < value < high:
            raise AnalysisError(f"{name} is {value!r}: it must lie between {low} and {high}")
    for name, values in (("instances", instances), ("replicates", replicates)):
        if not values or any(isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= MOST for n in values):
            raise AnalysisError(f"{name} is {values!r}: it must be whole numbers from 1 to {MOST:,}")
    if absent := [name for name in (*COLUMNS, measure) if name not in frame.columns]:
        raise AnalysisError(f"the frame has no column {', '.join(absent)}: it needs {', '.join((*COLUMNS, measure))}")
    known = frame.filter(pl.col(measure).is_not_null())
    names = known["arm"].unique().to_list()
    if baseline not in names:
        raise AnalysisError(
            f"baseline is {baseline!r}: it has no game with a known {measure}; those that have: {sorted(names)}"
        )
    others = [arm for arm in (arms or sorted(names)) if arm != baseline and arm in names]
    if not others:
        raise AnalysisError(f"no arm is there to be held against {baseline!r}: play another one too")
    reach = float(special.ndtri(1 - alpha / (2 * len(others))) + special.ndtri(power))
    spreads = [_spread(known, measure, arm, baseline) for arm in others]
    rows = [(row, _variance(row, r), r) for row in spreads for r in replicates]
    return GamesPlan(
        measure=measure,
        baseline=baseline,
        difference=difference,
        power=power,
        alpha=alpha,
        spreads=pl.DataFrame(spreads, schema=_SPREADS),
        detectable=pl.DataFrame(
            [
                {"arm": row["arm"], "instances": n, "replicates": r, "detectable": reach * sqrt(variance / n)}
                for row, variance, r in rows
                for n in instances
            ],
            schema=_DETECTABLE,
        ),
        needed=pl.DataFrame(
            [_needed(row["arm"], variance, r, reach, difference) for row, variance, r in rows], schema=_NEEDED
        ),
    )


def _spread(known: pl.DataFrame, measure: str, arm: str, baseline: str) -> dict[str, Any]:
    each = known.filter(pl.col("arm").is_in([arm, baseline])).group_by("arm", "instance_id")
    games = each.agg(mean=pl.col(measure).mean(), variance=pl.col(measure).var(), n=pl.len())
    mine, base = (games.filter(pl.col("arm") == name) for name in (arm, baseline))
    both = mine.join(base, on="instance_id", suffix="_base")
    if both.height < 3:
        raise AnalysisError(f"{arm} and {baseline} were both played on {both.height} instances: play three at least")
    delta = both["mean"].to_numpy() - both["mean_base"].to_numpy()
    once, told = 0.0, []
    parts = []  # of each arm: (variance of one game, what of it is in a measured difference)
    for name, own in ((arm, mine), (baseline, base)):
        twice = own.filter(pl.col("n") > 1)
        if twice.is_empty():
            told.append(f"{name} was played once: what varies by chance counts as varying between instances")
            parts.append((0.0, 0.0))
            continue
        weights = twice["n"].to_numpy() - 1
        variance = float(np.sum(weights * twice["variance"].to_numpy()) / weights.sum())
        parts.append((variance, variance * float(np.mean(1 / own["n"].to_numpy()))))
    once = sum(variance for variance, _ in parts)
    between = max(float(np.var(delta, ddof=1)) - sum(part for _, part in parts), 0.0)
    return {
        "arm": arm,
        "instances": both.height,
        "delta": float(delta.mean()),
        "between": sqrt(between),
        "within": sqrt(once),
        "reason": "; ".join(told) or None,
    }


def _variance(row: dict[str, Any], replicates: int) -> float:
    return float(row["between"]) ** 2 + float(row["within"]) ** 2 / replicates


def _needed(arm: str, variance: float, replicates: int, reach: float, difference: float) -> dict[str, Any]:
    wanted = max(ceil(variance * (reach / difference) ** 2 - 1e-9), 3)
    given = {"arm": arm, "replicates": replicates, "instances": wanted, "reason": None}
    return given if wanted <= MOST else given | {"instances": None, "reason": f"more than {MOST:,}"}


_SPREADS: Final[dict[str, Any]] = {
    "arm": pl.String,
    "instances": pl.Int64,
    **dict.fromkeys(("delta", "between", "within"), pl.Float64),
    "reason": pl.String,
}
_DETECTABLE: Final[dict[str, Any]] = {
    "arm": pl.String,
    **dict.fromkeys(("instances", "replicates"), pl.Int64),
    "detectable": pl.Float64,
}
_NEEDED: Final[dict[str, Any]] = {
    "arm": pl.String,
    **dict.fromkeys(("replicates", "instances"), pl.Int64),
    "reason": pl.String,
}
