"""One window over the whole study: nobody waits for a slow market, and no cell is lost, whatever a configuration does."""

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from coordeval.agents.messages import Reply, Request, Slot
from coordeval.agents.simulated import InstantModel
from coordeval.flows.cli.main import app
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.window import Watch, run_chunks
from coordeval.flows.study.evaluation import Evaluation
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, read
from tests.flows.conftest import ROOT
from tests.flows.run.plugins import plugin
from tests.thinned import first_of


class OneIsSlow(InstantModel):
    """The first market is answered only after `others` forecasts of all other markets were stored."""

    def __init__(self) -> None:
        super().__init__()
        self.others_done = asyncio.Event()
        self.slow: str | None = None
        self.sent: list[tuple[str, int, int]] = []

    @property
    def identity(self) -> Mapping[str, Any]:
        return {**super().identity, "one": "is slow"}

    async def complete(self, request: Request, slot: Slot) -> Reply:
        self.slow = self.slow or slot.market_id
        self.sent.append((request.key, slot.replicate, slot.k))
        if slot.market_id == self.slow:
            await self.others_done.wait()
        await asyncio.sleep(0)
        return await super().complete(request, slot)


def test_a_chunk_without_cells_is_over_at_once(study_file, tmp_path: Path):
    loaded, path, over = load_study(study_file()), tmp_path / "l.duckdb", []

    async def on_chunk(number: int, wait: Any) -> None:
        await wait()
        over.append(number)

    with Ledger.open(path, purpose="test") as ledger:
        evaluation = Evaluation.start(loaded, path, ledger, InstantModel())
        cells = [cell for chunk in plan(evaluation, pull(evaluation)).chunks for cell in chunk][:2]
        asyncio.run(asyncio.wait_for(run_chunks(evaluation, [[], cells, []], watch=Watch(on_chunk=on_chunk)), 60))
    assert sorted(over) == [1, 2, 3]


def test_a_slow_market_holds_up_no_other_one_and_a_draw_that_two_cells_want_at_once_is_one_call(study_file, tmp_path: Path):
    loaded, path = load_study(study_file(("count = 6", "count = 60"))), tmp_path / "l.duckdb"
    model, chunks = OneIsSlow(), []
    with Ledger.open(path, purpose="test") as ledger:
        evaluation = Evaluation.start(loaded, path, ledger, model)
        made = plan(evaluation, pull(evaluation))
        assert len(made.chunks) == 10
        done = 0

        def on_forecast(row: Mapping[str, Any]) -> None:
            nonlocal done
            done += row["market_id"] != model.slow
            if done == 59 * 10:
                model.others_done.set()

        async def on_chunk(number: int, over: Any) -> None:
            await over()
            chunks.append(number)

        watch = Watch(on_forecast=on_forecast, on_chunk=on_chunk)
        asyncio.run(asyncio.wait_for(run_chunks(evaluation, made.chunks, watch=watch), 60))
    assert read(path).forecast_frame("small")["status"].to_list() == ["answered"] * 600
    assert sorted(chunks) == list(range(1, 11))
    assert chunks[-1] == 1, "the chunk of the slow market is over last"
    assert len(model.sent) == len(set(model.sent)), "no draw was asked for twice"


FAULTS = {
    "raises CancelledError": ("raise asyncio.CancelledError", "CancelledError"),
    "cancels its own task": ("asyncio.current_task().cancel()\nawait asyncio.sleep(0)", "CancelledError"),
    "calls os._exit": ("import os\nos._exit(0)", "SystemExit: os._exit(0)"),
    "raises SystemExit": ("raise SystemExit(0)", "SystemExit"),
    "raises KeyboardInterrupt": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "raises GeneratorExit": ("raise GeneratorExit", "GeneratorExit"),
    "forges NaN": ("f = panel.conclude(0.5)\nobject.__setattr__(f, 'probability', float('nan'))\nreturn f", ""),
    "forges two": ("f = panel.conclude(0.5)\nobject.__setattr__(f, 'probability', 2.0)\nreturn f", ""),
    "forges a text": ("f = panel.conclude(0.5)\nobject.__setattr__(f, 'probability', 'high')\nreturn f", ""),
    "forges a huge int": ("f = panel.conclude(0.5)\nobject.__setattr__(f, 'probability', 10**400)\nreturn f", ""),
    "says what no file can hold": ("raise ValueError('\\ud800')", "ValueError"),
}


@pytest.mark.parametrize("body", first_of([body for body, _ in FAULTS.values()], 5, ids=list(FAULTS)))
def test_whatever_a_configuration_does_its_cells_have_rows_and_its_neighbours_forecasts(study_file, tmp_path: Path, body):
    (tmp_path / "mine.py").write_text(plugin("await panel.ask('forecaster')\n" + body))
    study = study_file(('"single_agent"', '"mine"'), ("replicates = 2", 'replicates = 2\nplugins = ["mine.py"]'))
    path = tmp_path / "l.duckdb"
    done = CliRunner().invoke(app, ["run", str(study), "--inline", "--ledger", str(path)])
    assert done.exit_code in (0, 3), done.output
    frame = read(path).forecast_frame("small")
    mine, others = frame.filter(pl.col("configuration") == "mine"), frame.filter(pl.col("configuration") != "mine")
    assert mine["status"].to_list() == ["failed"] * 12
    assert all("mine" in reason or "after conclude(0.5)" in reason for reason in mine["reason"]), mine["reason"].to_list()
    assert set(others["status"]) <= {"answered", "failed"}
    assert "answered" in others["status"].to_list()
    run = read(path).query("SELECT * FROM runs").to_dicts()[0]
    assert run["status"] == ("incomplete" if done.exit_code else "complete")
    assert run["answered"] + run["failed"] + run["open"] == 60


@pytest.mark.proof
def test_a_plugin_that_ends_the_process_is_named_by_the_next_run(study_file, tmp_path: Path):
    (tmp_path / "mine.py").write_text(plugin("os.kill(os.getpid(), 9)"))
    study = study_file(('"single_agent"', '"mine"'), ("replicates = 2", 'replicates = 2\nplugins = ["mine.py"]'))
    path = tmp_path / "l.duckdb"
    command = [sys.executable, "-m", "coordeval", "run", str(study), "--inline", "--ledger", str(path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert read(path).query("SELECT status FROM runs")["status"].to_list() == ["running"]
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert "ended without a word: it was killed, or a plugin ended the process" in again.stdout
    assert read(path).query("SELECT status FROM runs ORDER BY started_at")["status"].to_list() == ["lost", "running"]
