"""Whether a forecast was committed to before its outcome: the proof is made and verified again, and times are compared."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from coordeval.flows.certificate.checks import Check
from coordeval.ledger import LedgerError, Reader
from coordeval.ledger.commitments import ProofError, proof_of, verify

_PICKED = """
    SELECT p.market_id, p.day, d.root, d.committed_at FROM cells c JOIN picks p USING (study_id, market_id)
        LEFT JOIN forecast_days d USING (study_id, day)
    WHERE c.forecast_id = ?
"""
_ENDED = "SELECT resolved_at, recorded_at FROM current_outcomes WHERE market_id = ? AND status = 'resolved'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """A prospective forecast's commitment. Root and time are None until its day is committed to."""

    day: str
    root: str | None
    committed_at: datetime | None
    outcome_known_at: datetime | None
    """When the market resolved, or was first seen resolved, whichever is earlier; None: it has not."""


def committed_of(reader: Reader, forecast_id: str) -> Committed | None:
    """None for a forecast that no prospective study made."""
    rows = reader.query(_PICKED, [forecast_id]).to_dicts()
    if not rows:
        return None
    row = min(rows, key=lambda one: (one["committed_at"] is None, one["committed_at"]))
    ended = reader.query(_ENDED, [row["market_id"]])
    times = [at for at in ended.row(0) if at is not None] if ended.height else []
    return Committed(
        day=row["day"], root=row["root"], committed_at=row["committed_at"], outcome_known_at=min(times, default=None)
    )


def commitment_checks(reader: Reader, committed: Committed | None, cell: Mapping[str, Any]) -> Iterator[Check]:
    """That the leaf says what is stored, that it is under the root, and that the root was there before the outcome."""
    if committed is None:
        return
    name = "committed to before the outcome"
    if committed.root is None or committed.committed_at is None:
        yield Check(name, "not checkable", f"the forecasts of {committed.day} are not committed to yet")
        return
    try:
        proof = proof_of(reader, cell["forecast_id"])
        said = verify(proof)
    except (LedgerError, ProofError) as error:
        yield Check(name, "failed", str(error))
        return
    assert proof is not None
    wrong = [part for part in ("status", "probability") if said.get(part) != cell[part]]
    at = f"{committed.committed_at:%Y-%m-%d %H:%M} UTC"
    if wrong:
        leaf = orjson.dumps({part: said.get(part) for part in wrong}).decode()
        yield Check(name, "failed", f"the stored forecast is not what was committed to at {at}: the leaf says {leaf}")
    elif committed.outcome_known_at is None:
        yield Check(
            name, "passed", f"leaf {proof['index']} of {proof['size']}, committed to at {at}; no outcome is known yet"
        )
    elif committed.committed_at < committed.outcome_known_at:
        yield Check(name, "passed", f"committed to at {at}, resolved at {committed.outcome_known_at:%Y-%m-%d %H:%M} UTC")
    else:
        yield Check(
            name,
            "failed",
            f"committed to at {at}, but it resolved at {committed.outcome_known_at:%Y-%m-%d %H:%M} UTC before",
        )
