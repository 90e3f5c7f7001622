"""Whom the Prefect server that `serve` and `run` start answers. That it is this server is held in test_flow."""

import asyncio
import importlib.util
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from coordeval.flows.dashboard.security import HOSTS as OF_DASHBOARD
from coordeval.flows.orchestration.own_machine import HOSTS, OwnMachineOnly, create_app, is_own
from coordeval.flows.orchestration.server import OWN_APP, PREFECTS_APP

OWN = {
    "a program here": ("127.0.0.1:4200", None),
    "the page of Prefect itself": ("localhost:4200", "http://localhost:4200"),
    "the same by its other name": ("127.0.0.1:4200", "http://localhost:4200"),
    "by IPv6": ("[::1]:4200", "http://[::1]:4200"),
}
FOREIGN = {
    "DNS rebinding": ("evil.example:4200", "http://evil.example:4200"),
    "DNS rebinding without an origin": ("evil.example:4200", None),
    "a name that begins like ours": ("127.0.0.1.evil.example", None),
    "a name that ends like ours": ("evil.localhost:4200", None),
    "another machine of the network": ("192.168.1.5:4200", None),
    "every address": ("0.0.0.0:4200", None),
    "no name": ("", None),
    "no address": ("[::2", None),
    "a page of another site": ("127.0.0.1:4200", "https://evil.example"),
    "a page without an origin of its own": ("127.0.0.1:4200", "null"),
    "a file": ("127.0.0.1:4200", "file://"),
}
BEHIND = OwnMachineOnly(Starlette(routes=[Route("/", lambda request: PlainTextResponse("in"), methods=["GET", "POST"])]))


def answer(host, origin, method):
    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(BEHIND), base_url="http://x") as client:
            return await client.request(method, "/", headers={"Host": host, **({"Origin": origin} if origin else {})})

    return asyncio.run(ask())


@pytest.mark.parametrize("who", OWN)
def test_this_machine_is_answered(who):
    assert answer(*OWN[who], "POST").text == "in"


@pytest.mark.parametrize("who", FOREIGN)
def test_nobody_else_is(who, record_property):
    methods = ("GET", "POST", "OPTIONS")
    record_property("tried", len([*methods, "websocket"]))
    for method in methods:
        assert answer(*FOREIGN[who], method).status_code == 403
    said = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        said.append(message["type"])

    headers = [(b"host", FOREIGN[who][0].encode())]
    headers += [(b"origin", FOREIGN[who][1].encode())] if FOREIGN[who][1] else []
    asyncio.run(BEHIND({"type": "websocket", "headers": headers, "path": "/"}, receive, send))
    assert said == ["websocket.close"]


def test_two_names_or_none_are_nobodys():
    host = (b"host", b"localhost")
    assert is_own([host])
    assert not is_own([])
    assert not is_own([host, (b"host", b"evil.example")])
    assert not is_own([host, (b"origin", b"http://localhost"), (b"origin", b"http://evil.example")])
    assert HOSTS == OF_DASHBOARD


def test_the_server_of_a_run_is_found_by_prefects_own_name_for_it():
    prefect = importlib.util.find_spec("prefect")
    assert PREFECTS_APP in (Path(prefect.origin).parent / "server/api/server.py").read_text()
    assert f"{OwnMachineOnly.__module__}:{create_app.__name__}" == OWN_APP
