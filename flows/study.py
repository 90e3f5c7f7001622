"""The study file: which markets, as of when, which model, tools, configurations, replicates, predictions and budget.

A study is identified by the hash of its content: all of it but `[run]` and `budget_usd`, which say how fast and how far a
run goes, not what it finds. A changed file is another study; the forecasts and draws that the two have in common are
shared by their own hashes.
"""

import difflib
import hashlib
import tomllib
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from agents.capabilities import check_sampling
from agents.cell import Settings
from agents.messages import content_hash
from agents.toolbox import TOOLS
from analysis.grid import PRICE
from analysis.predictions import Prediction
from configurations import Configuration, Registry, load
from flows.as_of import AsOf, FractionOfLife, HoursBeforeClose, HoursBeforeResolution, differences, plain, restored
from flows.as_of import hindsight as on_hindsight
from market_data.errors import CoordevalError, choose
from market_data.traces100 import NAME as TRACES

PROBE = "memorisation_probe"
"""The label of the probe's cells."""


class StudyError(CoordevalError, ValueError):
    """A study file that breaks a rule; the message names the file, the key, the value and the rule."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SimulatedMarkets(_Section):
    """Markets of the simulated world."""

    source: Literal["simulated"]
    count: int = Field(default=100, ge=1, le=1_000_000)
    seed: int = Field(default=1, ge=0)


class PublishedMarkets(_Section):
    """The hundred resolved Polymarket markets of the published study."""

    source: Literal["coordination-traces-100"]
    limit: int | None = Field(default=None, ge=1)


class SampledMarkets(_Section):
    """Real markets that were pulled into the ledger, as `coordeval markets sample` drew and wrote them to a file."""

    source: Literal["ledger"]
    sample: str = Field(min_length=1)
    """Path of the sample file, from the study file's folder; its bytes are part of the study's identity."""


class EvidenceSection(_Section):
    """Where evidence comes from: searched once per market, as of the study's moment, before any agent is asked."""

    providers: tuple[Literal["mediawiki", "wayback", "gdelt"], ...] = ()
    limit: int = Field(default=5, ge=1, le=20)
    """Documents per market and provider."""
    base_url: str | None = None
    contact: str = ""
    """How the services reach you; Wikimedia's policy asks for it."""


class SimulatedModelSection(_Section):
    """The embedded forecaster; its parameters are those of `agents.simulated.SimulatedParameters`."""

    provider: Literal["simulated"]
    max_tokens: int = Field(default=4000, ge=1)
    parameters: dict[str, float | int] = {}


class RecordedModelSection(_Section):
    """Replies of a published run, replayed."""

    provider: Literal["recorded"]
    recording: Literal["coordination-traces-100"]
    max_tokens: int = Field(default=4000, ge=1)


class AnthropicModelSection(_Section):
    """Any model behind an endpoint that speaks the Messages API."""

    provider: Literal["anthropic"]
    id: str = Field(min_length=1)
    max_tokens: int = Field(default=4000, ge=1)
    base_url: str | None = None
    prompt_cache: bool = True
    sampling: dict[str, Any] = {}


class AgentsSection(_Section):
    """What every agent of every configuration gets."""

    tools: tuple[str, ...] = tuple(TOOLS)
    max_turns: int = Field(default=12, ge=1, le=100)
    show_price: bool = True
    memorisation_probe: bool = False
    """Also ask one agent for each market without tools, price or evidence: what the model knows by heart. Never compared."""

    @field_validator("tools")
    @classmethod
    def _known(cls, tools: tuple[str, ...]) -> tuple[str, ...]:
        for tool in tools:
            if tool not in TOOLS:
                raise ValueError(choose("tool", tool, list(TOOLS)))
        return tools


class ConfigurationEntry(_Section):
    """A configuration with its parameters; `label` names it where a study uses one class twice."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str
    label: str = ""

    @property
    def key(self) -> str:
        return self.label or self.name


class RunSection(_Section):
    """How fast: no part of the study's identity."""

    concurrent_cells: int = Field(default=64, ge=1, le=10_000)
    concurrent_calls: int = Field(default=64, ge=1, le=10_000)
    requests_per_minute: float | None = Field(default=None, gt=0)


class Study(_Section):
    """A validated study file."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    replicates: int = Field(default=2, ge=1, le=1000)
    markets: Annotated[SimulatedMarkets | PublishedMarkets | SampledMarkets, Field(discriminator="source")]
    as_of: AsOf = "source"
    """When forecasts are made for. Of a sample, "source" is the rule that it was drawn by."""
    max_price_age_hours: float | None = Field(default=None, gt=0)
    """A last price older than this is none, for the baseline and agents alike. Not set: the sample's, or no limit."""
    evidence: EvidenceSection = EvidenceSection()
    model: Annotated[SimulatedModelSection | RecordedModelSection | AnthropicModelSection, Field(discriminator="provider")]
    agents: AgentsSection = AgentsSection()
    configurations: tuple[ConfigurationEntry, ...] = Field(min_length=1)
    predictions: tuple[Prediction, ...] = ()
    """Stated before the study runs: part of its identity, so a changed prediction is another study."""
    plugins: tuple[str, ...] = ()
    budget_usd: Decimal | None = Field(default=None, gt=0)
    prices: dict[str, dict[str, Decimal]] = {}
    run: RunSection = RunSection()

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
            if keys.count(key) > 1:
                raise ValueError(f"configuration {key!r} stands {keys.count(key)} times; give each a `label` of its own")
        if self.model.provider == "recorded" and self.markets.source != TRACES:
            raise ValueError(f"model.recording = {TRACES!r} holds replies for its own markets: set markets.source to it")
        if self.budget_usd is not None and self.model.provider != "anthropic":
            raise ValueError(f"budget_usd = {self.budget_usd}: a {self.model.provider} model costs nothing; take it out")
        if self.model.provider == "recorded" and self.replicates > 1:
            raise ValueError(f"replicates = {self.replicates}: the recording was sampled once, so replicates must be 1")
        return self

    @model_validator(mode="after")
    def _predictions_are_of_this_study(self) -> "Study":
        known = [*(entry.key for entry in self.configurations), PRICE]
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

    @property
    def model_name(self) -> str:
        """The model id that requests carry."""
        match self.model:
            case AnthropicModelSection(id=model_id):
                return model_id
            case RecordedModelSection():
                return "claude-opus-4-6"
            case _:
                return "simulated-forecaster-1"

    @property
    def simulated(self) -> bool:
        """True where the markets or the model are simulated: every result then says so."""
        return self.markets.source == "simulated" or self.model.provider == "simulated"

    def settings(self) -> Settings:
        """What is held fixed for all agents."""
        sampling = self.model.sampling if isinstance(self.model, AnthropicModelSection) else {}
        return Settings(
            model=self.model_name,
            max_tokens=self.model.max_tokens,
            sampling=sampling,
            tools=self.agents.tools,
            max_turns=self.agents.max_turns,
            show_price=self.agents.show_price,
        )

    def probe_settings(self) -> Settings:
        """The same model and caps, and nothing to look at but the question."""
        return replace(self.settings(), tools=(), show_price=False)

    def content(self) -> dict[str, Any]:
        """Everything that the study's hash is taken of."""
        content = self.model_dump(mode="json", exclude={"run", "budget_usd", "predictions"})
        if self.predictions:  # a study that states none keeps the hash it had before predictions could be stated
            content["predictions"] = [row.model_dump(mode="json", exclude_none=True) for row in self.predictions]
        return content


class LoadedStudy:
    """A study with its file: resolved configurations, plugin files and identity."""

    def __init__(self, study: Study, directory: Path) -> None:
        self.study = study
        files = tuple(directory / plugin for plugin in study.plugins)
        self.registry: Registry = load(files)
        self.configurations: dict[str, Configuration] = {
            entry.key: self.registry.create(entry.name, entry.model_extra or {}) for entry in study.configurations
        }
        self.warnings: list[str] = []
        if isinstance(study.model, AnthropicModelSection):
            self.warnings = check_sampling(study.model.id, study.model.sampling)
        self.content = study.content()
        self.sample: dict[str, Any] = {}
        self.as_of: AsOf = study.as_of
        self.max_price_age_hours = study.max_price_age_hours
        if isinstance(study.markets, SampledMarkets):
            path = directory / study.markets.sample
            self.sample, digest = _read_sample(path)
            self.content["markets"] = {"source": "ledger", "sample": digest}
            self.as_of, self.max_price_age_hours = self._agreed(path)
        if files:
            self.content["plugins"] = {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
        self.id = content_hash("study/1", self.content)

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

    @property
    def recorded(self) -> bool:
        """Draws of a recording were not shared between configurations, so they are keyed by configuration."""
        return self.study.model.provider == "recorded"


def _read_sample(path: Path) -> tuple[dict[str, Any], str]:
    """A sample file and its hash. Raises StudyError naming what is wrong with it."""
    try:
        content = path.read_bytes()
        sample = orjson.loads(content)
        if not isinstance(sample, dict) or not isinstance(sample.get("market_ids"), list) or not sample["market_ids"]:
            raise ValueError("it holds no market_ids")
        if not isinstance(sample.setdefault("spec", {}), dict):
            raise ValueError("its spec is no object")
    except (OSError, ValueError) as error:
        raise StudyError(
            f"markets.sample = {str(path)!r}: not a sample file ({error}); `coordeval markets sample` writes one"
        ) from error
    return sample, hashlib.sha256(content).hexdigest()


def load_study(path: Path) -> LoadedStudy:
    """Read and check a study file. Raises StudyError naming the file, the key, the value and the rule."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StudyError(
            f"{path}: cannot be read ({error.strerror}); `coordeval study new {path}` writes a commented one"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{path}: this is not TOML: {error}") from error
    try:
        study = Study.model_validate(raw)
    except ValidationError as error:
        raise StudyError(f"{path}:\n" + "\n".join(f"  {_problem(e)}" for e in error.errors())) from error
    return LoadedStudy(study, path.parent)


def _problem(error: Any) -> str:
    """One problem in one line: key = value: rule, and the nearest key where a key is unknown."""
    tags = {"simulated", "recorded", "anthropic", "ledger", TRACES}
    where = [str(part) for i, part in enumerate(error["loc"]) if not (i > 0 and part in tags)]
    key = ".".join(where) or "(the file)"
    if error["type"] == "extra_forbidden":
        known = _keys(where[:-1])
        near = difflib.get_close_matches(where[-1], known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return f"{key} = {error['input']!r}: no such key; {hint}known here: {', '.join(known) or 'see the documentation'}"
    if error["type"] == "missing":
        return f"{key}: is missing and has no default"
    message = error["msg"].removeprefix("Value error, ")
    return f"{key} = {error['input']!r}: {message}" if where else message


def _keys(parents: list[str]) -> list[str]:
    sections: dict[str, list[type[BaseModel]]] = {
        "markets": [SimulatedMarkets, PublishedMarkets, SampledMarkets],
        "evidence": [EvidenceSection],
        "model": [SimulatedModelSection, RecordedModelSection, AnthropicModelSection],
        "agents": [AgentsSection],
        "predictions": [Prediction],
        "run": [RunSection],
        "as_of": [HoursBeforeClose, FractionOfLife, HoursBeforeResolution],
    }
    models = sections.get(parents[0], []) if parents else [Study]
    return sorted({field for model in models for field in model.model_fields})
