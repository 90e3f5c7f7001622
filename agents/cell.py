"""The agents of one cell: they take asks, run the tool loop, and keep a record of every call and tool call.

This is the only place where a request is built and a reply is read, so every configuration gets the same treatment:
the same scaffold, tools, output cap, turn cap, and the same single corrective re-ask for a malformed answer.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from coordeval.agents import telemetry
from coordeval.agents.answers import Answer, blank_parts, read
from coordeval.agents.bounds import Bounds
from coordeval.agents.forms import FORECASTING, Form, Scaffold
from coordeval.agents.messages import Block, Model, ModelError, Reply, Request, Slot, canonical, content_hash
from coordeval.agents.scaffold import Ask, answer_tools, first_message, next_message, specimens, system_prompt
from coordeval.agents.server_tools import SERVER_TOOLS, searches, server_specs
from coordeval.agents.toolbox import TOOLS, Toolbox, ToolResult, hidden
from coordeval.agents.usefulness import WITHDRAWN, WITHHELD, Usefulness
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.gate import MarketView


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a study holds fixed for every agent of every configuration."""

    model: str
    max_tokens: int
    sampling: Mapping[str, Any] = field(default_factory=dict)
    tools: tuple[str, ...] = tuple(TOOLS)
    max_turns: int = 12
    show_price: bool = True
    useless_results: int | None = None
    """After so many useless tool results within an ask its tools are withdrawn; None: never."""
    bounds: Bounds = field(default_factory=Bounds)
    strict: bool = False
    """Whether the server is asked to hold answers to their schema; part of identity by the tools' descriptions."""
    scaffold: Scaffold | None = None
    """What agents read around their question where it is no forecast; None: it is one."""

    @property
    def forms(self) -> tuple[Form, ...]:
        """The forms of answer that agents are offered."""
        return FORECASTING if self.scaffold is None else self.scaffold.forms

    def answer_tools(self) -> list[dict[str, Any]]:
        """The tools by which answers are handed in."""
        if self.scaffold is None:
            return answer_tools(strict=self.strict)
        return [{**form.tool, "strict": True} if self.strict else dict(form.tool) for form in self.scaffold.forms]

    def identity(self) -> dict[str, Any]:
        """All of it, with the bytes of the scaffold and of the tool descriptions, for a forecast's identity."""
        own = [TOOLS[name].spec for name in self.tools if name not in SERVER_TOOLS]
        specs = [*own, *server_specs(self.tools, self.model), *self.answer_tools()]
        bounds = self.bounds.identity()
        return {
            "model": self.model,
            "max_tokens": self.max_tokens,
            "sampling": dict(self.sampling),
            "tools": list(self.tools),
            "tool_specs": content_hash("tools/1", specs),
            "max_turns": self.max_turns,
            "show_price": self.show_price,
            "scaffold": content_hash("scaffold/1", self._scaffold()),
            **({"bounds": bounds} if bounds else {}),
            **({} if self.useless_results is None else {"useless_results": self.useless_results}),
        }

    def _scaffold(self) -> list[Any]:
        return [system_prompt(), specimens()] if self.scaffold is None else self.scaffold.identity()


class AskFailed(CoordevalError):
    """An ask that ended without a valid answer. `retryable`: a resumed run may get one; else the failure is final.

    `given`: what was handed in last, as it came; None where nothing was.
    """

    def __init__(self, reason: str, *, retryable: bool = False, given: Any = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retryable = retryable
        self.given = given


class BoundReached(CoordevalError):
    """The cell has used all that one cell may use. `retryable`: a resumed run may get further."""

    def __init__(self, reason: str, *, retryable: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retryable = retryable


@dataclass(slots=True)
class CellAgents:
    """Answers the asks of one cell. `calls` and `tool_calls` hold ledger rows, in the order in which they happened.

    A call is booked when its reply comes, whether or not anybody still waits for it: it was paid for the cell's sake.
    """

    model: Model
    settings: Settings
    view: MarketView
    forecast_id: str
    configuration: str
    replicate: int
    calls: list[dict[str, Any]] = field(default_factory=list)
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    tokens: int = 0
    """Input and output tokens of its calls so far, cached ones included."""
    withheld: tuple[str, bytes] | None = None
    """(tool, its arguments as canonical JSON): whoever calls this gets WITHHELD, and nobody else does."""
    unheard: list[BaseException] = field(default_factory=list)
    """What failed, beside the model, in calls that nobody waited for any more."""
    _asked: Counter[str] = field(default_factory=Counter)
    _under_way: set[asyncio.Task[Reply]] = field(default_factory=set)
    _conversations: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    """Answered ask -> all that was said in it."""
    _toolboxes: dict[tuple[bool, bool], Toolbox] = field(init=False)
    """By whether its agent sees the price, and whether tools are withheld from it."""
    _tools: dict[bool, list[Mapping[str, Any]]] = field(init=False)
    """What a request holds, by whether tools are withheld from its agent."""
    _forms: dict[str, Form] = field(init=False)
    _answering: frozenset[str] = field(init=False)
    """The names of the tools that hand an answer in."""

    def __post_init__(self) -> None:
        shows = self.settings.show_price
        given = {False: self.settings.tools, True: ()}
        self._toolboxes = {
            (sees, without): Toolbox(self.view, names, hidden=hidden(shows=shows, sees=sees))
            for sees in (True, False)
            for without, names in given.items()
        }
        self._tools = {
            without: [
                *self._toolboxes[True, without].specs,
                *server_specs(names, self.settings.model),
                *self.settings.answer_tools(),
            ]
            for without, names in given.items()
        }
        self._forms = {form.name: form for form in self.settings.forms}
        self._answering = frozenset(f"submit_{name}" for name in self._forms)

    async def answer(self, ask: Ask) -> Answer:
        """Run one ask to its end. Raises AskFailed where no valid answer came, BoundReached where no call may be made."""
        messages = self._opened(ask)
        request = self._request(ask, messages)
        k = self._asked[request.key]  # the k-th byte-identical ask of this cell: common draws hang on it
        self._asked[request.key] += 1
        return await self._talk(ask, messages, 0, k, Usefulness(self.settings.useless_results))

    async def go_on(
        self, ask: Ask, messages: Sequence[Mapping[str, Any]], turn: int, k: int, told: Sequence[ToolResult] = ()
    ) -> Answer:
        """Run an ask to its end from its `turn`, of which `messages` are all that was said before; as `answer` raises.

        `k`: which draw of its requests is meant; `told`: the tool results of its earlier turns.
        """
        usefulness = Usefulness(self.settings.useless_results)
        for result in told:
            usefulness.take(result)
        return await self._talk(ask, [dict(message) for message in messages], turn, k, usefulness)

    def request(self, ask: Ask, messages: Sequence[Mapping[str, Any]]) -> Request:
        """What is sent where so much has been said in an ask."""
        return self._request(ask, [dict(message) for message in messages])

    async def _talk(
        self, ask: Ask, messages: list[dict[str, Any]], first: int, k: int, usefulness: Usefulness
    ) -> Answer:  # fmt: skip
        request = self._request(ask, messages)
        wrong, told, blank = "", usefulness.withdrawn, 0
        form = self._forms[ask.answer]
        for turn in range(first, self.settings.max_turns):
            reply = await self._complete(ask, turn, k, request)
            submissions, results = self._use_tools(ask, turn, reply, usefulness)
            answer, problem = read(submissions, ask, form.read)
            blank = max(blank, blank_parts(submissions))
            said = _sayable(reply.content)
            if answer is not None:
                _say(messages, "assistant", said)
                _say(messages, "user", [*results, *(_tool_result(block, "Noted.", error=False) for block in submissions)])
                self._conversations[ask.ordinal] = messages
                return replace(answer, blank=blank, sent_back=wrong)
            if not submissions and not results and not (said and reply.stop_reason == "pause_turn"):
                problem = f"the turn ended without a call of submit_{ask.answer}"
            if problem and wrong:
                given = [block["input"] for block in submissions]
                raise AskFailed(f"malformed {ask.answer}, also after a corrective re-ask: {problem}", given=given or None)
            results += [_tool_result(block, problem, error=True) for block in submissions]
            if problem and not results:
                results = [{"type": "text", "text": f"{problem}. Answer by calling `submit_{ask.answer}` now."}]
            wrong = wrong or problem
            if usefulness.withdrawn and not told:
                told = True
                results.append({"type": "text", "text": usefulness.notice(ask.answer)})
            if turn == self.settings.max_turns - 2:
                results.append({"type": "text", "text": f"This is your last turn: call `submit_{ask.answer}` now."})
            _say(messages, "assistant", said)
            _say(messages, "user", results)
            request = self._request(ask, messages)
        last = f"; in the last one {problem}" if problem else ""
        raise AskFailed(f"no {ask.answer} within {self.settings.max_turns} turns{last}")

    def _opened(self, ask: Ask) -> list[dict[str, Any]]:
        """What is said up to an ask's first request: its question, or the conversation that it goes on with."""
        if ask.continues is None:
            if self.settings.scaffold is not None:  # it is about no market
                return [{"role": "user", "content": next_message(ask)}]
            shown = self.settings.show_price and ask.show_price
            return [{"role": "user", "content": first_message(self.view, ask, show_price=shown)}]
        messages = list(self._conversations[ask.continues])
        _say(messages, "user", [{"type": "text", "text": next_message(ask)}])
        return messages

    def _request(self, ask: Ask, messages: list[dict[str, Any]]) -> Request:
        return Request(
            model=self.settings.model,
            system=system_prompt() if self.settings.scaffold is None else self.settings.scaffold.instructions,
            messages=tuple(messages),
            tools=self._tools[ask.without_tools],
            max_tokens=self.settings.max_tokens,
            sampling=self.settings.sampling,
        )

    async def _complete(self, ask: Ask, turn: int, k: int, request: Request) -> Reply:
        slot = Slot(
            replicate=self.replicate,
            k=k,
            forecast_id=self.forecast_id,
            market_id=self.view.market.id,
            configuration=self.configuration,
            ask=ask.ordinal,
            turn=turn,
        )
        if (used := self.tokens) >= (most := self.settings.bounds.tokens):
            raise BoundReached(f"its calls used {used:,} tokens, and [bounds] tokens allows one cell {most:,}")
        # a task of its own: an ask that is called off calls off no reply that is being paid for
        call = asyncio.create_task(self._call(ask, turn, request, slot))
        self._under_way.add(call)
        call.add_done_callback(self._ended)
        await asyncio.wait({call})
        try:
            reply = call.result()
        except ModelError as error:
            raise AskFailed(error.reason, retryable=error.retryable) from error
        if reply.stop_reason == "refusal":
            raise AskFailed("the model refused to answer")
        if reply.stop_reason == "max_tokens":
            raise AskFailed(f"the reply was cut off at the output cap of {request.max_tokens} tokens")
        if reply.stop_reason == "model_context_window_exceeded":
            raise AskFailed("the conversation outgrew the model's context window")
        return reply

    async def _call(self, ask: Ask, turn: int, request: Request, slot: Slot) -> Reply:
        identity = self.model.identity if telemetry.on() else {}
        with telemetry.call(
            forecast_id=self.forecast_id, round_=ask.round, role=ask.role, request=request, identity=identity
        ) as span:
            try:
                reply = await self.model.complete(request, slot)
            except ModelError as error:
                self._charge(ask, turn, error.discarded)
                raise
            span.answered(reply)
        self._charge(ask, turn, (*reply.discarded, reply))
        return reply

    def _charge(self, ask: Ask, turn: int, replies: Sequence[Reply]) -> None:
        """A row for each reply that was had, also for one that was served and cannot be used."""
        self.tokens += sum(reply.usage.total_input_tokens + reply.usage.output_tokens for reply in replies)
        self.calls.extend(
            {
                "forecast_id": self.forecast_id,
                "ask": ask.ordinal,
                "turn": turn,
                "agent": ask.agent,
                "round": ask.round,
                "role": ask.role,
                "draw_id": reply.draw_id,
                "stop_reason": reply.stop_reason,
                "input_tokens": reply.usage.input_tokens,
                "output_tokens": reply.usage.output_tokens,
                "cache_read_tokens": reply.usage.cache_read_tokens,
                "cache_write_tokens": reply.usage.cache_write_5m_tokens + reply.usage.cache_write_1h_tokens,
                "attributed_micro_usd": reply.micro_usd,
                "paid_micro_usd": reply.micro_usd if reply.paid and not reply.stand_in else 0,
                "seconds": reply.seconds,
            }
            for reply in replies
        )

    def _ended(self, call: asyncio.Task[Reply]) -> None:
        self._under_way.discard(call)
        error = None if call.cancelled() else call.exception()
        if error is not None and not isinstance(error, ModelError):
            self.unheard.append(error)

    async def settle(self, seconds: float) -> int:
        """Wait for the calls under way to be booked; returns how many are not, after so long, and are given up."""
        if not self._under_way:
            return 0
        _, left = await asyncio.wait(set(self._under_way), timeout=seconds)
        for call in left:
            call.cancel()
        return len(left)

    def _use_tools(self, ask: Ask, turn: int, reply: Reply, usefulness: Usefulness) -> tuple[list[Block], list[Block]]:
        """Runs the information tools of a reply; gives back its submissions and the tool results.

        Searches that the model's provider made have their results in the reply already; they are noted after the others.
        """
        submissions: list[Block] = []
        results: list[Block] = []
        uses = reply.tool_uses()
        where = {"forecast_id": self.forecast_id, "ask": ask.ordinal, "turn": turn}
        made = enumerate(searches(reply.content), start=len(uses))
        self.tool_calls.extend({**where, "position": position, **search} for position, search in made)
        for position, block in enumerate(uses):
            if block["name"] in self._answering:
                submissions.append(block)
                continue
            if usefulness.withdrawn:
                result = ToolResult(WITHDRAWN, items=0, error=True)
            elif self.withheld == (block["name"], canonical(block["input"])):
                result = ToolResult(WITHHELD, items=0)
            else:
                with telemetry.tool(forecast_id=self.forecast_id, round_=ask.round, name=block["name"]):
                    result = self._toolboxes[ask.show_price, ask.without_tools].run(block["name"], block["input"])
                usefulness.take(result)
            results.append(_tool_result(block, result.content, error=result.error))
            self.tool_calls.append(
                {
                    "forecast_id": self.forecast_id,
                    "ask": ask.ordinal,
                    "turn": turn,
                    "position": position,
                    "tool": block["name"],
                    "arguments": orjson.dumps(block["input"]).decode(),
                    "result": result.content,
                    "items": result.items,
                    "error": result.error,
                }
            )
        return submissions, results


def _sayable(content: Sequence[Block]) -> list[Block]:
    """A reply's content as the API takes it back: it may hold no blank text and may not end in thinking."""
    blocks = [block for block in content if block["type"] != "text" or block["text"].strip()]
    while blocks and blocks[-1]["type"] in ("thinking", "redacted_thinking"):
        blocks.pop()
    return blocks


def _say(messages: list[dict[str, Any]], role: str, blocks: list[Block]) -> None:
    """Appends what a side says; where that side spoke last too, it goes on, so that the two sides always alternate."""
    if blocks and messages[-1]["role"] == role:
        before = messages.pop()["content"]
        blocks = [*([{"type": "text", "text": before}] if isinstance(before, str) else before), *blocks]
    if blocks:
        messages.append({"role": role, "content": blocks})


def _tool_result(use: Block, content: str, *, error: bool) -> Block:
    return {"type": "tool_result", "tool_use_id": use["id"], "content": content, "is_error": error}
