"""A pull fills the ledger with every market of its window, whatever happens on the way, and asks for nothing twice."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import orjson
import polars as pl
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from analysis.links import propose_links
from flows.evaluation import open_evaluation
from flows.markets import audit
from flows.planning import plan, pull
from flows.pulling import AT_ONCE, OVERLAP, missing, pull_files, pull_markets, thinned
from flows.study import load_study
from ledger import Ledger, read
from ledger.questions import questions_frame
from market_data.errors import CoordevalError, DataError
from market_data.http import FetchError, Patience
from market_data.standin import Faults, GeneratedMarkets, polymarket_app
from market_data.types import PricePoint
from market_data.venues import Query
from market_data.venues.standin import TOKEN, venues_app
from market_data.venues.standin_world import GeneratedVenues
from tests.flows.conftest import ROOT

AFTER, BEFORE = datetime(2024, 6, 1, tzinfo=UTC), datetime(2025, 3, 1, tzinfo=UTC)
WINDOW = Query(after=AFTER, before=BEFORE)
OPEN_END = datetime(2100, 1, 1, tzinfo=UTC)
IMPATIENT = Patience(wait_initial=0, wait_max=0, wait_jitter=0, timeout=5)
BASE = "http://stand-in"
TWO_HOURS = 1 / 12
TABLES = {
    # table: (columns that say when it was fetched, or what was dropped on the way)
    "markets": (),
    "outcomes": ("recorded_at",),
    "venue_facts": ("seen_at",),
    "prices": (),
    "price_fetches": ("fetched_at", "dropped"),
    "refused_rows": (),
    "market_edits": ("seen_at",),
}


class World(GeneratedMarkets):
    """Generated markets, some of which the venue changed: `changes` maps a position to other fields."""

    def __init__(self, count=600, changes=None):
        super().__init__(count)
        self.changes = changes or {}

    def row(self, index):
        return super().row(index) | self.changes.get(index, {})

    def within(self, after=AFTER, before=BEFORE):
        """Positions of the closed markets of a window, by the generator's own record."""
        times = self.closed_at
        return [i for i in range(len(self)) if after.timestamp() <= times[i] < before.timestamp()]


class Wire(httpx.AsyncBaseTransport):
    """The way to a server in this process: counts what is asked, and is cut for good after so many requests."""

    def __init__(self, app, cut_after=None):
        self.inner, self.cut_after, self.asked = httpx.ASGITransport(app), cut_after, []

    async def handle_async_request(self, request):
        if self.cut_after is not None and len(self.asked) >= self.cut_after:
            raise httpx.ConnectError("the wire is cut")
        self.asked.append(str(request.url))
        return await self.inner.handle_async_request(request)


def pulled(
    path,
    world=None,
    query=WINDOW,
    *,
    venue="polymarket",
    app=None,
    faults=None,
    cut_after=None,
    days=0.0,
    base=BASE,
    again=False,
    **options,
):
    """(statement or the error that ended it, the requests that were made)."""
    wire = Wire(app or polymarket_app(world or World(), faults), cut_after)

    async def go():
        return await pull_markets(
            ledger, venue, query, base_url=base, price_days=days, transport=wire, patience=IMPATIENT, again=again, **options
        )  # fmt: skip

    with Ledger.open(path, purpose="test") as ledger:
        try:
            return asyncio.run(go()), wire.asked
        except CoordevalError as error:
            return error, wire.asked


def stored(path, table):
    columns = f"* EXCLUDE ({', '.join(TABLES[table])})" if TABLES[table] else "*"
    return read(path).query(f"SELECT {columns} FROM {table} ORDER BY ALL")


def same_rows(one, other, tables=TABLES):
    for table in tables:
        assert stored(one, table).equals(stored(other, table)), table


def told(statement):
    """The statement without the moment of its listing."""
    return {name: value for name, value in statement.as_json().items() if name != "started_at"}


def count(path, table):
    return read(path).query(f"SELECT count(*) FROM {table}").item()


@pytest.fixture
def paths(tmp_path: Path):
    return tmp_path / "one" / "ledger.duckdb", tmp_path / "other" / "ledger.duckdb"


def test_a_pull_stores_every_market_of_the_window_with_its_outcome_facts_and_refusals(paths):
    plain = World()
    broken = plain.within()[3]
    world = World(changes={broken: {"question": 7}})
    statement, _ = pulled(paths[0], world)
    truths = {(truth := world.truth(i)).condition_id: truth for i in world.within() if i != broken}
    markets = {row["market_id"]: row for row in stored(paths[0], "markets").to_dicts()}
    assert markets.keys() == truths.keys()
    outcomes = {row["market_id"]: row for row in stored(paths[0], "outcomes").to_dicts()}
    for market_id, truth in truths.items():
        assert outcomes[market_id]["value"] == truth.value, truth
        assert (outcomes[market_id]["status"] == "resolved") == (truth.value is not None), truth
        assert orjson.loads(outcomes[market_id]["evidence"])["closed"] is True
    together = {truth.event: {markets[t.condition_id]["event_id"] for t in truths.values() if t.event == truth.event}
                for truth in truths.values()}  # fmt: skip
    assert all(len(ids) == 1 for ids in together.values()), "the legs of an event share its id"
    facts = stored(paths[0], "venue_facts")
    assert set(facts["market_id"]) == truths.keys()
    assert facts.filter(pl.col("closed_at").is_null() | ~pl.col("closed_at").is_between(AFTER, BEFORE)).is_empty()
    [refused] = stored(paths[0], "refused_rows").to_dicts()
    assert orjson.loads(Path(refused["kept"]).read_bytes())["question"] == 7
    assert (statement.kept, dict(statement.refused)) == (len(truths), {refused["reason"]: 1})
    assert statement.rows == statement.kept + sum(statement.passed_over.values()) + 1
    [row] = read(paths[0]).query("SELECT * FROM pulls").to_dicts()
    assert row["ended"]
    assert orjson.loads(row["statement"]) == orjson.loads(orjson.dumps(statement.as_json()))


@pytest.mark.parametrize("days", [0, TWO_HOURS], ids=["without prices", "with prices"])
@pytest.mark.parametrize("cut_after", [1, 3, 40])
def test_a_stopped_pull_goes_on_and_ends_with_the_rows_and_statement_of_an_unbroken_one(paths, days, cut_after):
    world = World(1500 if not days else 300)
    whole, requests = pulled(paths[0], world, days=days)
    cut_after = min(cut_after, len(requests) - 2)
    stopped, before = pulled(paths[1], world, days=days, cut_after=cut_after)
    assert isinstance(stopped, FetchError)
    assert "goes on where it stopped" in str(stopped)
    if statements := read(paths[1]).query("SELECT statement FROM pulls")["statement"].to_list():
        assert orjson.loads(statements[0])["kept"] == count(paths[1], "markets"), "rows and statement go together"
    else:
        assert count(paths[1], "markets") == 0
    resumed, after = pulled(paths[1], world, days=days)
    assert told(resumed) == told(whole)
    same_rows(*paths)
    if not days:
        twice = Counter(before + after) - Counter(requests)
        assert sum("keyset" in url for url in twice.elements()) <= 1, "only the page that was cut is read again"


def test_under_faults_the_same_rows_come_byte_for_byte(paths):
    world, faults = World(), Faults(0.02, seed=7, seconds=0.0)
    clean, _ = pulled(paths[0], world, days=TWO_HOURS)
    faulty, _ = pulled(paths[1], world, days=TWO_HOURS, faults=faults)
    assert len(faults.injected) == len(faults.kinds), f"each kind must befall something: {faults.injected}"
    assert count(paths[0], "prices") > 1000
    assert told(faulty) == told(clean)
    same_rows(*paths)


def test_a_complete_window_is_not_asked_again(paths):
    first, asked = pulled(paths[0], days=TWO_HOURS)
    again, asked_again = pulled(paths[0], days=TWO_HOURS)
    assert len(asked) > 5
    assert asked_again == []
    assert again.as_json() == first.as_json()


def test_a_window_that_was_not_over_is_followed_up_with_the_overlap_each_time_it_is_pulled(paths):
    query = Query(after=AFTER, before=OPEN_END)
    statements = [pulled(paths[0], query=query)[0] for _ in range(3)]
    windows = [statement.query for statement in statements]
    assert windows[0] == query
    for earlier, later in zip(statements, windows[1:], strict=False):
        assert later == Query(after=earlier.started_at - OVERLAP, before=OPEN_END)
    assert count(paths[0], "pulls") == 3
    assert count(paths[0], "market_edits") == 0


def test_a_window_that_began_within_the_overlap_is_read_again_whole(paths):
    query = Query(after=datetime.now(UTC) - timedelta(hours=1), before=OPEN_END)
    first, asked = pulled(paths[0], query=query)
    second, asked_again = pulled(paths[0], query=query)
    assert asked == asked_again
    assert second.started_at > first.started_at
    assert count(paths[0], "pulls") == 1


def test_a_market_that_is_edited_keeps_its_first_text_and_the_edit_is_kept_beside_it(paths):
    world = World()
    index = world.within()[0]
    market_id = world.truth(index).condition_id
    first = pulled(paths[0], world)[0]
    before = stored(paths[0], "markets")
    knowing = World(changes={index: {"description": "It resolved to Yes."}})
    wider = Query(after=AFTER, before=BEFORE + timedelta(seconds=1))
    for _ in range(2):
        assert pulled(paths[0], knowing, wider)[0].kept >= first.kept
    assert stored(paths[0], "markets").filter(pl.col("market_id").is_in(before["market_id"].to_list())).equals(before)
    [edit] = stored(paths[0], "market_edits").to_dicts()
    assert (edit["market_id"], edit["field"], edit["now"]) == (market_id, "description", "It resolved to Yes.")
    assert edit["first"] == before.filter(pl.col("market_id") == market_id)["description"].item()


STUDY = """
name = "touched"
replicates = 1
as_of = {{ fraction_of_life = 0.05 }}
configurations = ["market_price"]
[markets]
source = "ledger"
sample = "sample.json"
[model]
provider = "simulated"
"""


def test_a_changed_resolution_is_a_new_dated_row_and_the_audit_names_the_study_that_it_touches(paths, tmp_path: Path):
    world = World()
    index = next(i for i in world.within() if world.truth(i).value == 1)
    market_id = world.truth(index).condition_id
    pulled(paths[0], world)
    (tmp_path / "sample.json").write_bytes(orjson.dumps({"market_ids": [market_id]}))
    (tmp_path / "touched.toml").write_text(STUDY.format())
    loaded = load_study(tmp_path / "touched.toml")
    with Ledger.open(paths[0], purpose="test") as ledger:
        evaluation = open_evaluation(loaded, paths[0], ledger)
        plan(evaluation, pull(evaluation))
    assert audit(read(paths[0])).touched.is_empty()
    prices = orjson.dumps(list(reversed(orjson.loads(world.row(index)["outcomePrices"])))).decode()
    turned = World(changes={index: {"outcomePrices": prices}})
    pulled(paths[0], turned, Query(after=AFTER, before=BEFORE + timedelta(seconds=1)))
    found = audit(read(paths[0]))
    assert found.changed.select("market_id", "value").rows() == [(market_id, 1), (market_id, 0)]
    assert found.changed["recorded_at"].is_sorted()
    assert found.changed["recorded_at"].n_unique() == 2
    assert found.touched.select("name", "study_id", "markets").rows() == [("touched", loaded.id, 1)]
    assert read(paths[0]).query(f"SELECT value FROM current_outcomes WHERE market_id = '{market_id}'").item() == 0


def test_a_complete_window_that_is_read_again_stores_what_changed_and_asks_for_no_price_twice(paths):
    world = World(300)
    index = next(i for i in world.within() if world.truth(i).value == 1)
    market_id = world.truth(index).condition_id
    pulled(paths[0], world, days=TWO_HOURS)
    prices = orjson.dumps(list(reversed(orjson.loads(world.row(index)["outcomePrices"])))).decode()
    turned = World(300, changes={index: {"outcomePrices": prices}})
    assert pulled(paths[0], turned, days=TWO_HOURS)[1] == []
    _, asked = pulled(paths[0], turned, days=TWO_HOURS, again=True)
    assert asked
    assert not [url for url in asked if "prices-history" in url]
    found = audit(read(paths[0]))
    assert found.changed.select("market_id", "value").rows() == [(market_id, 1), (market_id, 0)]
    assert count(paths[0], "pulls") == 1
    assert pulled(paths[0], turned, days=TWO_HOURS)[1] == [], "and it is complete again"


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


def test_a_listing_that_was_read_without_prices_gets_them_when_they_are_asked_for(paths):
    pulled(paths[0], World(200))
    assert count(paths[0], "prices") == 0
    pulled(paths[0], World(200), days=TWO_HOURS)
    assert count(paths[0], "prices") > 0
    assert count(paths[0], "market_edits") == 0
    pulled(paths[1], World(200), days=TWO_HOURS)
    same_rows(*paths)


def nothing_stored(path):
    return all(count(path, table) == 0 for table in (*TABLES, "pulls"))


def test_a_dead_endpoint_is_named_and_nothing_is_stored(paths):
    error, _ = pulled(paths[0], cut_after=0)
    assert isinstance(error, FetchError)
    assert all(word in str(error) for word in ("Gamma", BASE, "the wire is cut", "run the same command again"))
    assert nothing_stored(paths[0])


def one_answer(body):
    async def answer(request):
        return Response(orjson.dumps(body), media_type="application/json")

    return Starlette(routes=[Route("/{rest:path}", answer)])


CHANGES = [
    # (what changed, payload, words that the message must hold)
    ("the list has another name", {"rows": []}, ["markets", "a list"]),
    ("the page is a list", [], ["(itself)", "an object"]),
    ("the list is text", {"markets": "none"}, ["markets", "a list", "none"]),
    ("the cursor is a number", {"markets": [], "next_cursor": 5}, ["next_cursor", "5"]),
    ("no row can be read", {"markets": [{"id": str(i)} for i in range(20)]}, ["not one of 20", "conditionId"]),
]


@pytest.mark.parametrize(("payload", "words"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_a_changed_schema_is_an_error_that_names_the_field_and_keeps_the_payload(paths, payload, words):
    error, _ = pulled(paths[0], app=one_answer(payload))
    assert isinstance(error, DataError)
    assert all(word in str(error) for word in words), str(error)
    assert list((paths[0].parent / "aside").iterdir()), "the payload is kept aside"
    assert nothing_stored(paths[0])


def test_a_schema_that_changes_in_the_middle_leaves_rows_and_statement_in_step(paths):
    world = World(900)
    gone = World(900, changes={i: {"conditionId": None} for i in world.within()})
    error, asked = pulled(paths[0], gone)
    assert "conditionId" in str(error)
    assert len(asked) > 1
    assert count(paths[0], "markets") == 0
    statement, _ = pulled(paths[0], world)
    assert statement.kept == count(paths[0], "markets") == len(world.within())


def test_a_window_without_markets_has_an_empty_statement(paths):
    query = Query(after=datetime(2010, 1, 1, tzinfo=UTC), before=datetime(2011, 1, 1, tzinfo=UTC))
    statement, _ = pulled(paths[0], query=query)
    assert (statement.kept, statement.ended) == (0, "last page")
    assert statement.rows == sum(statement.passed_over.values()) > 0
    assert count(paths[0], "markets") == 0
    assert count(paths[0], "pulls") == 1


def test_a_world_without_markets_has_an_empty_statement(paths):
    statement, _ = pulled(paths[0], app=one_answer({"markets": []}))
    assert (statement.rows, statement.pages, statement.ended) == (0, 1, "last page")


@pytest.mark.parametrize("venue", ["kalshi", "manifold", "metaculus"])
def test_other_venues_are_pulled_the_same_way(paths, venue, monkeypatch):
    monkeypatch.setenv("METACULUS_TOKEN", TOKEN)
    query = Query(after=datetime(2026, 1, 1, tzinfo=UTC), before=datetime(2026, 6, 1, tzinfo=UTC))
    options = {"query": query, "venue": venue, "base": f"{BASE}/{venue}", "days": 60.0}
    whole, _ = pulled(paths[0], app=venues_app(GeneratedVenues(60, page_limit=20)), **options)
    assert whole.kept == count(paths[0], "markets") == count(paths[0], "outcomes") > 20
    assert whole.rows == whole.kept + sum(whole.passed_over.values()) + sum(whole.refused.values())
    assert set(stored(paths[0], "markets")["source"]) == {venue}
    assert count(paths[0], "price_fetches") == whole.kept
    assert count(paths[0], "prices") > 100
    late = "SELECT count(*) FROM prices JOIN price_fetches USING (market_id) WHERE knowable_at > until"
    assert read(paths[0]).query(late).item() == 0
    stopped, _ = pulled(paths[1], app=venues_app(GeneratedVenues(60, page_limit=20)), cut_after=15, **options)
    assert isinstance(stopped, FetchError)
    faults = Faults(0.02, seed=3, kinds=("429", "500", "cut body", "error with 200", "html with 200"))
    resumed, _ = pulled(paths[1], app=venues_app(GeneratedVenues(60, page_limit=20), faults), **options)
    assert told(resumed) == told(whole)
    same_rows(*paths)
    _, asked = pulled(paths[0], app=venues_app(GeneratedVenues(60, page_limit=20)), **options)
    assert asked == []


def test_metaculus_without_a_token_says_where_to_get_one(paths, monkeypatch):
    monkeypatch.delenv("METACULUS_TOKEN", raising=False)
    error, asked = pulled(paths[0], venue="metaculus", app=venues_app())
    assert "METACULUS_TOKEN" in str(error)
    assert asked == []


FORECASTBENCH = ROOT.parent / "shared" / "data" / "forecastbench"


@pytest.mark.skipif(not FORECASTBENCH.is_dir(), reason=f"the recorded rounds are not here: {FORECASTBENCH}")
def test_forecastbench_rounds_come_from_their_files_and_a_second_time_nothing_changes(paths):
    with Ledger.open(paths[0], purpose="test") as ledger:
        words = pull_files(ledger, "forecastbench", FORECASTBENCH)
        first = {table: stored(paths[0], table) for table in ("markets", "outcomes", "prices", "market_edits")}
        again = pull_files(ledger, "forecastbench", FORECASTBENCH)
    assert "2025-10-26" in words
    assert "2026-03-01" in words
    assert all(", 0 new markets" in line for line in again.splitlines() if "new markets" in line)
    assert first["markets"].height == first["markets"]["market_id"].n_unique() > 100
    for table, rows in first.items():
        assert stored(paths[0], table).equals(rows), table
    assert set(read(paths[0]).query("SELECT DISTINCT value FROM outcomes WHERE status = 'resolved'")["value"]) == {0, 1}


@pytest.mark.parametrize("path", [None, "absent", "."], ids=["no path", "no folder", "a folder without rounds"])
def test_a_folder_that_holds_no_rounds_is_refused_with_what_it_must_hold(paths, tmp_path: Path, path):
    with Ledger.open(paths[0], purpose="test") as ledger, pytest.raises(CoordevalError, match="question_sets/"):
        pull_files(ledger, "forecastbench", tmp_path / path if path else None)


def test_the_legs_that_exclude_each_other_are_those_that_the_venue_names(paths):
    world = World()
    pulled(paths[0], world)
    markets = stored(paths[0], "markets")["market_id"].to_list()
    cell = {"study_id": "abcd", "configuration": "c", "replicate": 0, "as_of": BEFORE, "identity": "{}"}
    study = {"study_id": "abcd", "name": "all", "content": "{}", "source": "polymarket", "model": "m", "elements": "{}"}
    cells = [cell | {"market_id": market, "forecast_id": market} for market in markets]
    with Ledger.open(paths[0], purpose="test") as ledger:
        ledger.write_all({"studies": [study | {"simulated": False, "created_at": BEFORE}], "cells": cells})
    frame = questions_frame(read(paths[0]), "all")
    assert set(frame["market_id"]) == set(markets)
    groups: dict[str, set[str]] = {}
    for i in world.within():
        row = world.row(i)
        if row["conditionId"] in markets and row.get("negRiskMarketID"):
            groups.setdefault(row["negRiskMarketID"], set()).add(row["conditionId"])
    linked = propose_links(frame).table.filter(kind="exclusive").group_by("link_id").agg("market_id")
    assert {frozenset(legs) for legs in linked["market_id"]} == {frozenset(g) for g in groups.values() if len(g) > 1}
    assert linked.height > 20


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
