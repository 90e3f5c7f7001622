"""Whether what agents were shown was said: the stored conversation of one forecast held against the bytes of its calls.

A configuration is code that runs beside the panel, so it could show what nobody said, or ask a model past the panel. What
that leaves behind is found here: a statement in a prompt that no answer holds, an answer that no reply holds, a call or a
paid draw that belongs to no ask, and a forecast that rests on no answer.
"""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

from coordeval.agents.messages import decode_reply
from coordeval.configurations.panel import Estimate
from coordeval.flows.certificate.stored import Stored
from coordeval.flows.certificate.text import asked, parsed

_STATEMENT = re.compile(
    r'^<statement from="([^"]*)" role="([^"]*)" round="\d+">\n(.*?)\n</statement>$', re.MULTILINE | re.DOTALL
)


def problems(stored: Stored) -> Iterator[str]:
    """Everything in the conversation that the stored bytes do not bear out."""
    said = {row["ask"]: row for row in stored.conversation.estimates}
    answered = {ask: row for ask, row in said.items() if row["kind"] != "failed"}
    for call in stored.calls:
        if call["ask"] not in said:
            yield f"call {call['turn'] + 1} of ask {call['ask'] + 1} belongs to no ask that the panel made"
    own = {call["draw_id"] for call in stored.calls}
    for draw_id in stored.conversation.paid - own:
        yield f"draw {draw_id[:12]} was paid for this forecast and is no call of it"
    if stored.cell["status"] == "answered" and (said or stored.calls) and not answered:
        yield "it is answered, and none of its asks was"
    yield from _unsaid(stored, answered)
    yield from _unshown(stored, answered)


def _unsaid(stored: Stored, answered: dict[int, dict[str, Any]]) -> Iterator[str]:
    """Answers that no reply holds."""
    handed_in: dict[int, list[Any]] = {}
    for ask, reply in stored.conversation.replies:
        handed_in.setdefault(ask, []).extend(use["input"] for use in decode_reply(reply).tool_uses())
    for ask, row in answered.items():
        mine = [given for given in handed_in.get(ask, []) if isinstance(given, dict)]
        if row["kind"] == "report":
            found = any(given.get("report") == row["rationale"] for given in mine)
        else:
            told = (row["probability"], row["rationale"], row["reading"])
            found = any((given.get("probability"), given.get("rationale"), given.get("reading")) == told for given in mine)
        if not found:
            yield f"what is stored as the answer to ask {ask + 1} is in no reply to it"


def _unshown(stored: Stored, answered: dict[int, dict[str, Any]]) -> Iterator[str]:
    """Statements in prompts that nobody made whom the agent was shown."""
    for call in stored.calls:
        body = parsed(call["request"])
        if call["turn"] or not isinstance(body, dict):
            continue
        rows = [row for row in stored.conversation.messages if row["to_ask"] == call["ask"]]
        statistics = {row["statistic"] for row in rows if row.get("statistic") is not None}
        sources = [answered[row["from_ask"]] for row in rows if row.get("statistic") is None and row["from_ask"] in answered]
        statements = {(source["role"], _statement(source)) for source in sources}
        for author, role, text in _STATEMENT.findall(asked(body).partition("\n</role>\n")[2]):
            made = unescape(text)
            if (role, made) not in statements and not (author == "the panel" and made in statistics):
                yield f"ask {call['ask'] + 1} was shown a statement of {role!r} that nobody made: {made[:60]!r}"


def _statement(row: dict[str, Any]) -> str:
    if row["kind"] == "report":
        return str(row["rationale"])
    names = ("agent", "role", "round", "ask", "probability", "rationale", "reading")
    return Estimate(**{name: row[name] for name in names}).statement
