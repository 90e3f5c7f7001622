"""The download of the published dataset, from servers that lead elsewhere, do not end, or unpack to gigabytes."""

import threading
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import stamina

from coordeval.market_data import traces100
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.traces100 import install

Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def server() -> Iterator[Callable[[Answer], str]]:
    """Serves by a function; gives its address."""
    servers = []

    def start(answer: Answer) -> str:
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                return None

            def do_GET(self) -> None:
                answer(self)

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for one in servers:
        one.shutdown()
        one.server_close()


def leads(target: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", target)
        handler.end_headers()

    return answer


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"x" * 65_536)
    except OSError:
        pass  # the reader left


def bomb(handler: BaseHTTPRequestHandler) -> None:
    packer = zlib.compressobj(wbits=31)
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.end_headers()
    try:
        for _ in range(400):
            handler.wfile.write(packer.compress(b"\0" * 1_000_000))
        handler.wfile.write(packer.flush())
    except OSError:
        pass


def dripping(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"x")
            handler.wfile.flush()
    except OSError:
        pass


HOSTILE = {
    "a file of this machine": (leads("file:///etc/passwd"), "file://"),
    "another protocol": (leads("ftp://example.org/LICENSE"), "ftp://"),
    "itself": (leads("/LICENSE"), "leads on and on"),
    "nowhere": (leads("http://[::bad/"), "could not be downloaded"),
    "a body without end": (endless, "longer than 3,000,000 bytes"),
    "a gzip bomb": (bomb, "longer than 3,000,000 bytes"),
    "a byte at a time": (dripping, "not over after 0.2 s"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_server_is_left_and_named(tmp_path, server, monkeypatch, what):
    answer, words = HOSTILE[what]
    monkeypatch.setattr(traces100, "MOST_BYTES", 3_000_000)
    if what == "a byte at a time":
        monkeypatch.setattr(traces100, "MOST_SECONDS", 0.2)
    with stamina.set_testing(True, attempts=1), pytest.raises(CoordevalError) as caught:
        install(tmp_path, server(answer))
    assert "could not be downloaded" in str(caught.value)
    assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []
