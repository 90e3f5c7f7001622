"""The made-up markets of the local stand-in, in the shapes that the venues document."""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from math import sin
from random import Random
from typing import Any

from starlette.datastructures import QueryParams

Json = dict[str, Any]
Answer = tuple[int, Any]
START = datetime(2026, 1, 1, tzinfo=UTC)
BORDER = START + timedelta(days=45)
"""Kalshi's archive holds what settled before."""
_HOUR = timedelta(hours=1)
_MANIFOLD = {"term", "filter", "contractType", "sort", "limit", "offset", "beforeTime"}


@dataclass(frozen=True)
class GeneratedVenues:
    """`markets` of each venue. Market i opens i hours after START and resolves within 60 days, an eighth to no YES or NO."""

    markets: int = 500
    seed: int = 1
    page_limit: int = 1000
    """No page is longer, whatever `limit` asks for."""
    leaky: bool = False
    now: datetime | None = None
    """What resolves later is open, and what opens later is not there. None: all is over."""

    def still_open(self, i: int) -> bool:
        return self.now is not None and self.resolved(i) > self.now

    def there(self, i: int) -> bool:
        return self.now is None or self.opened(i) <= self.now

    def yes(self, i: int) -> bool:
        return Random(f"{self.seed}:{i}").random() < 0.4

    def opened(self, i: int) -> datetime:
        return START + i * _HOUR

    def resolved(self, i: int) -> datetime:
        return self.opened(i) + timedelta(hours=24 + Random(f"{self.seed}:{i}:end").randrange(59 * 24), seconds=17)

    def price(self, i: int, at: datetime) -> float:
        """A path between 0.1 and 0.9 that knows nothing of the outcome."""
        return round(0.5 + 0.4 * sin(i + (at - START) / timedelta(days=3)), 2)

    # Kalshi

    @cached_property
    def kalshi_rows(self) -> list[Json]:
        """In no order that a client could rely on."""
        return [
            self.kalshi_row(i)
            for i in sorted(range(self.markets), key=lambda i: Random(f"{self.seed}:{i}:order").random())
            if self.there(i)
        ]

    def kalshi_row(self, i: int) -> Json:
        won: tuple[str, str | None] = ("yes", "1.0000") if self.yes(i) else ("no", "0.0000")
        result, value = {5: ("scalar", "0.3500"), 6: ("scalar", "0.5000"), 7: ("", None)}.get(i % 24, won)
        settled = self.resolved(i)
        row: Json = {
            "ticker": f"KXSIM-{i // 3:05d}-T{i % 3}",
            "event_ticker": f"KXSIM-{i // 3:05d}",
            "market_type": "binary",
            "title": f"Will index {i // 3} pass its mark?",
            "yes_sub_title": f"Above {i % 3}",
            "rules_primary": f"If index {i // 3} is above {i % 3}, then the market resolves to Yes.",
            "rules_secondary": "",
            "open_time": iso(self.opened(i)),
            "close_time": iso(settled - _HOUR),
            "latest_expiration_time": iso(self.opened(i) + timedelta(days=90)),
            "can_close_early": True,
            "status": "finalized",
            "result": result,
            "settlement_value_dollars": value,
            "settlement_ts": iso(settled),
            "notional_value_dollars": "1.0000",
            "last_price_dollars": "0.9900",
            "volume_fp": f"{100 * i}.00",
        }
        if self.still_open(i):
            row |= {"status": "active", "result": "", "close_time": row["latest_expiration_time"]}
            del row["settlement_ts"], row["settlement_value_dollars"]
        return row | ({"mve_collection_ticker": "KXMVE", "mve_selected_legs": [{}]} if i % 24 == 8 else {})

    def kalshi_markets(self, params: QueryParams, *, archived: bool) -> Answer:
        if params.get("status") == "settled" and {"min_close_ts", "max_close_ts"} & set(params):
            return 400, {"code": "invalid_parameters", "message": "min_close_ts is incompatible with status=settled"}
        asked_open = params.get("status") == "open"
        if asked_open and {"min_close_ts", "max_close_ts"} & set(params):
            return 400, {"code": "invalid_parameters", "message": "min_close_ts is incompatible with status=open"}
        rows = [row for row in self.kalshi_rows if (row.get("settlement_ts", "~") < iso(BORDER)) == archived]
        rows = [row for row in rows if archived or (row["status"] == "active") == asked_open]
        if params.get("mve_filter") == "exclude":
            rows = [row for row in rows if "mve_collection_ticker" not in row]
        if not archived and not asked_open:
            after, before = (int(params.get(name, of)) for name, of in (("min_settled_ts", 0), ("max_settled_ts", 10**10)))
            rows = [row for row in rows if after < datetime.fromisoformat(row["settlement_ts"]).timestamp() < before]
        limit = min(int(params.get("limit", 100)), self.page_limit)
        start = int(base64.urlsafe_b64decode(params["cursor"])) if params.get("cursor") else 0
        more = base64.urlsafe_b64encode(str(start + limit).encode()).decode() if start + limit < len(rows) else ""
        return 200, {"markets": rows[start : start + limit], "cursor": more}

    def kalshi_market(self, ticker: str, *, archived: bool) -> Answer:
        rows = [row for row in self.kalshi_rows if row["ticker"] == ticker]
        if not rows or (rows[0].get("settlement_ts", "~") < iso(BORDER)) != archived:
            return 404, {"code": "not_found", "message": "market not found"}
        return 200, {"market": rows[0]}

    def kalshi_candles(self, ticker: str, params: QueryParams, *, archived: bool) -> Answer:
        found = [i for i in range(self.markets) if self.kalshi_row(i)["ticker"] == ticker]
        if not found or (self.resolved(found[0]) < BORDER) != archived:
            return 404, {"code": "not_found", "message": "market not found"}
        step = timedelta(minutes=int(params["period_interval"]))
        start, end = (datetime.fromtimestamp(int(params[name]), UTC) for name in ("start_ts", "end_ts"))
        if (end - start) / step > 5000:
            return 400, {"code": "bad_request", "message": "too many candlesticks requested"}
        at = START + -(-max(start - START, timedelta(0)) // step) * step
        candles = []
        while at <= end + (step if self.leaky else timedelta(0)):
            candles.append(self._candle(found[0], at, archived=archived))
            at += step
        return 200, {"ticker": ticker, "candlesticks": candles}

    def _candle(self, i: int, at: datetime, *, archived: bool) -> Json:
        name, price, hours = ("close" if archived else "close_dollars"), self.price(i, at), (at - self.opened(i)) // _HOUR
        bid, ask = (price - 0.01, price + 0.01) if hours >= 2 else (0.0, 1.0)  # nobody quotes at first
        traded = f"{price:.4f}" if hours % 5 else None
        return {
            "end_period_ts": int(at.timestamp()),
            "yes_bid": {name: f"{bid:.4f}"},
            "yes_ask": {name: f"{ask:.4f}"},
            "price": {name: traded, "previous" if archived else "previous_dollars": "0.5000"},
        }

    # Manifold

    def manifold_row(self, i: int) -> Json:
        """Three markets share each millisecond of creation."""
        resolved = self.resolved(i)
        resolution = {5: "MKT", 6: "CANCEL"}.get(i % 16, "YES" if self.yes(i) else "NO")
        return {
            "id": f"mani{i:06d}",
            "creatorUsername": "StandIn",
            "createdTime": _ms(self.opened(i - i % 3)),
            "closeTime": _ms(min(resolved, self.opened(i) + timedelta(days=30))),
            "question": f"Will index {i} pass its mark?",
            "url": f"https://manifold.markets/StandIn/index-{i}",
            "outcomeType": "BINARY",
            "mechanism": "cpmm-1",
            "probability": 0.98,
            "volume": 10.0 * i,
            "isResolved": True,
            "resolution": resolution,
            "resolutionTime": _ms(resolved),
            "resolutionProbability": 0.35 if resolution == "MKT" else 0.98,
            "uniqueBettorCount": 20,
        } | (self._unresolved(i) if self.still_open(i) else {})

    def _unresolved(self, i: int) -> Json:
        nothing = dict.fromkeys(("resolution", "resolutionTime", "resolutionProbability"))
        return nothing | {"isResolved": False, "probability": 0.5, "closeTime": _ms(self.opened(i) + timedelta(days=70))}

    def manifold_markets(self, params: QueryParams) -> Answer:
        if unknown := set(params) - _MANIFOLD:
            return 400, {"message": f"unrecognized keys {', '.join(sorted(unknown))}"}
        if int(params.get("offset", 0)) > 1000 or int(params.get("limit", 100)) > 1000:
            return 400, {"message": "offset and limit must be at most 1000"}
        before = int(params.get("beforeTime", 10**14))
        there = [self.manifold_row(i) for i in range(self.markets) if self.there(i)]
        resolved = params.get("filter") != "open"
        rows = [row for row in there if row["createdTime"] < before and row["isResolved"] == resolved]
        rows.sort(key=lambda row: (-row["createdTime"], row["id"]))
        return 200, rows[: min(int(params.get("limit", 100)), self.page_limit)]

    def manifold_market(self, id: str) -> Answer:
        rows = [row for i in range(self.markets) if (row := self.manifold_row(i))["id"] == id]
        return (200, rows[0]) if rows else (404, {"message": "Contract not found"})

    def manifold_bets(self, params: QueryParams) -> Answer:
        i = int(params["contractId"].removeprefix("mani"))
        bets = [self._bet(i, n) for n in reversed(range(40))]
        if "beforeTime" in params:
            bets = [bet for bet in bets if bet["createdTime"] < int(params["beforeTime"])]
        if "before" in params:
            bets = bets[[bet["id"] for bet in bets].index(params["before"]) + 1 :]
        return 200, bets[: min(int(params.get("limit", 1000)), self.page_limit)]

    def _bet(self, i: int, n: int) -> Json:
        at = self.opened(i) + n * _HOUR
        bet: Json = {"id": f"bet{i:06d}-{n:03d}", "contractId": f"mani{i:06d}", "createdTime": _ms(at), "isFilled": True}
        bet |= {"probAfter": self.price(i, at), "outcome": "NO" if n % 2 else "YES", "amount": 10.0}
        filled = {"fills": [{"timestamp": _ms(at), "amount": 10.0}]}
        waited: Json = {"limitProb": 0.2, "probAfter": 0.01, "fills": [{"timestamp": _ms(at + 3 * _HOUR), "amount": 10.0}]}
        redemption: Json = {"isRedemption": True, "probAfter": 0.02}
        return bet | {7: waited, 8: redemption}.get(n % 10, filled)

    # Metaculus

    def metaculus_post(self, i: int, *, history: bool) -> Json:
        post: Json = {
            "id": 1000 + i,
            "title": f"Will index {i} pass its mark?",
            "published_at": iso(self.opened(i)),
            "nr_forecasters": 12,
            "projects": {"category": [{"id": 1, "name": "Economy", "slug": "economy"}]},
        }
        if i % 10 == 9:
            return post | {"conditional": {"id": i}}
        if i % 10 == 8:
            questions = [self._question(i, n, history=history) | {"resolution_criteria": ""} for n in (1, 2)]
            return post | {"group_of_questions": {"id": i, "resolution_criteria": "As the index.", "questions": questions}}
        return post | {"question": self._question(i, 0, history=history)}

    def _question(self, i: int, n: int, *, history: bool) -> Json:
        resolution = {5: "ambiguous", 6: "annulled"}.get(i % 16, "yes" if self.yes(i) else "no")
        times = [self.opened(i) + k * 12 * _HOUR for k in range(40)]
        ends: list[datetime | None] = [*times[1:], None]
        points = [
            {"start_time": at.timestamp(), "end_time": end and end.timestamp(), "centers": [self.price(i, at)]}
            for at, end in zip(times, ends, strict=True)
        ]
        weighted = {"history": points if history else [], "latest": points[-1]}
        return {
            "id": 5000 + 3 * i + n,
            "title": f"Will index {i} pass mark {n}?",
            "type": "binary",
            "status": "resolved",
            "resolution": resolution,
            "resolution_criteria": f"By index {i}.",
            "open_time": iso(self.opened(i)),
            "cp_reveal_time": iso(self.opened(i) + 30 * _HOUR),
            "scheduled_close_time": iso(self.opened(i) + timedelta(days=60)),
            "actual_close_time": iso(self.resolved(i)),
            "actual_resolve_time": iso(self.resolved(i)),
        } | ({} if i % 6 == 5 else {"aggregations": {"recency_weighted": weighted}})

    def metaculus_posts(self, params: QueryParams) -> Answer:
        order = range(self.markets) if params.get("order_by") == "published_at" else reversed(range(self.markets))
        offset, limit = int(params.get("offset", 0)), min(int(params.get("limit", 20)), self.page_limit)
        chosen = list(order)[offset : offset + limit]
        more = f"http://elsewhere.example/api/posts/?offset={offset + limit}" if offset + limit < self.markets else None
        return 200, {"next": more, "previous": None, "results": [self.metaculus_post(i, history=False) for i in chosen]}


def iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
