"""What these tests share: where the recordings are, rows to change, and clients of the stand-in without waiting."""

from datetime import UTC, datetime
from pathlib import Path

import httpx
import orjson
import pytest

from coordeval.market_data.http import HttpClient, Patience
from coordeval.market_data.polymarket import Endpoints, Query, resolved_markets
from coordeval.market_data.standin import GeneratedMarkets, polymarket_app

RECORDED = Path(__file__).parents[3].parent / "shared" / "data" / "polymarket"
needs_recordings = pytest.mark.skipif(not RECORDED.is_dir(), reason=f"the recorded payloads are not here: {RECORDED}")
AT = Endpoints.at("http://stand-in")
AT_ONCE = Patience(wait_initial=0, wait_max=0, wait_jitter=0, timeout=60)
NOW = datetime(2026, 11, 2, tzinfo=UTC)
ALL_TIME = Query(after=datetime(2023, 1, 1, tzinfo=UTC), before=NOW)


def recorded(name):
    return orjson.loads((RECORDED / name).read_bytes())


def a_row(**changes):
    """A resolved Yes/No market (YES won) as Gamma serves it; None removes a key."""
    row = {
        "id": "768239",
        "question": "Will it?",
        "conditionId": "0x" + "ab" * 32,
        "slug": "will-it",
        "endDate": "2025-12-13T15:00:00Z",
        "startDate": "2025-11-30T05:12:07.930351Z",
        "description": "Rules.",
        "outcomes": '["Yes", "No"]',
        "outcomePrices": '["1", "0"]',
        "closed": True,
        "createdAt": "2025-11-30T05:00:15.304864Z",
        "closedTime": "2025-12-13 20:25:39+00",
        "umaEndDate": "2025-12-13T20:25:39Z",
        "umaResolutionStatus": "resolved",
        "clobTokenIds": f'["{"1" * 77}", "{"2" * 77}"]',
        "volume": "867952.276262",
        "volumeNum": 867952.276262,
    }
    row |= changes
    return {name: value for name, value in row.items() if value is not None}


def client_of(catalogue, faults=None, patience=AT_ONCE):
    return HttpClient(transport=httpx.ASGITransport(polymarket_app(catalogue, faults)), patience=patience)


def answering(handler, patience=AT_ONCE):
    """A client whose every request is answered by `handler(request) -> payload, or httpx.Response`."""

    def respond(request):
        answer = handler(request)
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, content=orjson.dumps(answer))

    return HttpClient(transport=httpx.MockTransport(respond), patience=patience)


async def listing(client, query=ALL_TIME, **options):
    """(rows, last page) of a whole listing."""
    rows, page = [], None
    async for page in resolved_markets(client, AT.gamma, query, clock=lambda: NOW, **options):
        rows += page.listed
    return rows, page


def markets(count, seed=1):
    return GeneratedMarkets(count, seed)
