"""What every leak probe is: one number with an interval over resampled events, or the reason why there is none.

Frames come from stored results; times are timezone-aware. What a probe does not cover is counted in `left_out`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.base.checks import AnalysisError, Floats, outcomes, probabilities
from coordeval.analysis.base.resampling import Measure, Method, Resamples, interval, measured, ratio

_TIMES: Final = ("scheduled_close", "closed_at", "resolved_at", "as_of")


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its interval; None with a reason where it, or its interval, is undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe(Estimate):
    """What a probe found."""

    n: int
    """Markets it covers; of `price_copying`, forecasts."""
    n_events: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Reason -> how many more there are that it does not cover."""
    says: str
    """The finding in one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    n: int
    seed: int
    level: float


def market_frame(frame: pl.DataFrame, facts: tuple[str, ...]) -> pl.DataFrame:
    """One row per market; AnalysisError where a market has two values of a fact."""
    markets = needed(frame, ("market_id", *facts)).unique()
    if (twice := markets.filter(pl.col("market_id").is_duplicated()).sort("market_id")).height:
        same = twice.filter(pl.col("market_id") == twice["market_id"][0])
        fact = next(name for name in facts if same[name].n_unique() > 1)
        raise AnalysisError(
            f"market {twice['market_id'][0]}: {fact} is {same[fact].to_list()}, one market has one {fact}; "
            "if these are different markets or as-of times, give them frames of their own"
        )
    return markets


def needed(frame: pl.DataFrame, columns: tuple[str, ...]) -> pl.DataFrame:
    if absent := [name for name in columns if name not in frame.columns]:
        raise AnalysisError(f"the frame lacks {', '.join(absent)}: this probe needs the columns {', '.join(columns)}")
    typed = frame.select(columns)
    for name in set(columns) & set(_TIMES):
        kind = typed.schema[name]
        if kind != pl.Null and not (isinstance(kind, pl.Datetime) and kind.time_zone):
            raise AnalysisError(f"column {name} holds {kind}: it must hold times with a time zone, such as UTC")
        typed = typed.with_columns(
            pl.col(name).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
            if kind == pl.Null
            else pl.col(name).dt.convert_time_zone("UTC").dt.cast_time_unit("us")
        )
    for name in ("market_id", "event_id"):
        if name in columns and typed[name].null_count():
            raise AnalysisError(
                f"{name} is null in row {typed[name].is_null().arg_true()[0]}: it must be known for every row"
            )
    return typed


def keep(markets: pl.DataFrame, *tests: tuple[str, pl.Expr]) -> tuple[dict[str, int], pl.DataFrame]:
    """How many fail each test first, and those that pass them all, in an order of their own."""
    left = {}
    for reason, passes in tests:
        kept = markets.filter(passes)
        if kept.height < markets.height:
            left[reason] = markets.height - kept.height
        markets = kept
    return left, markets.sort([name for name in ("event_id", "market_id", "configuration") if name in markets.columns])


def outcome_array(markets: pl.DataFrame) -> Floats:
    y = markets["outcome"].cast(pl.Float64).to_numpy()
    return outcomes(y, like=y)


def squared_error(frame: pl.DataFrame) -> pl.DataFrame:
    """market_id, squared: the mean of (p − y)² over a market's forecasts."""
    cells = needed(frame, ("market_id", "probability", "outcome")).drop_nulls()
    if cells.height:
        probabilities(cells["probability"].to_numpy())
    squared = (pl.col("probability") - pl.col("outcome")) ** 2
    return cells.group_by("market_id").agg(squared=squared.cast(pl.Float64).mean())


def estimates(
    columns: Floats, events: pl.Series, measure: Measure, kinds: int, draw: Draw, *, share: int | None = None
) -> list[Estimate]:
    """`measure` of the sums of `columns`, (rows, columns), with intervals over resampled events.

    Percentile intervals, but for `share`, the position of a share of variance: it cannot be negative, so resamples of no
    share at all lie above 0 and their percentiles never hold it. Moved by that bias it is held (simulated: 93% to 100%).
    """
    if not len(events):
        return [Estimate(value=None, reason="there is nothing to measure")] * kinds
    names, event = np.unique(events.to_numpy(), return_inverse=True)
    sums = np.stack([np.bincount(event, column) for column in columns.T], axis=1).astype(np.float64)
    drawn = measured(sums[:, :, None], measure, Resamples(events=names.size, n=draw.n, seed=draw.seed))
    found = []
    for k, value in enumerate(drawn.estimate[:, 0]):
        method: Method = "centred" if k == share else "percentile"
        its = interval(drawn, k, 0, method=method, events=names.size, level=draw.level)
        low, high = its.low, its.high
        if k == share and low is not None and high is not None:
            low, high = min(max(low, 0.0), float(value)), max(min(high, 1.0), float(value))
        found.append(Estimate(value=None if np.isnan(value) else float(value), low=low, high=high, reason=its.reason))
    return found


def mean(sums: Floats) -> Floats:
    return ratio(sums[:, 1], sums[:, 0])[:, None]


def rest_rate(y: Floats, group: Floats, events: pl.Series, *, alike: bool = False) -> Floats:
    """For each market the share of YES among its group's markets of other events; where there is none, among all others,
    or with `alike` NaN."""
    event = np.unique(events.to_numpy(), return_inverse=True)[1]

    def rest(values: Floats) -> Floats:
        return np.asarray(values.sum() - np.bincount(event, values)[event], np.float64)

    found = np.full(y.size, np.nan) if alike or not y.size else ratio(rest(y), rest(np.ones_like(y)))
    for kind in np.unique(group):
        mine = group == kind
        rate = ratio(rest(y * mine), rest(mine.astype(np.float64)))
        found = np.where(mine & ~np.isnan(rate), rate, found)
    return found


def nothing(left: Mapping[str, int], n: int, unit: str) -> str:
    return "; ".join(f"{why} ({k} of {n} {unit}s)" for why, k in left.items()) or f"there are no {unit}s"


def first(*tests: tuple[bool, str]) -> str | None:
    return next((reason for failed, reason in tests if failed), None)


def because(found: Estimate, reason: str | None) -> dict[str, Any]:
    if reason:
        return {"value": None, "low": None, "high": None, "reason": reason}
    return {"value": found.value, "low": found.low, "high": found.high, "reason": found.reason}


def percent(found: Estimate) -> str:
    return _shown(found, "{:.0%}")


def points(found: Estimate) -> str:
    return _shown(found, "{:+.3f}")


def _shown(found: Estimate, form: str) -> str:
    if found.value is None:
        return f"undefined ({found.reason})"
    if found.low is None:
        return f"{form.format(found.value)} (no interval: {found.reason})"
    return f"{form.format(found.value)} [{form.format(found.low)}, {form.format(found.high)}]"
