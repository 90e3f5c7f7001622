"""The prices and payouts that a pull brings: asked once, kept at their own moments, refusals and all."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import httpx
import orjson
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from coordeval.flows.markets.listing import audit
from coordeval.flows.markets.pulling import AT_ONCE, missing, thinned
from coordeval.ledger import Ledger, read
from coordeval.market_data.http import FetchError
from coordeval.market_data.standin import polymarket_app
from coordeval.market_data.types import PricePoint
from coordeval.market_data.venues import Query
from tests.flows.pulling_world import (
    AFTER,
    BEFORE,
    OPEN_END,
    TABLES,
    TWO_HOURS,
    World,
    count,
    pulled,
    same_rows,
    stored,
    told,
)


class Paying(World):
    """Markets whose payouts the Data API states otherwise than Gamma's prices, or not at all."""

    def __init__(self, wrong=(), silent=()):
        super().__init__()
        self.wrong, self.silent = set(wrong), set(silent)

    def app(self):
        inner = polymarket_app(self)

        async def payouts(request):
            data = []
            for condition in request.query_params["condition"].split(","):
                index = self.find("conditionId", condition)
                shares = [int(float(price) * 1_000_000) for price in orjson.loads(self.row(index)["outcomePrices"])]
                shares = shares[::-1] if index in self.wrong else shares
                if index not in self.silent:
                    data.append({"condition_id": condition, "status": "resolved", "payouts": shares})
            return Response(orjson.dumps({"data": data}), media_type="application/json")

        return Starlette(routes=[Route("/data/v2/resolutions", payouts), *inner.routes])


def test_a_market_whose_payouts_disagree_is_contradictory_and_one_without_any_is_counted(paths):
    plain = World()
    wrong, silent, *_ = (i for i in plain.within() if plain.truth(i).value is not None)
    world = Paying([wrong], [silent])
    statement, _ = pulled(paths[0], app=world.app())
    outcomes = {row["market_id"]: row for row in stored(paths[0], "outcomes").to_dicts()}
    contradictory = outcomes[plain.truth(wrong).condition_id]
    assert (contradictory["status"], contradictory["value"]) == ("contradictory", None)
    assert "the Data API pays" in contradictory["reason"]
    alone = outcomes[plain.truth(silent).condition_id]
    assert (alone["status"], alone["value"]) == ("resolved", plain.truth(silent).value)
    assert "payouts" not in orjson.loads(alone["evidence"])
    resolved = [row for row in outcomes.values() if row["status"] == "resolved" and row is not alone]
    assert all(sorted(orjson.loads(row["evidence"])["payouts"]) == [0, 1_000_000] for row in resolved)
    assert audit(read(paths[0])).unpaid == 1
    assert statement.statuses == dict(Counter(row["status"] for row in outcomes.values()))


@pytest.mark.parametrize(("status", "fatal"), [(404, False), (400, False), (500, True), (429, True)])
def test_payouts_that_are_refused_for_good_are_a_refused_row_and_an_outage_stops_the_pull(paths, status, fatal):
    async def refusing(request):
        return Response(b"no", status)

    app = Starlette(routes=[Route("/data/v2/resolutions", refusing), *polymarket_app(World()).routes])
    ended, asked = pulled(paths[0], app=app)
    if fatal:
        assert isinstance(ended, FetchError)
        return
    assert ended.ended
    assert len([url for url in asked if "resolutions" in url]) == 1, "it is not asked for each page anew"
    [refused] = stored(paths[0], "refused_rows").to_dicts()
    assert refused["reason"] == "payouts refused"
    assert str(status) in refused["detail"]
    resolved = read(paths[0]).query("SELECT count(*) FROM outcomes WHERE status = 'resolved'").item()
    assert audit(read(paths[0])).unpaid == resolved > 0


def test_prices_are_fetched_once_and_a_market_without_any_is_remembered_with_the_reason(paths):
    world = World(300)
    pulled(paths[0], world, days=TWO_HOURS)
    fetches = stored(paths[0], "price_fetches")
    kept = {world.truth(i).condition_id: world.truth(i) for i in world.within()}
    assert set(fetches["market_id"]) == kept.keys()
    reasons = dict(fetches.select("market_id", "reason").iter_rows())
    assert {m for m, truth in kept.items() if truth.kind == "teams"} == {m for m, reason in reasons.items() if reason}
    assert all("no YES token" in reason for reason in reasons.values() if reason)
    late = read(paths[0]).query(
        "SELECT count(*) FROM prices p JOIN venue_facts v USING (market_id) WHERE knowable_at > closed_at"
    )
    assert late.item() == 0
    wider = Query(after=AFTER, before=BEFORE + timedelta(seconds=1))
    _, asked = pulled(paths[0], world, wider, days=TWO_HOURS)
    assert asked
    assert not [url for url in asked if "prices-history" in url]


def test_an_empty_history_is_remembered(paths):
    class Silent(World):
        def history(self, token, start, end, fidelity):
            return []

    pulled(paths[0], Silent(200), days=TWO_HOURS)
    fetches = stored(paths[0], "price_fetches")
    assert fetches.height > 10
    assert fetches["points"].sum() == 0
    assert set(fetches["reason"]) <= {"the history is empty", "it has no YES token (outcomes Rovers / United)"}
    _, asked = pulled(paths[0], Silent(200), Query(after=AFTER, before=BEFORE + timedelta(seconds=1)), days=TWO_HOURS)
    assert not [url for url in asked if "prices-history" in url]


@pytest.mark.proof
def test_a_listing_that_was_read_without_prices_gets_them_when_they_are_asked_for(paths):
    pulled(paths[0], World(200))
    assert count(paths[0], "prices") == 0
    pulled(paths[0], World(200), days=TWO_HOURS)
    assert count(paths[0], "prices") > 0
    assert count(paths[0], "market_edits") == 0
    pulled(paths[1], World(200), days=TWO_HOURS)
    same_rows(*paths)


HOUR = timedelta(hours=1)
SPANS = [
    # (fetched, missing of [0, 10], why) in hours
    ([], [(0, 10)], "nothing was fetched"),
    ([(0, 10)], [], "all of it"),
    ([(-5, 20)], [], "more than all of it"),
    ([(6, 10)], [(0, 6)], "more days are asked for"),
    ([(0, 6)], [(6, 10)], "it closed later than was known"),
    ([(7, 9), (2, 4)], [(0, 2), (4, 7), (9, 10)], "gaps between, in no order"),
    ([(2, 8), (3, 4)], [(0, 2), (8, 10)], "one within another"),
    ([(10, 12), (-3, 0)], [(0, 10)], "spans that only touch it"),
    ([(11, 12), (-3, -1)], [(0, 10)], "spans outside"),
]


@pytest.mark.parametrize(("fetched", "expected"), [row[:2] for row in SPANS], ids=[row[2] for row in SPANS])
def test_what_is_missing_of_a_span(fetched, expected):
    def at(spans):
        return [(AFTER + begun * HOUR, AFTER + ended * HOUR) for begun, ended in spans]

    assert missing(*at([(0, 10)])[0], at(fetched)) == at(expected)


def asked_prices(asked):
    return [httpx.URL(url).params for url in asked if "prices-history" in url]


@pytest.mark.proof
def test_more_days_of_prices_are_fetched_without_those_that_are_there(paths):
    world = World(150)
    pulled(paths[0], world, days=TWO_HOURS)
    closings = dict(stored(paths[0], "venue_facts").select("market_id", "closed_at").iter_rows())
    _, asked = pulled(paths[0], world, days=2 * TWO_HOURS)
    tokens = {truth.yes_token: truth.condition_id for truth in map(world.truth, range(150))}
    prices = asked_prices(asked)
    assert len(prices) > 10
    for params in prices:
        assert int(params["endTs"]) == (closings[tokens[params["market"]]] - 2 * HOUR).timestamp()
        assert int(params["endTs"]) - int(params["startTs"]) == HOUR.total_seconds() * 2
    pulled(paths[1], world, days=2 * TWO_HOURS)
    same_rows(*paths, tables=TABLES.keys() - {"price_fetches"})
    _, asked = pulled(paths[0], world, days=TWO_HOURS / 2)
    assert asked
    assert not asked_prices(asked), "fewer days are there already"


def test_a_pull_that_stops_among_the_prices_of_a_page_keeps_them_and_lists_no_market_without_its_prices(paths):
    world = World(100)
    whole, requests = pulled(paths[0], world, days=TWO_HOURS)
    prices = len(asked_prices(requests))
    assert prices > AT_ONCE + 2, "prices come last: so far into them is within the second group"
    cut_after = len(requests) - prices + AT_ONCE + 2
    stopped, before = pulled(paths[1], world, days=TWO_HOURS, cut_after=cut_after)
    assert isinstance(stopped, FetchError)
    kept = count(paths[1], "price_fetches")
    assert AT_ONCE <= kept < whole.kept
    assert count(paths[1], "markets") == count(paths[1], "pulls") == 0
    resumed, after = pulled(paths[1], world, days=TWO_HOURS)
    assert told(resumed) == told(whole)
    same_rows(*paths)
    again = {params["market"] for params in asked_prices(before)} & {params["market"] for params in asked_prices(after)}
    assert len(again) < AT_ONCE, "at most the group in which it stopped"


def test_prices_of_a_page_are_never_held_together(paths, monkeypatch):
    written = []
    write_all = Ledger.write_all

    def spy(self, rows):
        held = {table: list(given) for table, given in rows.items()}
        written.append({row["market_id"] for row in held.get("prices", [])})
        return write_all(self, held)

    monkeypatch.setattr(Ledger, "write_all", spy)
    pulled(paths[0], World(100), Query(after=datetime(2023, 1, 1, tzinfo=UTC), before=OPEN_END), days=TWO_HOURS)
    assert max(map(len, written)) == AT_ONCE
    assert len(set().union(*written)) > 5 * AT_ONCE


def price(minute, value, kind="mid"):
    return PricePoint(market_id="m", knowable_at=AFTER + timedelta(minutes=minute), price=value, kind=kind)


@pytest.mark.parametrize(
    ("points", "every", "kept"),
    [
        pytest.param([price(0, 0.1), price(9, 0.2), price(10, 0.3)], 10, [0.2, 0.3], id="the last in each ten minutes"),
        pytest.param([price(0, 0.1), price(1, 0.2)], 0, [0.1, 0.2], id="all"),
        pytest.param([price(1, 0.1), price(1, 0.2, "last_trade")], 10, [0.2, 0.1], id="each kind on its own"),
        pytest.param([], 10, [], id="none"),
    ],
)
def test_thinned_prices_stay_at_their_own_moments(points, every, kept):
    found = thinned(points, timedelta(minutes=every))
    assert [point.price for point in found] == kept
    assert set(found) <= set(points), "no price is moved"


def test_what_was_thinned_is_counted_and_every_price_that_is_kept_was_served(paths):
    world = World(100)
    pulled(paths[0], world, days=TWO_HOURS)
    pulled(paths[1], world, days=TWO_HOURS, price_every=timedelta(minutes=10))
    served, kept = (set(stored(path, "prices").select("market_id", "knowable_at", "price").iter_rows()) for path in paths)
    assert kept < served
    assert len(kept) < len(served) / 5
    counts = [
        orjson.loads(row).get("not the last of its minutes", 0)
        for row in read(paths[1]).query("SELECT dropped FROM price_fetches")["dropped"]
    ]
    assert sum(counts) == len(served) - len(kept)


def test_prices_that_were_thinned_are_fetched_again_when_more_of_them_are_asked_for(paths):
    world = World(100)
    pulled(paths[0], world, days=TWO_HOURS, price_every=timedelta(minutes=10))
    _, asked = pulled(paths[0], world, days=TWO_HOURS)
    assert asked_prices(asked), "all of them were asked for, and one in ten minutes is there"
    pulled(paths[1], world, days=TWO_HOURS)
    same_rows(*paths, tables=["prices"])
    _, asked = pulled(paths[0], world, days=TWO_HOURS, price_every=timedelta(minutes=30))
    assert not asked_prices(asked), "more are there than are asked for"
