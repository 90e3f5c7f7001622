"""The OpenAI-compatible provider against a server that checks by the SDK's own types: what is sent, read and refused."""

import re
from collections.abc import AsyncIterator, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from coordeval.agents.cell import Settings
from coordeval.agents.chat_form import UNPARSED, answered, asked
from coordeval.agents.failures import ModelAccessError, RequestRefused, Unavailable
from coordeval.agents.messages import Request, Slot, Usage
from coordeval.agents.openai_model import OpenAIModel
from coordeval.agents.prices import PriceBook
from coordeval.agents.providers import Around
from coordeval.agents.providers.chat_api import ChatApi
from coordeval.agents.providers.kit import conformance
from coordeval.agents.scaffold import ANSWER_TOOLS, answer_tools, system_prompt
from coordeval.agents.standin import Answer, Running, StandIn
from coordeval.agents.standin.chat import as_completion, error_of
from coordeval.agents.toolbox import TOOLS
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.secrets import forget

KEY = "sk-local-0123456789"
MODEL = "some-open-model"
SLOT = Slot(replicate=0, k=0, forecast_id="f", market_id="m", configuration="c", ask=0, turn=0)
PRICES = PriceBook.bundled().with_overrides({MODEL: {"input": "1", "output": "2", "cache_read": "0.5"}})


class Scripted(StandIn):
    """Answers what it is told to, else as the stand-in does."""

    script: Answer | None = None

    async def answer(self, body: Any) -> Answer:
        return self.script or await super().answer(body)


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running(Scripted(key=KEY)) as running:
        yield running


@pytest.fixture
async def model(running: Running, monkeypatch) -> AsyncIterator[OpenAIModel]:
    running.standin.script = None
    running.standin.seen.clear()
    model = OpenAIModel(
        MODEL, base_url=f"{running.url}/v1", api_key=KEY, price_book=PRICES, today=lambda: date(2026, 11, 15)
    )
    yield model
    await model.aclose()


def request(**changes: Any) -> Request:
    given = {
        "model": MODEL,
        "system": system_prompt(),
        "messages": [{"role": "user", "content": "Question: Will it rain?\n\nAnswer by calling `submit_estimate`."}],
        "tools": [*(tool.spec for tool in TOOLS.values()), *ANSWER_TOOLS],
        "max_tokens": 4000,
        "sampling": {},
    }
    return Request(**{**given, **changes})


async def test_a_turn_and_its_tool_results_are_taken_by_the_sdks_types_and_priced(running, model):
    first = request()
    reply = await model.complete(first, SLOT)
    assert (reply.stop_reason, reply.model) == ("tool_use", MODEL)
    assert reply.micro_usd == reply.usage.input_tokens + 2 * reply.usage.output_tokens
    results = [
        {"type": "tool_result", "tool_use_id": use["id"], "content": "{}", "is_error": False} for use in reply.tool_uses()
    ]
    turns = [*first.messages, {"role": "assistant", "content": list(reply.content)}, {"role": "user", "content": results}]
    assert (await model.complete(request(messages=turns), SLOT)).stop_reason == "tool_use"
    [(_, sent), (_, again)] = running.standin.seen
    assert sent["max_tokens"] == 4000
    assert [message["role"] for message in again["messages"][:3]] == ["system", "user", "assistant"]
    assert {message["role"] for message in again["messages"][3:]} == {"tool"}


async def test_the_provider_passes_the_conformance_kit(running, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    running.standin.script = None
    try:
        settings = {"id": MODEL, "base_url": f"{running.url}/v1"}
        assert await conformance(ChatApi, settings, Around(prices=PRICES)) == []
    finally:
        forget()


COMPLETION = {
    "model": MODEL,
    "choices": [{"message": {"role": "assistant", "content": "Hm."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13},
}


def changed(finish: str = "stop", usage: Any = None, **message: Any) -> dict[str, Any]:
    choice = {"message": {"role": "assistant", "content": None, **message}, "finish_reason": finish}
    return {**COMPLETION, "choices": [choice], "usage": COMPLETION["usage"] if usage is None else usage}


def call(arguments: str) -> dict[str, Any]:
    return {"id": "c1", "type": "function", "function": {"name": "submit_estimate", "arguments": arguments}}


@pytest.mark.parametrize(
    ("said", "stop", "content", "why"),
    [
        (COMPLETION, "end_turn", [{"type": "text", "text": "Hm."}], "plain text"),
        (changed("length", content="Hm"), "max_tokens", [{"type": "text", "text": "Hm"}], "cut off at the cap"),
        (changed("content_filter"), "refusal", [], "filtered"),
        (changed(refusal="No."), "refusal", [{"type": "text", "text": "No."}], "a refusal ends with stop"),
        (
            changed("stop", tool_calls=[call('{"probability": 0.3}')]),
            "tool_use",
            [{"type": "tool_use", "id": "c1", "name": "submit_estimate", "input": {"probability": 0.3}}],
            "some servers end tool calls with stop",
        ),
        (
            changed("tool_calls", tool_calls=[call('{"probability": NaN}')]),
            "tool_use",
            [{"type": "tool_use", "id": "c1", "name": "submit_estimate", "input": {UNPARSED: '{"probability": NaN}'}}],
            "arguments that are no JSON are kept for the corrective re-ask",
        ),
        (
            changed(reasoning_content="First,", content="Hm."),
            "end_turn",
            [{"type": "thinking", "thinking": "First,"}, {"type": "text", "text": "Hm."}],
            "reasoning that a server shows is kept",
        ),
    ],
)
async def test_every_way_to_end_a_turn_has_its_stop_reason(running, model, said, stop, content, why):
    running.standin.script = Answer(body=said)
    reply = await model.complete(request(), SLOT)
    assert (reply.stop_reason, list(reply.content), reply.fault) == (stop, content, ""), why


@pytest.mark.parametrize(
    ("usage", "counted", "price", "why"),
    [
        ({"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 60}},
         Usage(input_tokens=40, output_tokens=5, cache_read_tokens=60), 80, "cached tokens are part of the prompt's"),
        ({"prompt_tokens": 100, "completion_tokens": "many"}, Usage(input_tokens=100, output_tokens=0), None, "no count"),
        ({}, Usage(input_tokens=0, output_tokens=0), None, "no usage is no price, never $0"),
    ],
)  # fmt: skip
async def test_tokens_are_counted_as_the_ledger_counts_them(running, model, usage, counted, price, why):
    running.standin.script = Answer(body=changed(content="Hm.", usage=usage))
    reply = await model.complete(request(), SLOT)
    assert (reply.usage, reply.micro_usd) == (counted, price), why


def published(finish: Any, usage: Any, message: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A completion as a server sends it: made by us, in the form that its documentation or source has."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish, "logprobs": None}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": MODEL,
        "choices": [choice],
        "usage": usage,
        **more,
    }


USED = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
GIVEN = {"probability": 0.3}
TEXT = '{"probability": 0.3}'
USE = {"type": "tool_use", "id": "c1", "name": "submit_estimate", "input": GIVEN}


@pytest.mark.parametrize(
    ("body", "stop", "content", "tokens"),
    [
        pytest.param(  # `index` in the call, reasoning under its own name, an empty content beside calls
            published("tool_calls", USED, {"content": "", "reasoning": "Hm.", "tool_calls": [{**call(TEXT), "index": 0}]},
                      system_fingerprint="fp_ollama"),
            "tool_use", [{"type": "thinking", "thinking": "Hm."}, USE], (100, 20, 0), id="Ollama",
        ),
        pytest.param(  # as its own API has it: arguments that are an object, and no id
            published("stop", USED, {"content": "", "tool_calls": [{"function": {"name": "submit_estimate",
                                                                                 "arguments": GIVEN}}]}),
            "tool_use", [{**USE, "id": "call_0"}], (100, 20, 0), id="Ollama, arguments as an object",
        ),
        pytest.param(  # nulls for all that it has nothing to say of, and a stop_reason of its own
            published("tool_calls", {**USED, "prompt_tokens_details": None},
                      {"content": None, "reasoning_content": "Hm.", "tool_calls": [call(TEXT)], "refusal": None,
                       "annotations": None, "audio": None, "function_call": None},
                      prompt_logprobs=None, kv_transfer_params=None),
            "tool_use", [{"type": "thinking", "thinking": "Hm."}, USE], (100, 20, 0), id="vLLM",
        ),
        pytest.param(
            published("stop", {**USED, "prompt_tokens_details": {"cached_tokens": 64}},
                      {"content": "Hm.", "tool_calls": [], "reasoning_content": None}),
            "end_turn", [{"type": "text", "text": "Hm."}], (36, 20, 64), id="vLLM, no call, a prefix from its cache",
        ),
        pytest.param(  # tokens of a cache at the top, as Anthropic counts them, and blocks of thinking beside the text
            published("tool_calls", {**USED, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 0,
                                     "prompt_tokens_details": {"cached_tokens": 60}},
                      {"content": None, "tool_calls": [call(TEXT)], "function_call": None,
                       "provider_specific_fields": {"x": 1}, "thinking_blocks": []}),
            "tool_use", [USE], (40, 20, 60), id="LiteLLM",
        ),
        pytest.param(
            published("stop", {**USED, "cache_read_input_tokens": 60}, {"content": "Hm."}),
            "end_turn", [{"type": "text", "text": "Hm."}], (40, 20, 60), id="LiteLLM, without details of the prompt",
        ),
        pytest.param(  # what the provider behind it said, and what it cost, beside the form
            published("tool_calls", {**USED, "cost": 0.01, "is_byok": False},
                      {"content": "", "refusal": None, "reasoning": None, "reasoning_details": [],
                       "tool_calls": [call(TEXT)]},
                      provider="Somebody"),
            "tool_use", [USE], (100, 20, 0), id="OpenRouter",
        ),
        pytest.param(  # an id that is empty, and its own timings
            published("tool_calls", USED, {"content": None, "tool_calls": [{**call(TEXT), "id": ""}]}, timings={"n": 1}),
            "tool_use", [{**USE, "id": "call_0"}], (100, 20, 0), id="llama.cpp",
        ),
        pytest.param(
            published("stop", {**USED, "prompt_cache_hit_tokens": 60, "prompt_cache_miss_tokens": 40}, {"content": "Hm."}),
            "end_turn", [{"type": "text", "text": "Hm."}], (40, 20, 60), id="DeepSeek",
        ),
        pytest.param(
            published("eos_token", USED, {"content": "Hm."}),
            "end_turn", [{"type": "text", "text": "Hm."}], (100, 20, 0), id="TGI",
        ),
        pytest.param(
            published("length", USED, {"content": "Hm"}),
            "max_tokens", [{"type": "text", "text": "Hm"}], (100, 20, 0), id="cut off",
        ),
    ],
)  # fmt: skip
async def test_the_forms_that_servers_document_are_read_alike(running, model, body, stop, content, tokens):
    running.standin.script = Answer(body=body)
    reply = await model.complete(request(), SLOT)
    assert (reply.stop_reason, list(reply.content), reply.fault) == (stop, content, "")
    used = reply.usage
    assert (used.input_tokens, used.output_tokens, used.cache_read_tokens) == tokens
    assert reply.micro_usd == tokens[0] + 2 * tokens[1] + tokens[2] // 2


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": 100, "completion_tokens": None}])
async def test_a_server_that_counts_nothing_has_an_unknown_price(running, model, usage):
    running.standin.script = Answer(body=published("stop", usage, {"content": "Hm."}))
    reply = await model.complete(request(), SLOT)
    assert (reply.text, reply.fault, reply.micro_usd) == ("Hm.", "", None)


async def test_a_reply_that_a_router_calls_broken_is_not_taken_for_an_answer(running, model):
    body = published("error", USED, {"content": "Hm"})
    body["choices"][0]["error"] = {"code": 502, "message": "the provider behind it fell over"}
    running.standin.script = Answer(body=body)
    reply = await model.complete(request(), SLOT)
    assert reply.fault
    assert reply.micro_usd == 140, "it was served, so it is charged"


@pytest.mark.parametrize(
    ("answer", "raised", "says"),
    [
        (error_of(401, "invalid_request_error", "Incorrect API key", "invalid_api_key"), ModelAccessError, "401"),
        (error_of(404, "invalid_request_error", "no such model", "model_not_found"), ModelAccessError, "no such model"),
        (
            error_of(429, "insufficient_quota", "You exceeded your current quota", "insufficient_quota"),
            ModelAccessError,
            "quota",
        ),
        (error_of(429, "requests", "Rate limit reached", "rate_limit_exceeded"), Unavailable, "Rate limit"),
        (error_of(400, "invalid_request_error", "tools are not supported", None), RequestRefused, "tools are not supported"),
        (error_of(503, "server_error", "overloaded", None), Unavailable, "overloaded"),
        (Answer(200, b"<html>hello", kind="text/html"), Unavailable, "instead of a message in JSON"),
        (Answer(200, {"object": "list", "data": []}), Unavailable, "JSON that is no message"),
    ],
)
async def test_what_is_no_reply_ends_by_the_same_table(running, model, answer, raised, says):
    running.standin.script = answer
    with pytest.raises(raised, match=says):
        await model.complete(request(), SLOT)


async def test_a_key_that_a_server_echoes_is_stored_nowhere(running, model):
    running.standin.script = error_of(400, "invalid_request_error", f"bad header Bearer {KEY}", None)
    with pytest.raises(RequestRefused) as caught:
        await model.complete(request(), SLOT)
    assert KEY not in str(caught.value)
    running.standin.script = Answer(body=changed(content=f"Your key is {KEY}."))
    assert KEY not in (await model.complete(request(), SLOT)).encoded().decode()


async def test_a_completion_without_a_whole_message_is_stored_and_cannot_be_used(running, model):
    running.standin.script = Answer(body={**COMPLETION, "choices": [{"finish_reason": "stop"}]})
    reply = await model.complete(request(), SLOT)
    assert reply.fault
    assert reply.micro_usd == 16


def test_what_is_sent_back_has_the_words_of_the_model():
    broken = {"type": "tool_use", "id": "c1", "name": "submit_estimate", "input": {UNPARSED: "{oops"}}
    result = {"type": "tool_result", "tool_use_id": "c1", "content": "no"}
    said = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm"}, broken]},
        {"role": "user", "content": [result, {"type": "text", "text": "Now."}]},
    ]
    body = asked(request(messages=said, sampling={"temperature": 0.3}), "max_completion_tokens")
    assert body["messages"][2]["tool_calls"][0]["function"]["arguments"] == "{oops"
    assert body["messages"][2]["content"] is None, "reasoning is not sent back"
    assert [message["role"] for message in body["messages"][3:]] == ["tool", "user"]
    assert (body["temperature"], body["max_completion_tokens"]) == (0.3, 4000)


async def test_answers_are_held_to_their_schema_where_the_study_says_so(running, model):
    tools = [*(tool.spec for tool in TOOLS.values()), *answer_tools(strict=True)]
    await model.complete(request(tools=tools), SLOT)
    [(_, sent)] = running.standin.seen
    assert [tool["function"].get("strict") for tool in sent["tools"]] == [None, None, None, True, True]
    assert Settings(model="m", max_tokens=9).identity() == Settings(model="m", max_tokens=9, strict=False).identity()
    assert Settings(model="m", max_tokens=9).identity() != Settings(model="m", max_tokens=9, strict=True).identity()


def test_anything_but_a_completion_stays_what_it_is():
    for value in (None, [], {"choices": []}, {"choices": "x"}, {"error": {"type": "t", "message": "m"}}):
        assert answered(value) == value


def test_a_key_is_needed_only_where_one_is_asked_for(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    forget()
    assert OpenAIModel(MODEL, base_url="http://127.0.0.1:1/v1").identity["base_url"] == "http://127.0.0.1:1/v1"
    for options in ({}, {"base_url": "http://127.0.0.1:1/v1", "key_name": "ROUTER_KEY"}):
        with pytest.raises(CoordevalError, match=r"needs an API key and (OPENAI_API_KEY|ROUTER_KEY) is not set"):
            OpenAIModel(MODEL, **options)


def test_an_error_of_the_stand_in_is_one_of_this_api():
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "no"}}
    assert as_completion(Answer(529, body)).body["error"]["message"] == "no"


def test_a_file_of_ones_own_is_a_provider(tmp_path: Path):
    from coordeval.flows.study.study import load_study

    (tmp_path / "mine.py").write_text(OWN)
    (tmp_path / "s.toml").write_text(
        'name = "s"\nconfigurations = ["single_agent"]\n[markets]\nsource = "simulated"\ncount = 2\n'
        '[model]\nprovider = "mine.py"\nid = "m1"\ntemper = 0.5\n'
    )
    loaded = load_study(tmp_path / "s.toml")
    assert (loaded.study.model_name, loaded.money, loaded.simulated) == ("m1", "paid", True)
    assert "mine.py" in loaded.content["plugins"]
    assert "mine.py" in loaded.files()
    (tmp_path / "s.toml").write_text((tmp_path / "s.toml").read_text().replace("temper = 0.5", "temper = 2"))
    with pytest.raises(CoordevalError, match=r"model.temper = 2.*less than or equal to 1"):
        load_study(tmp_path / "s.toml")


OWN = """
from typing import ClassVar
from pydantic import Field
from coordeval.agents.providers import ModelSettings

class Settings(ModelSettings):
    id: str
    temper: float = Field(default=0.5, le=1)

class Mine:
    name: ClassVar = "mine"
    about: ClassVar = "a test"
    needs: ClassVar = "nothing"
    money: ClassVar = "paid"
    settings: ClassVar = Settings
    @staticmethod
    def model(settings, around):
        raise NotImplementedError
"""


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('name: ClassVar = "mine"', 'name: ClassVar = "Mine One"'), "name is 'Mine One'"),
        (('money: ClassVar = "paid"', 'money: ClassVar = "free"'), "money is 'free'; it must be one of paid"),
        (("settings: ClassVar = Settings", "settings: ClassVar = dict"), "it must be a subclass of ModelSettings"),
    ],
)
def test_a_broken_provider_is_an_error_that_says_what_to_mend(tmp_path, change, says):
    from coordeval.agents.providers import from_file

    (tmp_path / "mine.py").write_text(OWN.replace(*change))
    with pytest.raises(CoordevalError, match=says):
        from_file(tmp_path / "mine.py")


async def test_the_provider_that_the_docs_show_passes_the_kit(tmp_path):
    from coordeval.agents.providers import from_file

    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    [block] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "my_model.py").write_text(block)
    assert await conformance(from_file(tmp_path / "my_model.py"), {"id": "c", "bias": 0.2}) == []


async def test_the_kit_names_what_a_model_does_otherwise():
    from coordeval.agents.providers.simulated import Simulated

    assert await conformance(Simulated, {}) == []

    class Moody(Simulated):
        @staticmethod
        def model(settings: Any, around: Around) -> Any:
            class Model:
                def __init__(self) -> None:
                    self.identity = {"model": "other", "made": id(self)}

                async def complete(self, request: Request, slot: Slot) -> Any:
                    raise KeyError("choices")

            return Model()

    problems = " ".join(await conformance(Moody, {}))
    for words in ("identity differs", "does not name the model id", "complete raises KeyError"):
        assert words in problems
