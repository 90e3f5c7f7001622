"""What every study file has, of forecasts and of games alike: its name, its one model, what it may cost and how it runs."""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import Discriminator, Field, SerializeAsAny, Tag, field_validator

from coordeval.agents.providers.chat_api import OpenAIModelSection
from coordeval.agents.providers.messages_api import AnthropicModelSection
from coordeval.agents.providers.recorded import RecordedModelSection
from coordeval.agents.providers.simulated import SimulatedModelSection
from coordeval.flows.study.names import RULE, allowed
from coordeval.flows.study.sections import MODELS, BoundsSection, BudgetSection, PluginModelSection, RunSection, Section


def kind_of_model(model: Any) -> str:
    """Which settings check `[model]`: those of a built-in provider, or those that are loaded later."""
    name = model.get("provider") if isinstance(model, dict) else getattr(model, "provider", None)
    return name if name in MODELS else "plugin"


AnyModel = (
    Annotated[SimulatedModelSection, Tag("simulated")]
    | Annotated[RecordedModelSection, Tag("recorded")]
    | Annotated[AnthropicModelSection, Tag("anthropic")]
    | Annotated[OpenAIModelSection, Tag("openai")]
    | Annotated[PluginModelSection, Tag("plugin")]
)


OneModel = SerializeAsAny[Annotated[AnyModel, Discriminator(kind_of_model)]]
"""A model's section, checked by the settings of its provider."""


def tables(entries: object) -> object:
    """Entries of a list, each a name or a table, as tables."""
    return (
        [{"name": entry} if isinstance(entry, str) else entry for entry in entries] if isinstance(entries, list) else entries
    )


class StudyFile(Section):
    """The keys that stand in every study file."""

    name: str
    """What the study is called, its folder too."""
    replicates: int = Field(default=2, ge=1, le=1000)
    """How often all of it is sampled. Two is the least that shows how much of a difference is chance."""
    model: OneModel
    """The one model of all agents; its `provider` says which of the sections below it is."""
    bounds: BoundsSection = BoundsSection()
    """The most that one cell may use."""
    plugins: tuple[str, ...] = ()
    """Python files of your own, from the study file's folder. Their bytes are part of the identity."""
    budget_usd: Decimal | None = Field(default=None, gt=0, le=1_000_000_000)
    """A run of a live model stops before a call that could cost more than this in all. No part of the identity."""
    budget: BudgetSection = BudgetSection()
    """The most that parts of the study may cost. No part of the identity."""
    prices: dict[str, Any] = Field(default_factory=dict)
    """Model id -> its price in dollars per million tokens, a table (input, output, cache_read, cache_write_5m,
    cache_write_1h, valid_from, source), or a list of dated ones. Where neither has one it is null, never $0."""
    run: RunSection = RunSection()
    """How fast and how patient. No part of the identity."""

    @field_validator("name")
    @classmethod
    def _names_a_folder(cls, name: str) -> str:
        if not allowed(name):
            raise ValueError(RULE)
        return name
