"""What was said on the way to one forecast, ask by ask, from stored rows and bytes."""

from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from markupsafe import Markup

from coordeval.ledger import Reader
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.markup import listed, text

_FORECAST: Final = """
    SELECT f.forecast_id, f.configuration, f.replicate, f.market_id, f.status, f.probability, f.reason, f.model_calls,
        f.tool_calls, f.attributed_micro_usd / 1e6 AS cost, f.paid_micro_usd / 1e6 AS paid, f.seconds, f.simulated,
        f.created_at, m.question, CAST(o.value AS TINYINT) AS outcome
    FROM forecasts f LEFT JOIN markets m ON m.market_id = f.market_id
        LEFT JOIN current_outcomes o ON o.market_id = f.market_id
    WHERE f.forecast_id = ?
"""
_CELL: Final = "SELECT market_price, as_of FROM cells WHERE forecast_id = ? ORDER BY study_id = ? DESC LIMIT 1"
_ESTIMATES: Final = "SELECT * FROM estimates WHERE forecast_id = ? ORDER BY ask"
_MESSAGES: Final = "SELECT from_ask, to_ask, statistic FROM messages WHERE forecast_id = ? ORDER BY ALL"
_ACTS: Final = "SELECT * FROM acts WHERE forecast_id = ? ORDER BY ask, position"
_TOOLS: Final = "SELECT * FROM tool_calls WHERE forecast_id = ? ORDER BY ask, turn, position"
_CALLS: Final = """
    SELECT c.*, d.request, d.reply, d.served_model, d.payer
    FROM calls c LEFT JOIN draws d USING (draw_id) WHERE c.forecast_id = ? ORDER BY c.ask, c.turn
"""


@dataclass(slots=True)
class Turn:
    """One model call: what it replied, the tools it called, and what it used."""

    turn: int
    texts: list[str]
    calls: list[dict[str, Any]]
    """tool, arguments, result, items, error."""
    use: dict[str, Any]


@dataclass(slots=True)
class Ask:
    """One request to one agent, with all turns up to its answer."""

    ask: int
    agent: int
    round: int
    role: str
    shown: list[int]
    """The asks whose statements it was shown, in their own words or in a statistic of them; each once."""
    given: str
    """The text of its first request; empty where the bytes are not stored."""
    answer: dict[str, Any] | None
    turns: list[Turn] = field(default_factory=list)
    statistics: tuple[str, ...] = ()
    """What was shown that no agent said, such as a median."""


@dataclass(slots=True)
class Conversation:
    """One forecast and everything that led to it."""

    forecast: dict[str, Any]
    system: str
    asks: list[Ask]
    acts: list[dict[str, Any]] = field(default_factory=list)
    """Rows of the table `acts`, in the order in which they were done."""

    def _repr_html_(self) -> str:
        """What a notebook shows: each ask folded, its answer in the line that unfolds it."""
        own = self.forecast
        answer = own["probability"] if own["reason"] is None else own["reason"]
        mark = "SIMULATED, " if own["simulated"] else ""
        facts = [
            ("answer", answer),
            ("outcome", own["outcome"]),
            ("model calls", own["model_calls"]),
            ("cost, $", own["cost"]),
        ]
        head = listed(f"{mark}{own['configuration']}, replicate {own['replicate']}: {own['question']}", facts)
        return head + Markup("").join(_folded(ask) for ask in self.asks)


def _folded(ask: Ask) -> Markup:
    said = ask.answer or {}
    saw = f", was shown {', '.join(str(source) for source in ask.shown)}" if ask.shown else ""
    line = f"ask {ask.ask}: agent {ask.agent + 1}, {ask.role}, round {ask.round}{saw} → {text(said.get('probability'))}"
    parts = [("was asked", ask.given)]
    for turn in ask.turns:
        parts += [("said", words) for words in turn.texts]
        parts += [(f"{tool['tool']} {tool['arguments']}", tool["result"]) for tool in turn.calls]
    parts += [("answered", said.get("rationale") or "")]
    block = Markup("<p><em>{}</em></p><pre style='white-space: pre-wrap'>{}</pre>")
    inside = Markup("").join(block.format(text(name), text(words)) for name, words in parts if words)
    return Markup("<details><summary>{}</summary>{}</details>").format(text(line), inside)


def conversation(ledger: Reader, forecast_id: str, study_id: str = "") -> Conversation:
    """`study_id` says whose cell it is where studies share the forecast. Raises CoordevalError where there is none."""
    with ledger.moment() as reader:
        found = reader.query(_FORECAST, [forecast_id]).to_dicts()
        if not found:
            raise CoordevalError(
                f"there is no forecast {forecast_id[:64]!r} in this ledger; a market's page has those that there are"
            )
        [forecast] = found
        forecast |= next(
            iter(reader.query(_CELL, [forecast_id, study_id]).to_dicts()), {"market_price": None, "as_of": None}
        )
        said = {row["ask"]: row for row in reader.query(_ESTIMATES, [forecast_id]).to_dicts()}
        messages = reader.query(_MESSAGES, [forecast_id]).rows()
        tools = reader.query(_TOOLS, [forecast_id]).to_dicts()
        calls = reader.query(_CALLS, [forecast_id]).to_dicts()
        acts = reader.query(_ACTS, [forecast_id]).to_dicts()
    system = ""
    asks: dict[int, Ask] = {}
    for call in calls:
        number = call["ask"]
        request = _json(call["request"])
        if number not in asks:
            asks[number] = Ask(
                ask=number,
                agent=call["agent"],
                round=call["round"],
                role=call["role"],
                shown=_sources(messages, number),
                given=_given(request),
                answer=said.get(number),
                statistics=_statistics(messages, number),
            )
            system = system or str(request.get("system") or request.get("systemPrompt") or "")
        own = [tool for tool in tools if (tool["ask"], tool["turn"]) == (number, call["turn"])]
        use = {name: value for name, value in call.items() if name not in ("request", "reply")}
        asks[number].turns.append(Turn(call["turn"], _texts(_json(call["reply"])), own, use))
    for number, row in said.items():
        if number not in asks:  # no call was stored for it
            shown, made = _sources(messages, number), _statistics(messages, number)
            asks[number] = Ask(number, row["agent"], row["round"], row["role"], shown, "", row, statistics=made)
    return Conversation(forecast, system, [asks[number] for number in sorted(asks)], acts)


def _sources(messages: list[tuple[Any, ...]], ask: int) -> list[int]:
    return list(dict.fromkeys(source for source, target, _ in messages if target == ask))


def _statistics(messages: list[tuple[Any, ...]], ask: int) -> tuple[str, ...]:
    return tuple(dict.fromkeys(made for _, target, made in messages if target == ask and made is not None))


def _json(text: str | None) -> dict[str, Any]:
    try:
        value = orjson.loads(text) if text else {}
    except orjson.JSONDecodeError:
        return {"content": text}
    return value if isinstance(value, dict) else {"content": text}


def _given(request: dict[str, Any]) -> str:
    """The first message of a request, as text."""
    if "userPrompt" in request:
        return str(request["userPrompt"])
    messages = request.get("messages") or []
    return "\n\n".join(_blocks(messages[0].get("content"))) if messages and isinstance(messages[0], dict) else ""


def _texts(reply: dict[str, Any]) -> list[str]:
    return [text for text in _blocks(reply.get("content") or reply.get("text") or reply.get("response")) if text.strip()]


def _blocks(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    if isinstance(content, list):
        return [str(block.get("text") or block.get("thinking") or "") for block in content if isinstance(block, dict)]
    return []
