"""Kalshi: how a market ended, where it is listed, and what stood in its candles before as-of."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest
from venue_case import ALL_TIME, NOW, answering, at, kalshi_row, listed, standin

from coordeval.market_data.errors import DataError
from coordeval.market_data.http import FetchError
from coordeval.market_data.polymarket.completeness import Query
from coordeval.market_data.polymarket.fields import SchemaChange
from coordeval.market_data.price_at import price_at
from coordeval.market_data.venues.kalshi import kalshi_outcome, parse_kalshi
from coordeval.market_data.venues.kalshi_prices import candle_points
from coordeval.market_data.venues.standin_world import BORDER, START, GeneratedVenues

CUTOFF = {"market_settled_ts": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("changes", "status", "value", "why"),
    [
        pytest.param({}, "resolved", 1, "", id="yes, and YES paid a dollar; the last price of 0.01 decides nothing"),
        pytest.param({"result": "no", "settlement_value_dollars": "0.0000"}, "resolved", 0, "", id="no"),
        pytest.param({"settlement_value_dollars": None, "settlement_value": 100}, "resolved", 1, "", id="older: cents"),
        pytest.param({"settlement_value_dollars": None}, "resolved", 1, "", id="a payout that is not stated says nothing"),
        pytest.param(
            {"settlement_value_dollars": None, "settlement_value": 1},
            "contradictory",
            None,
            "paid 0.01",
            id="one cent is not one dollar",
        ),
        pytest.param({"result": "no"}, "contradictory", None, "YES paid 1", id="no, but YES paid"),
        pytest.param(
            {"result": "", "settlement_value_dollars": None, "last_price_dollars": "0.9900"},
            "voided",
            None,
            "without a result",
            id="no result: never guessed from the last price",
        ),
        pytest.param({"result": "scalar", "settlement_value_dollars": "0.5000"}, "fifty_fifty", None, "half", id="half"),
        pytest.param(
            {"result": "scalar", "settlement_value_dollars": "0.9900"}, "not_yes_no", None, "0.99", id="0.99 is not YES"
        ),
        pytest.param({"result": "scalar", "settlement_value_dollars": None}, "not_yes_no", None, "not stated", id="scalar"),
        pytest.param({"result": "maybe"}, "contradictory", None, "'maybe'", id="an unknown result"),
        pytest.param({"market_type": "scalar"}, "not_yes_no", None, "market_type", id="a scalar market"),
        pytest.param({"status": "determined"}, "proposed", None, "may still change", id="determined, not yet settled"),
        pytest.param({"status": "amended"}, "proposed", None, "may still change", id="amended"),
        pytest.param({"status": "disputed"}, "disputed", None, "may still change", id="disputed"),
        pytest.param({"status": "closed"}, "unresolved", None, "'closed'", id="closed, undetermined"),
        pytest.param(
            {"settlement_ts": "2026-01-01T00:00:00Z"},
            "contradictory",
            None,
            "before it opened",
            id="a clock that runs backwards",
        ),
    ],
)
def test_an_outcome_needs_status_result_and_payout_in_agreement(changes, status, value, why):
    outcome = parse_kalshi(kalshi_row(**changes)).outcome
    assert (outcome.status, outcome.value) == (status, value)
    assert why in outcome.reason


def test_the_outcome_is_a_function_without_a_price():
    assert kalshi_outcome("finalized", "yes", Decimal(1)) == ("resolved", 1, "")


def test_a_deadline_does_not_tell_of_an_early_end():
    early = parse_kalshi(kalshi_row())
    assert early.market.scheduled_close == at("2026-03-31T14:00:00")  # not close_time: it was moved to the actual closing
    assert early.facts.closed_at == at("2026-02-20T18:00:00")
    assert parse_kalshi(kalshi_row(can_close_early=False)).market.scheduled_close == at("2026-02-20T18:00:00")
    assert parse_kalshi(kalshi_row(can_close_early=None)).market.scheduled_close == at("2026-03-31T14:00:00")


def test_markets_of_one_event_share_it_and_are_told_apart_by_their_side():
    rows = [
        parse_kalshi(kalshi_row(ticker=f"KXWIN-26-{name}", event_ticker="KXWIN-26", title="Who wins?", yes_sub_title=name))
        for name in ("ANN", "BOB")
    ]
    assert {row.market.event_id for row in rows} == {"kalshi:KXWIN-26"}
    assert [row.market.question for row in rows] == ["Who wins? [ANN]", "Who wins? [BOB]"]
    assert rows[0].facts.series_ticker == "KXWIN"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        pytest.param({"ticker": None}, "ticker", id="no id"),
        pytest.param({"event_ticker": 5}, "event_ticker", id="retyped"),
        pytest.param({"title": "  "}, "title", id="says nothing"),
        pytest.param({"settlement_ts": 1771614000}, "settlement_ts", id="a number where ISO text is documented"),
        pytest.param({"settlement_value_dollars": "100"}, "settlement_value_dollars", id="cents under _dollars"),
        pytest.param({"notional_value_dollars": "10.0000"}, "notional_value_dollars", id="a contract that pays ten dollars"),
        pytest.param({"volume_fp": "many"}, "volume_fp", id="volume"),
    ],
)
def test_a_changed_schema_names_the_field(changes, field):
    with pytest.raises(SchemaChange, match=f"field '{field}'"):
        parse_kalshi(kalshi_row(**changes))


# --- listing


async def test_live_list_and_archive_together_hold_each_market_once():
    world = GeneratedVenues(markets=200, page_limit=30)
    rows, refused, so_far = await listed(*standin("kalshi", world))
    assert not refused
    assert so_far.ended == "last page"
    expected = {row["ticker"] for row in world.kalshi_rows if "mve_collection_ticker" not in row}
    assert {row.market.id for row in rows} == expected
    assert len(rows) == len(expected) == so_far.kept
    assert {row.facts.archived for row in rows} == {True, False}
    truth = {row["ticker"]: row["result"] for row in world.kalshi_rows}
    for row in rows:
        assert row.outcome.value == {"yes": 1, "no": 0}.get(truth[row.market.id])
    assert Counter(row.outcome.status for row in rows) == so_far.statuses
    assert set(so_far.statuses) == {"resolved", "voided", "fifty_fifty", "not_yes_no"}


@pytest.mark.parametrize(
    ("after", "before", "lists"),
    [
        pytest.param(BORDER, NOW, {"/kalshi/markets"}, id="all live"),
        pytest.param(START, BORDER, {"/kalshi/historical/markets"}, id="all archived"),
        pytest.param(START, NOW, {"/kalshi/markets", "/kalshi/historical/markets"}, id="across the border"),
    ],
)
async def test_only_the_lists_that_can_hold_the_window_are_read(after, before, lists):
    world, asked = GeneratedVenues(markets=60), []
    client, venue = standin("kalshi", world)
    get_json = client.get_json

    async def watched(service, path, params=(), *, check):
        asked.append((path, dict(params)))
        return await get_json(service, path, params, check=check)

    client.get_json = watched
    rows, _, _ = await listed(client, venue, Query(after=after, before=before))
    pages = [(path, params) for path, params in asked if path.endswith("markets")]
    assert {f"/kalshi{path}" for path, _ in pages} == lists
    assert all(after <= row.outcome.resolved_at < before for row in rows)
    assert all(params["mve_filter"] == "exclude" for _, params in pages)
    # min_close_ts is documented as incompatible with status=settled; the archive takes no time filter at all
    assert all(("min_settled_ts" in params) == (path == "/markets") for path, params in pages)
    assert not any("min_close_ts" in params for _, params in pages)


async def test_a_combination_that_comes_although_excluded_is_passed_over():
    page = {"markets": [kalshi_row(), kalshi_row(ticker="KXMVE-1", mve_selected_legs=[{}])], "cursor": ""}
    rows, _, so_far = await listed(
        *answering("kalshi", lambda r: CUTOFF if "cutoff" in r.url.path else page), Query(after=at("2026-02-01"), before=NOW)
    )
    assert [row.market.id for row in rows] == ["KXFED-26MAR-T4"]
    assert so_far.passed_over == {"combination of several markets": 1}


WINDOW = Query(after=at("2026-02-01"), before=NOW)


@pytest.mark.parametrize(
    ("page", "error", "why"),
    [
        pytest.param({"markets": [kalshi_row()]}, SchemaChange, "cursor", id="no cursor: the list may be cut short"),
        pytest.param({"markets": None, "cursor": ""}, SchemaChange, "markets", id="no list"),
        pytest.param([kalshi_row()], SchemaChange, "markets", id="another shape"),
        pytest.param({"markets": [kalshi_row(status="active")], "cursor": ""}, DataError, "ignores `status`", id="open"),
        pytest.param({"markets": [kalshi_row()], "cursor": "x"}, FetchError, "does not advance", id="a cursor for ever"),
        pytest.param(
            {"markets": [kalshi_row(), kalshi_row()], "cursor": ""}, FetchError, "second time", id="a market twice on a page"
        ),
        pytest.param(
            {"markets": [{"ticker": str(i)} for i in range(10)], "cursor": ""}, DataError, "not one of 10", id="new schema"
        ),
        pytest.param(httpx.Response(500), FetchError, "500", id="dead in the middle"),
        pytest.param(httpx.Response(200, content=b'{"markets": [{"tick'), FetchError, "not JSON", id="cut body"),
    ],
)
async def test_a_listing_that_is_not_whole_is_an_error(page, error, why):
    with pytest.raises(error, match=why):
        await listed(*answering("kalshi", lambda r: CUTOFF if "cutoff" in r.url.path else page), WINDOW)


async def test_a_longer_cycle_of_pages_is_found_out():
    """Each page is new beside the one before it, and the list would never end."""

    def page(request):
        if "cutoff" in request.url.path:
            return CUTOFF
        n = int(request.url.params.get("cursor", 0))
        return {"markets": [kalshi_row(ticker=f"KX-{n % 7}")], "cursor": str(n + 1)}

    with pytest.raises(FetchError, match="comes again"):
        await listed(*answering("kalshi", page), WINDOW)


async def test_rows_that_cannot_be_read_are_refused_by_reason_and_kept_aside(tmp_path):
    page = {"markets": [kalshi_row(), kalshi_row(ticker="BAD", title=None), "nonsense"], "cursor": ""}
    client, venue = answering("kalshi", lambda r: CUTOFF if "cutoff" in r.url.path else page)
    venue._aside = tmp_path
    rows, refused, so_far = await listed(client, venue, WINDOW)
    assert len(rows) == 1
    assert so_far.refused == {"field 'title' is not text that is not empty": 1, "field '(itself)' is not an object": 1}
    assert all(row.kept.parent == tmp_path and row.kept.is_file() for row in refused)
    assert "2 rows that could not be read" in so_far.statement()


async def test_a_market_without_settlement_time_is_in_no_window_and_said_so():
    page = {"markets": [kalshi_row(settlement_ts=None)], "cursor": ""}
    rows, _, so_far = await listed(*answering("kalshi", lambda r: CUTOFF if "cutoff" in r.url.path else page), WINDOW)
    assert not rows
    assert so_far.passed_over == {"no resolution time": 1}
    assert "1 resolved markets without settlement_ts" in so_far.statement()


async def test_a_border_that_moves_during_the_listing_is_a_gap():
    cutoffs = ["2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z"]

    def answer(request):
        if "cutoff" in request.url.path:
            return {"market_settled_ts": cutoffs.pop(0)}
        return {"markets": [kalshi_row()], "cursor": ""}

    _, _, so_far = await listed(*answering("kalshi", answer), WINDOW)
    assert "border moved" in " ".join(so_far.gaps)


async def test_a_window_whose_end_lies_ahead_says_so():
    page = {"markets": [], "cursor": ""}
    query = replace(WINDOW, before=NOW + timedelta(days=1))
    _, _, so_far = await listed(*answering("kalshi", lambda r: CUTOFF if "cutoff" in r.url.path else page), query)
    assert so_far.kept == 0
    assert "resolved after the listing began" in " ".join(so_far.gaps)


async def test_minimum_volume_is_held_against_each_row():
    world = GeneratedVenues(markets=80)
    rows, _, so_far = await listed(*standin("kalshi", world), replace(ALL_TIME, min_volume=5000))
    assert rows
    assert all(row.volume >= 5000 for row in rows)
    assert so_far.passed_over["volume below the minimum"] > 0


# --- candles


def candle(end, bid="0.4400", ask="0.4600", close="0.4500", suffix="_dollars"):
    name = f"close{suffix}"
    price = {name: close, f"previous{suffix}": "0.9900"}
    return {"end_period_ts": int(end.timestamp()), "yes_bid": {name: bid}, "yes_ask": {name: ask}, "price": price}


T = datetime(2026, 2, 1, 12, tzinfo=UTC)


def points_of(*candles, start=T - timedelta(days=1), end=T, ticker="KXFED-26MAR-T4"):
    payload = {"ticker": ticker, "candlesticks": list(candles)}
    return candle_points(payload, market_id="KXFED-26MAR-T4", start=start, end=end)


def test_a_candle_is_knowable_at_its_end_and_not_before():
    points, dropped = points_of(candle(T), candle(T + timedelta(hours=1), close="0.9800", bid="0.9700", ask="0.9900"))
    assert {(p.knowable_at, p.kind, p.price) for p in points} == {(T, "mid", 0.45), (T, "last_trade", 0.45)}
    assert dropped == {"candle ends after the window": 1}  # it began before as-of, and knows an hour more


@pytest.mark.parametrize(
    ("changes", "kinds", "why"),
    [
        pytest.param({}, {"mid": 0.45, "last_trade": 0.45}, "", id="quotes and a trade"),
        pytest.param({"close": None}, {"mid": 0.45}, "", id="no trade: null, and previous is not read"),
        pytest.param({"bid": "0.0000"}, {"last_trade": 0.45}, "a side of the book is empty", id="nobody bids"),
        pytest.param({"ask": "1.0000"}, {"last_trade": 0.45}, "a side of the book is empty", id="nobody offers"),
        pytest.param(
            {"bid": "0.0000", "ask": "1.0000", "close": None},
            {},
            "a side of the book is empty",
            id="an empty book is no 0.5",
        ),
        pytest.param({"bid": "0.3000", "ask": "0.6000"}, {"last_trade": 0.45}, "spread", id="a spread of 30 cents"),
        pytest.param({"bid": "0.5000", "ask": "0.4000"}, {"last_trade": 0.45}, "above the ask", id="a crossed book"),
        pytest.param({"bid": None}, {"last_trade": 0.45}, "a side of the book is empty", id="no quote stated"),
        pytest.param(
            {"suffix": "", "bid": 44, "ask": 46, "close": 45},
            {"mid": 0.45, "last_trade": 0.45},
            "",
            id="older payload: cents",
        ),
        pytest.param({"suffix": ""}, {"mid": 0.45, "last_trade": 0.45}, "", id="archive: dollars under the short names"),
        pytest.param(
            {"suffix": "", "bid": 1, "ask": 2, "close": 1}, {"mid": 0.015, "last_trade": 0.01}, "", id="a cent is no dollar"
        ),
    ],
)
def test_what_a_candle_says(changes, kinds, why):
    points, dropped = points_of(candle(T, **changes))
    assert {point.kind: point.price for point in points} == kinds
    assert why in " ".join(dropped)


def test_candles_of_another_market_are_an_error():
    with pytest.raises(DataError, match="KXOTHER"):
        points_of(candle(T), ticker="KXOTHER")


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        pytest.param({"ticker": "KXFED-26MAR-T4"}, "candlesticks", id="no list"),
        pytest.param(
            {"ticker": "KXFED-26MAR-T4", "candlesticks": [candle(T) | {"end_period_ts": int(T.timestamp()) * 1000}]},
            "end_period_ts",
            id="milliseconds",
        ),
        pytest.param(
            {"ticker": "KXFED-26MAR-T4", "candlesticks": [candle(T) | {"price": None}]},
            "price",
            id="price is an object of nulls",
        ),
        pytest.param(
            {"ticker": "KXFED-26MAR-T4", "candlesticks": [candle(T, close="45")]}, "close_dollars", id="cents under _dollars"
        ),
    ],
)
def test_a_changed_candle_names_the_field(payload, field):
    with pytest.raises(SchemaChange, match=f"field '{field}'"):
        candle_points(payload, market_id="KXFED-26MAR-T4", start=T - timedelta(days=1), end=T)


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize("period", [60, 1440])
async def test_prices_end_at_as_of_although_the_server_sends_more(archived, period):
    world = GeneratedVenues(markets=200, leaky=True)
    client, venue = standin("kalshi", world)
    rows, _, _ = await listed(client, venue)
    row = next(row for row in rows if row.facts.archived == archived)
    as_of = row.market.opened_at + timedelta(hours=30, minutes=20)
    client, venue = standin("kalshi", world)
    async with client:
        prices = await venue.prices(row, as_of, period=period)
    assert prices.points
    assert all(row.market.opened_at <= point.knowable_at <= as_of for point in prices.points)
    assert prices.dropped["candle ends after the window"] == 1
    newest = price_at(prices.points, as_of, timedelta(days=2))
    assert newest.kind == "mid"
    i = int(row.facts.event_ticker[-5:]) * 3 + int(row.market.id[-1])
    assert newest.value == pytest.approx(world.price(i, newest.time))


async def test_a_market_that_was_archived_since_it_was_listed_is_found_there():
    world = GeneratedVenues(markets=200)
    client, venue = standin("kalshi", world)
    rows, _, _ = await listed(client, venue)
    row = next(row for row in rows if row.facts.archived)
    stale = replace(row, facts=replace(row.facts, archived=False))
    as_of = row.market.opened_at + timedelta(hours=20)
    client, venue = standin("kalshi", world)
    async with client:
        assert (await venue.prices(stale, as_of)).points == (await venue.prices(row, as_of)).points


async def test_a_long_life_is_asked_for_in_windows_of_at_most_5000_candles():
    world = GeneratedVenues(markets=30)
    client, venue = standin("kalshi", world)
    rows, _, _ = await listed(client, venue)
    client, venue = standin("kalshi", world)
    async with client:  # the stand-in refuses a longer one, as documented
        prices = await venue.prices(rows[0], rows[0].market.opened_at + timedelta(days=8), period=1)
        assert client.requests >= 3
    assert len({point.knowable_at for point in prices.points if point.kind == "mid"}) == 8 * 1440 - 120 + 1


@pytest.mark.parametrize(
    ("changes", "deadline"),
    [
        pytest.param(
            {"ticker": "KXHIGHNY-26AUG05-B70", "event_ticker": "KXHIGHNY-26AUG05"}, "2026-08-06T04:00:00Z", id="its day"
        ),
        pytest.param(
            {"ticker": "KXBTCD-26AUG0517-T1", "event_ticker": "KXBTCD-26AUG0517"}, "2026-08-05T21:00:00Z", id="its hour"
        ),
        pytest.param({"ticker": "KXFED-26JAN28-T4", "event_ticker": "KXFED-26JAN28"}, "2026-01-29T05:00:00Z", id="winter"),
        pytest.param(
            {
                "ticker": "KXHIGHNY-26AUG05-B70",
                "event_ticker": "KXHIGHNY-26AUG05",
                "expected_expiration_time": "2026-08-06T14:00:00Z",
            },
            "2026-08-06T14:00:00Z",
            id="expected later",
        ),
        pytest.param(
            {"ticker": "KXB-26AUG20-1", "event_ticker": "KXB-26AUG20", "expected_expiration_time": "2026-08-11T03:00:00Z"},
            "2026-08-21T04:00:00Z",
            id="expected moved with an early closing",
        ),
        pytest.param({"ticker": "KXX-26AUG99-T1", "event_ticker": "KXX-26AUG99"}, "2026-03-31T14:00:00Z", id="no day"),
        pytest.param({"expected_expiration_time": "2026-02-20T18:05:00Z"}, "2026-03-31T14:00:00Z", id="a month alone"),
    ],
)
def test_the_deadline_is_the_one_that_was_known_at_opening(changes, deadline):
    assert parse_kalshi(kalshi_row(**changes)).market.scheduled_close == datetime.fromisoformat(deadline)
