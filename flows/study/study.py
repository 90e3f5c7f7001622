"""The study file: which markets, as of when, which model, tools, configurations, replicates, predictions and budget.

A study is identified by the hash of its content: all of it but `[run]` and `budget_usd`, which say how fast and how far a
run goes, not what it finds. A changed file is another study; the forecasts and draws that the two have in common are
shared by their own hashes.
"""

import difflib
import hashlib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

import orjson
from pydantic import BaseModel, Discriminator, Field, SerializeAsAny, Tag, ValidationError, field_validator, model_validator

from coordeval.agents.capabilities import check_web_search
from coordeval.agents.cell import Settings
from coordeval.agents.messages import content_hash
from coordeval.agents.prices import PriceBook, rates_of
from coordeval.agents.providers import Money, Provider
from coordeval.agents.providers.chat_api import OpenAIModelSection
from coordeval.agents.providers.messages_api import AnthropicModelSection
from coordeval.agents.providers.recorded import RecordedModelSection
from coordeval.agents.providers.simulated import SimulatedModelSection
from coordeval.agents.server_tools import WEB_SEARCH
from coordeval.analysis.base.arms import MAIN
from coordeval.analysis.base.grid import PRICE
from coordeval.analysis.differences.predictions import Prediction
from coordeval.configurations import Configuration, Registry, load
from coordeval.flows.study import names
from coordeval.flows.study.arms import Arm, ArmEntry, problems, settled
from coordeval.flows.study.as_of import (
    AsOf,
    FractionOfLife,
    HoursBeforeClose,
    HoursBeforeResolution,
    differences,
    plain,
    restored,
    stated,
)
from coordeval.flows.study.as_of import hindsight as on_hindsight
from coordeval.flows.study.names import RULE, allowed
from coordeval.flows.study.open_markets import OpenMarkets
from coordeval.flows.study.providers import provider_of, secrets_of
from coordeval.flows.study.reading import StudyError, toml
from coordeval.flows.study.roles import roles_not_read
from coordeval.flows.study.sections import (
    MODELS,
    AgentsSection,
    BoundsSection,
    BudgetSection,
    ConfigurationEntry,
    EvidenceSection,
    PluginModelSection,
    PublishedMarkets,
    RunSection,
    SampledMarkets,
    Section,
    SimulatedMarkets,
)
from coordeval.market_data.errors import choose
from coordeval.market_data.secrets import remember, remember_environment, take
from coordeval.market_data.texts import UndatedText
from coordeval.market_data.traces100 import NAME as TRACES

PROBE = names.PROBE


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


class Study(Section):
    """A study file that is valid: what stands outside its sections, and each section."""

    name: str
    """What the study is called, its folder too."""
    replicates: int = Field(default=2, ge=1, le=1000)
    """How often the whole study is sampled. Two is the least that shows how much of a difference is chance."""
    markets: Annotated[SimulatedMarkets | PublishedMarkets | SampledMarkets | OpenMarkets, Field(discriminator="source")]
    """Which markets; its `source` says which of the sections below it is."""
    as_of: AsOf = "source"
    """When forecasts are made for. Of a sample, "source" is the rule that it was drawn by."""
    max_price_age_hours: float | None = Field(default=None, gt=0)
    """A last price older than this is none, for the baseline and agents alike. Not set: the sample's, or no limit."""
    evidence: EvidenceSection = EvidenceSection()
    """Where evidence is searched; without it the markets' own documents are what can be found."""
    model: SerializeAsAny[Annotated[AnyModel, Discriminator(kind_of_model)]]
    """The one model of all configurations; its `provider` says which of the sections below it is."""
    models: dict[str, SerializeAsAny[Annotated[AnyModel, Discriminator(kind_of_model)]]] = Field(default_factory=dict)
    """More models, each a table [models.NAME] with the keys of [model], for arms to name."""
    agents: AgentsSection = AgentsSection()
    """What every agent is given."""
    bounds: BoundsSection = BoundsSection()
    """The most that one cell may use."""
    configurations: tuple[ConfigurationEntry, ...] = Field(min_length=1)
    """By name, or as a table with parameters; `coordeval configurations` lists them."""
    arms: tuple[ArmEntry, ...] = ()
    """More settings of what is held fixed, under each of which every configuration runs; the file's own is the first."""
    baseline: str | None = None
    """The configuration that reports ask the others to beat; `single_agent` if not given. Part of the study's identity, as
    predictions are, and not of a forecast's."""
    predictions: tuple[Prediction, ...] = ()
    """Stated before the study runs: part of its identity, so a changed prediction is another study."""
    plugins: tuple[str, ...] = ()
    """Python files with configurations of your own, from the study file's folder. Their bytes are part of the identity."""
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
        if isinstance(entries, list):
            return [{"name": entry} if isinstance(entry, str) else entry for entry in entries]
        return entries

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


class LoadedStudy:
    """A study with its file: resolved configurations, plugin files and identity."""

    noun: ClassVar[str] = "forecast"
    """What one of its cells makes, in words."""

    def __init__(self, study: Study, directory: Path) -> None:
        for model in (study.model, *study.models.values()):
            for secret in secrets_of(model):
                take(secret)  # before a plugin is loaded, which is not to find it in the environment
        remember_environment()
        self.provider: type[Provider]
        self.provider, settings, own = provider_of(study.model, directory)
        self.providers: dict[str, type[Provider]] = {"": self.provider}
        named = {}
        for name, section in study.models.items():
            self.providers[name], named[name], files = provider_of(section, directory)
            own = (*own, *(file for file in files if file not in own))
            if (other := self.providers[name].money) != self.provider.money:
                raise StudyError(
                    f"models.{name}: its dollars are {other}, those of [model] {self.provider.money}; the models of one "
                    "study are all paid, or all simulated, so that what is said of its costs holds for each: give it "
                    "another provider"
                )
        study = study.model_copy(update={"model": settings, "models": named})
        self.study = study
        self.directory = directory
        files = tuple(directory / plugin for plugin in study.plugins)
        isolate = {directory / plugin for plugin in study.plugins if study.isolates(plugin)}
        self.registry: Registry = self.registered(files, isolate)
        for entry in study.configurations:
            if entry.label in self.registry.classes and entry.label != entry.name:
                raise StudyError(
                    f"configuration {entry.name!r} with label {entry.label!r}: that is the name of another configuration, "
                    "and reports would show the one for the other; give it a label of its own"
                )
        self.configurations: dict[str, Configuration] = {
            entry.key: self.registry.create(entry.name, self._placed(entry)) for entry in study.configurations
        }
        self.warnings: list[str] = []
        identities = {label: configuration.identity() for label, configuration in self.configurations.items()}
        if isinstance(study.model, SimulatedModelSection) and (unread := roles_not_read(identities)):
            self.warnings.append(f"{unread[0].lower()}{unread[1:]}")
        for section in (study.model, *study.models.values()):
            self.warnings += section.check()
        self.arms: tuple[Arm, ...] = tuple(self._arms())
        self.content = study.content()
        if given := self._named_files():
            self.content["files"] = {name: hashlib.sha256((directory / name).read_bytes()).hexdigest() for name in given}
        self.sample: dict[str, Any] = {}
        self.as_of: AsOf = study.as_of
        self.max_price_age_hours = study.max_price_age_hours
        if isinstance(study.markets, SampledMarkets):
            path = directory / study.markets.sample
            self.sample, digest = _read_sample(path)
            self.content["markets"] = {"source": "ledger", "sample": digest}
            if self.undated_text != "show":  # what was shown before a study could say so: its hash stays
                self.content["markets"]["undated_text"] = self.undated_text
            self.as_of, self.max_price_age_hours = self._agreed(path)
        self._own = own  # the file that defines the provider
        if files or own:
            files = (*files, *own)
            self.content["plugins"] = {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
        self.id = content_hash("study/1", self.content)

    @staticmethod
    def registered(files: tuple[Path, ...], isolate: set[Path]) -> Registry:
        """The configurations that it may name."""
        return load(files, isolate)

    def _arms(self) -> Iterator[Arm]:
        """The study's arms in its order, the first the one that its own sections are; the memorisation probe is the last."""
        study = self.study
        yield Arm(MAIN, study, "", self.configurations)
        for entry in study.arms:
            own = settled(study, entry)
            self.warnings += [f"arm {entry.name!r}: {said}" for said in own.model.check()] if entry.sampling else []
            labels = entry.configurations or tuple(self.configurations)
            yield Arm(entry.name, own, entry.model or "", {label: self.configurations[label] for label in labels})
        if study.agents.memorisation_probe:
            bare = study.agents.model_copy(update={"tools": (), "show_price": False, "memorisation_probe": False})
            probe = study.model_copy(update={"agents": bare, "arms": (), "models": {}})
            yield Arm(PROBE, probe, "", {PROBE: self.registry.create("single_agent", {})})

    def alone(self, arm: str) -> "LoadedStudy":
        """The study that one of its arms is, without the others. Raises StudyError for an arm that it does not have."""
        found = {one.name: one for one in self.compared}
        if arm not in found:
            raise StudyError(choose("arm of this study", arm, list(found)))
        return (
            self
            if not self.study.arms
            else LoadedStudy(found[arm].study.model_copy(update={"arms": (), "models": {}}), self.directory)
        )

    @property
    def compared(self) -> tuple[Arm, ...]:
        """The arms whose configurations are compared: all but the probe."""
        return tuple(arm for arm in self.arms if arm.name != PROBE)

    @property
    def model_names(self) -> str:
        """The ids of all models that the study asks, in its words of them."""
        return ", ".join(dict.fromkeys((self.study.model_name, *(one.model_id for one in self.study.models.values()))))

    def _placed(self, entry: ConfigurationEntry) -> dict[str, Any]:
        """A configuration's parameters, those that name a file as paths from here."""
        names = self.registry.of(entry.name).files
        given = entry.model_extra or {}
        return {k: str(self.directory / v) if k in names and isinstance(v, str) and v else v for k, v in given.items()}

    def _named_files(self) -> list[str]:
        """The files that parameters of configurations name, as the study does."""
        entries = [(entry.model_extra or {}, self.registry.of(entry.name).files) for entry in self.study.configurations]
        return sorted({given[name] for given, names in entries for name in names if given.get(name)})

    @property
    def hindsight(self) -> bool:
        """True where the as-of time depends on when the market resolved: the published dataset's own does."""
        own = self.study.markets.source == TRACES or self.sample.get("spec", {}).get("hindsight") is True
        return on_hindsight(self.as_of) or (self.as_of == "source" and own)

    def _agreed(self, path: Path) -> tuple[AsOf, float | None]:
        """(as-of, oldest price in hours): what the study does not say, its sample does. Where both do, it warns."""
        drawn = {name: self.sample["spec"].get(name) for name in ("as_of", "max_price_age_hours")}
        own: dict[str, Any] = {"as_of": self.as_of, "max_price_age_hours": self.max_price_age_hours}
        try:
            rule = self.as_of if drawn["as_of"] is None else restored(drawn["as_of"])
        except ValueError as error:
            bad = f"markets.sample = {str(path)!r}: its as_of = {drawn['as_of']!r} is no rule; draw the sample again"
            raise StudyError(bad) from error
        self.warnings += differences({**own, "as_of": None if self.as_of == "source" else plain(self.as_of)}, drawn)
        age = drawn["max_price_age_hours"] if self.max_price_age_hours is None else self.max_price_age_hours
        return (rule if self.as_of == "source" else self.as_of), age

    def files(self) -> dict[str, bytes]:
        """What another process needs to load this study: path from the study's folder -> bytes."""
        names = [*self.study.plugins, *(file.name for file in self._own), *self._named_files()]
        if isinstance(self.study.markets, SampledMarkets):
            names.append(self.study.markets.sample)
        for plugin in self.study.plugins:
            roles = (self.directory / plugin).parent / "roles"
            names += [str(Path(plugin).parent / "roles" / file.name) for file in sorted(roles.glob("*.md"))]
        return {name: (self.directory / name).read_bytes() for name in names}

    @property
    def simulated(self) -> bool:
        """True where the model or a market is made up; a sample says so of its own."""
        return self.study.simulated or self.money == "simulated" or self.sample.get("simulated") is True

    @property
    def money(self) -> Money:
        """What becomes of the dollars: it is the model's matter, not the markets'."""
        return self.provider.money

    @property
    def undated_text(self) -> UndatedText:
        """The published prompts show their own text, whose age nobody knows; made-up text is as old as its market."""
        markets = self.study.markets
        return markets.undated_text if isinstance(markets, SampledMarkets | OpenMarkets) else "show"

    @property
    def recorded(self) -> bool:
        """Draws of a recording were not shared between configurations, so they are keyed by configuration."""
        return self.study.model.provider == "recorded"


def _read_sample(path: Path) -> tuple[dict[str, Any], str]:
    """A sample file and its hash. Raises StudyError naming what is wrong with it."""
    try:
        content = path.read_bytes()
        sample = orjson.loads(content)
        if not isinstance(sample, dict) or not isinstance(ids := sample.get("market_ids"), list) or not ids:
            raise ValueError("it holds no market_ids")
        if bad := [market for market in ids if not isinstance(market, str) or not market]:
            raise ValueError(f"market_ids holds {bad[0]!r}, which is no market's id")
        if len(set(ids)) < len(ids):
            raise ValueError("market_ids names a market twice")
        if not isinstance(sample.setdefault("spec", {}), dict):
            raise ValueError("its spec is no object")
        age = sample["spec"].get("max_price_age_hours")
        if age is not None and (isinstance(age, bool) or not isinstance(age, (int, float)) or age < 0):
            raise ValueError(f"its max_price_age_hours = {age!r} is no number of hours")
    except (OSError, ValueError) as error:
        raise StudyError(
            f"markets.sample = {str(path)!r}: not a sample file ({error}); `coordeval markets sample` writes one"
        ) from error
    return sample, hashlib.sha256(content).hexdigest()


def load_study(path: Path, *, changes: Mapping[str, Any] = MappingProxyType({})) -> LoadedStudy:
    """Read and check a study file. Raises StudyError naming the file, the key, the value and the rule.

    `changes` stand in place of what the file says, for this run: dotted key -> value ("run.batch" -> True).
    """
    raw = toml(path)
    if "conditions" in raw and "configurations" not in raw:
        raise StudyError(f"{path}: this is a study of games (it has conditions): `coordeval grounding run {path}` runs it")
    for key, value in changes.items():
        *sections, last = key.split(".")
        place = raw
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    try:
        study = Study.model_validate(raw)
    except ValidationError as error:
        raise StudyError(f"{path}:\n" + "\n".join(f"  {_problem(e)}" for e in error.errors())) from error
    return LoadedStudy(study, path.parent)


def _problem(error: Any) -> str:
    """One problem in one line: key = value: rule, and the nearest key where a key is unknown."""
    tags = {*MODELS, "plugin", "ledger", "open", TRACES}
    where = [str(part) for i, part in enumerate(error["loc"]) if not (i > 0 and part in tags)]
    key = ".".join(where) or "(the file)"
    if error["type"] == "extra_forbidden":
        known = _keys(where[:-1], error["loc"])
        near = difflib.get_close_matches(where[-1], known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return f"{key} = {error['input']!r}: no such key; {hint}known here: {', '.join(known) or 'see the documentation'}"
    if error["type"] == "missing":
        return f"{key}: is missing and has no default"
    message = error["msg"].removeprefix("Value error, ")
    if key == "model.key":  # what stands there may be the key itself
        remember(str(error["input"]), key)
        return f"{key}: it is the name of the environment variable that holds the key, such as OPENAI_API_KEY, not the key"
    return f"{key} = {error['input']!r}: {message}" if where else message


def _keys(parents: list[str], loc: tuple[Any, ...]) -> list[str]:
    sections: dict[str, list[type[BaseModel]]] = {
        "markets": [SimulatedMarkets, PublishedMarkets, SampledMarkets, OpenMarkets],
        "evidence": [EvidenceSection],
        "model": [MODELS[loc[1]]] if len(loc) > 1 and loc[1] in MODELS else list(MODELS.values()),
        "agents": [AgentsSection],
        "predictions": [Prediction],
        "arms": [ArmEntry],
        "budget": [BudgetSection],
        "run": [RunSection],
        "as_of": [HoursBeforeClose, FractionOfLife, HoursBeforeResolution],
    }
    models = sections.get(parents[0], []) if parents else [Study]
    return sorted({field for model in models for field in model.model_fields})
