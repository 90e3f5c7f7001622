"""What every live model shares: one attempt per request over HTTP, to an end that the table in `failures` names.

One attempt each time: waiting and asking again are the run's (`Paced`). What a server sends is read to a limit, and whatever
was served is a reply, stored and charged before it is judged. A subclass says how a request is sent and a success is read.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, ClassVar, NoReturn

import httpx2

from coordeval.agents.addresses import alike, plain_and_remote
from coordeval.agents.bodies import Oversized
from coordeval.agents.failures import End, ModelAccessError, RequestRefused, Sign, Unavailable, ending
from coordeval.agents.messages import Reply, Request, Slot, Usage
from coordeval.agents.prices import PriceBook, utc_today
from coordeval.agents.rate_limits import room
from coordeval.agents.replies import NoMessage, read_reply
from coordeval.agents.retry_after import retry_after
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.http import STAND_IN
from coordeval.market_data.secrets import excerpt, redacted

_EXCERPT = 400
"""Characters of what a server says that are shown and stored."""


class EndpointModel:
    """A model behind an address. `identity` holds what can change a reply beside the request.

    A reply's `seconds` are those of the call that produced it. One call ends within `deadline` seconds, connecting and
    reading included.
    """

    status_error: ClassVar[type[Exception]]
    """What the SDK raises for an answer that is no success."""
    connection_error: ClassVar[type[Exception]]
    """What the SDK raises where no whole answer came."""

    def __init__(
        self,
        model_id: str,
        client: Any,
        *,
        key_name: str,
        price_book: PriceBook | None = None,
        deadline: float = 600.0,
        today: Callable[[], date] = utc_today,
    ) -> None:
        """`client`: the SDK's asynchronous client. `key_name`: the environment variable of the key, for messages."""
        self._model_id, self._client, self._key_name = model_id, client, key_name
        self._prices = price_book or PriceBook.bundled()
        self._deadline, self._today = deadline, today

    @property
    def identity(self) -> Mapping[str, Any]:
        return self._identity(self._url)

    @property
    def former_identities(self) -> list[Mapping[str, Any]]:
        """The identities under which this same model stood in ledgers: other words for its address."""
        everywhere = [self._identity(url) for url in alike(self._url)]
        return [identity for identity in everywhere if identity != self.identity]

    @property
    def warnings(self) -> list[str]:
        """What a user should know before anything is sent."""
        if not plain_and_remote(self._url):
            return []
        return [
            f"{self._url} is not encrypted: everybody on the way can read {self._key_name} and every prompt; use https://"
        ]

    async def complete(self, request: Request, slot: Slot) -> Reply:  # noqa: RET503 (what fails raises)
        """One reply, perhaps with a fault. Raises Unavailable, RequestRefused or ModelAccessError, as the table says."""
        if request.model != self._model_id:
            raise CoordevalError(f"the request names model {request.model!r}, this model is {self._model_id!r}")
        started = time.perf_counter()
        response = await self._judged(self._send(request), self._deadline)
        reply = self._read(response, time.perf_counter() - started)
        if isinstance(reply, Reply):
            return replace(reply, room=room(response.headers, datetime.now(UTC)), stand_in=STAND_IN in response.headers)
        what = f"HTTP {response.status_code} with {reply.problem}"
        if reply.error is None:
            self._fail("page", what)
        kind, says = reply.error
        self._fail("answer", what, status=response.status_code, kind=kind, text=says, headers=response.headers)

    async def _judged(self, sending: Awaitable[httpx2.Response], deadline: float) -> httpx2.Response:
        """The response of a call that is being sent; what fails raises what the table says."""
        try:
            async with asyncio.timeout(deadline):
                return await sending
        except TimeoutError:
            self._fail("timeout", f"no reply within {deadline:g} s")
        except self.status_error as error:
            self._refuse(error)
        except self.connection_error as error:
            self._fail(*_broken(error.__cause__ or error, deadline))

    async def aclose(self) -> None:
        await self._client.close()

    @property
    def _url(self) -> str:
        return str(self._client.base_url).rstrip("/")

    def _identity(self, url: str) -> dict[str, Any]:
        raise NotImplementedError

    async def _send(self, request: Request) -> httpx2.Response:
        """One attempt. Raises `status_error` or `connection_error`."""
        raise NotImplementedError

    def _formed(self, value: Any) -> Any:
        """A success of the endpoint as a message of the Messages API. Never raises."""
        return value

    def _read(self, response: httpx2.Response, seconds: float) -> Reply | NoMessage:
        return read_reply(
            response.content,
            kind=response.headers.get("content-type", "").partition(";")[0],
            asked=self._model_id,
            seconds=seconds,
            pricing=self._price,
            form=self._formed,
        )

    def _price(self, served: str, usage: Usage, *, batch: bool = False) -> int | None:
        on = self._today()
        price = self._prices.micro_usd(served, usage, on, batch=batch)
        return self._prices.micro_usd(self._model_id, usage, on, batch=batch) if price is None else price

    def _said(self, error: Any) -> tuple[str, str, str]:
        """(type, what it says, its code) in an error answer; "" for what it does not say."""
        raise NotImplementedError

    def _refuse(self, error: Any) -> NoReturn:
        status, headers = error.status_code, error.response.headers
        kind, stated, code = self._said(error)
        says = stated or str(error.response.reason_phrase or "no reason given")
        what = f"HTTP {status} {kind}".rstrip() + f": {says}" + (f" ({error.request_id})" if error.request_id else "")
        if location := headers.get("location"):
            what += f", to {location}"
        unread = "" if stated or not error.response.text.startswith("{") else error.response.text[:2000]
        text = f"{says} {code} {unread}"  # a web page is no statement of the account
        self._fail("answer", what, status=status, kind=kind, text=text, headers=headers)

    def _fail(
        self,
        sign: Sign,
        what: str,
        *,
        status: int = 0,
        kind: str = "",
        text: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> NoReturn:
        rule = ending(sign, status=status, kind=kind, text=text or what)
        said = excerpt(what, _EXCERPT)
        reason = redacted(f"{self._model_id} at {self._url}: {said}".encode("utf-8", "replace").decode())
        charged = sign in ("lost", "timeout", "oversized")
        match rule.end:
            case End.STOP:
                raise ModelAccessError(f"{reason}; {rule.then}")
            case End.AGAIN:
                wait = retry_after(headers or {}, datetime.now(UTC))
                kinds = {"own": sign == "timeout", "page": sign == "page", "unreachable": sign == "unreachable"}
                raise Unavailable(reason, wait=wait, overloaded=rule.overloaded, charged=charged, **kinds)
            case _:
                raise RequestRefused(reason, charged=charged)


_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
_NOT_SENDABLE = (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, httpx2.InvalidURL)


def _broken(cause: BaseException, deadline: float) -> tuple[Sign, str]:
    """What kind of connection's end this is, and its words."""
    says = str(cause) or type(cause).__name__
    if isinstance(cause, Oversized):
        return "oversized", says
    if isinstance(cause, _NOT_SENDABLE):
        return "unreachable", f"the request cannot be sent there (invalid URL, header or protocol): {says}"
    if isinstance(cause, _NOT_SENT):
        return "unreachable", f"no connection: {says}"
    if isinstance(cause, httpx2.TimeoutException):
        return "timeout", f"no reply within {deadline:g} s"
    return "lost", f"the connection broke: {says}"
