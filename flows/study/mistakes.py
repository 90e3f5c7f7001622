"""What is wrong with a study file, a line for each mistake: key = value, the rule, and the nearest key that there is."""

import difflib
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from coordeval.analysis.differences.predictions import Prediction
from coordeval.flows.study.arms import ArmEntry
from coordeval.flows.study.as_of import FractionOfLife, HoursBeforeClose, HoursBeforeResolution
from coordeval.flows.study.open_markets import OpenMarkets
from coordeval.flows.study.schema import Study
from coordeval.flows.study.sections import (
    MODELS,
    AgentsSection,
    BudgetSection,
    EvidenceSection,
    PublishedMarkets,
    RunSection,
    SampledMarkets,
    SimulatedMarkets,
)
from coordeval.market_data.secrets import remember
from coordeval.market_data.traces100 import NAME as TRACES


def problem(error: Any, keys: Callable[[list[str], tuple[Any, ...]], list[str]] | None = None) -> str:
    """One problem in one line: key = value: rule, and the nearest key where a key is unknown.

    `keys`: those that there are below some parents, at that place of the file; a study of forecasts' if not given.
    """
    tags = {*MODELS, "plugin", "ledger", "open", TRACES}
    where = [str(part) for i, part in enumerate(error["loc"]) if not (i > 0 and part in tags)]
    key = ".".join(where) or "(the file)"
    if error["type"] == "extra_forbidden":
        known = (keys or _keys)(where[:-1], error["loc"])
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
