"""What is stored, and that storing it again changes nothing."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import duckdb
import ledger_rows as rows
import polars as pl
import pytest

from coordeval.ledger import Ledger, LedgerError, LedgerWriteError, RowError, database, read, row_of, schema
from coordeval.ledger.journal import Journal
from coordeval.ledger.store import CELL_TABLES
from coordeval.ledger.tables import Tables
from coordeval.market_data.types import Document, Market, Outcome, PricePoint

BULK = {
    "markets": rows.market(),
    "prices": rows.price(),
    "documents": rows.document(),
    "outcomes": rows.outcome(),
    "studies": rows.study(),
    "runs": rows.run(),
    "cells": rows.cell(),
    "draws": rows.draw(),
    "attempts": {
        "attempt_id": "t",
        "payer": "f1",
        "request_id": "r",
        "model": "m",
        "worst_micro_usd": None,
        "asked_at": rows.T0,
        "ended": None,
        "reason": None,
    },
    "batches": {
        "wave_id": "w",
        "study_id": "a1b2c3",
        "batch_id": None,
        "created_at": rows.T0,
        "size": 1,
        "items": "[]",
        "ended_at": None,
    },
    "quotes": {"study_id": "a1b2c3", "quoted_at": rows.T0, "content": "{}"},
    "exams": {"model_key": "k", "examined_at": rows.T0, "model": "m", "passed": True, "content": "{}"},
    "days": {
        "job": "pull-markets",
        "study": "",
        "day": rows.T0.date(),
        "attempt": 1,
        "status": "started",
        "reason": "",
        "now_at": rows.T0,
        "started_at": rows.T0,
        "ended_at": None,
        "woken_by": "a test",
        "host": "h",
        "pid": 1,
        "version": "0",
    },
    "picks": {"study_id": "a1b2c3", "market_id": "m", "day": "2026-01-01", "as_of": rows.T0, "closes_at": rows.T0},
    "forecast_days": {
        "study_id": "a1b2c3",
        "day": "2026-01-01",
        "as_of": rows.T0,
        "listed": 1,
        "picked": 1,
        "left_out": "{}",
        "root": None,
        "size": None,
        "committed_at": None,
    },
    "commitment_leaves": {
        "study_id": "a1b2c3",
        "day": "2026-01-01",
        "position": 0,
        "forecast_id": None,
        "leaf": "{}",
    },
    "findings": {
        "finding_id": "x",
        "study_id": "a1b2c3",
        "kind": "k",
        "severity": "s",
        "detail": "",
        "created_at": rows.T0,
    },
    "pulls": {
        "pull_id": "p",
        "venue": "polymarket",
        "endpoint": "",
        "statement": "{}",
        "ended": False,
        "updated_at": rows.T0,
    },
    "refused_rows": {"pull_id": "p", "item": "i", "reason": "r", "detail": "d", "kept": ""},
    "venue_facts": {
        "market_id": "m",
        "venue": "polymarket",
        "volume": None,
        "closed_at": None,
        "facts": "{}",
        "seen_at": rows.T0,
    },
    "market_edits": {"market_id": "m", "field": "description", "first": "a", "now": "b", "seen_at": rows.T0},
    "price_fetches": {
        "market_id": "m",
        "source": "clob",
        "since": rows.T0,
        "until": rows.T0,
        "every": 600.0,
        "points": 0,
        "dropped": "{}",
        "reason": "",
        "fetched_at": rows.T0,
    },
    "evidence_searches": {
        "market_id": "m",
        "as_of": rows.T0,
        "provider": "mediawiki",
        "query": "q",
        "ranks_by_todays_index": True,
        "documents": "[]",
        "refusals": "[]",
        "requests": 1,
        "searched_at": rows.T0,
    },
    "instances": {"instance_id": "i", "tension": 0.8, "rotating": False, "content": "{}"},
    "views": {
        "view_id": "v",
        "market_id": "m",
        "as_of": rows.T0,
        "facts": "{}",
        "prices": "[]",
        "documents": "[]",
        "refusals": "[]",
    },
}


def count(ledger, table):
    return read(ledger.path).query(f"SELECT count(*) FROM {table}").item()


@pytest.mark.parametrize("table", BULK)
def test_the_same_rows_again_change_nothing(ledger, table):
    row = BULK[table]
    assert ledger.write(table, [row, row]) == 1, "the same row twice in one write is one row"
    before = read(ledger.path).query(f"SELECT * FROM {table}")
    assert ledger.write(table, [row]) == 0
    assert read(ledger.path).query(f"SELECT * FROM {table}").equals(before)


def test_the_outcome_that_was_stored_last_counts_also_where_the_clock_ran_backwards(ledger):
    late, early = rows.T0 + timedelta(days=1), rows.T0
    ledger.write("outcomes", [rows.outcome(value=0) | {"recorded_at": late}])
    assert ledger.write("outcomes", [rows.outcome(value=1) | {"recorded_at": early}]) == 1
    assert read(ledger.path).query("SELECT value FROM current_outcomes").item() == 1
    assert ledger.write("outcomes", [rows.outcome(value=1) | {"recorded_at": early}]) == 0


def test_every_bulk_table_is_tested_above():
    with duckdb.connect() as con:
        schema.migrate(con)
        assert set(Tables.of(con)) == {*BULK, *CELL_TABLES}


@pytest.mark.parametrize(
    ("table", "again", "column", "expected"),
    [
        ("markets", rows.market(question="Really?"), "question", ["Really?"]),
        ("runs", rows.run(status="completed") | {"ended_at": rows.T0}, "status", ["completed"]),
        ("cells", rows.cell(forecast_id="f2"), "forecast_id", ["f2"]),
        ("prices", rows.price(price=0.6), "price", [0.6]),  # a source corrected itself
        ("prices", rows.price(kind="last_trade"), "kind", ["last_trade", "mid"]),  # another series of prices
        ("prices", rows.price(knowable_at=None), "price", [0.5, 0.5]),  # not known when: another point
        (
            "studies",
            rows.study(created_at=rows.T0 + timedelta(days=1)),
            "created_at",
            [rows.T0],
        ),  # the first creation counts
        ("draws", rows.draw(reply="other", payer="f9"), "payer", ["f1"]),  # the first payer paid
    ],
)
def test_a_row_with_a_known_key(ledger, table, again, column, expected):
    ledger.write(table, [BULK[table]])
    ledger.write(table, [again])
    assert read(ledger.path).query(f"SELECT {column} FROM {table} ORDER BY 1")[column].to_list() == expected


def test_prices_without_a_known_time_are_not_doubled(ledger):
    for _ in range(2):
        ledger.write("prices", [rows.price(knowable_at=None)])
    assert count(ledger, "prices") == 1


def test_a_changed_outcome_is_a_new_row_and_the_newest_is_current(ledger):
    first, second = rows.outcome(value=1), rows.outcome(status="voided", value=None, reason="cancelled")
    for outcome in (first, first, second, second, first):  # back to the first: that is news as well
        ledger.write("outcomes", [outcome])
    history = read(ledger.path).query("SELECT status, value FROM outcomes ORDER BY recorded_at").rows()
    assert history == [("resolved", 1), ("voided", None), ("resolved", 1)]
    assert read(ledger.path).query("SELECT status, value FROM current_outcomes").rows() == [("resolved", 1)]


@pytest.mark.parametrize(
    ("table", "row", "message"),
    [
        (
            "prices",
            rows.price(price=1.5),
            r"table prices, row market_id='m1'.*price 1.5 breaks the rule \(price BETWEEN 0 AND 1\)",
        ),
        ("prices", rows.price(price=float("nan")), "price is nan: it must be a finite number"),
        ("prices", rows.price(price="0.5"), "price is '0.5': it must be a finite number"),
        ("outcomes", rows.outcome(value=2), r"row market_id='m1'.*value 2 breaks the rule"),
        ("outcomes", rows.outcome(value=True), "value is True: it must be a whole number"),
        ("markets", rows.market(question=None), "row market_id='m1'.*question is missing"),
        ("markets", rows.market(simulated=1), "simulated is 1: it must be True or False"),
        ("markets", rows.market(question="\ud800"), "surrogates not allowed"),
        ("markets", rows.market(resolved_at=rows.T0), "has no column resolved_at"),
        ("markets", rows.market(opened_at=datetime(2026, 1, 1)), "opened_at .*time zone"),  # noqa: DTZ001
        ("draws", rows.draw(micro_usd=2**63), "micro_usd is .* whole number"),
        ("cells", rows.cell(replicate=1.0), "replicate is 1.0: it must be a whole number"),
    ],
)
def test_a_bad_row_is_named_and_nothing_of_its_write_is_stored(ledger, table, row, message):
    with pytest.raises(RowError, match=message):
        ledger.write_all({"studies": [rows.study()], table: [BULK[table], row]})
    assert count(ledger, "studies") == count(ledger, table) == 0


def test_rows_that_need_more_memory_than_a_bulk_write_is_given_are_stored_all_the_same(ledger):
    """The limit is a bound for what can be bounded; one text of 80 MB cannot."""
    row = rows.document() | {"text": "0123456789" * 8_000_000}
    with database.connected(ledger.path, settings=database.BULK) as con, pytest.raises(duckdb.OutOfMemoryException):
        con.execute("INSERT INTO documents VALUES ('d', 'm', NULL, '', ?, '')", [row["text"]])
    assert ledger.write("documents", [row]) == 1
    assert read(ledger.path).query("SELECT length(text) FROM documents").item() == 80_000_000


def test_new_changed_and_equal_rows_of_one_write_are_told_apart(ledger):
    ledger.write("markets", [rows.market(f"m{i}") for i in range(4)])
    new = [rows.market("m9"), rows.market("m9", question="Last?")]
    assert ledger.write("markets", [rows.market("m0"), rows.market("m1", question="Edited?"), *new]) == 2
    stored = dict(read(ledger.path).query("SELECT market_id, question FROM markets ORDER BY 1").iter_rows())
    assert stored.keys() == {"m0", "m1", "m2", "m3", "m9"}
    assert (stored["m1"], stored["m9"]) == ("Edited?", "Last?")


def test_known_markets_are_those_that_are_stored_as_they_are(ledger):
    first = rows.market("m1", opened_at=rows.T0)
    ledger.write("markets", [first, rows.market("m2")])
    assert ledger.known_markets(["m1", "m3"]) == {"m1": first}
    assert ledger.known_markets(["m3"]) == ledger.known_markets([]) == {}


BAD_FORECASTS = [
    {"probability": 1.2},
    {"probability": None},  # answered, and no answer
    {"status": "failed", "probability": None},  # no reason given
    {"status": "failed", "probability": 0.5, "reason": "x"},  # a failure never stands at 0.5
    {"status": "maybe"},
    {"reason": "x"},  # answered, and a reason for failing
]


@pytest.mark.parametrize("changes", BAD_FORECASTS)
async def test_our_check_of_one_row_and_the_databases_agree(ledger, changes):
    with pytest.raises(RowError, match=r"table forecasts, row forecast_id='f1'.*breaks the rule"):
        await ledger.put_cell(rows.whole_cell(**changes))
    ledger.flush()
    assert count(ledger, "forecasts") == 0
    row = rows.forecast(**changes)
    with duckdb.connect(ledger.path) as con, pytest.raises(duckdb.ConstraintException):
        con.execute(f"INSERT INTO forecasts ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))


async def test_a_bad_row_in_a_cell_keeps_the_whole_cell_out(ledger):
    cell = rows.CellRows(forecast=rows.forecast(), calls=[rows.call()], estimates=[rows.estimate(probability=-0.1)])
    with pytest.raises(RowError, match=r"table estimates.*-0\.1"):
        await ledger.put_cell(cell)
    with pytest.raises(RowError, match="a row of forecast 'f2' came with the cell of 'f1'"):
        await ledger.put_cell(rows.CellRows(forecast=rows.forecast(), calls=[rows.call() | {"forecast_id": "f2"}]))
    ledger.flush()
    assert [count(ledger, table) for table in CELL_TABLES] == [0] * len(CELL_TABLES)


def test_a_journal_that_the_database_refuses_is_kept_and_not_blamed_on_the_disk(path):
    Ledger.open(path, purpose="making").close()
    journal = Journal(path.with_name("x.duckdb.journal"))
    journal.put_many([("draws", "d1", {"draw_id": "d1"})])  # past our checks, as an old version's row could be
    journal.close()
    with pytest.raises(LedgerWriteError, match=r"NOT NULL.*1 entries are safe in x\.duckdb\.journal.*report it"):
        Ledger.open(path, purpose="opening")
    assert journal.path.exists()


async def test_rows_of_a_cell_go_in_with_their_cell_only(ledger):
    with pytest.raises(LedgerError, match="put_cell"):
        ledger.write("calls", [rows.call()])
    with pytest.raises(LedgerError, match="put_cell"):
        await ledger.put("forecasts", rows.forecast())
    with pytest.raises(LedgerError, match="unknown table 'draw': it must be one of acts, attempts, batches, calls"):
        await ledger.put("draw", rows.draw())


@pytest.mark.parametrize("flush_between", [True, False], ids=["both stored", "both in the journal"])
async def test_a_retried_forecast_replaces_the_failed_one(ledger, flush_between):
    await ledger.put_cell(rows.whole_cell(calls=1, **rows.FAILED))
    await ledger.put_cell(rows.whole_cell("other"))
    if flush_between:
        ledger.flush()
    await ledger.put_cell(rows.whole_cell(calls=2))
    ledger.flush()
    reader = read(ledger.path)
    assert reader.query("SELECT status FROM forecasts ORDER BY forecast_id")["status"].to_list() == ["answered"] * 2
    for table, expected in {"calls": 2, "estimates": 2, "tool_calls": 1, "messages": 1}.items():
        assert reader.query(f"SELECT count(*) FROM {table} WHERE forecast_id = 'f1'").item() == expected
        assert reader.query(f"SELECT count(*) FROM {table} WHERE forecast_id = 'other'").item() == {1: 1, 2: 3}[expected]


async def test_hundreds_of_coroutines_put_at_once(ledger):
    await asyncio.gather(*(ledger.put("draws", rows.draw(f"d{i % 400}")) for i in range(500)))
    assert len(ledger.known_draws(["m1"])) == 400


async def test_a_cancelled_put_leaves_the_others_alone(ledger):
    puts = [asyncio.ensure_future(ledger.put("draws", rows.draw(f"d{i}"))) for i in range(10)]
    await asyncio.sleep(0)
    puts[3].cancel()
    done = await asyncio.gather(*puts, return_exceptions=True)
    assert [type(result) for result in done if result is not None] in ([], [asyncio.CancelledError])
    assert ledger.known_draws(["m1"]).keys() >= {f"d{i}" for i in range(10) if i != 3}


def test_several_event_loops_in_turn(ledger):
    for i in range(3):
        asyncio.run(ledger.put("draws", rows.draw(f"d{i}")))
    assert len(ledger.known_draws(["m1"])) == 3


async def test_flush_if_due_moves_rows_in_the_background(ledger):
    await ledger.put("draws", rows.draw())
    ledger.flush_if_due(60)
    assert count(ledger, "draws") == 0
    ledger.flush_if_due(0)
    for _ in range(500):
        if count(ledger, "draws"):
            break
        await asyncio.sleep(0.01)
    assert count(ledger, "draws") == 1


async def test_a_study_is_locked_by_its_first_forecast(ledger):
    ledger.write_all({"studies": [rows.study(), rows.study("ffff", name="other")], "cells": [rows.cell()]})
    reader = read(ledger.path)
    assert reader.study("first").locked_at is None
    await ledger.put_cell(rows.whole_cell())
    ledger.flush()
    locked = reader.study("first").locked_at
    assert locked is not None
    assert reader.study("other").locked_at is None
    ledger.write("studies", [rows.study()])
    assert reader.study("first").locked_at == locked
    ledger.write("cells", [rows.cell(study_id="ffff")])  # it shares the forecast that is there
    assert reader.study("other").locked_at is not None


async def test_what_is_known_includes_what_is_still_in_the_journal(ledger):
    ledger.write("draws", [rows.draw("old"), rows.draw("elsewhere", market_id="m2"), rows.draw("second", replicate=1)])
    await ledger.put("draws", rows.draw("new", payer="f2"))
    await ledger.put_cell(rows.whole_cell("f1"))
    await ledger.put_cell(rows.whole_cell("f2", **rows.FAILED))
    reply = '{"content":[]}'
    assert ledger.known_draws(["m1"], [0]) == {"old": (reply, "f1"), "new": (reply, "f2")}
    assert ledger.known_draws(["m1", "m2"]).keys() == {"old", "new", "second", "elsewhere"}
    assert ledger.known_draws([]) == ledger.known_draws(["m1"], []) == {}
    assert ledger.known_forecasts(["f1", "f2", "f3"]) == {"f1": ("answered", False), "f2": ("failed", True)}


async def test_what_a_study_has_spent(ledger):
    ledger.write_all({"studies": [rows.study()], "cells": [rows.cell("f1"), rows.cell("f2", replicate=1)]})
    assert ledger.spent_micro_usd("a1b2c3") == 0
    for draw in (
        rows.draw("a"),
        rows.draw("b", payer="f2"),
        rows.draw("c", payer="not ours"),
        rows.draw("d", micro_usd=None),
    ):
        await ledger.put("draws", draw)
    assert ledger.spent_micro_usd("a1b2c3") == 500


def test_market_data_go_in_and_markets_come_back_as_they_were(ledger):
    east = timezone(timedelta(hours=-5))
    market = Market(
        id="m1", source="s", event_id="e", simulated=True, question="q", opened_at=datetime(2026, 1, 1, tzinfo=east)
    )
    ledger.write_all(
        {
            "markets": [row_of(market)],
            "outcomes": [row_of(Outcome(market_id="m1", status="resolved", value=0, resolved_at=None))],
            "prices": [row_of(PricePoint(market_id="m1", knowable_at=None, price=1.0, kind="mid"))],
            "documents": [row_of(Document(market_id="m1", knowable_at=None, title="t", text="nul \0 ✓", source="s"))],
        }
    )
    reader = read(ledger.path)
    assert reader.markets_for("s") == [market]
    assert reader.query("SELECT text FROM documents").item() == "nul \0 ✓"
    opened = reader.query("SELECT opened_at FROM markets")
    assert opened.schema["opened_at"] == pl.Datetime("us", "UTC")
    assert opened.item() == datetime(2026, 1, 1, 5, tzinfo=UTC)


async def test_after_a_clean_close_only_the_ledger_is_left(path):
    ledger = Ledger.open(path, purpose="closing")
    await ledger.put("draws", rows.draw())
    ledger.close()
    ledger.close()
    assert {file.name for file in path.parent.iterdir()} <= {path.name, f"{path.name}.lock"}
    with pytest.raises(LedgerError, match="closed; open it again"):
        await ledger.put("draws", rows.draw())
    with pytest.raises(LedgerError, match="closed; open it again"):
        ledger.write("markets", [rows.market()])


def test_what_fails_before_anything_is_stored_leaves_neither_file_nor_folder(tmp_path):
    path = tmp_path / "new" / "folder" / "l.duckdb"
    with pytest.raises(KeyError), Ledger.open(path, purpose="test"):
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "new").mkdir()
    Ledger.open(path, purpose="test").close()
    with pytest.raises(KeyError), Ledger.open(path, purpose="test"):
        raise KeyError
    assert path.is_file(), "what was there before stays"
