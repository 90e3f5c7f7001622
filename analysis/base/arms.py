"""The arms of a study as a table: which there are, and in which of what is held fixed they differ.

An arm is one setting of all that coordination is not: model, tools, price, evidence. Frames have it in the column `arm`. A
comparison of configurations stays inside one arm; two arms may be compared where exactly one factor tells them apart.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Any, Final

import orjson
import polars as pl

from coordeval.analysis.base.checks import AnalysisError
from coordeval.market_data.errors import choose

MAIN: Final = "main"
"""The arm that a study's own sections describe. It always is the first one, and the only one of a study without [[arms]]."""
FACTORS: Final = ("model", "tools", "show_price", "evidence", "sampling", "max_turns")
"""What an arm can change of what is otherwise held fixed."""
ARMS: Final[dict[str, type[pl.DataType]]] = {
    "arm": pl.String,
    "model": pl.String,
    "tools": pl.String,
    "show_price": pl.Boolean,
    "evidence": pl.String,
    "sampling": pl.String,
    "max_turns": pl.Int64,
    "configurations": pl.List(pl.String),  # type: ignore[dict-item]  # an instance: only it says of what
}
"""Columns of the table. `model` is the NAME of its [models.NAME] or, of the study's own [model], its id."""


def arms_table(content: Mapping[str, Any]) -> pl.DataFrame:
    """One row for each arm of a study, in the study's order; the first is MAIN.

    `content` is what the study's id is the hash of (`Study.content`, `studies.content`). Columns as in ARMS: `tools` are
    names joined by ", ", or "none"; `evidence` is JSON of what is not at its default, `sampling` of what the arm itself sets
    (what a model's own table sets is the model's); `configurations` are labels, those that run in it. A factor is null where
    the content does not say it, as of imported forecasts.

    >>> from coordeval.analysis.base.arms import arms_table
    >>> content = {"model": {"id": "m"}, "agents": {"tools": ["market_details"], "show_price": True, "max_turns": 12}}
    >>> content |= {"evidence": {"providers": []}, "configurations": [{"name": "single_agent", "label": ""}]}
    >>> content |= {"arms": [{"name": "bare", "tools": []}]}
    >>> arms_table(content).select("arm", "model", "tools", "show_price").rows()
    [('main', 'm', 'market_details', True), ('bare', 'm', 'none', True)]
    """
    agents = content.get("agents") or {}
    model = content.get("model") or {}
    labels = [one.get("label") or one["name"] for one in content.get("configurations") or () if isinstance(one, Mapping)]
    own = {
        "model": model.get("id") or model.get("provider"),
        "tools": _tools(agents.get("tools")),
        "show_price": agents.get("show_price"),
        "evidence": _json(content.get("evidence"), _NO_EVIDENCE),
        "sampling": "{}" if model else None,
        "max_turns": agents.get("max_turns"),
        "configurations": labels,
    }
    rows = [{"arm": MAIN, **own}]
    for arm in content.get("arms") or ():
        row = {**own, "arm": arm["name"]}
        named = arm.get("model")
        if named is not None:
            row["model"] = named
        if "tools" in arm:
            row["tools"] = _tools(arm["tools"])
        if "evidence" in arm:
            row["evidence"] = _json(arm["evidence"], _NO_EVIDENCE)
        if "sampling" in arm:
            row["sampling"] = _json(arm["sampling"], {})
        row |= {name: arm[name] for name in ("show_price", "max_turns", "configurations") if name in arm}
        rows.append(row)
    return pl.DataFrame(rows, schema=ARMS)


def content_in(content: Mapping[str, Any], arm: str) -> dict[str, Any]:
    """The content that a study would have which is one of the arms of `content`, without the others.

    Raises AnalysisError for an arm that is not there.

    >>> from coordeval.analysis.base.arms import content_in
    >>> content = {"model": {"id": "m"}, "models": {"n": {"id": "other"}}, "arms": [{"name": "bigger", "model": "n"}]}
    >>> content_in(content, "bigger")
    {'model': {'id': 'other'}}
    """
    own = {name: value for name, value in content.items() if name not in ("arms", "models")}
    if arm == MAIN:
        return own
    given = {entry["name"]: entry for entry in content.get("arms") or ()}
    if arm not in given:
        raise AnalysisError(choose("arm of this study", arm, [MAIN, *given]))
    entry = given[arm]
    changed = {name: entry[name] for name in ("tools", "show_price", "max_turns") if name in entry}
    if changed:
        own["agents"] = {**(own.get("agents") or {}), **changed}
    if "model" in entry:
        own["model"] = (content.get("models") or {}).get(entry["model"], {"id": entry["model"]})
    if "sampling" in entry:
        own["model"] = {**(own.get("model") or {}), "sampling": entry["sampling"]}
    return own | ({"evidence": entry["evidence"]} if "evidence" in entry else {})


def differing(arms: pl.DataFrame, first: str, second: str) -> tuple[str, ...]:
    """The factors in which two arms differ, in the order of FACTORS. Raises AnalysisError for an arm that is not there."""
    rows = {row["arm"]: row for row in arms.to_dicts()}
    for name in (first, second):
        if name not in rows:
            raise AnalysisError(choose("arm of this study", name, list(rows)))
    return tuple(name for name in FACTORS if name in arms.columns and rows[first][name] != rows[second][name])


def comparable(arms: pl.DataFrame) -> list[tuple[str, str, str]]:
    """(first arm, second arm, the one factor in which they differ) of every pair that exactly one factor tells apart."""
    pairs = ((a, b, differing(arms, a, b)) for a, b in combinations(arms["arm"].to_list(), 2))
    return [(a, b, factors[0]) for a, b, factors in pairs if len(factors) == 1]


def varied(arms: pl.DataFrame) -> tuple[str, ...]:
    """The factors that take more than one value among the arms."""
    return tuple(name for name in FACTORS if name in arms.columns and arms[name].n_unique() > 1)


def arms_in(frame: pl.DataFrame) -> list[str]:
    """The arms of a frame, sorted; a frame without the column has one, MAIN."""
    return sorted(frame["arm"].unique().to_list()) if "arm" in frame.columns else [MAIN]


_NO_EVIDENCE: Final = {"providers": [], "limit": 5, "base_url": None, "contact": ""}


def _tools(names: list[str] | None) -> str | None:
    return None if names is None else ", ".join(names) or "none"


def _json(values: Mapping[str, Any] | None, usual: Mapping[str, Any]) -> str | None:
    if values is None:
        return None
    said = {name: value for name, value in values.items() if name not in usual or value != usual[name]}
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS).decode()
