"""A pull fills the ledger with every market of its window, whatever happens on the way, and asks for nothing twice."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import polars as pl
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from coordeval.analysis.linked.links import propose_links
from coordeval.flows.markets.listing import audit
from coordeval.flows.markets.pulling import OVERLAP
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.study.evaluation import open_evaluation
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, read
from coordeval.ledger.questions import questions_frame
from coordeval.market_data.errors import DataError
from coordeval.market_data.http import FetchError
from coordeval.market_data.standin import Faults
from coordeval.market_data.venues import Query
from tests.flows.pulling_world import (
    AFTER,
    BASE,
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
from tests.thinned import first_of


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


@pytest.fixture(scope="module", params=first_of([TWO_HOURS, 0], ids=["with prices", "without prices"]))
def unbroken(tmp_path_factory, request):
    """A pull that nothing stopped: days of prices, its world, the ledger, its statement and its requests."""
    days, path = request.param, tmp_path_factory.mktemp("unbroken") / "ledger.duckdb"
    world = World(1500 if not days else 300)
    return (days, world, path, *pulled(path, world, days=days))


@pytest.mark.parametrize("cut_after", first_of([3, 1, 40]))
def test_a_stopped_pull_goes_on_and_ends_with_the_rows_and_statement_of_an_unbroken_one(unbroken, paths, cut_after):
    days, world, path, whole, requests = unbroken
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
    same_rows(path, paths[1])
    if not days:
        twice = Counter(before + after) - Counter(requests)
        assert sum("keyset" in url for url in twice.elements()) <= 1, "only the page that was cut is read again"


def test_under_faults_the_same_rows_come_byte_for_byte(paths):
    world, faults = World(600), Faults(0.02, seed=7, seconds=0.0)
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


def test_the_legs_that_exclude_each_other_are_those_that_the_venue_names(paths):
    world = World(600)
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
