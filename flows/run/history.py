"""The runs that a ledger has seen, and how each ended."""

import os
from pathlib import Path
from typing import Any

import orjson

from coordeval.ledger import Reader

_RUNS = """
    SELECT r.run_id, s.name AS study, r.study_id, r.started_at, r.ended_at, r.status, r.detail, r.planned, r.made,
        r.answered, r.failed, r.open, r.paid_micro_usd / 1e6 AS paid_usd,
        r.budget_micro_usd / 1e6 AS budget_usd, r.version
    FROM runs r LEFT JOIN studies s USING (study_id) ORDER BY r.started_at DESC, r.run_id
"""
LOST = "ended without a word: it was killed, or a plugin ended the process"


def runs(reader: Reader, path: Path) -> list[dict[str, Any]]:
    """One row per run, the newest first. A run whose process is gone is "lost", also before the next run has marked it.

    Counts are null for a run that is under way or was killed, and for those of before they were kept; `paid_usd` also where
    a price was not known. `budget_usd` is what the study file said then, null where it gave none.
    """
    found = reader.query(_RUNS).to_dicts()
    for row in found:
        if row["status"] == "running" and not _being_written(path):
            row |= {"status": "lost", "detail": LOST}
    return found


def _being_written(path: Path) -> bool:
    """Whether the process that the writer's note names lives. Asking the lock itself could get in a writer's way."""
    try:
        note = orjson.loads(path.with_name(f"{path.name}.writer.json").read_bytes())
        os.kill(int(note["pid"]), 0)
    except PermissionError:
        return True  # it lives, and is somebody else's
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True
