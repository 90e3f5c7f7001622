"""Bodies with an end: what a server sends is read as far as a limit, unpacked too, so that no reply fills the memory."""

import ssl
import zlib
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import httpx2

from coordeval.market_data.secrets import excerpt

BODY_LIMIT = 64_000_000
"""Bytes. The longest reply there is, a million tokens of output in JSON, has about ten million."""

BULK_LIMIT = 2_000_000_000
"""Bytes of the results of a batch."""


class Oversized(httpx2.TransportError):
    """A body that goes on beyond the limit, or that is packed in a way that nobody asked for."""


PACKED = frozenset({b"content-encoding", b"content-length"})
"""Headers that are no longer true of a body that was read whole and unpacked."""


@cache
def trusted() -> ssl.SSLContext:
    """Whom a client trusts; to read that anew takes 20 ms of CPU time for each client."""
    return httpx2.create_ssl_context()


async def whole(pieces: AsyncIterator[bytes], coding: str, limit: int) -> bytes:
    """A body as it was before it was packed. Bodies are asked for unpacked; gzip that comes nevertheless is unpacked here,
    piece by piece, up to the same limit."""
    coding = coding.strip().lower()
    if coding not in ("", "identity", "gzip", "x-gzip"):
        raise Oversized(f"a body packed with {excerpt(repr(coding), 40)}, which was not asked for")
    unpacker = zlib.decompressobj(wbits=31) if coding.endswith("gzip") else None
    content = bytearray()
    async for piece in pieces:
        try:
            content += piece if unpacker is None else unpacker.decompress(piece, limit - len(content) + 1)
        except zlib.error as error:
            raise httpx2.RemoteProtocolError(f"a broken gzip body: {error}") from error
        if len(content) > limit:
            raise Oversized(f"a body of more than {limit / 1e6:g} MB")
    if unpacker is not None and not unpacker.eof:
        raise httpx2.RemoteProtocolError("a gzip body without its end")
    return bytes(content)


class Bounded(httpx2.AsyncClient):
    """An SDK's own HTTP client, but that no body is read beyond `limit` bytes (Oversized) and no redirect is followed.

    It stands before the SDK's class: `class Client(Bounded, sdk.DefaultAsyncHttpxClient)`.
    """

    def __init__(self, limit: int = BODY_LIMIT) -> None:
        super().__init__(follow_redirects=False, verify=trusted())
        self._limit = limit

    async def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """Always reads the whole body, whatever `stream` says: no reply is used in part."""
        request.headers["accept-encoding"] = "identity"
        response = await super().send(request, stream=True, **options)
        try:
            coding = response.headers.get("content-encoding", "identity")
            content = await whole(response.aiter_raw(), coding, self._limit)
        finally:
            await response.aclose()
        headers = [(k, v) for k, v in response.headers.raw if k.lower() not in PACKED]
        return httpx2.Response(
            response.status_code, headers=headers, content=content, request=request, extensions=response.extensions
        )
