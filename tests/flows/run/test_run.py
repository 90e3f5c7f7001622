"""A run answers every cell once, goes on where it was, and shares what was paid for."""

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from coordeval.flows.cli.main import app
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import open_evaluation
from coordeval.flows.study.identity import changed_since
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, read
from coordeval.market_data.errors import CoordevalError, DataError
from tests.flows.conftest import ROOT, SMALL

pytestmark = pytest.mark.usefixtures("stored_is_made_again")


def run(study: Path, path: Path) -> int:
    """Every step but the report, in this process; returns how many cells were asked."""
    loaded = load_study(study)
    with Ledger.open(path, purpose="test") as ledger:
        evaluation = open_evaluation(loaded, path, ledger)
        made = plan(evaluation, pull(evaluation))

        asyncio.run(run_chunks(evaluation, made.chunks))
    return made.to_run


@pytest.fixture
def ledger_path(tmp_path: Path) -> Path:
    return tmp_path / "results" / "ledger.duckdb"


def test_every_cell_has_one_forecast_and_a_repeat_asks_nothing(study_file, ledger_path):
    assert run(study_file(), ledger_path) == 6 * 5 * 2
    frame = read(ledger_path).forecast_frame("small")
    assert frame.height == 60
    assert frame.select(pl.struct("configuration", "market_id", "replicate").n_unique()).item() == 60
    assert set(frame["status"]) <= {"answered", "failed"}
    draws = read(ledger_path).query("SELECT count(*) AS n FROM draws")["n"].item()
    assert run(study_file(), ledger_path) == 0
    assert read(ledger_path).query("SELECT count(*) AS n FROM draws")["n"].item() == draws


def test_configurations_that_begin_alike_share_their_first_round_and_each_is_charged_in_full(study_file, ledger_path):
    run(study_file(), ledger_path)
    reader = read(ledger_path)
    first_round = reader.query("""
        SELECT f.market_id, f.replicate, f.configuration, list(e.probability ORDER BY e.agent) AS said
        FROM estimates e JOIN forecasts f USING (forecast_id) WHERE e.role = 'forecaster' AND e.kind = 'estimate'
        GROUP BY ALL
    """)
    agreed = first_round.filter(pl.col("configuration") != "single_agent").group_by("market_id", "replicate")
    for _, group in agreed:
        complete = [said for said in group["said"].to_list() if len(said) == 3]
        assert all(said == complete[0] for said in complete)
    paid, attributed = reader.query("SELECT sum(paid_micro_usd), sum(attributed_micro_usd) FROM calls").row(0)
    spent = reader.query("SELECT sum(micro_usd) FROM draws").item()
    assert paid == spent < attributed


def test_a_study_that_adds_a_replicate_pays_for_the_new_one_only(study_file, ledger_path):
    run(study_file(("replicates = 2", "replicates = 1")), ledger_path)
    assert run(study_file(), ledger_path) == 6 * 5, "the cells of the first replicate are known by their hash"


def test_a_changed_file_is_another_study_and_says_in_what(study_file, ledger_path):
    run(study_file(), ledger_path)
    reader = read(ledger_path)
    assert changed_since(reader, load_study(study_file())) is None
    assert reader.study("small").locked_at is not None
    changed = study_file(
        ("replicates = 2", "replicates = 3"), ('"independent_ensemble"', '{ name = "independent_ensemble", agents = 5 }')
    )
    note = changed_since(reader, load_study(changed))
    assert "replicates: 2 → 3" in note
    assert "configurations.independent_ensemble.agents: (absent) → 5" in note
    assert changed_since(reader, load_study(study_file(('name = "small"', 'name = "other"')))) is None


def test_outcomes_reach_no_request(study_file, tmp_path: Path, monkeypatch):
    """Flip every outcome before anything is asked: not one byte that a model is sent may change."""
    sent = []
    for flip in (False, True):
        path = tmp_path / str(flip) / "ledger.duckdb"
        loaded = load_study(study_file())
        with Ledger.open(path, purpose="test") as ledger:
            evaluation = open_evaluation(loaded, path, ledger)
            market_ids = pull(evaluation)
            if flip:
                rows = read(path).query("SELECT * FROM current_outcomes").to_dicts()
                for row in rows:
                    del row["recorded_at"]
                    row["value"] = 1 - row["value"]
                ledger.write("outcomes", rows)
            made = plan(evaluation, market_ids)

            asyncio.run(run_chunks(evaluation, made.chunks))
        sent.append(read(path).query("SELECT draw_id, request FROM draws ORDER BY draw_id"))
        outcomes = read(path).query("SELECT market_id, value FROM current_outcomes ORDER BY market_id")
        sent[-1] = (sent[-1], outcomes)
    assert not sent[0][1].equals(sent[1][1]), "the outcomes were flipped"
    assert sent[0][0].equals(sent[1][0])


def test_documents_later_than_as_of_reach_no_request(study_file, ledger_path):
    run(study_file(), ledger_path)
    reader = read(ledger_path)
    late = reader.query("""
        SELECT d.text FROM documents d JOIN cells c USING (market_id)
        WHERE d.knowable_at IS NULL OR d.knowable_at > c.as_of GROUP BY d.text
    """)["text"].to_list()
    assert late, "the simulated world has late documents"
    requests = "\n".join(reader.query("SELECT request FROM draws")["request"])
    for text in late:
        assert json.dumps(text)[1:60] not in requests


def test_a_market_without_an_outcome_stops_the_run_before_anything_is_asked(study_file, ledger_path):
    loaded = load_study(study_file())
    with Ledger.open(ledger_path, purpose="test") as ledger:
        evaluation = open_evaluation(loaded, ledger_path, ledger)
        market_ids = pull(evaluation)
        row = {"market_id": market_ids[0], "status": "voided", "value": None, "reason": "cancelled", "resolved_at": None}
        ledger.write("outcomes", [row])
        with pytest.raises(DataError, match=rf"{market_ids[0]}.*has no outcome"):
            plan(evaluation, market_ids)
    assert read(ledger_path).query("SELECT count(*) FROM cells").item() == 0


def test_an_as_of_time_after_resolution_is_refused(study_file, ledger_path):
    with pytest.raises(DataError, match="is not before its resolution"):
        run(study_file(("replicates = 2", "replicates = 2\nas_of = 2099-01-01T00:00:00Z")), ledger_path)


def test_a_plugin_that_breaks_fails_its_own_cells_only(study_file, ledger_path, tmp_path: Path):
    source = (ROOT / "tests" / "flows" / "extreme_plugin.py").read_text()
    (tmp_path / "mine.py").write_text(source.replace("mean = fmean(", "mean = fmean(1 / 0 for _ in [0]) or fmean("))
    study = study_file(('"single_agent"', '"extreme"'), ("replicates = 2", 'replicates = 2\nplugins = ["mine.py"]'))
    run(study, ledger_path)
    frame = read(ledger_path).forecast_frame("small")
    broken = frame.filter(pl.col("configuration") == "extreme")
    assert set(broken["reason"]) == {"extreme raised ZeroDivisionError: division by zero"}
    assert broken["probability"].null_count() == broken.height == 12
    assert "answered" in frame.filter(pl.col("configuration") == "independent_ensemble")["status"].to_list()


SLOW = ("[markets]", "[run]\nconcurrent_cells = 4\n[markets]")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The ledger of a study that was not stopped, and beside it the study's file."""
    path = tmp_path_factory.mktemp("whole") / "ledger.duckdb"
    study = path.with_name("small.toml")
    study.write_text(SMALL.replace("count = 6", "count = 30").replace(*SLOW))
    run(study, path)
    return path


STOPS = [
    pytest.param(signal.SIGKILL, 2, id="kill -9"),
    pytest.param(signal.SIGINT, 1, id="Ctrl-C", marks=pytest.mark.proof),  # as in test_stopping
    pytest.param(signal.SIGTERM, 1, id="SIGTERM", marks=pytest.mark.proof),
]


@pytest.mark.parametrize(("stop", "times"), STOPS)
def test_a_stopped_run_goes_on_without_a_lost_doubled_or_twice_paid_forecast(whole, tmp_path: Path, stop, times):
    study, path = whole.with_name("small.toml"), tmp_path / "stopped" / "ledger.duckdb"
    command = [sys.executable, "-m", "coordeval", "run", str(study), "--inline", "--ledger", str(path)]
    for start in range(times):  # stopped in the middle each time
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            assert process.stdout is not None
            output = b""
            for line in process.stdout:
                output += line
                if line.startswith(b"forecasts"):
                    process.send_signal(stop)
                    break
            output += process.stdout.read()
        statuses = {signal.SIGKILL: -9, signal.SIGINT: 130, signal.SIGTERM: 143}
        assert process.returncode == statuses[stop], output.decode()
        assert (b"ended without a word" in output) == (stop == signal.SIGKILL and start > 0), "a killed run is named, once"
    done = CliRunner().invoke(app, command[3:])  # and then left alone
    assert done.exit_code == 0, done.output
    assert ("ended without a word" in done.output) == (stop == signal.SIGKILL)
    ends = {signal.SIGKILL: "lost", signal.SIGINT: "stopped", signal.SIGTERM: "stopped"}
    statuses = read(path).query("SELECT status FROM runs ORDER BY started_at")["status"].to_list()
    assert statuses == [ends[stop]] * times + ["complete"]
    columns = "forecast_id, probability, status, attributed_micro_usd"
    expected, got = (read(p).query(f"SELECT {columns} FROM forecasts ORDER BY forecast_id") for p in (whole, path))
    assert got.equals(expected)
    draws, total = read(path).query("SELECT count(*), sum(micro_usd) FROM draws").row(0)
    assert (draws, total) == read(whole).query("SELECT count(*), sum(micro_usd) FROM draws").row(0)
    for table in ("calls", "tool_calls", "estimates", "messages"):
        count = f"SELECT count(*) FROM {table}"
        assert read(path).query(count).item() == read(whole).query(count).item(), table


def test_a_live_study_without_a_key_says_so_before_any_work(study_file, ledger_path, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    study = study_file(('provider = "simulated"', 'provider = "anthropic"\nid = "claude-opus-4-6"'))
    with pytest.raises(CoordevalError, match="ANTHROPIC_API_KEY"):
        run(study, ledger_path)
