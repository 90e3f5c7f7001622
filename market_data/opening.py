"""Open markets, as a prospective study needs them: what trades now, what is known of it now, and how it ended later.

`OpenSource` has two implementations: the simulated venue with its clock, and any venue that has `open_pages` and `by_ids`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from coordeval.market_data.errors import CoordevalError, DataError
from coordeval.market_data.http import FetchError
from coordeval.market_data.open_world import SimulatedVenue
from coordeval.market_data.types import Document, Market, Outcome, PricePoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Which open markets are asked for: those whose announced deadline lies in [after, before)."""

    after: datetime
    before: datetime
    min_volume: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenMarket:
    """One market that trades. `row` is the venue's own, for `known`."""

    market: Market
    closes_at: datetime | None
    """The deadline as it is announced now."""
    volume: float | None
    facts: Any
    row: Any
    starts_at: datetime | None = None
    """Start of the game that it is about, where the venue says so: the result may be known from then on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a venue listed: markets by id, and why others of its rows were passed over, by reason."""

    markets: tuple[OpenMarket, ...]
    passed_over: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What could be known of one market at a moment. `reason`: why its prices cannot be had."""

    prices: Sequence[PricePoint]
    documents: Sequence[Document] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How one market stands. `gone`: the venue does not serve it any more, and why that is thought."""

    outcome: Outcome
    evidence: str = "{}"
    gone: bool = False


class OpenSource(Protocol):
    """Where open markets come from."""

    @property
    def name(self) -> str: ...
    @property
    def simulated(self) -> bool:
        """True where a stand-in for time may say what time it is."""

    async def listed(self, wanted: Deadlines, at: datetime) -> Listing: ...
    async def known(self, market: OpenMarket, at: datetime, span: timedelta) -> Known:
        """Prices of the last `span` and documents, none later than `at`."""

    async def endings(self, facts: Mapping[str, Mapping[str, Any]], at: datetime) -> dict[str, Ending]:
        """How these markets stand; `facts` are those that were stored of each when it was picked."""


class SimulatedOpen:
    """The simulated venue as of any moment."""

    name, simulated = "simulated", True

    def __init__(self, venue: SimulatedVenue) -> None:
        self.venue = venue

    async def listed(self, wanted: Deadlines, at: datetime) -> Listing:
        return Listing(
            markets=tuple(
                OpenMarket(market=one.market, closes_at=one.market.scheduled_close, volume=None, facts={}, row=None)
                for one in self.venue.open_at(at)
            )
        )

    async def known(self, market: OpenMarket, at: datetime, span: timedelta) -> Known:
        prices = [p for p in self.venue.prices(market.market.id, at) if p.knowable_at and p.knowable_at >= at - span]
        return Known(prices=prices, documents=self.venue.documents(market.market.id, at))

    async def endings(self, facts: Mapping[str, Mapping[str, Any]], at: datetime) -> dict[str, Ending]:
        return {market_id: Ending(outcome=self.venue.outcome(market_id, at)) for market_id in facts}


class VenueOpen:
    """A real venue, or its stand-in. `open_pages` and `by_ids` are what it needs beside `Venue`."""

    simulated = False

    def __init__(self, venue: Any, *, made_up: bool) -> None:
        for need in ("open_pages", "by_ids"):
            if not hasattr(venue, need):
                raise CoordevalError(
                    f"markets.venue = {venue.name!r}: this venue cannot be asked for open markets (its class has no "
                    f"{need}); polymarket, kalshi, manifold and simulated can"
                )
        self.venue, self.name, self._made_up = venue, venue.name, made_up

    async def listed(self, wanted: Deadlines, at: datetime) -> Listing:
        found: dict[str, OpenMarket] = {}
        passed: dict[str, int] = {}
        pages: AsyncIterator[Listing] = self.venue.open_pages(wanted)
        async for page in pages:
            found |= {one.market.id: one for one in page.markets}
            for reason, count in page.passed_over.items():
                passed[reason] = passed.get(reason, 0) + count
        made_up = [replace(one, market=replace(one.market, simulated=self._made_up)) for one in found.values()]
        return Listing(markets=tuple(sorted(made_up, key=lambda one: one.market.id)), passed_over=passed)

    async def known(self, market: OpenMarket, at: datetime, span: timedelta) -> Known:
        opened = market.market.opened_at
        since = at - span if opened is None else max(opened, at - span)
        try:
            found = await self.venue.prices(market.row, at, since=since)
        except FetchError as error:
            if error.status is None or error.status == 429 or error.status >= 500:
                raise  # the venue's trouble, not this market's
            return Known(prices=(), reason=f"prices cannot be had: status {error.status}")
        except DataError:
            return Known(prices=(), reason="prices cannot be read")
        return Known(prices=found.points)

    async def endings(self, facts: Mapping[str, Mapping[str, Any]], at: datetime) -> dict[str, Ending]:
        answers = await self.venue.by_ids(facts)
        return {market_id: _ending(market_id, answer) for market_id, answer in answers.items()}


def _ending(market_id: str, answer: Any) -> Ending:
    if not isinstance(answer, str):
        return Ending(outcome=answer.outcome, evidence=answer.evidence)
    reason = f"no longer listed: {answer}"
    outcome = Outcome(market_id=market_id, status="unresolved", value=None, resolved_at=None, reason=reason)
    return Ending(outcome=outcome, gone=True)
