"""The keys of a study file, each checked, and what they must be together."""

from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from coordeval.agents.capabilities import check_web_search
from coordeval.agents.cell import Settings
from coordeval.agents.prices import PriceBook, rates_of
from coordeval.agents.providers.messages_api import AnthropicModelSection
from coordeval.agents.server_tools import WEB_SEARCH
from coordeval.analysis.base.grid import PRICE
from coordeval.analysis.differences.predictions import Prediction
from coordeval.flows.study.arms import ArmEntry, problems
from coordeval.flows.study.as_of import (
    AsOf,
    plain,
    stated,
)
from coordeval.flows.study.common import OneModel, StudyFile, tables
from coordeval.flows.study.names import PROBE
from coordeval.flows.study.open_markets import OpenMarkets
from coordeval.flows.study.reading import StudyError
from coordeval.flows.study.sections import (
    AgentsSection,
    ConfigurationEntry,
    EvidenceSection,
    PublishedMarkets,
    SampledMarkets,
    SimulatedMarkets,
)
from coordeval.market_data.errors import choose
from coordeval.market_data.traces100 import NAME as TRACES


class Study(StudyFile):
    """A study file that is valid: what stands outside its sections, and each section."""

    markets: Annotated[SimulatedMarkets | PublishedMarkets | SampledMarkets | OpenMarkets, Field(discriminator="source")]
    """Which markets; its `source` says which of the sections below it is."""
    as_of: AsOf = "source"
    """When forecasts are made for. Of a sample, "source" is the rule that it was drawn by."""
    max_price_age_hours: float | None = Field(default=None, gt=0)
    """A last price older than this is none, for the baseline and agents alike. Not set: the sample's, or no limit."""
    evidence: EvidenceSection = EvidenceSection()
    """Where evidence is searched; without it the markets' own documents are what can be found."""
    models: dict[str, OneModel] = Field(default_factory=dict)
    """More models, each a table [models.NAME] with the keys of [model], for arms to name."""
    agents: AgentsSection = AgentsSection()
    """What every agent is given."""
    configurations: tuple[ConfigurationEntry, ...] = Field(min_length=1)
    """By name, or as a table with parameters; `coordeval configurations` lists them."""
    arms: tuple[ArmEntry, ...] = ()
    """More settings of what is held fixed, under each of which every configuration runs; the file's own is the first."""
    baseline: str | None = None
    """The configuration that reports ask the others to beat; `single_agent` if not given. Part of the study's identity, as
    predictions are, and not of a forecast's."""
    predictions: tuple[Prediction, ...] = ()
    """Stated before the study runs: part of its identity, so a changed prediction is another study."""

    @field_validator("as_of", mode="before")
    @classmethod
    def _one_rule(cls, said: object) -> Any:
        return stated(said)

    @field_validator("prices", mode="before")
    @classmethod
    def _exact(cls, prices: object) -> object:
        return {model: rates_of(entry) for model, entry in prices.items()} if isinstance(prices, dict) else prices

    @field_validator("configurations", mode="before")
    @classmethod
    def _names(cls, entries: object) -> object:
        return tables(entries)

    @model_validator(mode="after")
    def _labels_differ(self) -> "Study":
        keys = [entry.key for entry in self.configurations]
        for key in keys:
            if key == PROBE:
                raise ValueError(f"configuration {key!r}: this label is kept for agents.memorisation_probe = true")
            if key.casefold().replace("_", " ") == PRICE and key != "market_price":
                raise ValueError(f"configuration {key!r}: reports call the market's own price so; give it another `label`")
            if keys.count(key) > 1:
                raise ValueError(f"configuration {key!r} stands {keys.count(key)} times; give each a `label` of its own")
        if self.model.provider == "recorded" and self.markets.source != TRACES:
            raise ValueError(f"model.recording = {TRACES!r} holds replies for its own markets: set markets.source to it")
        PriceBook.bundled().with_overrides(self.prices)  # here, so that a bad price is found before anything is paid
        if self.budget_usd is not None and self.model.provider in ("simulated", "recorded"):
            raise ValueError(f"budget_usd = {self.budget_usd}: a {self.model.provider} model costs nothing; take it out")
        if self.prospective and self.as_of != "source":
            raise ValueError(
                f"as_of = {plain(self.as_of)!r}: markets.source = 'open' forecasts as of the moment of asking; take it out"
            )
        if self.model.provider == "recorded" and self.replicates > 1:
            raise ValueError(f"replicates = {self.replicates}: the recording was sampled once, so replicates must be 1")
        return self

    @model_validator(mode="after")
    def _searches_only_ahead(self) -> "Study":
        self.check_search()
        return self

    def check_search(self) -> None:
        """Raises ValueError where the provider would search and may not, or cannot; an arm changes both tools and model."""
        if WEB_SEARCH not in self.agents.tools:
            return
        if not self.prospective:
            raise ValueError(
                f"agents.tools holds {WEB_SEARCH!r}: it searches the web of today, on the model provider's servers, so in "
                "a backtest it would find the outcome; only markets.source = 'open' may declare it: take it out, or use "
                "[evidence] providers, which search as of the study's moment"
            )
        if not isinstance(self.model, AnthropicModelSection):
            raise ValueError(
                f"agents.tools holds {WEB_SEARCH!r}: no provider searches for a {self.model.provider} model; take it out"
            )
        check_web_search(self.model.id)

    @model_validator(mode="after")
    def _isolates_its_plugins(self) -> "Study":
        for plugin in self.run.isolate if isinstance(self.run.isolate, tuple) else ():
            if plugin not in self.plugins:
                raise ValueError(f"run.isolate: {choose('plugin of this study', plugin, self.plugins)}")
        return self

    def isolates(self, plugin: str) -> bool:
        """Whether a plugin file is never loaded into the run's own process."""
        return self.run.isolate if isinstance(self.run.isolate, bool) else plugin in self.run.isolate

    @model_validator(mode="after")
    def _predictions_are_of_this_study(self) -> "Study":
        known = [*(entry.key for entry in self.configurations), PRICE]
        labels = [entry.key for entry in self.configurations]
        if self.baseline is not None and self.baseline not in labels:
            raise ValueError(f"baseline = {self.baseline!r}: {choose('configuration of this study', self.baseline, labels)}")
        rules = [prediction.rule for prediction in self.predictions]
        for i, prediction in enumerate(self.predictions):
            for key, name in (("of", prediction.of), ("than", prediction.than)):
                if name is not None and name not in known:
                    raise ValueError(
                        f"predictions.{i}.{key} = {name!r}: {choose('configuration of this study', name, known)}"
                    )
            if (first := rules.index(prediction.rule)) < i:
                raise ValueError(
                    f"predictions.{i}.claim = {prediction.claim!r}: it states the same rule as predictions.{first}; "
                    "a rule is tested and corrected for once, so take one of them out"
                )
        return self

    @model_validator(mode="after")
    def _spends_as_it_can(self) -> "Study":
        if self.model.provider in ("simulated", "recorded"):
            for key, given in (("budget", self.budget.given), ("run.batch", self.run.batch)):
                if given:
                    raise ValueError(f"{key}: a {self.model.provider} model costs nothing and takes no batches; take it out")
        known = [entry.key for entry in self.configurations]
        for name in self.budget.configurations:
            if name not in known:
                raise ValueError(f"budget.configurations: {choose('configuration of this study', name, known)}")
        return self

    @model_validator(mode="after")
    def _arms_differ(self) -> "Study":
        if found := list(problems(self)):
            raise ValueError("; ".join(found))
        return self

    @property
    def model_name(self) -> str:
        """The model id that requests carry."""
        return self.model.model_id

    @property
    def prospective(self) -> bool:
        """True where forecasts are made before the outcomes: see `flows.prospective`."""
        return isinstance(self.markets, OpenMarkets)

    def check_backtest(self, file: str = "STUDY") -> None:
        """Raises StudyError for a prospective study: its forecasts are made day by day, before the outcomes."""
        if self.prospective:
            raise StudyError(
                "markets.source = 'open': this study is forecast day by day, before the outcomes; `coordeval forecast-open "
                f"{file}` makes today's forecasts, and `coordeval resolve {file}` scores what has resolved"
            )

    @property
    def made_up_markets(self) -> bool:
        """True where the markets are simulated."""
        return self.markets.source == "simulated" or getattr(self.markets, "venue", "") == "simulated"

    @property
    def simulated(self) -> bool:
        """True where the markets or the model are simulated: every result then says so."""
        return self.made_up_markets or self.model.provider == "simulated"

    def settings(self) -> Settings:
        """What is held fixed for all agents."""
        return Settings(
            model=self.model_name,
            max_tokens=self.model.max_tokens,
            sampling=self.model.sampling_parameters,
            tools=self.agents.tools,
            max_turns=self.agents.max_turns,
            show_price=self.agents.show_price,
            bounds=self.bounds.bounds(),
            useless_results=self.agents.useless_results,
            strict=bool(getattr(self.model, "strict", False)),
        )

    def content(self) -> dict[str, Any]:
        """Everything that the study's hash is taken of."""
        content = self.model_dump(mode="json", exclude={"run", "budget_usd", "budget", "baseline", "predictions", "bounds"})
        if self.agents.useless_results is None:  # a study from before it could be said keeps its hash
            del content["agents"]["useless_results"]
        if bounds := self.bounds.bounds().identity():
            content["bounds"] = bounds
        if self.baseline is not None:
            content["baseline"] = self.baseline
        for name in ("arms", "models"):  # a study without keeps the hash it had before there were any
            if not content[name]:
                del content[name]
        if self.arms:
            content["arms"] = [arm.model_dump(mode="json", exclude_none=True) for arm in self.arms]
        if self.predictions:  # a study that states none keeps the hash it had before predictions could be stated
            content["predictions"] = [row.model_dump(mode="json", exclude_none=True) for row in self.predictions]
        return content
