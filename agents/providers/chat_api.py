"""Any endpoint that speaks the OpenAI chat completions, as a provider: vLLM, Ollama, OpenRouter, LiteLLM, hosted models."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from coordeval.agents.chat_form import OWN
from coordeval.agents.messages import Model
from coordeval.agents.providers.base import Around, ModelSettings, Money
from coordeval.market_data.errors import CoordevalError


class OpenAIModelSection(ModelSettings):
    """Any model behind an endpoint that speaks the OpenAI chat completions."""

    provider: Literal["openai"]
    id: str = Field(min_length=1)
    """The model's id, as the endpoint calls it."""
    base_url: str | None = None
    """The endpoint's address, up to /v1; left out, OpenAI's own."""
    key: str = Field(default="OPENAI_API_KEY", pattern=r"^[A-Z][A-Z0-9_]*$", exclude=True)
    """The environment variable that holds the key: its name, never the key itself, and no part of identity."""
    cap: Literal["max_tokens", "max_completion_tokens"] | None = None
    """The endpoint's name of the output cap; not set: max_completion_tokens at api.openai.com, else max_tokens."""
    sampling: dict[str, Any] = Field(default_factory=dict)
    """Such as temperature. Sent as it is."""
    strict: bool = Field(default=False, exclude_if=lambda value: not value)
    """Whether the server is asked to hold answers to their schema; not every model takes that."""

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.key,)

    def check(self) -> list[str]:
        if misplaced := sorted(OWN & self.sampling.keys()):
            name = misplaced[0]
            raise CoordevalError(
                f"model.sampling.{name} = {self.sampling[name]!r}: {name} is not a sampling parameter, it is fixed "
                "elsewhere; remove it from [model.sampling]"
            )
        return []


class ChatApi:
    """Models behind OpenAI-compatible endpoints, by the official SDK."""

    name: ClassVar[str] = "openai"
    about: ClassVar[str] = "any OpenAI-compatible endpoint: vLLM, Ollama, OpenRouter, LiteLLM, hosted models"
    needs: ClassVar[str] = "pip install 'coordeval[openai]'; the variable that `key` names, where the endpoint wants one"
    money: ClassVar[Money] = "paid"
    settings: ClassVar[type[ModelSettings]] = OpenAIModelSection

    @staticmethod
    def model(settings: OpenAIModelSection, around: Around) -> Model:
        try:
            from coordeval.agents.openai_model import OpenAIModel
        except ModuleNotFoundError as error:
            if error.name != "openai":
                raise
            raise CoordevalError(
                "provider = 'openai' needs the official SDK, which is not installed: pip install 'coordeval[openai]'"
            ) from error
        return OpenAIModel(
            settings.id,
            api_key=None if around.asks else "none",
            base_url=settings.base_url,
            key_name=settings.key,
            cap=settings.cap,
            price_book=around.prices,
            deadline=around.call_seconds,
        )
