"""What is counted of each forecast that was made, and the period to which it belongs."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import polars as pl

from coordeval.analysis.monitor import RECORD
from coordeval.analysis.monitor.watching import By
from coordeval.flows.study.in_arms import left_out
from coordeval.ledger import Reader, Study
from coordeval.ledger.commitments import LATE

BLOCKS: Final = 100
"""A backtest's markets are cut into about so many periods."""
_FORECASTS: Final = f"""
WITH mine AS (
    SELECT c.forecast_id, c.configuration, c.market_id, c.as_of, c.market_price, f.*
    FROM cells c JOIN (
        SELECT forecast_id, status, probability, created_at, attributed_micro_usd, seconds, model_calls,
            coalesce(total_tokens, input_tokens + output_tokens + cache_read_tokens + cache_write_tokens) AS tokens
        FROM forecasts
    ) f USING (forecast_id)
    WHERE c.study_id = $study AND c.configuration <> $probe
), served AS (
    SELECT m.configuration, k.forecast_id, k.ask, k.turn, k.output_tokens, k.seconds, d.served_model, m.created_at
    FROM calls k JOIN mine m USING (forecast_id) LEFT JOIN draws d USING (draw_id)
), first_model AS (
    SELECT configuration, arg_min(served_model, (created_at, forecast_id, ask, turn)) AS model FROM served GROUP BY ALL
), called AS (
    SELECT forecast_id, count(*) AS calls, count(DISTINCT (ask, turn)) AS turns, avg(output_tokens) AS call_tokens,
        avg(seconds) * 1000 AS call_ms, count(*) FILTER (served_model <> model) AS other_model
    FROM served JOIN first_model USING (configuration) GROUP BY forecast_id
), used AS (
    SELECT forecast_id, count(*) AS tool_calls, count(*) FILTER (items = 0 OR error) AS empty_results,
        count(DISTINCT (ask, turn)) FILTER (tool <> 'web_search') AS turns  -- that is done within its turn
    FROM tool_calls SEMI JOIN mine USING (forecast_id) GROUP BY forecast_id
), said AS (
    SELECT forecast_id, count(*) AS asks, count(*) FILTER (kind = 'failed') AS failed_asks,
        count(*) FILTER (kind = 'estimate') AS estimates, sum(abs(probability - 0.5)) AS boldness,
        count(*) FILTER (kind <> 'failed') AS statements, sum(length(rationale)) FILTER (kind <> 'failed') AS length,
        max(round) + 1 AS rounds
    FROM estimates SEMI JOIN mine USING (forecast_id) GROUP BY forecast_id
), estimated AS (
    SELECT forecast_id, round, agent, arg_max(probability, ask) AS p
    FROM estimates SEMI JOIN mine USING (forecast_id) WHERE kind = 'estimate' GROUP BY ALL
), groups AS (
    SELECT forecast_id, round, sum(p) AS total, count(*) AS n, max(p) - min(p) AS spread
    FROM estimated GROUP BY ALL HAVING count(*) > 1
), spreads AS (
    SELECT forecast_id, max(spread) FILTER (round = 0) AS opening_spread, arg_max(spread, round) AS spread
    FROM groups GROUP BY forecast_id
), moves AS (
    SELECT e.forecast_id, abs(b.p - (g.total - b.p) / (g.n - 1)) AS apart,
        abs(e.p - (g.total - b.p) / (g.n - 1)) AS left_apart
    FROM estimated e JOIN estimated b ON b.forecast_id = e.forecast_id AND b.agent = e.agent AND b.round = e.round - 1
        JOIN groups g ON g.forecast_id = e.forecast_id AND g.round = b.round
), moved AS (
    SELECT forecast_id, sum(apart - left_apart) AS moved, sum(apart) AS apart FROM moves GROUP BY forecast_id
), lost AS (
    SELECT payer AS forecast_id, count(*) AS retries FROM attempts
    WHERE ended IS NOT NULL AND payer IN (SELECT forecast_id FROM mine) GROUP BY payer
), counted AS (  -- of forecasts made ahead only those that were committed to before the outcome, as in every score
    SELECT o.* FROM current_outcomes o WHERE market_id NOT IN ({LATE})
)
SELECT m.configuration, m.forecast_id, m.market_id, m.as_of, m.created_at,
    CASE WHEN $open THEN greatest(o.resolved_at, o.recorded_at) ELSE coalesce(o.resolved_at, o.recorded_at) END AS told_at,
    CAST(m.status = 'failed' AS DOUBLE) AS failed, s.asks, s.failed_asks, s.estimates, s.boldness, s.statements, s.length,
    s.rounds, c.calls, c.call_tokens, c.call_ms, c.other_model,
    greatest(0, c.turns - coalesce(u.turns, 0) - s.asks) AS corrections,
    CASE WHEN c.calls IS NOT NULL THEN coalesce(l.retries, 0) END AS retries,
    CASE WHEN s.asks IS NOT NULL THEN coalesce(u.tool_calls, 0) END AS tool_calls, u.empty_results,
    p.opening_spread, p.spread, v.moved, v.apart, abs(m.probability - m.market_price) AS from_price,
    CASE WHEN m.model_calls > 0 THEN m.tokens END AS tokens,
    CASE WHEN m.model_calls > 0 THEN m.seconds * 1000 END AS ms,
    CASE WHEN m.model_calls > 0 THEN m.attributed_micro_usd END AS micro_usd,
    (m.probability - o.value) ** 2 AS brier, (m.probability - o.value) ** 2 - (m.market_price - o.value) ** 2 AS excess
FROM mine m LEFT JOIN said s USING (forecast_id) LEFT JOIN called c USING (forecast_id) LEFT JOIN used u USING (forecast_id)
    LEFT JOIN spreads p USING (forecast_id) LEFT JOIN moved v USING (forecast_id) LEFT JOIN lost l USING (forecast_id)
    LEFT JOIN counted o ON o.market_id = m.market_id
WHERE m.configuration IN (SELECT configuration FROM mine GROUP BY ALL HAVING max(model_calls) > 0)
ORDER BY m.configuration, m.created_at, m.forecast_id
"""
_MARKETS: Final = """
    SELECT c.configuration, c.market_id, count(*) = count(f.forecast_id) AS made, min(c.rowid) AS place
    FROM cells c LEFT JOIN forecasts f USING (forecast_id)
    WHERE c.study_id = $study AND c.configuration <> $probe GROUP BY ALL ORDER BY c.configuration, place
"""
"""The markets of each configuration in the order in which they were planned, and so begun.

The order in which they ended would not do: what takes long ends late, so that the end of a run would look like a change.
"""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The record of a study. `size`: markets in a block; None where periods are days."""

    frame: pl.DataFrame
    by: By
    size: int | None


def periods_of(study: Study) -> By:
    """Days where forecasts are made before outcomes exist; else blocks of markets in the order in which they were begun."""
    markets = study.content.get("markets") if isinstance(study.content, dict) else None
    return "day" if isinstance(markets, dict) and markets.get("source") == "open" else "block"


def record(reader: Reader, study: Study, *, now: datetime, by: By | None = None) -> Recorded:
    """`analysis.monitor.RECORD` of the study's forecasts in periods that are complete: days before that of `now` in UTC, by
    as-of time, or blocks of markets, in the order in which they were begun, up to the first that lacks a forecast.

    Configurations that ask no model are not in it. An outcome arrives on the day on which the market resolved or, where
    forecasts are made ahead of it, that on which it became known here: a score of a day that was judged does not change.
    """
    by = by or periods_of(study)
    bound = {"study": study.study_id, "probe": left_out(reader)}
    rows = reader.query(_FORECASTS, bound | {"open": periods_of(study) == "day"})
    if by == "day":
        today = (now.astimezone(UTC).date() - date(1970, 1, 1)).days
        told = pl.max_horizontal("as_of", "told_at")
        rows = rows.with_columns(
            period=_day(pl.col("as_of")), outcome_period=pl.when(pl.col("brier").is_not_null()).then(_day(told))
        )
        late = pl.col("outcome_period") >= today
        rows = rows.filter(pl.col("period") < today).with_columns(
            outcome_period=pl.when(late).then(None).otherwise(pl.col("outcome_period"))
        )
        return Recorded(_typed(rows), by, None)
    markets = reader.query(_MARKETS, bound)
    size = max(1, round(markets["market_id"].n_unique() / BLOCKS))
    own = markets.filter(pl.col("made").cast(pl.Int8).cum_min().over("configuration") == 1)
    own = own.with_columns(period=(pl.int_range(pl.len()).over("configuration") // size).cast(pl.Int64))
    own = own.filter(pl.len().over("configuration", "period") == size)
    own = own.select("configuration", "market_id", "period", outcome_period="period")
    return Recorded(_typed(rows.join(own, on=["configuration", "market_id"])), by, size)


def _day(at: pl.Expr) -> pl.Expr:
    return at.dt.convert_time_zone("UTC").dt.date().cast(pl.Int32).cast(pl.Int64)


def _typed(rows: pl.DataFrame) -> pl.DataFrame:
    kinds: dict[str, Any] = RECORD
    return rows.select(pl.col(name).cast(kind) for name, kind in kinds.items())
