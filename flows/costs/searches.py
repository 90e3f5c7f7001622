"""How often a call searched the web on its provider's servers: it is paid beside the tokens, and no column says it."""

from collections.abc import Sequence
from typing import Final

from coordeval.agents.server_tools import WEB_SEARCH

_STATED: Final = """coalesce((
        SELECT any_value(TRY_CAST(json_extract_string(r.reply, '$.usage.web_searches') AS BIGINT)) FROM draws r
        WHERE r.draw_id = k.draw_id
    ), 0)"""


def searches_of(tools: Sequence[str]) -> str:
    """SQL: how often a row `k` of `calls` searched, by its stored reply; 0 without a look where none could be made."""
    return _STATED if WEB_SEARCH in tools else "0::BIGINT"
