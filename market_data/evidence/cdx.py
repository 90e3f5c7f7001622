"""The rows of the Wayback Machine's index, in its text and its JSON form.

A row is `urlkey timestamp original mimetype statuscode digest length`. JSON names its columns in the first row. An empty row
comes before a resume key. Captures may be listed several times (recorded: each four times).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson

from coordeval.market_data.http import BadAnswer, excerpt

_COLUMNS = ("urlkey", "timestamp", "original", "mimetype", "statuscode", "digest", "length")
_STAMP = "%Y%m%d%H%M%S"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """One row: `at` is None where the timestamp is not a time."""

    timestamp: str
    at: datetime | None
    original: str
    mimetype: str
    status: str

    @property
    def flaw(self) -> str:
        """Why its text cannot be shown; "" where it can. A revisit repeats an earlier capture, which stands in its place."""
        if self.mimetype == "warc/revisit" or self.status == "-":
            return "a revisit record: no status and no page of its own"
        if self.status != "200":
            return f"the page answered {self.status} when it was captured"
        return "" if self.mimetype == "text/html" else f"{self.mimetype} is not text/html"


def read_rows(body: bytes) -> tuple[list[Capture], str]:
    """The captures, each once, in the order sent, and the resume key ("" on the last page). Raises BadAnswer."""
    text = body.decode("utf-8", "replace").strip("\r")
    rows = _json_rows(body) if text.lstrip().startswith("[") else [line.split(" ") for line in text.split("\n")]
    columns = dict(zip(_COLUMNS, range(len(_COLUMNS)), strict=True))
    if rows and {"timestamp", "original", "mimetype", "statuscode"} <= set(rows[0]):
        columns = {name: i for i, name in enumerate(rows.pop(0))}
    border = next((i for i, row in enumerate(rows) if row in ([], [""])), len(rows))
    captures = [_capture(row, columns, body) for row in rows[:border]]
    rest = [row[0] for row in rows[border:] if len(row) == 1 and row[0]]
    return list(dict.fromkeys(captures)), rest[0] if rest else ""


def stamp(at: datetime) -> str:
    """14 digits, UTC; parts of a second are cut off, so the stamp is never later than `at`."""
    return at.astimezone(UTC).strftime(_STAMP)


def at_of(timestamp: str) -> datetime | None:
    if len(timestamp) != 14 or not (timestamp.isascii() and timestamp.isdigit()):
        return None
    try:
        return datetime.strptime(timestamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def page_key(url: str) -> str:
    """The same for the addresses that the index takes for one page: scheme, `www.`, port and final slash do not count."""
    try:
        parts = urlsplit(url if "//" in url else f"//{url}")
        host, path = (parts.hostname or "").removeprefix("www."), parts.path
    except ValueError:  # such as http://[
        return url
    return unquote(f"{host}{path.rstrip('/')}?{parts.query}").lower()


def _json_rows(body: bytes) -> list[list[str]]:
    try:
        rows: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadAnswer("cut body", f"the index sent {len(body)} bytes that are not JSON ({error})", status=200) from error
    if not all(isinstance(row, list) and all(isinstance(cell, str) for cell in row) for row in rows):
        raise BadAnswer("shape", f"the index sent rows that are not lists of strings: {excerpt(body)}", status=200)
    return list(rows)


def _capture(row: list[str], columns: dict[str, int], body: bytes) -> Capture:
    if len(row) < len(columns):
        problem = f"a row of the index has {len(row)} of {len(columns)} columns ({' '.join(row)[:100]!r}): {excerpt(body)}"
        raise BadAnswer("shape", problem, status=200)
    timestamp, original, mimetype, status = (row[columns[c]] for c in ("timestamp", "original", "mimetype", "statuscode"))
    return Capture(timestamp=timestamp, at=at_of(timestamp), original=original, mimetype=mimetype, status=status)
