"""Which stored tool calls can be gone back to, and the conversation in which each stood."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from coordeval.agents.cell import CellAgents
from coordeval.agents.messages import Model, canonical, content_hash
from coordeval.agents.scaffold import Ask
from coordeval.agents.toolbox import ToolResult
from coordeval.agents.usefulness import WITHHELD
from coordeval.flows.certificate.restored import documents_of, settings_from, view_of
from coordeval.flows.certificate.stored import object_of
from coordeval.ledger import Reader
from coordeval.ledger.commitments import LATE
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.gate import MarketView

# a result is read by the next request of its ask; what forecasts share by common draws is one call
_CALLS: Final = f"""
    SELECT t.forecast_id, t.ask, t.turn, t.position, t.tool, t.arguments, t.items, t.error,
        c.arm, c.configuration, c.market_id, c.replicate, coalesce(m.event_id, c.market_id) AS event_id,
        n.agent, n.round, n.role, d.draw_id, d.k, d.replicate AS draw_replicate, d.request_id, strlen(d.request) AS size,
        e.probability AS given, CAST(o.value AS TINYINT) AS outcome,
        (SELECT sum(x.attributed_micro_usd) / 1e6 FROM calls x
            WHERE x.forecast_id = t.forecast_id AND x.ask = t.ask AND x.turn > t.turn) AS usd
    FROM tool_calls t
        JOIN (SELECT DISTINCT forecast_id, arm, configuration, market_id, replicate FROM cells WHERE study_id = $study) c
            USING (forecast_id)
        JOIN calls n ON n.forecast_id = t.forecast_id AND n.ask = t.ask AND n.turn = t.turn + 1
        JOIN draws d ON d.draw_id = n.draw_id
        JOIN estimates e ON e.forecast_id = t.forecast_id AND e.ask = t.ask AND e.kind = 'estimate'
        JOIN (FROM current_outcomes WHERE market_id NOT IN ({LATE})) o ON o.market_id = c.market_id
        LEFT JOIN markets m ON m.market_id = c.market_id
    WHERE e.probability IS NOT NULL AND o.value IN (0, 1)
    QUALIFY row_number() OVER (PARTITION BY d.request_id, d.replicate, d.k, t.position ORDER BY t.forecast_id) = 1
    ORDER BY c.market_id, t.forecast_id, t.ask, t.turn, t.position
"""
_STORED: Final = """
    SELECT count(*) FROM tool_calls WHERE forecast_id IN (SELECT forecast_id FROM cells WHERE study_id = ?)
"""
_IDENTITY: Final = "SELECT identity FROM cells WHERE study_id = ? AND forecast_id = ? LIMIT 1"
_REQUEST: Final = "SELECT request FROM draws WHERE draw_id = ?"
_EARLIER: Final = """
    SELECT turn, position, result, items, error FROM tool_calls WHERE forecast_id = ? AND ask = ? AND turn <= ?
    ORDER BY turn, position
"""
_PRICE: Final = "Market price of YES:"


class CannotGoBack(Exception):
    """Why a conversation cannot be gone on with here; no fault of the ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The calls that are looked at, of those that there are."""

    calls: list[dict[str, Any]]
    """In the order of the ledger."""
    stored: int
    """Tool calls of the study's forecasts, each as often as a forecast made it."""
    eligible: int
    """Calls that an estimate of a decided market was made after, each draw once."""


def choose_calls(reader: Reader, study_id: str, *, calls: int, seed: int) -> Chosen:
    """So many of the study's tool calls, by chance. Raises CoordevalError where there is none, or `calls` < 1."""
    if calls < 1:
        raise CoordevalError(f"--calls {calls}: it is how many tool calls are looked at, 1 or more")
    stored = int(reader.query(_STORED, [study_id]).item())
    if not stored:
        raise CoordevalError(
            "no tool call of this study is stored, so no result can be withheld: its agents called none, or were given none "
            '(tools = "none"); of imported forecasts nobody knows what their agents were told'
        )
    every = reader.query(_CALLS, {"study": study_id}).to_dicts()
    if not every:
        raise CoordevalError(
            f"{stored:,} tool calls are stored, and after none of them an estimate was made of a market whose outcome is "
            "known by requests that are stored: wait for outcomes (`coordeval resolve`), or name a study that was run here"
        )
    picked = sorted(random.Random(seed).sample(range(len(every)), min(calls, len(every))))
    return Chosen(calls=[every[place] for place in picked], stored=stored, eligible=len(every))


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A conversation at the moment at which one result was to be read."""

    call: Mapping[str, Any]
    agents: CellAgents
    ask: Ask
    messages: Sequence[Mapping[str, Any]]
    """With the result withheld."""
    told: Sequence[ToolResult]
    """The ask's results so far, without it."""


class Points:
    """Makes points of stored calls. Views, which many calls share, are made once."""

    def __init__(self, reader: Reader, study_id: str, model: Model) -> None:
        self._reader, self._study, self._model = reader, study_id, model
        self._views: dict[str, MarketView] = {}

    def of(self, call: Mapping[str, Any]) -> Point:
        """Raises CannotGoBack."""
        [row] = self._reader.query(_IDENTITY, [self._study, call["forecast_id"]]).rows()
        identity = object_of(row[0])
        if dict(identity.get("model", {})) != orjson.loads(canonical(dict(self._model.identity))):
            raise CannotGoBack("another model than the one that is asked here made it")
        settings = settings_from(identity["settings"])
        if isinstance(settings, str):
            raise CannotGoBack(settings)
        arguments = orjson.loads(call["arguments"])
        agents = CellAgents(
            model=self._model,
            settings=settings,
            view=self._view(identity),
            forecast_id=payer(call),
            configuration=call["configuration"],
            replicate=call["draw_replicate"],
            withheld=(call["tool"], canonical(arguments)),
        )
        body = orjson.loads(self._reader.query(_REQUEST, [call["draw_id"]]).item())
        ask = Ask(
            ordinal=call["ask"],
            agent=call["agent"],
            round=call["round"],
            role=call["role"],
            role_text="",
            answer="estimate",
            show_price=not settings.show_price or _PRICE in str(body["messages"][0]["content"]),
        )
        if agents.request(ask, body["messages"]).key != call["request_id"]:
            raise CannotGoBack("its request is not the one that this version sends")
        told = self._reader.query(_EARLIER, [call["forecast_id"], call["ask"], call["turn"]]).to_dicts()
        own = (call["turn"], call["position"])
        return Point(
            call=call,
            agents=agents,
            ask=ask,
            messages=_without(body["messages"], call),
            told=[ToolResult(r["result"], r["items"], r["error"]) for r in told if (r["turn"], r["position"]) != own],
        )

    def _view(self, identity: Mapping[str, Any]) -> MarketView:
        name = identity["market"]["view"]
        if name not in self._views:
            rows = self._reader.query("SELECT * FROM views WHERE view_id = ?", [name]).to_dicts()
            if not rows:
                raise CannotGoBack("the view of its market is not stored")
            age = identity["market"].get("max_price_age_seconds")
            self._views[name] = view_of(rows[0], documents_of(self._reader, rows[0]["market_id"]), age)
        return self._views[name]


def payer(call: Mapping[str, Any]) -> str:
    """For whose sake its replies are paid: no cell of the study, whose cost stays what it was."""
    return f"ablation {call['forecast_id']} {call['ask']} {call['turn']} {call['position']}"


def _without(messages: Sequence[Mapping[str, Any]], call: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The same messages with the call's result in the last of them withheld. Raises CannotGoBack where it is not there."""
    *before, last = (dict(message) for message in messages)
    said = next((m for m in reversed(before) if m["role"] == "assistant"), None)
    uses = [] if said is None else [block for block in said["content"] if block["type"] == "tool_use"]
    wanted = [use for use in uses[call["position"] : call["position"] + 1] if use["name"] == call["tool"]]
    blocks = [] if isinstance(last["content"], str) else [dict(block) for block in last["content"]]
    found = [b for b in blocks if wanted and b["type"] == "tool_result" and b["tool_use_id"] == wanted[0]["id"]]
    if len(found) != 1:
        raise CannotGoBack("its result does not stand in the request that followed")
    found[0].update(content=WITHHELD, is_error=False)
    return [*before, {**last, "content": blocks}]


def why_left(reasons: Counter[str]) -> str:
    """Reasons in words, the most frequent first."""
    return "; ".join(f"{count:,}: {reason}" for reason, count in reasons.most_common())


def finding_id(study_id: str, model: str, *, calls: int, seed: int) -> str:
    """One of a study for each model, number of calls and seed: the same again stands in place of what was there."""
    return f"ablation {study_id} {content_hash('ablation/1', [model, calls, seed])}"
