"""One polite way to ask a public API: paced per host, retried by stamina, and never satisfied with a broken answer.

A status of 200 proves nothing: data-api.polymarket.com answers a burst with `{"error": …}` and GDELT its errors as HTML,
both with 200. So a body is read and checked inside the retried step, and what cannot be mended by another try ends
in a FetchError that names the URL, what came, the rule and the fix. Whether the answer is about the thing that
was asked for, only the caller can check; it does so in the function that it hands to `get`.

Every read has a limit (`Patience`): of bytes, packed and unpacked, and of seconds in all; no redirect is followed. A body
that comes the same again and again is not asked for to the last try.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Container, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any, TypeVar

import httpx
import stamina
from aiolimiter import AsyncLimiter

from coordeval.market_data.bodies import PACKED, TooManyBytes, Unreadable, json_value, whole
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.secrets import excerpt as start_of

T = TypeVar("T")
Params = Iterable[tuple[str, str]]
"""Pairs, not a mapping: a parameter may be repeated."""

STAND_IN = "x-coordeval-stand-in"
"""The header by which a stand-in says that what it serves is made up."""
TRY_LATER = frozenset({408, 425, 429})
"""Statuses below 500 that another try may mend."""
_EXCERPT = 200
_SAME = 3
"""Tries after which an answer that is the same each time is taken for the server's last word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A host that is asked at most so often; `requests_per_second` None is for one's own stand-in."""

    name: str
    base_url: str
    requests_per_second: float | None = 2.0

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("http://", "https://")):
            raise CoordevalError(f"{self.name}: base URL {self.base_url!r} must start with http:// or https://")
        if self.requests_per_second is not None and not self.requests_per_second > 0:
            raise CoordevalError(
                f"{self.name}: requests_per_second is {self.requests_per_second}; it must be above 0, or None for no limit"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often and how long a failing request is tried again. Times are seconds."""

    attempts: int = 7
    wait_initial: float = 0.5
    wait_max: float = 30.0
    wait_jitter: float = 0.5
    retry_after_max: float = 120.0
    """A server that asks for a longer wait is not kept waiting for: the request fails, and says so."""
    timeout: float = 30.0
    """Of one try: connecting, and each read."""
    answer: float = 120.0
    """Of one try from its request to the last byte, however steadily it drips."""
    most_bytes: int = 64 * 2**20
    """Of one body, as it is sent and as it is unpacked. The largest known answer, a page of 1,000 markets, has 4 MB."""


class FetchError(CoordevalError):
    """A request that stayed unanswered. `status` is the last HTTP status, None where none came."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class TooLarge(FetchError):
    """An answer beyond the limit of bytes; it would be as large the next time."""


class BadAnswer(CoordevalError):
    """An answer that another try may mend. `kind` is what is counted, `wait` what the server asked for (seconds).

    `same`: where this comes again, another try mends nothing; it is not asked for more than three times.
    """

    def __init__(
        self, kind: str, message: str, *, status: int | None = None, wait: float | None = None, same: str = ""
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.wait = wait
        self.same = same


class HttpClient:
    """Asks services for answers. An async context manager; one per event loop.

    `failed` counts every try that was made again, by kind, so that a pull can say how it went.
    """

    def __init__(
        self,
        *,
        patience: Patience | None = None,
        contact: str = "",
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`contact`: the user's address or URL, for hosts whose policy asks for one. `transport`: an in-process server."""
        self.patience = patience or Patience()
        self.requests = 0
        self.failed: Counter[str] = Counter()
        self.stand_in = False
        """True once an answer said of itself that it is made up."""
        self._limiters: dict[str, AsyncLimiter] = {}
        self._client = httpx.AsyncClient(
            transport=transport,
            http2=find_spec("h2") is not None,
            timeout=self.patience.timeout,
            headers={"User-Agent": user_agent(contact), "Accept": "application/json", "Accept-Encoding": PACKED},
        )

    async def __aenter__(self) -> "HttpClient":
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._client.aclose()

    async def get_json(self, service: Service, path: str, params: Params = (), *, check: Callable[[Any], T]) -> T:
        """What `check` makes of the JSON body. A BadAnswer from `check` is tried again, any other error is final."""
        return await self.get(service, path, params, read=lambda response: check(json_of(response)))

    async def get(
        self,
        service: Service,
        path: str,
        params: Params = (),
        *,
        read: Callable[[httpx.Response], T],
        accept: Container[int] = (200,),
        most_bytes: int | None = None,
    ) -> T:
        """What `read` makes of an answer whose status is in `accept`. `most_bytes`: less than patience allows.

        Raises FetchError; TooLarge where the body is longer than that.
        """
        url = httpx.URL(service.base_url.rstrip("/") + path, params=list(params) or None)
        patience = self.patience
        retries = stamina.retry_context(
            on=self._backoff,
            attempts=patience.attempts,
            timeout=None,
            wait_initial=patience.wait_initial,
            wait_max=patience.wait_max,
            wait_jitter=patience.wait_jitter,
        )
        tries, came = 0, Counter[str]()
        try:
            async for attempt in retries:
                with attempt:
                    tries = attempt.num
                    try:
                        return read(await self._ask(service, url, accept, most_bytes or patience.most_bytes))
                    except BadAnswer as error:
                        came[error.same] += 1
                        if error.same and came[error.same] >= _SAME:
                            self.failed[error.kind] += 1
                            raise FetchError(
                                f"{service.name}: {url} answered the same {_SAME} times: {error}; it will be the same each "
                                f"time, so look at what {service.base_url} serves there",
                                error.status,
                            ) from error
                        raise
        except BadAnswer as error:
            raise FetchError(
                f"{service.name}: {url} failed {tries} times, at last with: {error}; look whether {service.base_url} works, "
                "then run the same command again: it goes on where it stopped",
                error.status,
            ) from error
        raise AssertionError("stamina ended without an answer or an error")  # pragma: no cover

    def _backoff(self, error: Exception) -> bool | float:
        if not isinstance(error, BadAnswer):
            return False
        self.failed[error.kind] += 1
        return True if error.wait is None else error.wait

    async def _ask(self, service: Service, url: httpx.URL, accept: Container[int], most: int) -> httpx.Response:
        async with self._limiter(service, url) or nullcontext():
            self.requests += 1
        longest = self.patience.answer
        try:
            async with asyncio.timeout(longest), self._client.stream("GET", url) as streamed:
                response = await _received(streamed, most)
        except TooManyBytes as error:
            raise TooLarge(
                f"{service.name}: {url} was not read to its end: {error}; it would be as long the next time"
            ) from error
        except TimeoutError as error:
            problem = f"the answer was not complete after {longest:g} s, the limit for one answer"
            raise BadAnswer("slow", problem, same="slow") from error
        except Unreadable as error:
            raise BadAnswer("cut body", str(error), same=str(error)) from error
        except httpx.RequestError as error:  # refused, timed out, cut in the middle
            raise BadAnswer(type(error).__name__, f"{type(error).__name__}: {error}") from error
        self.stand_in = self.stand_in or STAND_IN in response.headers
        if response.status_code in accept:
            return response
        return self._refuse(service, url, response)

    def _refuse(self, service: Service, url: httpx.URL, response: httpx.Response) -> httpx.Response:
        status, body = response.status_code, excerpt(response.content)
        if status not in TRY_LATER and status < 500:
            to = f" and redirects to {start_of(response.headers.get('location', 'nowhere'), 200)}, which is not followed"
            raise FetchError(
                f"{service.name}: {url} answered {status}{to if response.has_redirect_location else ''}: {body}; this "
                "request is refused however often it is sent, so check its parameters and the base URL",
                status,
            )
        wait = retry_after(response.headers.get("retry-after"))
        if wait is not None and wait > self.patience.retry_after_max:
            raise FetchError(
                f"{service.name}: {url} answered {status} and asks to wait {wait:.0f} s, more than the limit of "
                f"{self.patience.retry_after_max:.0f} s; run the same command again after that",
                status,
            )
        raise BadAnswer(str(status), f"status {status}: {body}", status=status, wait=wait)

    def _limiter(self, service: Service, url: httpx.URL) -> AsyncLimiter | None:
        """One per host; starts are evenly spaced, without an opening burst."""
        if service.requests_per_second is None:
            return None
        if url.netloc.decode() not in self._limiters:
            self._limiters[url.netloc.decode()] = AsyncLimiter(1, 1 / service.requests_per_second)
        return self._limiters[url.netloc.decode()]


async def _received(streamed: httpx.Response, most: int) -> httpx.Response:
    """The response with its body read and unpacked. Raises TooManyBytes, Unreadable, and what httpx raises."""
    headers = streamed.headers
    if streamed.is_stream_consumed:  # a server in this process that handed over a body which was whole already
        content = streamed.content
        if len(content) > most:
            raise TooManyBytes(f"its body is longer than the limit of {most:,} bytes")
    else:
        declared = headers.get("content-length", "")
        if declared.isascii() and declared.isdigit() and int(declared[:20]) > most:
            raise TooManyBytes(f"it announces {declared:.20} bytes, the limit is {most:,}")
        content = await whole(streamed.aiter_raw(), headers.get("content-encoding", ""), most)
    kept = [(name, value) for name, value in headers.multi_items() if name not in _OF_THE_WIRE]
    return httpx.Response(streamed.status_code, headers=kept, content=content, request=streamed.request)


_OF_THE_WIRE = frozenset({"content-encoding", "content-length", "transfer-encoding"})


def json_of(response: httpx.Response) -> Any:
    """The JSON body. Raises BadAnswer for HTML, for a cut body and for an object that holds an `error`."""
    status = response.status_code
    if "html" in response.headers.get("content-type", ""):
        raise BadAnswer("html", f"status {status} with an HTML page: {excerpt(response.content)}", status=status)
    try:
        body = json_value(response.content)
    except ValueError as error:
        problem = f"status {status} with {len(response.content)} bytes that are not JSON ({error})"
        digest = hashlib.sha256(response.content).hexdigest()
        raise BadAnswer("cut body", problem, status=status, same=digest) from error
    if isinstance(body, dict) and body.get("error"):
        problem = f"status {status} with an error in the body: {excerpt(response.content)}"
        raise BadAnswer("error in body", problem, status=status)
    return body


def on_this_machine(base_url: str | None) -> bool:
    """True of a loopback address: no venue is there, so what it serves is made up."""
    host = httpx.URL(base_url).host if base_url else ""
    return host == "localhost" or host.endswith(".localhost") or host.startswith("127.") or host == "::1"


def retry_after(value: str | None) -> float | None:
    """Seconds to wait: RFC 9110 allows a number of seconds or a date. None where the header is absent or unreadable."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def excerpt(body: bytes) -> str:
    """The start of a body, on one line, with nothing in it that a terminal could take for a command."""
    said = start_of(body[: 10 * _EXCERPT].decode("utf-8", "replace"), _EXCERPT)
    text = "".join(c if c.isprintable() else " " for c in said)
    return text + ("…" if len(body) > _EXCERPT else "")


def user_agent(contact: str = "") -> str:
    """`coordeval/VERSION (CONTACT) python-httpx/VERSION`: the form that Wikimedia's policy asks for."""
    try:
        own = version("coordeval")
    except PackageNotFoundError:
        own = "0"
    return f"coordeval/{own} ({contact or 'forecasting research'}) python-httpx/{httpx.__version__}"
