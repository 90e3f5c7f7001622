"""Any endpoint that speaks the Messages API, as a provider."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from coordeval.agents.capabilities import check_sampling, check_strict
from coordeval.agents.messages import Model
from coordeval.agents.providers.base import Around, ModelSettings, Money


class AnthropicModelSection(ModelSettings):
    """Any model behind an endpoint that speaks the Messages API."""

    provider: Literal["anthropic"]
    id: str = Field(min_length=1)
    """The model's id, as the endpoint calls it."""
    base_url: str | None = None
    """The address before /v1/messages; left out, ANTHROPIC_BASE_URL or Anthropic's own."""
    prompt_cache: bool = True
    """Whether requests mark what can be cached."""
    sampling: dict[str, Any] = Field(default_factory=dict)
    """Such as temperature; only models that take it. Sent as it is."""
    strict: bool = Field(default=False, exclude_if=lambda value: not value)
    """Whether the server is asked to hold answers to their schema; not every model takes that."""

    @property
    def secrets(self) -> tuple[str, ...]:
        return ("ANTHROPIC_API_KEY",)

    def check(self) -> list[str]:
        return check_sampling(self.id, self.sampling) + check_strict(self.id, self.strict)


class MessagesApi:
    """Models behind the Messages API, by the official SDK."""

    name: ClassVar[str] = "anthropic"
    about: ClassVar[str] = "any endpoint that speaks the Messages API: the Claude API, or a gateway by base_url"
    needs: ClassVar[str] = "ANTHROPIC_API_KEY"
    money: ClassVar[Money] = "paid"
    settings: ClassVar[type[ModelSettings]] = AnthropicModelSection

    @staticmethod
    def model(settings: AnthropicModelSection, around: Around) -> Model:
        from coordeval.agents.anthropic_model import (
            AnthropicModel,  # 1.6 s that a run without a live model need not wait
        )

        return AnthropicModel(
            settings.id,
            api_key=None if around.asks else "none",
            base_url=settings.base_url,
            price_book=around.prices,
            prompt_cache=settings.prompt_cache,
            deadline=around.call_seconds,
        )
