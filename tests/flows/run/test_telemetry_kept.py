"""Telemetry as rows of the ledger: made with the cell, replaced with it, read only by the definition that made it."""

import asyncio
import shutil

import duckdb
import pytest

from coordeval.analysis.talk.telemetry import DEFINITION
from coordeval.flows.notebook import run
from coordeval.flows.run.telemetry import recompute, telemetry_of, told
from coordeval.flows.verify import computed
from coordeval.ledger import CellRows, Ledger, read, schema

STUDY = """
name = "kept"
replicates = 1
configurations = ["peer_critique_debate", "market_price"]
[markets]
source = "simulated"
count = 2
[model]
provider = "simulated"
"""
STORED = "SELECT * FROM telemetry ORDER BY forecast_id, round"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    (folder / "kept.toml").write_text(STUDY)
    run(folder / "kept.toml", folder / "l.duckdb")
    return folder / "l.duckdb"


@pytest.fixture
def path(made, tmp_path):
    return shutil.copy(made, tmp_path / "l.duckdb")


def altered(path, sql):
    with duckdb.connect(path) as con:
        con.execute(sql)


def test_a_run_stores_what_is_computed_of_its_rows(made):
    rows = read(made).query(STORED)
    assert rows.select("forecast_id").n_unique() == 2, "the price asks nobody"
    assert rows["definition"].unique().to_list() == [DEFINITION]
    anew = telemetry_of(read(made), "kept", anew=True)
    assert anew.height == rows.height >= 4
    assert telemetry_of(read(made), "kept").equals(anew)


def test_what_is_stored_is_read_and_not_computed(path):
    altered(path, "UPDATE telemetry SET messages = 77")
    assert set(telemetry_of(read(path), "kept")["messages"]) == {77}
    assert 77 not in set(telemetry_of(read(path), "kept", anew=True)["messages"])


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE telemetry SET definition = 0, messages = 77",  # of an earlier version
        "DELETE FROM telemetry",
    ],
)
def test_what_is_not_stored_by_this_definition_is_computed_and_can_be_stored_anew(made, path, sql):
    expected = telemetry_of(read(made), "kept")
    altered(path, sql)
    assert telemetry_of(read(path), "kept").equals(expected)
    with Ledger.open(path, purpose="a test") as ledger:
        assert recompute(ledger, read(path), "kept") == expected.height
    assert read(path).query(STORED).equals(read(made).query(STORED))


def test_a_ledger_from_before_there_were_such_rows_has_them_too(made, tmp_path):
    path = tmp_path / "old.duckdb"
    before = [migration for migration in schema.load() if migration.number < 20]
    with duckdb.connect(path) as con:
        schema.migrate(con, before)
        con.execute(f"ATTACH '{made}' AS new (READ_ONLY)")
        for table in ("studies", "markets", "runs", "cells", "forecasts", "calls", "tool_calls", "estimates", "messages"):
            own = ", ".join(name for name, *_ in con.execute(f"DESCRIBE {table}").fetchall())
            con.execute(f"INSERT INTO {table} ({own}) SELECT {own} FROM new.{table}")
    expected = telemetry_of(read(made), "kept")
    assert telemetry_of(read(path), "kept").equals(expected)
    assert read(path).query(STORED).is_empty()
    with Ledger.open(path, purpose="a test") as ledger:
        recompute(ledger, read(path), "kept")
    assert read(path).query(STORED).equals(read(made).query(STORED))


def test_a_cell_that_is_made_again_takes_its_rows_with_it(path):
    forecast_id = read(path).query(STORED)["forecast_id"][0]
    [forecast] = read(path).query("SELECT * FROM forecasts WHERE forecast_id = ?", [forecast_id]).to_dicts()
    said = {
        "ask": 0,
        "agent": 0,
        "round": 0,
        "role": "r",
        "kind": "estimate",
        "probability": 0.5,
        "rationale": "",
        "reading": "",
    }
    with Ledger.open(path, purpose="a test") as ledger:
        asyncio.run(ledger.put_cell(told(CellRows(forecast=forecast, estimates=[said]))))
    rows = telemetry_of(read(path), "kept").filter(forecast_id=forecast_id)
    assert rows.select("round", "rounds", "asks", "calls").rows() == [(0, 1, 1, None)]


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("UPDATE telemetry SET spread = spread + 0.001 WHERE round = 0", "spread is stored as"),
        ("DELETE FROM telemetry WHERE round = 1", "rounds is stored as None, and its rows come to 3"),
        ("UPDATE estimates SET probability = probability / 2 WHERE round = 2", "is stored as"),
    ],
)
def test_rows_that_are_not_what_the_conversation_comes_to_are_found(path, sql, says):
    assert not computed.look(read(path), None).wrong
    altered(path, sql)
    part = computed.look(read(path), None)
    assert part.wrong == 2
    assert says in part.faults[0].says


def test_rows_of_another_definition_are_counted_and_not_held_against_this_one(path):
    altered(path, "UPDATE telemetry SET definition = 0, messages = 77")
    part = computed.look(read(path), None)
    assert (part.looked, part.wrong, part.not_looked.total()) == (0, 0, 6)
