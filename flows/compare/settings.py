"""What differs between two studies' settings, in words: no names of fields, and no default that is only not written."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from coordeval.configurations import load
from coordeval.flows.study.identity import ABSENT, differing
from coordeval.flows.study.schema import Study
from coordeval.flows.study.sections import (
    MODELS,
    AgentsSection,
    EvidenceSection,
    PublishedMarkets,
    SampledMarkets,
    SimulatedMarkets,
)

_SECTIONS: Final[Mapping[str, Mapping[str, type[BaseModel]]]] = {
    "model": MODELS,
    "markets": {"simulated": SimulatedMarkets, "coordination-traces-100": PublishedMarkets, "ledger": SampledMarkets},
    "agents": {"": AgentsSection},
    "evidence": {"": EvidenceSection},
}
"""Section -> its kind (empty: it has one) -> the class that knows its defaults."""
_WORDS: Final = {
    "agents.max_turns": "model turns that an ask may take",
    "agents.memorisation_probe": "whether what the model knows by heart is probed",
    "agents.show_price": "whether agents see the market price",
    "agents.tools": "tools",
    "as_of": "the moment that forecasts are made for",
    "evidence.base_url": "where the evidence services are",
    "evidence.contact": "the contact that evidence services are given",
    "evidence.limit": "documents of evidence per market and service",
    "evidence.providers": "services that evidence comes from",
    "max_price_age_hours": "hours after which a price counts as none",
    "model.base_url": "address of the model",
    "model.cap": "name of the output cap",
    "model.max_tokens": "tokens that a call may answer with",
    "model.prompt_cache": "whether prompts are cached",
    "model.provider": "kind of model",
    "plugins": "files of own configurations",
    "model.sampling.temperature": "temperature",
}
_STARTS: Final = {
    "model.sampling.": "sampling parameter ",
    "model.parameters.": "simulated forecaster's ",
    "prices.": "price of ",
    "model.": "model's ",
    "agents.": "agents' ",
    "evidence.": "evidence's ",
}


def different_settings(first: Any, second: Any, *, but: tuple[str, ...]) -> Iterator[str]:
    """`what: value → value` of every setting in which two studies' contents differ, without the sections `but`."""
    for key, was, now in differing(first, second):
        if key.split(".")[0] in but:
            continue
        one, other = (_default(key, content) if v == ABSENT else v for v, content in ((was, first), (now, second)))
        if one != other:
            yield f"{_named(key)}: {_said(one)} → {_said(other)}"


def different_parameters(first: Any, second: Any, names: tuple[str, str]) -> Iterator[str]:
    """Where one name of a configuration stands for two things; a parameter that is not given has its class's default."""
    classes = load().classes
    entries = [
        {
            row.get("label") or row["name"]: {k: v for k, v in row.items() if k != "label"}
            for row in c.get("configurations", [])
        }
        for c in (first, second)
    ]
    for label in sorted(entries[0].keys() & entries[1].keys()):
        one, other = (each[label] for each in entries)
        for key in sorted(one.keys() | other.keys()):
            was, now = (each.get(key, _of(classes.get(each["name"]), key)) for each in (one, other))
            if was != now:
                what = "stands for" if key == "name" else f"has {key.replace('_', ' ')}"
                yield f"{label} {what} {_said(was)} in {names[0]}, {_said(now)} in {names[1]}"


def _default(key: str, content: Any) -> Any:
    """What a setting is where a study does not say it; ABSENT where it has no default."""
    section, _, rest = key.partition(".")
    if not rest:
        return _of(Study, section)
    own = content.get(section) or {}
    kinds = _SECTIONS.get(section, {})
    return _of(kinds.get(str(own.get("provider") or own.get("source") or "")) or kinds.get(""), rest)


def _of(cls: type[BaseModel] | None, field: str) -> Any:
    known = cls.model_fields.get(field) if cls is not None else None
    if known is None:
        return ABSENT
    value = known.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return ABSENT
    return (
        value.model_dump(mode="json") if isinstance(value, BaseModel) else list(value) if isinstance(value, tuple) else value
    )


def _named(key: str) -> str:
    if key in _WORDS:
        return _WORDS[key]
    for start, words in _STARTS.items():
        if key.startswith(start):
            return words + key.removeprefix(start).replace("_", " ").replace(".", ", ")
    return key.replace("_", " ").replace(".", ", ")


def _said(value: Any) -> str:
    if value == ABSENT:
        return "not set"
    if value is None or value in ([], (), {}, ""):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_said, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{str(k).replace('_', ' ')} {_said(v)}" for k, v in value.items())
    return str(value)
