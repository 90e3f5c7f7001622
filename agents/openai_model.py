"""A live model behind an OpenAI-compatible endpoint, by the official SDK: vLLM, Ollama, OpenRouter, LiteLLM, hosted models.

One chat completion per request. The extra `coordeval[openai]` installs the SDK.
"""

from collections.abc import Callable
from datetime import date
from typing import Any

import httpx2
import openai
import orjson

from coordeval.agents.bodies import BODY_LIMIT, Bounded
from coordeval.agents.chat_form import FORM, Cap, answered, asked
from coordeval.agents.connections import client as connected
from coordeval.agents.endpoint import EndpointModel
from coordeval.agents.messages import Request
from coordeval.agents.prices import PriceBook, utc_today
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.secrets import remember, take

KEY = "OPENAI_API_KEY"
DEFAULT_BASE_URL = "https://api.openai.com/v1"


class BoundedClient(Bounded, openai.DefaultAsyncHttpxClient):
    """The SDK's own HTTP client, but that no body is read beyond `limit` bytes (Oversized) and no redirect is followed."""


class OpenAIModel(EndpointModel):
    """A model behind a chat-completions endpoint. Reads at most `body_limit` bytes of a reply.

    The key is `api_key`, or in the environment variable `key_name`, which leaves the environment. An endpoint of
    one's own needs none (vLLM, Ollama); the official address does, and CoordevalError is raised where there is none. `cap`
    is the name under which the endpoint takes the output cap.
    """

    status_error, connection_error = openai.APIStatusError, openai.APIConnectionError

    def __init__(
        self,
        model_id: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        key_name: str = KEY,
        cap: Cap | None = None,
        price_book: PriceBook | None = None,
        http_client: httpx2.AsyncClient | None = None,
        deadline: float = 600.0,
        body_limit: int = BODY_LIMIT,
        today: Callable[[], date] = utc_today,
    ) -> None:
        key = (api_key or take(key_name) or "").strip()
        if not key and (base_url is None or key_name != KEY):
            raise CoordevalError(
                f"model {model_id!r} needs an API key and {key_name} is not set: set it in the environment, or give "
                f"base_url in [model] the address of an endpoint that needs none"
            )
        remember(key, key_name)
        client = openai.AsyncOpenAI(
            api_key=key or "none",
            base_url=base_url or DEFAULT_BASE_URL,
            http_client=http_client or connected(body_limit, BoundedClient),
            max_retries=0,
            timeout=httpx2.Timeout(deadline, connect=min(deadline, 10.0)),
        )
        super().__init__(model_id, client, key_name=key_name, price_book=price_book, deadline=deadline, today=today)
        official = self._url == DEFAULT_BASE_URL
        self._cap: Cap = cap or ("max_completion_tokens" if official else "max_tokens")

    def _identity(self, url: str) -> dict[str, Any]:
        return {"provider": "openai", "model": self._model_id, "form": FORM, "cap": self._cap, "base_url": url}

    async def _send(self, request: Request) -> httpx2.Response:
        response: httpx2.Response = await self._client.post(
            "/chat/completions",
            content=orjson.dumps(asked(request, self._cap)),
            cast_to=httpx2.Response,
            options={"headers": {"content-type": "application/json"}},
        )
        return response

    def _formed(self, value: Any) -> Any:
        return answered(value)

    def _said(self, error: Any) -> tuple[str, str, str]:
        body = error.body if isinstance(error.body, dict) else {}
        said = body.get("message") or body.get("detail") or ""
        return str(error.type or ""), str(said), str(error.code or "")
