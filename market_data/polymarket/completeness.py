"""What a listing saw, kept, passed over and refused, and whether anything may be missing: the statement behind a universe.

A value, not a log: each page carries the statement up to itself, so a caller stores rows and statement together, and
a listing that was stopped goes on from the stored one with the same totals as if it had never stopped.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, Self

from coordeval.market_data.errors import DataError

Order = Literal["closed_time", "id"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which markets were asked for: closed in [after, before), by the venue's closing time."""

    after: datetime
    before: datetime
    min_volume: float = 0.0
    order: Order = "closed_time"

    def __post_init__(self) -> None:
        for name in ("after", "before"):
            if getattr(self, name).tzinfo is None:
                raise DataError(f"window: {name} {getattr(self, name)} has no time zone; give it one, such as +00:00")
        if not self.after < self.before:
            raise DataError(
                f"window: it starts at {self.after.isoformat()} and ends at {self.before.isoformat()}; "
                "the start must be earlier, so swap the two or correct the years"
            )
        if not 0 <= self.min_volume < float("inf"):
            raise DataError(f"window: min_volume is {self.min_volume}; it must be a finite number from 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What every listing counts, however it is walked: `rows` = kept + passed over + refused, at every page."""

    query: Query
    started_at: datetime
    """When the listing began: the newest closing that it can have seen."""
    pages: int = 0
    rows: int = 0
    kept: int = 0
    passed_over: Mapping[str, int] = field(default_factory=dict)
    """Rows that were read and that the query does not ask for, by reason."""
    refused: Mapping[str, int] = field(default_factory=dict)
    """Rows that could not be read, by reason."""
    statuses: Mapping[str, int] = field(default_factory=dict)
    """Kept rows by outcome status."""
    ended: str = ""

    def tally(self) -> list[str]:
        """One line per reason and status, for people."""
        return [
            *(f"  kept, {status}: {count}" for status, count in sorted(self.statuses.items())),
            *(f"  passed over, {reason}: {count}" for reason, count in sorted(self.passed_over.items())),
            *(f"  refused, {reason}: {count}" for reason, count in sorted(self.refused.items())),
        ]

    def extended(self, **changes: Any) -> Self:
        """With counts added and everything else replaced."""
        for name in ("passed_over", "refused", "statuses"):
            changes[name] = counted(getattr(self, name), changes.get(name, {}))
        for name in ("pages", "rows", "kept"):
            changes[name] = getattr(self, name) + changes.get(name, 0)
        return replace(self, **changes)

    def as_json(self) -> dict[str, Any]:
        """Plain values, times as ISO text; `from_json` is the inverse."""
        plain = asdict(self)
        plain["started_at"] = self.started_at.isoformat()
        plain["query"] |= {"after": self.query.after.isoformat(), "before": self.query.before.isoformat()}
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        query = dict(plain["query"])
        for name in ("after", "before"):
            query[name] = datetime.fromisoformat(query[name])
        values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}
        return cls(**values | {"query": Query(**query), "started_at": datetime.fromisoformat(plain["started_at"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness(Totals):
    """Of a listing of Polymarket, and where its walk stands."""

    first_id: str = ""
    last_id: str = ""
    last_key: tuple[str, str] = ("", "")
    """(closing time, id) of the last row in order; "" where a row has none. The next page must follow it."""
    tied_ids: tuple[str, ...] = ()
    """Ids with the closing time of the last row: the order allows more of these, but not these again."""
    undated_ids: tuple[str, ...] = ()
    """Ids of the last page's rows without a closing time; no order says that they come only once."""
    sorts: tuple[str, ...] = ()
    """The sort orders that every page so far agrees with."""
    next_cursor: str | None = None

    @property
    def gaps(self) -> tuple[str, ...]:
        """What may be missing although every page was read, in words; empty where nothing is."""
        found = []
        if not self.ended:
            found.append("the listing was not read to its end")
        if self.query.before > self.started_at:
            found.append(f"markets that closed after the listing began ({self.started_at.isoformat()})")
        if self.query.min_volume > 0:
            found.append("markets whose volume the venue does not state: a minimum volume leaves them out")
        if self.ended == "past the window":
            found.append("markets without a closedTime: the list in order of closing has no place for them, order 'id' has")
        if unplaced := self.passed_over.get("no closing time", 0):
            found.append(f"{unplaced} closed markets without a closing time, which no window can hold")
        if self.refused:
            found.append(f"{sum(self.refused.values())} rows that could not be read")
        return tuple(found)

    def statement(self) -> str:
        """The whole of it in a few lines, for people."""
        query = self.query
        lines = [
            f"Polymarket, closed from {query.after.isoformat()} to before {query.before.isoformat()}, "
            f"volume from {query.min_volume:g}: {self.pages} pages, {self.rows} rows, {self.kept} kept",
            *self.tally(),
            f"  read to: {self.ended or 'not the end'} (ids {self.first_id or 'none'} to {self.last_id or 'none'})",
            *(f"  may be missing: {gap}" for gap in self.gaps),
        ]
        return "\n".join(lines)

    def going_on(self, query: Query) -> "Completeness":
        """Itself, if it belongs to `query`. Raises DataError for another query: its rows would be another universe."""
        if self.query != query:
            raise DataError(
                f"listing: it was begun for {self.query} and cannot go on for {query}; "
                "repeat the first query, or start a new listing"
            )
        return self


def counted(counts: Mapping[str, int], reasons: Mapping[str, int]) -> dict[str, int]:
    """The sum of two counts."""
    total = dict(counts)
    for reason, count in reasons.items():
        total[reason] = total.get(reason, 0) + count
    return total
