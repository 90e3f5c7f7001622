"""The file of a study of games: which instances, which conditions, which model; the rest is as in every study file.

It becomes a `Study` whose markets are instances and whose configurations are conditions, so that a run, its budget, its
journal and its resume are those of every study.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from coordeval.configurations import Registry
from coordeval.flows.grounding.arms import ARMS, Arm
from coordeval.flows.study.common import StudyFile, tables
from coordeval.flows.study.mistakes import problem
from coordeval.flows.study.names import GAMES
from coordeval.flows.study.reading import StudyError, toml
from coordeval.flows.study.schema import Study
from coordeval.flows.study.sections import (
    AgentsSection,
    BudgetSection,
    ConfigurationEntry,
    RunSection,
    Section,
)
from coordeval.flows.study.study import LoadedStudy
from coordeval.grounding.game import GameError, Instance
from coordeval.grounding.instances import TENSIONS, instances
from coordeval.grounding.registry import load as load_repairs
from coordeval.grounding.repairs import Repair
from coordeval.market_data.errors import choose
from coordeval.market_data.plugins import PluginError

SOURCE: Final[Literal["grounding"]] = GAMES
"""What `studies.source` says of a study of games."""
MOST_TURNS: Final = 4
"""Of one ask: an answer, its correction, and two turns in which a model only thought aloud."""


class InstancesSection(Section):
    """Which instances are played: drawn from a seed, kept by the hash of their content."""

    source: Literal["grounding"] = SOURCE
    count: int = Field(default=24, ge=1, le=100_000)
    """How many; tensions take turns."""
    tensions: tuple[float, ...] = Field(default=TENSIONS, min_length=1)
    """Joint optimum over the sum of what each could have alone: 0.5 all conflict, 1 none."""
    rotating: bool = False
    """Whether each round has projects of its own."""
    seed: int = Field(default=1, ge=0, le=2**31 - 1)
    """Another seed is other instances."""

    @field_validator("tensions")
    @classmethod
    def _in_range(cls, tensions: tuple[float, ...]) -> tuple[float, ...]:
        for tension in tensions:
            if not 0.5 <= tension <= 1:
                raise ValueError(f"tension {tension!r} is out of range: from 0.5 (all conflict) to 1 (none)")
        if len(set(tensions)) < len(tensions):
            raise ValueError("a tension stands in it twice; give each once")
        return tensions


class GameStudy(Study):
    """The study that a file of games becomes."""

    markets: InstancesSection  # type: ignore[assignment]  # its instances stand where a forecast's markets do


class ConditionEntry(ConfigurationEntry):
    """A condition: who plays (pair, solo, oracle, chance, fair_split), and its parameters as keys beside the name."""

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in ARMS:
            raise ValueError(choose("condition", name, list(ARMS)))
        return name


class GameFile(StudyFile):
    """The file itself: its keys, each checked."""

    instances: InstancesSection = InstancesSection()
    """Which instances."""
    conditions: tuple[ConditionEntry, ...] = Field(min_length=1)
    """Who plays, under what: by name, or as a table with parameters."""
    baseline: str | None = None
    """The condition that repairs are held against; the first pair if not given."""

    @field_validator("conditions", mode="before")
    @classmethod
    def _names(cls, entries: object) -> object:
        return tables(entries)

    @model_validator(mode="after")
    def _pairs_to_hold_against(self) -> "GameFile":
        pairs = [entry.key for entry in self.conditions if entry.name == "pair"]
        if self.baseline is not None and self.baseline not in pairs:
            raise ValueError(f"baseline = {self.baseline!r}: {choose('pair of this study', self.baseline, pairs)}")
        return self

    def study(self) -> Study:
        """As every run takes it."""
        given = self.model_dump(exclude={"instances", "conditions"})
        pairs = [entry.key for entry in self.conditions if entry.name == "pair"]
        return GameStudy.model_validate(
            given
            | {
                "markets": self.instances,
                "configurations": self.conditions,
                "agents": AgentsSection(tools=(), max_turns=MOST_TURNS, show_price=False),
                "model": self.model,
                "run": self.run,
                "baseline": self.baseline or (pairs[0] if pairs else None),
            }
        )


class LoadedGames(LoadedStudy):
    """A study of games with its file, its conditions and its instances."""

    noun = "game"

    def __init__(self, study: Study, directory: Path) -> None:
        super().__init__(study, directory)
        self.instances = drawn(study)
        self.repairs = load_repairs(tuple(directory / plugin for plugin in study.plugins))
        self.mending: dict[str, Repair] = {}
        """Condition -> its repair."""
        for label, arm in self.configurations.items():
            assert isinstance(arm, Arm)
            try:
                self.mending[label] = arm.repaired(self.repairs)
            except PluginError as error:
                raise StudyError(f"condition {label!r}: {error}") from error
        if self.money != "paid" and (study.budget_usd is not None or study.budget.given or study.run.batch):
            raise StudyError(f"budget and batches: a {study.model.provider} model costs nothing; take them out")

    @staticmethod
    def registered(files: tuple[Path, ...], isolate: set[Path]) -> Registry:
        return Registry("condition", dict(ARMS), {})


def drawn(study: Study) -> tuple[Instance, ...]:
    """The study's instances. Raises StudyError where they cannot be drawn."""
    section: Any = study.markets
    try:
        return instances(section.count, tensions=section.tensions, rotating=section.rotating, seed=section.seed)
    except GameError as error:
        raise StudyError(f"instances: {error}") from error


def load_games(path: Path, *, changes: Mapping[str, Any] = MappingProxyType({})) -> LoadedGames:
    """Read and check a file of games. Raises StudyError naming the file, the key, the value and the rule.

    `changes` stand in place of what the file says, for this run: dotted key -> value.
    """
    raw = toml(path)
    if "markets" in raw or "configurations" in raw:
        raise StudyError(
            f"{path}: this is a study of forecasts (it has {'markets' if 'markets' in raw else 'configurations'}): "
            f"`coordeval run {path}` runs it"
        )
    for key, value in changes.items():
        *sections, last = key.split(".")
        place = raw
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    try:
        return LoadedGames(GameFile.model_validate(raw).study(), path.parent)
    except ValidationError as error:
        raise StudyError(f"{path}:\n" + "\n".join(f"  {problem(each, _keys)}" for each in error.errors())) from error
    except (StudyError, PluginError) as error:
        raise StudyError(f"{path}: {error}") from error


def _keys(parents: list[str], _: tuple[Any, ...]) -> list[str]:
    sections: dict[str, type[BaseModel]] = {"instances": InstancesSection, "run": RunSection, "budget": BudgetSection}
    section = sections.get(parents[0]) if parents else GameFile
    return sorted(section.model_fields) if section else []
