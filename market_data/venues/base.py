"""What a venue is to the rest of the program: pages of resolved markets of a window, and one market's prices up to a moment.

A new source is one small class with the members of `Venue`. It may return types of its own: everything here is a protocol
of read-only members, so a frozen dataclass with these names fits without inheriting anything. `listing` holds ready ones.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from coordeval.market_data.http import HttpClient, Service
from coordeval.market_data.polymarket.completeness import Query
from coordeval.market_data.types import Market, Outcome, PricePoint


class MarketRow(Protocol):
    """One market as its venue lists it."""

    @property
    def market(self) -> Market: ...
    @property
    def outcome(self) -> Outcome: ...
    @property
    def facts(self) -> Any:
        """What the venue says beyond the question: a snapshot of the request's moment, which no prompt is built from."""

    @property
    def evidence(self) -> str:
        """What the outcome was decided by, as JSON with sorted keys: equal evidence, equal bytes."""


class RefusedRow(Protocol):
    """A row that could not be read, with the reason it is counted under."""

    @property
    def item(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def kept(self) -> Path | None:
        """Where its payload lies."""


class Statement(Protocol):
    """How complete a listing is so far; rows = kept + passed over + refused, at every page."""

    @property
    def query(self) -> Query: ...
    @property
    def started_at(self) -> datetime: ...
    @property
    def pages(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def kept(self) -> int: ...
    @property
    def passed_over(self) -> Mapping[str, int]: ...
    @property
    def refused(self) -> Mapping[str, int]: ...
    @property
    def statuses(self) -> Mapping[str, int]: ...
    @property
    def ended(self) -> str:
        """What the listing ended with; "" where it has not ended."""

    @property
    def gaps(self) -> tuple[str, ...]:
        """What may be missing although every page was read, in words."""

    def statement(self) -> str: ...
    def as_json(self) -> dict[str, Any]: ...


class PriceRecord(Protocol):
    """The prices of one market up to `as_of`, oldest first, and what was served but dropped, by reason."""

    @property
    def market_id(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def as_of(self) -> datetime: ...
    @property
    def points(self) -> tuple[PricePoint, ...]: ...
    @property
    def dropped(self) -> Mapping[str, int]: ...


RowT = TypeVar("RowT", bound=MarketRow)
StatementT = TypeVar("StatementT", bound=Statement)
RowT_co = TypeVar("RowT_co", bound=MarketRow, covariant=True)
StatementT_co = TypeVar("StatementT_co", bound=Statement, covariant=True)


class MarketPage(Protocol[RowT_co, StatementT_co]):
    """The rows of the window on one page, those that could not be read, and the statement up to here."""

    @property
    def listed(self) -> tuple[RowT_co, ...]: ...
    @property
    def refused(self) -> Sequence[RefusedRow]: ...
    @property
    def so_far(self) -> StatementT_co: ...


class Venue(Protocol[RowT, StatementT]):
    """A source of real markets. It must never end a listing early without an error, and never return a price after as-of.

    A class whose service answers nobody without a token also has `client`, which makes the HttpClient that sends it: see
    `metaculus`.
    """

    @property
    def name(self) -> str: ...
    @property
    def checked_against(self) -> str:
        """What its parser was held against: recordings, or documentation only."""

    @property
    def needs(self) -> str:
        """What a user must bring, such as a token; "nothing" where it is keyless."""

    @classmethod
    def at(cls, client: HttpClient, base_url: str | None, aside: Path | None) -> Self:
        """The venue, or its stand-in at `base_url`; payloads that cannot be read are kept in `aside`."""

    def pages(self, query: Query, *, resume: StatementT | None = None) -> AsyncIterator[MarketPage[RowT, StatementT]]:
        """The listing from its start, or from where the stored statement `resume` stopped."""

    def restored(self, plain: Mapping[str, Any]) -> StatementT:
        """The inverse of the statement's `as_json`."""

    async def prices(self, row: RowT, as_of: datetime, *, since: datetime | None = None) -> PriceRecord:
        """What could be read from `since` (default: the opening) to `as_of`; no points is an answer too."""


def standin(name: str, base_url: str | None) -> Service | None:
    """A stand-in's service, asked without a pause; None where there is none."""
    return Service(name=name, base_url=base_url, requests_per_second=None) if base_url else None
