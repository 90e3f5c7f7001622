"""The one prompt scaffold: how a market, a role and what others said become the bytes that an agent reads.

It is the same for every configuration. Only the role text and the shown material differ, and both come from the panel.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any, Literal

from coordeval.market_data.gate import MarketView
from coordeval.market_data.types import Market, PricePoint

AnswerKind = Literal["estimate", "report"]
"""What an agent of a forecast is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What one agent said earlier, as it is shown to another."""

    author: str
    """"you" or "agent 2"."""
    role: str
    round: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One question put to one agent. The panel makes it; the prompt holds `role`, `role_text`, `answer` and `shown`."""

    ordinal: int
    """Position in the cell, from 0, in program order."""
    agent: int
    round: int
    role: str
    role_text: str
    answer: str
    """The form of answer that is wanted: an `AnswerKind`, or another of `agents.forms`."""
    shown: Sequence[Statement] = ()
    show_price: bool = True
    """False: this agent does not see the price, also where the study's others do."""
    continues: int | None = None
    """The ask whose conversation this one goes on with; None: a new one."""
    rule: Callable[[Mapping[str, Any]], str] | None = None
    """What is wrong with an answer that is sound in form ("": nothing): it is sent back as a malformed one is."""
    without_tools: bool = False
    """True: of the study's tools this agent is given none; its request is then that of an arm without tools."""


@cache
def system_prompt() -> str:
    return files("coordeval.agents").joinpath("prompts/system.md").read_text(encoding="utf-8").strip()


def market_block(view: MarketView, *, show_price: bool) -> str:
    """The market facts, from the whitelist of fields known at opening, the as-of time and, if visible, the price."""
    facts = view.market.known_at_opening()
    # continuation lines are indented, so that a description cannot write a line of ours, such as a price, into the block
    known = {name: plain(value) for name, value in facts.items() if value not in (None, "")}
    lines = [f"{_LABELS[name]}: " + _LINE_END.sub(r"\g<0>    ", text) for name, text in known.items()]
    lines.append(f"As of: {plain(view.as_of)}")
    if show_price:
        price = view.price
        lines.append(
            "Market price of YES: none known at this time"
            if price is None
            else f"Market price of YES: {price.price:.3f} ({price.kind}, {plain(price.knowable_at)})"
        )
    return "<market>\n" + "\n".join(lines) + "\n</market>"


_LINE_END = re.compile("\r\n|[\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]")
"""Whatever a reader may take for the end of a line."""
_LABELS = {
    "question": "Question",
    "description": "Description",
    "category": "Category",
    "opened_at": "Opened",
    "scheduled_close": "Scheduled close",
}


def plain(value: Any) -> str:
    """Text as it may stand between the scaffold's tags: markup in it is escaped, so it cannot pose as scaffold."""
    text = value.strftime("%Y-%m-%dT%H:%M:%SZ") if hasattr(value, "strftime") else str(value)
    return escape(text, quote=False)


def first_message(view: MarketView, ask: Ask, *, show_price: bool) -> str:
    """The user message that opens an ask: market, role, what others said, and which answer is wanted."""
    return f"{market_block(view, show_price=show_price)}\n\n{next_message(ask)}"


def next_message(ask: Ask) -> str:
    """The user message that goes on with a conversation: the same without the market, which it has already."""
    parts = [f'<role name="{ask.role}">\n{ask.role_text.strip()}\n</role>']
    if ask.shown:
        statements = "\n".join(
            f'<statement from="{s.author}" role="{s.role}" round="{s.round}">\n{escape(s.text, quote=False)}\n</statement>'
            for s in ask.shown
        )
        parts.append(f"<shown>\n{statements}\n</shown>")
    parts.append(f"Answer by calling `submit_{ask.answer}`.")
    return "\n\n".join(parts)


def specimens() -> list[str]:
    """First messages with every part that one can have, of a made-up market: what changes the scaffold changes these."""
    moment = datetime(2000, 1, 1, tzinfo=UTC)
    market = Market(id="id", source="source", event_id="event", simulated=True, question="question")
    whole = replace(market, description="description", category="category", opened_at=moment, scheduled_close=moment)
    price = PricePoint(market_id="id", knowable_at=moment, price=0.5, kind="simulated")
    shown = [Statement(author=author, role="role", round=0, text="<text>") for author in ("you", "agent 2")]
    ask = Ask(ordinal=0, agent=0, round=0, role="role", role_text="role text", answer="estimate")
    return [
        first_message(MarketView(whole, moment, [price], []), replace(ask, shown=shown), show_price=True),
        first_message(MarketView(market, moment, [], []), replace(ask, answer="report"), show_price=True),
        first_message(MarketView(whole, moment, [price], []), ask, show_price=False),
    ]


def answer_tools(*, strict: bool = False) -> list[dict[str, Any]]:
    """The two answer tools; `strict`: the server holds the model to their schemas while it writes."""
    return [{**tool, "strict": True} if strict else tool for tool in ANSWER_TOOLS]


ANSWER_TOOLS: tuple[dict[str, Any], ...] = (
    {
        "name": "submit_estimate",
        "description": "Give your estimate of the probability that the question resolves YES. Ends your turn.",
        "input_schema": {
            "type": "object",
            "properties": {
                "probability": {"type": "number", "description": "Probability of YES, from 0 to 1."},
                "rationale": {"type": "string", "description": "The reasons that moved you, in a few sentences."},
                "reading": {
                    "type": "string",
                    "description": "Your reading of the question: what exactly must happen, by when, for YES.",
                },
            },
            "required": ["probability", "rationale", "reading"],
            "additionalProperties": False,
        },
    },
    {
        "name": "submit_report",
        "description": "Hand in your report where your role asks for one instead of a probability. Ends your turn.",
        "input_schema": {
            "type": "object",
            "properties": {
                "report": {"type": "string", "description": "The report."},
                "parts": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "The separate items, one string each, where your role asks for a list; else empty.",
                },
            },
            "required": ["report", "parts"],
            "additionalProperties": False,
        },
    },
)
