"""How well a run fills its calls: a local Messages server of 0.5 to 2 s latency, 100 markets x 5 configurations x 3 agents,
200 calls at once. The ideal, from the same run: the total latency / 200, or the longest chain of calls of one cell.

REPLICATES=2 for one row only; SLOWER=10 for ten times the latency, where a machine is too busy to tell waiting from work.
"""

import asyncio
import os
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from coordeval.agents.standin import Faults, Running, StandIn
from coordeval.agents.standin.app import KEY
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import open_evaluation
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, read

CALLS = 200
STUDY = """
name = "window"
replicates = {replicates}
configurations = ["independent_ensemble", "peer_critique_debate", "orchestrator_specialist", "sequential_pipeline",
    "consensus_alignment"]
[markets]
source = "simulated"
count = 100
[model]
provider = "anthropic"
id = "claude-opus-4-6"
max_tokens = 500
base_url = "{url}"
[run]
concurrent_calls = {calls}
"""


class Told(Faults):
    """Waits 0.5 to 2 s, and knows how long in all."""

    waited = 0.0

    def delay(self) -> float:
        seconds = super().delay()
        Told.waited += seconds
        return seconds


def serve(pipe: Any) -> None:
    """The server, in a process of its own: says its address, and at the end how long its answers took in all."""
    slower = float(os.environ.get("SLOWER", "1"))
    standin = StandIn(Told(seconds=0.5 * slower, spread=1.5 * slower))
    with Running(standin) as running:
        pipe.send(running.url)
        pipe.recv()
        pipe.send((len(standin.seen), standin.most_under_way, Told.waited, time.process_time()))


def main() -> None:
    os.environ["ANTHROPIC_API_KEY"] = KEY
    for replicates in map(int, os.environ.get("REPLICATES", "1,2").split(",")):
        _measure(replicates)
    print("(at most 1.05 x)")


def _measure(replicates: int) -> None:
    pipe, other = (context := get_context("spawn")).Pipe()
    server = context.Process(target=serve, args=(other,), daemon=True)
    server.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            file, path = Path(folder) / "window.toml", Path(folder) / "window.duckdb"
            file.write_text(STUDY.format(url=pipe.recv(), calls=CALLS, replicates=replicates))
            wall, cpu, seconds = _run(file, path)
        pipe.send("end")
        calls, most, waited, server_cpu = pipe.recv()
    finally:
        server.terminate()
        server.join()
    ideal = max(waited / CALLS, seconds)
    print(
        f"{calls} calls, {most} at once, {waited:.0f} s of latency, longest chain {seconds:.1f} s: "
        f"{wall:.1f} s where {ideal:.1f} s is ideal, {wall / ideal:.2f} x; CPU a call: {1000 * cpu / calls:.1f} ms, "
        f"and {1000 * server_cpu / calls:.1f} ms of the server"
    )


def _run(file: Path, path: Path) -> tuple[float, float, float]:
    """(wall seconds, CPU seconds of this process, the longest chain of calls of one cell in seconds)."""
    loaded = load_study(file)
    with Ledger.open(path, purpose="benchmark") as ledger:
        evaluation = open_evaluation(loaded, path, ledger)
        made = plan(evaluation, pull(evaluation))
        wall, cpu = time.perf_counter(), time.process_time()
        asyncio.run(run_chunks(evaluation, made.chunks))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    chain = "SELECT max(s) FROM (SELECT sum(longest) AS s FROM (SELECT forecast_id, round, turn, max(seconds) AS longest "
    longest: float = read(path).query(f"{chain} FROM calls GROUP BY ALL) GROUP BY forecast_id)").item()
    return wall, cpu, longest
