"""What a live call costs beside its price, against the stand-in in a process of its own.

CPU of this process for each call, official SDK, durable storage and all (at most 3 ms); and how long a study takes with 200
calls at once, against the ideal schedule of its calls (at most 1.05 times).
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from coordeval.agents.standin.app import KEY
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import open_evaluation
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, read

STUDY = """
name = "live"
replicates = 1
configurations = ["single_agent"]
[markets]
source = "simulated"
count = {count}
[agents]
tools = []
[model]
provider = "anthropic"
id = "claude-opus-4-6"
max_tokens = 500
base_url = "{url}"
[run]
concurrent_calls = {at_once}
"""
PORT = 8771


def main() -> None:
    os.environ["ANTHROPIC_API_KEY"] = KEY
    cpu, _, calls = _measured(count=500, at_once=20, seconds=0.0)
    print(f"a live call: {1000 * cpu / calls:.2f} ms CPU of this process (at most 3), {calls} calls, 20 at once")
    latency, at_once, count = 4.0, 200, 1000
    _, wall, calls = _measured(count=count, at_once=at_once, seconds=latency)
    ideal = latency * -(-count // at_once)
    print(
        f"{at_once} calls at once, each {latency:g} s: {calls} calls in {wall:.2f} s, {wall / ideal:.3f} times the ideal "
        f"{ideal:g} s (at most 1.05)"
    )


def _measured(*, count: int, at_once: int, seconds: float) -> tuple[float, float, int]:
    """CPU seconds of this process, wall seconds, and calls, from the first to the last one stored."""
    command = [sys.executable, "-m", "coordeval.agents.standin", "--port", str(PORT), "--seconds", str(seconds)]
    server = subprocess.Popen([*command, "--spread", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        server.stdout.readline()
        time.sleep(1.0)  # it says its address a moment before it listens
        with tempfile.TemporaryDirectory() as folder:
            file, path = Path(folder) / "live.toml", Path(folder) / "live.duckdb"
            file.write_text(STUDY.format(count=count, at_once=at_once, url=f"http://127.0.0.1:{PORT}"))
            with Ledger.open(path, purpose="benchmark") as ledger:
                evaluation = open_evaluation(load_study(file), path, ledger)
                made = plan(evaluation, pull(evaluation))
                cpu, wall = time.process_time(), time.monotonic()
                asyncio.run(run_chunks(evaluation, made.chunks))
                cpu, wall = time.process_time() - cpu, time.monotonic() - wall
            return cpu, wall, read(path).query("SELECT count(*) FROM draws").item()
    finally:
        server.terminate()
        server.wait()
