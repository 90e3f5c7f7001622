"""What sampling again changes, and differences between configurations set beside it."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats, Ints
from coordeval.analysis.base.frames import Scored
from coordeval.analysis.base.grid import grid
from coordeval.analysis.base.numerals import SAME, without_rounding
from coordeval.analysis.base.resampling import freedom, ratio, standard_error
from coordeval.analysis.base.scipy_parts import special

FEWEST: Final = 6
"""Events with two replicates that an interval of the noise floor needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far the replicates of one configuration lie apart."""

    table: pl.DataFrame
    """configuration, replicates, brier (list, one per replicate), mean_abs_delta, max_abs_delta, noise, noise_low,
    noise_high, sampled, reason.

    A delta is the difference in Brier score between two replicates, on the markets that both scored; `noise` what its size
    is on average, see `spread`. `sampled` is false for a configuration that never called a model, such as the market price:
    its replicates repeat and say nothing about noise.
    """
    noise_floor: float | None
    """Expected |Δ Brier| of two replicates of a configuration whose replicates differ; 0 where none differ."""
    noise_low: float | None
    noise_high: float | None
    """Its interval; None where there is none, and where fewer than `FEWEST` events have two replicates."""
    reason: str | None
    """Why there is no noise floor."""


@asked
def spread(scored: Scored, *, level: float = 0.95) -> Spread:
    """The noise of sampling again, per configuration and for the study; null with a reason where there is one replicate.

    Of a configuration with the squared error e_ir on market i in replicate r, R_i of them: σ² = Σ (e_ir − ē_i)²/Σ (R_i − 1)
    over the N markets that have two, and the mean of N such differences has the expected size E|Δ| = 2 √(σ²/(π N)). That is
    one variance from N markets; the difference of two replicates that were seen is one draw, which may be anything. The
    noise floor is E|Δ| at the mean σ²/N of the configurations whose replicates differ: one that answers alike each time
    does not lower it. Intervals, `level`: of ln σ² by leaving out each event, Student's t at its `freedom`, so that all
    sizes stay positive. Sources: Searle, Casella & McCulloch (1992); Tukey (1958).

    >>> import polars as pl
    >>> from coordeval.analysis import example, scored, spread
    >>> found = spread(scored(example()))
    >>> found.table.select("configuration", "replicates", pl.col("mean_abs_delta", "noise").round(3)).row(0)
    ('independent_ensemble', 2, 0.031, 0.01)
    >>> [round(x, 3) for x in (found.noise_low, found.noise_floor, found.noise_high)]
    [0.01, 0.014, 0.019]
    """
    if not 0 < level < 1:
        raise AnalysisError(f"level is {level!r}: it must lie strictly between 0 and 1, such as 0.95 for 95%")
    rows, pooled = [], []
    for name, errors, event, sampled in _replicated(scored):
        deltas = [abs(float(without_rounding(d.mean()))) for a, b in combinations(errors.T, 2) if (d := _paired(a, b)).size]
        reason = None if deltas else "one replicate" if errors.shape[1] == 1 else "no market was scored in two replicates"
        sums = _within(errors, event)
        floor = _floor([sums], level=level)
        if sampled and deltas:
            pooled.append(sums)
        rows.append(
            {
                "configuration": name,
                "replicates": errors.shape[1],
                "brier": np.nanmean(errors, axis=0).tolist(),
                "mean_abs_delta": float(np.mean(deltas)) if deltas else None,
                "max_abs_delta": float(max(deltas)) if deltas else None,
                **dict(zip(("noise", "noise_low", "noise_high"), floor, strict=True)),
                "sampled": sampled,
                "reason": reason,
            }
        )
    schema: dict[str, Any] = {
        "configuration": pl.String,
        "replicates": pl.Int64,
        "brier": pl.List(pl.Float64),
        **dict.fromkeys(("mean_abs_delta", "max_abs_delta", "noise", "noise_low", "noise_high"), pl.Float64),
        "sampled": pl.Boolean,
        "reason": pl.String,
    }
    found, low, high = _floor(pooled, level=level)
    return Spread(
        table=pl.DataFrame(rows, schema=schema),
        noise_floor=found,
        noise_low=low,
        noise_high=high,
        reason=None if pooled else "no configuration was sampled twice",
    )


def _replicated(scored: Scored) -> Iterator[tuple[str, Floats, Ints, bool]]:
    """Configuration, its squared errors (markets, replicates), the event of each market, whether it called a model."""
    if scored.frame.is_empty():
        return
    sample = grid(scored)
    silent = (pl.col("model_calls") == 0).fill_null(False).all()
    sampled = {name: not none for name, none in scored.frame.group_by("configuration").agg(silent).iter_rows()}
    for c, name in enumerate(sample.configurations):
        if name in sampled:
            errors = (sample.p[:, c] - sample.y[:, None]) ** 2
            yield name, errors[:, ~np.isnan(errors).all(axis=0)], sample.event, sampled[name]


def _within(errors: Floats, event: Ints) -> Floats:
    """Per event, (events, 3): sum of squares within markets, their degrees of freedom, markets with two replicates."""
    count = np.sum(~np.isnan(errors), axis=1)
    twice = count > 1
    apart = without_rounding(errors[twice] - np.nanmean(errors[twice], axis=1, keepdims=True))
    parts = (np.nansum(apart**2, axis=1), count[twice] - 1, np.ones(int(twice.sum())))
    return np.stack([np.bincount(event[twice], part, minlength=int(event.max()) + 1) for part in parts], axis=1)


def _floor(configurations: list[Floats], *, level: float) -> tuple[float | None, float | None, float | None]:
    """E|Δ| and its interval from what `_within` gives of each; those whose replicates do not differ do not count."""
    known = [sums for sums in configurations if sums[:, 2].sum()]
    varied = [sums for sums in known if sums[:, 0].sum() > SAME**2]
    if not varied:
        return (0.0, None, None) if known else (None, None, None)

    total = np.stack([sums.sum(axis=0) for sums in varied])  # (configurations, 3)
    size = 2 * np.sqrt(np.mean(total[:, 0] / total[:, 1] / total[:, 2]) / np.pi)
    used = np.flatnonzero(np.any([sums[:, 2] > 0 for sums in varied], axis=0))
    rest = total[:, None, :2] - np.stack([sums[used, :2] for sums in varied])  # without each event in turn
    without = np.mean(ratio(rest[:, :, 0], rest[:, :, 1]) / total[:, None, 2], axis=0)
    if used.size < FEWEST or not np.all(without > SAME**2):
        return float(size), None, None
    logs = np.log(without)
    reach = float(special.stdtrit(freedom(logs, events=used.size), (1 + level) / 2)) * standard_error(logs)
    if reach <= SAME:
        return float(size), None, None
    return float(size), float(size * np.exp(-reach / 2)), float(size * np.exp(reach / 2))


@asked
def compare(scored: Scored) -> pl.DataFrame:
    """Every pair of configurations on the markets that both have; under `common` these are the same for all pairs.

    Columns: first, second, n_markets, brier_first, brier_second, delta (first − second: negative: first is better), sem, t,
    p_value (two-sided paired t over markets, each the mean of its replicates; not adjusted for the number of pairs, and
    markets of one event count as independent), spread_first, spread_second (`noise` of `Spread.table`), noise_floor, ratio
    (|delta|/noise floor), and the reason of every null.

    >>> import polars as pl
    >>> from coordeval.analysis import compare, example, scored
    >>> found = compare(scored(example()))
    >>> found.select("first", "second", "n_markets", pl.col("delta", "sem", "noise_floor", "ratio").round(3)).row(0)
    ('independent_ensemble', 'peer_critique_debate', 39, 0.0, 0.007, 0.014, 0.011)
    """
    between = spread(scored)
    spreads = dict(between.table.select("configuration", "noise").iter_rows())
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
    d = without_rounding(first - second)
    row: dict[str, float | str | None] = {
        "brier_first": float(first.mean()),
        "brier_second": float(second.mean()),
        "delta": float(without_rounding(d.mean())),
        "reason": None,
    }
    if d.size == 1:
        return row | {"reason": "sem, t: one market, a standard error needs two"}
    sem = float(d.std(ddof=1) / np.sqrt(d.size))
    if sem <= 1e-12 * np.abs(d).max():
        return row | {"reason": "sem, t: the difference is the same on every market"}
    t = float(d.mean()) / sem
    return row | {"sem": sem, "t": t, "p_value": float(2 * special.stdtr(d.size - 1, -abs(t)))}


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
    d = without_rounding(a - b)
    return d[~np.isnan(d)]
