"""What is known about a market: the question, its prices, its evidence, and, kept apart from all of these, its outcome.

Every time is a timezone-aware UTC datetime. Every price and document carries `knowable_at`, the moment from which a
careful reader could have seen it; the as-of gate (`market_data.gate`) decides by nothing else.
"""

import hashlib
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from coordeval.market_data.errors import DataError

PriceKind = Literal["mid", "last_trade", "trade_vwap", "simulated", "unstated"]
"""`unstated`: the venue gives a price without saying what it is."""
OutcomeStatus = Literal[
    "resolved",
    "unresolved",
    "voided",
    "contradictory",
    "fifty_fifty",
    "proposed",
    "disputed",
    "legacy",
    "not_yes_no",
]
"""Only `resolved` is scored. `not_yes_no`: the outcomes have other labels; `legacy`: from before the venue kept a status."""


def _at_opening(**kwargs: Any) -> Any:
    """A field that was known when the market opened: it may be shown to an agent."""
    return field(metadata={"known": "at opening"}, **kwargs)


def _internal(**kwargs: Any) -> Any:
    """A field for our own bookkeeping, or one that is known only later: it never reaches a prompt or a tool."""
    return field(metadata={"known": "internal"}, **kwargs)


def utc(value: datetime, item: str) -> datetime:
    """`value` in UTC; a naive datetime is refused, because its meaning depends on the machine that reads it."""
    if value.tzinfo is None:
        raise DataError(f"{item}: the time {value.isoformat()} has no time zone; give it one, such as +00:00")
    return value.astimezone(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """A binary question as it stood when it opened. It holds no outcome and no resolution time."""

    id: str = _internal()
    """The venue's own id; never a position in a list."""
    source: str = _internal()
    event_id: str = _internal()
    """Markets that resolve together share it; statistics cluster by it."""
    simulated: bool = _internal()
    reference_time: datetime | None = _internal(default=None)
    """The as-of time that the source itself proposes, if it has one."""
    url: str = _internal(default="")
    text_known_at: datetime | None = _internal(default=None)
    """From when question, description and category are known to have read so: see `market_data.texts`. None: not known."""
    question: str = _at_opening()
    description: str = _at_opening(default="")
    category: str = _at_opening(default="")
    opened_at: datetime | None = _at_opening(default=None)
    scheduled_close: datetime | None = _at_opening(default=None)
    """The nominal deadline announced at opening; not the time at which the market in fact resolved."""

    def __post_init__(self) -> None:
        for name in ("id", "source", "event_id", "question"):
            if not getattr(self, name).strip():
                raise DataError(f"market {self.id or '(without id)'}: {name} is empty; every market needs one")
        for name in ("reference_time", "text_known_at", "opened_at", "scheduled_close"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, utc(value, f"market {self.id}, {name}"))

    def known_at_opening(self) -> dict[str, Any]:
        """The whitelist that a prompt is built from: only fields declared as known at opening."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.metadata["known"] == "at opening"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a market ended. Stored in a table of its own and never handed to anything that asks a model."""

    market_id: str
    status: OutcomeStatus
    value: Literal[0, 1] | None
    """1 where YES won; None unless `status` is "resolved"."""
    resolved_at: datetime | None
    reason: str = ""
    """Why the market cannot be scored; empty where it can."""

    def __post_init__(self) -> None:
        if self.status == "resolved" and self.value not in (0, 1):
            raise DataError(
                f"market {self.market_id}: outcome {self.value!r} of a resolved market must be 0 or 1; "
                "anything else is kept under another status, with its reason"
            )
        if self.status != "resolved" and (self.value is not None or not self.reason):
            raise DataError(f"market {self.market_id}: status {self.status!r} needs a reason and no value")
        if self.resolved_at is not None:
            object.__setattr__(self, "resolved_at", utc(self.resolved_at, f"market {self.market_id}, resolved_at"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PricePoint:
    """The market's price of YES, in [0, 1], as it could be read at `knowable_at`."""

    market_id: str
    knowable_at: datetime | None
    price: float
    kind: PriceKind

    def __post_init__(self) -> None:
        if not 0.0 <= self.price <= 1.0:
            raise DataError(
                f"market {self.market_id}: price {self.price!r} at {self.knowable_at} is outside [0, 1]; "
                "a price is the cost of a contract that pays 1, so check the source's units"
            )
        if self.knowable_at is not None:
            object.__setattr__(self, "knowable_at", utc(self.knowable_at, f"market {self.market_id}, price"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A piece of evidence: the text as it stood at `knowable_at` (None: not known when, so never shown)."""

    market_id: str
    knowable_at: datetime | None
    title: str
    text: str
    source: str

    def __post_init__(self) -> None:
        if self.knowable_at is not None:
            object.__setattr__(
                self,
                "knowable_at",
                utc(self.knowable_at, f"market {self.market_id}, document {self.title!r}"),
            )

    @property
    def id(self) -> str:
        """Content address (sha256, 64 hex digits): two documents with the same bytes are one."""
        parts = (self.market_id, str(self.knowable_at), self.title, self.text, self.source)
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


class MarketSource(Protocol):
    """Where markets come from. A new source is one class with these members, registered by name in `market_data.sources`."""

    name: str
    simulated: bool

    def markets(self) -> list[Market]: ...
    def prices(self) -> list[PricePoint]: ...
    def documents(self) -> list[Document]: ...
    def outcomes(self) -> list[Outcome]: ...
