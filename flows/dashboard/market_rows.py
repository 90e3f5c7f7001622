"""The markets of a study, some at a time. Nothing of a request becomes part of a query: it only picks columns and rows."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.flows.dashboard import cells
from coordeval.flows.dashboard.facts import Facts
from coordeval.flows.dashboard.view import View

COLUMNS: Final = ("question", "category", "price", "outcome", "mean", "loss", "ahead", "apart", "failed")
"""What can be sorted by."""
BLOCK: Final = 100
_MOST: Final = 500
_TEXTS: Final = """
    SELECT hash(m.market_id) AS market, m.market_id, m.question FROM markets m
    SEMI JOIN (SELECT hash(market_id) AS market FROM cells WHERE study_id = ?) c ON c.market = hash(m.market_id)
"""


def market_rows(facts: Facts, view: View, *, start: int, end: int, sort: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """market_id, question, category, price, outcome, mean, loss, ahead, apart, failed: rows start to end of the view.

    `mean`: of the chosen configuration's replicates (without one, of all configurations); `loss`: its squared error;
    `ahead`: minus that of the market price, so negative is better; `apart`: highest − lowest mean of the configurations.
    `sort`: {"colId", "sort"} as the grid sends it; what is not in COLUMNS is left out. Without it: most apart first.
    """
    asked = [one for one in sort if one.get("colId") in COLUMNS] or [{"colId": "apart", "sort": "desc"}]
    by = [one["colId"] for one in asked]
    down = [one.get("sort") == "desc" for one in asked]

    def ordered() -> pl.DataFrame:
        return _found(facts, view).sort([*by, "market_id"], descending=[*down, False], nulls_last=True)

    study = facts.study(view.study).study_id
    rows = facts.per_state("ordered", study, ordered, view.scope, view.q, view.configuration, tuple(by), tuple(down))
    return rows.slice(max(0, start), max(0, min(_MOST, end - max(0, start))))


def every_market(facts: Facts, view: View) -> pl.DataFrame:
    """All rows of the view, as `market_rows` has them, those most apart first."""
    return _found(facts, view).sort("apart", "market_id", descending=[True, False], nulls_last=True)


def market_count(facts: Facts, view: View) -> int:
    """How many markets the view lets through."""
    return _found(facts, view).height


def _found(facts: Facts, view: View) -> pl.DataFrame:
    study = facts.study(view.study).study_id

    def make() -> pl.DataFrame:
        rows = _measured(facts, view)
        question = pl.col("question").str.to_lowercase()
        return rows.filter(*(question.str.contains(word, literal=True) for word in view.q.lower().split()[:20]))

    return facts.per_state("found", study, make, view.scope, view.q, view.configuration)


def _measured(facts: Facts, view: View) -> pl.DataFrame:
    study = facts.study(view.study).study_id

    def make() -> pl.DataFrame:
        texts = facts.per_state("texts", study, lambda: facts.query(_TEXTS, [study]))
        each = _numbers(facts.within(view), view.chosen)
        return each.join(texts, on="market").select("market_id", *COLUMNS)

    return facts.per_state("measured", study, make, view.scope, view.configuration)


def _numbers(frame: pl.DataFrame, chosen: tuple[str, ...]) -> pl.DataFrame:
    """One row per market, without its texts."""
    seen, at, m = np.unique(frame["m"].to_numpy(), return_index=True, return_inverse=True)
    p, code = frame["p"].to_numpy(), frame["configuration"].to_physical().to_numpy()
    failed = np.bincount(m, weights=(frame["status"] == "failed").to_numpy(), minlength=seen.size).astype(np.int64)
    means: dict[str, Any] = {}
    for place, name in enumerate(cells.names(frame)):
        mine = (code == place) & ~np.isnan(p)
        with np.errstate(invalid="ignore", divide="ignore"):
            sums = np.bincount(m[mine], weights=p[mine], minlength=seen.size)
            means[name] = sums / np.bincount(m[mine], minlength=seen.size)
    every = np.array(list(means.values()) or [np.full(seen.size, np.nan)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a market that nobody answered has no mean
        mean = means.get(chosen[0], np.full(seen.size, np.nan)) if chosen else np.nanmean(every, axis=0)
        apart = np.nanmax(every, axis=0) - np.nanmin(every, axis=0)
    each: pl.DataFrame = frame[at.tolist()].select("market", pl.col("category").cast(pl.String), "price", "outcome")
    each = each.with_columns(mean=pl.Series(mean), apart=pl.Series(apart), failed=pl.Series(failed)).fill_nan(None)
    error = (pl.col("mean") - pl.col("outcome")) ** 2
    return each.with_columns(loss=error, ahead=error - (pl.col("price") - pl.col("outcome")) ** 2)
