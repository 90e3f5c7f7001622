"""The toolbox: three tools, each bound to one market at one as-of time.

No tool takes a market as an argument, so an agent cannot ask about another one, and none can reach past the view that
the as-of gate let through.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from coordeval.agents.server_tools import SERVER_TOOLS
from coordeval.market_data.errors import CoordevalError, choose
from coordeval.market_data.gate import MarketView


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered: `content` is JSON text, `items` counts what it found (0: an empty result)."""

    content: str
    items: int
    error: bool = False


class ToolInputError(CoordevalError, ValueError):
    """The agent called a tool in a way its schema does not allow; the message goes back to the agent."""


IN_STUDY: Final = "prices are not shown in this study"
TO_ROLE: Final = "prices are not shown for this estimate"


def hidden(*, shows: bool, sees: bool) -> str | None:
    """Why an agent is shown no price, in words for it: its study shows none, or its role sees none. None: it is shown."""
    return IN_STUDY if not shows else None if sees else TO_ROLE


def market_details(view: MarketView, arguments: Mapping[str, Any], hidden: str | None) -> tuple[Any, int]:
    facts = {name: _json(value) for name, value in view.market.known_at_opening().items() if value not in (None, "")}
    facts["as_of"] = _json(view.as_of)
    if hidden is None:
        facts["price_of_yes"] = None if view.price is None else _point(view.price)
    return facts, 1


def price_history(view: MarketView, arguments: Mapping[str, Any], hidden: str | None) -> tuple[Any, int]:
    """At most `points` prices, evenly thinned, the last one always among them."""
    if hidden is not None:
        return {"prices": [], "note": hidden}, 0
    wanted = _integer(arguments, "points", default=50, low=1, high=500)
    prices = view.prices
    if len(prices) > wanted:
        step = (len(prices) - 1) / max(wanted - 1, 1)
        prices = [prices[len(prices) - 1 - round(i * step)] for i in reversed(range(wanted))]
    return {"prices": [_point(p) for p in prices]}, len(prices)


def search_evidence(view: MarketView, arguments: Mapping[str, Any], hidden: str | None) -> tuple[Any, int]:
    """Documents by the number of query words they hold, then newest first; an empty query lists the newest."""
    query = arguments.get("query", "")
    if not isinstance(query, str):
        raise ToolInputError(f"query is {query!r}; it must be a string")
    limit = _integer(arguments, "limit", default=8, low=1, high=20)
    words = set(re.findall(r"\w+", query.lower()))
    ranked = []
    for document in view.documents:
        hits = len(words & set(re.findall(r"\w+", f"{document.title} {document.text}".lower())))
        if hits or not words:
            ranked.append((hits, document.knowable_at, document))
    ranked.sort(key=lambda row: (row[0], row[1]), reverse=True)
    found = [
        {"date": _json(d.knowable_at), "title": d.title, "text": d.text, "source": d.source} for _, _, d in ranked[:limit]
    ]
    return {"documents": found}, len(found)


def _integer(arguments: Mapping[str, Any], name: str, *, default: int, low: int, high: int) -> int:
    value = arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ToolInputError(f"{name} is {value!r}; it must be a whole number from {low} to {high}")
    return value


def _point(point: Any) -> dict[str, Any]:
    return {"date": _json(point.knowable_at), "price": point.price, "kind": point.kind}


def _json(value: Any) -> Any:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if hasattr(value, "strftime") else value


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as the model reads it (`spec`, in the Messages API's form) and as it runs."""

    spec: Mapping[str, Any]
    run: Callable[[MarketView, Mapping[str, Any], str | None], tuple[Any, int]]


def _spec(name: str, description: str, **properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"name": name, "description": description, "input_schema": schema}


TOOLS: dict[str, Tool] = {
    "market_details": Tool(
        _spec("market_details", "The market's question, description, dates and price as they stood at the as-of time."),
        market_details,
    ),
    "price_history": Tool(
        _spec(
            "price_history",
            "Past prices of YES on this market up to the as-of time, oldest first.",
            points={"type": "integer", "description": "How many points at most (1 to 500, default 50)."},
        ),
        price_history,
    ),
    "search_evidence": Tool(
        _spec(
            "search_evidence",
            "Search dated documents about this market that existed at the as-of time.",
            query={"type": "string", "description": "Words to look for; empty lists the newest documents."},
            limit={"type": "integer", "description": "How many documents at most (1 to 20, default 8)."},
        ),
        search_evidence,
    ),
}


class Toolbox:
    """The tools that a study allows, bound to one market view; those that run at the model's provider are not run here."""

    def __init__(self, view: MarketView, names: tuple[str, ...] = tuple(TOOLS), *, hidden: str | None = None) -> None:
        """`hidden`: why no price is shown, see `hidden`."""
        names = tuple(name for name in names if name not in SERVER_TOOLS)
        for name in names:
            if name not in TOOLS:
                raise CoordevalError(choose("tool", name, list(TOOLS)))
        self._view, self._names, self._hidden = view, names, hidden

    @property
    def specs(self) -> list[Mapping[str, Any]]:
        return [TOOLS[name].spec for name in self._names]

    def run(self, name: str, arguments: Any) -> ToolResult:
        """The tool's answer; a call that the schema does not allow is answered with an error the agent can mend."""
        try:
            if name not in self._names:
                raise ToolInputError(choose("tool", name, list(self._names)))
            allowed = TOOLS[name].spec["input_schema"]["properties"]
            if not isinstance(arguments, Mapping) or (unknown := set(arguments) - set(allowed)):
                given = arguments if not isinstance(arguments, Mapping) else ", ".join(sorted(unknown))
                raise ToolInputError(f"{name} does not take {given!r}; it takes {', '.join(allowed) or 'no argument'}")
            value, items = TOOLS[name].run(self._view, arguments, self._hidden)
        except ToolInputError as error:
            return ToolResult(orjson.dumps({"error": str(error)}).decode(), 0, error=True)
        return ToolResult(orjson.dumps(value).decode(), items)
