"""A search on the provider's servers: declared to the API, stored, priced, and never part of what other requests are."""

import asyncio
from dataclasses import replace
from datetime import date

import orjson
import pytest

from coordeval.agents.cell import CellAgents, Settings
from coordeval.agents.messages import Usage, decode_reply
from coordeval.agents.prices import PriceBook
from coordeval.agents.replies import read_reply, read_usage
from coordeval.agents.server_tools import MOST_SEARCHES, searches
from tests.agents.test_cell import ESTIMATE, USAGE, VIEW, Scripted, reply, submit, text

MODEL = "claude-opus-4-6"
ASKED = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "rain"}}
PAGE = {
    "type": "web_search_result",
    "title": "Rain",
    "url": "https://example.org",
    "encrypted_content": "E",
    "page_age": "1 day",
}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [PAGE]}
FAILED = {**FOUND, "content": {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}}


@pytest.mark.parametrize(
    ("content", "items", "error", "said"),
    [
        ([ASKED, FOUND], 1, False, '{"pages":[{"title":"Rain","url":"https://example.org","page_age":"1 day"}]}'),
        ([ASKED, {**FOUND, "content": []}], 0, False, '{"pages":[]}'),
        ([ASKED, FAILED], 0, True, "max_uses_exceeded"),
        ([ASKED], 0, True, "no result came with it"),
    ],
    ids=["a page, without its encrypted text", "nothing found is an empty result", "an error of the server", "no result"],
)
def test_a_search_is_a_row_with_its_query_and_what_came(content, items, error, said):
    [row] = searches(content)
    assert (row["tool"], row["arguments"], row["items"], row["error"]) == ("web_search", '{"query":"rain"}', items, error)
    assert said in row["result"]


def test_the_search_is_declared_as_the_model_has_it_and_noted_although_nobody_here_runs_it():
    paused = reply(text("I look."), ASKED, FOUND, stop="pause_turn")
    model = Scripted(paused, reply(ASKED, FOUND, submit()))
    settings = Settings(model=MODEL, max_tokens=4000, tools=("market_details", "web_search"))
    agents = CellAgents(model, settings, VIEW, "f" * 64, "single_agent", 0)
    assert asyncio.run(agents.answer(ESTIMATE)).probability == 0.25
    declared = {"type": "web_search_20250305", "name": "web_search", "max_uses": MOST_SEARCHES}
    assert declared in model.requests[0].tools
    assert model.requests[1].messages[-1]["content"][-1] == FOUND, (
        "what was found goes back as it came, for the turn to go on"
    )
    assert [(row["tool"], row["turn"], row["position"]) for row in agents.tool_calls] == [
        ("web_search", 0, 0),
        ("web_search", 1, 1),
    ]


def test_a_study_without_it_asks_and_stores_the_bytes_that_it_did_before():
    plain = Settings(model=MODEL, max_tokens=4000)
    assert plain.identity()["tool_specs"] == replace(plain, model="another").identity()["tool_specs"]
    assert b"web_search" not in reply(submit()).encoded()
    searched = reply(submit(), usage=replace(USAGE, web_searches=2))
    assert decode_reply(searched.encoded()).usage.web_searches == 2


def stated(**tools):
    return {"input_tokens": 1000, "output_tokens": 100, "server_tool_use": tools}


@pytest.mark.parametrize(
    ("tools", "micro_usd"),
    [
        ({}, 7_500),
        ({"web_search_requests": 0}, 7_500),
        ({"web_search_requests": 3, "web_fetch_requests": 0}, 37_500),  # a cent each
        ({"web_search_requests": 3, "web_fetch_requests": 1}, None),  # what a fetch costs is not in the book
        ({"web_search_requests": "many"}, None),
    ],
)
def test_searches_are_charged_and_other_tools_of_the_server_have_no_known_price(tools, micro_usd):
    book = PriceBook.bundled()
    body = orjson.dumps({"model": MODEL, "stop_reason": "end_turn", "content": [], "usage": stated(**tools)})
    got = read_reply(
        body, kind="application/json", asked=MODEL, seconds=1.0, pricing=lambda m, u: book.micro_usd(m, u, date(2026, 10, 1))
    )
    assert got.micro_usd == micro_usd


def test_a_price_that_a_study_gives_without_one_for_searches_is_not_known_with_them():
    book = PriceBook.bundled().with_overrides({"own": {"input": "1", "output": "1"}})
    usage, known = read_usage(stated(web_search_requests=1))
    assert known
    assert book.micro_usd("own", usage, date(2026, 10, 1)) is None
    assert book.micro_usd("own", Usage(input_tokens=1000, output_tokens=0), date(2026, 10, 1)) == 1000
    book = PriceBook.bundled().with_overrides({"own": {"input": "1", "output": "1", "web_search": "10"}})
    assert book.micro_usd("own", usage, date(2026, 10, 1)) == 1000 + 100 + 10_000
    assert book.worst_case("own", date(2026, 10, 1), input_tokens=0, output_tokens=0, searches=2) == 20_000
