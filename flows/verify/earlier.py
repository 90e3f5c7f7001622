"""Requests as earlier versions of the scaffold wrote them under the identity that it still has.

Until 2026-11-30 the scaffold indented what follows a newline in a market's text, and nothing after the other signs that a
reader may take for a line's end (a lone carriage return, U+2028 ...). That has changed the requests of markets with such a
sign and of no others, and no identity: the specimens that a scaffold is known by hold none.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from coordeval.agents.messages import Request

_INDENTED = re.compile("(\r(?!\n)|[\v\f\x1c\x1d\x1e\x85\u2028\u2029])    ")
_END = "\n</market>"


def as_sent(request: Request) -> Iterator[bytes]:
    """The bytes of a request as this version sends it, then as each earlier one did where that is different."""
    yield request.encoded
    first = dict(request.messages[0])
    market, end, rest = str(first["content"]).partition(_END)
    if end and _INDENTED.search(market):
        first["content"] = _INDENTED.sub(r"\1", market) + end + rest
        yield replace(request, messages=[first, *request.messages[1:]]).encoded
