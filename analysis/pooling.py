"""Pooling as a choice: what other ways to combine the stored estimates would have scored, without a new call."""

from dataclasses import dataclass
from math import sqrt
from typing import Any, Final, Literal, get_args

import numpy as np
import polars as pl
from scipy.special import expit

from analysis.checks import AnalysisError, Floats, chosen
from analysis.resampling import Resamples
from analysis.tracking import logit, mean_of, summary

Pool = Literal["mean", "median", "log_odds", "extremised", "trimmed"]
ESTIMATES: Final[dict[str, type[pl.DataType]]] = {
    "configuration": pl.String,
    "market_id": pl.String,
    "event_id": pl.String,
    "replicate": pl.Int64,
    "ask": pl.Int64,
    "agent": pl.Int64,
    "round": pl.Int64,
    "role": pl.String,
    "probability": pl.Float64,
    "outcome": pl.Int64,
    "market_price": pl.Float64,
    "forecast": pl.Float64,
}
"""Column -> type of the frame of estimates (`ledger.estimates`): one row is what one agent said in one round."""
CELL: Final = ("configuration", "market_id", "replicate")
FACTOR: Final = sqrt(3)
"""Of the extremised pool, for many agents. Source: Neyman & Roughgarden (2021)."""
_SCHEMA: Final[dict[str, Any]] = {
    **{"configuration": pl.String, "stage": pl.String, "pool": pl.String, "n_markets": pl.Int64},
    **dict.fromkeys(("brier", "low", "high", "delta", "delta_low", "delta_high"), pl.Float64),
    "reason": pl.String,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooling:
    """Every pool of every configuration, on its own first and last estimates."""

    table: pl.DataFrame
    """configuration, stage, pool, n_markets, brier, low, high, delta, delta_low, delta_high, reason (of every null).

    `stage` is `first` (round 0) or `last` (the last round of each cell). `delta`: Brier of the pool − Brier of what the
    configuration itself concluded, on the same cells; negative: the other pool would have been better.
    """
    trim: float
    factor: float
    n: int
    seed: int
    level: float


def pooling(
    frame: pl.DataFrame,
    *,
    trim: float = 0.1,
    factor: float = FACTOR,
    n: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> Pooling:
    """The Brier score of each pool, a market being the mean of its replicates; `n` resamples of events from `seed`.

    Scored are resolved cells with a forecast: what is missing is missing in all pools alike, and `n_markets` says what is
    left. Raises AnalysisError where the frame of estimates breaks a rule, or an option is out of its range.

    >>> import polars as pl
    >>> from analysis import example_estimates, pooling
    >>> table = pooling(example_estimates(), n=500).table.filter(configuration="peer_critique_debate", stage="first")
    >>> table.select("pool", pl.col("delta").round(3)).rows()
    [('mean', 0.002), ('median', -0.001), ('log_odds', 0.003), ('extremised', 0.016), ('trimmed', -0.001)]
    """
    cells = numbered(resolved(frame))
    rows: list[dict[str, Any]] = []
    for name in frame["configuration"].unique().sort():
        mine = cells.filter(configuration=name)
        for stage in ("first", "last"):
            at = pl.lit(0) if stage == "first" else pl.col("round").max().over(CELL)
            said = mine.filter(pl.col("round") == at)
            p, cell = matrix(said)
            for pool in get_args(Pool):
                row = {"configuration": name, "stage": stage, "pool": pool, "n_markets": said["market_id"].n_unique()}
                if said.is_empty():
                    why = "no cell is resolved and answered" if mine.is_empty() else "nobody estimates in round 0"
                    rows.append(row | {"reason": why})
                    continue
                row |= _scored(pooled(p, pool=pool, trim=trim, factor=factor), cell, n=n, seed=seed, level=level)
                rows.append(row)
    table = pl.DataFrame([{column: row.get(column) for column in _SCHEMA} for row in rows], schema=_SCHEMA)
    return Pooling(table=table, trim=trim, factor=factor, n=n, seed=seed, level=level)


def pooled(p: Floats, *, pool: Pool, trim: float = 0.1, factor: float = FACTOR) -> Floats:
    """One forecast per cell, (cells,), of estimates (cells, agents), NaN where an agent said nothing.

    - `log_odds`: σ(mean logit p), the normalised geometric mean of odds; `extremised`: σ(factor · mean logit p).
    - `trimmed`: the mean without the g lowest and g highest, g = max(1, ⌊trim · agents⌋); of fewer than three, the mean.

    Sources: Satopää et al. (2014) for log-odds and extremising; Jose & Winkler (2008) for trimming.

    Raises:
        AnalysisError: an unknown pool, trim outside [0, 0.5), a factor that is not positive, or a cell without an estimate.

    >>> import numpy as np
    >>> from analysis import pooled
    >>> p = np.array([[0.1, 0.2, 0.6], [0.9, 0.8, np.nan]])
    >>> {pool: pooled(p, pool=pool).round(3).tolist() for pool in ("mean", "median", "extremised")}
    {'mean': [0.3, 0.85], 'median': [0.2, 0.85], 'extremised': [0.138, 0.957]}
    """
    chosen("pool", pool, get_args(Pool))
    if not 0 <= trim < 0.5:
        raise AnalysisError(f"trim is {trim!r}: it must be the share cut from each end, in [0, 0.5), such as 0.1")
    if not 0 < factor < np.inf:
        raise AnalysisError(f"factor is {factor!r}: it must be positive; above 1 it moves away from even odds")
    count = np.sum(~np.isnan(p), axis=1)
    if (empty := np.flatnonzero(count == 0)).size:
        raise AnalysisError(f"cell {empty[0]} has no estimate: there must be at least one; leave the cell out")
    if pool == "mean":
        return np.asarray(np.nanmean(p, axis=1), np.float64)
    if pool == "median":
        return np.asarray(np.nanmedian(p, axis=1), np.float64)
    if pool == "trimmed":
        cut = np.where(count < 3, 0, np.maximum(1, np.floor(trim * count + 1e-9)))[:, None]
        place = np.arange(p.shape[1])
        inner = (place >= cut) & (place < count[:, None] - cut)
        return np.asarray(np.sum(np.where(inner, np.sort(p, axis=1), 0), axis=1) / inner.sum(axis=1), np.float64)
    return np.asarray(expit((factor if pool == "extremised" else 1.0) * np.nanmean(logit(p), axis=1)), np.float64)


def resolved(frame: pl.DataFrame) -> pl.DataFrame:
    """The estimates of resolved cells that have a forecast, with the types of ESTIMATES, in the order of asking.

    Raises:
        AnalysisError: a column is absent, a probability is missing or outside [0, 1], or an ask is there twice.

    >>> from analysis import example_estimates
    >>> from analysis.pooling import resolved
    >>> example_estimates().height, resolved(example_estimates()).height  # without the cell that failed
    (800, 794)
    """
    if absent := [name for name in ESTIMATES if name not in frame.columns]:
        raise AnalysisError(f"the frame of estimates lacks {', '.join(absent)}: it needs the columns {', '.join(ESTIMATES)}")
    typed = frame.select(pl.col(name).cast(kind) for name, kind in ESTIMATES.items()).sort(*CELL, "ask")
    key = [*CELL, "ask"]
    for column, broken, rule in (
        ("probability", pl.col("probability").is_between(0, 1).fill_null(False).not_(), "it must lie in [0, 1]"),
        ("outcome", pl.col("outcome").is_in([0, 1]).not_(), "it must be 0 or 1, or null while unresolved"),
        ("forecast", pl.col("forecast").is_between(0, 1).not_(), "it must lie in [0, 1], or be null where it failed"),
        ("ask", pl.struct(key).is_duplicated(), "this ask is there twice; keep one row per estimate"),
    ):
        if (wrong := typed.filter(broken)).height:
            row = wrong.row(0, named=True)
            where = ", ".join(f"{name} {row[name]}" for name in key)
            raise AnalysisError(f"{where}: {column} is {row[column]!r}, {rule}")
    return typed.filter(pl.col("outcome").is_not_null() & pl.col("forecast").is_not_null())


def numbered(cells: pl.DataFrame) -> pl.DataFrame:
    """The same rows with numbers, in the same order, for the names of markets and events: they take less time to group."""
    for column in ("market_id", "event_id"):
        names = cells.select(pl.col(column).unique().sort()).with_row_index("number")
        cells = cells.join(names, on=column, how="left", maintain_order="left").drop(column).rename({"number": column})
    return cells


def matrix(said: pl.DataFrame) -> tuple[Floats, pl.DataFrame]:
    """Estimates as (cells, agents), NaN where there is none, with one row of facts per cell in the same order.

    >>> from analysis import example_estimates
    >>> from analysis.pooling import matrix
    >>> p, cells = matrix(example_estimates().filter(configuration="independent_ensemble"))
    >>> p[1].tolist(), cells.row(1)[:3], cells["forecast"][1]
    ([0.71, 0.43, 0.5], ('independent_ensemble', 'm00', 1), 0.5)
    """
    cells = said.group_by(CELL, maintain_order=True).agg(
        pl.col("event_id", "outcome", "market_price", "forecast").first(), said="probability"
    )
    return padded(cells["said"]), cells.drop("said")


def padded(lists: pl.Series) -> Floats:
    """A column of lists of numbers as (rows, longest), NaN where a list is shorter."""
    count = lists.list.len().to_numpy()
    there = np.arange(int(count.max()) if count.size else 0) < count[:, None]
    p = np.full(there.shape, np.nan)
    p[there] = lists.explode().drop_nulls().to_numpy()
    return p


def shares(cells: pl.DataFrame) -> tuple[Floats, Any]:
    """The weight of each row, the rows of a market adding up to 1, and the position of its event.

    >>> from analysis import example_estimates
    >>> from analysis.pooling import matrix, shares
    >>> weight, event = shares(matrix(example_estimates().filter(configuration="single_agent"))[1])
    >>> weight[:4].tolist(), event[:6].tolist()
    ([0.5, 0.5, 0.5, 0.5], [0, 0, 0, 0, 1, 1])
    """
    weight = cells.select(1 / pl.len().over("market_id")).to_series().to_numpy()
    return weight, cells["event_id"].rank("dense").cast(pl.Int64).to_numpy() - 1


def _scored(p: Floats, cell: pl.DataFrame, *, n: int, seed: int, level: float) -> dict[str, Any]:
    weight, event = shares(cell)
    y = cell["outcome"].cast(pl.Float64).to_numpy()
    error = (p - y) ** 2
    resamples = Resamples(events=int(event.max()) + 1, n=n, seed=seed)
    brier, delta = (
        summary(np.stack([weight, weight * value], axis=1), event, mean_of, resamples=resamples, level=level)
        for value in (error, error - (cell["forecast"].to_numpy() - y) ** 2)
    )
    reasons = [brier["reason"], delta["reason"] and f"delta_{delta['reason'].replace(', ', ', delta_', 1)}"]
    return {
        **{"brier": brier["estimate"], "low": brier["low"], "high": brier["high"]},
        **{"delta": delta["estimate"], "delta_low": delta["low"], "delta_high": delta["high"]},
        "reason": "; ".join(filter(None, reasons)) or None,
    }
