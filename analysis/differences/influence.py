"""Which markets carry a result, what it is without them, and what the missing forecasts could make of it."""

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats
from coordeval.analysis.base.few import thin
from coordeval.analysis.base.frames import Scored, validated
from coordeval.analysis.base.grid import PRICE, Grid, grid
from coordeval.analysis.base.numerals import counted, without_rounding
from coordeval.analysis.base.resampling import APART, Resamples, interval
from coordeval.analysis.differences.comparisons import METHOD, paired

_MARKETS: Final[dict[str, Any]] = {
    **{"first": pl.String, "second": pl.String, "market_id": pl.String, "event_id": pl.String},
    **dict.fromkeys(("difference", "influence", "delta_without"), pl.Float64),
    **{"flips": pl.Boolean, "reason": pl.String},
}
_RESTATED: Final[dict[str, Any]] = {
    **{"first": pl.String, "second": pl.String, "n_markets": pl.Int64, "market_id": pl.String},
    **dict.fromkeys(("delta", "low", "high", "delta_without", "low_without", "high_without"), pl.Float64),
    **{"flips": pl.Boolean, "excludes_zero": pl.Boolean, "excludes_zero_without": pl.Boolean},
    **{"markets_to_flip": pl.Int64, "reason": pl.String},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Influence:
    """Δ Brier of every pair with each market left out, most influential first; negative Δ: the first is better."""

    markets: pl.DataFrame
    """first, second, market_id, event_id, difference, influence, delta_without, flips, reason: one row per pair and market.

    `difference` d_i, a market the mean of its replicates; `delta_without` Δ₍₋ᵢ₎; `influence` = Δ − Δ₍₋ᵢ₎ =
    (d_i − Δ)/(N − 1): what the market adds to Δ. `flips`: Δ₍₋ᵢ₎ has the other sign than Δ.
    """
    restated: pl.DataFrame
    """One row per pair: its result, and the same without `market_id`, the market that carries most of it.

    That is the one whose removal takes most from Δ: one that pulls the other way may have more influence, but without it
    the result only grows. `low`, `high`: intervals as of `comparisons`. `markets_to_flip`: the fewest markets whose
    removal takes the sign away from Δ; null where Δ is 0. `reason`: of every null.
    """
    headline: str
    """The lowest Brier score in words, with and without the market that carries most of its lead."""
    n: int
    seed: int
    level: float


@asked
def influence(scored: Scored, *, n: int = 10_000, seed: int = 0, level: float = 0.95) -> Influence:
    """Every pair of configurations, and each against the market price, on the markets that both have.

    `n` resamples of events from `seed`. Source: Cook (1977), leaving one out. Raises AnalysisError where nothing is scored.

    >>> from coordeval.analysis import example, influence, scored
    >>> found = influence(scored(example()), n=500)
    >>> found.restated.select("first", "second", "market_id", "flips", "markets_to_flip").row(0)
    ('independent_ensemble', 'peer_critique_debate', 'm26', True, 1)
    >>> found.headline.split(". ")[1]
    'Without market m26 independent_ensemble leads by 0.0024.'
    """
    sample = grid(scored)
    errors = sample.errors()
    other = replace(sample, y=1 - sample.y).errors()
    names, markets = sample.configurations, pl.Series(sample.markets, dtype=pl.String)
    of_event = pl.Series(sample.events, dtype=pl.String).gather(sample.event)
    rank = markets.rank("dense").to_numpy()  # to sort by: names take long to compare
    rows: list[pl.DataFrame] = []
    told: list[dict[str, Any]] = []
    for i, j in combinations(range(len(names)), 2):
        d = without_rounding(errors[:, i] - errors[:, j])
        pair = {"first": names[i], "second": names[j]}
        there = np.flatnonzero(~np.isnan(d))
        if not there.size:
            told.append(pair | {"n_markets": 0, "reason": "no market was scored for both"})
            continue
        delta = float(without_rounding(d[there].mean()))
        turned = other[:, i] - other[:, j]
        low, high, reason = _interval(sample, d, turned, n=n, seed=seed, level=level)
        row: dict[str, Any] = pair | {"n_markets": there.size, "delta": delta, "low": low, "high": high}
        row["excludes_zero"] = None if low is None or high is None else low > 0 or high < 0
        if there.size == 1:
            told.append(row | {"reason": "one market: nothing is left without it"})
            continue
        lever = (d[there] - delta) / (there.size - 1)
        order = np.lexsort((rank[there], -np.abs(lever)))
        place, lever = there[order], lever[order]
        without = delta - lever
        flips = without * delta < 0
        columns: dict[str, Any] = {"market_id": markets.gather(place), "event_id": of_event.gather(place)}
        columns |= {"difference": d[place], "influence": lever, "delta_without": without, "flips": flips}
        rows.append(pl.DataFrame({**dict.fromkeys(_MARKETS), **pair, **columns}, schema=_MARKETS))
        carries = int(np.argmax(np.where(delta < 0, -lever, lever)))
        rest = np.arange(d.size) != place[carries]
        low, high, why = _interval(sample, d, turned, rest, n=n, seed=seed, level=level)
        row |= {
            "market_id": sample.markets[place[carries]],
            "delta_without": without[carries],
            "flips": bool(flips[carries]),
        }
        row |= {"low_without": low, "high_without": high, "markets_to_flip": _to_flip(d[there])}
        row["excludes_zero_without"] = None if low is None or high is None else low > 0 or high < 0
        reasons = [f"low, high: {reason}" if reason else None, f"low_without, high_without: {why}" if why else None]
        reasons.append("markets_to_flip: there is no difference" if row["markets_to_flip"] is None else None)
        told.append(row | {"reason": "; ".join(filter(None, reasons)) or None})
    return Influence(
        markets=pl.concat(rows) if rows else pl.DataFrame(schema=_MARKETS),
        restated=pl.DataFrame([{column: row.get(column) for column in _RESTATED} for row in told], schema=_RESTATED),
        headline=_headline(sample, errors),
        n=n,
        seed=seed,
        level=level,
    )


@asked
def missing_bounds(frame: pl.DataFrame) -> pl.DataFrame:
    """configuration, than, n_markets, cells, missing, estimate, low, high, reason: whatever the missing forecasts had been.

    A missing forecast of a resolved market has a squared error in [0, 1]: the Brier score is lowest where each is 0 and
    highest where each is 1. With `than`, the same for the difference in Brier: the best for one with the worst for the
    other. `estimate` is over the markets answered (both sides of a difference); a market is the mean of its replicates.
    `frame` has the columns of `analysis.SCHEMA`; a cell that is not there at all is missing too. Source: Manski (1990).

    Raises:
        AnalysisError: the frame breaks a rule of `analysis.validated`.

    >>> import polars as pl
    >>> from coordeval.analysis import example, missing_bounds
    >>> bounds = missing_bounds(example()).select("configuration", "than", "missing", pl.col("low", "high").round(4))
    >>> bounds.filter(pl.col("missing") > 0).rows()[:2]
    [('peer_critique_debate', None, 1, 0.1877, 0.2002), ('independent_ensemble', 'peer_critique_debate', 1, -0.0096, 0.0029)]
    """
    cells = validated(frame).filter(pl.col("outcome").is_not_null())
    if cells.is_empty():
        raise AnalysisError("no market of the frame is resolved: there is nothing to bound; score again once one is")
    markets = cells["market_id"].unique().sort()
    low, high, seen, missing, asked = {}, {}, {}, {}, {}
    for (name,), mine in sorted(cells.group_by("configuration")):
        replicates = mine["replicate"].n_unique()
        per = (
            mine.with_columns(error=(pl.col("probability") - pl.col("outcome")) ** 2)
            .group_by("market_id")
            .agg(total=pl.col("error").sum(), answered=pl.col("error").count().cast(pl.Int64))
        )
        per = markets.to_frame().join(per, on="market_id", how="left", maintain_order="left").fill_null(0)
        total, answered = per["total"].to_numpy(), per["answered"].to_numpy()
        low[name], high[name] = total / replicates, (total + replicates - answered) / replicates
        seen[name] = np.where(answered > 0, total / np.maximum(answered, 1), np.nan)
        asked[name], missing[name] = markets.len() * replicates, int(markets.len() * replicates - answered.sum())
    rows = [_bounded(name, None, low[name], high[name], seen[name], asked[name], missing[name]) for name in low]
    rows += [
        _bounded(a, b, low[a] - high[b], high[a] - low[b], seen[a] - seen[b], asked[a] + asked[b], missing[a] + missing[b])
        for a, b in combinations(low, 2)
    ]
    schema: dict[str, Any] = {"configuration": pl.String, "than": pl.String}
    schema |= dict.fromkeys(("n_markets", "cells", "missing"), pl.Int64)
    schema |= dict.fromkeys(("estimate", "low", "high"), pl.Float64) | {"reason": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _bounded(name: Any, than: Any, low: Floats, high: Floats, seen: Floats, cells: int, missing: int) -> tuple[Any, ...]:
    known = seen[~np.isnan(seen)]
    reason = None if known.size else "estimate: no market was answered"
    estimate = float(known.mean()) if known.size else None
    return name, than, low.size, cells, missing, estimate, float(low.mean()), float(high.mean()), reason


def _interval(
    sample: Grid, d: Floats, turned: Floats, kept: Any = slice(None), *, n: int, seed: int, level: float
) -> tuple[float | None, float | None, str | None]:
    """As `comparisons` has it of the markets `kept`: a pair has one interval in a report. `turned`: see `paired`."""
    there, other = np.full((2, d.size, 1), np.nan)
    there[kept, 0], other[kept, 0] = d[kept], turned[kept]
    events = int(np.unique(sample.event[~np.isnan(there[:, 0])]).size)
    sparse = thin(sample.y[kept], sample.event[kept]) is not None
    resamples = Resamples(events=len(sample.events), n=n, seed=seed)
    drawn = paired(sample, there, resamples, turned=other if sparse else None)
    found = interval(drawn, 0, 0, method=METHOD, events=events, level=level, bounds=APART)
    return found.low, found.high, found.reason


def _to_flip(d: Floats) -> int | None:
    """Fewest markets to remove, the strongest first, until the sum is 0 or has the other sign."""
    total = float(d.sum())
    if abs(total) <= 1e-12 * float(np.abs(d).sum()) or not total:
        return None
    strongest = np.sort(d * np.sign(total))[::-1]
    return int(np.argmax(abs(total) - np.cumsum(strongest) <= 1e-12 * np.abs(d).sum())) + 1


def _headline(sample: Grid, errors: Floats) -> str:
    """On the markets that all sides have; the lead is over the next, be it the market price."""
    whole = np.flatnonzero(~np.isnan(errors).any(axis=1))
    names = sample.configurations
    if len(names) < 2 or whole.size < 2:
        return "Nothing to restate: it takes two sides and two markets that both have."
    e = errors[whole]
    order = np.argsort(e.mean(axis=0), kind="stable")
    best, runner_up = (f"the {name}" if name == PRICE else name for name in (names[order[0]], names[order[1]]))
    d = e[:, order[0]] - e[:, order[1]]
    place = int(np.argmin(d))  # carries most of the lead
    left = np.delete(e, place, axis=0).mean(axis=0)
    then = np.argsort(left, kind="stable")
    lead = f"The lowest Brier score is that of {best}, {e[:, order[0]].mean():.4f}, ahead of {runner_up} by {-d.mean():.4f}"
    kept = then[0] == order[0]
    ahead = left[then[1]] - left[then[0]]
    without = f"it stays ahead, of {names[then[1]]} by {ahead:.4f}" if kept else f"{names[then[0]]} leads by {ahead:.4f}"
    return f"{lead} on {counted(whole.size, 'market')}. Without market {_brief(sample.markets[whole[place]])} {without}."


def _brief(market: str) -> str:
    """Enough of a long id to find it by."""
    return market if len(market) <= 24 else f"{market[:12]}…"
