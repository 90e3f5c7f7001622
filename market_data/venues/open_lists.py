"""The markets that are open now, of each venue that lists them: every page to the end, none twice.

What a venue's filter leaves to it is held against each row again, because an unknown parameter is ignored in silence. A row
whose resolution is proposed or disputed still trades, at a price near 0 or 1: it is passed over, since its answer is known.
Of the three only Polymarket's rows were held against recordings of open markets; the others follow documentation.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.http import BadAnswer, HttpClient, Service
from coordeval.market_data.opening import Deadlines, Listing, OpenMarket
from coordeval.market_data.polymarket.fields import unfit
from coordeval.market_data.polymarket.gamma import PAGE_SIZE, page_of
from coordeval.market_data.polymarket.parse import Listed, parse_markets
from coordeval.market_data.venues.reading import Reader
from coordeval.market_data.venues.walk import rows_of

_KALSHI_PAGE = 1000
_MANIFOLD_PAGE = 1000
_FAR = 10**14
"""Milliseconds: later than any market was created."""
_SAME_FAULT = 10
"""A page of at least so many rows of which not one can be read is a changed schema, not so many bad rows."""

Read = Callable[[Any], Any]


class _Pages:
    """What was seen so far: a page that comes again, or a cursor that does not advance, is an error and no end."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.cursors: set[str] = set()

    def check(self, ids: list[str], cursor: str) -> None:
        """Raises BadAnswer."""
        if repeated := next((one for one in ids if one in self.seen), None):
            raise BadAnswer("repeated page", f"market {repeated} comes a second time in a list of open markets")
        if cursor and cursor in self.cursors:
            raise BadAnswer("repeated page", f"the cursor does not advance: {cursor!r:.60} was there before")

    def add(self, ids: list[str], cursor: str) -> None:
        self.seen.update(ids)
        self.cursors.add(cursor)


async def polymarket_open(
    client: HttpClient, gamma: Service, wanted: Deadlines, aside: Path | None
) -> AsyncIterator[Listing]:
    """Gamma's keyset list with `closed=false`, filtered by nominal deadline and volume. Raises FetchError, DataError."""
    pages, cursor = _Pages(), ""
    sent = [("closed", "false"), ("limit", str(PAGE_SIZE)), ("include_tag", "true")]
    sent += [("end_date_min", f"{wanted.after:%Y-%m-%dT%H:%M:%SZ}"), ("end_date_max", f"{wanted.before:%Y-%m-%dT%H:%M:%SZ}")]
    if wanted.min_volume > 0:
        sent.append(("volume_num_min", f"{wanted.min_volume:.0f}"))

    def read(payload: Any) -> tuple[list[Any], str]:
        rows, following = page_of(payload, "markets", aside)
        pages.check([str(row.get("id")) for row in rows if isinstance(row, Mapping)], following or "")
        return rows, following or ""

    while True:
        asked = [*sent, ("after_cursor", cursor)] if cursor else sent
        rows, cursor = await client.get_json(gamma, "/markets/keyset", asked, check=read)
        pages.add([str(row.get("id")) for row in rows if isinstance(row, Mapping)], cursor)
        found = parse_markets(rows, aside)
        listed = [row for row in found if isinstance(row, Listed)]
        _readable(len(rows), len(listed), "Polymarket")
        passed = Counter({"cannot be read": len(found) - len(listed)})
        markets = []
        for row in listed:
            if reason := _passed(row):
                passed[reason] += 1
                continue
            facts = row.facts
            markets.append(
                OpenMarket(
                    market=row.market,
                    closes_at=row.market.scheduled_close,
                    volume=facts.volume,
                    facts=facts,
                    row=row,
                    starts_at=facts.starts_at,
                )
            )
        yield Listing(markets=tuple(markets), passed_over={name: count for name, count in passed.items() if count})
        if not cursor:
            return


async def kalshi_open(client: HttpClient, service: Service, parse: Read, aside: Path | None) -> AsyncIterator[Listing]:
    """`status=open` alone: its filters by closing time do not go with that status. Raises FetchError, DataError."""
    pages, cursor = _Pages(), ""

    def read(payload: Any) -> tuple[list[Any], str]:
        rows = rows_of(payload, "markets", "Kalshi page of open markets", aside)
        following = payload.get("cursor")
        if not isinstance(following, str) or unfit(following):
            raise BadAnswer("no cursor", "a page of open Kalshi markets has no cursor, so the list may be cut short")
        pages.check(_ids(rows, "ticker"), following)
        return rows, following

    while True:
        asked = [("limit", str(_KALSHI_PAGE)), ("mve_filter", "exclude"), ("status", "open")]
        asked += [("cursor", cursor)] if cursor else []
        rows, cursor = await client.get_json(service, "/markets", asked, check=read)
        pages.add(_ids(rows, "ticker"), cursor)
        yield _listing(rows, parse, "Kalshi")
        if not cursor:
            return


async def manifold_open(client: HttpClient, service: Service, parse: Read, aside: Path | None) -> AsyncIterator[Listing]:
    """Open binary questions, the newest first, back to the first. `closeTime` of an open one is its announced deadline.

    Raises FetchError, DataError.
    """
    before, tied = _FAR, frozenset[str]()

    def read(payload: Any, *, before: int) -> list[Any]:
        rows = rows_of(payload, None, "Manifold list of open markets", aside)
        created = [
            row["createdTime"] for row in rows if isinstance(row, Mapping) and isinstance(row.get("createdTime"), int)
        ]
        if created != sorted(created, reverse=True) or (created and created[0] >= before):
            raise BadAnswer(
                "page out of order", f"asked for markets created before {before}, newest first, got {created[:3]}"
            )
        return rows

    while True:
        asked = [("term", ""), ("filter", "open"), ("contractType", "BINARY"), ("sort", "newest")]
        asked += [("limit", str(_MANIFOLD_PAGE)), ("beforeTime", str(before))]
        rows = await client.get_json(service, "/search-markets", asked, check=partial(read, before=before))
        fresh = [row for row in rows if not (isinstance(row, Mapping) and row.get("id") in tied)]
        created = [
            row["createdTime"] for row in rows if isinstance(row, Mapping) and isinstance(row.get("createdTime"), int)
        ]
        if not created:
            return
        yield _listing(fresh, parse, "Manifold")
        last = created[-1]
        # several share a millisecond: those of the last one come again, and are told by their ids
        tied = frozenset(str(row["id"]) for row in rows if row.get("createdTime") == last and "id" in row) if fresh else tied
        before = last + 1 if fresh else last


def _listing(rows: list[Any], parse: Read, name: str) -> Listing:
    """Rows of a venue whose parser raises for one that cannot be read, and says why one is passed over."""
    passed: Counter[str] = Counter()
    markets, readable = [], 0
    for row in rows:
        try:
            found = parse(Reader.of(row, f"{name} row").row)
        except (CoordevalError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError):
            passed["cannot be read"] += 1
            continue
        readable += 1
        if isinstance(found, str) or (reason := _passed(found)):
            passed[found if isinstance(found, str) else reason] += 1
            continue
        closes = found.market.scheduled_close or getattr(found.facts, "closed_at", None)
        market = replace(found.market, scheduled_close=closes)  # announced by now, so it may be shown
        markets.append(OpenMarket(market=market, closes_at=closes, volume=found.volume, facts=found.facts, row=found))
    _readable(len(rows), readable, name)
    return Listing(markets=tuple(markets), passed_over=dict(passed))


def _passed(row: Any) -> str:
    """Why an open market is not to be forecast; "" where nothing is known of its end."""
    status = row.outcome.status
    return "" if status == "unresolved" else f"listed as open, but its outcome is {status.replace('_', ' ')}"


def _readable(rows: int, readable: int, name: str) -> None:
    if rows >= _SAME_FAULT and not readable:
        raise CoordevalError(f"{name}: not one of {rows} open markets of a page can be read, so its schema has changed")


def _ids(rows: list[Any], field: str) -> list[str]:
    return [str(row[field]) for row in rows if isinstance(row, Mapping) and field in row]
