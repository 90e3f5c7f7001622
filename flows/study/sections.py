"""The sections of a study file, each checked by itself; what they must be together is `flows.study.study.Study`'s matter."""

from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from coordeval.agents.bounds import Bounds
from coordeval.agents.providers.base import ModelSettings
from coordeval.agents.providers.chat_api import OpenAIModelSection
from coordeval.agents.providers.messages_api import AnthropicModelSection
from coordeval.agents.providers.recorded import RecordedModelSection
from coordeval.agents.providers.simulated import SimulatedModelSection
from coordeval.agents.server_tools import SERVER_TOOLS
from coordeval.agents.toolbox import TOOLS
from coordeval.market_data.errors import choose
from coordeval.market_data.texts import UndatedText

CELLS_PER_CALL = 4
WAVE_CELLS = 10_000
"""Cells at once where calls go out in waves: every cell that is not under way adds waves."""


class Section(BaseModel):
    """Nothing in it is unknown, infinite or changed afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SimulatedMarkets(Section):
    """Markets of the simulated world."""

    source: Literal["simulated"]
    count: int = Field(default=100, ge=1, le=1_000_000)
    """How many markets."""
    seed: int = Field(default=1, ge=0)
    """Another seed is another world."""


class PublishedMarkets(Section):
    """The hundred resolved Polymarket markets of the published study."""

    source: Literal["coordination-traces-100"]
    limit: int | None = Field(default=None, ge=1)
    """Only the first so many of the hundred."""


class SampledMarkets(Section):
    """Real markets that were pulled into the ledger, as `coordeval markets sample` drew and wrote them to a file."""

    source: Literal["ledger"]
    sample: str = Field(min_length=1)
    """Path of the sample file, from the study file's folder; its bytes are part of the study's identity."""
    undated_text: UndatedText = "cut"
    """Of a market's text that is not shown to have been known at as-of: "cut" shows the question alone, "show" all of it,
    "refuse" ends the run. Additions that carry a later date, or none, are cut in any case."""


class EvidenceSection(Section):
    """Where evidence comes from: searched once per market, as of the study's moment, before any agent is asked."""

    providers: tuple[Literal["mediawiki", "wayback", "gdelt"], ...] = ()
    """Which services are searched: Wikipedia revisions, web archive captures, news headlines."""
    limit: int = Field(default=5, ge=1, le=20)
    """Documents per market and provider."""
    base_url: str | None = None
    """Another address for all of them, such as a stand-in's."""
    contact: str = ""
    """How the services reach you; Wikimedia's policy asks for it."""


class PluginModelSection(ModelSettings):
    """Of a provider that is not built in: its own settings check the keys, once it is loaded."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)


MODELS: Final[dict[str, type[ModelSettings]]] = {
    "simulated": SimulatedModelSection,
    "recorded": RecordedModelSection,
    "anthropic": AnthropicModelSection,
    "openai": OpenAIModelSection,
}
"""Built-in provider -> its settings."""


class AgentsSection(Section):
    """What every agent of every configuration gets."""

    tools: tuple[str, ...] = tuple(TOOLS)
    """Which tools agents have; an empty list: none."""
    max_turns: int = Field(default=12, ge=1, le=100)
    """Model turns per ask, tool calls included."""
    show_price: bool = True
    """Whether agents see the market's price."""
    useless_results: int | None = Field(default=None, ge=1, le=1000)
    """After so many tool results of an ask that are empty, failed or repeated, its tools are withdrawn. Not set: never."""
    memorisation_probe: bool = False
    """Also ask one agent for each market without tools, price or evidence: what the model knows by heart. Never compared."""

    @field_validator("tools")
    @classmethod
    def _known(cls, tools: tuple[str, ...]) -> tuple[str, ...]:
        for tool in tools:
            if tool not in (*TOOLS, *SERVER_TOOLS):
                raise ValueError(choose("tool", tool, [*TOOLS, *SERVER_TOOLS]))
        return tools


class BoundsSection(Section):
    """The most that one cell may use; see `agents.bounds.Bounds`. A bound that is not the usual one is part of identity."""

    asks: int = Field(default=Bounds().asks, ge=1, le=1_000_000)
    """Asks of agents."""
    tokens: int = Field(default=Bounds().tokens, ge=1, le=10**12)
    """Input and output of all its calls; looked at before each call."""
    seconds: float = Field(default=Bounds().seconds, gt=0, le=1e9)
    """Of the configuration's own time: the clock stands while it waits for an answer."""

    def bounds(self) -> Bounds:
        return Bounds(asks=self.asks, tokens=self.tokens, seconds=self.seconds)


class ConfigurationEntry(Section):
    """A configuration with its parameters; `label` names it where a study uses one class twice."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    name: str
    """Which one; its parameters are keys beside it."""
    label: str = Field(default="", max_length=100)
    """What the study calls it, else its name."""

    @field_validator("label")
    @classmethod
    def _one_line(cls, label: str) -> str:
        if label and (not label.isprintable() or label != label.strip()):
            raise ValueError("a label is one line of printable text, without blanks around it")
        return label

    @property
    def key(self) -> str:
        return self.label or self.name


class BudgetSection(Section):
    """The most that parts of a study may cost, in dollars, beside budget_usd: no part of the study's identity."""

    cell_usd: Decimal | None = Field(default=None, gt=0, le=1_000_000_000)
    """Each forecast."""
    configurations: dict[str, Annotated[Decimal, Field(gt=0, le=1_000_000_000)]] = Field(default_factory=dict)
    """Configuration -> what all its forecasts together may cost."""

    @property
    def given(self) -> bool:
        return self.cell_usd is not None or bool(self.configurations)


class RunSection(Section):
    """How fast, and how patient: no part of the study's identity."""

    concurrent_cells: int | None = Field(default=None, ge=1, le=10_000)
    """Not set: so many that calls never lack a cell to come from."""
    concurrent_calls: int = Field(default=64, ge=1, le=10_000)
    """Calls under way at once, at most."""
    requests_per_minute: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Calls a minute, at most."""
    tokens_per_minute: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Input and output together, as the worst case of each call says before it is sent."""
    batch: bool = False
    """Calls go out as Message Batches, a wave at a time: half the price, perhaps hours. It changes no reply."""
    patience_minutes: float = Field(default=60, ge=0, le=525_600)
    """How long all calls wait for a server that takes none, before the run stops and leaves its cells open."""
    call_seconds: float = Field(default=600, gt=0, le=86_400)
    """One call, from connecting to the last byte."""
    tries: int = Field(default=5, ge=1, le=100)
    """How often a call is asked that fails while others are answered."""
    settle_seconds: float = Field(default=60.0, ge=0, le=3600)
    """How long a run that is stopped waits for replies that are on their way and will be charged."""
    isolate: bool | tuple[str, ...] = False
    """Plugin files that are not trusted, or true for all: they are run in worker processes. It changes no reply."""

    @property
    def cells_at_once(self) -> int:
        """Cells that begin alike wait for one call, and some make none: several times as many cells keep the calls full."""
        return self.concurrent_cells or (WAVE_CELLS if self.batch else CELLS_PER_CALL * self.concurrent_calls)
