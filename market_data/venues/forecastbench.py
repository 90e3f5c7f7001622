"""ForecastBench: a round of frozen market questions with their prices, and how they ended. A folder of files, no network.

github.com/forecastingresearch/forecastbench-datasets (CC BY-SA 4.0): `question_sets/<due>-llm.json` and
`resolution_sets/<due>_resolution_set.json`. Read off the rounds 2025-10-26 and 2026-03-01, and off ForecastBench's code:

- Half of a round are market questions; the other half follow data series, resolve on several dates and have no price.
- Everything is frozen at `freeze_datetime`, ten days before forecasts are due: that is the as-of time, and
  `freeze_datetime_value` the price then. What kind of price is not said.
- `resolved_to` of a question that has not resolved is the market's value on the day the set was made, not an outcome.
- A question that was nullified (annulled, resolved to a fraction, or resolved by the due date) has no row. So has one whose
  source went silent; the two cannot be told apart.
- `resolution_date` is a day: of the resolution, or of the scheduled close where that is earlier. One recorded row is dated
  four months after the set was made; such a row is contradictory.

A market is frozen anew in each round, so its id here is `<due>:<source>:<id>`, while its event is the same in all rounds.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from coordeval.market_data.bodies import json_value
from coordeval.market_data.errors import DataError
from coordeval.market_data.polymarket.fields import SchemaChange, name_of, printable, shown
from coordeval.market_data.polymarket.parse import UNREADABLE, Refused, refused_row
from coordeval.market_data.polymarket.resolution import Verdict
from coordeval.market_data.types import Document, Market, Outcome, PricePoint
from coordeval.market_data.venues.reading import Reader

NAME = "forecastbench"
MARKET_SOURCES = frozenset({"infer", "kalshi", "manifold", "metaculus", "polymarket"})
DATASET_SOURCES = frozenset({"acled", "dbnomics", "fred", "serpapi", "wikipedia", "yfinance"})
COMBINED = "combined question"
DATASET = "dataset question"
_NOTHING = "N/A"
_LFS = b"version https://git-lfs.github.com/spec/"
_QUESTIONS, _RESOLUTIONS = "question_sets/{}-llm.json", "resolution_sets/{}_resolution_set.json"
Key = tuple[str, str]
"""(source, the source's own id)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenQuestion:
    key: Key
    market: Market
    price: PricePoint | None


@dataclass(frozen=True, slots=True)
class _Resolution:
    resolved: bool
    value: float | None
    day: date


def rounds(directory: Path) -> list[str]:
    """The due dates of the rounds in a folder, of which both files are there, oldest first."""
    found = [path.name.removesuffix("-llm.json") for path in directory.glob(_QUESTIONS.format("*"))]
    return sorted(due for due in found if (directory / _RESOLUTIONS.format(due)).is_file())


class Round:
    """One round as a source of markets. `refused`: what is no market, with the reason; `checksums`: sha256 of both files."""

    name = NAME
    simulated = False
    checked_against = "the rounds 2025-10-26 and 2026-03-01 of forecastbench-datasets"
    needs = "--path: the folder with question_sets/ and resolution_sets/"

    def __init__(self, directory: Path, due: str, *, events: Mapping[Key, str] | None = None) -> None:
        """`events`: the event of a market where it is known from elsewhere; the files do not name it.

        Raises DataError for files that are missing, damaged or of different rounds.
        """
        self.due = due
        self.checksums: dict[str, str] = {}
        questions = self._read(directory, _QUESTIONS.format(due), "questions")
        resolutions = self._read(directory, _RESOLUTIONS.format(due), "resolutions")
        self.total = len(questions)
        self.refused: list[Refused] = []
        self.questions: dict[Key, FrozenQuestion] = {}
        for row in questions:
            try:
                question = _question(row, due, events or {})
            except (SchemaChange, *UNREADABLE) as error:
                question = refused_row(row, error, None, name=f"ForecastBench {due}, question {name_of(row, 'id')}")
            if isinstance(question, FrozenQuestion) and question.key in self.questions:
                question = _refuse(question.market.id, "listed twice", "the source and id stand in the set a second time")
            if isinstance(question, Refused):
                self.refused.append(question)
            else:
                self.questions[question.key] = question
        asked = {(row.get("source"), row.get("id")) for row in questions if _has_key(row)}
        self._outcomes = self._resolve(resolutions, asked)

    def markets(self) -> list[Market]:
        return [question.market for question in self.questions.values()]

    def prices(self) -> list[PricePoint]:
        return [question.price for question in self.questions.values() if question.price is not None]

    def documents(self) -> list[Document]:
        return []

    def outcomes(self) -> list[Outcome]:
        return self._outcomes

    def counts(self) -> dict[str, dict[str, int]]:
        """What the round holds: refused questions by reason, markets by source, outcomes by status and by reason."""
        return {
            "refused": dict(Counter(refusal.reason for refusal in self.refused)),
            "markets": dict(Counter(source for source, _ in self.questions)),
            "outcomes": dict(Counter(outcome.status for outcome in self._outcomes)),
            "unscored": dict(Counter(outcome.reason for outcome in self._outcomes if outcome.reason)),
        }

    def _read(self, directory: Path, name: str, field: str) -> list[Any]:
        fix = "give the folder that holds question_sets/ and resolution_sets/ of forecastbench-datasets"
        try:
            content = (directory / name).read_bytes()
        except OSError as error:
            available = ", ".join(rounds(directory)) or "none"
            raise DataError(
                f"ForecastBench: {directory / name} cannot be read ({error.strerror}); rounds here: {available}; {fix}"
            ) from error
        self.checksums[name] = hashlib.sha256(content).hexdigest()
        if content.startswith(_LFS):
            raise DataError(
                f"ForecastBench: {directory / name} is a Git LFS pointer, not the file it stands for; "
                "run `git lfs pull` in that folder, or download the file itself"
            )
        try:
            file = Reader.of(json_value(content), f"ForecastBench: {directory / name}")
        except ValueError as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"ForecastBench: {directory / name} is not JSON ({error}); download it again") from error
        for of, expected in (("forecast_due_date", self.due), ("question_set", f"{self.due}-llm.json")):
            if (got := file.text(of)) != expected:
                raise DataError(f"{file.item}: {of} is {got!r}, not {expected!r}; it belongs to another round")
        return file.rows(field)

    def _resolve(self, rows: list[Any], asked: Container[Any]) -> list[Outcome]:
        found: dict[Key, list[_Resolution]] = defaultdict(list)
        unread = set[Key]()
        for row in rows:
            if not isinstance(row, Mapping):
                error = SchemaChange(f"ForecastBench {self.due}, a row of the resolution set", "(itself)", "an object", row)
                self.refused.append(refused_row(row, error, None))
            elif _has_key(row) and row["source"] in MARKET_SOURCES:
                key = (row["source"], row["id"])
                try:
                    found[key].append(_resolution(row))
                except SchemaChange as change:
                    self.refused.append(refused_row(row, change, None))
                    unread.add(key)
        if strangers := [key for key in found if key not in asked]:  # a refused question was asked too
            raise DataError(
                f"ForecastBench {self.due}: {len(strangers)} rows of the resolution set resolve no market question of the "
                f"round, the first is {strangers[0]}; the two files do not belong together"
            )
        made = max((row.day for some in found.values() for row in some if not row.resolved), default=None)
        due = date.fromisoformat(self.due)
        return [
            _unread(question.market.id) if key in unread else _outcome(question.market.id, found[key], due, made)
            for key, question in self.questions.items()
        ]


def _has_key(row: Any) -> bool:
    return isinstance(row, Mapping) and isinstance(row.get("source"), str) and isinstance(row.get("id"), str)


def _question(row: Mapping[str, Any], due: str, events: Mapping[Key, str]) -> FrozenQuestion | Refused:
    """Raises SchemaChange."""
    Reader.of(row, f"a question of ForecastBench {due}")
    named = f"{name_of(row, 'source')}:{name_of(row, 'id')}"
    if isinstance(row.get("id"), list) or isinstance(row.get("combination_of"), list):
        detail = "it asks for two questions at once, and its answer is not one market's"
        return _refuse(f"{name_of(row, 'source')}:{shown(row.get('id'))}", COMBINED, detail)
    field = Reader(row, f"ForecastBench {due}, question {named}")
    source, id = field.text("source"), field.text("id")
    if source in DATASET_SOURCES:
        return _refuse(f"{source}:{id}", DATASET, "it follows a data series: several resolution dates and no price")
    if source not in MARKET_SOURCES:
        known = ", ".join(sorted(MARKET_SOURCES | DATASET_SOURCES))
        return _refuse(f"{source}:{id}", f"unknown source {source!r}", f"known are {known}")
    frozen = field.iso("freeze_datetime") or field.changed("freeze_datetime", "a time in ISO 8601")
    market_id = f"{due}:{source}:{id}"
    texts = [_stated(field, name) for name in ("background", "market_info_resolution_criteria")]
    market = Market(
        id=market_id,
        source=NAME,
        event_id=events.get((source, id)) or _event(source, id, field.optional_text("url")),
        simulated=False,
        reference_time=frozen,
        text_known_at=frozen,
        url=field.optional_text("url"),
        question=field.text("question"),
        description="\n\n".join(text for text in texts if text),
        opened_at=_moment(field, "market_info_open_datetime"),
        scheduled_close=_moment(field, "market_info_close_datetime"),
    )
    price = _price(field)
    point = None if price is None else PricePoint(market_id=market_id, knowable_at=frozen, price=price, kind="unstated")
    return FrozenQuestion(key=(source, id), market=market, price=point)


def _event(source: str, id: str, url: str) -> str:
    """Kalshi's address ends with its event, and so does one of Polymarket's forms; elsewhere a market is its own event."""
    parts = [part for part in url.partition("?")[0].split("/") if part]
    if source == "kalshi" and "markets" in parts[:-1]:
        return f"kalshi:{parts[-1].upper()}"
    if source == "polymarket" and "event" in parts[:-1]:
        return f"polymarket:{parts[parts.index('event') + 1]}"
    return f"{source}:{id}"


def _outcome(market_id: str, rows: list[_Resolution], due: date, made: date | None) -> Outcome:
    """By the rows of one market. `made`: the day that the set's unresolved rows are valued on."""
    status, value, reason = _verdict(rows, due, made)
    day = rows[0].day if status == "resolved" else None
    at = None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC)
    return Outcome(market_id=market_id, status=status, value=value, resolved_at=at, reason=reason)


def _unread(market_id: str) -> Outcome:
    """One of its rows says what nobody can read, so the others do not speak for it."""
    reason = "its row in the resolution set cannot be read"
    return Outcome(market_id=market_id, status="unresolved", value=None, resolved_at=None, reason=reason)


def _verdict(rows: list[_Resolution], due: date, made: date | None) -> Verdict:
    if not rows:
        return "unresolved", None, "no row in the resolution set: nullified, or its source went silent"
    if len(set(rows)) > 1:
        return "contradictory", None, "its rows in the resolution set disagree"
    if not rows[0].resolved:
        return "unresolved", None, "not resolved when the resolution set was made"
    if made is not None and rows[0].day > made:
        return "contradictory", None, "resolved, but on a day after the resolution set was made"
    if rows[0].day <= due:
        return "voided", None, "resolved by the due date, which ForecastBench nullifies"
    return _resolved_to(rows[0].value)


def _resolved_to(value: float | None) -> Verdict:
    if value is None:
        return "voided", None, "nullified: resolved to nothing"
    if value in (0, 1):
        return "resolved", (1 if value == 1 else 0), ""
    return ("fifty_fifty" if value == 0.5 else "not_yes_no"), None, "resolved to a fraction, neither YES nor NO"


def _resolution(row: Mapping[str, Any]) -> _Resolution:
    field = Reader(row, f"ForecastBench resolution {row['source']}:{name_of(row, 'id')}")
    if not isinstance(row.get("resolved"), bool):
        field.changed("resolved", "true or false")
    try:
        day = date.fromisoformat(field.text("resolution_date"))
    except ValueError:
        field.changed("resolution_date", "a date")
    return _Resolution(row["resolved"], field.number("resolved_to"), day)


def _stated(field: Reader, name: str) -> str:
    text = field.optional_text(name).strip()
    return "" if text == _NOTHING else text


def _moment(field: Reader, name: str) -> datetime | None:
    """A time; a date, as Polymarket's openings are, is its first moment."""
    text = _stated(field, name)
    if len(text) == len("2026-02-07"):
        return Reader({name: f"{text}T00:00:00+00:00"}, field.item).iso(name)
    return field.iso(name) if text else None


def _price(field: Reader) -> float | None:
    """The frozen value, a number in [0, 1] as text. None where there is none."""
    text = _stated(field, "freeze_datetime_value")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        field.changed("freeze_datetime_value", "a number as text")
    return Reader({"freeze_datetime_value": value}, field.item).probability("freeze_datetime_value")


def _refuse(item: str, reason: str, detail: str) -> Refused:
    return Refused(item=printable(item), reason=reason, detail=printable(f"{item}: {detail}"))
