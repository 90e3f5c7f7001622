"""Tools that run on the servers of a model's provider: what they find passes no gate.

A search of today finds what happened since, so a backtest cannot have one. Where forecasts are made before their outcome
exists (`markets.source = "open"`) there is nothing later that it could find. What a search was asked and which pages came is
stored with the reply that holds it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from coordeval.agents.capabilities import web_search_version
from coordeval.agents.messages import Block
from coordeval.market_data.errors import CoordevalError

WEB_SEARCH: Final = "web_search"
SERVER_TOOLS: Final = (WEB_SEARCH,)
"""Their names, as a study's `agents.tools` and the API have them."""
MOST_SEARCHES: Final = 5
"""Of one model call."""
_SHOWN: Final = ("title", "url", "page_age")
"""Of a page that was found; its text comes encrypted, for the model alone."""


def server_specs(names: Sequence[str], model: str) -> list[dict[str, Any]]:
    """Those of these tools that run at the provider, in the Messages API's form. Raises CoordevalError: it has none."""
    if WEB_SEARCH not in names:
        return []
    version = web_search_version(model)
    if version is None:
        raise CoordevalError(f"model {model!r} is not listed as one that searches the web by itself")
    return [{"type": version, "name": WEB_SEARCH, "max_uses": MOST_SEARCHES}]


def most_searches(tools: Sequence[Mapping[str, Any]]) -> int:
    """How often one call with these tools may search at its provider."""
    return sum(int(tool.get("max_uses", 0)) for tool in tools if tool.get("name") == WEB_SEARCH)


def searches(content: Sequence[Block]) -> list[dict[str, Any]]:
    """tool, arguments, result, items, error of each search in a reply, as the table `tool_calls` has them."""
    results = {block.get("tool_use_id"): block.get("content") for block in content if _is_result(block)}
    found = []
    for block in content:
        if block.get("type") != "server_tool_use" or block.get("name") != WEB_SEARCH:
            continue
        pages = results.get(block.get("id"))
        listed = [page for page in pages if isinstance(page, Mapping)] if isinstance(pages, list) else None
        shown: Any = {"error": "no result came with it"} if pages is None else pages
        if listed is not None:
            shown = {"pages": [{name: page.get(name) for name in _SHOWN} for page in listed]}
        found.append(
            {
                "tool": WEB_SEARCH,
                "arguments": orjson.dumps(block.get("input")).decode(),
                "result": orjson.dumps(shown).decode(),
                "items": len(listed or ()),
                "error": listed is None,
            }
        )
    return found


def _is_result(block: Block) -> bool:
    return block.get("type") == "web_search_tool_result"
