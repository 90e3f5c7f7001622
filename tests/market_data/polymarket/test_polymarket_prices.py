"""Prices: nothing later than as-of, whatever a server adds, and each price with what it is and how old."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from polymarket_case import AT, NOW, a_row, answering, client_of, markets, needs_recordings, recorded

from coordeval.market_data.errors import DataError
from coordeval.market_data.gate import MarketView
from coordeval.market_data.polymarket import SchemaChange, clob_history, parse_market, price_as_of, price_at, trade_prices
from coordeval.market_data.polymarket.prices import clob_points, data_points
from coordeval.market_data.polymarket.trades import Trade, parse_trades, trade_points
from coordeval.market_data.standin import Faults
from coordeval.market_data.types import PricePoint

WORLD = markets(60)
LONG = next(i for i in range(60) if WORLD.truth(i).kind == "resolved" and WORLD._life[i] > 40)
LISTED = parse_market(WORLD.row(LONG))
AS_OF = LISTED.facts.closed_at - timedelta(days=3)
DAY = datetime(2025, 1, 1, 6, tzinfo=UTC), datetime(2025, 1, 2, 6, tzinfo=UTC)


def at(seconds):
    return datetime.fromtimestamp(seconds, UTC)


def point(minutes, price=0.5, kind="mid", market="m"):
    when = None if minutes is None else AS_OF - timedelta(minutes=minutes)
    return PricePoint(market_id=market, knowable_at=when, price=price, kind=kind)


@needs_recordings
class TestRecordings:
    def test_a_stray_point_nine_months_after_the_window_is_dropped(self):
        payload = recorded("clob_prices_history_1441pts_fid1_with_stray_live_point.json")
        points, window = clob_points(payload, market_id="m", start=DAY[0], end=DAY[1])
        assert (len(points), window.dropped) == (1440, {"after the window": 1})
        assert points[-1].knowable_at <= DAY[1]

    def test_a_window_before_the_first_data_holds_nothing_but_the_stray_point(self):
        points, window = clob_points(
            recorded("clob_prices_history_1pt_only_stray_live_point.json"), market_id="m", start=DAY[0], end=DAY[1]
        )
        assert (points, window.points, window.dropped) == ((), 0, {"after the window": 1})

    @pytest.mark.parametrize("name", ["clob_prices_history_empty.json"])
    def test_no_points_is_an_answer(self, name):
        points, window = clob_points(recorded(name), market_id="m", start=DAY[0], end=DAY[1])
        assert (points, window.points, window.dropped) == ((), 0, {})

    def test_points_are_samples_of_their_own_time_at_any_fidelity(self):
        """Were they buckets, those of ten minutes would differ from those of one minute; they never do."""
        fine = {p["t"]: p["p"] for p in recorded("clob_prices_history_1441pts_fid1_with_stray_live_point.json")["history"]}
        coarse = {p["t"]: p["p"] for p in recorded("clob_prices_history_2016pts_fid10_15d.json")["history"]}
        common = fine.keys() & coarse.keys()
        assert len(common) == 144
        assert all(fine[t] == coarse[t] for t in common)

    def test_fifteen_days_are_one_window(self):
        history = recorded("clob_prices_history_2016pts_fid10_15d.json")
        points, window = clob_points(history, market_id="m", start=DAY[0], end=DAY[0] + timedelta(days=15))
        assert (len(points), window.dropped) == (2016, {})

    def test_the_head_and_tail_of_a_resolved_market(self):
        payload = recorded("clob_prices_history_resolved_fid1_head_tail.json")
        asked = payload["_request"]
        points, window = clob_points(payload, market_id="m", start=at(asked["startTs"]), end=at(asked["endTs"]))
        assert (len(points), window.dropped) == (10, {})

    def test_expired_fine_grain_is_an_empty_answer(self):
        points, window = data_points(recorded("data_v2_prices_history_empty_expired_grain.json"), market_id="m", as_of=AS_OF)
        assert (points, window.points) == ((), 0)

    def test_trades_of_the_second_outcome_become_prices_of_the_first(self):
        rows = recorded("data_v1_trades_3.json")
        tokens = f'["5", "{rows[0]["asset"]}"]'
        listed = parse_market(a_row(conditionId=rows[0]["conditionId"], clobTokenIds=tokens))
        trades, dropped = parse_trades(rows, listed)
        assert [trade.yes_price for trade in trades] == [0.001, 0.001]  # 1 − 0.999, without a float's tail
        assert dropped == {}
        swapped = parse_market(a_row(conditionId=rows[0]["conditionId"], clobTokenIds=tokens, outcomes='["No", "Yes"]'))
        assert [trade.yes_price for trade in parse_trades(rows, swapped)[0]] == [0.999, 0.999]


class TestClobHistory:
    async def test_windows_of_at_most_fifteen_days_reach_from_opening_to_as_of(self):
        async with client_of(WORLD) as client:
            history = await clob_history(client, AT.clob, LISTED, AS_OF)
        assert all(window.end - window.start <= timedelta(days=15) for window in history.windows)
        assert (history.windows[0].start, history.windows[-1].end) == (LISTED.market.opened_at, AS_OF)
        times = [p.knowable_at for p in history.points]
        assert times == sorted(set(times))
        assert max(b - a for a, b in pairwise(times)) == timedelta(minutes=1)
        assert timedelta(0) <= AS_OF - times[-1] <= timedelta(minutes=1)
        assert {p.kind for p in history.points} == {"mid"}

    async def test_it_is_the_price_of_yes(self):
        async with client_of(WORLD) as client:
            history = await clob_history(client, AT.clob, LISTED, AS_OF, since=AS_OF - timedelta(hours=1))
        truth = WORLD.history(WORLD.truth(LONG).yes_token, int(AS_OF.timestamp()) - 3600, int(AS_OF.timestamp()), 1)
        assert [p.price for p in history.points] == list({p["t"]: p["p"] for p in truth}.values())

    async def test_late_points_and_other_faults_change_nothing(self):
        since = AS_OF - timedelta(days=1)
        async with client_of(WORLD) as client:
            clean = await clob_history(client, AT.clob, LISTED, AS_OF, since=since)
        faults = Faults(rate=0.02, seed=2)
        late = 0
        async with client_of(WORLD, faults) as client:
            for _ in range(80):
                faulty = await clob_history(client, AT.clob, LISTED, AS_OF, since=since)
                assert repr(faulty.points) == repr(clean.points)
                late += faulty.dropped.get("after the window", 0)
        assert late == faults.injected["late point"] > 0

    async def test_history_passes_the_gate_whole(self):
        async with client_of(WORLD) as client:
            history = await clob_history(client, AT.clob, LISTED, AS_OF, since=AS_OF - timedelta(hours=1))
        view = MarketView(LISTED.market, AS_OF, history.points, [])
        assert view.refusals == ()
        assert view.price == history.points[-1]

    async def test_an_empty_history_is_recorded_window_by_window(self):
        async with answering(lambda request: {"history": []}) as client:
            history = await clob_history(client, AT.clob, LISTED, AS_OF)
        assert history.points == ()
        assert [window.points for window in history.windows] == [0] * len(history.windows)
        assert len(history.windows) >= 3

    async def test_a_market_without_a_yes_token_has_no_price_of_yes(self):
        async with client_of(WORLD) as client:
            with pytest.raises(DataError, match="no YES token"):
                await clob_history(client, AT.clob, parse_market(a_row(outcomes='["Up", "Down"]')), AS_OF)

    def test_of_two_points_of_one_time_the_first_counts(self):
        payload = {"history": [{"t": 100, "p": 0.2}, {"t": 160, "p": 0.3}, {"t": 160, "p": 0.9}]}
        points, window = clob_points(payload, market_id="m", start=at(0), end=at(200))
        assert [p.price for p in points] == [0.2, 0.3]
        assert window.dropped == {"a second point of the same time": 1}

    @pytest.mark.parametrize(
        ("payload", "field"),
        [
            ({"history": None}, "history"),
            ([], "history"),
            ({"history": [{"t": "100", "p": 0.5}]}, "t"),
            ({"history": [{"t": 100_000_000_000_000, "p": 0.5}]}, "t"),
            ({"history": [{"t": True, "p": 0.5}]}, "t"),
            ({"history": [{"t": 100, "p": "0.5"}]}, "p"),
            ({"history": [{"t": 100, "p": 50}]}, "p"),
            ({"history": [{"t": 100, "p": None}]}, "p"),
        ],
    )
    def test_a_changed_history_names_its_field(self, payload, field):
        with pytest.raises(SchemaChange, match=f"field '{field}'"):
            clob_points(payload, market_id="m", start=at(0), end=at(200))


class TestDataApi:
    @pytest.mark.parametrize(
        ("stamp", "width", "reason"),
        [
            pytest.param(-3600, 3600, None, id="a bucket that ended at as-of"),
            pytest.param(-3599, 3600, "bucket ends after as-of", id="a bucket that ends a second later"),
            pytest.param(0, 60, "bucket ends after as-of", id="stamped with as-of, observed after it"),
            pytest.param(60, 60, "after as-of", id="later"),
            pytest.param(-3600, 0, "settlement or single tick", id="settlement, stamped before as-of"),
        ],
    )
    def test_a_bucket_counts_from_its_end(self, stamp, width, reason):
        row = {"timestamp": int(AS_OF.timestamp()) + stamp, "price": 1.0, "resolution_seconds": width}
        points, window = data_points({"data": [row]}, market_id="m", as_of=AS_OF)
        assert window.dropped == ({reason: 1} if reason else {})
        assert [(p.knowable_at, p.kind) for p in points] == ([] if reason else [(AS_OF, "unstated")])

    async def test_no_answer_of_the_stand_in_lies_after_as_of(self):
        seen = set()
        async with client_of(WORLD) as client:
            for index in range(40):
                listed = parse_market(WORLD.row(index))
                if listed.facts.yes_token is None or listed.facts.closed_at is None:
                    continue
                for days in (-1, 1):
                    as_of = listed.facts.closed_at - timedelta(days=days)
                    history = await price_as_of(client, AT.data, listed, as_of)
                    assert all(p.knowable_at <= as_of for p in history.points)
                    seen |= set(history.dropped) | ({"kept"} if history.points else set())
        assert seen == {"kept", "bucket ends after as-of", "settlement or single tick"}


class TestTrades:
    async def test_the_stand_ins_trades_give_a_vwap_and_a_last_trade_of_yes(self):
        async with client_of(WORLD) as client:
            found = await trade_prices(client, AT.data, LISTED, AS_OF, timedelta(hours=24))
        vwap, last = found.points
        assert (vwap.kind, last.kind) == ("trade_vwap", "last_trade")
        assert vwap.knowable_at == last.knowable_at <= AS_OF
        assert found.dropped["outcome not labelled (999)"] > 0
        truth = WORLD.history(LISTED.facts.yes_token, int(AS_OF.timestamp()) - 86400, int(AS_OF.timestamp()), 1)
        assert min(p["p"] for p in truth) <= vwap.price <= max(p["p"] for p in truth)
        assert last.price == next(p["p"] for p in reversed(truth) if p["t"] <= last.knowable_at.timestamp())

    async def test_no_trade_in_the_span_is_no_price_with_that_reason(self):
        async with client_of(WORLD) as client:
            found = await trade_prices(client, AT.data, LISTED, LISTED.market.opened_at, timedelta(hours=1))
        assert found.points == ()
        assert "no trade between" in found.reason

    async def test_too_many_later_trades_are_no_price_with_that_reason(self):
        async with client_of(WORLD) as client:
            found = await trade_prices(client, AT.data, LISTED, AS_OF - timedelta(days=25), timedelta(hours=1), max_pages=1)
        assert found.points == ()
        assert "do not reach back" in found.reason

    def test_the_mean_is_weighted_by_shares_and_knowable_at_the_last_trade(self):
        trades = [Trade(time=at(100), yes_price=0.2, size=30), Trade(time=at(200), yes_price=0.6, size=10)]
        vwap, last = trade_points(trades[::-1], "m")
        assert vwap.price == pytest.approx(0.3)
        assert (vwap.knowable_at, last.price) == (at(200), 0.6)

    @pytest.mark.parametrize(
        ("changes", "error", "match"),
        [
            ({"condition_id": "0xother"}, DataError, "got one of 0xother"),
            ({"token_id": "2" * 77}, SchemaChange, "the token of its outcome_index"),
            ({"outcome_index": 2}, SchemaChange, "the token of its outcome_index"),
            ({"price": "0.5"}, SchemaChange, "'price'"),
            ({"price": 1.5}, SchemaChange, "'price'"),
            ({"size": 0}, SchemaChange, "size above 0"),
            ({"timestamp": None}, SchemaChange, "'timestamp'"),
        ],
    )
    def test_a_trade_that_is_not_what_was_asked_for(self, changes, error, match):
        listed = parse_market(a_row())
        row = {
            "condition_id": listed.market.id,
            "token_id": "1" * 77,
            "outcome_index": 0,
            "price": 0.5,
            "size": 1,
            "timestamp": 1,
        }
        assert parse_trades([row], listed)[0]
        with pytest.raises(error, match=match):
            parse_trades([row | changes], listed)


class TestPriceAt:
    @pytest.mark.parametrize(
        ("points", "value", "kind", "reason"),
        [
            pytest.param([point(5, 0.2), point(1, 0.3)], 0.3, "mid", "", id="the latest"),
            pytest.param([point(1, 0.3), point(5, 0.2)], 0.3, "mid", "", id="whatever the order"),
            pytest.param([point(0, 0.4)], 0.4, "mid", "", id="at as-of itself"),
            pytest.param([point(60, 0.4)], 0.4, "mid", "", id="as old as the limit"),
            pytest.param([point(61, 0.4)], None, "mid", "more than 1:00:00", id="older than the limit"),
            pytest.param([point(-1, 0.9), point(2, 0.1)], 0.1, "mid", "", id="later ones are not looked at"),
            pytest.param([point(-1, 0.9)], None, None, "no price was knowable", id="only later ones"),
            pytest.param([point(None, 0.9)], None, None, "no price was knowable", id="undated"),
            pytest.param([], None, None, "is empty", id="no history"),
            pytest.param(
                [point(1, 0.3, "trade_vwap"), point(1, 0.2, "last_trade"), point(1, 0.1)], 0.1, "mid", "", id="a quote first"
            ),
            pytest.param(
                [point(9, 0.1), point(1, 0.3, "trade_vwap")], 0.3, "trade_vwap", "", id="but the later one before all"
            ),
        ],
    )
    def test_value_kind_and_reason(self, points, value, kind, reason):
        found = price_at(points, AS_OF, timedelta(hours=1))
        assert (found.value, found.kind) == (value, kind)
        assert reason in found.reason
        assert bool(found.reason) == (value is None)
        if kind:
            assert found.age == AS_OF - found.time

    @pytest.mark.parametrize(
        ("points", "as_of", "age", "match"),
        [
            ([], AS_OF.replace(tzinfo=None), timedelta(1), "no time zone"),
            ([], AS_OF, -timedelta(1), "must not be negative"),
            ([point(1), point(1, market="n")], AS_OF, timedelta(1), "that of one market"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, points, as_of, age, match):
        with pytest.raises(DataError, match=match):
            price_at(points, as_of, age)

    def test_a_point_after_the_present_cannot_be_had(self):
        assert price_at([point(0)], NOW, timedelta(days=4000)).time == AS_OF
