"""The names and ids that commands want are listed, and every command takes a file, a name or a hash alike."""

import json
import os
from pathlib import Path

import duckdb
import pytest

from coordeval.flows.study.study import load_study
from coordeval.ledger import read
from tests.flows.cli.conftest import store


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two studies called twin, one called lone, which has a failed and an open forecast."""
    folder = tmp_path_factory.mktemp("studies")
    path = store(folder, ("twin", 4000), ("twin", 3000), ("lone", 2000))
    with duckdb.connect(path) as con:
        own = f"forecast_id IN (SELECT forecast_id FROM cells WHERE study_id = '{load_study(folder / 'lone-2000.toml').id}')"
        pick = f"SELECT forecast_id FROM forecasts WHERE {own} AND configuration = 'single_agent' ORDER BY market_id"
        broken = f"probability = NULL, status = 'failed', reason = 'no [answer]' WHERE forecast_id = ({pick} LIMIT 1)"
        con.execute(f"UPDATE forecasts SET {broken}")
        con.execute(f"DELETE FROM forecasts WHERE forecast_id = ({pick} LIMIT 1 OFFSET 1)")
    return path


@pytest.fixture(autouse=True)
def _in_use(ledger, monkeypatch):
    monkeypatch.setenv("COORDEVAL_LEDGER", str(ledger))


def ids(ledger: Path, name: str) -> list[str]:
    return [row["study_id"] for row in read(ledger).studies().to_dicts() if row["name"] == name]


def test_studies_are_listed_with_hash_progress_and_marks(coordeval, ledger):
    done = coordeval("studies")
    assert done.status == 0
    [line] = [line for line in done.out.splitlines() if "lone" in line]
    assert ids(ledger, "lone")[0][:8] in line
    assert line.split()[-4:] == ["22", "1", "1", "SIMULATED"]
    rows = json.loads(coordeval("studies", "--json").out)
    assert [row["name"] for row in rows] == ["lone", "twin", "twin"], "the last used first"
    assert {"answered": 22, "failed": 1, "open": 1, "cells": 24, "simulated": True}.items() <= rows[0].items()
    assert rows[0]["study_id"] == ids(ledger, "lone")[0]


def test_forecasts_are_listed_with_the_id_that_a_certificate_wants(coordeval):
    rows = json.loads(coordeval("forecasts", "lone", "--json").out)
    assert len(rows) == 24
    answered = next(row for row in rows if row["status"] == "answered" and row["configuration"] == "single_agent")
    assert answered["market_id"] in coordeval("certificate", answered["forecast_id"][:8]).out
    assert json.loads(coordeval("certificate", answered["forecast_id"], "--json").out)["market_id"] == answered["market_id"]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--status", "failed"], 1),
        (["--status", "open"], 1),
        (["--status", "answered"], 22),
        (["--configuration", "market_price"], 8),
        (["--configuration", "market_price", "--status", "failed"], 0),
    ],
)
def test_forecasts_can_be_narrowed(coordeval, options, count):
    done = coordeval("forecasts", "lone", *options)
    assert done.status == 0
    assert f"{count} of {count} forecasts" in done.out
    rows = json.loads(coordeval("forecasts", "lone", *options, "--json").out)
    assert len(rows) == count
    market = rows[0]["market_id"] if rows else None
    if market:
        own = json.loads(coordeval("forecasts", "lone", *options, "--market", market, "--json").out)
        assert {row["market_id"] for row in own} == {market}


def test_a_failed_forecast_stands_with_its_reason_as_it_was_written(coordeval):
    assert "no [answer]" in coordeval("forecasts", "lone", "--status", "failed").out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--status", "broken"], ["unknown status 'broken'", "answered", "failed", "open"]),
        (["--configuration", "voting"], ["'voting'", "independent_ensemble", "market_price", "single_agent"]),
        (["--market", "zz"], ["--market 'zz'", "no market"]),
    ],
)
def test_what_a_study_does_not_have_is_named_with_what_it_has(coordeval, options, words):
    done = coordeval("forecasts", "lone", *options)
    assert done.status == 1
    assert all(word in done.err for word in words), done.err


COMMANDS = ["report", "control", "leaks", "forecasts", "plan"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_study_is_meant_by_file_name_or_hash_alike(coordeval, ledger, command):
    [study] = ids(ledger, "lone")
    said = {
        coordeval(command, asked, "--json").out for asked in ("lone", ledger.parent / "lone-2000.toml", study, study[:6])
    }
    assert len(said) == 1
    assert json.loads(said.pop())


@pytest.mark.parametrize("command", [*COMMANDS, "compare lone"])
def test_two_studies_of_one_name_are_told_apart(coordeval, ledger, command):
    done = coordeval(*command.split(), "twin")
    assert done.status == 1
    assert done.err.startswith("error: 2 studies are called 'twin': ")
    for study in ids(ledger, "twin"):
        assert study[:8] in done.err
    assert "24 of 24 forecasts" in done.err
    assert "Give the beginning of one hash" in done.err


@pytest.mark.parametrize("asked", ["third", "", "%", "'", "../lone", "ffffffff"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_study_that_is_not_there_is_answered_with_those_that_are(coordeval, command, asked):
    done = coordeval(command, asked)
    assert done.status == 1
    assert f"there is no study {asked!r}" in done.err
    assert "lone" in done.err


@pytest.mark.parametrize("command", ["report", "control", "leaks", "forecasts"])
def test_a_file_that_has_not_run_says_what_runs_it_and_what_is_stored_under_its_name(coordeval, ledger, tmp_path, command):
    path = tmp_path / "lone.toml"
    path.write_text((ledger.parent / "lone-2000.toml").read_text().replace("count = 8", "count = 9"))
    done = coordeval(command, path)
    assert done.status == 1
    assert f"`coordeval run {path}` runs it" in done.err
    assert ids(ledger, "lone")[0][:8] in done.err


def test_a_report_without_a_name_says_of_which_study_it_is(coordeval, ledger):
    done = coordeval("report")
    assert done.out.startswith(f"of the study used last, lone ({ids(ledger, 'lone')[0][:8]})")


def test_a_report_under_another_policy_has_a_folder_of_its_own(coordeval, ledger, tmp_path):
    pages = [
        json.loads(coordeval("report", "lone", *more, "--json").out)["page"] for more in ([], ["--policy", "fallback_half"])
    ]
    assert len(set(pages)) == 2
    assert json.loads((Path(pages[0]).parent / "results.json").read_text())["policy"] == "common"
    assert json.loads((Path(pages[1]).parent / "results.json").read_text())["policy"] == "fallback_half"
    elsewhere = json.loads(coordeval("report", "lone", "--out", tmp_path / "new" / "here", "--json").out)["page"]
    assert sorted(os.listdir(Path(elsewhere).parent)) == ["markets.csv", "report.html", "results.json"]


@pytest.mark.parametrize(
    "command",
    ["markets list", "markets sources", "markets audit", "markets sample --as-of source", "control lone", "leaks lone",
     "markets show MARKET"],
)  # fmt: skip
def test_a_result_can_be_had_as_json(coordeval, ledger, command):
    market = read(ledger).query("SELECT min(market_id) FROM markets").item()
    done = coordeval(*(market if part == "MARKET" else part for part in command.split()), "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out)


@pytest.mark.parametrize("command", ["", "report", "markets", "markets list", "study new", "selftest statistics", "studies"])
def test_h_is_help_everywhere(coordeval, command):
    done = coordeval(*command.split(), "-h")
    assert done.status == 0
    assert "Usage" in done.out


def test_the_version_and_completion_are_there(coordeval):
    import coordeval as package

    assert coordeval("--version").out == f"coordeval {package.__version__}\n"
    assert "--show-completion" in coordeval("--help").out


def test_a_trace_is_asked_by_the_start_of_an_id(coordeval):
    rows = json.loads(coordeval("forecasts", "lone", "--json").out)
    asked = next(r for r in rows if r["status"] == "answered" and r["configuration"] == "independent_ensemble")
    done = coordeval("trace", asked["forecast_id"][:12])
    assert (done.status, "forecaster 3" in done.out, "Nobody was shown what another said" in done.out) == (0, True, True)
    told = json.loads(coordeval("trace", asked["forecast_id"], "--json").out)
    assert [step["role"] for step in told["steps"]][:1] == ["forecaster"]
    assert told["market_id"] == asked["market_id"]
    assert "it is a difference of probabilities" in coordeval("trace", asked["forecast_id"], "--tolerance", "2").err
    assert "there is no forecast 'ffffffff'" in coordeval("trace", "ffffffff").err


def test_telemetry_is_printed_written_and_told_as_json(coordeval, tmp_path):
    done = coordeval("telemetry", "lone")
    assert (done.status, "independent_ensemble" in done.out, "useless" in done.out) == (0, True, True)
    assert max(map(len, done.out.splitlines())) <= 80
    rows = json.loads(coordeval("telemetry", "lone", "--json").out)
    assert {row["configuration"] for row in rows} == {"single_agent", "independent_ensemble"}
    assert all(row["reason"] for row in rows if row["configuration"] == "single_agent"), "one agent has no spread"
    assert json.loads(coordeval("telemetry", "lone", "--anew", "--json").out) == rows, "what is stored is what is computed"
    assert coordeval("telemetry", "lone", tmp_path / "rows.csv").status == 0
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == len(rows) + 1
    assert "a table is written as .csv" in coordeval("telemetry", "lone", tmp_path / "rows.xlsx").err


def test_planted_drift_is_counted(coordeval):
    told = json.loads(coordeval("selftest", "drift", "--conversations", "5", "--json").out)
    assert (told["clean"], told["false_alarms"], len(told["planted"])) == (5, 0, 6)
    assert coordeval("selftest", "drift", "--conversations", "0").status == 1


def test_a_planted_error_is_followed_by_topology(coordeval):
    told = json.loads(coordeval("selftest", "cascade", "--markets", "50", "--json").out)
    assert told[0]["topology"] == "alone"
    assert told[0]["infected"] == 0
    assert "give 3 agents" in coordeval("selftest", "cascade", "--agents", "2").err
