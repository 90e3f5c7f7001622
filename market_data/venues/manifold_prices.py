"""Manifold's bets as prices: the probability right after each bet is that of the last trade, up to as-of.

Bets come newest first, by pages of 1000 (`before`: the id of the last one), from `beforeTime` on. A limit order is
filled later than placed, while its `probAfter` belongs to the placing: it gives no price, the bet that filled it does.
A redemption (opposite shares turned back into mana) moves no price. Not verified against a recording.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

from coordeval.market_data.errors import DataError
from coordeval.market_data.http import BadAnswer, HttpClient, Service
from coordeval.market_data.polymarket.completeness import counted
from coordeval.market_data.polymarket.fields import readable
from coordeval.market_data.types import Market, PricePoint, utc
from coordeval.market_data.venues.listing import Prices
from coordeval.market_data.venues.reading import Reader
from coordeval.market_data.venues.walk import rows_of

_PAGE_SIZE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bets:
    """One page of bets. `points` newest first; `oldest` and `last_id` are those of its last bet."""

    points: tuple[PricePoint, ...]
    dropped: Mapping[str, int]
    oldest: datetime | None
    last_id: str
    ids: frozenset[str]


async def bet_prices(
    client: HttpClient,
    service: Service,
    market: Market,
    *,
    as_of: datetime,
    since: datetime | None = None,
    max_pages: int = 200,
) -> Prices:
    """From `since` (default: the first bet) to `as_of`. Raises DataError where `max_pages` pages do not reach back to it."""
    as_of = utc(as_of, f"market {market.id}, as-of time")
    points: dict[datetime, PricePoint] = {}
    dropped: dict[str, int] = {}
    last_id, seen = "", frozenset[str]()
    for _ in range(max_pages):
        asked = [("contractId", market.id), ("limit", str(_PAGE_SIZE))]
        asked.append(("before", last_id) if last_id else ("beforeTime", str(int(as_of.timestamp() * 1000) + 1)))
        page = await client.get_json(service, "/bets", asked, check=partial(_page, market=market, as_of=as_of, seen=seen))
        for point in page.points:
            if (at := point.knowable_at) is not None and (since is None or at >= since):
                points.setdefault(at, point)  # of two bets of one millisecond the first listed is the later
        dropped = counted(dropped, page.dropped)
        last_id, seen = page.last_id, page.ids
        if page.oldest is None or (since is not None and page.oldest < since):
            ordered = tuple(points[at] for at in sorted(points))
            reason = "" if ordered else f"no bet until {as_of.isoformat()}"
            return Prices(market_id=market.id, source="bets", as_of=as_of, points=ordered, dropped=dropped, reason=reason)
    raise DataError(
        f"Manifold market {market.id}: {max_pages} pages of bets do not reach back to {since or 'the first one'}; "
        "ask for fewer (`since`) or allow more (`max_pages`)"
    )


def _page(payload: Any, *, market: Market, as_of: datetime, seen: frozenset[str]) -> Bets:
    rows = rows_of(payload, None, f"bets of Manifold market {market.id}", None)
    dropped: dict[str, int] = {}
    bets = readable(rows, partial(_bet, market=market), dropped)
    ids, times = [bet.id for bet in bets], [bet.created for bet in bets]
    if seen.intersection(ids) or len(set(ids)) < len(ids):
        raise BadAnswer("repeated page", f"bets of market {market.id} come a second time")
    if any(earlier < later for earlier, later in pairwise(times)):
        raise BadAnswer("page out of order", f"the bets of market {market.id} are not newest first")
    points: list[PricePoint] = []
    for bet in bets:
        if reason := bet.reason or ("after as-of" if bet.knowable_at > as_of else ""):
            dropped[reason] = dropped.get(reason, 0) + 1
            continue
        points.append(PricePoint(market_id=market.id, knowable_at=bet.knowable_at, price=bet.price, kind="last_trade"))
    return Bets(
        points=tuple(points),
        dropped=dropped,
        oldest=min(times, default=None),
        last_id=ids[-1] if ids else "",
        ids=frozenset(ids),
    )


@dataclass(frozen=True, slots=True)
class _Bet:
    id: str
    created: datetime
    knowable_at: datetime
    price: float
    reason: str
    """Why it gives no price; "" where it does."""


def _bet(row: Any, *, market: Market) -> _Bet:
    """Raises SchemaChange; DataError for another market's bet."""
    field = Reader.of(row, f"bet of Manifold market {market.id}")
    id, created = field.text("id"), field.milliseconds("createdTime") or field.changed("createdTime", "milliseconds")
    if (contract := field.text("contractId")) != market.id:
        raise DataError(f"Manifold market {market.id}: asked for its bets, got one of {contract}; check `contractId`")
    knowable_at, reason = _knowable(field, created)
    return _Bet(id, created, knowable_at, 0.0 if reason else field.probability("probAfter"), reason)


def _knowable(bet: Reader, created: datetime) -> tuple[datetime, str]:
    """(when the bet was filled, "") or (its time, why it gives no price)."""
    if bet.flag("isRedemption"):
        return created, "redemption"
    fills = bet.objects("fills") if bet.row.get("fills") is not None else []
    filled = [at for fill in fills if (at := Reader(fill, bet.item).milliseconds("timestamp")) is not None]
    last = max([created, *filled])
    if bet.row.get("limitProb") is not None and (not filled or last - created > timedelta(seconds=1)):
        return created, "limit order that waited"
    if not fills and bet.row.get("isFilled") is False:
        return created, "not filled"
    return last, ""
