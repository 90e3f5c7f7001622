"""`coordeval audit` on a stored study: the table, the rows behind a finding, JSON, and the exit status."""

import json
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from coordeval.flows.cli.main import app
from coordeval.flows.dashboard.facts import Facts
from coordeval.flows.dashboard.pages.audit import PAGE
from coordeval.flows.dashboard.pages.page import Asked
from coordeval.flows.dashboard.view import View
from coordeval.flows.run.auditing import audit_study
from coordeval.flows.run.scoring import score
from coordeval.ledger import read
from tests.flows.cli.conftest import store


@pytest.fixture(scope="module")
def ledger(tmp_path_factory) -> Path:
    return store(tmp_path_factory.mktemp("audited"), ("small", 2000))


def audited(*arguments: object):
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["audit", *map(str, arguments)])


def test_a_simulated_study_holds_no_error_and_is_labelled(ledger):
    done = audited("small", "--ledger", ledger)
    assert done.exit_code == 0, done.output
    assert "24 rules looked at 24 forecasts" in done.output
    assert "SIMULATED" in done.output
    found = audit_study(read(ledger), "small")
    assert {one.rule for one in found.looked if one.why} == {"empty_peers", "unsupported_claim"}  # nobody talks
    assert {finding.severity for finding in found.findings} <= {"note", "warning"}


@pytest.fixture(scope="module")
def damaged(ledger, tmp_path_factory) -> Path:
    """The same study, with tools that failed and a forecast that nobody made."""
    path = tmp_path_factory.mktemp("damaged") / "ledger.duckdb"
    path.write_bytes(ledger.read_bytes())
    with duckdb.connect(str(path)) as con:
        con.execute("UPDATE tool_calls SET error = true, items = 0 WHERE tool = 'search_evidence'")
        con.execute("DELETE FROM estimates WHERE forecast_id = (SELECT min(forecast_id) FROM estimates)")
    return path


def test_what_failed_in_silence_is_an_error_and_the_exit_status_says_so(damaged):
    done = audited("small", "--ledger", damaged)
    assert done.exit_code == 1
    assert "silent_fallback" in done.output
    assert "tool_never_useful" in done.output


@pytest.mark.parametrize(("severity", "status"), [("error", 1), ("warning", 1), ("note", 1), ("never", 0)])
def test_the_status_is_that_of_the_severity_asked_for(damaged, severity, status):
    assert audited("small", "--ledger", damaged, "--fail-on", severity).exit_code == status


def test_every_row_behind_a_finding_can_be_opened(damaged):
    done = audited("small", "--ledger", damaged, "--rows", "silent_fallback", "--fail-on", "never")
    assert "answered" in done.output
    command = next(line for line in done.output.splitlines() if "to look at one" in line)
    forecast = command.split()[-1]
    opened = CliRunner().invoke(app, ["certificate", forecast, "--ledger", str(damaged)])
    assert forecast in opened.output


def test_json_holds_findings_rows_and_what_looked(damaged):
    values = json.loads(audited("small", "--ledger", damaged, "--json").stdout)
    assert values["worst"] == "error"
    [failed] = [one for one in values["findings"] if one["rule"] == "tool_failed"]
    assert failed["count"] == failed["of"] == failed["n_rows"]
    assert {"rule", "severity", "looks_for", "findings", "why", "stage"} == set(values["looked"][0])


def test_an_unknown_rule_is_an_error_that_names_the_rules(damaged):
    done = audited("small", "--ledger", damaged, "--rows", "nonesuch")
    assert done.exit_code == 1
    assert "silent_fallback" in str(done.exception)


def test_a_folder_goes_with_a_dataset(ledger, tmp_path):
    done = audited("small", tmp_path, "--ledger", ledger)
    assert "a folder goes with the name of a dataset" in str(done.exception)


def test_a_forecast_is_diagnosed_by_the_start_of_its_id(damaged):
    [forecast, *_] = read(damaged).query("SELECT forecast_id FROM forecasts WHERE tool_calls > 0 ORDER BY 1")["forecast_id"]
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["diagnose", forecast[:10], "--ledger", str(damaged)])
    assert done.exit_code == 0, done.output
    assert "most probable first cause: " in done.output
    assert forecast[:12] in done.output


@pytest.mark.parametrize("asked", ["ffffffffffff", "ab"])
def test_a_forecast_that_is_not_there_is_an_error(damaged, asked):
    done = CliRunner().invoke(app, ["diagnose", asked, "--ledger", str(damaged)])
    assert f"there is no forecast '{asked}'" in str(done.exception)


def test_the_report_and_its_results_hold_the_findings(damaged):
    report = score(damaged, "small")
    assert "silent_fallback" in report.html()
    values = report.results()["audit"]
    assert values["worst"] == "error"
    assert all(len(finding["rows"]) <= 20 for finding in values["findings"])
    kept = score(damaged, "small").results()["audit"]  # the second one is read back
    assert kept == values


def test_the_dashboard_s_page_leads_from_a_finding_to_its_forecasts(damaged):
    facts = Facts(damaged)
    try:
        shown = str(PAGE.layout(Asked(view=View(), facts=facts, dark=False)))
    finally:
        facts.close()
    assert "silent_fallback" in shown
    assert "/forecast" in shown
