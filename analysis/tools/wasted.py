"""Tool calls that brought nothing: the same once more, an empty result, a failure."""

from typing import Any, Final

import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError

CALLS: Final[dict[str, Any]] = {
    "forecast_id": pl.String,
    "ask": pl.Int64,
    "configuration": pl.String,
    "tool": pl.String,
    "arguments": pl.String,
    "result": pl.String,
    "items": pl.Int64,
    "error": pl.Boolean,
}
"""One row per tool call, in the order in which they were made; `ask`: which agent's, `result` may be a hash of it."""


@asked
def wasted(calls: pl.DataFrame) -> pl.DataFrame:
    """configuration, tool, calls, redundant, empty, failed, wasted (any of them), share; a row per tool of a configuration.

    Redundant: the same arguments gave the same agent the same result before. Empty: no item, and no error.
    Raises AnalysisError where a column is absent.

    >>> import polars as pl
    >>> from coordeval.analysis import wasted
    >>> row = {"forecast_id": "f", "ask": 0, "configuration": "c", "tool": "t", "arguments": "{}"}
    >>> row |= {"items": 1, "error": False}
    >>> wasted(pl.DataFrame([{**row, "result": r} for r in ("a", "a", "b")])).select("calls", "redundant", "share").row(0)
    (3, 1, 0.3333333333333333)
    """
    if absent := [name for name in CALLS if name not in calls.columns]:
        raise AnalysisError(f"the frame of tool calls lacks {', '.join(absent)}: it needs {', '.join(CALLS)}")
    again = ~pl.struct("forecast_id", "ask", "tool", "arguments", "result").is_first_distinct()
    marked = calls.with_columns(
        redundant=again, failed=pl.col("error"), empty=(pl.col("items") == 0) & ~pl.col("error").fill_null(False)
    )
    kinds = ("redundant", "empty", "failed")
    return (
        marked.with_columns(wasted=pl.any_horizontal(kinds))
        .group_by("configuration", "tool")
        .agg(pl.len().cast(pl.Int64).alias("calls"), *(pl.col(kind).sum().cast(pl.Int64) for kind in (*kinds, "wasted")))
        .with_columns(share=pl.col("wasted") / pl.col("calls"))
        .sort("configuration", "tool")
    )
