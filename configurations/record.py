"""The shared record of a cell: what was said, in order, each entry hashed with all before it; a view is a digest of entries.

Made of the panel's own records or of the stored rows, it is the same: whoever holds one head holds one conversation,
and a row that is changed, dropped or put elsewhere changes every hash after it.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from coordeval.configurations.said import Estimate

_FORM: Final = b"shared-record/1\x1f"


@dataclass(frozen=True, slots=True)
class Entry:
    """One ask. `digest` is over it and all entries before; `view` over what it was shown, as it was said."""

    ask: int
    digest: str
    view: str


def shared_record(rows: Iterable[Mapping[str, Any]]) -> tuple[Entry, ...]:
    """The chain of rows in the order of asking; the digest of the last one is the head.

    A row has ask, agent, round, role, kind (estimate, report, failed), probability, rationale, reading, shown (asks whose
    words it was shown) and statistics (texts). An ask that is not there before it is kept as a number.
    """
    found: list[Entry] = []
    said: dict[int, str] = {}
    before = hashlib.sha256(_FORM).hexdigest()
    for row in sorted(rows, key=lambda row: row["ask"]):
        words = [row[name] for name in ("agent", "round", "role", "kind", "probability", "rationale", "reading")]
        shown = sorted(row["shown"])
        seen = [[said.get(source, source) for source in shown], sorted(row["statistics"])]
        view = hashlib.sha256(_FORM + orjson.dumps(seen)).hexdigest()
        before = hashlib.sha256(_FORM + orjson.dumps([before, row["ask"], words, shown, view])).hexdigest()
        said[row["ask"]] = hashlib.sha256(_FORM + orjson.dumps(words)).hexdigest()
        found.append(Entry(row["ask"], before, view))
    return tuple(found)


def of_panel(asks: Iterable[Mapping[str, Any]]) -> tuple[Entry, ...]:
    """The record of `Panel.asks`."""
    return shared_record(_row(record) for record in asks)


def _row(record: Mapping[str, Any]) -> dict[str, Any]:
    said = record["said"]
    own = {name: record[name] for name in ("ask", "agent", "round", "role")}
    own |= {"shown": record["shown"], "statistics": [text for text, _ in record["statistics"]]}
    if said is None:
        return own | {"kind": "failed", "probability": None, "rationale": record["failure"], "reading": ""}
    if isinstance(said, Estimate):
        told = {"probability": said.probability, "rationale": said.rationale, "reading": said.reading}
        return own | {"kind": "estimate"} | told
    return own | {"kind": "report", "probability": None, "rationale": said.text, "reading": ""}
