"""A run has an honest end: its exit status, its row, and what it prints say the same."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from plotly.utils import PlotlyJSONEncoder
from typer.testing import CliRunner

from coordeval.analysis.base.numerals import usd
from coordeval.flows.cli.main import app
from coordeval.flows.dashboard.app import rendered
from coordeval.flows.dashboard.facts import Facts
from coordeval.ledger import Ledger, read
from coordeval.market_data.errors import CoordevalError
from tests.agents.messages_server import KEY, Answer, error, message
from tests.flows.run.test_live import LIVE, Forecaster

REFUSED = Answer(body=message(stop_reason="refusal"))


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    running = Forecaster()
    yield running
    running.stop()


def row(path: Path) -> dict:
    return read(path).query("SELECT * FROM runs ORDER BY started_at DESC LIMIT 1").to_dicts()[0]


@pytest.mark.parametrize(
    ("budget", "broken", "status", "exit_status", "counts", "says"),
    [
        ("budget_usd = 5", None, "complete", 0, (8, 0, 0), "complete: 8 forecasts, 8 answered"),
        ("budget_usd = 0.001", None, "incomplete", 3, (0, 0, 8), "raise budget_usd"),
        ("", REFUSED, "unanswered", 4, (0, 8, 0), "every forecast that asks a model has failed for good"),
    ],
    ids=["all there", "no budget for any", "all failed for good"],
)
def test_the_exit_status_the_row_and_the_words_agree(
    tmp_path: Path, server, budget, broken: Answer | None, status, exit_status, counts, says
):
    server.broken = broken
    study, path = tmp_path / "live.toml", tmp_path / "l.duckdb"
    study.write_text(LIVE.format(url=server.url, budget=budget))
    done = CliRunner().invoke(app, ["run", str(study), "--inline", "--yes", "--ledger", str(path)])
    assert done.exit_code == exit_status, done.output
    stored = row(path)
    assert stored["status"] == status
    assert tuple(stored[name] for name in ("answered", "failed", "open")) == counts
    assert stored["planned"] == 8
    assert says in " ".join(done.output.split())
    spent = read(path).query("SELECT coalesce(sum(micro_usd), 0) FROM draws").item()
    assert stored["paid_micro_usd"] == spent, "the markets are simulated, the model is paid for"
    assert ("coordeval run" in done.output) == (counts[2] > 0), "what takes open cells up"


def test_a_run_that_goes_on_counts_what_it_paid_apart_from_what_was_paid_before(tmp_path: Path, server):
    study, path = tmp_path / "live.toml", tmp_path / "l.duckdb"
    arguments = ["run", str(study), "--inline", "--yes", "--ledger", str(path)]
    paid = []
    for budget, status in (("0.1", 3), ("5", 0), ("5", 0)):
        study.write_text(LIVE.format(url=server.url, budget=f"budget_usd = {budget}"))
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == status, done.output
        paid.append(row(path)["paid_micro_usd"])
        assert row(path)["budget_micro_usd"] == float(budget) * 1e6
        before, now = sum(paid[:-1]) / 1e6, paid[-1] / 1e6
        assert f"${now:.2f} paid now" + (f", ${before:.2f} paid before" if before else "") in done.output
    assert paid[0] > 0
    assert paid[1] > 0
    assert paid[2] == 0, "a repeat pays nothing"
    assert sum(paid) == read(path).query("SELECT sum(micro_usd) FROM draws").item()
    listed = json.loads(CliRunner().invoke(app, ["runs", "--json", "--ledger", str(path)]).stdout)
    assert [one["budget_usd"] for one in listed] == [5, 5, 0.1]
    facts = Facts(path)
    page = json.dumps(rendered("/live", "", facts, dark=False, command=""), cls=PlotlyJSONEncoder)
    facts.close()
    assert f"{usd(sum(paid) / 1e6)} of $5.00 ({sum(paid) / 5e6:.0%}), all runs of the study together" in page


def test_a_server_that_takes_no_call_for_longer_than_the_patience_leaves_the_study_incomplete(tmp_path: Path, server):
    server.broken = error(529, "overloaded_error", "busy", retry_after="60")
    study, path = tmp_path / "live.toml", tmp_path / "l.duckdb"
    study.write_text(LIVE.format(url=server.url, budget="") + "[run]\npatience_minutes = 0.001\n")
    done = CliRunner().invoke(app, ["run", str(study), "--inline", "--yes", "--ledger", str(path)])
    assert done.exit_code == 3, done.output
    assert (row(path)["status"], row(path)["open"]) == ("incomplete", 8)
    assert "the server took no call" in row(path)["detail"]


def test_a_run_that_cannot_begin_leaves_no_ledger(tmp_path: Path, server, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    study = tmp_path / "live.toml"
    study.write_text(LIVE.format(url=server.url, budget=""))
    done = CliRunner().invoke(
        app, ["run", str(study), "--inline", "--yes", "--ledger", str(tmp_path / "results" / "l.duckdb")]
    )
    assert "ANTHROPIC_API_KEY" in str(done.exception)
    assert not (tmp_path / "results").exists()


def test_the_runs_of_a_ledger_are_listed_and_one_that_was_killed_is_lost(study_file, tmp_path: Path):
    path = tmp_path / "l.duckdb"
    CliRunner().invoke(app, ["run", str(study_file()), "--inline", "--yes", "--ledger", str(path)])
    old = {"run_id": "old", "study_id": "gone", "started_at": datetime(2026, 1, 1, tzinfo=UTC), "version": "0.0"}
    dead = {**old, "run_id": "dead", "started_at": datetime(2026, 1, 2, tzinfo=UTC)}
    with Ledger.open(path, purpose="test") as ledger:
        rows = [{**old, "status": "completed", "detail": ""}, {**dead, "status": "running", "detail": ""}]
        ledger.write("runs", rows)  # as they were stored before counts were kept
    listed = CliRunner().invoke(app, ["runs", "--json", "--ledger", str(path)])
    found = {row["run_id"]: row for row in json.loads(listed.stdout)}
    assert (found["old"]["status"], found["old"]["open"]) == ("completed", None)
    assert found["dead"]["status"] == "lost"
    (own,) = [row for row in found.values() if row["study"] == "small"]
    assert (own["status"], own["planned"], own["open"], own["paid_usd"]) == ("complete", 60, 0, 0)
    assert CliRunner().invoke(app, ["runs", "--ledger", str(path)]).exit_code == 0


def test_an_error_says_how_far_the_run_came_and_is_stored(tmp_path: Path, server):
    server.broken = error(401, "authentication_error", "invalid x-api-key")
    study, path = tmp_path / "live.toml", tmp_path / "l.duckdb"
    study.write_text(LIVE.format(url=server.url, budget=""))
    done = CliRunner().invoke(app, ["run", str(study), "--inline", "--yes", "--ledger", str(path)])
    assert isinstance(done.exception, CoordevalError)
    stored = row(path)
    assert (stored["status"], stored["planned"], stored["open"]) == ("error", 8, 8)
    assert "invalid x-api-key" in stored["detail"]
    assert "8 × not asked yet" in done.output


@pytest.mark.proof
def test_the_simulated_model_pays_nothing_and_says_so(study_file, tmp_path: Path):
    path = tmp_path / "l.duckdb"
    done = CliRunner().invoke(app, ["run", str(study_file()), "--inline", "--yes", "--ledger", str(path)])
    assert done.exit_code == 0, done.output
    assert "nothing paid ($" in done.output
    assert row(path)["paid_micro_usd"] == 0
