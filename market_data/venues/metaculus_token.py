"""The token that Metaculus asks for: from the environment into one header, for one host, and into no message."""

import os

import httpx

from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.http import HttpClient, Patience
from coordeval.market_data.secrets import remember

BASE_URL = "https://www.metaculus.com/api"
TOKEN_VARIABLE = "METACULUS_TOKEN"
HINT = f"copy yours from https://www.metaculus.com/accounts/settings/ into the variable {TOKEN_VARIABLE}"


def metaculus_client(
    token: str | None = None,
    *,
    base_url: str | None = None,
    patience: Patience | None = None,
    contact: str = "",
    transport: httpx.AsyncBaseTransport | None = None,
) -> HttpClient:
    """A client that sends the token (default: METACULUS_TOKEN) to one host: the venue's, or that of `base_url`."""
    token = (os.environ.get(TOKEN_VARIABLE, "") if token is None else token).strip()
    if not token or not token.isascii() or not token.isprintable():
        raise CoordevalError(f"Metaculus answers nobody without a token, and {TOKEN_VARIABLE} holds none; {HINT}")
    remember(token, TOKEN_VARIABLE)  # a server may repeat it
    sender = _Authorized(token, httpx.URL(base_url or BASE_URL).host, transport or httpx.AsyncHTTPTransport(retries=0))
    return HttpClient(patience=patience, contact=contact, transport=sender)


class _Authorized(httpx.AsyncBaseTransport):
    def __init__(self, token: str, host: str, inner: httpx.AsyncBaseTransport) -> None:
        self._token, self._host, self._inner = token, host, inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == self._host:
            request.headers["Authorization"] = f"Token {self._token}"
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()
