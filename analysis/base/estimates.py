"""What agents said, as a frame and as a matrix: one row is what one agent said in one round."""

from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.base.checks import AnalysisError, Floats
from coordeval.analysis.base.frames import ascends, in_order

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


def resolved(frame: pl.DataFrame) -> pl.DataFrame:
    """The estimates of resolved cells that have a forecast, with the types of ESTIMATES, in the order of asking.

    Raises:
        AnalysisError: a column is absent, a probability is missing or outside [0, 1], or an ask is there twice.

    >>> from coordeval.analysis import example_estimates
    >>> from coordeval.analysis.base.estimates import resolved
    >>> example_estimates().height, resolved(example_estimates()).height  # without the cell that failed
    (800, 794)
    """
    if absent := [name for name in ESTIMATES if name not in frame.columns]:
        raise AnalysisError(f"the frame of estimates lacks {', '.join(absent)}: it needs the columns {', '.join(ESTIMATES)}")
    typed = frame.select(pl.col(name).cast(kind) for name, kind in ESTIMATES.items())
    key = [*CELL, "ask"]
    ordered = ascends(typed, key)
    typed = in_order(typed, key, ordered=ordered)
    twice = pl.lit(False) if ordered else pl.struct(key).is_duplicated()
    for column, broken, rule in (
        ("probability", pl.col("probability").is_between(0, 1).fill_null(False).not_(), "it must lie in [0, 1]"),
        ("outcome", pl.col("outcome").is_in([0, 1]).not_(), "it must be 0 or 1, or null while unresolved"),
        ("forecast", pl.col("forecast").is_between(0, 1).not_(), "it must lie in [0, 1], or be null where it failed"),
        ("ask", twice, "this ask is there twice; keep one row per estimate"),
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

    >>> from coordeval.analysis import example_estimates
    >>> from coordeval.analysis.base.estimates import matrix
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

    >>> from coordeval.analysis import example_estimates
    >>> from coordeval.analysis.base.estimates import matrix, shares
    >>> weight, event = shares(matrix(example_estimates().filter(configuration="single_agent"))[1])
    >>> weight[:4].tolist(), event[:6].tolist()
    ([0.5, 0.5, 0.5, 0.5], [0, 0, 0, 0, 1, 1])
    """
    weight = cells.select(1 / pl.len().over("market_id")).to_series().to_numpy()
    return weight, cells["event_id"].rank("dense").cast(pl.Int64).to_numpy() - 1
