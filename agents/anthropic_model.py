"""A live model: one Messages API call per request, by the official SDK, against any endpoint that speaks that API."""

import os
from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from typing import Any
from urllib.parse import quote

import anthropic
import httpx2

from coordeval.agents.addresses import alike
from coordeval.agents.anthropic_batches import MessageBatches
from coordeval.agents.bodies import BODY_LIMIT, BULK_LIMIT, Bounded
from coordeval.agents.capabilities import RANDOMNESS, least_cached, randomness_version
from coordeval.agents.connections import client as connected
from coordeval.agents.endpoint import EndpointModel
from coordeval.agents.messages import Request, canonical, count
from coordeval.agents.prices import PriceBook, utc_today
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.secrets import excerpt, remember, take

KEY, ADDRESS = "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"
DEFAULT_BASE_URL = "https://api.anthropic.com"
CHARACTERS_PER_TOKEN = 4
_COUNTED = frozenset({"model", "system", "messages", "tools", "thinking"})
_POINT = {"type": "ephemeral"}
_CACHED = b',"cache_control":{"type":"ephemeral"}}'


class BoundedClient(Bounded, anthropic.DefaultAsyncHttpxClient):
    """The SDK's own HTTP client, but that no body is read beyond `limit` bytes (Oversized) and no redirect is followed."""


class AnthropicModel(EndpointModel):
    """A model behind the Messages API.

    Reads at most `body_limit` bytes of a reply. With `prompt_cache` every request marks cache points of five minutes, which
    change its price and never the reply.

    The key is `api_key`, or ANTHROPIC_API_KEY, which leaves the environment. Raises CoordevalError where there is none.
    """

    status_error, connection_error = anthropic.APIStatusError, anthropic.APIConnectionError

    def __init__(
        self,
        model_id: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        price_book: PriceBook | None = None,
        http_client: httpx2.AsyncClient | None = None,
        prompt_cache: bool = True,
        deadline: float = 600.0,
        body_limit: int = BODY_LIMIT,
        today: Callable[[], date] = utc_today,
    ) -> None:
        key = (api_key or take(KEY) or "").strip()
        if not key:
            raise CoordevalError(
                f"model {model_id!r} needs an API key and ANTHROPIC_API_KEY is not set: "
                f"set it in the environment, or choose the simulated model"
            )
        remember(key, KEY)
        self._cache = prompt_cache
        self._own_client = http_client is None
        self._bulk: anthropic.AsyncAnthropic | None = None
        client = anthropic.AsyncAnthropic(
            api_key=key,
            base_url=base_url or os.environ.get(ADDRESS) or DEFAULT_BASE_URL,
            http_client=http_client or connected(body_limit, BoundedClient),
            max_retries=0,
            timeout=httpx2.Timeout(deadline, connect=min(deadline, 10.0)),
            open_telemetry=False,
        )
        super().__init__(model_id, client, key_name=KEY, price_book=price_book, deadline=deadline, today=today)

    @property
    def former_identities(self) -> list[Mapping[str, Any]]:
        """The identities under which this same model stood in ledgers: other words for its address, and without a cache."""
        everywhere = [self._identity(url, cache=cache) for url in alike(self._url) for cache in (True, False)]
        return [identity for identity in everywhere if identity != self.identity]

    @property
    def batches(self) -> MessageBatches:
        """Its Message Batches: the same calls at a batch's price."""
        return MessageBatches(self._model_id, self._send_batches, partial(self._price, batch=True))

    async def aclose(self) -> None:
        await super().aclose()
        if self._bulk is not None and self._bulk is not self._client:
            await self._bulk.close()

    def _identity(self, url: str, *, cache: bool = True) -> dict[str, Any]:
        headers, version = self._client.default_headers, randomness_version(self._model_id)
        return {
            "provider": "anthropic",
            "model": self._model_id,
            "prompt_cache": cache,  # kept as it stood when it was thought to matter, so that what was paid for is found
            "anthropic_version": headers["anthropic-version"],
            **({"anthropic_version_with_temperature": version} if version else {}),
            **({"anthropic_beta": headers["anthropic-beta"]} if "anthropic-beta" in headers else {}),
            **({"base_url": url} if url != DEFAULT_BASE_URL else {}),
        }

    async def _send_batches(
        self, method: str, path: str, body: bytes | None, sampling: Mapping[str, Any]
    ) -> httpx2.Response:
        """One call of /v1/messages/batches. Results are read to a limit of their own."""
        if self._bulk is None:
            client = connected(BULK_LIMIT, BoundedClient) if self._own_client else None
            self._bulk = self._client.with_options(http_client=client) if client else self._client
        options: Any = {"headers": self._headers(sampling)}
        url = f"/v1/messages/batches{path}"
        if method == "POST":
            sending = self._bulk.post(url, content=body or b"", cast_to=httpx2.Response, options=options)
        else:
            sending = self._bulk.get(url, cast_to=httpx2.Response, options=options)
        return await self._judged(sending, self._deadline * 10)

    def _headers(self, sampling: Mapping[str, Any]) -> dict[str, str]:
        version = randomness_version(self._model_id) if RANDOMNESS & sampling.keys() else None
        return {"content-type": "application/json", **({"anthropic-version": version} if version else {})}

    async def _send(self, request: Request) -> httpx2.Response:
        """Sends the bytes that were hashed, as they are: the SDK's typed `create` would encode the request anew."""
        response: httpx2.Response = await self._client.post(
            "/v1/messages",
            content=self._content(request),
            cast_to=httpx2.Response,
            options={"headers": self._headers(request.sampling)},
        )
        return response

    def _content(self, request: Request) -> bytes:
        """What was hashed, with cache points: after what every prompt begins with (tools and system text), where that alone
        is long enough for this model to cache, and at the end, which the next turn goes on from."""
        if not self._cache:
            return request.encoded
        least = least_cached(self._model_id)
        shared = len(request.system) + len(canonical(list(request.tools)))
        if least is None or shared // CHARACTERS_PER_TOKEN < least:
            return request.encoded[:-1] + _CACHED
        system = [{"type": "text", "text": request.system, "cache_control": _POINT}]
        return canonical({**request.body, "system": system, "cache_control": _POINT})

    async def count_tokens(self, request: Request) -> int:
        """The tokens of a request's prompt by the server's own count, which is free of charge. Raises as `complete` does."""
        asked = {name: part for name, part in request.body.items() if name in _COUNTED}
        try:
            counted = await self._client.post(
                "/v1/messages/count_tokens",
                content=canonical(asked),
                cast_to=httpx2.Response,
                options={"headers": {"content-type": "application/json"}},
            )
        except anthropic.APIStatusError as error:
            self._refuse(error)
        except anthropic.APIConnectionError as error:
            self._fail("unreachable", f"tokens could not be counted: {error.__cause__ or error}")
        found = count(counted.json().get("input_tokens"))
        if found is None:
            raise CoordevalError(f"{self._url} counts no tokens: it answered {excerpt(counted.text, 80)!r}")
        return found

    async def told(self) -> Mapping[str, Any]:
        """What the endpoint says of this model and of what it takes; empty where it says nothing. Costs nothing."""
        try:
            response = await self._client.get(f"/v1/models/{quote(self._model_id, safe='')}", cast_to=httpx2.Response)
            found = response.json()
        except (anthropic.APIError, ValueError):  # a gateway that lists no models
            return {}
        return found if isinstance(found, Mapping) else {}

    def _said(self, error: Any) -> tuple[str, str, str]:
        return str(error.type or ""), str(error.api_message or ""), str(error.error_code or "")
