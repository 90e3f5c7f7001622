"""What the telemetry of coordination is computed from: asks, who was shown whom, tool results, calls; no texts."""

from collections.abc import Mapping
from typing import Final

import polars as pl

from coordeval.ledger.commitments import LATE
from coordeval.ledger.reader import Reader

_WANTED: Final = """
    c.study_id = $study AND ($run IS NULL OR f.run_id = $run) AND ($but IS NULL
        OR c.forecast_id NOT IN (SELECT forecast_id FROM telemetry WHERE definition = $but))
"""
_CELLS: Final = f"""
    SELECT c.forecast_id, c.configuration, c.market_id, coalesce(m.event_id, c.market_id) AS event_id, c.replicate
    FROM cells c JOIN forecasts f USING (forecast_id) LEFT JOIN markets m ON m.market_id = c.market_id
    WHERE {_WANTED} ORDER BY c.configuration, c.market_id, c.replicate
"""
_MINE: Final = f"""
    SEMI JOIN (
        SELECT c.forecast_id FROM cells c JOIN forecasts f USING (forecast_id) WHERE {_WANTED}
    ) mine USING (forecast_id)
"""
_FRAMES: Final = {
    "said": f"SELECT forecast_id, ask, agent, round, kind, probability FROM estimates {_MINE}",
    "shown": f"SELECT DISTINCT forecast_id, from_ask, to_ask FROM messages {_MINE}",
    "tools": f"SELECT forecast_id, ask, error, items, hash(result) AS told FROM tool_calls {_MINE}",
    "calls": f"""
        SELECT forecast_id, ask, round, input_tokens + cache_read_tokens + cache_write_tokens AS input_tokens, output_tokens,
            seconds, attributed_micro_usd AS micro_usd
        FROM calls {_MINE}
    """,
}


def talk_frames(
    reader: Reader, study: str, run_id: str | None = None, *, but: int | None = None
) -> Mapping[str, pl.DataFrame]:
    """cells, said, shown, tools and calls of the forecasts of a study (name or id), or of those that one run of it made.

    `but`: without those whose telemetry is stored by that definition. Columns: see `analysis.talk.telemetry.STORED`.
    Raises LedgerError where there is no such study.
    """
    with reader.moment() as held:
        bound = {"study": held.study(study).study_id, "run": run_id, "but": but}
        return {"cells": held.query(_CELLS, bound)} | {name: held.query(sql, bound) for name, sql in _FRAMES.items()}


_STORED: Final = """
    SELECT c.configuration, c.market_id, coalesce(m.event_id, c.market_id) AS event_id, c.replicate, t.*
    FROM telemetry t JOIN cells c USING (forecast_id) JOIN forecasts f USING (forecast_id)
        LEFT JOIN markets m ON m.market_id = c.market_id
    WHERE c.study_id = $study AND ($run IS NULL OR f.run_id = $run) AND t.definition = $definition
"""


def stored_telemetry(reader: Reader, study: str, definition: int, run_id: str | None = None) -> pl.DataFrame:
    """The rows of `telemetry` that are stored by that definition, of a study or of what one run of it made, each with its
    cell's configuration, market_id, event_id and replicate; those of another definition are not there."""
    bound = {"study": reader.study(study).study_id, "run": run_id, "definition": definition}
    return reader.query(_STORED, bound)


MOST_TEXTS: Final = 2000
"""Forecasts of a configuration whose texts are read: those with the lowest ids, which are hashes, so a sample by chance."""
_TALKED: Final = f"""
    WITH mine AS (
        SELECT c.configuration, c.market_id, coalesce(m.event_id, c.market_id) AS event_id, c.replicate, c.forecast_id,
            CAST(o.value AS TINYINT) AS outcome, f.probability AS forecast, f.model_calls AS turns,
            row_number() OVER (PARTITION BY c.configuration ORDER BY c.forecast_id) AS place
        FROM cells c JOIN forecasts f USING (forecast_id) LEFT JOIN markets m ON m.market_id = c.market_id
            LEFT JOIN (FROM current_outcomes WHERE market_id NOT IN ({LATE})) o ON o.market_id = c.market_id
        WHERE c.study_id = $study
    ), sent AS (
        SELECT s.forecast_id, count(DISTINCT (s.from_ask, s.to_ask)) AS messages
        FROM messages s SEMI JOIN mine USING (forecast_id)
            JOIN estimates a ON a.forecast_id = s.forecast_id AND a.ask = s.from_ask
            JOIN estimates b ON b.forecast_id = s.forecast_id AND b.ask = s.to_ask
        WHERE NOT (a.agent = b.agent AND a.kind = 'estimate' AND b.kind = 'estimate') GROUP BY ALL
    ), wrote AS (
        SELECT forecast_id, list(rationale ORDER BY ask) AS texts
        FROM (
            SELECT e.forecast_id, e.ask, e.rationale, e.kind, e.round, max(e.round) OVER (PARTITION BY e.forecast_id) AS last
            FROM estimates e SEMI JOIN (FROM mine WHERE place <= {MOST_TEXTS}) m USING (forecast_id)
        ) WHERE round = last AND kind <> 'failed' GROUP BY ALL
    )
    SELECT configuration, market_id, event_id, replicate, outcome, forecast, turns, coalesce(messages, 0) AS messages, texts
    FROM mine LEFT JOIN sent USING (forecast_id) LEFT JOIN wrote USING (forecast_id)
    WHERE turns > 0 ORDER BY configuration, market_id, replicate
"""


def talked_frame(reader: Reader, study: str) -> pl.DataFrame:
    """`analysis.talk.scaling.TALKED` of a study (name or id): one row per forecast that asked a model."""
    return reader.query(_TALKED, {"study": reader.study(study).study_id})
