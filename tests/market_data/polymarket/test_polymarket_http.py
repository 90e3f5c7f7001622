"""The client against answers that fail: what is tried again, what is final, what the error says; partly on a socket."""

import asyncio
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
import uvicorn
from polymarket_case import ALL_TIME, AT_ONCE, answering, client_of, listing, markets, needs_recordings, recorded

from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.http import BadAnswer, FetchError, HttpClient, Patience, Service, excerpt, retry_after, user_agent
from coordeval.market_data.polymarket import Endpoints, resolved_markets
from coordeval.market_data.standin import Faults, polymarket_app

TWICE = Patience(attempts=2, wait_initial=0, wait_max=0, wait_jitter=0, timeout=60)
HERE = Service(name="Here", base_url="http://here", requests_per_second=None)


def same(value):
    return value


def sequence(*answers):
    """A client that gets `answers` one after the other."""
    left = list(answers)
    return answering(lambda request: left.pop(0))


def get(client):
    return client.get_json(HERE, "/x", [("a", "1"), ("a", "2")], check=same)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(httpx.Response(429, text="error code: 1015"), "429", id="429 without Retry-After"),
        pytest.param(httpx.Response(429, headers={"Retry-After": "0"}), "429", id="429 with Retry-After"),
        pytest.param(httpx.Response(500, json={"error": "cannot get the information"}), "500", id="500"),
        pytest.param(httpx.Response(503), "503", id="503"),
        pytest.param(httpx.Response(408), "408", id="408"),
        pytest.param(httpx.Response(200, json={"error": "Too Many Requests"}), "error in body", id="error with 200"),
        pytest.param(httpx.Response(200, html="<html>Your query was too short.</html>"), "html", id="html with 200"),
        pytest.param(httpx.Response(200, content=b'{"markets": [{"id": "1"'), "cut body", id="cut body"),
        pytest.param(httpx.Response(200, content=b""), "cut body", id="empty body"),
        pytest.param(httpx.Response(200, content=b"\xff\xfe"), "cut body", id="no text at all"),
    ],
)
async def test_what_may_pass_is_tried_again_and_counted(answer, kind):
    async with sequence(answer, {"ok": 1}) as client:
        assert await get(client) == {"ok": 1}
        assert client.failed == {kind: 1}
        assert client.requests == 2


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 414, 422])
async def test_what_is_refused_once_is_not_asked_again(status):
    async with sequence(httpx.Response(status, json={"error": "order fields are not valid"})) as client:
        with pytest.raises(FetchError, match=rf"answered {status}: .*order fields.*check its parameters") as caught:
            await get(client)
        assert (caught.value.status, client.requests) == (status, 1)
        assert "http://here/x?a=1&a=2" in str(caught.value)  # repeated parameters are sent as such


@needs_recordings
async def test_every_recorded_error_body_is_an_error_with_its_words():
    for case in recorded("error_bodies.json")["errors"]:
        patience = Patience(attempts=2, wait_initial=0, wait_max=0, wait_jitter=0)
        async with answering(lambda r, case=case: httpx.Response(case["status"], json=case["body"]), patience) as client:
            with pytest.raises(FetchError) as caught:
                await get(client)
            assert case["body"]["error"] in str(caught.value)
            assert client.requests == (1 if 400 <= case["status"] < 500 else 2)


async def test_a_check_may_ask_for_another_try_and_other_errors_are_final():
    seen = []

    def check(value):
        seen.append(value)
        if len(seen) < 3:
            raise BadAnswer("odd", "not yet")
        raise KeyError("a defect of ours")

    async with answering(lambda request: {}) as client:
        with pytest.raises(KeyError):
            await client.get_json(HERE, "/x", check=check)
        assert client.failed == {"odd": 2}


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, None), ("7", 7.0), (" 7 ", 7.0), ("soon", None), ("-1", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
)
def test_retry_after_is_seconds_or_a_date(value, expected):
    assert retry_after(value) == expected


def test_a_date_to_come_is_waited_for():
    assert 50 < retry_after(format_datetime(datetime.now(UTC) + timedelta(minutes=1), usegmt=True)) <= 60


async def test_retry_after_is_honoured_instead_of_the_usual_wait():
    async with sequence(httpx.Response(429, headers={"Retry-After": "1"}), {}) as client:
        started = time.monotonic()
        await get(client)
        assert time.monotonic() - started >= 1


async def test_a_longer_wait_than_the_limit_is_said_and_not_waited():
    async with sequence(httpx.Response(429, headers={"Retry-After": "3600"})) as client:
        with pytest.raises(FetchError, match=r"asks to wait 3600 s, more than the limit of 120 s"):
            await get(client)
        assert client.requests == 1


async def test_requests_to_one_host_are_spaced_evenly():
    service = Service(name="Slow", base_url="http://slow/a", requests_per_second=20)
    other = Service(name="Slow too", base_url="http://slow/b", requests_per_second=20)
    async with answering(lambda request: {}) as client:
        started = time.monotonic()
        await asyncio.gather(*(client.get_json(s, "/x", check=same) for s in (service, other) for _ in range(3)))
        assert time.monotonic() - started >= 4 / 20


@pytest.mark.parametrize(
    ("changes", "match"),
    [({"base_url": "gamma-api.polymarket.com"}, "must start with http"), ({"requests_per_second": 0}, "must be above 0")],
)
def test_a_service_that_cannot_work_is_refused(changes, match):
    with pytest.raises(CoordevalError, match=match):
        Service(**{"name": "x", "base_url": "http://x"} | changes)


def test_the_user_agent_says_who_asks():
    assert user_agent("mailto:a@example.org").startswith("coordeval/")
    assert "(mailto:a@example.org) python-httpx/" in user_agent("mailto:a@example.org")


def test_an_error_repeats_nothing_that_steers_a_terminal():
    assert excerpt(b"\x1b[31mred\nnext\r" + b"x" * 500) == " [31mred next " + "x" * 186 + "…"


def test_live_endpoints_are_the_venues_own_and_polite():
    live = Endpoints.live()
    assert {service.requests_per_second for service in (live.gamma, live.clob, live.data)} == {2.0}
    assert live.gamma.base_url == "https://gamma-api.polymarket.com"


class Server:
    """The stand-in on a real port."""

    def __init__(self, faults):
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = polymarket_app(markets(250), faults)
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]}, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *failure):
        self._server.should_exit = True
        self._thread.join(timeout=10)


class TestOnASocket:
    @pytest.mark.parametrize(
        ("kind", "expected"), [("cut body", "RemoteProtocolError"), ("slow", "ReadTimeout"), ("html with 200", "html")]
    )
    async def test_an_answer_that_breaks_is_an_error_that_names_url_and_cause(self, kind, expected):
        patience = Patience(attempts=2, wait_initial=0, wait_max=0, wait_jitter=0, timeout=0.5 if kind == "slow" else 60)
        with Server(Faults(rate=1.0, seed=1, kinds=(kind,), seconds=3.0)) as server:
            async with HttpClient(patience=patience) as client:
                gamma = Endpoints.at(server.url).gamma
                with pytest.raises(FetchError, match=f"{server.url}/gamma/markets.* failed 2 times") as caught:
                    await client.get_json(gamma, "/markets", check=same)
            assert client.failed == {expected: 2}
            assert server.url in str(caught.value)

    async def test_a_listing_over_a_socket_with_faults_is_that_of_one_in_process_without(self):
        async with client_of(markets(250)) as client:
            expected, _ = await listing(client)
        with Server(Faults(rate=0.05, seed=11, seconds=0.0)) as server:
            async with HttpClient(patience=AT_ONCE) as client:
                for _ in range(5):
                    rows, page = [], None
                    async for page in resolved_markets(client, Endpoints.at(server.url).gamma, ALL_TIME):
                        rows += page.listed
                    assert rows == expected
                assert client.failed

    async def test_nobody_there(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        async with HttpClient(patience=TWICE) as client:
            with pytest.raises(FetchError, match=rf"127.0.0.1:{port}.*failed 2 times.*ConnectError"):
                await client.get_json(Service(name="Dead", base_url=f"http://127.0.0.1:{port}"), "/x", check=same)
