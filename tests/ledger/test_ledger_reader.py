"""What readers are given."""

from datetime import timedelta

import duckdb
import ledger_rows as rows
import polars as pl
import pytest

from coordeval.ledger import LedgerError, read

COLUMNS = """
    arm
    configuration market_id question event_id category replicate status probability reason outcome outcome_status
    market_price cost_usd paid_usd input_tokens output_tokens total_tokens model_calls tool_calls
    seconds call_graph simulated as_of
"""


@pytest.fixture
async def reader(ledger):
    """Three cells: answered, failed, pending; the third market has no outcome."""
    ledger.write_all(
        {
            "markets": [rows.market(f"m{i}") for i in (1, 2, 3)],
            "outcomes": [rows.outcome("m1"), rows.outcome("m2", status="voided", value=None, reason="cancelled")],
            "studies": [rows.study()],
            "cells": [rows.cell(f"f{i}", market_id=f"m{i}") for i in (1, 2, 3)],
        }
    )
    await ledger.put_cell(rows.whole_cell("f1"))
    await ledger.put_cell(rows.whole_cell("f2", market_id="m2", **rows.FAILED | {"attributed_micro_usd": None}))
    ledger.flush()
    return read(ledger.path)


def test_no_ledger_there(tmp_path):
    with pytest.raises(LedgerError, match=r"no ledger at .*none\.duckdb.*coordeval run"):
        read(tmp_path / "none.duckdb")


def test_the_forecast_frame_has_a_row_per_cell_whatever_became_of_it(reader):
    frame = reader.forecast_frame("first")
    assert frame.columns == COLUMNS.split()
    assert frame.schema["outcome"] == pl.Int8
    assert frame["status"].to_list() == ["answered", "failed", "pending"]
    assert frame["probability"].to_list() == [0.7, None, None]
    assert frame["reason"].to_list() == [None, "overloaded", None]
    assert frame["outcome"].to_list() == [1, None, None]
    assert frame["outcome_status"].to_list() == ["resolved", "voided", None]
    assert frame["cost_usd"].to_list() == [2.0, None, None]  # an unknown price is not 0
    assert frame["paid_usd"].to_list() == [0.5, 0.5, None]
    assert frame["input_tokens"].to_list() == [17, 17, None]
    assert frame["simulated"].to_list() == [True] * 3
    assert frame["as_of"].to_list() == [rows.T0] * 3


def test_studies_with_their_progress(reader):
    [study] = reader.studies().to_dicts()
    assert (study["name"], study["cells"], study["answered"], study["failed"]) == ("first", 3, 1, 1)


def test_a_study_is_found_by_name_or_by_the_beginning_of_its_id(ledger):
    later = rows.T0 + timedelta(days=1)
    studies = [rows.study("abcd11"), rows.study("abcd22", created_at=later), rows.study("ffff33", name="second")]
    ledger.write("studies", studies)
    reader = read(ledger.path)
    assert reader.study("first").study_id == "abcd22", "the newest of that name"
    assert reader.study("ffff").name == "second"
    assert reader.study("ffff").content == {"model": "m"}
    with pytest.raises(LedgerError, match=r"'abcd' is ambiguous.*first \(abcd22\), first \(abcd11\)"):
        reader.study("abcd")
    with pytest.raises(LedgerError, match=r"no study 'third'.*second \(ffff33\)"):
        reader.study("third")
    ledger.write("runs", [rows.run(study_id="abcd11", started_at=later + timedelta(days=1))])
    assert reader.study("first").study_id == "abcd11", "a study that was run again is the one in use"


def test_a_ledger_without_studies_says_so(ledger):
    with pytest.raises(LedgerError, match="no study yet"):
        read(ledger.path).study("any")


def test_parameters_by_position_and_by_name(reader):
    assert reader.query("SELECT count(*) FROM markets WHERE market_id = ?", ["m1"]).item() == 1
    assert reader.query("SELECT count(*) FROM markets WHERE market_id = $id", {"id": "m2"}).item() == 1


def test_a_reader_cannot_write(reader):
    with pytest.raises(duckdb.InvalidInputException, match="read-only"):
        reader.query("DELETE FROM markets")


def test_every_table_goes_to_parquet(reader, tmp_path):
    directory = tmp_path / "it's out"
    files = reader.export_parquet(directory)
    assert {"forecasts", "draws", "outcomes", "migrations"} <= {file.stem for file in files}
    assert pl.read_parquet(directory / "forecasts.parquet").height == 2
    assert pl.read_parquet(directory / "markets.parquet").equals(reader.query("SELECT * FROM markets"))
