"""A day's forecasts are committed to: once, all of them, also those that failed or were never made."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from coordeval.flows.study.study import LoadedStudy
from coordeval.ledger import Ledger, Reader
from coordeval.ledger.commitments import tree_of

_CELLS = """
    SELECT c.forecast_id, c.market_id, c.arm, c.configuration, c.replicate, c.as_of, c.market_price,
        coalesce(f.status, 'never made') AS status, f.probability
    FROM picks p JOIN cells c ON c.study_id = p.study_id AND c.market_id = p.market_id
        LEFT JOIN forecasts f ON f.forecast_id = c.forecast_id
    WHERE p.study_id = ? AND p.day = ?
"""
_PREVIOUS = "SELECT root FROM forecast_days WHERE study_id = ? AND day < ? AND root IS NOT NULL ORDER BY day DESC LIMIT 1"


def commit(ledger: Ledger, reader: Reader, loaded: LoadedStudy, day: str, at: datetime) -> None:
    """Store the root of a day and its leaves. A day that has one keeps it."""
    ledger.flush()
    [row] = reader.query("SELECT * FROM forecast_days WHERE study_id = ? AND day = ?", [loaded.id, day]).to_dicts()
    if row["root"] is not None:
        return
    before = reader.query(_PREVIOUS, [loaded.id, day])
    named = {"study_id": loaded.id, "day": day, "as_of": row["as_of"], "listed": row["listed"], "picked": row["picked"]}
    named["previous"] = before.item() if before.height else None
    cells = reader.query(_CELLS, [loaded.id, day]).to_dicts()
    tree = tree_of(named, cells, hidden=not loaded.study.made_up_markets)
    row |= {"root": tree.root, "size": len(tree.leaves), "committed_at": at}
    ledger.write_all({"forecast_days": [row], "commitment_leaves": tree.rows(loaded.id, day)})


_CHANGED = """
    SELECT l.day, l.forecast_id, l.leaf, f.status, f.probability
    FROM commitment_leaves l LEFT JOIN forecasts f USING (forecast_id)
    WHERE l.study_id = ? AND l.forecast_id IS NOT NULL
        AND (json_extract_string(l.leaf, '$.status') IS DISTINCT FROM coalesce(f.status, 'never made')
            OR CAST(json_extract(l.leaf, '$.probability') AS DOUBLE) IS DISTINCT FROM f.probability)
    ORDER BY l.day, l.position
"""


def changed_since(reader: Reader, study_id: str) -> Sequence[dict[str, Any]]:
    """Forecasts whose stored row says otherwise than what was committed to: nobody but a hand in the file can do that."""
    return reader.query(_CHANGED, [study_id]).to_dicts()
