"""Listing a window: complete whatever goes wrong on the way, in the memory of a page, and never ended in silence."""

import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import numpy as np
import orjson
import pytest
from polymarket_case import ALL_TIME, AT, AT_ONCE, NOW, a_row, answering, client_of, listing, markets

from coordeval.market_data.errors import DataError
from coordeval.market_data.http import FetchError, HttpClient
from coordeval.market_data.polymarket import Completeness, Query, SchemaChange, resolved_markets
from coordeval.market_data.standin import FAULTS, Faults, polymarket_app
from tests.thinned import first_of

WORLD = markets(4000)
WINDOW = Query(after=datetime(2025, 8, 1, tzinfo=UTC), before=datetime(2026, 3, 1, tzinfo=UTC))


def in_window(world, query):
    """The condition ids that the listing must find: the generator's own knowledge."""
    inside = (world.closed_at >= query.after.timestamp()) & (world.closed_at < query.before.timestamp()) & world.closed
    if query.min_volume:
        inside &= world.volume >= query.min_volume
    return {world.truth(int(index)).condition_id for index in np.flatnonzero(inside)}


def as_bytes(rows):
    return b"\n".join(repr(row).encode() for row in rows)


@pytest.mark.parametrize("order", ["closed_time", "id"])
@pytest.mark.parametrize("min_volume", [0, 10_000, 12_345.678])
async def test_every_market_of_the_window_is_listed_once(order, min_volume):
    query = replace(WINDOW, order=order, min_volume=min_volume)
    async with client_of(WORLD) as client:
        rows, page = await listing(client, query)
    ids = [row.market.id for row in rows]
    assert len(ids) == len(set(ids))
    assert set(ids) == in_window(WORLD, query)
    said = page.so_far
    assert said.kept == len(ids) == sum(said.statuses.values())
    assert said.rows == said.kept + sum(said.passed_over.values()) + sum(said.refused.values())
    assert said.ended == {"closed_time": "past the window", "id": "last page"}[order]


async def test_the_order_of_closing_reads_no_further_than_the_window():
    async with client_of(WORLD) as client:
        _, by_closing = await listing(client, replace(WINDOW, after=NOW - timedelta(days=60), before=NOW))
        _, by_id = await listing(client, replace(WINDOW, after=NOW - timedelta(days=60), before=NOW, order="id"))
    assert by_closing.so_far.pages < by_id.so_far.pages / 5


@pytest.mark.parametrize(
    ("order", "count", "rate"), first_of([("closed_time", 5_000, 0.06), ("closed_time", 20_000, 0.02), ("id", 20_000, 0.02)])
)
async def test_each_kind_of_fault_now_and_then_gives_the_same_bytes(order, count, rate):
    world, query = markets(count), replace(ALL_TIME, order=order)
    async with client_of(world) as client:
        clean, clean_page = await listing(client, query)
    faults = Faults(rate=rate, seed=6)
    async with client_of(world, faults) as client:
        faulty, faulty_page = await listing(client, query)
        assert client.failed
    assert set(faults.injected) == set(FAULTS)
    assert as_bytes(faulty) == as_bytes(clean)
    assert faulty_page.so_far == clean_page.so_far


@pytest.mark.parametrize("order", ["closed_time", "id"])
@pytest.mark.parametrize("stop_after", [1, 3, 7])
async def test_a_stopped_listing_goes_on_where_it_stopped(order, stop_after):
    query = replace(WINDOW, order=order)
    async with client_of(WORLD) as client:
        whole, last = await listing(client, query)
        begun, stored = [], None
        async for page in resolved_markets(client, AT.gamma, query, clock=lambda: NOW):
            begun += page.listed
            stored = orjson.dumps(page.so_far.as_json())
            if page.so_far.pages == stop_after:
                break
        resumed = Completeness.from_json(orjson.loads(stored))
        rest, end = await listing(client, query, resume=resumed)
    assert begun + rest == whole
    assert end.so_far == last.so_far


async def test_a_finished_listing_asks_nothing_more():
    async with client_of(WORLD) as client:
        _, last = await listing(client, WINDOW)
        asked = client.requests
        assert await listing(client, WINDOW, resume=last.so_far) == ([], None)
        assert client.requests == asked


async def test_a_listing_does_not_go_on_for_another_query():
    async with client_of(WORLD) as client:
        _, last = await listing(client, WINDOW)
        with pytest.raises(DataError, match="cannot go on for"):
            await listing(client, replace(WINDOW, min_volume=5), resume=last.so_far)


@pytest.mark.proof
async def test_memory_does_not_grow_with_the_number_of_pages():
    async def peak(count):
        world = markets(count)
        world.select("closedTime", True, 0.0)  # what the server holds is not the client's
        async with client_of(world) as client:
            tracemalloc.start()
            try:
                pages = 0
                async for page in resolved_markets(client, AT.gamma, ALL_TIME, clock=lambda: NOW):
                    pages = page.so_far.pages
                return pages, tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    await peak(300)  # what is cached once
    (few, small), (many, large) = await peak(800), await peak(8000)
    assert many >= 9 * few
    assert large < 1.1 * small


class TestPagesThatCannotBeTheNextOne:
    @staticmethod
    def rows(start, count=100):
        closed = datetime(2026, 1, 1, tzinfo=UTC)
        return [
            a_row(
                id=str(1000 + i),
                conditionId=f"0x{i}",
                closedTime=(closed - timedelta(minutes=i)).isoformat(),
                umaEndDate=None,
            )
            for i in range(start, start + count)
        ]

    async def fails(self, handler, match, query=ALL_TIME, kind=FetchError):
        async with answering(handler) as client:
            with pytest.raises(kind, match=match):
                await listing(client, query)

    async def test_a_cursor_that_is_ignored_serves_page_one_for_ever(self):
        await self.fails(lambda request: {"markets": self.rows(0), "next_cursor": "c1"}, "the cursor does not advance")

    async def test_a_repeated_page_under_a_new_cursor(self):
        def handler(request):
            number = int(request.url.params.get("after_cursor", "0"))
            return {"markets": self.rows(0), "next_cursor": str(number + 1)}

        await self.fails(handler, "come a second time|not in the order")

    @pytest.mark.parametrize("order", ["closed_time", "id"])
    async def test_a_cycle_of_pages(self, order):
        def handler(request):
            number = int(request.url.params.get("after_cursor", "0"))
            return {"markets": self.rows(100 * (number % 3)), "next_cursor": str(number + 1)}

        await self.fails(handler, "is not in the order", replace(ALL_TIME, order=order))

    async def test_a_market_twice_on_one_page(self):
        await self.fails(lambda request: {"markets": [self.rows(0)[0]] * 2}, "come a second time")

    async def test_a_market_of_the_same_second_repeated_on_the_next_page(self):
        def handler(request):
            tied = [row | {"closedTime": "2026-01-01 00:00:00+00"} for row in self.rows(0, 4)]
            if "after_cursor" in request.url.params:
                return {"markets": [tied[2], tied[3]]}
            return {"markets": tied[:3], "next_cursor": "c1"}

        await self.fails(handler, "come a second time")

    async def test_an_order_that_is_ignored(self):
        await self.fails(lambda request: {"markets": self.rows(0)[::-1]}, "closedTime, newest first.*another order")

    async def test_closed_that_is_ignored(self):
        row = a_row(closed=False, umaResolutionStatus=None)
        await self.fails(lambda request: {"markets": [row]}, "ignores `closed`", kind=DataError)

    async def test_a_volume_filter_that_is_ignored_changes_nothing(self):
        async with answering(
            lambda request: {"markets": [a_row(volume="3", volumeNum=3), a_row(id="1", volumeNum=9e9)]}
        ) as client:
            rows, page = await listing(client, replace(ALL_TIME, min_volume=10))
        assert [row.facts.gamma_id for row in rows] == ["1"]
        assert page.so_far.passed_over == {"volume below the minimum": 1}

    async def test_a_repetition_that_was_a_mishap_is_mended_by_asking_again(self):
        answers = iter([{"markets": self.rows(0), "next_cursor": "c1"}] * 2 + [{"markets": self.rows(100)}])
        async with answering(lambda request: next(answers)) as client:
            rows, page = await listing(client)
            assert client.failed == {"repeated page": 1}
        assert (len(rows), page.so_far.pages) == (200, 2)

    @pytest.mark.parametrize("ids", [["9", "10", "11"], ["10", "11", "9"]], ids=["as numbers", "as text"])
    async def test_either_order_of_ids_is_followed(self, ids):
        pages = {
            "": {"markets": [a_row(id=ids[0]), a_row(id=ids[1])], "next_cursor": "c"},
            "c": {"markets": [a_row(id=ids[2])]},
        }
        async with answering(lambda request: pages[request.url.params.get("after_cursor", "")]) as client:
            rows, _ = await listing(client, replace(ALL_TIME, order="id"))
        assert [row.facts.gamma_id for row in rows] == ids

    async def test_but_not_both_in_turn(self):
        ids = [["9", "10"], ["11", "100"], ["20"]]

        def handler(request):
            number = int(request.url.params.get("after_cursor", "0"))
            return {"markets": [a_row(id=id) for id in ids[number]], "next_cursor": str(number + 1)}

        await self.fails(handler, "id as a number, rising", replace(ALL_TIME, order="id"))


class TestSchema:
    @pytest.mark.parametrize(
        ("payload", "field"),
        [
            ([], "(itself)"),
            ({"data": []}, "markets"),
            ({"markets": {}}, "markets"),
            ({"markets": [], "next_cursor": 5}, "next_cursor"),
            ({"markets": [], "next_cursor": ""}, "next_cursor"),
        ],
    )
    async def test_a_changed_page_is_named_and_kept(self, payload, field, tmp_path):
        async with answering(lambda request: payload) as client:
            with pytest.raises(SchemaChange) as caught:
                await listing(client, aside=tmp_path)
        assert caught.value.field == field
        assert orjson.loads(caught.value.kept.read_bytes()) == payload

    async def test_one_unreadable_row_is_refused_with_its_reason_and_the_rest_is_kept(self, tmp_path):
        bad = a_row(id="2", closed="true")
        async with answering(lambda request: {"markets": [a_row(), bad]}) as client:
            rows, page = await listing(client, aside=tmp_path)
            with pytest.raises(SchemaChange, match="closed"):
                await listing(client, strict=True)
        assert len(rows) == 1
        assert page.so_far.refused == {"field 'closed' is not true or false": 1}
        assert orjson.loads(page.refused[0].kept.read_bytes()) == bad
        assert any("could not be read" in gap for gap in page.so_far.gaps)

    async def test_a_page_without_one_readable_row_is_an_error(self):
        async with answering(lambda request: {"markets": [a_row(id=str(i), conditionId=None) for i in range(10)]}) as client:
            with pytest.raises(DataError, match=r"not one of 10 markets.*conditionId"):
                await listing(client)


class TestStatement:
    @pytest.mark.parametrize(("order", "said"), [("closed_time", True), ("id", False)])
    async def test_where_a_market_without_a_closing_time_may_be_missing(self, order, said):
        async with client_of(WORLD) as client:
            _, page = await listing(client, replace(WINDOW, order=order))
        assert any("without a closedTime" in gap for gap in page.so_far.gaps) is said

    async def test_a_market_that_gives_only_the_end_of_its_resolution_is_placed_by_it(self):
        rows = [a_row(id="1"), a_row(id="2", closedTime=None), a_row(id="3", closedTime="2025-12-01 00:00:00+00")]
        async with answering(lambda request: {"markets": rows}) as client:
            listed, _ = await listing(client)
        assert [row.facts.gamma_id for row in listed] == ["1", "2", "3"]
        assert listed[0].outcome.resolved_at == listed[1].outcome.resolved_at

    async def test_a_window_without_markets_says_so(self):
        empty = Query(after=datetime(1999, 1, 1, tzinfo=UTC), before=datetime(1999, 2, 1, tzinfo=UTC))
        async with client_of(WORLD) as client:
            rows, page = await listing(client, empty)
        assert rows == []
        assert (page.so_far.kept, page.so_far.ended) == (0, "last page")
        assert "0 kept" in page.so_far.statement()

    async def test_markets_that_close_later_than_the_listing_began_may_be_missing(self):
        async with client_of(WORLD) as client:
            _, page = await listing(client, replace(WINDOW, before=NOW + timedelta(days=1)))
        assert any("closed after the listing began" in gap for gap in page.so_far.gaps)

    async def test_it_names_what_was_kept_and_passed_over(self):
        async with client_of(WORLD) as client:
            _, page = await listing(client, replace(WINDOW, min_volume=1))
        text = page.so_far.statement()
        for part in (
            "kept, resolved:",
            "kept, fifty_fifty:",
            "kept, disputed:",
            "passed over, closed after the window:",
            "volume",
        ):
            assert part in text

    @pytest.mark.parametrize(
        ("changes", "match"),
        [
            ({"after": datetime(2026, 1, 1)}, "no time zone"),  # noqa: DTZ001
            ({"after": NOW, "before": NOW - timedelta(days=1)}, "swap the two"),
            ({"min_volume": -1}, "from 0"),
            ({"min_volume": float("nan")}, "from 0"),
        ],
    )
    def test_a_window_that_makes_no_sense_is_refused(self, changes, match):
        with pytest.raises(DataError, match=match):
            replace(ALL_TIME, **changes)


async def test_a_dead_service_is_an_error_not_an_end():
    app = httpx.ASGITransport(polymarket_app(WORLD, Faults(rate=1.0, seed=1, kinds=("500",))))
    async with HttpClient(transport=app, patience=AT_ONCE) as client:
        with pytest.raises(FetchError, match=r"failed 7 times.*cannot get the information.*goes on where it stopped"):
            await listing(client)
