"""Rows of a measure of what agents said: estimate, interval over events, markets, and why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.base.checks import Floats
from coordeval.analysis.base.estimates import shares
from coordeval.analysis.base.events import mean_of, summary
from coordeval.analysis.base.resampling import FREE, Bounds, Resamples

NUMBERS: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("estimate", "low", "high"), pl.Float64),
    "n_markets": pl.Int64,
    "reason": pl.String,
}
"""The last columns of each of these tables."""


@dataclass(frozen=True, slots=True)
class Telling:
    """`n` resamples of events from `seed`, intervals of `level`."""

    n: int
    seed: int
    level: float

    def row(
        self, facts: pl.DataFrame, columns: Floats, of: Any = mean_of, *, why: str, bounds: Bounds = FREE
    ) -> dict[str, Any]:
        """Of `columns`, (rows, kinds), one row per row of `facts` (market_id, event_id), whose markets weigh 1 each.

        `of`: sums (draws, kinds, 1) -> (draws, 1, 1); a mean of the second column weighted by the first where not given.
        """
        if facts.is_empty():
            return {"n_markets": 0, "reason": why}
        weight, event = shares(facts)
        resamples = Resamples(events=int(event.max()) + 1, n=self.n, seed=self.seed)
        how: dict[str, Any] = {"level": self.level, "reason": why, "bounds": bounds}
        found = summary(columns * weight[:, None], event, of, resamples=resamples, **how)
        return {"n_markets": facts["market_id"].n_unique(), **found}

    def mean(self, facts: pl.DataFrame, values: Floats, *, why: str, bounds: Bounds = FREE) -> dict[str, Any]:
        """The mean over markets of `values`, one per row of `facts`."""
        return self.row(facts, np.stack([np.ones(len(values)), values], axis=1), why=why, bounds=bounds)


def table(rows: list[dict[str, Any]], schema: Mapping[str, Any]) -> pl.DataFrame:
    """The rows with these columns, null where a row has none."""
    return pl.DataFrame([{column: row.get(column) for column in schema} for row in rows], schema=dict(schema))
