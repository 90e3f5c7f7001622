"""The tool loop: every ask ends in one valid answer or in one reason, and the API accepts every request on the way."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from coordeval.agents import scaffold
from coordeval.agents.answers import Answer
from coordeval.agents.cell import AskFailed, CellAgents, Settings
from coordeval.agents.messages import ModelError, Reply, Request, Slot, Usage
from coordeval.agents.scaffold import Ask
from coordeval.agents.usefulness import WITHDRAWN
from coordeval.market_data.gate import MarketView
from coordeval.market_data.types import Document, Market, PricePoint

AS_OF = datetime(2025, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(1)
MARKET = Market(id="m1", source="venue", event_id="e1", simulated=True, question="Will it rain?")
VIEW = MarketView(
    MARKET,
    AS_OF,
    [PricePoint(market_id="m1", knowable_at=AS_OF - DAY, price=0.4, kind="mid")],
    [Document(market_id="m1", knowable_at=AS_OF - DAY, title="Forecast", text="Clouds.", source="wire")],
)
ESTIMATE = Ask(ordinal=0, agent=1, round=2, role="forecaster", role_text="You forecast alone.", answer="estimate")
REPORT = replace(ESTIMATE, role="planner", role_text="You plan.", answer="report")
GOOD = {"probability": 0.25, "rationale": "clouds", "reading": "rain on the roof"}
THINKING = {"type": "thinking", "thinking": "Let me see.", "signature": "EqQBCkYIChgCKkA="}
REDACTED = {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3p"}
USAGE = Usage(input_tokens=100, output_tokens=20, cache_write_5m_tokens=3, cache_write_1h_tokens=4, cache_read_tokens=5)


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def use(name: str, arguments: Mapping[str, Any], use_id: str = "toolu_1") -> dict[str, Any]:
    return {"type": "tool_use", "id": use_id, "name": name, "input": arguments}


def submit(use_id: str = "toolu_answer", **changes: Any) -> dict[str, Any]:
    return use("submit_estimate", {**GOOD, **changes}, use_id)


def reply(*content: Mapping[str, Any], stop: str = "tool_use", **changes: Any) -> Reply:
    given = {"model": "served-1", "usage": USAGE, "micro_usd": 700, "seconds": 1.5, "draw_id": "draw", **changes}
    return Reply(content=content, stop_reason=stop, **given)


class Scripted:
    """A model that answers from a list. It refuses a request that the Messages API would refuse."""

    def __init__(self, *script: Reply | ModelError) -> None:
        self.identity = {"provider": "scripted"}
        self.script = list(script)
        self.requests: list[Request] = []
        self.slots: list[Slot] = []

    async def complete(self, request: Request, slot: Slot) -> Reply:
        check_accepted(orjson.loads(request.encoded))
        self.requests.append(request)
        self.slots.append(slot)
        await asyncio.sleep(0)
        answer = self.script.pop(0)
        if isinstance(answer, ModelError):
            raise answer
        return answer


PARAMS = TypeAdapter(MessageCreateParamsNonStreaming)


def check_accepted(body: dict[str, Any]) -> None:
    """The SDK's own types, and the published rules that types cannot hold: two sides in turn, no blank text, no reply that
    ends in thinking, and one result for each tool use, first in the message that follows it.
    """
    assert as_plain(PARAMS.validate_python(body)) == body  # the types drop what they do not know
    messages = body["messages"]
    assert [m["role"] for m in messages] == ["user" if i % 2 == 0 else "assistant" for i in range(len(messages))]
    wanted: list[str] = []
    for message in messages:
        blocks = [text(message["content"])] if isinstance(message["content"], str) else message["content"]
        assert blocks
        assert all(block["text"].strip() for block in blocks if block["type"] == "text")
        results = [block for block in blocks if block["type"] == "tool_result"]
        assert blocks[: len(results)] == results
        assert sorted(block["tool_use_id"] for block in results) == sorted(wanted)
        wanted = [block["id"] for block in blocks if block["type"] == "tool_use"]
        assert message["role"] == "user" or blocks[-1]["type"] not in ("thinking", "redacted_thinking")
    assert not wanted


def as_plain(value: Any) -> Any:
    """Reads the types' lazy iterables to their end, which is what validates their items."""
    if isinstance(value, BaseModel):  # a block that goes back as it came, such as the result of a server's search
        return value.model_dump(exclude_unset=True)
    if isinstance(value, dict):
        return {name: as_plain(item) for name, item in value.items()}
    if value is None or isinstance(value, str | int | float):
        return value
    return [as_plain(item) for item in value]


def cell(model: Scripted, **changes: Any) -> CellAgents:
    settings = Settings(model="asked-1", max_tokens=1000, **changes)
    return CellAgents(model=model, settings=settings, view=VIEW, forecast_id="f1", configuration="debate", replicate=3)


async def run(*script: Reply | ModelError, ask: Ask = ESTIMATE, **changes: Any) -> tuple[Answer | AskFailed, Scripted]:
    """How an ask ends, and the model with what it was sent."""
    model = Scripted(*script)
    try:
        return await cell(model, **changes).answer(ask), model
    except AskFailed as failure:
        return failure, model


def last_message(model: Scripted) -> Sequence[Mapping[str, Any]]:
    content: Sequence[Mapping[str, Any]] = model.requests[-1].messages[-1]["content"]
    return content


# --- answers


async def test_an_estimate_ends_the_ask():
    answer, model = await run(reply(text("I am done."), submit()))
    assert answer == Answer(probability=0.25, text="clouds", reading="rain on the roof")
    assert len(model.requests) == 1


async def test_a_report_ends_the_ask():
    answer, _ = await run(reply(use("submit_report", {"report": "Two parts.", "parts": ["a", "b"]})), ask=REPORT)
    assert answer == Answer(probability=None, text="Two parts.", parts=("a", "b"))


@pytest.mark.parametrize("probability", [0, 1, 0.0, 1.0], ids=repr)
async def test_the_ends_of_the_scale_are_probabilities(probability):
    answer, _ = await run(reply(submit(probability=probability)))
    assert isinstance(answer, Answer)
    assert answer.probability == probability
    assert isinstance(answer.probability, float)


async def test_tools_run_and_their_results_go_back_with_the_reply_they_belong_to():
    asked = [
        THINKING,
        REDACTED,
        text("Two looks."),
        use("market_details", {}, "t1"),
        use("price_history", {"points": 1}, "t2"),
    ]
    answer, model = await run(reply(*asked), reply(submit()))
    assert isinstance(answer, Answer)
    opening, said, results = model.requests[1].messages
    assert opening == model.requests[0].messages[0]
    assert said == {"role": "assistant", "content": asked}, "thinking goes back whole and in its place"
    details, prices = results["content"]
    assert (details["tool_use_id"], details["is_error"]) == ("t1", False)
    assert orjson.loads(details["content"])["question"] == "Will it rain?"
    assert orjson.loads(prices["content"])["prices"][0]["price"] == 0.4


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        pytest.param("browse", {}, "unknown tool 'browse'", id="a tool that does not exist"),
        pytest.param("search_evidence", {"market": "m2"}, "does not take 'market'", id="another market"),
        pytest.param("price_history", {"points": 0}, "points is 0", id="out of range"),
    ],
)
async def test_a_bad_tool_call_is_answered_and_costs_no_corrective_re_ask(name, arguments, said):
    bad = reply(submit(probability=2))
    answer, model = await run(reply(use(name, arguments)), bad, reply(submit()))
    result = model.requests[1].messages[-1]["content"][0]
    assert result["is_error"]
    assert said in result["content"]
    assert isinstance(answer, Answer), "the re-ask was still to be had"


async def test_tools_called_beside_the_answer_still_run_and_are_recorded():
    model = Scripted(reply(use("market_details", {}, "t1"), submit()))
    agents = cell(model)
    await agents.answer(ESTIMATE)
    assert [row["tool"] for row in agents.tool_calls] == ["market_details"]


# --- malformed answers: one corrective re-ask, then the failure is final

SAYS_NOTHING = "the turn ended without a call of submit_estimate"
MALFORMED = [
    pytest.param([submit(probability="0.6")], "probability is '0.6'", id="text"),
    pytest.param([submit(probability=1.7)], "probability is 1.7", id="above one"),
    pytest.param([submit(probability=-0.01)], "probability is -0.01", id="below zero"),
    pytest.param([submit(probability=60)], "probability is 60", id="a percentage"),
    pytest.param([submit(probability=math.nan)], "probability is nan", id="not a number"),
    pytest.param([submit(probability=math.inf)], "probability is inf", id="infinite"),
    pytest.param([submit(probability=True)], "probability is True", id="a truth value would pass for 1"),
    pytest.param([submit(probability=None)], "probability is None", id="null"),
    pytest.param([use("submit_estimate", {**GOOD, "rationale": None})], "rationale and reading", id="rationale is null"),
    pytest.param([use("submit_estimate", {"probability": 0.5, "reading": "r"})], "rationale", id="no rationale"),
    pytest.param([use("submit_estimate", {"probability": 0.5, "rationale": "r"})], "reading", id="no reading"),
    pytest.param([use("submit_estimate", {})], "probability is None", id="nothing at all"),
    pytest.param([submit("a"), submit("b")], "2 answers were submitted at once", id="two, even if they agree"),
    pytest.param([use("submit_report", {"report": "r", "parts": []})], "submit_report was called where", id="the wrong one"),
    pytest.param([use("market_details", {}, "t1"), submit(probability=2)], "probability is 2", id="beside a tool call"),
]
UNSUBMITTED = [
    pytest.param([text("I would say 0.6.")], SAYS_NOTHING, id="only text"),
    pytest.param([], SAYS_NOTHING, id="an empty reply"),
    pytest.param([text(" \n")], SAYS_NOTHING, id="blank text, which may not be sent back"),
    pytest.param([THINKING], SAYS_NOTHING, id="only thinking, which may not stand last"),
    pytest.param([THINKING, text("Hm."), REDACTED], SAYS_NOTHING, id="thinking at the end"),
]


@pytest.mark.parametrize(("content", "problem"), MALFORMED + UNSUBMITTED)
async def test_a_malformed_estimate_is_asked_for_once_more(content, problem):
    stop = "tool_use" if any(block["type"] == "tool_use" for block in content) else "end_turn"
    answer, model = await run(reply(*content, stop=stop), reply(submit()))
    assert answer == Answer(probability=0.25, text="clouds", reading="rain on the roof")
    assert problem in str(last_message(model))
    assert len(model.requests) == 2


@pytest.mark.parametrize(("content", "problem"), MALFORMED + UNSUBMITTED)
async def test_a_second_malformed_estimate_is_a_final_failure_with_its_reason(content, problem):
    stop = "tool_use" if any(block["type"] == "tool_use" for block in content) else "end_turn"
    failure, model = await run(reply(text("Hm."), stop="end_turn"), reply(*content, stop=stop), reply(submit()))
    assert isinstance(failure, AskFailed)
    assert problem in failure.reason
    assert "malformed estimate, also after a corrective re-ask" in failure.reason
    assert not failure.retryable
    assert len(model.requests) == 2


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"report": "", "parts": []}, "report is empty"),
        ({"report": " \n", "parts": []}, "report is empty"),
        ({"parts": ["a"]}, "report is empty"),
        ({"report": "r", "parts": "a, b"}, "parts is 'a, b'"),
        ({"report": "r", "parts": [1]}, "parts is [1]"),
    ],
)
async def test_a_malformed_report_is_asked_for_once_more(given, problem):
    bad, good = reply(use("submit_report", given)), reply(use("submit_report", {"report": "r", "parts": []}))
    answer, model = await run(bad, good, ask=REPORT)
    assert isinstance(answer, Answer)
    assert problem in str(last_message(model))
    failure, _ = await run(bad, bad, good, ask=REPORT)
    assert isinstance(failure, AskFailed)
    assert problem in failure.reason


async def test_tool_calls_between_two_malformed_answers_earn_no_second_re_ask():
    bad = reply(submit(probability=2))
    failure, model = await run(bad, reply(use("market_details", {})), bad, reply(submit()))
    assert isinstance(failure, AskFailed)
    assert len(model.requests) == 3


# --- ends without an answer


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        ("refusal", "the model refused to answer"),
        ("max_tokens", "cut off at the output cap of 1000 tokens"),
        ("model_context_window_exceeded", "outgrew the model's context window"),
    ],
)
async def test_a_reply_that_is_no_whole_reply_fails_with_its_reason(stop, reason):
    model = Scripted(reply(use("market_details", {}, "t1"), submit(), stop=stop), reply(submit()))
    agents = cell(model)
    with pytest.raises(AskFailed) as caught:
        await agents.answer(ESTIMATE)
    assert reason in caught.value.reason
    assert not caught.value.retryable
    assert [row["stop_reason"] for row in agents.calls] == [stop], "it was paid for, so it is recorded"
    assert agents.tool_calls == [], "what a reply that was cut off asks for is not run"


@pytest.mark.parametrize("retryable", [True, False])
@pytest.mark.parametrize("earlier", [0, 1], ids=["at once", "in the middle"])
async def test_the_model_decides_whether_its_failure_may_pass(retryable, earlier):
    script = [reply(use("market_details", {}))] * earlier
    failure, _ = await run(*script, ModelError("overloaded", retryable=retryable))
    assert isinstance(failure, AskFailed)
    assert (failure.reason, failure.retryable) == ("overloaded", retryable)


async def test_a_paused_turn_goes_on_where_it_stopped():
    paused = [THINKING, text("Still at it.")]
    answer, model = await run(reply(*paused, stop="pause_turn"), reply(text("More."), stop="pause_turn"), reply(submit()))
    assert isinstance(answer, Answer)
    assert [message["role"] for message in model.requests[2].messages] == ["user", "assistant"]
    assert last_message(model) == [*paused, text("More.")]


async def test_an_empty_pause_is_corrected_because_it_would_ask_the_same_again():
    answer, model = await run(reply(stop="pause_turn"), reply(submit()))
    assert isinstance(answer, Answer)
    assert model.requests[0].key != model.requests[1].key


async def test_the_last_turn_is_announced_and_no_turn_follows_it():
    looks = [reply(use("market_details", {}, f"t{i}")) for i in range(5)]
    failure, model = await run(*looks, max_turns=3)
    assert isinstance(failure, AskFailed)
    assert (failure.reason, failure.retryable) == ("no estimate within 3 turns", False)
    announced = ["This is your last turn: call `submit_estimate` now." in str(r.messages[-1]) for r in model.requests]
    assert announced == [False, False, True]


async def test_a_malformed_answer_in_the_last_turn_is_the_reason():
    failure, _ = await run(reply(use("market_details", {})), reply(submit(probability=2)), max_turns=2)
    assert isinstance(failure, AskFailed)
    assert "no estimate within 2 turns" in failure.reason
    assert "probability is 2" in failure.reason


# --- the record


async def test_every_call_and_tool_call_is_a_complete_row():
    first = reply(use("search_evidence", {"query": "clouds"}, "t1"), use("browse", {"a": 1}, "t2"), draw_id="d0")
    second = reply(submit(), draw_id="d1", paid=False)
    agents = cell(Scripted(first, second))
    await agents.answer(replace(ESTIMATE, ordinal=5))
    row = {
        "forecast_id": "f1",
        "ask": 5,
        "turn": 0,
        "agent": 1,
        "round": 2,
        "role": "forecaster",
        "draw_id": "d0",
        "stop_reason": "tool_use",
        "input_tokens": 100,
        "output_tokens": 20,
        "cache_read_tokens": 5,
        "cache_write_tokens": 7,
        "attributed_micro_usd": 700,
        "paid_micro_usd": 700,
        "seconds": 1.5,
    }
    assert agents.calls == [row, {**row, "turn": 1, "draw_id": "d1", "paid_micro_usd": 0}]
    found, refused = agents.tool_calls
    place = {"forecast_id": "f1", "ask": 5, "turn": 0}
    document = {"date": "2025-02-28T12:00:00Z", "title": "Forecast", "text": "Clouds.", "source": "wire"}
    assert orjson.loads(found.pop("result")) == {"documents": [document]}
    assert found == {
        **place,
        "position": 0,
        "tool": "search_evidence",
        "arguments": '{"query":"clouds"}',
        "items": 1,
        "error": False,
    }
    assert "unknown tool" in refused.pop("result")
    assert refused == {**place, "position": 1, "tool": "browse", "arguments": '{"a":1}', "items": 0, "error": True}


@pytest.mark.parametrize(
    ("micro_usd", "paid", "columns", "why"),
    [
        (700, True, (700, 700), "a new draw is paid for by the cell that asked"),
        (700, False, (700, 0), "a shared draw is attributed in full, and paid for elsewhere"),
        (None, True, (None, None), "an unknown price is null, never nothing"),
        (None, False, (None, 0), "what another cell paid cost this one nothing"),
    ],
)
async def test_attributed_and_paid_cost_are_two_columns(micro_usd, paid, columns, why):
    agents = cell(Scripted(reply(submit(), micro_usd=micro_usd, paid=paid)))
    await agents.answer(ESTIMATE)
    assert (agents.calls[0]["attributed_micro_usd"], agents.calls[0]["paid_micro_usd"]) == columns, why


async def test_byte_identical_asks_are_counted_in_program_order():
    other = replace(ESTIMATE, role_text="You are a critic.")
    asks = [replace(a, ordinal=i, agent=i) for i, a in enumerate([ESTIMATE, ESTIMATE, other, ESTIMATE, other])]
    looks = [reply(use("market_details", {}))] * len(asks)
    model = Scripted(*looks, *[reply(submit())] * len(asks))
    await asyncio.gather(*(cell_.answer(ask) for cell_ in [cell(model)] for ask in asks))
    assert [(slot.ask, slot.turn, slot.k) for slot in model.slots] == [
        (0, 0, 0),
        (1, 0, 1),
        (2, 0, 0),
        (3, 0, 2),
        (4, 0, 1),
        (0, 1, 0),
        (1, 1, 1),
        (2, 1, 0),
        (3, 1, 2),
        (4, 1, 1),
    ], "an ask keeps its k to its end"
    slot = Slot(replicate=3, k=0, forecast_id="f1", market_id="m1", configuration="debate", ask=0, turn=0)
    assert model.slots[0] == slot


async def test_a_request_holds_the_settings_and_nothing_else():
    _, model = await run(reply(submit()), tools=("market_details",), sampling={"thinking": {"type": "adaptive"}})
    body = model.requests[0].body
    assert (body["model"], body["max_tokens"], body["thinking"]) == ("asked-1", 1000, {"type": "adaptive"})
    assert [tool["name"] for tool in body["tools"]] == ["market_details", "submit_estimate", "submit_report"]


@pytest.mark.parametrize("shown", [True, False])
async def test_a_study_that_hides_the_price_hides_it_in_the_prompt_and_in_every_tool(shown):
    looks = [use("market_details", {}, "t1"), use("price_history", {}, "t2")]
    _, model = await run(reply(*looks), reply(submit()), show_price=shown)
    assert ("0.4" in str(model.requests[-1].messages)) == shown


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"max_tokens": 999},
        {"sampling": {"temperature": 0.0}},
        {"tools": ("market_details",)},
        {"max_turns": 3},
        {"show_price": False},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_identity_changes_with_every_setting(change):
    settings = Settings(model="m", max_tokens=1000)
    assert settings.identity() == Settings(model="m", max_tokens=1000).identity()
    assert replace(settings, **change).identity() != settings.identity()


def test_the_identity_changes_with_the_scaffold(monkeypatch):
    before = Settings(model="m", max_tokens=1000).identity()
    for name in list(scaffold._LABELS):
        with monkeypatch.context() as patch:
            patch.setitem(scaffold._LABELS, name, "Otherwise")
            assert Settings(model="m", max_tokens=1000).identity() != before, name


# --- whatever a model does

BLOCKS = st.sampled_from(
    [
        THINKING,
        REDACTED,
        text(""),
        text("Hm."),
        use("market_details", {}, "t1"),
        use("search_evidence", {"limit": "x"}, "t2"),
        submit("t3", probability=7),
        use("submit_report", {"report": ""}, "t4"),
    ]
)
REPLIES = st.builds(
    lambda blocks, stop: reply(*blocks, stop=stop),
    st.lists(BLOCKS, max_size=4, unique_by=lambda block: block.get("id", id(block))),
    st.sampled_from(["end_turn", "tool_use", "pause_turn", "stop_sequence"]),
)


@given(st.lists(REPLIES, max_size=6), st.integers(1, 7))
def test_whatever_a_model_says_every_request_is_valid_and_the_ask_ends(script, max_turns):
    end, model = asyncio.run(run(*script, reply(submit()), max_turns=max_turns))
    assert len(model.requests) <= max_turns
    for earlier, later in zip(model.requests, model.requests[1:], strict=False):
        assert earlier.key != later.key, "a turn that asks the same again would get the same draw again"
    assert isinstance(end, Answer) == (not model.script), "the one good answer, which comes last, was reached"


# --- tools that tell nothing new are withdrawn


def again(n: int, query: str = "clouds") -> dict[str, Any]:
    return use("search_evidence", {"query": query}, f"toolu_{n}")


@pytest.mark.parametrize(
    ("queries", "ran", "why"),
    [
        (("clouds", "clouds", "clouds", "clouds"), 3, "the first told something, the second and third told it again"),
        (("zzz", "yyy", "xxx"), 2, "empty results"),
        (("clouds", "zzz", "yyy", "xxx"), 3, "two useless ones after a useful one"),
    ],
)
async def test_tools_are_withdrawn_after_the_stated_number_of_useless_results(queries, ran, why):
    script = [reply(again(n, query)) for n, query in enumerate(queries)] + [reply(submit())]
    model = Scripted(*script)
    agents = cell(model, useless_results=2)
    assert (await agents.answer(ESTIMATE)).probability == 0.25
    withdrawn = [row for row in agents.tool_calls if row["result"] == WITHDRAWN]
    assert len(agents.tool_calls) - len(withdrawn) == ran, why
    assert len(withdrawn) == len(queries) - ran
    said = [
        block["text"]
        for r in model.requests
        for block in r.messages[-1]["content"]
        if isinstance(block, dict) and "text" in block
    ]
    assert sum("The tools are withdrawn for this ask: call `submit_estimate` now." in text for text in said) == 1
    assert len({orjson.dumps(request.tools) for request in model.requests}) == 1, "the same tools in every request"


async def test_tools_are_never_withdrawn_where_nothing_is_said_and_the_identity_is_what_it_was():
    failure, _ = await run(*[reply(again(n)) for n in range(12)])
    assert "within 12 turns" in str(failure)
    assert "useless_results" not in Settings(model="m", max_tokens=1).identity()
    assert Settings(model="m", max_tokens=1, useless_results=3).identity()["useless_results"] == 3


# --- a conversation that goes on, and a price that one agent does not see


async def test_an_ask_goes_on_in_the_conversation_of_another():
    model = Scripted(reply(use("search_evidence", {"query": "rain"}), THINKING), reply(submit()), reply(submit("again")))
    agents = cell(model)
    await agents.answer(ESTIMATE)
    await agents.answer(replace(ESTIMATE, ordinal=1, role="voice", role_text="You go on.", continues=0))
    first, second = (orjson.loads(request.encoded)["messages"] for request in model.requests[1:])
    assert second[: len(first)] == first, "all that was said, byte for byte"
    results, words = second[-1]["content"]
    assert (results["tool_use_id"], results["content"]) == ("toolu_answer", "Noted.")
    assert words["text"] == '<role name="voice">\nYou go on.\n</role>\n\nAnswer by calling `submit_estimate`.'


async def test_a_role_that_does_not_see_the_price_meets_it_nowhere():
    model = Scripted(reply(use("market_details", {}), use("price_history", {}, "toolu_2")), reply(submit()))
    agents = cell(model)
    await agents.answer(replace(ESTIMATE, show_price=False))
    asked = orjson.loads(model.requests[1].encoded)
    assert "0.4" not in str(asked["messages"])
    assert asked["tools"] == orjson.loads(model.requests[0].encoded)["tools"], "the same tools for everybody"
