"""One protocol for all venues: Polymarket fits unchanged, listings go on, faults change nothing, a new source is small."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import orjson
import pytest
from venue_case import ALL_TIME, AT_ONCE, NOW, listed, standin

from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.http import FetchError, HttpClient
from coordeval.market_data.polymarket import Endpoints
from coordeval.market_data.standin import Faults, GeneratedMarkets, polymarket_app
from coordeval.market_data.types import Market, Outcome
from coordeval.market_data.venues import Completeness, Listed, Page, Polymarket, Prices, Query, Venue, connect, load
from coordeval.market_data.venues.standin import TOKEN, venues_app
from coordeval.market_data.venues.standin_world import GeneratedVenues
from coordeval.market_data.venues.walk import next_page

OTHERS = ["kalshi", "manifold", "metaculus"]


def opened(name, faults=None):
    """(client, venue) of any of the four, at a stand-in."""
    if name != "polymarket":
        return standin(name, GeneratedVenues(markets=60, page_limit=17), faults)
    client = HttpClient(transport=httpx.ASGITransport(polymarket_app(GeneratedMarkets(120, 1), faults)), patience=AT_ONCE)
    return client, Polymarket(client, Endpoints.at("http://here"), clock=lambda: NOW)


@pytest.mark.parametrize("name", sorted(load().classes))
async def test_each_venue_lists_and_prices_through_the_same_members(name):
    client, venue = opened(name)
    held: Venue[Any, Any] = venue
    async with client:
        rows, statement = [], None
        async for page in held.pages(ALL_TIME):
            rows += page.listed
            assert all(row.reason and row.item for row in page.refused)
            statement = page.so_far
        assert statement.ended
        assert statement.rows == statement.kept + sum(statement.passed_over.values()) + sum(statement.refused.values())
        assert len(rows) == statement.kept > 50
        assert held.restored(orjson.loads(orjson.dumps(statement.as_json()))) == statement
        assert len({row.market.id for row in rows}) == len(rows)
        assert all(row.market.source == name == held.name and not row.market.simulated for row in rows)
        assert all(row.outcome.market_id == row.market.id for row in rows)
        assert all(isinstance(orjson.loads(row.evidence), dict) for row in rows)
        row = next(row for row in rows if row.outcome.status == "resolved")
        as_of = row.market.opened_at + timedelta(hours=40)
        prices = await held.prices(row, as_of)
    assert (prices.market_id, prices.as_of) == (row.market.id, as_of)
    assert all(point.knowable_at <= as_of and point.market_id == row.market.id for point in prices.points)
    assert [point.knowable_at for point in prices.points] == sorted(point.knowable_at for point in prices.points)


@pytest.mark.parametrize("name", OTHERS)
async def test_nothing_that_a_prompt_shows_tells_when_a_market_ended(name):
    """The resolution time, and a closing time that follows it, stand in the facts; the market holds neither."""
    client, venue = opened(name)
    rows, _, _ = await listed(client, venue)
    for row in rows:
        shown = {value for value in row.market.known_at_opening().values() if value is not None}
        assert row.outcome.resolved_at not in shown
        assert row.facts.closed_at not in shown


@pytest.mark.parametrize("name", OTHERS)
async def test_a_listing_that_was_stopped_goes_on_with_the_same_totals(name):
    whole, _, end = await listed(*opened(name))
    for stop in (1, 2, 3):
        client, venue = opened(name)
        rows, so_far = [], None
        async with client:
            async for page in venue.pages(ALL_TIME):
                rows += page.listed
                so_far = venue.restored(orjson.loads(orjson.dumps(page.so_far.as_json())))
                if so_far.pages == stop:
                    break
        assert not so_far.ended
        assert "not read to its end" in so_far.gaps[0]
        rest, _, last = await listed(*opened(name), resume=so_far)
        assert [row.market.id for row in (*rows, *rest)] == [row.market.id for row in whole]
        assert last == end


@pytest.mark.parametrize("name", OTHERS)
async def test_faults_change_nothing(name):
    whole, _, end = await listed(*opened(name))
    kinds = ("429", "429 with Retry-After", "500", "error with 200", "html with 200", "cut body")
    faults = Faults(0.06, 7, kinds)
    client, venue = opened(name, faults)
    client.patience = replace(AT_ONCE, attempts=12)
    rows, _, last = await listed(client, venue)
    assert rows == whole
    assert last == end
    assert faults.injected
    assert sum(client.failed.values()) == sum(faults.injected.values())


@pytest.mark.parametrize("name", OTHERS)
async def test_a_dead_endpoint_ends_the_listing_with_an_error(name):
    client, venue = opened(name, Faults(1.0, 1, ("500",)))
    with pytest.raises(FetchError, match=f"http://here/{name}"):
        await listed(client, venue)


@pytest.mark.parametrize("name", OTHERS)
async def test_a_window_without_markets_is_an_empty_list_that_ended(name):
    client, venue = opened(name)
    rows, _, so_far = await listed(client, venue, Query(after=ALL_TIME.after, before=ALL_TIME.after + timedelta(days=1)))
    assert rows == []
    assert so_far.ended


@pytest.mark.parametrize("name", OTHERS)
def test_what_was_not_checked_against_a_recording_says_so(name):
    _, venue = opened(name)
    assert "documentation only" in venue.checked_against
    assert "Not verified against a" in __import__(type(venue).__module__, fromlist=["x"]).__doc__


# --- opening by name


@pytest.mark.parametrize("name", OTHERS)
async def test_a_venue_is_opened_by_its_name_at_a_base_url(name, monkeypatch):
    monkeypatch.setenv("METACULUS_TOKEN", TOKEN)
    transport = httpx.ASGITransport(venues_app(GeneratedVenues(markets=9)))
    client, venue = connect(name, base_url=f"http://here/{name}", patience=AT_ONCE, transport=transport)
    rows, _, _ = await listed(client, venue)
    assert len(rows) >= 8


def test_an_unknown_venue_names_all_that_exist():
    with pytest.raises(
        CoordevalError, match="unknown source 'intrade': it must be one of kalshi, manifold, metaculus, polymarket"
    ):
        connect("intrade")


def test_metaculus_cannot_be_opened_without_a_token(monkeypatch):
    monkeypatch.delenv("METACULUS_TOKEN", raising=False)
    with pytest.raises(CoordevalError, match="METACULUS_TOKEN"):
        connect("metaculus")


# --- a source of a user's own


class Club:
    """A new source is one small class: two markets on one page."""

    name = "club"
    checked_against = "itself"
    needs = "nothing"

    @classmethod
    def at(cls, client, base_url, aside):
        return cls()

    async def pages(self, query: Query, *, resume: Completeness | None = None) -> AsyncIterator[Page[None]]:
        so_far = resume or Completeness(venue=self.name, clock="ended", query=query, started_at=NOW)
        if not so_far.ended:
            rows = [{"id": "1", "won": True}, {"id": "2", "won": False}]
            yield next_page(so_far, rows, self.parse, id_field="id", aside=None, ended="last page")

    @staticmethod
    def parse(row) -> Listed[None]:
        outcome = Outcome(market_id=row["id"], status="resolved", value=int(row["won"]), resolved_at=ALL_TIME.after)
        market = Market(id=row["id"], source="club", event_id=row["id"], simulated=False, question="Will it?")
        return Listed(market=market, outcome=outcome, facts=None, evidence="{}", volume=None)

    def restored(self, plain) -> Completeness:
        return Completeness.from_json(plain)

    async def prices(self, row, as_of, *, since=None) -> Prices:
        return Prices(market_id=row.market.id, source="club", as_of=as_of, points=())


async def test_a_user_writes_a_source_of_his_own():
    venue: Venue[Any, Any] = Club()
    pages = [page async for page in venue.pages(ALL_TIME)]
    assert [row.outcome.value for row in pages[0].listed] == [1, 0]
    assert pages[0].so_far.statuses == {"resolved": 2}
