"""Calls that go out as batches: as many batches as the longest chain of calls, the same forecasts, half the price."""

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from coordeval.agents.standin import Faults, Running, StandIn
from coordeval.agents.standin.app import KEY
from coordeval.flows.cli.main import app
from coordeval.flows.run import guard
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import open_evaluation
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, read
from tests.thinned import first_of

STUDY = """
name = "batched"
replicates = 1
{budget}
configurations = ["single_agent", "independent_ensemble", "peer_critique_debate", "sequential_pipeline"]
[markets]
source = "simulated"
count = {count}
[model]
provider = "anthropic"
id = "claude-opus-4-6"
max_tokens = 500
base_url = "{url}"
[run]
batch = {batch}
"""
FORECASTS = "SELECT forecast_id, status, probability, call_graph FROM forecasts ORDER BY forecast_id"
CALLS = "SELECT forecast_id, ask, turn, draw_id, stop_reason, input_tokens FROM calls ORDER BY ALL"


@pytest.fixture
def standin(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    with Running(StandIn(Faults(), sampled=False)) as running:
        yield running


def study(folder: Path, url: str, *, count: int = 3, batch: bool = True, budget: str = "") -> Path:
    path = folder / "batched.toml"
    path.write_text(STUDY.format(url=url, count=count, batch=str(batch).lower(), budget=budget))
    return path


def run(file: Path, path: Path, *, until=None) -> list[str]:
    """Makes the forecasts; stops when `until(waves)` is true. Returns the study's warnings."""
    loaded = load_study(file)
    with Ledger.open(path, purpose="test") as ledger:
        evaluation = open_evaluation(loaded, path, ledger)
        if (waves := getattr(evaluation.model, "waves", None)) is not None:
            waves._first_look = 0.01
        made = plan(evaluation, pull(evaluation))

        async def main() -> None:
            running = asyncio.create_task(run_chunks(evaluation, made.chunks))
            while until is not None and not running.done() and not until(evaluation.model.waves):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            if until is not None:
                running.cancel()
            try:
                await running
            except asyncio.CancelledError:
                pass
            finally:
                await evaluation.model.aclose()

        guard.run(main())
    return loaded.warnings


def chain(path: Path) -> int:
    """Calls of the longest chain: of each round of a cell the most turns, summed."""
    return (
        read(path)
        .query(
            "SELECT max(depth) FROM (SELECT forecast_id, sum(turns) AS depth FROM "
            "(SELECT forecast_id, round, max(turn) + 1 AS turns FROM calls GROUP BY ALL) GROUP BY ALL)"
        )
        .item()
    )


def test_the_number_of_batches_is_the_longest_chain_of_calls_and_the_forecasts_are_those_of_a_live_run(tmp_path, standin):
    batched, live = tmp_path / "b.duckdb", tmp_path / "l.duckdb"
    run(study(tmp_path, standin.url), batched)
    assert len(standin.standin.batches.made) == chain(batched)
    assert not standin.standin.seen, "no call went out by itself"
    file = study(tmp_path, standin.url, batch=False)
    ran = CliRunner().invoke(app, ["run", str(file), "--inline", "--yes", "--ledger", str(live)])
    assert ran.exit_code == 0, ran.output
    for query in (FORECASTS, CALLS):
        assert read(batched).query(query).equals(read(live).query(query)), "a batch changes no reply"
    paid = "SELECT sum(micro_usd) FROM draws"
    assert read(batched).query(paid).item() == pytest.approx(read(live).query(paid).item() / 2, abs=200)
    assert read(batched).query("SELECT count(*) FROM draws WHERE batch_id IS NULL").item() == 0
    assert read(live).query("SELECT count(*) FROM draws WHERE batch_id IS NOT NULL").item() == 0


def test_more_markets_are_no_more_batches(tmp_path, standin):
    path = tmp_path / "b.duckdb"
    run(study(tmp_path, standin.url, count=12), path)
    assert len(standin.standin.batches.made) == chain(path) < 12


def test_items_that_expire_or_fail_are_asked_again_and_charged_nothing(tmp_path, standin):
    standin.standin.faults.rates = {"expired": 0.1, "errored": 0.1, "canceled": 0.1}
    path = tmp_path / "b.duckdb"
    run(study(tmp_path, standin.url), path)
    assert set(read(path).query("SELECT status FROM forecasts")["status"]) == {"answered"}
    injected = sum(standin.standin.faults.injected.values())
    assert injected
    refused = read(path).query("SELECT count(*) FROM attempts WHERE ended = 'refused'").item()
    assert refused == injected
    assert read(path).query("SELECT count(*) FROM attempts ANTI JOIN draws USING (attempt_id)").item() == refused


@pytest.mark.parametrize(("id_known", "then"), first_of([(False, True), (True, True), (True, False)]))
def test_a_run_that_stopped_takes_up_the_batches_that_it_had_sent(tmp_path, standin, id_known, then):
    """Also where the next run makes its own calls one by one (`then` is False)."""
    standin.standin.faults.batch_seconds = 1000
    made, path = standin.standin.batches.made, tmp_path / "b.duckdb"
    file = study(tmp_path, standin.url, budget="budget_usd = 1.5")
    under_way = "SELECT count(*) FROM batches WHERE batch_id IS NOT NULL"
    run(file, path, until=lambda waves: waves.sent)
    assert read(path).query(under_way).item() == 1
    first = next(iter(made.values()))
    if not id_known:  # killed between the endpoint's answer and the disk
        with Ledger.open(path, purpose="test") as ledger:
            row = read(path).query("SELECT * FROM batches").to_dicts()[0]
            ledger.write("batches", [row | {"batch_id": None}])
    standin.standin.faults.batch_seconds = first.ends = 0.0
    file = study(tmp_path, standin.url, batch=then, budget="budget_usd = 3")
    warnings = run(file, path)
    assert any(
        f"{len(first.items)} calls of earlier runs are in 1 batches; their replies are taken up" in w for w in warnings
    )
    assert set(read(path).query("SELECT status FROM forecasts")["status"]) == {"answered"}
    sent = sum(len(batch.items) for batch in made.values()) + len(standin.standin.seen)
    assert read(path).query("SELECT count(*) FROM draws").item() == sent, "nothing was paid twice"
    assert read(path).query("SELECT count(*) FROM attempts ANTI JOIN draws USING (attempt_id)").item() == 0
    assert run(file, path) == []


def test_a_batch_that_is_too_large_is_two_and_waits_where_the_endpoint_takes_none(tmp_path, standin, monkeypatch):
    monkeypatch.setattr("coordeval.agents.anthropic_batches.MessageBatches.most", 5)
    monkeypatch.setattr("coordeval.agents.waves.FIRST_WAIT", 0.01)
    standin.standin.faults.rates = {"529": 0.3}
    path = tmp_path / "b.duckdb"
    run(study(tmp_path, standin.url, count=4), path)
    assert {len(batch.items) for batch in standin.standin.batches.made.values()} <= set(range(1, 6))
    assert len(standin.standin.batches.made) > chain(path)
    assert standin.standin.faults.injected["529"]
    assert set(read(path).query("SELECT status FROM forecasts")["status"]) == {"answered"}


def test_a_budget_is_kept_at_batch_prices_and_goes_on_after_a_raise(tmp_path, standin):
    path = tmp_path / "b.duckdb"
    run(study(tmp_path, standin.url, budget="budget_usd = 0.1"), path)
    spent = read(path).query("SELECT sum(micro_usd) FROM draws").item()
    assert 0 < spent <= 100_000
    assert read(path).query("SELECT count(*) FROM forecasts WHERE status = 'failed' AND retryable").item()
    run(study(tmp_path, standin.url, budget="budget_usd = 5"), path)
    assert set(read(path).query("SELECT status FROM forecasts")["status"]) == {"answered"}


@pytest.mark.parametrize(
    ("provider", "options", "says"),
    [
        ('provider = "simulated"', ["--batch"], "takes no batches"),
        ('provider = "anthropic"\nid = "claude-opus-4-6"', ["--batch", "--on", "dask:2"], "run it without --on"),
    ],
)
def test_batches_where_there_can_be_none_are_refused(tmp_path, provider, options, says):
    file = tmp_path / "s.toml"
    head = 'name = "s"\nconfigurations = ["single_agent"]\n[markets]\nsource = "simulated"\n[model]\n'
    file.write_text(head + provider)
    ran = CliRunner().invoke(app, ["run", str(file), "--inline", "--yes", "--ledger", str(tmp_path / "l.duckdb"), *options])
    assert ran.exit_code == 1
    assert says in f"{ran.output}{ran.exception}"
