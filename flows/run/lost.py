"""Runs that ended without a word: killed, or by a plugin that ended the process. Their row still says that they run."""

from coordeval.flows.run.history import LOST
from coordeval.ledger import Ledger, Reader

_RUNNING = """
    SELECT r.*, coalesce(s.name, '?') AS name FROM runs r LEFT JOIN studies s USING (study_id)
    WHERE r.status = 'running' ORDER BY r.started_at
"""


def found_lost(ledger: Ledger, reader: Reader) -> list[str]:
    """Marks them, and says so, once. Whoever has the ledger open for writing is the only writer, so none of them runs."""
    lost = reader.query(_RUNNING).to_dicts()
    names = [row.pop("name") for row in lost]
    ledger.write("runs", [{**row, "status": "lost", "detail": LOST} for row in lost])
    return [
        f"run {row['run_id'][:8]} of {name} (started {row['started_at']:%Y-%m-%d %H:%M} UTC) {LOST}; "
        "what it had stored stands, replies that were under way may have been charged"
        for row, name in zip(lost, names, strict=True)
    ]
