"""Reading one field of a venue's JSON: the type that was recorded, or a SchemaChange that names the field.

The types are those of a census of 85 recorded market objects: keys are absent rather than null, lists travel as JSON
text, decimals as text, and times come in six formats. Nothing is coerced: a number where text was recorded is a change
of schema, because the next change may be one that silently means something else.
"""

import hashlib
import reprlib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any, Never, TypeVar

import orjson

from coordeval.market_data.bodies import storable
from coordeval.market_data.errors import DataError

T = TypeVar("T")
Row = Mapping[str, Any]
_LONGEST_NAME = 1000
LONGEST_TEXT = 500_000
"""Characters of one field; the longest recorded description has 12,000."""
_MILLISECONDS = 10**11
"""A count of seconds above this lies beyond the year 5000, so it is one of milliseconds."""


class SchemaChange(DataError):
    """A field that is missing or has another type than in all recordings. The payload is at `kept`, if a place was given."""

    def __init__(self, item: str, field: str, expected: str, got: Any, kept: Path | None = None) -> None:
        item = printable(item)
        self.item, self.field, self.expected, self.got, self.kept = item, field, expected, got, kept
        where = f"; the payload is kept at {kept}" if kept else ""
        super().__init__(
            f"{item}: field {field!r} must be {expected}, got {shown(got)}; the venue's schema changed or this is not its "
            f"answer, so compare it with the recorded shape before trusting anything{where}"
        )

    @property
    def reason(self) -> str:
        """Without the item: what refused rows are counted by."""
        return f"field {self.field!r} is not {self.expected}"

    def keeping(self, kept: Path | None) -> "SchemaChange":
        return SchemaChange(self.item, self.field, self.expected, self.got, kept)


class _Absent:
    def __repr__(self) -> str:
        return "nothing: the key is absent"


ABSENT = _Absent()


def shown(value: Any) -> str:
    """A value as an error shows it: short, with its type."""
    if value is ABSENT:
        return repr(value)
    if isinstance(value, (dict, list, tuple)):  # perhaps nested deeper than repr can follow
        return f"{reprlib.repr(value):.80} ({type(value).__name__})"
    short = value[:80] if isinstance(value, (str, bytes)) else value
    return f"{short!r:.80} ({type(value).__name__})"


def printable(item: str) -> str:
    """A name for messages and tables: short, and without half characters."""
    return item[:_LONGEST_NAME].encode("utf-8", "backslashreplace").decode()


def name_of(row: Any, field: str) -> str:
    """What a row is called: its id, where that is text or a number; else what it lacks."""
    value = row.get(field) if isinstance(row, Mapping) else None
    named = isinstance(value, (str, int)) and not isinstance(value, bool)
    return printable(str(value)) if named else f"(without {field})"


def unfit(value: str) -> str:
    """Why a text cannot be kept; "" where it can."""
    if len(value) > LONGEST_TEXT:
        return f"text of at most {LONGEST_TEXT:,} characters"
    try:
        value if value.isascii() else value.encode()
    except UnicodeEncodeError:
        return "text without half characters (lone surrogates, bytes that are not UTF-8)"
    return "text without null characters" if "\0" in value else ""


def readable(rows: Iterable[Any], read: Callable[[Any], T], dropped: dict[str, int]) -> list[T]:
    """What `read` makes of each row. One that cannot be read is dropped and counted; raises SchemaChange if all are so."""
    made, first = list[T](), None
    for row in rows:
        try:
            made.append(read(row))
        except SchemaChange as change:
            first = first or change
            reason = f"malformed: {change.reason}"
            dropped[reason] = dropped.get(reason, 0) + 1
    if first is not None and not made:
        raise first
    return made


def keep_aside(payload: Any, directory: Path | None) -> Path | None:
    """Write `payload` to `directory` under its own hash, so that the same payload is kept once. None without a directory."""
    if directory is None:
        return None
    content = storable(payload)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{hashlib.sha256(content).hexdigest()[:16]}.json"
    path.write_bytes(content)
    return path


def changed(row: Row, field: str, expected: str) -> Never:
    """Raises the SchemaChange of a market row."""
    raise SchemaChange(f"market {name_of(row, 'id')}", field, expected, row.get(field, ABSENT))


def text(row: Row, field: str) -> str:
    """Text that must be there and say something."""
    value = row.get(field)
    if not isinstance(value, str) or not value.strip():
        changed(row, field, "text that is not empty")
    return _fit(row, field, value)


def _fit(row: Row, field: str, value: str) -> str:
    if why_not := unfit(value):
        changed(row, field, why_not)
    return value


def optional_text(row: Row, field: str) -> str:
    """Text, or "" where the key is absent."""
    value = row.get(field, "")
    if not isinstance(value, str):
        changed(row, field, "text, or absent")
    return _fit(row, field, value)


def flag(row: Row, field: str) -> bool:
    value = row.get(field)
    if not isinstance(value, bool):
        changed(row, field, "true or false")
    return value


def texts(row: Row, field: str) -> tuple[str, ...] | None:
    """A list of text, as JSON text (a list itself, as `public-search` sends it, is read too). None where absent.

    Token ids have about 77 digits: as numbers they would have lost their end already, so numbers are refused.
    """
    value = row.get(field, ABSENT)
    if value is ABSENT:
        return None
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            changed(row, field, "JSON text that holds a list of text")
    if not isinstance(value, list) or not all(isinstance(item, str) and not unfit(item) for item in value):
        changed(row, field, "JSON text that holds a list of text")
    return tuple(value)


def amount(row: Row, *names: str) -> float | None:
    """The first of `names` that is there: a number, or a decimal as text. None where none is."""
    for field in names:
        if (value := row.get(field)) is None:
            continue
        try:
            if isinstance(value, (int, float, str)) and not isinstance(value, bool) and isfinite(number := float(value)):
                return number
        except (ValueError, OverflowError):
            pass
        changed(row, field, "a finite number, or a decimal as text")
    return None


def moment(row: Row, field: str) -> datetime | None:
    """A time in UTC, or None where the key is absent or empty."""
    value = row.get(field)
    if value is None or value == "":
        return None
    at = instant(value)
    if at is None:
        changed(row, field, "a time with a time zone, a date, or seconds since 1970")
    return at


def instant(value: Any) -> datetime | None:
    """The six recorded formats; None for anything else, and for a time of day without a zone.

    `2025-12-13T20:25:39.123456Z` with 0 to 6 digits · `2025-12-13 20:25:39+00` · `…+00:00:00` · `2026-02-07` (midnight
    UTC) · seconds since 1970 · milliseconds since 1970, the last two as numbers or as text.
    """
    try:
        if isinstance(value, str) and not value.isdigit():
            at = datetime.fromisoformat(value)
            if at.tzinfo is None:
                return at.replace(tzinfo=UTC) if len(value) == len("2026-02-07") else None
            return at if at.tzinfo is UTC else at.astimezone(UTC)
        if isinstance(value, (str, int)) and not isinstance(value, bool):
            seconds = int(value)
            return datetime.fromtimestamp(seconds / 1000 if seconds > _MILLISECONDS else seconds, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None
