"""What each agent said on the way to each forecast of a study."""

import polars as pl

from coordeval.ledger.commitments import LATE
from coordeval.ledger.reader import Reader

_ESTIMATES = f"""
    SELECT c.configuration, c.market_id, coalesce(m.event_id, c.market_id) AS event_id, c.replicate,
        e.ask, e.agent, e.round, e.role, e.probability,
        CAST(o.value AS TINYINT) AS outcome, c.market_price, f.probability AS forecast
    FROM cells c JOIN forecasts f USING (forecast_id) JOIN estimates e USING (forecast_id)
        LEFT JOIN markets m ON m.market_id = c.market_id
        LEFT JOIN (FROM current_outcomes WHERE market_id NOT IN ({LATE})) o ON o.market_id = c.market_id
    WHERE c.study_id = $study AND e.kind = 'estimate'
    ORDER BY c.configuration, c.market_id, c.replicate, e.ask
"""


def estimates_frame(reader: Reader, study_id: str) -> pl.DataFrame:
    """One row per estimate of a study (name or id), in the order of asking; reports and failed asks carry no probability.

    Columns: configuration, market_id, event_id, replicate, ask, agent, round, role, probability (of YES), outcome (1 where
    YES won, null while unresolved), market_price (null: none was known), forecast (the cell's; null where it failed).
    A forecast that several studies share appears in each of them. Raises LedgerError where there is no such study.
    """
    return reader.query(_ESTIMATES, {"study": reader.study(study_id).study_id})


_ALONE = """
    WITH alone AS (
        SELECT DISTINCT e.forecast_id, e.ask, e.probability
        FROM estimates e JOIN cells c USING (forecast_id)
        WHERE c.study_id = ? AND e.kind = 'estimate' AND e.round = 0 AND list_contains(?, c.configuration)
            AND NOT EXISTS (FROM messages m WHERE m.forecast_id = e.forecast_id AND m.to_ask = e.ask)
    ), spent AS (
        SELECT forecast_id, ask, max_by(draw_id, turn) AS draw_id,
            CASE WHEN count(*) = count(attributed_micro_usd) THEN sum(attributed_micro_usd) / 1e6 END AS cost_usd
        FROM calls SEMI JOIN alone USING (forecast_id, ask) GROUP BY forecast_id, ask
    )
    SELECT DISTINCT s.draw_id, f.market_id, f.replicate, a.probability, s.cost_usd
    FROM alone a JOIN spent s USING (forecast_id, ask) JOIN forecasts f USING (forecast_id)
    ORDER BY ALL
"""


def lone_draws(reader: Reader, study: str, configurations: list[str]) -> pl.DataFrame:
    """Estimates by agents who were shown nothing that others said, each once however many configurations shared it.

    One row per draw: draw_id, market_id, replicate, probability, cost_usd (in full; null where a price is not known).
    """
    return reader.query(_ALONE, [reader.study(study).study_id, configurations])


_OPENINGS = f"""
    WITH alone AS (
        SELECT e.forecast_id, e.ask FROM estimates e SEMI JOIN (FROM cells WHERE study_id = $study) c USING (forecast_id)
        WHERE e.round = 0 AND NOT EXISTS (FROM messages s WHERE s.forecast_id = e.forecast_id AND s.to_ask = e.ask)
    ), asked AS (
        SELECT forecast_id, ask, min_by(draw_id, turn) AS first_draw, max_by(draw_id, turn) AS draw_id,
            CASE WHEN count(*) = count(attributed_micro_usd) THEN sum(attributed_micro_usd) / 1e6 END AS cost_usd
        FROM calls SEMI JOIN alone USING (forecast_id, ask) GROUP BY forecast_id, ask
    )
    SELECT c.configuration, c.market_id, coalesce(m.event_id, c.market_id) AS event_id, c.replicate, e.ask, e.kind,
        d.request_id, a.draw_id, e.probability, CAST(o.value AS TINYINT) AS outcome, c.market_price, a.cost_usd,
        f.probability AS forecast
    FROM cells c JOIN forecasts f USING (forecast_id) JOIN estimates e USING (forecast_id)
        JOIN asked a USING (forecast_id, ask) JOIN draws d ON d.draw_id = a.first_draw
        LEFT JOIN markets m ON m.market_id = c.market_id
        LEFT JOIN (FROM current_outcomes WHERE market_id NOT IN ({LATE})) o ON o.market_id = c.market_id
    WHERE c.study_id = $study
    ORDER BY c.configuration, c.market_id, c.replicate, e.ask
"""


def openings_frame(reader: Reader, study: str) -> pl.DataFrame:
    """One row per ask of a study (name or id) that was shown nothing that others said: how each configuration begins.

    Columns: configuration, market_id, event_id, replicate, ask, kind (estimate, report or failed), request_id (hash of the
    first request's bytes, system prompt and all), draw_id (of the reply that gave the estimate; two rows that share it have
    one and the same reply), probability (null but for an estimate), outcome, market_price, cost_usd (of the ask, in full;
    null where a price is not known), forecast (the cell's last word; null where it failed). An ask that no call was stored
    for is not there. What `analysis.differences.openings` starts from. Raises LedgerError where there is no such study.
    """
    return reader.query(_OPENINGS, {"study": reader.study(study).study_id})


_PARTS = """
    SELECT c.configuration, count(*)::BIGINT AS reports, sum(coalesce(p.asked, p.given))::BIGINT AS asked,
        sum(p.given)::BIGINT AS given, sum(p.blank)::BIGINT AS blank, sum(p.repeated)::BIGINT AS repeated,
        sum(p.dropped)::BIGINT AS dropped
    FROM cells c JOIN parts p USING (forecast_id) WHERE c.study_id = ? GROUP BY ALL ORDER BY ALL
"""


def parts_frame(reader: Reader, study_id: str) -> pl.DataFrame:
    """One row per configuration whose reports have parts: reports, and the parts asked, given, blank, repeated, dropped.

    Where a report was asked for no certain number, those that were given count as asked for.
    """
    return reader.query(_PARTS, [reader.study(study_id).study_id])
