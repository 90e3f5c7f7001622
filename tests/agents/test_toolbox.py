"""The tools answer for one market at one moment, and say what is wrong with a call that they do not allow."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from coordeval.agents.toolbox import TOOLS, Toolbox, hidden
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.gate import MarketView
from coordeval.market_data.types import Document, Market, PricePoint

AS_OF = datetime(2025, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(1)
MARKET = Market(
    id="m1",
    source="venue",
    event_id="e1",
    simulated=True,
    url="https://example.org/m1",
    question="Will it rain?",
    opened_at=AS_OF - 90 * DAY,
    scheduled_close=AS_OF + 10 * DAY,
    reference_time=AS_OF,
)


def document(days, title, text="Nothing."):
    at = None if days is None else AS_OF + days * DAY
    return Document(market_id="m1", knowable_at=at, title=title, text=text, source="wire")


DOCUMENTS = [
    document(-3, "Old rain", "Heavy rain fell."),
    document(-2, "Dry spell", "No cloud was seen."),
    document(-1, "New rain", "Rain is due."),
    document(1, "Late rain", "It did rain."),
    document(None, "Undated rain", "It did rain."),
]
PRICES = [PricePoint(market_id="m1", knowable_at=AS_OF + n * DAY, price=(n + 60) / 100, kind="mid") for n in range(-60, 3)]


def toolbox(names=tuple(TOOLS), *, show_price=True, prices=PRICES, documents=DOCUMENTS):
    return Toolbox(MarketView(MARKET, AS_OF, prices, documents), names, hidden=hidden(shows=show_price, sees=True))


def answer(name, arguments, **given):
    result = toolbox(**given).run(name, arguments)
    assert not result.error, result.content
    return orjson.loads(result.content), result.items


def test_market_details_are_the_facts_known_at_opening_the_moment_and_the_price():
    assert answer("market_details", {}) == (
        {
            "question": "Will it rain?",
            "opened_at": "2024-12-01T12:00:00Z",
            "scheduled_close": "2025-03-11T12:00:00Z",
            "as_of": "2025-03-01T12:00:00Z",
            "price_of_yes": {"date": "2025-03-01T12:00:00Z", "price": 0.6, "kind": "mid"},
        },
        1,
    )


def test_a_price_that_nobody_knows_is_null():
    assert answer("market_details", {}, prices=[])[0]["price_of_yes"] is None


def test_where_prices_are_hidden_no_tool_tells_one():
    assert "price_of_yes" not in answer("market_details", {}, show_price=False)[0]
    hidden, items = answer("price_history", {}, show_price=False)
    assert (hidden["prices"], items) == ([], 0)


@pytest.mark.parametrize("points", [1, 2, 7, 60, 61, 500])
def test_price_history_is_thinned_evenly_and_ends_with_the_last_price(points):
    history, items = answer("price_history", {"points": points})
    dates = [p["date"] for p in history["prices"]]
    assert items == len(dates) == min(points, 61)
    assert dates == sorted(set(dates))
    assert dates[-1] == "2025-03-01T12:00:00Z"
    if points > 1:
        assert dates[0] == "2024-12-31T12:00:00Z"


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        pytest.param({"query": "rain"}, ["New rain", "Old rain"], id="newest first, late and undated ones never"),
        pytest.param({"query": "heavy RAIN"}, ["Old rain", "New rain"], id="more words found, further up; any case"),
        pytest.param({"query": ""}, ["New rain", "Dry spell", "Old rain"], id="empty: the newest"),
        pytest.param({}, ["New rain", "Dry spell", "Old rain"], id="no query: the newest"),
        pytest.param({"query": "rain", "limit": 1}, ["New rain"], id="limited"),
        pytest.param({"query": "snow"}, [], id="nothing found is an empty result"),
        pytest.param({"query": "ai"}, [], id="words, not fragments"),
    ],
)
def test_search_finds_documents_by_their_words(query, titles):
    found, items = answer("search_evidence", query)
    assert [d["title"] for d in found["documents"]] == titles
    assert items == len(titles)


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        pytest.param("market_details", {"market_id": "m2"}, "does not take 'market_id'", id="asks for another market"),
        pytest.param(
            "search_evidence", {"query": "x", "before": "2030"}, "'before'; it takes query, limit", id="reaches on"
        ),
        pytest.param("search_evidence", {"query": 7}, "query is 7", id="a query that is no text"),
        pytest.param("search_evidence", {"limit": 21}, "whole number from 1 to 20", id="too many"),
        pytest.param("price_history", {"points": 0}, "points is 0", id="too few"),
        pytest.param("price_history", {"points": True}, "points is True", id="true is not one"),
        pytest.param("price_history", {"points": "9"}, "points is '9'", id="text is not a number"),
        pytest.param("price_history", None, "does not take None", id="no object"),
        pytest.param("market_details", ["x"], "it takes no argument", id="a list"),
        pytest.param("web_search", {}, "unknown tool 'web_search': it must be one of market_details", id="not a tool"),
    ],
)
def test_a_call_that_is_not_allowed_is_answered_with_what_would_be(name, arguments, told):
    result = toolbox().run(name, arguments)
    assert (result.error, result.items) == (True, 0)
    assert told in orjson.loads(result.content)["error"]


def test_a_tool_that_the_study_leaves_out_is_neither_offered_nor_run():
    box = toolbox(("search_evidence",))
    assert [spec["name"] for spec in box.specs] == ["search_evidence"]
    assert box.run("price_history", {}).error


def test_a_study_cannot_ask_for_a_tool_that_does_not_exist():
    with pytest.raises(CoordevalError, match="unknown tool 'oracle'"):
        toolbox(("oracle",))


@pytest.mark.parametrize("name", TOOLS)
def test_no_tool_takes_a_market_or_a_time(name):
    schema = TOOLS[name].spec["input_schema"]
    assert set(schema["properties"]) <= {"points", "query", "limit"}
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("name", TOOLS)
def test_no_tool_tells_what_is_ours_or_later(name):
    told = toolbox().run(name, {}).content
    for secret in ("m1", "e1", "venue", "example.org", "Late", "Undated", "0.61"):
        assert secret not in told


@pytest.mark.parametrize(
    ("shows", "sees", "note"),
    [
        (True, False, "prices are not shown for this estimate"),  # other roles of the study see them
        (False, True, "prices are not shown in this study"),
        (False, False, "prices are not shown in this study"),
    ],
)
def test_who_is_shown_no_price_is_told_why(shows, sees, note):
    box = Toolbox(MarketView(MARKET, AS_OF, [], []), hidden=hidden(shows=shows, sees=sees))
    assert orjson.loads(box.run("price_history", {}).content) == {"prices": [], "note": note}
    assert "price_of_yes" not in orjson.loads(box.run("market_details", {}).content)
