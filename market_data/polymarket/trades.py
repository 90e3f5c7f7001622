"""Trades as the fallback price: their volume-weighted mean and the last of them, before as-of, stated as such.

`/v2/trades` serves a market's fills newest first and ignores `start` and `end` for a market, so pages are read until they
reach back far enough, and every trade is held against the window. Version 1 (`/trades`, retired in October 2026) has the
same fields in camel case; its recordings are read too. A trade of NO at p is one of YES at 1 − p.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from coordeval.market_data.errors import DataError
from coordeval.market_data.http import BadAnswer, HttpClient, Service
from coordeval.market_data.polymarket.fields import SchemaChange, readable, unfit
from coordeval.market_data.polymarket.parse import Listed
from coordeval.market_data.polymarket.prices import yes_token
from coordeval.market_data.types import PricePoint, utc

UNLABELLED = 999
"""`outcome_index` of a trade whose outcome the venue could not name."""
_PAGE_SIZE = 1000
_SECONDS_END = 10**11


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    time: datetime
    yes_price: float
    size: float
    """Shares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradePrices:
    """Prices from trades in [as_of − span, as_of]: no points where there were none, or where `reason` says why not."""

    market_id: str
    as_of: datetime
    points: tuple[PricePoint, ...]
    trades: int
    dropped: Mapping[str, int]
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    trades: tuple[Trade, ...]
    dropped: Mapping[str, int]
    oldest: datetime | None
    next_cursor: str | None


async def trade_prices(
    client: HttpClient, data: Service, listed: Listed, as_of: datetime, span: timedelta, *, max_pages: int = 50
) -> TradePrices:
    """VWAP and last trade of the `span` before `as_of`. Raises DataError for another market's trades.

    A market with more than `max_pages` pages of later trades gives no price, with that reason.
    """
    as_of = utc(as_of, f"market {listed.market.id}, as-of time")
    start, kept, cursor = as_of - span, list[Trade](), None
    dropped: dict[str, int] = {}
    for _ in range(max_pages):
        asked = [("condition", listed.market.id), ("taker_only", "true")]
        asked.append(("cursor", cursor) if cursor else ("limit", str(_PAGE_SIZE)))
        batch = await client.get_json(data, "/v2/trades", asked, check=partial(_batch, listed=listed, cursor=cursor))
        for reason, count in batch.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + count
        kept += [trade for trade in batch.trades if start <= trade.time <= as_of]
        cursor = batch.next_cursor
        if cursor is None or (batch.oldest is not None and batch.oldest < start):
            break
    else:
        reason = f"its newest {max_pages} pages of trades do not reach back to {start.isoformat()}"
        return TradePrices(market_id=listed.market.id, as_of=as_of, points=(), trades=0, dropped=dropped, reason=reason)
    points = trade_points(kept, listed.market.id)
    reason = "" if points else f"no trade between {start.isoformat()} and {as_of.isoformat()}"
    return TradePrices(
        market_id=listed.market.id, as_of=as_of, points=points, trades=len(kept), dropped=dropped, reason=reason
    )


def trade_points(trades: Iterable[Trade], market_id: str) -> tuple[PricePoint, ...]:
    """The volume-weighted mean, knowable at the last trade, and that trade itself; () without trades."""
    ordered = sorted(trades, key=lambda trade: (trade.time, trade.yes_price, trade.size))
    if not ordered:
        return ()
    shares = sum(trade.size for trade in ordered)
    vwap = min(1.0, max(0.0, sum(trade.yes_price * trade.size for trade in ordered) / shares))
    last = ordered[-1]
    return (
        PricePoint(market_id=market_id, knowable_at=last.time, price=vwap, kind="trade_vwap"),
        PricePoint(market_id=market_id, knowable_at=last.time, price=last.yes_price, kind="last_trade"),
    )


def parse_trades(rows: Iterable[Mapping[str, Any]], listed: Listed) -> tuple[tuple[Trade, ...], dict[str, int]]:
    """(trades as prices of YES, what was dropped by reason). Raises SchemaChange; DataError for another market's trade."""
    yes = listed.facts.tokens.index(yes_token(listed))
    dropped: dict[str, int] = {}

    def read(row: Any) -> Trade | None:
        if not isinstance(row, Mapping):
            raise SchemaChange(f"trade of market {listed.market.id}", "(itself)", "an object", row)
        condition, token = _either(row, "condition_id", "conditionId"), _either(row, "token_id", "asset")
        if not isinstance(condition, str) or unfit(condition):
            raise SchemaChange(f"trade of market {listed.market.id}", "condition_id", "text", condition)
        if condition != listed.market.id:
            raise DataError(
                f"market {listed.market.id}: asked for its trades, got one of {condition:.80}; check `condition`"
            )
        index = _either(row, "outcome_index", "outcomeIndex")
        if index == UNLABELLED:
            dropped["outcome not labelled (999)"] = dropped.get("outcome not labelled (999)", 0) + 1
            return None
        if (
            isinstance(index, bool)
            or not isinstance(index, int)
            or not 0 <= index < 2
            or listed.facts.tokens[index] != token
        ):
            raise SchemaChange(f"trade of market {condition}", "token_id", "the token of its outcome_index", (index, token))
        price, size, at = (_number(row, field, condition) for field in ("price", "size", "timestamp"))
        if not price <= 1 or size == 0 or at >= _SECONDS_END:
            raise SchemaChange(
                f"trade of market {condition}",
                "price",
                "a price in [0, 1], a size above 0 and a time in seconds",
                (price, size, at),
            )
        yes_price = price if index == yes else float(1 - Decimal(repr(price)))
        return Trade(time=datetime.fromtimestamp(at, UTC), yes_price=yes_price, size=size)

    return tuple(trade for trade in readable(rows, read, dropped) if trade is not None), dropped


def _batch(payload: Any, *, listed: Listed, cursor: str | None) -> _Batch:
    rows = payload.get("data") if isinstance(payload, dict) else None
    paging = payload.get("pagination") if isinstance(payload, dict) else None
    if not isinstance(rows, list) or not isinstance(paging, dict):
        raise SchemaChange(f"trades of market {listed.market.id}", "data, pagination", "a list and an object", payload)
    following = paging.get("next_cursor")
    if not (following is None or isinstance(following, str)) or unfit(following or ""):
        raise SchemaChange(f"trades of market {listed.market.id}", "pagination.next_cursor", "text, or null", following)
    if following is not None and following == cursor:
        raise BadAnswer("repeated page", f"the cursor {cursor!r:.60} does not advance")
    trades, dropped = parse_trades(rows, listed)
    oldest = min((trade.time for trade in trades), default=None)
    return _Batch(trades=trades, dropped=dropped, oldest=oldest, next_cursor=following)


def _either(row: Mapping[str, Any], name: str, old: str) -> Any:
    return row[name] if name in row else row.get(old)


def _number(row: Mapping[str, Any], field: str, condition: str) -> float:
    value = row.get(field)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise SchemaChange(f"trade of market {condition}", field, "a number from 0", value)
    return value
