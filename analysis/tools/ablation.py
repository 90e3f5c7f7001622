"""What single tool calls were worth: the same conversation with one result withheld, set against how it went on with it.

The utility of a call is the squared error without its result minus that with it, in Brier points: above 0 the result helped.
One draw stands on each side, so a single call's number is mostly noise; means over calls are not biased by it.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.base.checks import AnalysisError, Floats
from coordeval.analysis.base.events import mean_of, summary
from coordeval.analysis.base.resampling import APART, UNIT, Bounds, Resamples

EVERY: Final = "every tool"
UNANSWERED: Final = "no call of this kind was answered without its result"
NEEDED: Final = {
    "event_id": pl.String,
    "tool": pl.String,
    "given": pl.Float64,
    "without": pl.Float64,
    "outcome": pl.Int64,
}
"""Columns that `ablation` reads: the probabilities with and without the result, and what happened. Others are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation:
    """Per call and in total."""

    calls: pl.DataFrame
    """What was given, and `utility` (null where there is no answer without the result), the most harmful first."""
    totals: pl.DataFrame
    """tool, measure, calls, estimate, low, high, reason. Measures: utility; moved, the mean distance between the two
    answers; helpful and harmful, shares of calls with a utility above and below 0; first all tools together."""
    n_calls: int
    """Answered without their result."""
    n_events: int
    n: int
    seed: int
    level: float

    @property
    def harmful(self) -> pl.DataFrame:
        """The calls after whose result the answer was worse than without it, the worst first."""
        return self.calls.filter(pl.col("utility") < 0)


def ablation(calls: pl.DataFrame, *, n: int = 2_000, seed: int = 0, level: float = 0.95) -> Ablation:
    """One row of `calls` for each call, `without` null where nothing was answered. Intervals resample events.

    Raises:
        AnalysisError: a column is absent, or `level` is not between 0 and 1.

    >>> import polars as pl
    >>> from coordeval.analysis.tools.ablation import ablation
    >>> row = {"tool": "search", "given": 0.9, "without": 0.5, "outcome": 1}
    >>> rows = [row | {"event_id": "a"}, row | {"event_id": "b", "outcome": 0}, row | {"event_id": "c"}]
    >>> found = ablation(pl.DataFrame(rows), n=50)
    >>> found.calls["utility"].round(2).to_list(), found.harmful.height
    ([-0.56, 0.24, 0.24], 1)
    """
    if absent := [name for name in NEEDED if name not in calls.columns]:
        raise AnalysisError(f"the frame of calls lacks {', '.join(absent)}: it needs {', '.join(NEEDED)}")
    if not 0 < level < 1:
        raise AnalysisError(f"level is {level!r}: it must lie strictly between 0 and 1, such as 0.95 for 95%")
    scored = calls.with_columns(pl.col(name).cast(kind) for name, kind in NEEDED.items()).with_columns(
        utility=(pl.col("without") - pl.col("outcome")) ** 2 - (pl.col("given") - pl.col("outcome")) ** 2
    )
    known = scored.drop_nulls("utility").sort("event_id", maintain_order=True)
    rows: list[dict[str, Any]] = []
    for tool in (EVERY, *scored["tool"].unique().sort()):
        own = known if tool == EVERY else known.filter(tool=tool)
        rows += [
            {"tool": tool, "measure": name, "calls": own.height, **ends}
            for name, ends in _measured(own, n=n, seed=seed, level=level)
        ]
    schema = {"tool": pl.String, "measure": pl.String, "calls": pl.Int64}
    numbers = dict.fromkeys(("estimate", "low", "high"), pl.Float64)
    return Ablation(
        calls=scored.sort("utility", nulls_last=True, maintain_order=True),
        totals=pl.DataFrame(rows, schema=schema | numbers | {"reason": pl.String}),
        n_calls=known.height,
        n_events=known["event_id"].n_unique(),
        n=n,
        seed=seed,
        level=level,
    )


def _measured(own: pl.DataFrame, *, n: int, seed: int, level: float) -> list[tuple[str, dict[str, Any]]]:
    utility = own["utility"].to_numpy()
    moved = (own["given"] - own["without"]).abs().to_numpy()
    parts: list[tuple[str, Floats, Bounds]] = [
        ("utility", utility, APART),
        ("moved", moved, UNIT),
        ("helpful", (utility > 0).astype(np.float64), UNIT),
        ("harmful", (utility < 0).astype(np.float64), UNIT),
    ]
    if own.is_empty():
        nothing = {"estimate": None, "low": None, "high": None, "reason": UNANSWERED}
        return [(name, nothing) for name, _, _ in parts]
    event = own["event_id"].rle_id().cast(pl.Int64).to_numpy()
    resamples = Resamples(events=int(event.max()) + 1, n=n, seed=seed)

    def mean(values: Floats, bounds: Bounds) -> dict[str, Any]:
        columns = np.stack([np.ones_like(values), values], axis=1)
        return summary(columns, event, mean_of, resamples=resamples, level=level, bounds=bounds)

    return [(name, mean(values, bounds)) for name, values, bounds in parts]
