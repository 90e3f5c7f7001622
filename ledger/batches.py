"""Batches of earlier runs, and which of their calls are still without a reply."""

import duckdb
import orjson

from coordeval.agents.batching import OpenBatch

_ATTEMPTS = """
    SELECT a.attempt_id, a.payer, a.request_id, a.model, a.worst_micro_usd, a.asked_at, a.ended, a.reason
    FROM attempts a ANTI JOIN draws USING (attempt_id)
    WHERE a.ended IS NULL AND a.attempt_id IN (SELECT unnest(?::VARCHAR[]))
"""


def open_batches(con: duckdb.DuckDBPyConnection, study_id: str) -> list[OpenBatch]:
    """The batches of a study that hold calls which were not refused and have no reply, the oldest first."""
    rows = con.execute(
        "SELECT wave_id, batch_id, created_at, size, items FROM batches WHERE study_id = $study ORDER BY created_at",
        {"study": study_id},
    ).fetchall()
    found = []
    for wave_id, batch_id, created_at, size, items in rows:
        keys = {attempt: (request, replicate, k) for attempt, request, replicate, k in orjson.loads(items)}
        cursor = con.execute(_ATTEMPTS, [list(keys)])
        names = [column[0] for column in cursor.description or ()]
        held = {keys[values[0]]: dict(zip(names, values, strict=True)) for values in cursor.fetchall()}
        if held:
            found.append(OpenBatch(wave_id, batch_id, created_at, size, held))
    return found
