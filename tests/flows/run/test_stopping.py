"""Ctrl-C, SIGTERM and SIGHUP are one thing: what is being paid for is stored, the row says who stopped it."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from pydantic import BaseModel, model_serializer

from coordeval.flows.run.stopping import Stop
from coordeval.ledger import read
from tests.agents.messages_server import KEY, Answer
from tests.flows.conftest import ROOT
from tests.flows.run.plugins import plugin
from tests.flows.run.test_live import LIVE, Forecaster
from tests.thinned import first_of


class Waiting(Forecaster):
    """Says when `wanted` requests are there."""

    def __init__(self, wanted: int) -> None:
        super().__init__()
        self._wanted = wanted
        self.there = threading.Event()

    def answer(self, body) -> Answer:
        if len(self.seen) >= self._wanted:
            self.there.set()
        return super().answer(body)


def start(tmp_path: Path, server: Forecaster, run: str) -> "subprocess.Popen[str]":
    study = tmp_path / "live.toml"
    study.write_text(LIVE.format(url=server.url, budget="") + f"[run]\n{run}\n")
    command = [
        sys.executable,
        "-m",
        "coordeval",
        "run",
        str(study),
        "--inline",
        "--yes",
        "--ledger",
        str(tmp_path / "l.duckdb"),
    ]
    environment = {**os.environ, "ANTHROPIC_API_KEY": KEY}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended(process: "subprocess.Popen[str]") -> str:
    """What it printed until its end, which must come."""
    try:
        return process.communicate(timeout=300)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        raise


@pytest.mark.parametrize("number", first_of([signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name))
def test_a_stopped_run_stores_the_replies_under_way_and_sends_no_more(tmp_path: Path, number):
    server = Waiting(wanted=3)
    server.held.set()
    try:
        with start(tmp_path, server, "concurrent_calls = 3") as process:
            assert server.there.wait(300)
            process.send_signal(number)
            assert process.stdout is not None
            output = ""
            while "waiting for 3 replies under way" not in output:  # only then they come
                output += (line := process.stdout.readline())
                assert line, output
            server.held.clear()
            output += ended(process)
    finally:
        server.stop()
    assert process.returncode == 128 + number, output
    assert "Traceback" not in output
    ledger = read(tmp_path / "l.duckdb")
    assert ledger.query("SELECT count(*) FROM draws").item() == len(server.seen) == 3, "all that was sent, nothing after"
    name = {signal.SIGINT: "Ctrl-C"}.get(number, number.name)
    assert ledger.query("SELECT status, detail, open FROM runs").rows() == [("stopped", f"by {name}", 8)]


def test_a_signal_of_which_a_library_makes_an_error_of_its_own_is_a_signal_all_the_same():
    class Sent(BaseModel):
        @model_serializer
        def interrupted(self) -> dict[str, str]:
            signal.raise_signal(signal.SIGTERM)
            return {}

    stop = Stop()
    with pytest.raises(KeyboardInterrupt), stop.caught():
        Sent().model_dump()
    assert stop.exit_status == 143
    with pytest.raises(ValueError, match="its own"), Stop().caught():
        raise ValueError("its own")


@pytest.mark.proof
def test_a_second_signal_ends_at_once_and_the_row_still_says_stopped(tmp_path: Path):
    server = Waiting(wanted=3)
    server.held.set()
    try:
        with start(tmp_path, server, "concurrent_calls = 3\nsettle_seconds = 600") as process:
            assert server.there.wait(300)
            process.send_signal(signal.SIGTERM)
            assert process.stdout is not None
            for line in process.stdout:
                if "waiting for 3 replies under way, which are paid for, up to 600 s" in line:
                    break
            process.send_signal(signal.SIGTERM)
            output = ended(process)
    finally:
        server.stop()
    assert process.returncode == 143, output
    assert "gave up 3 replies under way" in output
    assert read(tmp_path / "l.duckdb").query("SELECT status FROM runs")["status"].to_list() == ["stopped"]


def test_a_plugin_that_blocks_does_not_keep_two_signals_from_ending_the_run(study_file, tmp_path: Path):
    body = 'print("blocking now", flush=True)\nwhile True: time.sleep(0.1)'
    (tmp_path / "mine.py").write_text(plugin(body))
    study = study_file(('"single_agent"', '"mine"'), ("replicates = 2", 'replicates = 2\nplugins = ["mine.py"]'))
    command = [
        sys.executable,
        "-m",
        "coordeval",
        "run",
        str(study),
        "--inline",
        "--yes",
        "--ledger",
        str(tmp_path / "l.duckdb"),
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "blocking now" in line:
                break
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)  # another one, since two of a kind may arrive as one
        output = ended(process)
    assert process.returncode in (130, 143), output
    assert "ended at once" in output
