"""What a model accepts, as data: a study that asks for what its model refuses stops before any call."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from coordeval.market_data.errors import CoordevalError

RANDOMNESS = frozenset({"temperature", "top_p", "top_k"})
"""Parameters that newer models no longer take."""

EFFORTS = ("low", "medium", "high", "xhigh", "max")
"""Every level of effort that the Messages API knows; a model may take some of them, or none."""

_SCAFFOLD = frozenset({"model", "max_tokens", "system", "messages", "tools", "stream", "cache_control"})
"""Parts of a request that other settings of the study, or the model itself, decide."""


class SamplingError(CoordevalError, ValueError):
    """A study fixes a parameter, or declares a tool, that its model does not take."""


def base_id(model: str) -> str:
    """The model id without the date of its snapshot: `claude-haiku-4-5-20251001` is `claude-haiku-4-5`."""
    return re.sub(r"-20\d{6}$", "", model)


@cache
def _models() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files("coordeval.agents").joinpath("data/models.toml").read_text(encoding="utf-8"))


def randomness_version(model: str) -> str | None:
    """The `anthropic-version` under which the model takes RANDOMNESS; None where it takes none or is not listed."""
    return _models().get(base_id(model), {}).get("sampling") or None


def web_search_version(model: str) -> str | None:
    """The version of the tool by which the model's provider searches the web for it; None: it has none, or is not listed."""
    return _models().get(base_id(model), {}).get("web_search") or None


def check_web_search(model: str) -> None:
    """Raises SamplingError where the model is not listed as one that searches the web on its provider's servers."""
    if web_search_version(model) is None:
        able = sorted(name for name in _models() if web_search_version(name))
        raise SamplingError(
            f"agents.tools holds web_search, and {model} is not listed as a model whose provider searches the web for it: "
            f"take it out, or choose one of {', '.join(able)}"
        )


def least_cached(model: str) -> int | None:
    """Tokens of the shortest prompt prefix that the model's server caches; None where that is not known."""
    least: int | None = _models().get(base_id(model), {}).get("least_cached")
    return least


def listed() -> list[dict[str, Any]]:
    """Every model of the table, with what is known of it."""
    return [
        {
            "id": model,
            "temperature": bool(known.get("sampling")),
            "least_cached_tokens": known.get("least_cached"),
            "thinking": known.get("thinking"),
            "effort": known.get("effort"),
            "strict": known.get("strict"),
        }
        for model, known in _models().items()
    ]


def check_sampling(model: str, sampling: Mapping[str, Any]) -> list[str]:
    """Warnings about the sampling parameters of a study. Raises SamplingError for one that the model would refuse."""
    if misplaced := sorted(_SCAFFOLD & sampling.keys()):
        name = misplaced[0]
        raise SamplingError(
            f"model.sampling.{name} = {sampling[name]!r}: {name} is not a sampling parameter, it is fixed elsewhere; "
            f"remove it from [model.sampling]"
        )
    _check_thinking(model, sampling.get("thinking"))
    _check_effort(model, sampling)
    given = sorted(RANDOMNESS & sampling.keys())
    if not given:
        return []
    if base_id(model) not in _models():
        return [
            f"{model} is not a model whose parameters are known: {', '.join(given)} will be sent as given, and the "
            f"endpoint may refuse or ignore {'it' if len(given) == 1 else 'them'}"
        ]
    if randomness_version(model) is None:
        able = sorted(name for name in _models() if randomness_version(name))
        raise SamplingError(
            f"model.sampling.{given[0]} = {sampling[given[0]]!r}: {model} does not take {', '.join(sorted(RANDOMNESS))}; "
            f"remove it from [model.sampling], or choose a model that takes it: {', '.join(able)}"
        )
    temperature = sampling.get("temperature")
    if temperature is not None:
        _check_temperature(model, temperature, sampling)
    return []


def _check_thinking(model: str, thinking: Any) -> None:
    kinds = _models().get(base_id(model), {}).get("thinking")
    kind = thinking.get("type") if isinstance(thinking, Mapping) else None
    if kinds and kind is not None and kind not in kinds:
        raise SamplingError(
            f"model.sampling.thinking.type = {kind!r}: {model} takes {' or '.join(kinds)} only; set it so, or take it out"
        )


def effort_of(sampling: Mapping[str, Any]) -> Any:
    """The level of effort that a study asks for; None: it asks for none."""
    config = sampling.get("output_config")
    return config.get("effort") if isinstance(config, Mapping) else None


def _check_effort(model: str, sampling: Mapping[str, Any]) -> None:
    level = effort_of(sampling)
    if level is None:
        return
    key = f"model.sampling.output_config.effort = {level!r}"
    if level not in EFFORTS:
        raise SamplingError(f"{key}: it must be one of {', '.join(EFFORTS)}")
    levels = _models().get(base_id(model), {}).get("effort")
    if levels is not None and level not in levels:
        takes = f"{model} takes {', '.join(levels)}" if levels else f"{model} takes no effort"
        raise SamplingError(f"{key}: {takes}; set it so, take it out, or choose another model (`coordeval models --json`)")


def check_strict(model: str, strict: bool) -> list[str]:
    """Warnings about answers that the server is to hold to their schema."""
    if not strict or _models().get(base_id(model), {}).get("strict"):
        return []
    return [
        f"model.strict = true: it is not known whether {model} takes strict tools; where it does not, the endpoint refuses "
        "every call (which costs nothing), and `coordeval check-model` tells"
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a study asks of its model beside text."""

    sampling: Mapping[str, Any]
    strict: bool = False
    batch: bool = False
    searches: bool = False
    max_tokens: int = 1


def untaken(told: Mapping[str, Any], wanted: Wanted) -> list[str]:
    """Of what a study asks, all that the endpoint says of its model that it does not take, in words of the study file.

    `told`: what GET /v1/models/ID answers. What it leaves unsaid counts as taken.
    """

    def no(*path: str) -> bool:
        value: Any = told.get("capabilities")
        for part in (*path, "supported"):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value is False

    found = []
    level, thinking = effort_of(wanted.sampling), wanted.sampling.get("thinking")
    kind = thinking.get("type") if isinstance(thinking, Mapping) else None
    if level is not None and (no("effort") or no("effort", str(level))):
        found.append(f"model.sampling.output_config.effort = {level!r}")
    if kind is not None and no("thinking", "types", str(kind)):
        found.append(f"model.sampling.thinking.type = {kind!r}")
    if wanted.strict and no("structured_outputs"):
        found.append("model.strict = true")
    if wanted.batch and no("batch"):
        found.append("run.batch = true")
    if wanted.searches and (no("server_tools") or no("server_tools", "web_search")):
        found.append("web_search in agents.tools")
    most = told.get("max_tokens")
    if type(most) is int and wanted.max_tokens > most:
        found.append(f"model.max_tokens = {wanted.max_tokens} (at most {most})")
    return found


def _check_temperature(model: str, value: Any, sampling: Mapping[str, Any]) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise SamplingError(f"model.sampling.temperature = {value!r}: it must be a number from 0 to 1")
    thinking = sampling.get("thinking")
    if value != 1 and isinstance(thinking, Mapping) and thinking.get("type") != "disabled":
        raise SamplingError(
            f"model.sampling.temperature = {value!r}: {model} takes no temperature other than 1 while it thinks; "
            f'remove the temperature, or set model.sampling.thinking = {{ type = "disabled" }}'
        )
