"""Polymarket as a venue: its functions behind the protocol, unchanged."""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from market_data.http import HttpClient
from market_data.polymarket import (
    Completeness,
    Endpoints,
    Listed,
    Page,
    PriceHistory,
    Query,
    clob_history,
    resolved_markets,
)
from market_data.types import utc
from market_data.venues.listing import Prices

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

    @classmethod
    def at(cls, client: HttpClient, base_url: str | None, aside: Path | None) -> Self:
        return cls(client, Endpoints.at(base_url) if base_url else None, aside=aside)

    def pages(self, query: Query, *, resume: Completeness | None = None) -> AsyncIterator[Page]:
        return resolved_markets(
            self._client, self._endpoints.gamma, query, resume=resume, aside=self._aside, clock=self._clock
        )

    def restored(self, plain: Mapping[str, Any]) -> Completeness:
        return Completeness.from_json(plain)

    async def prices(self, row: Listed, as_of: datetime, *, since: datetime | None = None) -> PriceHistory | Prices:
        """Midpoints of the CLOB; no points, with the reason, for a market without a YES token."""
        if row.facts.yes_token is None:
            as_of = utc(as_of, f"market {row.market.id}, as-of time")
            reason = f"it has no YES token (outcomes {' / '.join(row.facts.labels)})"
            return Prices(market_id=row.market.id, source="clob", as_of=as_of, points=(), reason=reason)
        return await clob_history(self._client, self._endpoints.clob, row, as_of, since=since)
