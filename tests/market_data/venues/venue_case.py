"""What the tests of venues share: rows to change, and clients of the stand-in, or of given answers, without waiting."""

from datetime import UTC, datetime

import httpx
import orjson

from coordeval.market_data.http import HttpClient, Patience, Service
from coordeval.market_data.polymarket.completeness import Query
from coordeval.market_data.venues import Kalshi, Manifold, Metaculus, metaculus_client
from coordeval.market_data.venues.standin import TOKEN, venues_app

AT_ONCE = Patience(attempts=3, wait_initial=0, wait_max=0, wait_jitter=0, timeout=60)
NOW = datetime(2026, 11, 2, tzinfo=UTC)
ALL_TIME = Query(after=datetime(2020, 1, 1, tzinfo=UTC), before=NOW)
HERE = {
    name: Service(name=name, base_url=f"http://here/{name}", requests_per_second=None)
    for name in ("kalshi", "manifold", "metaculus")
}
CLASSES = {"kalshi": Kalshi, "manifold": Manifold, "metaculus": Metaculus}


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def standin(name, world=None, faults=None, patience=AT_ONCE):
    """(client, venue) of the stand-in."""
    return over(name, httpx.ASGITransport(venues_app(world, faults)), patience)


def answering(name, handler, patience=AT_ONCE):
    """(client, venue) whose every request is answered by `handler(request) -> payload, or httpx.Response`."""

    def respond(request):
        answer = handler(request)
        if isinstance(answer, httpx.Response):  # a new one for each try: a response is read once
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return httpx.Response(200, content=orjson.dumps(answer))

    return over(name, httpx.MockTransport(respond), patience)


def over(name, transport, patience=AT_ONCE):
    if name == "metaculus":
        client = metaculus_client(TOKEN, base_url="http://here", patience=patience, transport=transport)
    else:
        client = HttpClient(transport=transport, patience=patience)
    return client, CLASSES[name](client, HERE[name], clock=lambda: NOW)


async def listed(client, venue, query=ALL_TIME, resume=None):
    """(rows, refused rows, the last statement)."""
    rows, refused, so_far = [], [], resume
    async with client:
        async for page in venue.pages(query, resume=resume):
            rows += page.listed
            refused += page.refused
            so_far = page.so_far
            assert so_far.rows == so_far.kept + sum(so_far.passed_over.values()) + sum(so_far.refused.values())
    return rows, refused, so_far


def without_nothing(row):
    return {name: value for name, value in row.items() if value is not None}


def kalshi_row(**changes):
    """A settled market (YES) as Kalshi documents it; None removes a key."""
    row = {
        "ticker": "KXFED-26MAR-T4",
        "event_ticker": "KXFED-26MAR",
        "market_type": "binary",
        "title": "Will the rate be above 4%?",
        "open_time": "2026-01-05T15:00:00Z",
        "close_time": "2026-02-20T18:00:00Z",
        "latest_expiration_time": "2026-03-31T14:00:00Z",
        "can_close_early": True,
        "status": "finalized",
        "result": "yes",
        "settlement_value_dollars": "1.0000",
        "settlement_ts": "2026-02-20T19:00:00Z",
        "last_price_dollars": "0.0100",
        "volume_fp": "1200.00",
        "rules_primary": "If the rate is above 4%, then Yes.",
    }
    return without_nothing(row | changes)


def manifold_row(**changes):
    row = {
        "id": "EvIhzcJXwhL0HavaszD7",
        "createdTime": 1653850472294,
        "closeTime": 1653893940000,
        "question": "Will I write a new blog post today?",
        "url": "https://manifold.markets/Austin/will-i-write-a-new-blog-post-today",
        "probability": 0.8958175225896258,
        "outcomeType": "BINARY",
        "volume": 241,
        "isResolved": True,
        "resolution": "YES",
        "resolutionTime": 1653924077078,
        "resolutionProbability": 0.9,
    }
    return without_nothing(row | changes)


def metaculus_row(**changes):
    """A question with its post beside it, as `questions_of` gives it."""
    row = {
        "post": {"id": 1, "nr_forecasters": 10},
        "id": 7,
        "title": "Will advanced LIGO announce discovery of gravitational waves by Jan. 31 2016?",
        "open_time": "2015-10-02T02:34:00Z",
        "scheduled_resolve_time": "2016-02-01T03:34:00Z",
        "actual_resolve_time": "2016-02-01T03:34:00Z",
        "scheduled_close_time": "2015-12-15T03:34:00Z",
        "actual_close_time": "2015-12-10T03:34:00Z",
        "type": "binary",
        "status": "resolved",
        "resolution": "no",
    }
    return without_nothing(row | changes)
