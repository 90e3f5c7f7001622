"""What becomes of a call over the wire, told in the SDK's own words: a call that may be charged is never told as unsent."""

import asyncio
import gzip
import subprocess
import sys

import httpx2
import pytest

from coordeval.agents import connections
from coordeval.agents.anthropic_model import BoundedClient
from coordeval.agents.bodies import Oversized
from coordeval.agents.standin import Faults, Running, StandIn

WHOLE = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
ENDLESS = WHOLE + b"transfer-encoding: chunked\r\n\r\n" + 400 * (b"1000\r\n" + 4096 * b"a" + b"\r\n")
BOMB = gzip.compress(5_000_000 * b"a")


async def said(answer: bytes, *, read: float = 5.0, headers: dict[str, str] | None = None) -> httpx2.Response:
    """What a client makes of a server that sends these bytes to each request and hangs up ("": it waits)."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if not answer:
            await asyncio.sleep(60)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    timeout = httpx2.Timeout(read, connect=2.0)
    async with connections.client(1_000_000, BoundedClient) as client:
        try:
            return await client.post(f"http://127.0.0.1:{port}/", content=b"{}", timeout=timeout, headers=headers)
        finally:
            server.close()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", httpx2.RemoteProtocolError),
        (b"SSH-2.0-OpenSSH_9.6\r\n", httpx2.RemoteProtocolError),
        (WHOLE + b"content-encoding: br\r\ncontent-length: 2\r\n\r\nxx", Oversized),
        (WHOLE + b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\nxx", httpx2.RemoteProtocolError),
        (WHOLE + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(BOMB) + BOMB, Oversized),
        (ENDLESS, Oversized),
    ],
)
async def test_a_reply_that_broke_is_told_as_such(answer, told):
    with pytest.raises(told):
        await said(answer)


async def test_a_server_that_hangs_up_without_a_word_may_have_heard_us():
    with pytest.raises(httpx2.RemoteProtocolError) as caught:
        await said(b"\r\n")
    assert not isinstance(caught.value, httpx2.ConnectError)


async def test_a_silent_server_is_a_timeout_of_reading():
    with pytest.raises(httpx2.ReadTimeout):
        await said(b"", read=0.05)


async def test_nobody_there_and_no_such_host_are_no_connection():
    async with connections.client(1000, BoundedClient) as client:
        for url in ("http://127.0.0.1:9/", "http://nowhere.invalid/"):
            with pytest.raises(httpx2.ConnectError) as caught:
                await client.get(url)
            assert "ssl:" not in str(caught.value)
        with pytest.raises(httpx2.UnsupportedProtocol):
            await client.get("ftp://127.0.0.1/")


async def test_a_header_that_cannot_be_sent_is_no_broken_connection():
    with pytest.raises(httpx2.LocalProtocolError):
        await said(WHOLE, headers={"x-key": "two\nlines"})


async def test_a_packed_body_comes_unpacked_and_a_redirect_is_not_followed():
    packed = gzip.compress(b"words")
    reply = await said(WHOLE + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed) + packed)
    assert (reply.status_code, reply.text, reply.headers.get("content-encoding")) == (200, "words", None)
    moved = await said(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n")
    assert (moved.status_code, moved.reason_phrase) == (302, "Found")


async def test_hundreds_at_once_are_all_answered():
    with Running(StandIn(Faults(seconds=0.1))) as server:
        async with connections.client(1_000_000, BoundedClient) as client:
            key = {"authorization": "Bearer x"}
            replies = await asyncio.gather(*[client.get(f"{server.url}/v1/models/m{n}", headers=key) for n in range(200)])
    assert {reply.status_code for reply in replies} == {401}


def test_one_client_serves_one_loop_after_another():
    with Running(StandIn()) as server:
        client = connections.client(1_000_000, BoundedClient)

        async def ask() -> int:
            reply = await client.get(f"{server.url}/v1/models/m", headers={"authorization": "Bearer x"})
            return reply.status_code

        assert [asyncio.run(ask()) for _ in range(2)] == [401, 401]


def test_a_client_that_nobody_closed_says_nothing_at_the_end():
    with Running(StandIn()) as server:
        program = (
            "import asyncio; from coordeval.agents import connections\n"
            f"asyncio.run(connections.client(1000, None).get('{server.url}/v1/models/m'))"
        )
        done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_proxy_of_the_environment_is_the_sdks_matter(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert isinstance(connections.client(1000, BoundedClient), BoundedClient)
