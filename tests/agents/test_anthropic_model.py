"""The live model against a real server: what goes over the wire, what counts as a reply, and how each failure ends."""

import asyncio
import gzip
import json
import logging
import os
from collections.abc import AsyncIterator, Iterator
from datetime import date
from typing import Any

import httpx2
import orjson
import pytest

from coordeval.agents.anthropic_model import AnthropicModel
from coordeval.agents.failures import ModelAccessError, RequestRefused, Unavailable
from coordeval.agents.messages import ModelError, Reply, Request, Slot, Usage, decode_reply
from coordeval.agents.prices import PriceBook
from coordeval.agents.scaffold import ANSWER_TOOLS
from coordeval.agents.toolbox import TOOLS
from coordeval.market_data.errors import CoordevalError
from tests.agents.messages_server import KEY, Answer, MessagesServer, error, message

OPUS = "claude-opus-4-6"
NEWER = "claude-opus-5"
SLOT = Slot(replicate=0, k=0, forecast_id="f", market_id="m", configuration="c", ask=0, turn=0)
TOOL_USE = {"type": "tool_use", "id": "toolu_1", "name": "market_details", "input": {}}
THINKING = {"type": "thinking", "thinking": "Let me see.", "signature": "EqQBCkYIChgCKkA="}


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.fixture(scope="module")
def running() -> Iterator[MessagesServer]:
    server = MessagesServer()
    yield server
    server.stop()


@pytest.fixture
def server(running: MessagesServer) -> MessagesServer:
    running.reset()
    return running


@pytest.fixture
async def make(server: MessagesServer) -> AsyncIterator[Any]:
    models: list[AnthropicModel] = []

    def make(model: str = OPUS, **options: Any) -> AnthropicModel:
        defaults = {"base_url": server.url, "api_key": KEY, "today": lambda: date(2026, 11, 15)}
        models.append(AnthropicModel(model, **{**defaults, **options}))
        return models[-1]

    yield make
    for model in models:
        await model.aclose()


def request(model: str = OPUS, **changes: Any) -> Request:
    given = {
        "model": model,
        "system": "You are a forecaster.",
        "messages": [{"role": "user", "content": "Will it rain?"}],
        "tools": [*(tool.spec for tool in TOOLS.values()), *ANSWER_TOOLS],
        "max_tokens": 64_000,  # more than the SDK allows without an explicit timeout
        "sampling": {},
        **changes,
    }
    return Request(**given)


# --- what is sent


@pytest.mark.parametrize(
    ("model", "sampling", "version", "why"),
    [
        (OPUS, {"temperature": 0.3}, "2023-06-01", "the published study's setting: refused under the SDK's own version"),
        (OPUS, {"temperature": 0.3, "top_p": 0.9}, "2023-06-01", "all three parameters go the same way"),
        ("claude-haiku-4-5-20251001", {"temperature": 1}, "2023-06-01", "a snapshot is its base model"),
        (OPUS, {}, "2026-10-21", "nothing that needs the old version"),
        (OPUS, {"thinking": {"type": "adaptive"}}, "2026-10-21", "thinking is a parameter of the new version too"),
        (NEWER, {"output_config": {"effort": "low"}}, "2026-10-21", "effort is native"),
    ],
)
async def test_a_request_is_sent_as_it_was_hashed(server, make, model, sampling, version, why):
    asked = request(model, sampling=sampling)
    await make(model).complete(asked, SLOT)
    [(headers, body)] = server.seen
    assert body == {**asked.body, "cache_control": {"type": "ephemeral"}}, why
    assert orjson.dumps({k: v for k, v in sorted(body.items()) if k != "cache_control"}) == asked.encoded, "key order"
    assert headers["anthropic-version"] == version, why
    assert headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("model", "characters", "points", "why"),
    [
        (OPUS, 5_000, 1, "tools and system text are far from its 4,096 tokens: the end alone is a point"),
        (NEWER, 10, 1, "nor are they 512 tokens here"),
        (NEWER, 5_000, 2, "every prompt begins with what is long enough to be cached"),
        ("claude-opus-9", 5_000, 1, "nobody knows what it caches"),
    ],
)
async def test_what_every_prompt_begins_with_is_cached_where_the_model_caches_so_little(
    server, make, model, characters, points, why
):
    asked = request(model, system="x" * characters, tools=ANSWER_TOOLS)
    await make(model).complete(asked, SLOT)
    [(_, body)] = server.seen
    assert orjson.dumps(body).count(b"cache_control") == points, why
    system = body["system"] if isinstance(body["system"], str) else body["system"][0]["text"]
    assert {**body, "system": system} | {"cache_control": None} == {**asked.body, "cache_control": None}, "the same words"


async def test_a_model_that_takes_no_temperature_answers_400_and_the_call_is_left_open(make):
    with pytest.raises(RequestRefused, match=r"HTTP 400 .*temperature: Extra inputs") as caught:
        await make(NEWER).complete(request(NEWER, sampling={"temperature": 0.3}), SLOT)
    assert caught.value.retryable, "only a reply says something final"


async def test_a_tool_loop_can_send_back_what_it_received(server, make):
    server.script(message(content=[THINKING, TOOL_USE], stop_reason="tool_use"))
    model = make()
    reply = await model.complete(request(), SLOT)
    assert reply.content == [THINKING, TOOL_USE]
    assert reply.stop_reason == "tool_use"
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "{}", "is_error": False}
    turns = [*request().messages, {"role": "assistant", "content": reply.content}, {"role": "user", "content": [result]}]
    assert (await model.complete(request(messages=turns), SLOT)).text == "Hello."
    assert server.seen[1][1]["messages"][1]["content"][0] == THINKING


async def test_prompt_cache_can_be_switched_off_and_changes_no_identity(server, make):
    cached, plain = make(), make(prompt_cache=False)
    await plain.complete(request(), SLOT)
    assert "cache_control" not in server.seen[0][1]
    assert cached.identity == plain.identity, "it changes what a reply costs, not what it says"
    assert {**plain.identity, "prompt_cache": False} in plain.former_identities, "where it was part of it, it is found"


async def test_a_request_for_another_model_is_not_sent(server, make):
    with pytest.raises(CoordevalError, match="names model 'claude-opus-5', this model is 'claude-opus-4-6'"):
        await make().complete(request(NEWER), SLOT)
    assert not server.seen


# --- what comes back


@pytest.mark.parametrize(
    ("usage", "expected", "micro_usd", "why"),
    [
        ({"input_tokens": 1000, "output_tokens": 100}, Usage(input_tokens=1000, output_tokens=100), 7_500, "5 and 25"),
        (
            {
                "input_tokens": 10,
                "output_tokens": 20,
                "cache_creation_input_tokens": 300,
                "cache_read_input_tokens": 4000,
                "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
            },
            Usage(
                input_tokens=10,
                output_tokens=20,
                cache_write_5m_tokens=100,
                cache_write_1h_tokens=200,
                cache_read_tokens=4000,
            ),
            50 + 500 + 625 + 2000 + 2000,
            "each kind of token at its own price",
        ),
        (
            {"input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": 8, "cache_read_input_tokens": None},
            Usage(input_tokens=1, output_tokens=1, cache_write_5m_tokens=8),
            80,
            "without the split, writes are the five minutes that were asked for",
        ),
        (
            {"input_tokens": 1, "output_tokens": 1, "speed": "fast"},
            Usage(input_tokens=1, output_tokens=1),
            None,
            "fast mode is not at list price",
        ),
        (
            {"input_tokens": 1, "output_tokens": 1, "server_tool_use": {"web_search_requests": 1}},
            Usage(input_tokens=1, output_tokens=1, web_searches=1),
            10_030,
            "a web search is billed beside the tokens",
        ),
    ],
)
async def test_usage_and_cost(server, make, usage, expected, micro_usd, why):
    server.script(message(usage=usage))
    reply = await make().complete(request(), SLOT)
    assert (reply.usage, reply.micro_usd) == (expected, micro_usd), why


@pytest.mark.parametrize(
    ("asked", "served", "micro_usd", "why"),
    [
        (OPUS, "claude-haiku-4-5-20251001", 150, "the served model's price"),
        (OPUS, "gateway-7", 750, "a served name that nobody knows has the asked model's price"),
        ("some-model", "some-model", None, "an unknown price is not zero"),
    ],
)
async def test_the_served_model_is_reported_and_priced(server, make, asked, served, micro_usd, why):
    server.script(message(model=served))
    reply = await make(asked).complete(request(asked), SLOT)
    assert (reply.model, reply.micro_usd) == (served, micro_usd), why


async def test_a_study_can_price_a_model(make):
    rates = dict.fromkeys(("input", "output", "cache_write_5m", "cache_write_1h", "cache_read"), "2")
    book = PriceBook.bundled().with_overrides({"some-model": rates})
    assert (await make("some-model", price_book=book).complete(request("some-model"), SLOT)).micro_usd == 2 * 110


@pytest.mark.parametrize("stop_reason", ["refusal", "max_tokens", "model_context_window_exceeded"])
async def test_a_stop_reason_is_reported_not_judged(server, make, stop_reason):
    server.script(message(stop_reason=stop_reason, content=[]))
    reply = await make().complete(request(), SLOT)
    assert (reply.stop_reason, reply.content) == (stop_reason, [])


async def test_seconds_are_those_of_the_call(server, make):
    server.script(Answer(body=message(), delay=0.05))
    assert (await make().complete(request(), SLOT)).seconds >= 0.05


# --- what fails

BROKEN = [
    (Answer(200, b'{"id": "msg_01", "content": ['), "malformed JSON"),
    (message(model=None), "a message whose model is None"),
    (message(stop_reason=None), "a message whose stop_reason is None"),
    (message(content=None), "a message without whole content blocks"),
    (message(content=[{"type": ["text"]}]), "a message without whole content blocks"),
    (message(content=[{"type": "tool_use", "name": "x"}]), "a message without whole content blocks"),
    (message(content=[{"type": "text", "text": "HALF"}]), "JSON that breaks the standard"),
    (message(content=[{**TOOL_USE, "input": {"probability": "NAN"}}]), "JSON that breaks the standard"),
    (message(content=[{**TOOL_USE, "input": {"x": nested(240)}}]), "content that cannot be stored"),
    (message(content=[{**TOOL_USE, "input": {"x": "DEEP"}}]), "malformed JSON"),
]


@pytest.mark.parametrize(("answer", "fault"), BROKEN, ids=[f"{i} {fault}" for i, (_, fault) in enumerate(BROKEN)])
async def test_what_was_served_and_cannot_be_used_is_a_reply_with_a_fault_and_its_price(server, make, answer, fault):
    if isinstance(answer, dict):
        body = json.dumps(answer).replace('"HALF"', '"up \\ud83d"').replace('"NAN"', "NaN")
        answer = Answer(200, body.replace('"DEEP"', "[" * 5000 + "]" * 5000).encode())
    server.script(answer)
    reply = await make().complete(request(), SLOT)
    assert fault in reply.fault
    assert reply.content[0]["type"] == "unreadable"
    assert decode_reply(reply.encoded()).content == reply.content, "it can be stored"
    assert reply.micro_usd == (None if "malformed" in fault else 100 * 5 + 10 * 25)
    assert len(server.seen) == 1, "whether to buy it again is decided where it is stored"


USAGES = [
    None, [], "many", {}, {"input_tokens": True, "output_tokens": 5}, {"input_tokens": -1_000_000, "output_tokens": 5},
    {"input_tokens": "100", "output_tokens": 5}, {"input_tokens": 1.5, "output_tokens": 5},
    {"input_tokens": 10**30, "output_tokens": 5},
    {"input_tokens": None, "output_tokens": 5}, {"input_tokens": 100}, {"input_tokens": [1], "output_tokens": {}},
    {"input_tokens": 1, "output_tokens": 1, "cache_read_input_tokens": -5},
    {"input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": "8"},
    {"input_tokens": 1, "output_tokens": 1, "cache_creation": [1]},
    {"input_tokens": 1, "output_tokens": 1, "cache_creation": {"ephemeral_5m_input_tokens": -3}},
    {"input_tokens": 1, "output_tokens": 1, "cache_creation": {"ephemeral_1h_input_tokens": False}},
    {"input_tokens": 1, "output_tokens": 1, "server_tool_use": "web"},
    {"input_tokens": 1, "output_tokens": 1, "server_tool_use": {"web_search_requests": -1}},
    {"input_tokens": 1, "output_tokens": 1, "service_tier": "priority"},
    {"input_tokens": 1, "output_tokens": 1, "service_tier": ["standard"]},
    {"input_tokens": 1, "output_tokens": 1, "speed": {}},
    {"input_tokens": 1, "output_tokens": 1, "inference_geo": "us"},
]  # fmt: skip


@pytest.mark.parametrize("usage", USAGES, ids=[str(i) for i in range(len(USAGES))])
async def test_a_usage_that_cannot_be_priced_is_unknown_and_the_reply_is_used(server, make, usage):
    server.script(Answer(200, json.dumps(message(usage=usage)).encode()))
    reply = await make().complete(request(), SLOT)
    assert (reply.text, reply.fault, reply.micro_usd) == ("Hello.", "", None)
    assert decode_reply(reply.encoded()) == reply
    assert min(getattr(reply.usage, name) for name in Usage.__slots__) >= 0, "nothing is ever credited"


async def test_cache_writes_that_the_split_leaves_out_are_paid_for(server, make):
    split = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}
    usage = {"input_tokens": 10, "output_tokens": 10, "cache_creation_input_tokens": 5000, "cache_creation": split}
    server.script(message(usage=usage))
    assert (await make().complete(request(), SLOT)).micro_usd == 50 + 250 + 5000 * 6.25


PAGES = [
    (Answer(200, b"<html>login</html>", kind="text/html"), "text/html instead of a message"),
    (Answer(200, b"[]"), "JSON that is no object"),
    (Answer(200, b'{"detail": "Not Found"}'), "JSON that is no message"),
    (Answer(204), "an empty body"),
]


@pytest.mark.parametrize(("answer", "problem"), PAGES, ids=[problem for _, problem in PAGES])
async def test_a_success_that_is_no_message_is_never_a_reply(server, make, answer, problem):
    server.script(answer)
    with pytest.raises(Unavailable, match=problem) as caught:
        await make().complete(request(), SLOT)
    assert (caught.value.page, caught.value.charged, caught.value.overloaded) == (True, False, False)


def said(status: int, kind: str, text: str = "no", **more: Any) -> Answer:
    body = {"type": "error", "error": {"type": kind, "message": text, **more}}
    return Answer(status, body)


REFUSED = "invalid_request_error"
FAILURES = [
    # (what the server answers, what the call raises, whether all calls come back one by one)
    (said(429, "rate_limit_error", "exceed your organization's rate limit of 50,000 input tokens"), Unavailable, True),
    (said(529, "overloaded_error"), Unavailable, True),
    (said(503, "api_error"), Unavailable, True),
    (said(500, "api_error"), Unavailable, False),
    (said(408, "timeout_error"), Unavailable, False),
    (said(409, "conflict"), Unavailable, False),
    (Answer(502, b"<html>Bad gateway, check your billing and API key</html>", kind="text/html"), Unavailable, False),
    (Answer(503, b"<html>maintenance</html>", kind="text/html"), Unavailable, True),
    (said(200, "overloaded_error"), Unavailable, True),
    (said(200, "strange_error"), Unavailable, False),
    (said(200, "authentication_error"), ModelAccessError, False),
    (said(400, REFUSED, "Your credit balance is too low to access the Anthropic API."), ModelAccessError, False),
    (said(400, REFUSED, "You have reached your specified API usage limits."), ModelAccessError, False),
    (said(400, REFUSED, "This organization has been disabled."), ModelAccessError, False),
    (said(400, "budget", "Budget has been exceeded! Current cost: 5"), ModelAccessError, False),
    (said(429, "insufficient_quota", "You exceeded your current quota"), ModelAccessError, False),
    (said(429, "rate_limit_error", details={"error_code": "spend_limit_exceeded"}), ModelAccessError, False),
    (said(400, "billing_error"), ModelAccessError, False),
    (said(401, "authentication_error"), ModelAccessError, False),
    (said(402, "billing_error"), ModelAccessError, False),
    (said(403, "permission_error"), ModelAccessError, False),
    (Answer(403, b"<html>blocked</html>", kind="text/html"), ModelAccessError, False),
    (said(404, "not_found_error"), ModelAccessError, False),
    (Answer(405, b"", kind="text/plain"), ModelAccessError, False),
    (Answer(302, b"", {"location": "https://elsewhere.example/"}), ModelAccessError, False),
    (Answer(308, b"", {"location": "/v1/messages"}), ModelAccessError, False),
    (said(400, REFUSED, "messages.0: too many blocks"), RequestRefused, False),
    (said(200, REFUSED, "messages.0: too many blocks"), RequestRefused, False),
    (said(413, "request_too_large"), RequestRefused, False),
    (said(422, "unprocessable"), RequestRefused, False),
    (Answer(400, b"not even JSON", kind="text/plain"), RequestRefused, False),
]


@pytest.mark.parametrize(("answer", "raised", "overloaded"), FAILURES, ids=[str(i) for i in range(len(FAILURES))])
async def test_each_failure_ends_by_the_table_and_none_is_final(server, make, answer, raised, overloaded):
    server.script(answer)
    with pytest.raises(raised) as caught:
        await make().complete(request(), SLOT)
    assert len(server.seen) == 1, "asking again is the run's business"
    if isinstance(caught.value, ModelError):
        assert caught.value.retryable
        assert not caught.value.charged, "what the server refused costs nothing"
    assert getattr(caught.value, "overloaded", False) is overloaded


async def test_a_refusal_names_what_was_said_and_what_to_do(server, make):
    server.script(error(400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API."))
    with pytest.raises(ModelAccessError) as caught:
        await make().complete(request(), SLOT)
    assert "HTTP 400 invalid_request_error: Your credit balance is too low" in str(caught.value)
    assert "check the key, its credit and rights, the model id and base_url, then run the same command again" in str(
        caught.value
    )


async def test_a_redirect_is_not_followed_and_says_where_it_went(server, make):
    server.script(Answer(307, b"", {"location": "/v1/messages"}))
    with pytest.raises(ModelAccessError, match=r"HTTP 307.*, to /v1/messages; a key is not sent on"):
        await make().complete(request(), SLOT)
    assert len(server.seen) == 1


async def test_a_wrong_key_stops_the_run(make):
    with pytest.raises(ModelAccessError, match="HTTP 401 authentication_error: invalid bearer token"):
        await make(api_key="sk-wrong").complete(request(), SLOT)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry_after": "40"}, 40),
        ({"retry_after": "3600"}, 3600),
        ({"retry_after_ms": "250"}, 0.25),
        ({"retry_after": "²"}, None),
    ],
)
async def test_a_server_says_how_long_to_wait(server, make, headers, wait):
    server.script(error(529, "overloaded_error", **headers))
    with pytest.raises(Unavailable) as caught:
        await make().complete(request(), SLOT)
    assert caught.value.wait == wait


async def test_a_dropped_connection_may_have_been_charged(server, make):
    server.script(Answer(body=message(), cut=True))
    with pytest.raises(Unavailable, match=r"at http://127\.0\.0\.1:\d+: the connection broke") as caught:
        await make().complete(request(), SLOT)
    assert (caught.value.charged, caught.value.overloaded) == (True, False)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://no-such-host.invalid"])
async def test_where_nobody_listens_all_wait_and_nothing_was_charged(make, url):
    with pytest.raises(Unavailable, match="no connection") as caught:
        await make(base_url=url).complete(request(), SLOT)
    assert (caught.value.charged, caught.value.overloaded) == (False, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"base_url": "127.0.0.1:9"}, "cannot be sent"),
        ({"base_url": "ftp://127.0.0.1:9"}, "cannot be sent"),
        ({"api_key": "sk-ant-one\ntwo-345678"}, "cannot be sent"),
    ],
)
async def test_an_address_or_key_that_cannot_be_used_stops_the_run(make, options, words):
    with pytest.raises(ModelAccessError, match=words) as caught:
        await make(**options).complete(request(), SLOT)
    assert "one\ntwo" not in str(caught.value)
    assert "345678" not in str(caught.value)


async def test_a_slow_call_ends_at_its_deadline_and_may_have_been_charged(server, make):
    server.held.set()  # a second is time enough to send, also on a busy machine
    with pytest.raises(Unavailable, match=r"no reply within 1 s") as caught:
        await make(deadline=1).complete(request(), SLOT)
    assert (caught.value.charged, caught.value.own) == (True, True)


async def endless() -> AsyncIterator[bytes]:
    yield b'{"id": "'
    while True:
        yield b"a" * 100_000
        await asyncio.sleep(0)


async def test_a_body_without_end_is_a_message_and_not_memory(server, make):
    server.script(Answer(stream=endless))
    with pytest.raises(RequestRefused, match=r"a body of more than 1 MB") as caught:
        await make(body_limit=1_000_000).complete(request(), SLOT)
    assert caught.value.charged


@pytest.mark.parametrize(
    ("coding", "words"),
    [("gzip", "a body of more than 1 MB"), ("br", "a body packed with 'br'"), ("gzip, gzip", "packed with")],
)
async def test_a_packed_body_is_unpacked_up_to_the_same_limit(server, make, coding, words):
    packed = gzip.compress(b'{"id": "' + b" " * 50_000_000)
    server.script(Answer(200, packed, {"content-encoding": coding}))
    with pytest.raises(RequestRefused, match=words):
        await make(body_limit=1_000_000).complete(request(), SLOT)
    assert server.seen[0][0]["accept-encoding"] == "identity"


async def test_a_small_packed_body_is_read(server, make):
    server.script(Answer(200, gzip.compress(orjson.dumps(message())), {"content-encoding": "gzip"}))
    assert (await make().complete(request(), SLOT)).text == "Hello."
    server.script(Answer(200, gzip.compress(orjson.dumps(message()))[:-9], {"content-encoding": "gzip"}))
    with pytest.raises(Unavailable, match="a gzip body without its end"):
        await make().complete(request(), SLOT)


async def test_a_cancelled_call_is_cancelled_not_failed(server, make):
    server.script(Answer(body=message(), delay=1))
    call = asyncio.create_task(make().complete(request(), SLOT))
    await asyncio.sleep(0.1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


# --- key, address, identity


def test_without_a_key_nothing_is_built(monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(CoordevalError, match="ANTHROPIC_API_KEY is not set"):
        AnthropicModel(OPUS)


async def test_key_and_address_come_from_the_environment(server, make, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", f"{KEY}\n")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
    model = make(api_key=None, base_url=None)
    assert isinstance(await model.complete(request(), SLOT), Reply)
    assert model.identity["base_url"] == server.url
    assert "ANTHROPIC_API_KEY" not in os.environ, "a plugin that is loaded later does not find it there"
    assert isinstance(await make(api_key=None).complete(request(), SLOT), Reply), "another study of this process has it"


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://API.Anthropic.com:443/", None),
        ("https://api.anthropic.com//", None),
        ("http://LOCALHOST:80/x/", "http://localhost/x"),
    ],
)
async def test_another_spelling_of_an_address_is_the_same_identity(make, url, same):
    assert make(base_url=url).identity.get("base_url") == same


async def test_this_machine_has_three_names_and_each_finds_what_was_asked_under_the_others(make):
    one, other = make(base_url="http://127.0.0.1:81"), make(base_url="http://localhost:81/")
    assert one.identity in other.former_identities
    assert other.identity in one.former_identities
    assert all(identity != other.identity for identity in make(base_url="http://localhost:82").former_identities)


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://models.example", True),
        ("http://10.0.0.7:8080", True),
        ("https://models.example", False),
        ("http://localhost:8080", False),
        ("http://127.0.0.1", False),
        ("http://[::1]:9", False),
    ],
)
async def test_a_key_that_would_travel_unencrypted_is_warned_of(make, url, warned):
    assert bool(make(base_url=url).warnings) is warned


async def test_identity_names_what_is_sent_beside_the_request(make, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    monkeypatch.delenv("ANTHROPIC_CUSTOM_HEADERS", raising=False)
    assert make(base_url=None).identity == {
        "provider": "anthropic",
        "model": OPUS,
        "prompt_cache": True,
        "anthropic_version": "2026-10-21",
        "anthropic_version_with_temperature": "2023-06-01",
    }
    assert "anthropic_version_with_temperature" not in make(NEWER).identity
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "anthropic-beta: x-2026")
    assert make().identity["anthropic_beta"] == "x-2026"


@pytest.mark.parametrize("before", [0, 325, 335, 345])  # the last three: what is kept of a message ends within the key
async def test_the_key_appears_in_no_log_and_no_message(server, make, caplog, before):
    caplog.set_level(logging.DEBUG)
    server.script(error(400, "invalid_request_error", f"the key {'-' * before} {KEY} is not good for this"))
    model = make()
    with pytest.raises(ModelError) as caught:
        await model.complete(request(sampling={"temperature": 0.3}), SLOT)
    assert any(record.name.startswith("anthropic") for record in caplog.records), "the SDK does log at this level"
    assert before or "[ANTHROPIC_API_KEY]" in str(caught.value)
    assert KEY[:6] not in str(caught.value)
    assert KEY not in caplog.text + repr(model) + str(model.identity)


@pytest.mark.parametrize("spelled", [KEY, KEY.replace("s", "\\u0073")])
async def test_a_key_that_a_reply_repeats_is_not_in_the_reply(server, make, spelled):
    body = orjson.dumps(message(model="MARK", content=[{"type": "text", "text": "You sent MARK."}])).decode()
    server.script(Answer(200, body.replace("MARK", spelled).encode()))
    reply = await make().complete(request(), SLOT)
    assert reply.text == "You sent [ANTHROPIC_API_KEY]."
    assert KEY.encode() not in reply.encoded()


async def test_an_http_client_of_ones_own_is_used_and_closed():
    def answer(asked: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=message(), request=asked)

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    model = AnthropicModel(OPUS, api_key=KEY, http_client=client)
    assert (await model.complete(request(), SLOT)).text == "Hello."
    await model.aclose()
    assert client.is_closed
