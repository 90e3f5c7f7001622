"""Price histories of the YES token: the CLOB in windows, the Data API at one instant.

CLOB points are midpoints sampled at their own time (in two recordings of one token, at fidelity 1 and 10, all 144 common
times carry the same price), so one is knowable at `t`. Data API points are stamped with the start of their bucket,
so one is knowable at `timestamp + resolution_seconds`. Whatever a server adds beyond what was asked for is dropped
and counted: a stray "now" point after the window, points after as-of, settlement points.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from coordeval.market_data.errors import DataError
from coordeval.market_data.http import HttpClient, Service
from coordeval.market_data.polymarket.completeness import counted
from coordeval.market_data.polymarket.fields import SchemaChange, readable
from coordeval.market_data.polymarket.parse import Listed
from coordeval.market_data.types import PricePoint, utc

WINDOW = timedelta(days=15)
"""The CLOB refuses a longer window (1,296,000 s) with 400, at any fidelity."""
FIRST_PRICES = datetime(2022, 11, 18, tzinfo=UTC)
"""Nothing is served from before (AMM era)."""
_SECONDS_END = 10**11


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One answered request. No points is an answer too: not a proof that nobody traded."""

    start: datetime
    end: datetime
    points: int
    dropped: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceHistory:
    """The points of one market up to `as_of`, oldest first, one per moment, and what was asked and dropped."""

    market_id: str
    source: str
    as_of: datetime
    points: tuple[PricePoint, ...]
    windows: tuple[Window, ...]

    @property
    def dropped(self) -> dict[str, int]:
        total: dict[str, int] = {}
        for window in self.windows:
            total = counted(total, window.dropped)
        return total


async def clob_history(
    client: HttpClient, clob: Service, listed: Listed, as_of: datetime, *, since: datetime | None = None
) -> PriceHistory:
    """Midpoints from `since` (default: the opening) to `as_of`, about one a minute. Raises DataError without a YES token."""
    token, as_of = yes_token(listed), utc(as_of, f"market {listed.market.id}, as-of time")
    start = max(since or listed.market.opened_at or FIRST_PRICES, FIRST_PRICES)
    points: dict[datetime, PricePoint] = {}
    windows: list[Window] = []
    while start <= as_of:
        end = min(start + WINDOW, as_of)
        asked = [("market", token), ("startTs", str(_up(start))), ("endTs", str(int(end.timestamp()))), ("fidelity", "1")]
        read = partial(clob_points, market_id=listed.market.id, start=start, end=end)
        served, window = await client.get_json(clob, "/prices-history", asked, check=read)
        points |= {at: point for point in served if (at := point.knowable_at) is not None}
        windows.append(window)
        start = end + timedelta(seconds=1)
    ordered = tuple(points[at] for at in sorted(points))
    return PriceHistory(market_id=listed.market.id, source="clob", as_of=as_of, points=ordered, windows=tuple(windows))


async def price_as_of(client: HttpClient, data: Service, listed: Listed, as_of: datetime) -> PriceHistory:
    """The Data API's latest observation at `as_of`: at most one point, often none for what lies months back."""
    as_of = utc(as_of, f"market {listed.market.id}, as-of time")
    asked = [("token_id", yes_token(listed)), ("as_of", str(int(as_of.timestamp())))]
    read = partial(data_points, market_id=listed.market.id, as_of=as_of)
    points, window = await client.get_json(data, "/v2/prices-history", asked, check=read)
    return PriceHistory(market_id=listed.market.id, source="data", as_of=as_of, points=points, windows=(window,))


def clob_points(payload: Any, *, market_id: str, start: datetime, end: datetime) -> tuple[tuple[PricePoint, ...], Window]:
    """The points of `{"history": [{"t", "p"}, …]}` within [start, end], oldest first. Raises SchemaChange.

    Of two points with one time the first counts: the second is the price at the time of the request, added at the end.
    """
    item = f"price history of market {market_id}"
    kept: dict[int, PricePoint] = {}
    dropped: dict[str, int] = {}

    def read(point: Any) -> tuple[int, float]:
        return _time(point, "t", item), _price(point, "p", item)

    for t, p in readable(_list(payload, "history", item), read, dropped):
        if reason := _outside(t, start, end) or ("a second point of the same time" if t in kept else ""):
            dropped[reason] = dropped.get(reason, 0) + 1
        else:
            kept[t] = PricePoint(market_id=market_id, knowable_at=datetime.fromtimestamp(t, UTC), price=p, kind="mid")
    window = Window(start=start, end=end, points=len(kept), dropped=dropped)
    return tuple(kept[t] for t in sorted(kept)), window


def data_points(payload: Any, *, market_id: str, as_of: datetime) -> tuple[tuple[PricePoint, ...], Window]:
    """The points of a Data API v2 answer that were knowable at `as_of`, oldest first. Raises SchemaChange.

    `resolution_seconds` 0 marks a settlement (0, 1 or a fraction, possibly stamped before the closing) and also a single
    tick. The payload does not say which, so both are dropped. Nor does it say what its price is: kind "unstated".
    """
    item = f"Data API prices of market {market_id}"
    kept: dict[datetime, PricePoint] = {}
    dropped: dict[str, int] = {}

    def read(point: Any) -> tuple[int, float, int]:
        return _time(point, "timestamp", item), _price(point, "price", item), _time(point, "resolution_seconds", item)

    for t, p, width in readable(_list(payload, "data", item), read, dropped):
        knowable_at = datetime.fromtimestamp(t + width, UTC)
        if width == 0:
            reason = "settlement or single tick"
        elif knowable_at > as_of:
            reason = "bucket ends after as-of" if t <= as_of.timestamp() else "after as-of"
        elif knowable_at in kept:
            reason = "a second point of the same time"
        else:
            kept[knowable_at] = PricePoint(market_id=market_id, knowable_at=knowable_at, price=p, kind="unstated")
            continue
        dropped[reason] = dropped.get(reason, 0) + 1
    window = Window(start=as_of, end=as_of, points=len(kept), dropped=dropped)
    return tuple(kept[at] for at in sorted(kept)), window


def yes_token(listed: Listed) -> str:
    """Raises DataError where the market has no outcome "Yes", or no tokens."""
    if listed.facts.yes_token is None:
        raise DataError(
            f"market {listed.market.id}: it has no YES token (outcomes {' / '.join(listed.facts.labels)}, "
            f"{len(listed.facts.tokens)} tokens), so it has no price of YES; leave it out"
        )
    return listed.facts.yes_token


def _outside(t: int, start: datetime, end: datetime) -> str:
    if t < start.timestamp():
        return "before the window"
    return "after the window" if t > end.timestamp() else ""


def _up(at: datetime) -> int:
    """The first whole second that is not before `at`."""
    return -int(-at.timestamp() // 1)


def _list(payload: Any, field: str, item: str) -> list[Any]:
    points = payload.get(field) if isinstance(payload, dict) else None
    if not isinstance(points, list):
        raise SchemaChange(item, field, "a list of objects", points)
    return points


def _time(point: Any, field: str, item: str) -> int:
    if not isinstance(point, dict):
        raise SchemaChange(item, "a point", "an object", point)
    value = point.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _SECONDS_END:
        raise SchemaChange(item, field, "whole seconds", value)
    return value


def _price(point: Mapping[str, Any], field: str, item: str) -> float:
    value = point.get(field)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise SchemaChange(item, field, "a number in [0, 1]", value)
    return float(value)
