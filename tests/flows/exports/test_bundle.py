"""A study that was exported says the same without its ledger, byte for byte, and a folder that is not whole is refused."""

import csv
import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from coordeval.analysis.report.results import strict_json
from coordeval.flows.exports.bundle import BundleError, export_study, export_table, restored
from coordeval.flows.run.scoring import score
from coordeval.flows.run.telemetry import telemetry_of
from coordeval.ledger import read
from tests.flows.cli.conftest import coordeval, store  # noqa: F401  the fixture


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two studies; one is exported, and nothing of the other goes with it."""
    return store(tmp_path_factory.mktemp("out"), ("one", 4000), ("other", 5000))


@pytest.fixture(scope="module")
def study_id(ledger: Path) -> str:
    return read(ledger).study("one").study_id


@pytest.fixture(scope="module")
def folder(ledger: Path, study_id: str) -> Path:
    done = export_study(ledger, study_id, ledger.parent / "bundle", with_figures=False)
    assert done.rows["draws"] > 0
    return done.folder


def test_the_numbers_of_the_folder_are_those_of_the_ledger_byte_for_byte(ledger: Path, study_id: str, folder: Path):
    there = (folder / "results.json").read_text()
    assert there == strict_json(score(ledger, study_id).results())
    with restored(folder) as (path, found):
        assert found == study_id
        assert strict_json(score(path, found).results()) == there
        assert read(path).studies().height == 1


def test_report_from_a_folder_needs_no_ledger(folder: Path, coordeval, tmp_path: Path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    done = coordeval("report", "--from", folder, "--out", tmp_path / "again")
    assert done.status == 0, done
    assert (tmp_path / "again" / "results.json").read_bytes() == (folder / "results.json").read_bytes()
    assert not (tmp_path / "results").exists()
    assert "the folder holds one study" in coordeval("report", "one", "--from", folder).err


def test_the_dictionary_has_every_column_of_every_table(folder: Path):
    with (folder / "dictionary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    said = {(row["table"], row["column"]) for row in rows}
    files = sorted((folder / "tables").glob("*.parquet"))
    assert said == {(file.stem, column) for file in files for column in pl.read_parquet_schema(file)}
    meaning = {(row["table"], row["column"]): row["meaning"] for row in rows}
    assert meaning["forecasts", "attributed_micro_usd"] == "full price of what it used; null: a price is not known"
    assert meaning["draws", "attempt_id"] == "null: stored before attempts were"
    assert sum(map(bool, meaning.values())) > 40


def test_the_manifest_has_the_hash_of_every_file(folder: Path):
    manifest = json.loads((folder / "manifest.json").read_text())
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert set(manifest["files"]) == there - {"manifest.json"}
    assert "coordeval==" in (folder / "versions.txt").read_text()


def damaged(folder: Path, target: Path, how: str) -> None:
    shutil.copytree(folder, target)
    manifest = json.loads((target / "manifest.json").read_text())
    if how == "a table was changed":
        with (target / "tables" / "cells.parquet").open("ab") as file:
            file.write(b"x")
    elif how == "a table is gone":
        (target / "tables" / "cells.parquet").unlink()
    elif how == "a later form":
        (target / "manifest.json").write_text(json.dumps(manifest | {"form": "coordeval-study/9"}))
    elif how == "no manifest":
        (target / "manifest.json").unlink()
    else:
        (target / "manifest.json").write_text("{")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("a table was changed", "cells.parquet is not what was exported"),
        ("a table is gone", "cells.parquet is not what was exported"),
        ("a later form", "has the form 'coordeval-study/9'"),
        ("no manifest", "holds no exported study"),
        ("half a manifest", "holds no exported study"),
    ],
)
def test_a_folder_that_is_not_what_was_exported_is_refused(folder: Path, tmp_path: Path, how: str, words: str):
    damaged(folder, tmp_path / "copy", how)
    with pytest.raises(BundleError, match=words), restored(tmp_path / "copy"):
        pass


def test_a_folder_that_holds_something_is_not_written_into(ledger: Path, study_id: str, tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(BundleError, match="is not empty"):
        export_study(ledger, study_id, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("ending", ["csv", "parquet", "json"])
def test_the_leaderboard_alone_is_one_file(ledger: Path, study_id: str, tmp_path: Path, ending: str):
    file = tmp_path / f"board.{ending}"
    assert export_table(ledger, study_id, file) == 3
    if ending == "json":
        names = [row["configuration"] for row in json.loads(file.read_text())]
    else:
        table = pl.read_csv(file) if ending == "csv" else pl.read_parquet(file)
        names = table["configuration"].to_list()
        assert table.schema["dominated_by"] == (pl.String if ending == "csv" else pl.List(pl.String))
    assert set(names) == {"single_agent", "independent_ensemble", "market price"}


def test_another_ending_is_refused_by_name(ledger: Path, study_id: str, tmp_path: Path):
    with pytest.raises(BundleError, match=r"x\.xlsx: a leaderboard is written as \.csv, \.parquet or \.json"):
        export_table(ledger, study_id, tmp_path / "x.xlsx")


def test_what_agents_did_together_goes_with_it(folder: Path, ledger: Path, study_id: str):
    told = pl.read_parquet(folder / "coordination.parquet")
    assert told.equals(telemetry_of(read(ledger), study_id))
    assert pl.read_csv(folder / "coordination.csv").height == told.height == 16, "two configurations that ask, 8 markets"


def test_the_measures_of_groups_are_in_the_results(folder: Path):
    groups = json.loads((folder / "results.json").read_text())["groups"]
    told = {(row["configuration"], row["measure"]): row for row in groups["scaling"]}
    assert told["independent_ensemble", "overhead"]["estimate"] > 1, "three agents make more calls than one"
    assert told["independent_ensemble", "message_density"]["estimate"] == 0, "nobody is shown what another said"
    assert all(row["estimate"] is not None or row["reason"] for part in groups.values() if part for row in part)
    assert "How many agents several are worth" in (folder / "report.html").read_text()
