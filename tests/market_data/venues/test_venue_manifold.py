"""Manifold: milliseconds, resolutions, a list that pages by creation, and bets as last trades."""

from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from venue_case import ALL_TIME, NOW, answering, at, listed, manifold_row, standin

from coordeval.market_data.errors import DataError
from coordeval.market_data.http import FetchError
from coordeval.market_data.polymarket.completeness import Query
from coordeval.market_data.polymarket.fields import SchemaChange
from coordeval.market_data.venues.manifold import parse_manifold
from coordeval.market_data.venues.standin_world import START, GeneratedVenues


@pytest.mark.parametrize(
    ("changes", "status", "value", "why"),
    [
        pytest.param({}, "resolved", 1, "", id="YES; resolutionProbability 0.9 says nothing here"),
        pytest.param({"resolution": "NO", "probability": 0.97}, "resolved", 0, "", id="NO, at a price of 0.97"),
        pytest.param({"resolution": "CANCEL", "probability": 1.0}, "voided", None, "cancelled", id="CANCEL at a price of 1"),
        pytest.param({"resolution": "MKT", "resolutionProbability": 0.35}, "not_yes_no", None, "0.35", id="MKT"),
        pytest.param({"resolution": "MKT", "resolutionProbability": 0.5}, "fifty_fifty", None, "0.5", id="MKT at a half"),
        pytest.param({"resolution": "MKT", "resolutionProbability": 0.99}, "not_yes_no", None, "0.99", id="never rounded"),
        pytest.param(
            {"resolution": "MKT", "resolutionProbability": None},
            "not_yes_no",
            None,
            "None",
            id="MKT, probability not stated",
        ),
        pytest.param({"resolution": None, "probability": 1.0}, "unresolved", None, "no resolution", id="none: not guessed"),
        pytest.param({"resolution": "MAYBE"}, "contradictory", None, "'MAYBE'", id="an unknown resolution"),
        pytest.param({"isResolved": False}, "unresolved", None, "isResolved", id="not resolved"),
        pytest.param({"outcomeType": "PSEUDO_NUMERIC"}, "not_yes_no", None, "PSEUDO_NUMERIC", id="not binary"),
        pytest.param(
            {"resolutionTime": 1653850472000}, "contradictory", None, "before it was created", id="a clock backwards"
        ),
    ],
)
def test_resolutions(changes, status, value, why):
    outcome = parse_manifold(manifold_row(**changes)).outcome
    assert (outcome.status, outcome.value) == (status, value)
    assert why in outcome.reason


def test_times_are_milliseconds():
    row = parse_manifold(manifold_row())
    assert row.market.opened_at == at("2022-05-29T18:54:32.294")
    assert row.outcome.resolved_at == at("2022-05-30T15:21:17.078")
    with pytest.raises(SchemaChange, match="'createdTime' must be milliseconds"):
        parse_manifold(manifold_row(createdTime=1653850472))


@pytest.mark.parametrize(
    "closes",
    [
        pytest.param(1653924077078, id="at the resolution: the market ended early"),
        pytest.param(1653893940000, id="before it: at the creator's date"),
    ],
)
def test_no_deadline_is_shown_because_it_would_tell_of_an_early_resolution(closes):
    row = parse_manifold(manifold_row(closeTime=closes))
    assert row.market.scheduled_close is None
    assert row.facts.closed_at is not None


def test_twins_in_two_currencies_are_one_event():
    mana = parse_manifold(manifold_row(id="b", siblingContractId="a"))
    cash = parse_manifold(manifold_row(id="a", siblingContractId="b", token="CASH"))
    assert mana.market.event_id == cash.market.event_id == "manifold:a"


# --- listing


@pytest.mark.parametrize("page_limit", [1000, 50, 7, 4])
async def test_every_market_comes_once_although_three_share_a_millisecond(page_limit):
    world = GeneratedVenues(markets=100, page_limit=page_limit)
    rows, refused, so_far = await listed(*standin("manifold", world))
    assert not refused
    assert sorted(row.market.id for row in rows) == [f"mani{i:06d}" for i in range(100)]
    assert so_far.ended == "last page"
    assert set(so_far.statuses) == {"resolved", "voided", "not_yes_no"}
    for row in rows:
        if row.outcome.status == "resolved":
            assert row.outcome.value == world.yes(int(row.market.id.removeprefix("mani")))


async def test_a_window_is_one_of_resolution_times():
    world = GeneratedVenues(markets=300)
    query = Query(after=START + timedelta(days=20), before=START + timedelta(days=30))
    rows, _, so_far = await listed(*standin("manifold", world), query)
    expected = {f"mani{i:06d}" for i in range(300) if query.after <= world.resolved(i) < query.before}
    assert {row.market.id for row in rows} == expected
    assert so_far.passed_over["resolved before the window"] + so_far.passed_over["resolved after the window"] > 0


@pytest.mark.parametrize(
    ("answer", "error", "why"),
    [
        pytest.param(
            [manifold_row()], FetchError, "asked for markets created before", id="beforeTime is ignored: page 1 for ever"
        ),
        pytest.param(
            [manifold_row(id="a", createdTime=1653850472294), manifold_row(id="b", createdTime=1653850472295)],
            FetchError,
            "newest first",
            id="sort is ignored: markets may be skipped",
        ),
        pytest.param([manifold_row(isResolved=False)], DataError, "ignores `filter`", id="open markets"),
        pytest.param([manifold_row(createdTime=1653850472)], DataError, "createdTime", id="seconds: the order is unknown"),
        pytest.param({"markets": []}, SchemaChange, "a list", id="another shape"),
        pytest.param(httpx.Response(200, content=b"[{"), FetchError, "not JSON", id="cut body"),
        pytest.param(httpx.Response(400, json={"message": "unrecognized key"}), FetchError, "400", id="refused parameter"),
    ],
)
async def test_a_listing_that_is_not_whole_is_an_error(answer, error, why):
    with pytest.raises(error, match=why):
        await listed(*answering("manifold", lambda request: answer))


async def test_a_short_page_is_not_the_end():
    pages = [[manifold_row(id="b", createdTime=1653850472299)], [manifold_row(id="a")], []]
    rows, _, so_far = await listed(*answering("manifold", lambda request: pages.pop(0)))
    assert [row.market.id for row in rows] == ["b", "a"]
    assert so_far.pages == 3


# --- bets


async def first(world, **changes):
    client, venue = standin("manifold", world, **changes)
    rows, _, _ = await listed(client, venue)
    return next(row for row in rows if row.market.id == "mani000000")


@pytest.mark.parametrize("page_limit", [1000, 6])
async def test_the_price_is_the_probability_after_the_last_bet_before_as_of(page_limit):
    world = GeneratedVenues(markets=9, page_limit=page_limit)
    row = await first(GeneratedVenues(markets=9))
    i = int(row.market.id.removeprefix("mani"))
    as_of = world.opened(i) + timedelta(hours=25, minutes=30)
    client, venue = standin("manifold", world)
    async with client:
        prices = await venue.prices(row, as_of)
    assert all(point.knowable_at <= as_of and point.kind == "last_trade" for point in prices.points)
    assert prices.points[-1].knowable_at == world.opened(i) + timedelta(hours=25)
    assert prices.points[-1].price == world.price(i, prices.points[-1].knowable_at)
    assert prices.dropped == {"limit order that waited": 2, "redemption": 2}
    assert len(prices.points) == 26 - 4


async def test_as_of_at_the_moment_of_a_bet_includes_it():
    world = GeneratedVenues(markets=9)
    row = await first(world)
    client, venue = standin("manifold", world)
    async with client:
        prices = await venue.prices(row, row.market.opened_at)
    assert [point.knowable_at for point in prices.points] == [row.market.opened_at]


async def test_no_bet_before_as_of_is_an_answer_with_a_reason():
    world = GeneratedVenues(markets=9)
    row = await first(world)
    client, venue = standin("manifold", world)
    async with client:
        prices = await venue.prices(row, row.market.opened_at - timedelta(seconds=1))
    assert prices.points == ()
    assert "no bet" in prices.reason


def bet(**changes):
    return {
        "id": "x",
        "contractId": "EvIhzcJXwhL0HavaszD7",
        "createdTime": 1653860000000,
        "probAfter": 0.3,
        "outcome": "NO",
        "isFilled": True,
        "fills": [{"timestamp": 1653860000000}],
    } | changes


async def prices_of(bets, as_of=NOW, **options):
    client, venue = answering("manifold", lambda request: [] if "before" in request.url.params else bets)
    async with client:
        return await venue.prices(parse_manifold(manifold_row()), as_of, **options)


async def test_a_bet_on_no_is_not_turned_round():
    """probAfter is the probability of YES whichever side was bought; the defect is to take 1 - p for a NO."""
    assert [point.price for point in (await prices_of([bet()])).points] == [0.3]


@pytest.mark.parametrize(
    ("changes", "dropped"),
    [
        pytest.param({"createdTime": NOW.timestamp() * 1000 + 1}, "after as-of", id="a server that ignores beforeTime"),
        pytest.param(
            {"limitProb": 0.2, "fills": [{"timestamp": 1653870000000}]}, "limit order that waited", id="filled hours later"
        ),
        pytest.param({"limitProb": 0.2, "fills": [], "isFilled": False}, "limit order that waited", id="never filled"),
        pytest.param({"isFilled": False, "fills": None}, "not filled", id="not filled"),
        pytest.param({"isRedemption": True}, "redemption", id="redemption"),
        pytest.param({"fills": [{"timestamp": NOW.timestamp() * 1000 + 5}]}, "after as-of", id="filled after as-of"),
    ],
)
async def test_bets_that_give_no_price(changes, dropped):
    prices = await prices_of([bet(**changes)])
    assert prices.points == ()
    assert prices.dropped == {dropped: 1}


@pytest.mark.parametrize(
    ("bets", "error", "why"),
    [
        pytest.param([bet(contractId="other")], DataError, "other", id="another market's bets"),
        pytest.param([bet(), bet()], FetchError, "second time", id="twice"),
        pytest.param([bet(), bet(id="y", createdTime=1653870000000)], FetchError, "newest first", id="oldest first"),
        pytest.param([bet(createdTime=1653860000)], SchemaChange, "milliseconds", id="seconds"),
        pytest.param([bet(probAfter=30)], SchemaChange, "probAfter", id="percent"),
        pytest.param([bet(probAfter=None)], SchemaChange, "probAfter", id="no probability"),
    ],
)
async def test_bets_that_cannot_be_trusted_are_an_error(bets, error, why):
    with pytest.raises(error, match=why):
        await prices_of(bets)


async def test_a_history_that_is_not_read_to_its_start_is_an_error():
    with pytest.raises(DataError, match="do not reach back"):
        await prices_of([bet()], max_pages=1)


async def test_a_stored_statement_of_another_venue_or_query_is_refused():
    client, venue = standin("manifold", GeneratedVenues(markets=9))
    _, _, so_far = await listed(client, venue)
    for wrong in (replace(so_far, venue="kalshi"), replace(so_far, query=replace(ALL_TIME, min_volume=3))):
        with pytest.raises(DataError, match="cannot go on"):
            await listed(*standin("manifold", GeneratedVenues(markets=9)), resume=wrong)
