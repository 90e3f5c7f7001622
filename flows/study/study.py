"""The study file: which markets, as of when, which model, tools, configurations, replicates, predictions and budget.

A study is identified by the hash of its content: all of it but `[run]` and `budget_usd`, which say how fast and how far a
run goes, not what it finds. A changed file is another study; the forecasts and draws that the two have in common are
shared by their own hashes.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from pydantic import ValidationError

from coordeval.agents.messages import content_hash
from coordeval.agents.providers import Money, Provider
from coordeval.agents.providers.simulated import SimulatedModelSection
from coordeval.configurations import Configuration, Registry, load
from coordeval.flows.study import names
from coordeval.flows.study.arms import Arm, alone, arms_of
from coordeval.flows.study.as_of import AsOf, differences, plain, restored
from coordeval.flows.study.as_of import hindsight as on_hindsight
from coordeval.flows.study.mistakes import problem
from coordeval.flows.study.open_markets import OpenMarkets
from coordeval.flows.study.providers import provider_of, secrets_of
from coordeval.flows.study.reading import StudyError, toml
from coordeval.flows.study.roles import roles_not_read
from coordeval.flows.study.sampled import read_sample
from coordeval.flows.study.schema import Study
from coordeval.flows.study.sections import ConfigurationEntry, SampledMarkets
from coordeval.market_data.secrets import remember_environment, take
from coordeval.market_data.texts import UndatedText
from coordeval.market_data.traces100 import NAME as TRACES

PROBE = names.PROBE


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
        self.arms: tuple[Arm, ...] = tuple(arms_of(study, self.configurations, self.registry, self.warnings))
        self.content = study.content()
        if given := self._named_files():
            self.content["files"] = {name: hashlib.sha256((directory / name).read_bytes()).hexdigest() for name in given}
        self.sample: dict[str, Any] = {}
        self.as_of: AsOf = study.as_of
        self.max_price_age_hours = study.max_price_age_hours
        if isinstance(study.markets, SampledMarkets):
            path = directory / study.markets.sample
            self.sample, digest = read_sample(path)
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

    def alone(self, arm: str) -> "LoadedStudy":
        """The study that one of its arms is, without the others. Raises StudyError for an arm that it does not have."""
        study = alone(self.study, {one.name: one for one in self.compared}, arm)
        return self if study is self.study else LoadedStudy(study, self.directory)

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
        raise StudyError(f"{path}:\n" + "\n".join(f"  {problem(e)}" for e in error.errors())) from error
    return LoadedStudy(study, path.parent)
