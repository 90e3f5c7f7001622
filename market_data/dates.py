"""Dates as people and services write them: where they stand in a text, and the first and last day that each can mean."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAME = (
    r"(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY, _YEAR = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?", r"(?P<year>(?:19|20)\d\d)\b"
_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        r"(?<![\d-])(?P<year>(?:19|20)\d\d)[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})(?!\d)",
        r"(?<!\d)(?P<year>20\d\d)(?P<month>[01]\d)(?P<day>[0-3]\d)(?=T\d{4}|\b)(?<!\d{9})",
        rf"\b{_NAME}\s+{_DAY}(?:\s*,\s*|\s+){_YEAR}",
        rf"(?<!\d){_DAY}\s+(?:of\s+)?{_NAME}(?:\s*,\s*|\s+){_YEAR}",
        rf"(?<!\d){_DAY}-{_NAME}-{_YEAR}",
        r"(?<![\d/.-])(?P<one>\d{1,2})[/.-](?P<two>\d{1,2})[/.-](?P<year>(?:19|20)\d\d)(?!\d)",
        rf"\b{_NAME}\s*,?\s+{_YEAR}",
        r"(?<![\d.])(?P<epoch>1[3-9]\d{8})(?:\d{3})?(?![\d.])",
    )
)


@dataclass(frozen=True, slots=True)
class Written:
    """A date in a text at [start, end), and the days that it can mean: 5/1/2026 means two, "January 2026" a month."""

    start: int
    end: int
    text: str
    first: date
    last: date


def dates_in(text: str) -> list[Written]:
    """Every date with its year, in the order in which they stand; where two forms overlap, the longer one."""
    found = sorted((w for form in _FORMS for w in _read(form, text)), key=lambda w: (w.start, -w.end))
    kept: list[Written] = []
    for written in found:
        if not kept or written.start >= kept[-1].end:
            kept.append(written)
    return kept


def _read(form: re.Pattern[str], text: str) -> Iterator[Written]:
    for match in form.finditer(text):
        parts = {name: value for name, value in match.groupdict().items() if value is not None}
        days = sorted(_days(parts))
        if days:
            yield Written(match.start(), match.end(), match[0], days[0], days[-1])


def _days(parts: dict[str, str]) -> list[date]:
    if "epoch" in parts:
        return [datetime.fromtimestamp(int(parts["epoch"]), UTC).date()]
    year = int(parts["year"])
    if "one" in parts:  # day and month, or month and day
        one, two = int(parts["one"]), int(parts["two"])
        return [day for day in (_day(year, one, two), _day(year, two, one)) if day]
    month = _MONTHS.index(parts["name"][:3].lower()) + 1 if "name" in parts else int(parts["month"])
    if "day" not in parts:
        following = date(year + month // 12, month % 12 + 1, 1)
        return [date(year, month, 1), following - timedelta(days=1)]
    day = _day(year, month, int(parts["day"]))
    return [day] if day else []


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
