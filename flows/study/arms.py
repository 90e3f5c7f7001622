"""Arms of a study: named settings of what is otherwise held fixed. Every configuration runs in every arm.

The study's own sections are the first arm, MAIN; each `[[arms]]` says in what it differs from them. To a cell an arm is a
study like any other: `settled` gives the study that it is part of.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from coordeval.agents.server_tools import SERVER_TOOLS
from coordeval.agents.toolbox import TOOLS
from coordeval.analysis.base.arms import MAIN
from coordeval.configurations import Configuration, Registry
from coordeval.flows.study.names import PROBE
from coordeval.flows.study.reading import StudyError
from coordeval.flows.study.sections import EvidenceSection, Section
from coordeval.market_data.errors import choose

if TYPE_CHECKING:
    from coordeval.flows.study.schema import Study

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._+-]{0,58}[A-Za-z0-9._+-])?")


class ArmEntry(Section):
    """One more setting under which every configuration is run, by what it changes; what it leaves out is the study's own."""

    name: str
    """What the study calls it."""
    tools: tuple[str, ...] | None = None
    """"none", "all", or a list: which tools agents have here."""
    show_price: bool | None = None
    """Whether agents see the market's price here."""
    evidence: EvidenceSection | None = None
    """Where evidence is searched here: the keys of [evidence], all of them anew."""
    model: str | None = None
    """The NAME of a [models.NAME] table."""
    sampling: dict[str, Any] | None = None
    """Sampling parameters, in place of the model's own."""
    max_turns: int | None = Field(default=None, ge=1, le=100)
    """Model turns per ask here."""
    configurations: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Which of the study's configurations run here, by what the study calls them; not given: all."""

    @field_validator("name")
    @classmethod
    def _plain(cls, name: str) -> str:
        if name in (MAIN, PROBE):
            raise ValueError(f"{name!r} is the name of an arm that is there already; give it another")
        if not _NAME.fullmatch(name):
            raise ValueError(
                "an arm's name is 1 to 60 of letters, digits, blanks and . _ + -, beginning with a letter or digit"
            )
        return name

    @field_validator("tools", mode="before")
    @classmethod
    def _which(cls, tools: object) -> object:
        if isinstance(tools, str):
            if tools not in ("none", "all"):
                raise ValueError('it is "none", "all" or a list of tools')
            return () if tools == "none" else tuple(TOOLS)
        for tool in tools if isinstance(tools, list | tuple) else ():
            if tool not in (*TOOLS, *SERVER_TOOLS):
                raise ValueError(choose("tool", str(tool), [*TOOLS, *SERVER_TOOLS]))
        return tools


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of a loaded study."""

    name: str
    study: "Study"
    """The study as its cells find it here: the settings of this arm in the study's own sections."""
    model: str
    """Which of the study's models: "" its own, else the NAME of a table."""
    configurations: Mapping[str, Configuration]
    """Those that run here, by label."""


def settled(study: "Study", arm: ArmEntry) -> "Study":
    """The study that the arm's cells are part of. Raises ValueError where its settings do not go together."""
    agents = {name: getattr(arm, name) for name in ("tools", "show_price", "max_turns") if getattr(arm, name) is not None}
    model = study.model if arm.model is None else study.models[arm.model]
    if arm.sampling is not None:
        if "sampling" not in type(model).model_fields:
            raise ValueError(
                f"sampling = {arm.sampling}: a {model.provider} model takes no sampling parameters; take it out"
            )
        model = type(model).model_validate({**dict(model), "sampling": arm.sampling})
    return study.model_copy(
        update={
            "agents": study.agents.model_copy(update={**agents, "memorisation_probe": False}),
            "evidence": study.evidence if arm.evidence is None else arm.evidence,
            "model": model,
            "models": {},
            "arms": (),
        }
    )


def arms_of(
    study: "Study", configurations: Mapping[str, Configuration], registry: Registry, warnings: list[str]
) -> Iterator[Arm]:
    """A study's arms in its order, the first the one that its own sections are; the memorisation probe is the last.

    `configurations`: all of the study's, by label. What is odd about an arm's sampling is noted in `warnings`.
    """
    yield Arm(MAIN, study, "", configurations)
    for entry in study.arms:
        own = settled(study, entry)
        warnings += [f"arm {entry.name!r}: {said}" for said in own.model.check()] if entry.sampling else []
        labels = entry.configurations or tuple(configurations)
        yield Arm(entry.name, own, entry.model or "", {label: configurations[label] for label in labels})
    if study.agents.memorisation_probe:
        bare = study.agents.model_copy(update={"tools": (), "show_price": False, "memorisation_probe": False})
        probe = study.model_copy(update={"agents": bare, "arms": (), "models": {}})
        yield Arm(PROBE, probe, "", {PROBE: registry.create("single_agent", {})})


def alone(study: "Study", arms: Mapping[str, Arm], name: str) -> "Study":
    """The study that one of its arms is, without the others; of a study without more arms itself.

    Raises StudyError for an arm that it does not have.
    """
    if name not in arms:
        raise StudyError(choose("arm of this study", name, list(arms)))
    return study if not study.arms else arms[name].study.model_copy(update={"arms": (), "models": {}})


def problems(study: "Study") -> Iterator[str]:
    """What is wrong with the arms of a study and the models that they name, each as key = value: rule and fix."""
    if (study.arms or study.models) and study.model.provider == "recorded":
        yield (
            "arms: a recording holds the replies to the requests of one setting, and nobody can be asked under another: a "
            "study of it has one arm; take them out"
        )
        return
    yield from _models(study)
    yield from _without_tools(MAIN, study)
    names = [arm.name for arm in study.arms]
    seen: dict[str, dict[str, Any]] = {MAIN: _held(study)}
    for number, arm in enumerate(study.arms):
        found = list(_of_one(study, arm, seen))
        if (first := names.index(arm.name)) < number:
            found = [f"arms.{first} has this name; give each a name of its own"]
        yield from (f"arms.{number} ({arm.name!r}): {problem}" for problem in found)


def _models(study: "Study") -> Iterator[str]:
    for name in study.models:
        if name in (study.model.model_id, study.model.provider) or not _NAME.fullmatch(name):
            yield f"models.{name}: [model] is called so, or it is no name (letters, digits, . _ + -); give it another"
        elif name not in {arm.model for arm in study.arms}:
            yield f"models.{name}: no arm names it; say model = {name!r} in one of [[arms]], or take it out"


def _of_one(study: "Study", arm: ArmEntry, seen: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The problems of one arm; notes in `seen` what it holds."""
    labels = [entry.key for entry in study.configurations]
    for label in arm.configurations or ():
        if label not in labels:
            yield f"configurations: {choose('configuration of this study', label, labels)}"
        elif (arm.configurations or ()).count(label) > 1:
            yield f"configurations names {label!r} twice; name it once"
    if arm.model is not None and arm.model not in study.models:
        yield choose("model of this study ([models.NAME])", arm.model, list(study.models))
        return
    try:
        own = settled(study, arm)
        own.check_search()
    except ValueError as error:
        yield str(error)
        return
    held = _held(own)
    for other in [name for name, theirs in seen.items() if theirs == held]:
        whose = "the study's own sections, which are the arm 'main'" if other == MAIN else f"the arm {other!r}"
        what = "changes nothing" if other == MAIN else "is another arm once more"
        yield f"it {what}: its model, tools, price, evidence, sampling and turns are those of {whose}; take it out"
    seen[arm.name] = held
    yield from _without_tools(arm.name, own)


def _held(study: "Study") -> dict[str, Any]:
    """All of what an arm can change."""
    agents = study.agents
    given = {"tools": agents.tools, "show_price": agents.show_price, "max_turns": agents.max_turns}
    return given | {"evidence": study.evidence.model_dump(), "model": study.model.model_dump()}


def _without_tools(arm: str, study: "Study") -> Iterator[str]:
    if not study.model.takes_tools and study.agents.tools:
        whose = "[model]" if arm == MAIN else f"the model of the arm {arm!r}"
        fix = "agents.tools = []" if arm == MAIN else 'tools = "none" in the arm'
        yield f"{whose} takes no tools (takes_tools = false), and is given {', '.join(study.agents.tools)}: say {fix}"
