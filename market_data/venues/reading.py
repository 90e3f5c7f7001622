"""Reading fields of venues whose numbers and times come in several units: the unit is proved or the field is refused.

A price of 56 may be cents and 1653850472294 seconds may be milliseconds; a wrong guess is a plausible number. So each
reader knows one unit, holds the value against the range that unit can have, and raises SchemaChange otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Never

import orjson

from coordeval.market_data.polymarket.fields import ABSENT, SchemaChange, unfit

_LARGEST = 1e300
"""Anything a venue counts is smaller; whole numbers of JSON may be larger than a float can be."""
_SECONDS = range(0, 10**11)
"""1970 to about the year 5138, as seconds; the same numbers as milliseconds lie before March 1973, when no venue existed."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Fields of `row`; `item` names it in errors. Null and an absent key are the same: nothing."""

    row: Mapping[str, Any]
    item: str

    @staticmethod
    def of(value: Any, item: str, field: str = "(itself)") -> "Reader":
        if not isinstance(value, Mapping):
            raise SchemaChange(item, field, "an object", value)
        return Reader(value, item)

    def inner(self, field: str) -> "Reader":
        """The object under `field`."""
        return Reader.of(self.row.get(field, ABSENT), self.item, field)

    def changed(self, field: str, expected: str) -> Never:
        raise SchemaChange(self.item, field, expected, self.row.get(field, ABSENT))

    def text(self, field: str) -> str:
        """Text that must be there and say something."""
        value = self.optional_text(field)
        if not value.strip():
            self.changed(field, "text that is not empty")
        return value

    def optional_text(self, field: str) -> str:
        value = self.row.get(field)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.changed(field, "text, null or absent")
        if why_not := unfit(value):
            self.changed(field, why_not)
        return value

    def flag(self, field: str) -> bool:
        """True or false; False where there is nothing."""
        value = self.row.get(field)
        if value is not None and not isinstance(value, bool):
            self.changed(field, "true, false, null or absent")
        return bool(value)

    def objects(self, field: str) -> list[Mapping[str, Any]]:
        value = self.row.get(field)
        if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
            self.changed(field, "a list of objects")
        return value

    def rows(self, field: str) -> list[Any]:
        """A list of whatever: each row is to be read, or refused, by itself."""
        value = self.row.get(field)
        if not isinstance(value, list):
            self.changed(field, "a list")
        return value

    def number(self, field: str) -> float | None:
        value = self.row.get(field)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not -_LARGEST < value < _LARGEST:
            self.changed(field, "a finite number")
        return float(value)

    def count(self, *fields: str) -> float | None:
        """The first of `fields` that is there: a number, or a decimal as text, from 0."""
        for field in fields:
            value = self.row.get(field)
            if value is None:
                continue
            number = self._decimal(field) if isinstance(value, str) else self.number(field)
            if number is None or not 0 <= number < _LARGEST:
                self.changed(field, "a number from 0")
            return float(number)
        return None

    def probability(self, field: str) -> float:
        value = self.number(field)
        if value is None or not 0 <= value <= 1:
            self.changed(field, "a number in [0, 1]")
        return value

    def dollars(self, field: str) -> Decimal | None:
        """The value of a contract that pays one dollar, in [0, 1].

        `{field}_dollars` is decimal text. Without it `field` is read by its type: text is dollars (Kalshi's archive), a
        whole number is cents (its payloads before `_dollars`). So 1 is a cent, and no number is ever taken for a dollar.
        """
        name = f"{field}_dollars" if self.row.get(f"{field}_dollars") is not None else field
        value = self.row.get(name)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and name == field:
            amount = Decimal(value) / 100
        elif isinstance(value, str):
            amount = self._decimal(name)
        else:
            self.changed(name, "dollars as decimal text, or whole cents")
        if not 0 <= amount <= 1:
            self.changed(name, "between 0 and 1 dollar")
        return amount

    def iso(self, field: str) -> datetime | None:
        """A time in ISO 8601 with its zone."""
        value = self.row.get(field)
        if value is None or value == "":
            return None
        try:
            at = datetime.fromisoformat(value) if isinstance(value, str) and not value.isdigit() else None
            at = None if at is None or at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, OverflowError):
            at = None
        return at or self.changed(field, "a time in ISO 8601 with a zone")

    def seconds(self, field: str) -> datetime | None:
        """Seconds since 1970, perhaps with a fraction; milliseconds are refused."""
        value = self.number(field)
        if value is None:
            return None
        if not _SECONDS.start <= value < _SECONDS.stop:
            self.changed(field, "seconds since 1970")
        return datetime.fromtimestamp(value, UTC)

    def milliseconds(self, field: str) -> datetime | None:
        """Milliseconds since 1970; seconds are refused. None also beyond the year 9999, which some creators set."""
        value = self.number(field)
        if value is None:
            return None
        if value < _SECONDS.stop:
            self.changed(field, "milliseconds since 1970")
        try:
            return datetime.fromtimestamp(value / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            return None

    def _decimal(self, field: str) -> Decimal:
        try:
            value = Decimal(self.row[field])
        except (InvalidOperation, ValueError):
            self.changed(field, "a decimal as text")
        if not value.is_finite():
            self.changed(field, "a decimal as text")
        return value


def evidence(**seen: object) -> str:
    """JSON with sorted keys; decimals as text, times in UTC."""
    return orjson.dumps(seen, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z).decode()
