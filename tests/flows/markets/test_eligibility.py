"""What a sample may draw from: every reason for leaving a market out, and the very price that a study's view shows."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordeval.flows.markets.listing import TOO_EARLY, TWO_WINNERS, audit, eligible, listed
from coordeval.flows.study.as_of import HoursBeforeClose, rule_of
from coordeval.ledger import Ledger, read, row_of
from coordeval.ledger.information import stored_markets
from coordeval.market_data.gate import MarketView
from coordeval.market_data.price_at import price_at
from coordeval.market_data.sampling import NO_PRICE
from coordeval.market_data.types import Market, Outcome, PricePoint

OPENED, CLOSE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
AS_OF = CLOSE - DAY
RULE = HoursBeforeClose(hours_before_close=24)


def stored(path, markets):
    """A ledger of `markets`: id -> changes of a market that is eligible."""
    rows = {"markets": [], "outcomes": [], "venue_facts": [], "prices": []}
    for market_id, changes in markets.items():
        fact = {"opened_at": OPENED, "scheduled_close": CLOSE, **changes.get("market", {})}
        market = Market(
            id=market_id, source="polymarket", event_id=f"e-{market_id}", simulated=False, question="Will it?", **fact
        )
        resolved = {"status": "resolved", "value": 1, "resolved_at": CLOSE, **changes.get("outcome", {})}
        rows["markets"].append(row_of(market))
        if "no outcome" not in changes:
            rows["outcomes"].append(row_of(Outcome(market_id=market_id, **resolved)) | {"recorded_at": CLOSE})
        venue = {"market_id": market_id, "venue": "polymarket", "volume": 1.0, "closed_at": CLOSE, "seen_at": CLOSE}
        rows["venue_facts"].append(
            venue | {"facts": orjson.dumps(changes.get("facts", {})).decode()} | changes.get("venue", {})
        )
        for at, price, kind in changes.get("prices", [(AS_OF - timedelta(hours=1), 0.4, "mid")]):
            rows["prices"].append(row_of(PricePoint(market_id=market_id, knowable_at=at, price=price, kind=kind)))
    with Ledger.open(path, purpose="test") as ledger:
        ledger.write_all(rows)
    return read(path)


def found(reader, rule=RULE, hours=24.0):
    frame = eligible(reader, listed(reader), rule, max_price_age_hours=hours)
    return {row["market_id"]: row for row in frame.to_dicts()}


REASONS = {
    # why: (changes, the reason)
    "nothing wrong": ({}, ""),
    "a 50-50": ({"outcome": {"status": "fifty_fifty", "value": None, "reason": "tie"}}, "outcome fifty_fifty"),
    "no outcome": ({"no outcome": True}, "no outcome"),
    "no deadline": ({"market": {"scheduled_close": None}}, "no scheduled close"),
    "opened late": ({"market": {"opened_at": CLOSE - timedelta(hours=2)}}, "as-of would be before it opened"),
    "closed early": ({"venue": {"closed_at": AS_OF}}, "it had closed before its as-of time"),
    "resolved early": ({"outcome": {"resolved_at": AS_OF}}, "it had closed before its as-of time"),
    "a game that began": ({"facts": {"starts_at": AS_OF.isoformat()}}, "its game had begun before its as-of time"),
    "a game to come": ({"facts": {"starts_at": (AS_OF + DAY).isoformat()}}, ""),
    "no price": ({"prices": []}, NO_PRICE),
    "an undated price": ({"prices": [(None, 0.4, "mid")]}, NO_PRICE),
    "prices from too late on": ({"prices": [(AS_OF + timedelta(seconds=1), 0.4, "mid")]}, TOO_EARLY),
    "an old price": ({"prices": [(AS_OF - 2 * DAY, 0.4, "mid")]}, "its last price was older than 24 h"),
    "a price of the very moment": ({"prices": [(AS_OF, 0.4, "mid")]}, ""),
    "a price of the very limit": ({"prices": [(AS_OF - DAY, 0.4, "mid")]}, ""),
}


def test_each_market_that_is_left_out_has_its_reason(tmp_path):
    reader = stored(tmp_path / "l.duckdb", {why: changes for why, (changes, _) in REASONS.items()})
    rows = found(reader)
    assert {why: row["reason"] for why, row in rows.items()} == {why: reason for why, (_, reason) in REASONS.items()}
    assert all((row["price"] is None) == bool(row["reason"]) for row in rows.values())


def test_two_winners_of_a_negative_risk_group_contradict_each_other(tmp_path):
    group, won, lost = {"facts": {"neg_risk_id": "g"}}, {}, {"outcome": {"value": 0}}
    alone = {"facts": {"neg_risk_id": "h"}}
    reader = stored(tmp_path / "l.duckdb", {"a": group | won, "b": group | won, "c": group | lost, "d": alone, "e": {}})
    assert {id: row["reason"] for id, row in found(reader).items() if row["reason"]} == {"a": TWO_WINNERS, "b": TWO_WINNERS}
    assert audit(reader).two_winners["market_id"].to_list() == ["a", "b"]


points = st.lists(
    st.tuples(
        st.integers(-4, 2).map(lambda hours: AS_OF + timedelta(hours=hours)),
        st.sampled_from([0.2, 0.4, 0.6]),
        st.sampled_from(["mid", "last_trade", "trade_vwap", "unstated", "simulated"]),
    ),
    max_size=8,
)


@given(st.lists(points, min_size=1, max_size=24), st.sampled_from([1.0, 3.0, 24.0]))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_sample_the_view_and_the_function_take_the_same_price(tmp_path_factory, histories, hours):
    reader = stored(
        tmp_path_factory.mktemp("l") / "l.duckdb", {f"m{i}": {"prices": history} for i, history in enumerate(histories)}
    )
    rows, limit = found(reader, hours=hours), timedelta(hours=hours)
    for market in stored_markets(reader, list(rows)):
        taken = price_at(market.prices, AS_OF, limit)
        view = MarketView(market.market, AS_OF, market.prices, (), max_price_age=limit)
        assert rows[market.market.id]["price"] == taken.value
        assert (view.price.price if view.price else None) == taken.value
        if view.price:
            assert view.price.kind == taken.kind


@pytest.mark.parametrize("rule", ["hours_before_resolution=24", "fraction_of_life=0.5", "2026-02-01"])
def test_every_rule_of_a_study_can_be_sampled_by(tmp_path, rule):
    reader = stored(tmp_path / "l.duckdb", {"m": {"prices": [(OPENED + n * DAY, 0.4, "mid") for n in range(59)]}})
    row = found(reader, rule_of(rule))["m"]
    assert (row["reason"], row["price"]) == ("", 0.4)
