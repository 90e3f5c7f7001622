"""Rows, pages, prices and the statement of completeness, for venues that need nothing of their own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from coordeval.market_data.errors import DataError
from coordeval.market_data.http import FetchError, HttpClient, Service
from coordeval.market_data.polymarket.completeness import Query, Totals
from coordeval.market_data.polymarket.parse import Refused
from coordeval.market_data.types import Market, Outcome, PricePoint
from coordeval.market_data.venues.base import standin

F = TypeVar("F")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed(Generic[F]):
    """One market as its venue lists it; `facts` are the venue's own."""

    market: Market
    outcome: Outcome
    facts: F
    evidence: str
    volume: float | None
    """In the venue's own unit: contracts, mana. None where it states none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """The points of one market up to `as_of`, oldest first. `reason`: why there are none, where that is known."""

    market_id: str
    source: str
    as_of: datetime
    points: tuple[PricePoint, ...]
    dropped: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness(Totals):
    """Of a listing whose pages come without a documented order, and where it stands."""

    venue: str
    clock: str
    """The venue's field that places a market in the window."""
    cursor: str = ""
    """Where the next page begins, in the venue's own words."""
    last_ids: tuple[str, ...] = ()
    anchor: str = ""
    """Digest of the ids of an earlier page; see `walk`."""
    notes: tuple[str, ...] = ()
    """What else may be missing, as the venue's class found out."""

    @property
    def gaps(self) -> tuple[str, ...]:
        found = [] if self.ended else ["the listing was not read to its end"]
        if self.query.before > self.started_at:
            found.append(f"markets that resolved after the listing began ({self.started_at.isoformat()})")
        if unknown := self.passed_over.get("volume not stated", 0):
            found.append(f"{unknown} markets whose volume the venue does not state: a minimum volume leaves them out")
        if unplaced := self.passed_over.get("no resolution time", 0):
            found.append(f"{unplaced} resolved markets without {self.clock}, which no window can hold")
        if self.refused:
            found.append(f"{sum(self.refused.values())} rows that could not be read")
        return (*found, *self.notes)

    def statement(self) -> str:
        """The whole of it in a few lines, for people."""
        query = self.query
        lines = [
            f"{self.venue}, {self.clock} from {query.after.isoformat()} to before {query.before.isoformat()}, "
            f"volume from {query.min_volume:g}: {self.pages} pages, {self.rows} rows, {self.kept} kept",
            *self.tally(),
            f"  read to: {self.ended or 'not the end'}",
            *(f"  may be missing: {gap}" for gap in self.gaps),
        ]
        return "\n".join(lines)

    def going_on(self, venue: str, query: Query) -> "Completeness":
        """Itself, if it belongs to `venue` and `query`. Raises DataError otherwise: its rows would be another universe."""
        if (self.venue, self.query) != (venue, query):
            raise DataError(
                f"listing: it was begun for {self.venue}, {self.query} and cannot go on for {venue}, {query}; "
                "repeat the first query, or start a new listing"
            )
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[F]):
    """One page of a listing: the rows of the window, those that could not be read, and the statement up to here."""

    listed: tuple[Listed[F], ...]
    refused: tuple[Refused, ...]
    so_far: Completeness
    passed: tuple[Listed[F], ...] = ()
    """Rows that were read and lie outside the window; a market known from an earlier pull may have moved there."""


class Paged:
    """What venues have in common that are one service and state their listings with `Completeness`.

    `aside` is where payloads that could not be read are kept.
    """

    name: str
    base_url: str
    requests_per_second: float

    def __init__(
        self,
        client: HttpClient,
        service: Service | None = None,
        *,
        aside: Path | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client, self._aside, self._clock = client, aside, clock
        self._service = service or Service(
            name=self.name.capitalize(), base_url=self.base_url, requests_per_second=self.requests_per_second
        )

    @classmethod
    def at(cls, client: HttpClient, base_url: str | None, aside: Path | None) -> Self:
        """The venue itself, or a stand-in at `base_url`."""
        return cls(client, standin(cls.__name__, base_url), aside=aside)

    def restored(self, plain: Mapping[str, Any]) -> Completeness:
        return Completeness.from_json(plain)

    async def by_ids(self, known: Mapping[str, Mapping[str, Any]]) -> dict[str, Listed[Any] | str]:
        """Markets by their ids, whatever their state; the facts are those stored of each. A text says why there is none."""
        return {market_id: await self._asked(market_id, facts) for market_id, facts in known.items()}

    async def _asked(self, market_id: str, facts: Mapping[str, Any]) -> Listed[Any] | str:
        try:
            return await self._by_id(market_id, facts)
        except FetchError as error:
            if error.status not in (404, 410):
                raise
            return f"asked for by its id, it is not there any more (status {error.status})"
        except DataError as error:
            return f"asked for by its id, the answer cannot be read: {error}"

    async def _by_id(self, market_id: str, facts: Mapping[str, Any]) -> Listed[Any] | str:
        """Raises FetchError; DataError for an answer about something else."""
        return f"{self.name} cannot be asked for one market"
