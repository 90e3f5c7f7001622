"""Every parser of every venue against values that no venue should send: a refusal by name, never a traceback."""

import json
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from venue_case import ALL_TIME, NOW, kalshi_row, manifold_row, metaculus_row

from coordeval.market_data.bodies import json_value, storable
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.polymarket import Listed, parse_market, parse_markets
from coordeval.market_data.polymarket.prices import clob_points, data_points
from coordeval.market_data.polymarket.resolution import parse_clob_market, parse_payouts
from coordeval.market_data.polymarket.trades import _batch
from coordeval.market_data.types import Market, PricePoint
from coordeval.market_data.venues import Completeness, next_page
from coordeval.market_data.venues.kalshi import parse_kalshi
from coordeval.market_data.venues.kalshi_prices import candle_points
from coordeval.market_data.venues.manifold import parse_manifold
from coordeval.market_data.venues.manifold_prices import _page
from coordeval.market_data.venues.metaculus import history_points, parse_question, questions_of


def gamma_row(**changes):
    """A resolved Yes/No market (YES won) as Gamma serves it; None removes a key."""
    row = {
        "id": "768239",
        "question": "Will it?",
        "conditionId": "0x" + "ab" * 32,
        "slug": "will-it",
        "endDate": "2025-12-13T15:00:00Z",
        "startDate": "2025-11-30T05:12:07.930351Z",
        "description": "Rules.",
        "outcomes": '["Yes", "No"]',
        "outcomePrices": '["1", "0"]',
        "closed": True,
        "createdAt": "2025-11-30T05:00:15.304864Z",
        "closedTime": "2025-12-13 20:25:39+00",
        "umaEndDate": "2025-12-13T20:25:39Z",
        "umaResolutionStatus": "resolved",
        "clobTokenIds": f'["{"1" * 77}", "{"2" * 77}"]',
        "volume": "867952.276262",
        "volumeNum": 867952.276262,
    }
    row |= changes
    return {name: value for name, value in row.items() if value is not None}


EVER = replace(ALL_TIME, after=datetime(2010, 1, 1, tzinfo=UTC))
DEEP = json.loads("[" * 400 + "]" * 400)
ODD = {
    "half an emoji": "Will it? \ud83d",
    "a null character": "Will\0it?",
    "nothing": None,
    "true": True,
    "a negative number": -1,
    "a huge number": 10**400,
    "a number beyond floats": float("inf"),
    "no number": float("nan"),
    "text": "\u00b2",
    "a year before all years": "0001-01-01T00:00:00+14:00",
    "a decimal without end": "1e999999",
    "a huge text": "x" * 600_000,
    "an empty list": [],
    "an empty object": {},
    "a deep list": DEEP,
    "a list of nothing": [None],
    "a list of lists": [[], {}],
}
T = int(NOW.timestamp())
MARKET = Market(id="m", source="x", event_id="e", simulated=False, question="?", opened_at=NOW - timedelta(days=9))
QUESTION = parse_question(metaculus_row())
LISTED = parse_market(gamma_row())
POST = {"id": 1, "question": {**metaculus_row(), "aggregations": {"recency_weighted": {"history": [
    {"start_time": 1e9, "end_time": 1e9, "centers": [0.4]}]}}}}  # fmt: skip
BET = {"id": "b", "contractId": "m", "createdTime": T * 1000 - 9, "probAfter": 0.4, "fills": [{"timestamp": T * 1000 - 9}]}
CANDLE = {"end_period_ts": T - 9, "yes_bid": {"close": 40}, "yes_ask": {"close": 42}, "price": {"close": 41}}
TRADE = {"condition_id": LISTED.market.id, "token_id": "1" * 77, "outcome_index": 0, "price": 0.4, "size": 2, "timestamp": T}
PAYOUT = {"condition_id": "c", "status": "resolved", "payouts": [1000000, 0], "price": "1", "resolved_at": T}
TOKEN = {"token_id": "1", "winner": True, "price": 1}
PARSERS = {
    "kalshi market": (kalshi_row(), parse_kalshi),
    "manifold market": (manifold_row(closeTime=1653893940000, volume=2), parse_manifold),
    "metaculus question": (metaculus_row(), parse_question),
    "metaculus post": (POST, lambda post: [parse_question(row) for row in questions_of(post)]),
    "metaculus history": (POST, lambda post: history_points(post, facts=QUESTION.facts, as_of=NOW)),
    "polymarket market": (gamma_row(events=[{"id": "1", "negRiskMarketID": "2"}], tags=[{"label": "AI"}]), parse_market),
    "polymarket trades": (
        {"data": [TRADE], "pagination": {"next_cursor": "c"}},
        lambda payload: _batch(payload, listed=LISTED, cursor=None),
    ),
    "clob history": (
        {"history": [{"t": T, "p": 0.4}]},
        lambda payload: clob_points(payload, market_id="m", start=NOW - timedelta(days=1), end=NOW),
    ),
    "data history": (
        {"data": [{"timestamp": T - 99, "price": 0.4, "resolution_seconds": 60}]},
        lambda payload: data_points(payload, market_id="m", as_of=NOW),
    ),
    "payouts": (PAYOUT, parse_payouts),
    "clob market": (
        {"condition_id": "c", "closed": True, "is_50_50_outcome": False, "tokens": [TOKEN, TOKEN | {"token_id": "2"}]},
        parse_clob_market,
    ),
    "kalshi candles": (
        {"ticker": "m", "candlesticks": [CANDLE]},
        lambda payload: candle_points(payload, market_id="m", start=NOW - timedelta(days=1), end=NOW),
    ),
    "manifold bets": ([BET], lambda rows: _page(rows, market=MARKET, as_of=NOW, seen=frozenset())),
}


def places(value, path=()):
    """Every place of a payload, the payload itself first."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*path, key))


def mutated(payload, path, value):
    if not path:
        return value
    copy = deepcopy(payload)
    at = copy
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return copy


@pytest.mark.parametrize("parser", PARSERS)
def test_no_value_in_any_place_ends_in_anything_but_an_answer_or_a_named_refusal(parser, record_property):
    payload, parse = PARSERS[parser]
    tried = 0
    for path in places(payload):
        for name, value in ODD.items():
            if not path and parser.endswith((" market", "question", "post")) and not isinstance(value, dict):
                continue  # a row that is no object never reaches its parser
            tried += 1
            try:
                parse(mutated(payload, path, value))
            except CoordevalError as refused:
                str(refused).encode()
            except Exception as error:
                pytest.fail(f"{parser}, {name} at {path}: {type(error).__name__}: {error}")
    record_property("tried", tried)


ROWS = {
    "kalshi": (kalshi_row, parse_kalshi, "ticker"),
    "manifold": (manifold_row, parse_manifold, "id"),
    "metaculus": (metaculus_row, parse_question, "id"),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("venue", ROWS)
def test_one_bad_row_of_a_page_is_refused_and_its_neighbours_stay(venue, name, tmp_path, record_property):
    row, parse, id_field = ROWS[venue]
    rows = [
        row(**{id_field: 1 if venue == "metaculus" else "one"}),
        row(),
        row(**{id_field: 3 if venue == "metaculus" else "three"}),
    ]
    record_property("tried", len(rows[1]))
    for field in rows[1]:
        changed = deepcopy(rows)
        changed[1][field] = ODD[name]
        so_far = Completeness(venue=venue, clock="time", query=EVER, started_at=NOW)
        page = next_page(so_far, changed, parse, id_field=id_field, aside=tmp_path)
        assert {r.market.id for r in page.listed} >= {str(rows[0][id_field]), str(rows[2][id_field])}
        assert page.so_far.rows == 3 == page.so_far.kept + sum(page.so_far.passed_over.values()) + len(page.refused)
        storable(page.so_far.as_json()).decode()


@pytest.mark.parametrize("name", ODD)
def test_one_bad_row_of_polymarket_is_refused_and_its_neighbours_stay(name, tmp_path, record_property):
    record_property("tried", len(gamma_row()))
    for field in gamma_row():
        rows = [gamma_row(id="1"), gamma_row(**{field: ODD[name]}), gamma_row(id="3")]
        read = parse_markets(rows, tmp_path)
        assert len(read) == 3
        assert isinstance(read[0], Listed)
        assert isinstance(read[2], Listed)


@pytest.mark.parametrize(
    "end", [b'"Will B? \\ud83d"', b'"Will B? \xff"', b'"Will\x01B?"', b"NaN", b"1" * 5000, b"[" * 3000 + b"]" * 3000]
)
def test_what_one_row_holds_never_costs_the_page(end):
    good = {"id": "a", **{k: v for k, v in manifold_row().items() if k != "id"}}
    body = (
        b"["
        + json.dumps(good).encode()
        + b', {"id": "b", "question": '
        + end
        + b"}, "
        + json.dumps(good | {"id": "c"}).encode()
        + b"]"
    )
    so_far = Completeness(venue="manifold", clock="time", query=EVER, started_at=datetime(2026, 1, 1, tzinfo=UTC))
    page = next_page(so_far, json_value(body), parse_manifold, id_field="id", aside=None)
    assert [row.market.id for row in page.listed] == ["a", "c"]
    assert [refused.item for refused in page.refused] == ["Manifold market b"]


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([odd for name, odd in ODD.items() if name != "a huge text"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(parser=st.sampled_from(list(PARSERS)), changes=st.lists(st.tuples(st.floats(0, 1), VALUES), min_size=2, max_size=4))
def test_no_payload_with_several_odd_places_ends_in_anything_but_an_answer_or_a_named_refusal(parser, changes):
    payload, parse = PARSERS[parser]
    for where, value in changes:
        there = [path for path in places(payload) if path]
        if there:
            payload = mutated(payload, there[int(where * (len(there) - 1))], value)
    try:
        made = parse(payload)
    except CoordevalError as refused:
        str(refused).encode("utf-8", "backslashreplace")
        return
    for point in [one for one in (made if isinstance(made, list | tuple) else ()) if isinstance(one, PricePoint)]:
        assert 0 <= point.price <= 1
        assert point.knowable_at.tzinfo is not None
        assert point.knowable_at <= NOW
    market = getattr(made, "market", None)
    if market is not None:
        assert market.id
        assert market.question
