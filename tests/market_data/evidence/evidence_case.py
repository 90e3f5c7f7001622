"""What the evidence tests share: the recordings, a client that does not wait, and one market's query."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from coordeval.market_data.evidence import Composite, Gdelt, MediaWiki, Query, Services, Wayback
from coordeval.market_data.evidence.generated import MOMENT, Past
from coordeval.market_data.evidence.provider import Findings
from coordeval.market_data.evidence.standin import StandIn, evidence_app
from coordeval.market_data.http import HttpClient, Patience

RECORDINGS = Path(__file__).parents[4] / "shared" / "data" / "evidence"
BASE = "http://standin.test"
AT = Services.at(BASE)
QUERY = Query(
    market_id="m1",
    text="Will the Bank of Morgard raise its key rate before April 1, 2026?",
    urls=("https://bank-morgard-key-rate-decision.example/latest",),
)
IMPATIENT = Patience(attempts=2, wait_initial=0.0, wait_max=0.0, wait_jitter=0.0)


def recorded(name: str) -> Any:
    """A recorded payload: JSON as objects, anything else as text."""
    path = RECORDINGS / name
    if not path.exists():
        pytest.skip(f"the recording {path} is not on this machine")
    return json.loads(path.read_bytes()) if path.suffix == ".json" else path.read_text()


def a_client(server: Any) -> HttpClient:
    """`server`: an ASGI app, or a function from request to response."""
    asgi = not callable(server) or hasattr(server, "router")
    return HttpClient(patience=IMPATIENT, transport=httpx.ASGITransport(app=server) if asgi else httpx.MockTransport(server))


def providers(client: HttpClient) -> Composite:
    return Composite([MediaWiki(client, AT.mediawiki), a_wayback(client), a_gdelt(client)])


def a_wayback(client: HttpClient, **options: Any) -> Wayback:
    return Wayback(client, AT.wayback, blocked_wait=0.0, **options)


def a_gdelt(client: HttpClient, now: datetime = MOMENT + timedelta(days=10), **options: Any) -> Gdelt:
    return Gdelt(client, AT.gdelt, now=lambda: now, **options)


def findings(as_of: datetime = MOMENT, limit: int = 3) -> Findings:
    return Findings(QUERY, as_of, limit)


def standin(past: Past | None = None, quirks: Mapping[str, int] | None = None, **options: Any) -> tuple[Any, StandIn]:
    app = evidence_app(past, quirks, **options)
    return app, app.state.standin


def always(status: int = 200, body: Any = b"", headers: Mapping[str, str] | None = None) -> Callable[..., httpx.Response]:
    """A server with one answer; what is not bytes is sent as JSON."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = {} if isinstance(body, bytes) else {"content-type": "application/json"}
    return lambda request: httpx.Response(status, headers={**kind, **(headers or {})}, content=sent)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]
