"""Configurations that begin with the same bytes: until there they are replicates of each other, whatever comes later."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, at_least
from coordeval.analysis.base.events import event_sums, mean_of, summary
from coordeval.analysis.base.numerals import SAME, without_rounding
from coordeval.analysis.base.resampling import APART, Resamples
from coordeval.analysis.differences.sign_flips import sign_flip
from coordeval.analysis.differences.structure import cliques

COLUMNS: Final[dict[str, type[pl.DataType]]] = {
    **dict.fromkeys(("configuration", "market_id", "event_id"), pl.String),
    "replicate": pl.Int64,
    **dict.fromkeys(("request_id", "draw_id"), pl.String),
    "probability": pl.Float64,
    "outcome": pl.Int64,
    **dict.fromkeys(("market_price", "cost_usd", "forecast"), pl.Float64),
}
"""What `openings` needs, as `ledger.estimates.openings_frame` gives it: one row per ask that was shown nothing."""
_CELL: Final = ("market_id", "replicate")
_BLOCK = 2_000_000  # random numbers held at a time
_PAIRS: Final[dict[str, Any]] = {
    **{"first": pl.String, "second": pl.String},
    **dict.fromkeys(("n_shared", "n_same"), pl.Int64),
    "same": pl.Boolean,
    **dict.fromkeys(("n_shared_draws", "n_markets"), pl.Int64),
    **dict.fromkeys(("brier_first", "brier_second", "delta", "low", "high", "p_value"), pl.Float64),
    "exact": pl.Boolean,
    **{"delta_cost": pl.Float64, "delta_forecast": pl.Float64, "reason": pl.String},
}
_GROUPS: Final[dict[str, Any]] = {
    **{"configurations": pl.List(pl.String), "n_markets": pl.Int64, "brier": pl.List(pl.Float64)},
    **{"range": pl.Float64, "p_value": pl.Float64, "reason": pl.String},
}
_OWN: Final[dict[str, Any]] = {
    "configuration": pl.String,
    **dict.fromkeys(("n_markets", "n_draws"), pl.Int64),
    **dict.fromkeys(("brier", "delta_market", "cost_usd"), pl.Float64),
    "reason": pl.String,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Openings:
    """An A/A test of what was said before anything was shared, between configurations that were asked the same."""

    groups: pl.DataFrame
    """configurations (list), n_markets, brier (list), range, p_value, reason: largest group first.

    Members have the same openings as every other member on every market that they share. `range`: highest − lowest Brier
    score of the openings on the markets where every member has its own draws; `p_value`: (1 + draws with a range no
    smaller)/(1 + n), the members' names being permuted event by event.
    """
    pairs: pl.DataFrame
    """first, second, n_shared, n_same, same, n_shared_draws, n_markets, brier_first, brier_second, delta, low, high,
    p_value, exact, delta_cost, delta_forecast, reason (of every null).

    Of the `n_shared` markets on which both began, `n_same` have the same openings in every replicate that both have; `same`:
    all. On `n_shared_draws` of these a reply stands in both, so that a difference there is 0 by construction: they are left
    out. On the other `n_markets`, those with an outcome: Brier scores of the openings, Δ, its interval and
    sign-flip p-value, |Δ USD per ask|. `delta_forecast`: Δ Brier of the two final forecasts, on what both answered.
    """
    configurations: pl.DataFrame
    """configuration, n_markets, n_draws, brier, delta_market (Brier − the market price's), cost_usd (per ask), reason."""
    largest: float | None
    """The largest |Δ| of a pair of `same` openings and own draws: what two names for one request come to."""
    exceeds: int | None
    """How many of the `compared` pairs, all of the study's, have final forecasts that differ by less than `largest`."""
    compared: int
    reason: str | None
    """Why there is no `largest`."""
    n: int
    seed: int
    level: float


@asked
def openings(frame: pl.DataFrame, *, n: int = 10_000, seed: int = 0, level: float = 0.95) -> Openings:
    """Compares the first requests of every two configurations, and where these are the same, the first estimates.

    The opening of a cell is the set of its `request_id`s: how often a request was drawn does not matter. Its error is the
    mean of (p − y)² over its estimates, so that several draws are not pooled and have the expected value of one; a market is
    the mean of its cells. A request is what was sent first: what a tool then answered may differ.

    Raises:
        AnalysisError: a column is absent or of another kind, a key is null, a probability lies outside [0, 1].

    >>> import polars as pl
    >>> from coordeval.analysis import openings
    >>> markets = [f"m{i}" for i in range(8)]
    >>> frame = pl.DataFrame({"configuration": ["alone"] * 8 + ["panel"] * 8, "market_id": markets * 2})
    >>> frame = frame.with_columns(event_id="market_id", replicate=0, request_id="market_id", market_price=0.5)
    >>> frame = frame.with_columns(draw_id=pl.Series([f"d{i}" for i in range(16)]), outcome=pl.Series([0, 1] * 8))
    >>> frame = frame.with_columns(probability=pl.Series([0.4, 0.7] * 4 + [0.3, 0.6] * 4), forecast=0.5, cost_usd=0.01)
    >>> found = openings(frame)
    >>> found.pairs.select("n_same", "same", "n_shared_draws", pl.col("delta").round(3)).rows()
    [(8, True, 0, 0.0)]
    >>> openings(frame.with_columns(draw_id="market_id")).pairs["reason"][0]
    'delta: shared draws: both have the same replies on all 8 markets, so it is 0 by construction'
    """
    at_least("n", n, 2)
    cells = _cells(_checked(frame))
    names = sorted(cells)
    pairs = [_pair(a, b, cells, n=n, seed=seed, level=level) for a, b in combinations(names, 2)]
    alike = [row for row in pairs if row["same"]]
    found = cliques(names, {frozenset((row["first"], row["second"])) for row in alike})
    tested = [abs(row["delta"]) for row in alike if row.get("delta") is not None]
    apart = [abs(row["delta_forecast"]) for row in pairs if row.get("delta_forecast") is not None]
    largest = max(tested, default=None)
    none = f"no {'pair has draws of its own and an outcome' if alike else 'two configurations begin with the same requests'}"
    return Openings(
        groups=pl.DataFrame([_group(group, cells, n=n, seed=seed) for group in found], schema=_GROUPS),
        pairs=pl.DataFrame([{column: row.get(column) for column in _PAIRS} for row in pairs], schema=_PAIRS),
        configurations=pl.DataFrame([_own(name, cells[name]) for name in names], schema=_OWN),
        largest=largest,
        exceeds=None if largest is None else sum(delta < largest for delta in apart),
        compared=len(apart),
        reason=none if largest is None else None,
        n=n,
        seed=seed,
        level=level,
    )


def _checked(frame: pl.DataFrame) -> pl.DataFrame:
    if absent := [name for name in COLUMNS if name not in frame.columns]:
        raise AnalysisError(f"the frame of openings lacks {', '.join(absent)}: take it from ledger.estimates.openings_frame")
    try:
        rows = frame.select(pl.col(name).cast(kind) for name, kind in COLUMNS.items())
    except pl.exceptions.PolarsError as error:
        raise AnalysisError(
            f"the frame of openings does not hold the types of analysis.openings.COLUMNS: {error}"
        ) from error
    for name in ("configuration", "market_id", "event_id", "replicate", "request_id", "draw_id"):
        if (wrong := rows.filter(pl.col(name).is_null())).height:
            raise AnalysisError(f"{wrong.row(0, named=True)}: {name} is null, it must be known for every ask")
    for name in ("probability", "market_price", "forecast"):
        if (wrong := rows.filter(~pl.col(name).is_between(0, 1))).height:
            raise AnalysisError(f"{wrong.row(0, named=True)}: {name} must lie in [0, 1], or be null where there is none")
    return rows


def _cells(rows: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Configuration -> how it began in each cell, by market and replicate; errors are null without an outcome."""
    y = pl.col("outcome")
    grouped = (
        rows.group_by("configuration", *_CELL)
        .agg(
            pl.col("event_id").first(),
            requests=pl.col("request_id").unique().sort().str.join("\n"),
            draws=pl.col("draw_id").unique(),
            error=((pl.col("probability") - y) ** 2).mean(),
            price_error=((pl.col("market_price") - y) ** 2).first(),
            cost=pl.when(pl.col("cost_usd").is_not_null().all()).then(pl.col("cost_usd").mean()),
            forecast_error=((pl.col("forecast") - y) ** 2).first(),
        )
        .sort(_CELL)
    )
    return {str(name): part for (name,), part in grouped.partition_by("configuration", as_dict=True).items()}


def _per_market(cells: pl.DataFrame, *values: pl.Expr) -> pl.DataFrame:
    """Means over the cells of each market, in the order of markets; `event` is the position of its event."""
    found = cells.group_by("market_id").agg(pl.col("event_id").first(), *(value.mean() for value in values))
    return found.sort("market_id").with_columns(event=pl.col("event_id").rank("dense").cast(pl.Int64) - 1)


def _mean(cells: pl.DataFrame, value: pl.Expr) -> float | None:
    """The mean over markets, each the mean of its cells; None where no cell has the value."""
    known = cells.select("market_id", value.alias("value")).drop_nulls()
    return (
        None
        if known.is_empty()
        else float(np.mean(known.group_by("market_id").mean().sort("market_id")["value"].to_numpy()))
    )


def _pair(a: str, b: str, cells: dict[str, pl.DataFrame], *, n: int, seed: int, level: float) -> dict[str, Any]:
    both = (
        cells[a]
        .join(cells[b].drop("event_id"), on=_CELL, suffix="_second")
        .with_columns(
            same=(pl.col("requests") == pl.col("requests_second")).all().over("market_id"),
            shares=pl.col("draws").list.set_intersection("draws_second").list.len() > 0,
            delta=pl.col("error") - pl.col("error_second"),
            delta_cost=pl.col("cost") - pl.col("cost_second"),
        )
    )
    shared, same = both["market_id"].n_unique(), both.filter("same")
    row: dict[str, Any] = {"first": a, "second": b, "n_shared": shared, "n_same": same["market_id"].n_unique()}
    row |= {"same": row["n_same"] == shared if shared else None}
    row |= {"n_shared_draws": same.filter("shares")["market_id"].n_unique()}
    row["delta_forecast"] = _mean(both, pl.col("forecast_error") - pl.col("forecast_error_second"))
    reasons = ["delta_forecast: no market was answered by both and resolved"] if row["delta_forecast"] is None else []
    own = same.filter(~pl.col("shares") & pl.col("delta").is_not_null())
    row["n_markets"] = own["market_id"].n_unique()
    if own.is_empty():
        reasons.append(f"delta: {_untested(row)}")
        return row | {"reason": "; ".join(reasons)}
    per = _per_market(own, pl.col("delta"))
    d, event = without_rounding(per["delta"].to_numpy()), per["event"].to_numpy()
    columns = np.stack([np.ones_like(d), d], axis=1)
    resamples = Resamples(events=int(event.max()) + 1, n=n, seed=seed)
    told = summary(columns, event, mean_of, resamples=resamples, level=level, bounds=APART)
    [(p_value, exact)] = sign_flip(event_sums(d[:, None], event), n=n, seed=seed)
    row |= {
        "delta": float(without_rounding(told["estimate"])),
        "low": told["low"],
        "high": told["high"],
        "p_value": p_value,
        "exact": exact,
    }
    row |= {"brier_first": _mean(own, pl.col("error")), "brier_second": _mean(own, pl.col("error_second"))}
    if own["delta_cost"].null_count():
        reasons.append("delta_cost: a cost is unknown")
    else:
        row["delta_cost"] = abs(_mean(own, pl.col("delta_cost")) or 0.0)
    reasons += [told["reason"]] if told["reason"] else []
    return row | {"reason": "; ".join(reasons) or None}


def _untested(row: dict[str, Any]) -> str:
    if not row["n_shared"]:
        return "no market on which both began"
    if not row["n_same"]:
        return "other requests on every market"
    if row["n_shared_draws"] == row["n_same"]:
        return f"shared draws: both have the same replies on all {row['n_same']} markets, so it is 0 by construction"
    return "no market with draws of their own, an estimate of both and an outcome"


def _group(group: tuple[str, ...], cells: dict[str, pl.DataFrame], *, n: int, seed: int) -> dict[str, Any]:
    """The range of the members' Brier scores, and how often names that are permuted event by event give as large a one."""
    row: dict[str, Any] = dict.fromkeys(_GROUPS) | {"configurations": list(group), "n_markets": 0}
    errors = [f"error {k}" for k in range(len(group))]
    own = cells[group[0]].select(*_CELL, "event_id", "draws", pl.col("error").alias(errors[0])).drop_nulls()
    for name, error in zip(group[1:], errors[1:], strict=True):
        other = cells[name].select(*_CELL, pl.col("draws").alias("other"), pl.col("error").alias(error)).drop_nulls()
        own = own.join(other, on=_CELL).filter(pl.col("draws").list.set_intersection("other").list.len() == 0)
        own = own.with_columns(draws=pl.col("draws").list.concat("other")).drop("other")
    if own.is_empty():
        return row | {"reason": "no market on which every member has draws of its own, an estimate and an outcome"}
    per = _per_market(own, *(pl.col(error) for error in errors))
    brier = per.select(errors).mean().row(0)
    sums = event_sums(per.select(errors).to_numpy(), per["event"].to_numpy())
    row |= {"n_markets": per.height, "brier": list(brier), "range": max(brier) - min(brier)}
    if np.ptp(sums, axis=1).max() <= SAME:
        return row | {"p_value": 1.0}
    rng = np.random.default_rng(seed)
    seen, beyond = float(np.ptp(sums.sum(axis=0))) - SAME, 0
    rows = max(1, _BLOCK // sums.size)
    for done in range(0, n, rows):
        order = np.argsort(rng.random((min(rows, n - done), *sums.shape)), axis=-1)
        permuted = np.take_along_axis(np.broadcast_to(sums, order.shape), order, axis=-1).sum(axis=1)
        beyond += int(np.sum(np.ptp(permuted, axis=-1) >= seen))
    return row | {"p_value": (1 + beyond) / (1 + n)}


def _own(name: str, cells: pl.DataFrame) -> dict[str, Any]:
    told = cells.drop_nulls("error")
    row: dict[str, Any] = dict.fromkeys(_OWN) | {"configuration": name, "n_markets": told["market_id"].n_unique()}
    row |= {"n_draws": told["draws"].explode().n_unique() if told.height else 0, "brier": _mean(told, pl.col("error"))}
    row["delta_market"] = _mean(told, pl.col("error") - pl.col("price_error"))
    row["cost_usd"] = None if cells["cost"].null_count() else _mean(cells, pl.col("cost"))
    why = {
        "brier": "it begins without an estimate, or nothing is resolved",
        "delta_market": "no estimate with a market price and an outcome",
        "cost_usd": "a cost is unknown",
    }
    return row | {
        "reason": "; ".join(f"{column}: {reason}" for column, reason in why.items() if row[column] is None) or None
    }
