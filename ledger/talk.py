"""What the telemetry of coordination is computed from: asks, who was shown whom, tool results, calls; no texts."""

from collections.abc import Mapping
from typing import Final

import polars as pl

from coordeval.ledger.reader import Reader

_CELLS: Final = """
    SELECT c.forecast_id, c.configuration, c.market_id, coalesce(m.event_id, c.market_id) AS event_id, c.replicate
    FROM cells c JOIN forecasts f USING (forecast_id) LEFT JOIN markets m ON m.market_id = c.market_id
    WHERE c.study_id = $study AND ($run IS NULL OR f.run_id = $run)
    ORDER BY c.configuration, c.market_id, c.replicate
"""
_MINE: Final = """
    SEMI JOIN (
        SELECT c.forecast_id FROM cells c JOIN forecasts f USING (forecast_id)
        WHERE c.study_id = $study AND ($run IS NULL OR f.run_id = $run)
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


def talk_frames(reader: Reader, study: str, run_id: str | None = None) -> Mapping[str, pl.DataFrame]:
    """cells, said, shown, tools and calls of the forecasts of a study (name or id), or of those that one run of it made.

    Columns: see `analysis.talk.telemetry.STORED`. Raises LedgerError where there is no such study.
    """
    with reader.moment() as held:
        bound = {"study": held.study(study).study_id, "run": run_id}
        return {"cells": held.query(_CELLS, bound)} | {name: held.query(sql, bound) for name, sql in _FRAMES.items()}
