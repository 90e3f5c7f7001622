"""Kalshi's candles as prices: what stood in the book and what was last traded at the END of each, up to as-of.

Documented (OpenAPI 3.28): `end_period_ts` is the inclusive end of the period, so a candle is knowable then and not before;
one that ends after as-of is dropped whole. `price` is null in a period without a trade; `previous` repeats an older
trade and is not read, nor is the candle that `include_latest_before_start` would invent. An empty side of the book stands
at 0 or 1, so it gives no mid. The archive writes `close` as text in dollars, where older live payloads have cents.
Not verified against a settled recording.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Literal

from coordeval.market_data.errors import DataError
from coordeval.market_data.http import FetchError, HttpClient, Service
from coordeval.market_data.polymarket.completeness import counted
from coordeval.market_data.polymarket.fields import readable
from coordeval.market_data.types import Market, PriceKind, PricePoint, utc
from coordeval.market_data.venues.listing import Prices
from coordeval.market_data.venues.reading import Reader

Period = Literal[1, 60, 1440]
"""Minutes."""
WIDEST_SPREAD = Decimal("0.10")
"""The middle of a wider spread is nobody's price; the last trade then stands alone."""
_Candle = tuple[datetime, tuple[Decimal | None, str], Decimal | None]
"""(its end, (the mid, or why there is none), the last trade)"""
_CANDLES = 5000
"""The documented limit of one request."""


async def candle_prices(
    client: HttpClient,
    service: Service,
    market: Market,
    *,
    series: str,
    archived: bool,
    as_of: datetime,
    since: datetime | None = None,
    period: Period = 60,
) -> Prices:
    """From `since` (default: the opening) to `as_of`. A market that was archived since it was listed is asked for there."""
    as_of = utc(as_of, f"market {market.id}, as-of time")
    start = since or market.opened_at
    if start is None:
        raise DataError(f"market {market.id}: it states no open_time, so say from when its prices are wanted (`since`)")
    points: dict[tuple[datetime, PriceKind], PricePoint] = {}
    dropped: dict[str, int] = {}
    while start <= as_of:
        end = min(start + timedelta(minutes=period) * (_CANDLES - 1), as_of)
        window = [("start_ts", str(int(start.timestamp()))), ("end_ts", str(int(end.timestamp())))]
        asked = [*window, ("period_interval", str(period))]
        read = partial(candle_points, market_id=market.id, start=start, end=end)
        try:
            served, left_out = await client.get_json(service, _path(market.id, series, archived), asked, check=read)
        except FetchError as error:
            if error.status != 404:
                raise
            archived = not archived
            served, left_out = await client.get_json(service, _path(market.id, series, archived), asked, check=read)
        points |= {(at, point.kind): point for point in served if (at := point.knowable_at) is not None}
        dropped = counted(dropped, left_out)
        start = end + timedelta(seconds=1)
    ordered = tuple(points[key] for key in sorted(points))
    return Prices(market_id=market.id, source="candlesticks", as_of=as_of, points=ordered, dropped=dropped)


def candle_points(
    payload: Any, *, market_id: str, start: datetime, end: datetime
) -> tuple[tuple[PricePoint, ...], dict[str, int]]:
    """(points of the candles that end within [start, end], what was dropped by reason). Raises SchemaChange, DataError."""
    answer = Reader.of(payload, f"candles of Kalshi market {market_id}")
    if (ticker := answer.text("ticker")) != market_id:
        raise DataError(f"Kalshi market {market_id}: the candles are those of {ticker}; check the base URL")
    points: dict[tuple[datetime, PriceKind], PricePoint] = {}
    dropped: dict[str, int] = {}

    def read(candle: Any) -> _Candle:
        field = Reader.of(candle, answer.item, "a candle")
        at = field.seconds("end_period_ts") or field.changed("end_period_ts", "seconds since 1970")
        return at, _mid(field), field.inner("price").dollars("close")

    for at, (mid, why_not), trade in readable(answer.rows("candlesticks"), read, dropped):
        if at > end or at < start:
            reason = "candle ends after the window" if at > end else "candle ends before the window"
            dropped[reason] = dropped.get(reason, 0) + 1
            continue
        if why_not:
            dropped[why_not] = dropped.get(why_not, 0) + 1
        prices: tuple[tuple[PriceKind, Decimal | None], ...] = (("mid", mid), ("last_trade", trade))
        for kind, price in prices:
            if price is None:
                continue
            if (at, kind) in points:
                dropped["a second candle of the same time"] = dropped.get("a second candle of the same time", 0) + 1
                continue
            points[at, kind] = PricePoint(market_id=market_id, knowable_at=at.astimezone(UTC), price=float(price), kind=kind)
    return tuple(points[key] for key in sorted(points)), dropped


def _mid(candle: Reader) -> tuple[Decimal | None, str]:
    """(middle of the closing quotes, "") or (None, why there is none)."""
    bid, ask = candle.inner("yes_bid").dollars("close"), candle.inner("yes_ask").dollars("close")
    if bid is None or ask is None or bid == 0 or ask in (0, 1):
        return None, "no mid: a side of the book is empty"
    if bid > ask:
        return None, "no mid: the bid is above the ask"
    if ask - bid > WIDEST_SPREAD:
        return None, f"no mid: the spread is wider than {WIDEST_SPREAD}"
    return (bid + ask) / 2, ""


def _path(ticker: str, series: str, archived: bool) -> str:
    return f"/historical/markets/{ticker}/candlesticks" if archived else f"/series/{series}/markets/{ticker}/candlesticks"
