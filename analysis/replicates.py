"""What sampling again changes, and differences between configurations set beside it."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from scipy.special import stdtr

from analysis.checks import Floats
from analysis.frames import Scored


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far the replicates of one configuration lie apart."""

    table: pl.DataFrame
    """configuration, replicates, brier (list, one per replicate), mean_abs_delta, max_abs_delta, sampled, reason.

    A delta is the difference in Brier score between two replicates, on the markets that both scored. `sampled` is false for
    a configuration that never called a model, such as the market price: its replicates repeat and say nothing about noise.
    """
    noise_floor: float | None
    """Mean |Δ Brier| over every pair of replicates of every sampled configuration."""
    reason: str | None
    """Why there is no noise floor."""


def spread(scored: Scored) -> Spread:
    """The spread between replicates, per configuration and for the study; null with a reason where there is only one.

    |Δ| = |mean_i ((p_ir − y_i)² − (p_is − y_i)²)| between replicates r and s, in Brier points.

    >>> import polars as pl
    >>> from analysis import example, scored, spread
    >>> found = spread(scored(example()))
    >>> found.table.select("configuration", "replicates", pl.col("mean_abs_delta").round(3)).row(0)
    ('independent_ensemble', 2, 0.031)
    >>> round(found.noise_floor, 3)
    0.032
    """
    rows, pooled = [], []
    for name, cells in _by_configuration(scored):
        errors = _pivot(cells, by="replicate")
        deltas = [abs(d.mean()) for a, b in combinations(errors.T, 2) if (d := _paired(a, b)).size]
        sampled = not (cells["model_calls"] == 0).fill_null(False).all()
        if sampled:
            pooled += deltas
        reason = None if deltas else "one replicate" if errors.shape[1] == 1 else "no market was scored in two replicates"
        rows.append(
            {
                "configuration": name,
                "replicates": errors.shape[1],
                "brier": np.nanmean(errors, axis=0).tolist(),
                "mean_abs_delta": float(np.mean(deltas)) if deltas else None,
                "max_abs_delta": float(max(deltas)) if deltas else None,
                "sampled": sampled,
                "reason": reason,
            }
        )
    schema: dict[str, Any] = {
        "configuration": pl.String,
        "replicates": pl.Int64,
        "brier": pl.List(pl.Float64),
        "mean_abs_delta": pl.Float64,
        "max_abs_delta": pl.Float64,
        "sampled": pl.Boolean,
        "reason": pl.String,
    }
    return Spread(
        table=pl.DataFrame(rows, schema=schema),
        noise_floor=float(np.mean(pooled)) if pooled else None,
        reason=None if pooled else "no configuration was sampled twice",
    )


def compare(scored: Scored) -> pl.DataFrame:
    """Every pair of configurations on the markets that both have; under `common` these are the same for all pairs.

    Columns: first, second, n_markets, brier_first, brier_second, delta (first − second: negative: first is better), sem, t,
    p_value (two-sided paired t over markets, each the mean of its replicates; not adjusted for the number of pairs, and
    markets of one event count as independent), spread_first, spread_second, noise_floor, ratio (|delta|/noise floor), and
    the reason of every null.

    >>> import polars as pl
    >>> from analysis import compare, example, scored
    >>> found = compare(scored(example()))
    >>> found.select("first", "second", "n_markets", pl.col("delta", "sem", "noise_floor", "ratio").round(3)).row(0)
    ('independent_ensemble', 'peer_critique_debate', 39, 0.0, 0.007, 0.032, 0.005)
    """
    between = spread(scored)
    spreads = dict(between.table.select("configuration", "mean_abs_delta").iter_rows())
    names = between.table["configuration"].to_list()
    errors = _pivot(scored.frame, by="configuration") if names else np.empty((0, 0))
    rows = []
    for i, j in combinations(range(len(names)), 2):
        both = ~np.isnan(errors[:, i]) & ~np.isnan(errors[:, j])
        first, second = errors[both, i], errors[both, j]
        row = {"first": names[i], "second": names[j], "n_markets": first.size, **_difference(first, second)}
        row |= {"spread_first": spreads[names[i]], "spread_second": spreads[names[j]], "noise_floor": between.noise_floor}
        reasons = [r for r in (row["reason"], between.reason) if r]
        if between.noise_floor and row["delta"] is not None:
            row["ratio"] = abs(row["delta"]) / between.noise_floor
        elif between.noise_floor == 0:
            reasons.append("ratio: the noise floor is 0")
        row["reason"] = "; ".join(reasons) or None
        rows.append(row)
    numbers = (
        "brier_first",
        "brier_second",
        "delta",
        "sem",
        "t",
        "p_value",
        "spread_first",
        "spread_second",
        "noise_floor",
        "ratio",
    )
    schema: dict[str, Any] = {
        "first": pl.String,
        "second": pl.String,
        "n_markets": pl.Int64,
        **dict.fromkeys(numbers, pl.Float64),
        "reason": pl.String,
    }
    return pl.DataFrame(rows, schema=schema)


def _difference(first: Floats, second: Floats) -> dict[str, float | str | None]:
    if not first.size:
        return {"delta": None, "reason": "no market was scored for both"}
    d = first - second
    row: dict[str, float | str | None] = {
        "brier_first": float(first.mean()),
        "brier_second": float(second.mean()),
        "delta": float(d.mean()),
        "reason": None,
    }
    if d.size == 1:
        return row | {"reason": "sem, t: one market, a standard error needs two"}
    sem = float(d.std(ddof=1) / np.sqrt(d.size))
    if sem <= 1e-12 * np.abs(d).max():
        return row | {"reason": "sem, t: the difference is the same on every market"}
    t = float(d.mean()) / sem
    return row | {"sem": sem, "t": t, "p_value": float(2 * stdtr(d.size - 1, -abs(t)))}


def _by_configuration(scored: Scored) -> list[tuple[str, pl.DataFrame]]:
    return [
        (str(key[0]), cells)
        for key, cells in scored.frame.sort("configuration").group_by("configuration", maintain_order=True)
    ]


def _pivot(cells: pl.DataFrame, *, by: str) -> Floats:
    """Mean squared error, shape (n_markets, n distinct `by`), columns by increasing `by`; NaN where there is none."""
    wide = (
        cells.sort(by, "market_id", "replicate")
        .with_columns(error=(pl.col("probability") - pl.col("outcome")) ** 2)
        .pivot(on=by, index="market_id", values="error", aggregate_function="mean")
        .sort("market_id")
    )
    return wide.drop("market_id").cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _paired(a: Floats, b: Floats) -> Floats:
    d: Floats = a - b
    return d[~np.isnan(d)]
