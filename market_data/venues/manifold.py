"""Manifold: binary questions in play money that resolved in a window. No key; 500 requests a minute.

**Not verified against a recording: none exists here.** The shapes are those of Manifold's own API documentation
(manifoldmarkets/manifold, docs/docs/api.md) and `market-apis.md` §E. All times are milliseconds. Traps:

- `/search-markets` pages by `offset` only to 1000 and by `beforeTime` (created before) with `sort=newest`. It filters by no
  resolution time, so the list is read from the window's end back to the first market. Several markets may share a
  millisecond, so the next page begins one millisecond later and repeats those, which are told by their ids.
- `closeTime` is "min of creator's chosen date, and resolutionTime": it tells of an early resolution, and leaving it
  out only there would tell as much. So no deadline is shown for any market; as-of rules that need one do not apply here.
- The list has no description; the full market has one, as it stands today, with what the creator wrote on resolving. It is
  not asked for.
- MKT resolves to a probability, CANCEL gives the stakes back; `resolutionProbability` says something for MKT only.
- A creator decides; a twin in another currency (`siblingContractId`) is the same question, so both are one event.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import Any

import orjson

from coordeval.market_data.errors import DataError
from coordeval.market_data.http import BadAnswer
from coordeval.market_data.opening import Deadlines, Listing
from coordeval.market_data.polymarket.completeness import Query
from coordeval.market_data.polymarket.fields import SchemaChange, name_of
from coordeval.market_data.polymarket.resolution import Verdict
from coordeval.market_data.types import Market, Outcome
from coordeval.market_data.venues.listing import Completeness, Listed, Page, Paged, Prices
from coordeval.market_data.venues.manifold_prices import bet_prices
from coordeval.market_data.venues.open_lists import manifold_open
from coordeval.market_data.venues.reading import Reader, evidence
from coordeval.market_data.venues.walk import id_of, next_page, rows_of, same_market

NAME = "manifold"
BASE_URL = "https://api.manifold.markets/v0"
REQUESTS_PER_SECOND = 4.0
_PAGE_SIZE = 1000
_RESOLUTIONS: Mapping[str, Verdict] = {
    "YES": ("resolved", 1, ""),
    "NO": ("resolved", 0, ""),
    "CANCEL": ("voided", None, "cancelled: the stakes went back"),
    "": ("unresolved", None, "isResolved is true, but there is no resolution"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifoldFacts:
    """A snapshot at the time of the request."""

    id: str
    creator: str
    outcome_type: str
    resolution: str
    resolution_probability: float | None
    resolved_at: datetime | None
    closed_at: datetime | None
    """`closeTime`: the creator's date or the resolution, whichever came first."""
    bettors: float | None
    token: str
    sibling_id: str


ManifoldMarket = Listed[ManifoldFacts]


def manifold_outcome(*, resolved: bool, resolution: str, probability: float | None, outcome_type: str = "BINARY") -> Verdict:
    """(status, value, reason). A MKT resolution is a probability, never rounded, not even from 0 or 1."""
    if outcome_type != "BINARY":
        return "not_yes_no", None, f"its outcomeType is {outcome_type!r}; only a BINARY question has a truth to score"
    if not resolved:
        return "unresolved", None, "isResolved is false"
    if resolution == "MKT":
        half = probability == 0.5
        return ("fifty_fifty" if half else "not_yes_no"), None, f"resolved to a probability of {probability} (MKT)"
    unknown: Verdict = ("contradictory", None, f"the resolution {resolution!r} is none of YES, NO, MKT, CANCEL")
    return _RESOLUTIONS.get(resolution, unknown)


def parse_manifold(row: Mapping[str, Any]) -> ManifoldMarket:
    """Raises SchemaChange."""
    field = Reader(row, f"Manifold market {name_of(row, 'id')}")
    id, sibling = field.text("id"), field.optional_text("siblingContractId")
    probability = field.number("resolutionProbability")
    opened_at, resolved_at = field.milliseconds("createdTime"), field.milliseconds("resolutionTime")
    resolution, outcome_type = field.optional_text("resolution"), field.text("outcomeType")
    status, value, reason = manifold_outcome(
        resolved=field.flag("isResolved"), resolution=resolution, probability=probability, outcome_type=outcome_type
    )
    if status == "resolved" and opened_at and resolved_at and resolved_at < opened_at:
        status, value = "contradictory", None
        reason = f"resolved at {resolved_at.isoformat()}, before it was created at {opened_at.isoformat()}"
    return Listed(
        market=Market(
            id=id,
            source=NAME,
            event_id=f"{NAME}:{min(id, sibling) if sibling else id}",
            simulated=False,
            url=field.optional_text("url"),
            question=field.text("question"),
            opened_at=opened_at,
        ),
        outcome=Outcome(market_id=id, status=status, value=value, resolved_at=resolved_at, reason=reason),
        facts=ManifoldFacts(
            id=id,
            creator=field.optional_text("creatorUsername"),
            outcome_type=outcome_type,
            resolution=resolution,
            resolution_probability=probability,
            resolved_at=resolved_at,
            closed_at=field.milliseconds("closeTime"),
            bettors=field.count("uniqueBettorCount"),
            token=field.optional_text("token"),
            sibling_id=sibling,
        ),
        evidence=evidence(
            resolution=resolution, resolutionProbability=probability, resolutionTime=resolved_at, outcomeType=outcome_type
        ),
        volume=field.count("volume"),
    )


class Manifold(Paged):
    """The venue; `aside` is where payloads that could not be read are kept."""

    name = NAME
    base_url = BASE_URL
    requests_per_second = REQUESTS_PER_SECOND
    checked_against = "documentation only: no recording exists"
    needs = "nothing"

    async def pages(self, query: Query, *, resume: Completeness | None = None) -> AsyncIterator[Page[ManifoldFacts]]:
        """Raises FetchError, SchemaChange, DataError."""
        so_far = resume.going_on(NAME, query) if resume else self._begin(query)
        while not so_far.ended:
            before, ties = orjson.loads(so_far.cursor)
            asked = [
                ("term", ""),
                ("filter", "resolved"),
                ("contractType", "BINARY"),
                ("sort", "newest"),
                ("limit", str(_PAGE_SIZE)),
                ("beforeTime", str(before)),
            ]
            check = partial(self._page, so_far=so_far, before=before, ties=frozenset(ties))
            page = await self._client.get_json(self._service, "/search-markets", asked, check=check)
            so_far = page.so_far
            yield page

    def open_pages(self, wanted: Deadlines) -> AsyncIterator[Listing]:
        """What is open now, all of it: the deadlines are held against the rows. Raises FetchError, DataError."""
        return manifold_open(self._client, self._service, parse_manifold, self._aside)

    async def prices(
        self, row: ManifoldMarket, as_of: datetime, *, since: datetime | None = None, max_pages: int = 200
    ) -> Prices:
        """The probability after each bet."""
        return await bet_prices(self._client, self._service, row.market, as_of=as_of, since=since, max_pages=max_pages)

    async def _by_id(self, market_id: str, facts: Mapping[str, Any]) -> ManifoldMarket:
        def check(payload: Any) -> ManifoldMarket:
            read = parse_manifold(Reader.of(payload, f"Manifold market {market_id}").row)
            return same_market(read, market_id)

        return await self._client.get_json(self._service, f"/market/{market_id}", check=check)

    def _begin(self, query: Query) -> Completeness:
        # A market that was created after the window's end cannot have resolved in it.
        cursor = orjson.dumps([int(query.before.timestamp() * 1000) + 1, []]).decode()
        return Completeness(venue=NAME, clock="resolutionTime", query=query, started_at=self._clock(), cursor=cursor)

    def _page(self, payload: Any, *, so_far: Completeness, before: int, ties: frozenset[str]) -> Page[ManifoldFacts]:
        rows = rows_of(payload, None, "Manifold list of markets", self._aside)
        created = [at for row in rows if (at := _created(row)) is not None]
        if rows and not created:
            raise DataError(f"not one of {len(rows)} Manifold markets has a createdTime, so their order is unknown")
        if any(a < b for a, b in pairwise(created)) or (created and created[0] >= before):
            raise BadAnswer(
                "page out of order", f"asked for markets created before {before}, newest first, got {created[:3]}, …"
            )
        fresh = [row for row in rows if not (isinstance(row, Mapping) and id_of(row, "id") in ties)]
        if len(rows) >= _PAGE_SIZE and not fresh:
            raise DataError(f"{_PAGE_SIZE} Manifold markets or more share one createdTime, so the list cannot be paged")
        if not rows:  # a short page may be a clamped one, so only an empty one is the end
            return next_page(so_far, (), _resolved, id_field="id", aside=self._aside, ended="last page")
        last = created[-1]
        tied = [id for row in rows if (id := id_of(row, "id")) and _created(row) == last]
        cursor = orjson.dumps([last + 1, tied] if fresh else [last, []]).decode()
        return next_page(so_far, fresh, _resolved, id_field="id", aside=self._aside, cursor=cursor)


def _resolved(row: Mapping[str, Any]) -> ManifoldMarket:
    read = parse_manifold(row)
    if not row.get("isResolved"):
        raise DataError(
            f"Manifold market {read.market.id}: asked for resolved markets, got one that is not; "
            "the service ignores `filter`, so its list cannot be trusted: check the base URL"
        )
    return read


def _created(row: Any) -> int | None:
    """The createdTime that orders the list; None for a row that cannot be read and will be refused."""
    if not isinstance(row, Mapping):
        return None
    try:
        at = Reader(row, "a row of a Manifold list").milliseconds("createdTime")
    except SchemaChange:
        return None
    return None if at is None else int(row["createdTime"])
