"""How a model's server is reached: the SDKs' own interface to HTTP, over aiohttp, whose parser and pool are written in C.

The transport that the SDKs come with takes 1.5 ms of CPU time a call on the machine where this takes 0.5, and with 200 calls
at once another 5 ms, since it looks through all connections for each call.
"""

import asyncio
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import aiohttp
import httpx2
from yarl import URL

from coordeval.agents.bodies import PACKED, trusted, whole

IDLE_SECONDS = 5.0
"""How long a connection is kept that nobody uses, as in the SDKs: much longer, and servers close it just as it is used."""
HEADER_LIMIT = 65_536
"""Bytes of one header of a reply."""


def client(limit: int, through_proxy: Callable[[int], httpx2.AsyncClient]) -> httpx2.AsyncClient:
    """What reads bodies up to `limit` bytes. Where the environment names a proxy it is `through_proxy`: the SDK's own
    transport knows every kind of them."""
    if urllib.request.getproxies().keys() & {"http", "https", "all"}:
        return through_proxy(limit)
    headers = {"accept-encoding": "identity"}
    return httpx2.AsyncClient(transport=Direct(limit), headers=headers, follow_redirects=False, trust_env=False)


class Direct(httpx2.AsyncBaseTransport):
    """Reads at most `limit` bytes of a body (Oversized), unpacked, and the whole of it before it answers.

    What fails is told in httpx2's words, such that a connection that never was can be told from one that broke: a call may
    be charged only in the second case.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = URL(str(request.url), encoded=True)
        try:
            sent = self._opened().request(
                request.method,
                url,
                headers=request.headers.multi_items(),
                data=await request.aread() or None,
                allow_redirects=False,
                timeout=_timeout(request.extensions.get("timeout", {})),
            )
            async with sent as answer:
                coding = answer.headers.get("content-encoding", "identity")
                content = await whole(answer.content.iter_any(), coding, self._limit)
        except httpx2.TransportError:
            raise
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _told(error) from error
        kept = [(name, value) for name, value in answer.raw_headers if name.lower() not in PACKED]
        told = {"http_version": b"HTTP/1.1", "reason_phrase": (answer.reason or "").encode("ascii", "replace")}
        return httpx2.Response(answer.status, headers=kept, content=content, extensions=told)

    async def aclose(self) -> None:
        if self._session is not None and self._loop is asyncio.get_running_loop():
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        """Connections of the loop that runs now: a model may be asked in one after another."""
        loop = asyncio.get_running_loop()
        if self._session is None or self._loop is not loop or self._session.closed:
            self._forget()
            connector = _Connector(limit=0, ssl=trusted(), keepalive_timeout=IDLE_SECONDS)
            self._loop = loop
            self._session = aiohttp.ClientSession(
                connector=connector,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                max_line_size=HEADER_LIMIT,
                max_field_size=HEADER_LIMIT,
            )
        return self._session

    def _forget(self) -> None:
        if self._session is not None and not self._session.closed:
            self._session.detach()

    def __del__(self) -> None:
        self._forget()


class _Connector(aiohttp.TCPConnector):
    """Nothing is said on standard error of connections that nobody closed: they end with the process."""

    def __del__(self, _warnings: Any = None) -> None:
        pass


def _timeout(seconds: Mapping[str, float | None]) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=seconds.get("connect"), sock_read=seconds.get("read"))


_IN_WORDS: Sequence[tuple[tuple[type[Exception], ...], type[httpx2.RequestError]]] = (
    ((aiohttp.ConnectionTimeoutError,), httpx2.ConnectTimeout),
    ((aiohttp.ClientConnectorError, aiohttp.ServerFingerprintMismatch), httpx2.ConnectError),
    ((TimeoutError,), httpx2.ReadTimeout),
    ((aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError), httpx2.UnsupportedProtocol),
    ((aiohttp.ClientError, OSError), httpx2.RemoteProtocolError),
    ((ValueError,), httpx2.LocalProtocolError),
)
"""What happened -> httpx2's word for it. The first that fits: several are kinds of others."""


def _told(error: Exception) -> httpx2.RequestError:
    said: object = error
    if isinstance(error, aiohttp.ClientResponseError):
        said = error.message
    elif isinstance(error, aiohttp.ClientConnectorError):  # beside the address, which whoever tells it names
        said = error.os_error
    return next(told for kinds, told in _IN_WORDS if isinstance(error, kinds))(str(said) or type(error).__name__)
