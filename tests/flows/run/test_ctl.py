"""A run that is seen and steered from a second terminal: by its private socket, as the command line does."""

import asyncio
import contextlib
import io
import os
import stat
import tempfile
from pathlib import Path

import orjson
import pytest
from rich.console import Console
from typer.testing import CliRunner

from coordeval.agents.standin import Faults, Running, StandIn
from coordeval.agents.standin.app import KEY
from coordeval.flows.cli.main import app
from coordeval.flows.run import guard
from coordeval.flows.run.helm.place import HelmError, folder
from coordeval.flows.run.run import Steps, run_steps
from coordeval.flows.run.stopping import Stop
from coordeval.flows.study.study import load_study
from coordeval.ledger import read

STUDY = """
name = "steered"
replicates = 1
budget_usd = {budget}
configurations = ["single_agent"]
[markets]
source = "simulated"
count = {count}
[model]
provider = "anthropic"
id = "claude-opus-4-6"
max_tokens = 500
base_url = "{url}"
[run]
concurrent_calls = 2
concurrent_cells = 2
"""


@pytest.fixture
def standin(monkeypatch, tmp_path):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    with Running(StandIn(Faults())) as running:
        yield running


def ctl(*arguments: str) -> dict:
    ran = CliRunner().invoke(app, ["ctl", *arguments, "--json"], catch_exceptions=False)
    return orjson.loads(ran.stdout)


def steered(tmp_path: Path, standin, steer, *, budget: float = 5, count: int = 30) -> Path:
    """Runs the study, and `steer(until)` beside it in another thread; `until(condition)` waits for a status."""
    file, path = tmp_path / "steered.toml", tmp_path / "l.duckdb"
    file.write_text(STUDY.format(url=standin.url, budget=budget, count=count))
    stop = Stop()

    def until(condition):
        for _ in range(2000):
            if found := [row for row in ctl() if condition(row)]:
                return found[0]
            standin_pause.wait(0.02)
        raise AssertionError(ctl())

    import threading

    standin_pause = threading.Event()

    async def main() -> None:
        loaded = load_study(file)
        run = asyncio.create_task(run_steps(loaded, path, Console(file=io.StringIO()), Steps("steered"), stop=stop))
        await asyncio.to_thread(steer, until)
        with contextlib.suppress(asyncio.CancelledError):
            await run

    guard.run(main())
    return path


def test_a_run_is_listed_paused_changed_and_resumed(tmp_path, standin):
    standin.standin.faults.seconds = 0.05

    def steer(until):
        row = until(lambda row: row["made"] >= 2)
        assert (row["study"], row["to_make"], row["state"], row["max_usd"]) == ("steered", 30, "running", 5.0)
        assert ctl("pause", "steered")["state"] == "paused"
        until(lambda row: row["calls_under_way"] == 0)
        seen = len(standin.standin.seen)
        changed = ctl("set", row["run_id"][:6], "--max-usd", "8.03", "--concurrent-calls", "9", "--tokens-per-minute", "1e8")
        assert (changed["max_usd"], changed["concurrent_calls"], changed["tokens_per_minute"]) == (8.03, 9, 1e8)
        assert ctl("status")["state"] == "paused"
        assert len(standin.standin.seen) == seen, "no call began in the pause"
        standin.standin.faults.seconds = 0.0
        assert ctl("resume")["state"] == "running"

    path = steered(tmp_path, standin, steer)
    assert set(read(path).query("SELECT status FROM forecasts")["status"]) == {"answered"}
    assert ctl() == [], "a run that is over is not listed"


def test_forecasts_that_a_budget_left_open_are_asked_again_after_a_raise(tmp_path, standin):
    standin.standin.faults.seconds = 0.02

    def steer(until):
        row = until(lambda row: row["failed_open"])
        assert ctl("set", "--max-usd", "50")["max_usd"] == 50.0
        assert ctl("again")["asked_again"] >= row["failed_open"]

    path = steered(tmp_path, standin, steer, budget=0.1, count=60)
    assert read(path).query("SELECT count(*) FROM forecasts WHERE status = 'answered'").item() == 60


def test_a_run_is_stopped_and_says_by_what(tmp_path, standin):
    standin.standin.faults.seconds = 0.05

    def steer(until):
        until(lambda row: row["made"] >= 1)
        ctl("stop")

    path = steered(tmp_path, standin, steer)
    row = read(path).query("SELECT status, detail FROM runs ORDER BY started_at DESC").to_dicts()[0]
    assert (row["status"], row["detail"]) == ("stopped", "by coordeval ctl")


def test_the_socket_is_nobody_elses_and_holds_nothing_of_a_market(tmp_path, standin):
    standin.standin.faults.seconds = 0.05

    def steer(until):
        row = until(lambda row: row["made"] >= 1)
        path = Path(row["socket"])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert "Will" not in orjson.dumps(row).decode(), "a market's question begins so"
        ctl("stop")

    steered(tmp_path, standin, steer)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["set"], "nothing to change: give one of concurrent_calls"),
        (["set", "--max-usd", "-1"], "max_usd = -1.0: it must be a number above 0"),
        (["pause", "nobody"], "'nobody' is not one run; running:"),
    ],
)
def test_what_makes_no_sense_is_said(tmp_path, standin, arguments, says):
    standin.standin.faults.seconds = 0.05

    def steer(until):
        until(lambda row: row["made"] >= 1)
        with pytest.raises(HelmError, match=says.replace("(", r"\(")):
            ctl(*arguments)
        ctl("stop")

    steered(tmp_path, standin, steer, count=8)


def test_without_a_run_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert ctl() == []
    with pytest.raises(HelmError, match="no study runs now"):
        ctl("stop")


@pytest.fixture
def short(monkeypatch):
    """A folder whose path is short enough for a socket; that of a test has the test's name in it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as path:
        monkeypatch.setenv("XDG_RUNTIME_DIR", path)
        monkeypatch.setattr("tempfile.tempdir", path)
        yield Path(path)


def test_a_folder_that_others_can_open_is_refused_and_a_long_path_goes_elsewhere(monkeypatch, short):
    open_to_all = folder(make=True)
    assert open_to_all.is_relative_to(short)
    open_to_all.chmod(0o755)
    with pytest.raises(HelmError, match="nobody else can open"):
        folder()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short / ("long" * 40)))
    assert folder().is_relative_to(short)
    assert len(os.fsencode(folder() / "123456789abc.sock")) <= 107


def test_a_socket_that_a_killed_run_left_is_removed(short):
    import socket

    left = folder(make=True) / "dead.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(left))
    assert ctl() == []
    assert not left.exists()
