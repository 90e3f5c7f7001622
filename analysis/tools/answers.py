"""The same questions answered with tools and without, as arrays: what need and utility of tools are measured on."""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats, Ints

ANSWERS: Final[dict[str, Any]] = {
    "case": pl.String,
    "market_id": pl.String,
    "event_id": pl.String,
    "configuration": pl.String,
    "replicate": pl.Int64,
    "tools": pl.Boolean,
    "probability": pl.Float64,
    "outcome": pl.Int64,
    "calls": pl.Int64,
    "cost_usd": pl.Float64,
}
"""One row per forecast. `case`: what is held fixed beside tools, such as a configuration and a model; `tools`: whether the
agents were given any; `calls`: how many tool calls they made; `cost_usd`: null where it is not known."""
_KEY: Final = ("case", "market_id", "tools", "replicate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Cases that were answered both ways; sorted by event. Missing replicates are NaN."""

    case: tuple[str, ...]
    market: tuple[str, ...]
    configuration: tuple[str, ...]
    event: Ints
    """(cases,), from 0, nondecreasing."""
    outcome: Floats
    """(cases,): what happened, 1 or 0."""
    without: Floats
    """(cases, replicates): squared errors without tools."""
    given: Floats
    """(cases, replicates): with tools at hand, whether or not they were used."""
    calls: Floats
    """(cases, replicates): tool calls made where tools were at hand."""
    cost: Floats
    """(cases, 3): mean USD without tools, with them, and of the draws that called one; NaN where it is not known."""
    left_out: int
    """Cases answered one way only, or not resolved."""

    @property
    def events(self) -> int:
        return int(self.event[-1]) + 1

    @property
    def used(self) -> Floats:
        """(cases, replicates): the squared errors of the draws in which a tool was called; NaN elsewhere."""
        return np.asarray(np.where(self.calls > 0, self.given, np.nan), np.float64)

    @property
    def tried(self) -> NDArray[np.bool_]:
        """(cases,): whether any draw called a tool. Of the others nobody knows what a call would have done."""
        return np.asarray((self.calls > 0).any(axis=1), np.bool_)

    @property
    def utility(self) -> Floats:
        """(cases,): score without minus score with a call; above 0 calling helped; NaN where no draw called."""
        return mean_of_rows(self.without) - mean_of_rows(self.used)

    def only(self, keep: NDArray[np.bool_]) -> "Paired":
        """These cases alone."""
        places = np.flatnonzero(keep)
        names: dict[str, Any] = {
            name: tuple(getattr(self, name)[i] for i in places) for name in ("case", "market", "configuration")
        }
        arrays: dict[str, Any] = {
            name: getattr(self, name)[keep] for name in ("outcome", "without", "given", "calls", "cost")
        }
        return replace(self, **names, **arrays, event=np.unique(self.event[keep], return_inverse=True)[1])


@asked
def paired_answers(answers: pl.DataFrame) -> Paired:
    """The cases that have an answer with tools and one without.

    Raises:
        AnalysisError: a column is absent, a row is there twice, or no case was answered both ways.

    >>> import polars as pl
    >>> from coordeval.analysis import paired_answers
    >>> row = {"case": "a", "market_id": "m", "event_id": "e", "configuration": "c", "outcome": 1, "cost_usd": 0.1}
    >>> rows = [{**row, "replicate": 0, "tools": t, "probability": 0.6 + 0.2 * t, "calls": 2 * t} for t in (False, True)]
    >>> paired_answers(pl.DataFrame(rows)).utility.round(2).tolist()
    [0.12]
    """
    if absent := [name for name in ANSWERS if name not in answers.columns]:
        raise AnalysisError(f"the frame of answers lacks {', '.join(absent)}: it needs {', '.join(ANSWERS)}")
    known = answers.drop_nulls(["probability", "outcome"]).with_columns(pl.col("tools").cast(pl.Boolean))
    if (twice := known.filter(known.select(_KEY).is_duplicated())).height:
        where = ", ".join(f"{name} {twice[name][0]}" for name in _KEY)
        raise AnalysisError(f"{where}: this answer is there more than once; keep one row for each")
    both = known.filter(pl.col("tools").n_unique().over("case", "market_id") == 2)
    every = answers.select("case", "market_id").n_unique()
    if both.is_empty():
        raise AnalysisError(
            "no market was answered both with and without tools: give the study an arm that changes nothing but tools, such "
            'as [[arms]] name = "bare", tools = "none"'
        )
    cases = both.unique(["case", "market_id"]).sort("event_id", "market_id", "case")
    number = cases.select("case", "market_id").with_row_index("place")
    at = both.join(number, on=["case", "market_id"])
    slot = at["replicate"].rank("dense").cast(pl.Int64).to_numpy() - 1
    shape = (cases.height, int(slot.max()) + 1)
    place, tools = at["place"].cast(pl.Int64).to_numpy(), at["tools"].to_numpy()
    error = ((at["probability"] - at["outcome"]) ** 2).to_numpy()

    def spread(values: Any, rows: Any) -> Floats:
        made = np.full(shape, np.nan)
        made[place[rows], slot[rows]] = values[rows]
        return made

    calls = spread(at["calls"].cast(pl.Float64).to_numpy(), tools)
    cost = at["cost_usd"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return Paired(
        case=tuple(cases["case"]),
        market=tuple(cases["market_id"]),
        configuration=tuple(cases["configuration"]),
        event=cases["event_id"].rle_id().cast(pl.Int64).to_numpy(),
        outcome=cases["outcome"].cast(pl.Float64).to_numpy(),
        without=spread(error, ~tools),
        given=spread(error, tools),
        calls=calls,
        cost=np.stack(
            [
                mean_of_rows(spread(cost, ~tools)),
                mean_of_rows(spread(cost, tools)),
                mean_of_rows(np.where(calls > 0, spread(cost, tools), np.nan)),
            ],
            axis=1,
        ),
        left_out=every - cases.height,
    )


def mean_of_rows(values: Floats) -> Floats:
    """The mean of what there is in each row; NaN where there is nothing."""
    there = ~np.isnan(values)
    count = there.sum(axis=1)
    return np.asarray(np.where(there, values, 0.0).sum(axis=1) / np.where(count > 0, count, np.nan), np.float64)
