"""The page of the study file, read from the models that a study file is checked by."""

import ast
import inspect
import textwrap
from itertools import pairwise
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from coordeval.agents.providers.chat_api import OpenAIModelSection
from coordeval.agents.providers.messages_api import AnthropicModelSection
from coordeval.agents.providers.recorded import RecordedModelSection
from coordeval.agents.providers.simulated import SimulatedModelSection
from coordeval.analysis.differences.predictions import KNOWN, Prediction
from coordeval.flows.site.markdown import cell, code, table
from coordeval.flows.study.arms import ArmEntry
from coordeval.flows.study.as_of import FractionOfLife, HoursBeforeClose, HoursBeforeResolution
from coordeval.flows.study.open_markets import OpenMarkets
from coordeval.flows.study.schema import Study
from coordeval.flows.study.sections import (
    AgentsSection,
    BoundsSection,
    BudgetSection,
    ConfigurationEntry,
    EvidenceSection,
    PublishedMarkets,
    RunSection,
    SampledMarkets,
    SimulatedMarkets,
)

SECTIONS: Final[tuple[tuple[str, type[BaseModel]], ...]] = (
    ("The file itself", Study),
    ("[markets] source = simulated", SimulatedMarkets),
    ("[markets] source = ledger", SampledMarkets),
    ("[markets] source = coordination-traces-100", PublishedMarkets),
    ("[markets] source = open", OpenMarkets),
    ("as_of = { hours_before_close }", HoursBeforeClose),
    ("as_of = { fraction_of_life }", FractionOfLife),
    ("as_of = { hours_before_resolution }", HoursBeforeResolution),
    ("[evidence]", EvidenceSection),
    ("[model] provider = simulated", SimulatedModelSection),
    ("[model] provider = anthropic", AnthropicModelSection),
    ("[model] provider = openai", OpenAIModelSection),
    ("[model] provider = recorded", RecordedModelSection),
    ("[agents]", AgentsSection),
    ("[bounds]", BoundsSection),
    ("[budget]", BudgetSection),
    ("configurations", ConfigurationEntry),
    ("[[arms]]", ArmEntry),
    ("[[predictions]]", Prediction),
    ("[run]", RunSection),
)

_PLAIN: Final = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "bool": "true or false",
    "Decimal": "number",
    "AwareDatetime": "date",
}
SELECTS: Final = "says which of these sections it is"
"""Of a key that has one value only."""


def study_file_page() -> str:
    """Every key: its type, what it is when left out, its limits, and what it means."""
    lines = [
        "# The study file",
        "",
        "`coordeval study new my-study.toml` writes one with comments. A key that is not here is refused, with the nearest "
        "one that is. All but `[run]`, `budget_usd` and `[budget]` is part of the study's identity: changed, it is another.",
        "",
    ]
    for title, model in SECTIONS:
        told = " ".join(inspect.cleandoc(model.__doc__ or "").split("\n\n")[0].split())
        lines += [
            f"## {title}",
            "",
            cell(told),
            "",
            *table(["key", "type", "if left out", "limits", "what it is"], _rows(model)),
        ]
        if model is Prediction:
            lines += ["`measure` is one of " + ", ".join(code(name) for name in KNOWN) + ".", ""]
    return "\n".join(lines)


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """Key -> the docstring that stands below it in the source."""
    [body] = [
        node.body for node in ast.parse(textwrap.dedent(inspect.getsource(model))).body if isinstance(node, ast.ClassDef)
    ]
    found: dict[str, str] = {}
    for base in model.__bases__:  # a provider's keys stand beside those that all of them have
        if issubclass(base, BaseModel) and base.model_fields:
            found |= meanings(base)
    for node, below in pairwise(body):
        match node, below:
            case ast.AnnAssign(target=ast.Name(id=key)), ast.Expr(value=ast.Constant(value=str(said))):
                found[key] = " ".join(said.split())
    return found


def _rows(model: type[BaseModel]) -> list[tuple[str, str, str, str, str]]:
    said = meanings(model)
    return [
        (
            code(key),
            cell(_type(field.annotation)),
            _default(field),
            cell(_limits(field.metadata)),
            cell(said.get(key, SELECTS)),
        )
        for key, field in model.model_fields.items()
    ]


def _type(annotation: Any) -> str:
    """A type in words that a reader of TOML knows."""
    name = getattr(annotation, "__name__", str(annotation))
    parts = [part for part in get_args(annotation) if part not in (type(None), ...)]
    if name == "Literal":
        return " or ".join(f'"{part}"' for part in parts)
    if name in ("tuple", "dict"):
        return "table" if name == "dict" else f"list of {' or '.join(dict.fromkeys(_type(part) for part in parts))}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    return " or ".join(dict.fromkeys(_type(part) for part in parts)) if parts else _PLAIN.get(name, name)


def _default(field: Any) -> str:
    if field.default_factory is not None:
        return "empty"
    if field.default is PydanticUndefined:
        return "needed"
    if field.default is None or isinstance(field.default, BaseModel):
        return ""
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    return code(f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else value)


def _limits(metadata: list[Any]) -> str:
    words = {
        "ge": "at least",
        "gt": "above",
        "le": "at most",
        "lt": "below",
        "min_length": "length at least",
        "max_length": "length at most",
    }
    found = []
    for one in metadata:
        for name, said in words.items():
            if (value := getattr(one, name, None)) is not None:
                found.append(f"{said} {value:,}" if isinstance(value, int) else f"{said} {value:g}")
    return ", ".join(found)
