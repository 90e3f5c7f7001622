"""Open markets of the real venues' stand-ins: every one is listed once, and one whose answer is known is passed over."""

from datetime import UTC, datetime, timedelta

import httpx
import numpy as np
import orjson
import pytest

from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.http import Patience
from coordeval.market_data.opening import Deadlines, VenueOpen
from coordeval.market_data.standin.app import polymarket_app
from coordeval.market_data.standin.world import KINDS, GeneratedMarkets
from coordeval.market_data.venues import connect
from coordeval.market_data.venues.standin import venues_app
from coordeval.market_data.venues.standin_world import GeneratedVenues

NOW = datetime(2026, 2, 1, tzinfo=UTC)
WANTED = Deadlines(after=NOW, before=NOW + timedelta(days=365))
BASES = {"polymarket": "http://stand.in", "kalshi": "http://stand.in/kalshi", "manifold": "http://stand.in/manifold"}
ONCE = Patience(attempts=2, wait_initial=0.0, wait_max=0.0, wait_jitter=0.0)


def app_of(name, world):
    return polymarket_app(world) if name == "polymarket" else venues_app(world)


def opened(name, world, app=None):
    transport = httpx.ASGITransport(app or app_of(name, world))
    client, venue = connect(name, base_url=BASES[name], transport=transport, patience=ONCE)
    return client, VenueOpen(venue, made_up=True)


async def listing(name, world, app=None):
    client, source = opened(name, world, app)
    async with client:
        return await source.listed(WANTED, NOW)


def polymarkets(count=1500):
    world = GeneratedMarkets(count, seed=3)
    return world, [i for i in range(count) if list(KINDS)[world._kind[i]] == "open"]


async def test_polymarkets_open_rows_are_listed_once_over_all_pages():
    world, open_rows = polymarkets(12_000)
    found = await listing("polymarket", world)
    assert {market.market.id for market in found.markets} == {world.truth(i).condition_id for i in open_rows}
    assert len(open_rows) > 200  # more than two pages
    assert all(market.market.simulated and market.closes_at and not market.facts.closed for market in found.markets)


@pytest.mark.parametrize("status", ["proposed", "disputed"])
async def test_a_market_that_trades_while_its_resolution_is_proposed_is_passed_over(status):
    world, open_rows = polymarkets()
    whole = world.row
    first = open_rows[0]
    world.row = lambda i: whole(i) | ({"umaResolutionStatus": status} if i == first else {})
    found = await listing("polymarket", world)
    assert found.passed_over == {f"listed as open, but its outcome is {status}": 1}
    assert len(found.markets) == len(open_rows) - 1


@pytest.mark.parametrize("name", ["kalshi", "manifold"])
async def test_every_open_market_of_a_venue_is_listed_once_over_all_pages(name):
    world = GeneratedVenues(markets=900, page_limit=37, now=NOW)
    found = await listing(name, world)
    still = [i for i in range(900) if world.there(i) and world.still_open(i)]
    ids = {
        "kalshi": lambda i: world.kalshi_row(i)["ticker"],
        "manifold": lambda i: world.manifold_row(i)["id"],
    }[name]
    combined = [i for i in still if i % 24 == 8] if name == "kalshi" else []
    assert {market.market.id for market in found.markets} == {ids(i) for i in still} - {ids(i) for i in combined}
    assert all(market.closes_at is not None and market.closes_at > NOW for market in found.markets)


@pytest.mark.parametrize("name", ["polymarket", "kalshi", "manifold"])
async def test_prices_of_an_open_market_end_at_the_moment_of_asking_and_its_ending_is_that_it_trades(name):
    world = polymarkets()[0] if name == "polymarket" else GeneratedVenues(markets=900, now=NOW)
    client, source = opened(name, world)
    async with client:
        markets = (await source.listed(WANTED, NOW)).markets
        trading = set()  # the generated Polymarket has open rows without a history
        if name == "polymarket":
            trading = {world.truth(int(i)).condition_id for i in np.flatnonzero(world._closing > NOW.timestamp())}
        recent = [one for one in markets if NOW - one.market.opened_at > timedelta(days=2)]
        market = next(
            one
            for one in recent
            if one.market.id in trading or (not trading and NOW - one.market.opened_at < timedelta(days=9))
        )
        known = await source.known(market, NOW, timedelta(days=10))
        assert known.prices
        assert all(NOW - timedelta(days=10) <= point.knowable_at <= NOW for point in known.prices)
        facts = orjson.loads(orjson.dumps(market.facts, default=str))
        [ending] = (await source.endings({market.market.id: facts}, NOW)).values()
        assert (ending.outcome.status, ending.gone) == ("unresolved", False)


@pytest.mark.parametrize("name", ["polymarket", "kalshi"])
async def test_a_page_that_comes_again_is_an_error_and_no_end(name):
    world = polymarkets(12_000)[0] if name == "polymarket" else GeneratedVenues(markets=900, page_limit=37, now=NOW)
    app = app_of(name, world)

    async def forgetful(scope, receive, send):
        """Looks at no cursor."""
        if scope["type"] == "http":
            kept = [one for one in scope["query_string"].split(b"&") if b"cursor" not in one]
            scope = scope | {"query_string": b"&".join(kept)}
        await app(scope, receive, send)

    with pytest.raises(CoordevalError, match=r"second time|does not advance"):
        await listing(name, world, forgetful)


async def test_a_page_of_rows_that_cannot_be_read_is_a_changed_schema():
    world, _ = polymarkets()
    whole = world.row
    world.row = lambda i: {name: value for name, value in whole(i).items() if name != "outcomes"}
    world.closed = np.zeros(len(world), dtype=bool)
    with pytest.raises(CoordevalError, match="can be read"):
        await listing("polymarket", world)
