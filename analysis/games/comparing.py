"""What each arm gets, and how far arms lie from one that they are held against: paired by instance, replicates averaged.

The instance is the unit everywhere: games of one instance are no independent sample. Intervals are those of the whole
package (`base.resampling`), tests are sign flips of instances, corrected by Holm for all arms that are held against one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi, sqrt
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats
from coordeval.analysis.base.resampling import APART, FREE, PLAIN, UNIT, Bounds, Draws, Resamples, interval, measured, ratio
from coordeval.analysis.base.scipy_parts import special
from coordeval.analysis.differences.comparisons import holm
from coordeval.analysis.differences.sign_flips import sign_flip

COLUMNS: Final = ("arm", "instance_id", "replicate")
"""What a frame of games needs beside the column that is compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Arms by one measure."""

    measure: str
    means: pl.DataFrame
    """arm, instances, mean, low, high, noise, reason. `noise`: how far two replicates of the arm lie apart on average."""
    differences: pl.DataFrame
    """arm, baseline, instances, mean, baseline_mean, delta, low, high, probability, p_value, p_holm, detectable, ratio,
    reason. `probability`: the share of resamples of instances in which the arm does better. `detectable`: the true
    difference that so many instances would show with probability 0.8. `ratio`: |delta| over the noise floor."""
    noise_floor: float | None
    """Expected |difference| of two runs of one arm, from replicates; None where nothing was played twice."""


@asked
def compared(
    frame: pl.DataFrame,
    measure: str,
    *,
    baseline: str,
    arms: Sequence[str] = (),
    n: int = 10_000,
    seed: int = 0,
    alpha: float = 0.05,
    bounded: bool = True,
) -> Compared:
    """Every arm of `frame` by its mean `measure`, and each but the `baseline` held against that one.

    `frame` has arm, instance_id, replicate and the measure, a number or null (a game in which it is not defined); `arms`:
    those that are held against the baseline (none given: all others). `bounded`: the measure lies in [0, 1].

    Raises:
        AnalysisError: a column is missing, there is no game, or no game of the baseline.

    >>> import polars as pl
    >>> from coordeval.analysis.games import compared
    >>> rows = [(arm, str(i), r, (0.9 if arm == "record" else 0.6) + i / 100)
    ...         for arm in ("record", "talk") for i in range(8) for r in range(2)]
    >>> frame = pl.DataFrame(rows, schema=["arm", "instance_id", "replicate", "efficiency"], orient="row")
    >>> found = compared(frame, "efficiency", baseline="talk", n=500)
    >>> found.differences.select("arm", pl.col("delta", "p_value").round(4)).row(0)
    ('record', 0.3, 0.0078)
    """
    if absent := [name for name in (*COLUMNS, measure) if name not in frame.columns]:
        raise AnalysisError(f"the frame has no column {', '.join(absent)}: it needs {', '.join((*COLUMNS, measure))}")
    known = frame.filter(pl.col(measure).is_not_null())
    names = sorted(known["arm"].unique().to_list())
    if baseline not in names:
        raise AnalysisError(f"baseline is {baseline!r}: it has no game with a known {measure}; those that have: {names}")
    units = sorted(known["instance_id"].unique().to_list())  # rows in another order are the same resamples
    place = {unit: i for i, unit in enumerate(units)}
    values = np.full((len(units), len(names)), np.nan)
    for arm, unit, value in known.group_by("arm", "instance_id").agg(pl.col(measure).mean()).iter_rows():
        values[place[unit], names.index(arm)] = value
    resamples = Resamples(events=len(units), n=n, seed=seed)
    noise = {arm: _noise(known.filter(pl.col("arm") == arm), measure) for arm in names}
    floor = _together([v for v in noise.values() if v is not None])
    means = _means(names, values, resamples, noise, UNIT if bounded else FREE)
    others = [arm for arm in (arms or names) if arm != baseline and arm in names]
    rows = _differences(names, values, others, baseline, resamples, alpha, floor, bounded=bounded)
    return Compared(
        measure=measure,
        means=means,
        differences=pl.DataFrame(rows, schema=_DIFFERENCES),
        noise_floor=None if floor is None else _apart(floor),
    )


def _drawn(values: Floats, resamples: Resamples) -> Draws:
    columns = np.stack([~np.isnan(values), np.nan_to_num(values)], axis=1).astype(np.float64)
    return measured(columns, lambda sums: ratio(sums[:, 1:], sums[:, :1]), resamples, left_out=True)


def _means(
    names: list[str], values: Floats, resamples: Resamples, noise: dict[str, tuple[float, int] | None], bounds: Bounds
) -> pl.DataFrame:
    drawn, rows = _drawn(values, resamples), []
    for k, arm in enumerate(names):
        there = int((~np.isnan(values[:, k])).sum())
        found = interval(drawn, 0, k, method=PLAIN, events=there, bounds=bounds)
        own = noise[arm]
        rows.append(
            {
                "arm": arm,
                "instances": there,
                "mean": float(np.nanmean(values[:, k])),
                "low": found.low,
                "high": found.high,
                "noise": None if own is None else _apart(own),
                "reason": "; ".join(
                    why
                    for why in (
                        f"low, high: {found.reason}" if found.reason else "",
                        "noise: played once" if own is None else "",
                    )
                    if why
                )
                or None,
            }
        )
    return pl.DataFrame(rows, schema=_MEANS)


def _differences(
    names: list[str],
    values: Floats,
    others: list[str],
    baseline: str,
    resamples: Resamples,
    alpha: float,
    floor: tuple[float, int] | None,
    *,
    bounded: bool,
) -> list[dict[str, Any]]:
    if not others:
        return []
    base = values[:, names.index(baseline)]
    d = np.stack([values[:, names.index(arm)] - base for arm in others], axis=1)
    drawn = _drawn(d, resamples)
    signs = sign_flip(np.nan_to_num(d), n=resamples.n, seed=resamples.seed)
    rows: list[dict[str, Any]] = []
    noise = None if floor is None else _apart(floor)
    for k, arm in enumerate(others):
        there = ~np.isnan(d[:, k])
        row: dict[str, Any] = {"arm": arm, "baseline": baseline, "instances": int(there.sum())}
        if not there.any():
            rows.append(row | {"reason": f"no instance was played by both {arm} and {baseline}"})
            continue
        found = interval(drawn, 0, k, method=PLAIN, events=int(there.sum()), bounds=APART if bounded else FREE)
        draws = drawn.resampled[:, 0, k]
        draws = draws[~np.isnan(draws)]
        delta = float(d[there, k].mean())
        spread = float(d[there, k].std(ddof=1)) if there.sum() > 1 else None
        reach = float(special.ndtri(1 - alpha / 2) + special.ndtri(0.8))
        rows.append(
            row
            | {
                "mean": float(values[there, names.index(arm)].mean()),
                "baseline_mean": float(base[there].mean()),
                "delta": delta,
                "low": found.low,
                "high": found.high,
                "probability": float(np.mean(draws > 0) + np.mean(draws == 0) / 2),
                "p_value": signs[k][0],
                "detectable": None if spread is None else reach * spread / sqrt(int(there.sum())),
                "ratio": abs(delta) / noise if noise else None,
                "reason": "; ".join(
                    why
                    for why in (
                        f"low, high: {found.reason}" if found.reason else "",
                        "" if noise else "ratio: there is no noise floor, or it is 0",
                        "detectable: one instance" if spread is None else "",
                    )
                    if why
                )
                or None,
            }
        )
    for row, p in zip(rows, holm([row.get("p_value") for row in rows]), strict=True):
        row["p_holm"] = p
    return rows


def _noise(games: pl.DataFrame, measure: str) -> tuple[float, int] | None:
    """(variance of one replicate, instances), from instances that were played twice or more; None where none was."""
    each = games.group_by("instance_id").agg(pl.col(measure).var().alias("var"), pl.len().alias("n")).filter(pl.col("n") > 1)
    if each.is_empty():
        return None
    weights = each["n"].to_numpy() - 1
    return float(np.sum(weights * each["var"].to_numpy()) / weights.sum()), each.height


def _together(noise: list[tuple[float, int]]) -> tuple[float, int] | None:
    """Of the arms whose replicates differ; the variance 0 where none do."""
    if not noise:
        return None
    differ = [one for one in noise if one[0] > 0] or noise
    return float(np.mean([variance for variance, _ in differ])), round(float(np.mean([n for _, n in differ])))


def _apart(noise: tuple[float, int]) -> float:
    """E|Δ| of two runs: 2 √(σ²/(π N)), as in `differences.replicates.spread`."""
    variance, instances = noise
    return 2 * sqrt(variance / (pi * instances))


_MEANS: Final[dict[str, Any]] = {
    "arm": pl.String,
    "instances": pl.Int64,
    **dict.fromkeys(("mean", "low", "high", "noise"), pl.Float64),
    "reason": pl.String,
}
_NUMBERS: Final = (
    *("mean", "baseline_mean", "delta", "low", "high", "probability", "p_value", "p_holm", "detectable", "ratio"),
)
_DIFFERENCES: Final[dict[str, Any]] = {
    "arm": pl.String,
    "baseline": pl.String,
    "instances": pl.Int64,
    **dict.fromkeys(_NUMBERS, pl.Float64),
    "reason": pl.String,
}
