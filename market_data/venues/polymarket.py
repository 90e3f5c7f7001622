"""Polymarket as a venue: its functions behind the protocol, and each resolution held against the payouts.

Gamma's status and prices decide first; the Data API is asked for the payouts of every market of a page that ended, twenty
at a time. Where the two disagree the market is contradictory. Where the Data API does not know a market, the outcome stands
on Gamma alone, and its evidence then names no payouts. Where it refuses the question for good, that is a refused row.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from coordeval.market_data.http import TRY_LATER, FetchError, HttpClient
from coordeval.market_data.opening import Deadlines, Listing
from coordeval.market_data.polymarket import (
    Completeness,
    Endpoints,
    Listed,
    Page,
    Payouts,
    PriceHistory,
    Query,
    Refused,
    clob_history,
    markets_by_condition,
    payouts,
    resolved_markets,
)
from coordeval.market_data.polymarket.completeness import counted
from coordeval.market_data.types import utc
from coordeval.market_data.venues.listing import Prices
from coordeval.market_data.venues.open_lists import polymarket_open

NAME = "polymarket"


class Polymarket:
    """The venue; `aside` is where payloads that could not be read are kept."""

    name = NAME
    checked_against = "recorded payloads of Gamma, the CLOB and the Data API"
    needs = "nothing"

    def __init__(
        self,
        client: HttpClient,
        endpoints: Endpoints | None = None,
        *,
        aside: Path | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client, self._aside, self._clock = client, aside, clock
        self._endpoints = endpoints or Endpoints.live()
        self._payouts_refused = False

    @classmethod
    def at(cls, client: HttpClient, base_url: str | None, aside: Path | None) -> Self:
        return cls(client, Endpoints.at(base_url) if base_url else None, aside=aside)

    async def pages(self, query: Query, *, resume: Completeness | None = None) -> AsyncIterator[Page]:
        """Raises FetchError, DataError."""
        changed: Counter[str] = Counter()
        listing = resolved_markets(
            self._client, self._endpoints.gamma, query, resume=resume, aside=self._aside, clock=self._clock
        )
        async for page in listing:
            listed, refused = await self._confirmed(page.listed)
            changed.update(row.outcome.status for row in listed)
            changed.subtract(row.outcome.status for row in page.listed)
            statuses = {status: n for status, n in counted(page.so_far.statuses, changed).items() if n}
            yield replace(
                page, listed=listed, refused=page.refused + refused, so_far=replace(page.so_far, statuses=statuses)
            )

    def open_pages(self, wanted: Deadlines) -> AsyncIterator[Listing]:
        """What is open now, by nominal deadline. Raises FetchError, DataError."""
        return polymarket_open(self._client, self._endpoints.gamma, wanted, self._aside)

    async def by_ids(self, known: Mapping[str, Mapping[str, Any]]) -> dict[str, Listed | str]:
        """Markets by their condition ids, open or closed, each ended one held against its payouts."""
        found = await markets_by_condition(self._client, self._endpoints.gamma, known, aside=self._aside)
        listed, _ = await self._confirmed(tuple(found.listed.values()))
        answers: dict[str, Listed | str] = {row.market.id: row for row in listed}
        unread = "asked for by its id, its row cannot be read" if found.refused else ""
        gone = "asked for by its id, it is not there any more, neither open nor closed"
        return {
            market_id: answers.get(market_id, gone if market_id in found.missing else unread or gone) for market_id in known
        }

    async def _confirmed(self, listed: tuple[Listed, ...]) -> tuple[tuple[Listed, ...], tuple[Refused, ...]]:
        ended = [row.market.id for row in listed if row.outcome.status in ("resolved", "fifty_fifty")]
        if self._payouts_refused or not ended:
            return listed, ()
        try:
            unread: list[Refused] = []
            paid = await payouts(self._client, self._endpoints.data, ended, refused=unread, aside=self._aside)
        except FetchError as error:
            if error.status is None or error.status in TRY_LATER or error.status >= 500:
                raise
            self._payouts_refused = True  # and would be for each page to come
            refused = Refused(item="the Data API's payouts", reason="payouts refused", detail=str(error))
            return listed, (refused,)
        return tuple(_held(row, paid.get(row.market.id)) for row in listed), tuple(unread)

    def restored(self, plain: Mapping[str, Any]) -> Completeness:
        return Completeness.from_json(plain)

    async def prices(self, row: Listed, as_of: datetime, *, since: datetime | None = None) -> PriceHistory | Prices:
        """Midpoints of the CLOB; no points, with the reason, for a market without a YES token."""
        if row.facts.yes_token is None:
            as_of = utc(as_of, f"market {row.market.id}, as-of time")
            reason = f"it has no YES token (outcomes {' / '.join(row.facts.labels)})"
            return Prices(market_id=row.market.id, source="clob", as_of=as_of, points=(), reason=reason)
        return await clob_history(self._client, self._endpoints.clob, row, as_of, since=since)


def _held(row: Listed, paid: Payouts | None) -> Listed:
    return row if paid is None else replace(row, outcome=row.confirmed(payouts=paid), payouts=paid.payouts)
