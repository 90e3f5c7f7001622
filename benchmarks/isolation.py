"""What it costs to run a configuration in worker processes: CPU per cell and per model call, beside the same one without.

The model answers at once; everything is stored durably.
"""

import asyncio
import os
import tempfile
import time
from pathlib import Path

from coordeval.agents.simulated import InstantModel
from coordeval.configurations.isolation import processes
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import Evaluation
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, read

STUDY = """
name = "isolation"
replicates = 2
plugins = ["mine.py"]
configurations = ["mine"]
[markets]
source = "simulated"
count = {count}
[model]
provider = "simulated"
[run]
isolate = {isolate}
"""


def main() -> None:
    plain, _ = _measure("false")
    isolated, processes = _measure("true")
    print(f"in the run's own process: {plain:.3f} ms CPU a model call")
    print(f"isolated: {isolated:.3f} ms CPU a model call in the run, and {processes:.1f} ms CPU a cell in worker processes")


def _measure(isolate: str, count: int = 100) -> tuple[float, float]:
    """(ms CPU a call in this process, ms CPU a cell in worker processes)."""
    source = Path(__file__).parents[1] / "configurations" / "peer_critique_debate.py"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "mine.py").write_text(source.read_text().replace('"peer_critique_debate"', '"mine"'))
        (folder / "study.toml").write_text(STUDY.format(count=count, isolate=isolate))
        loaded, path = load_study(folder / "study.toml"), folder / "ledger.duckdb"
        with Ledger.open(path, purpose="benchmark") as ledger:
            evaluation = Evaluation.start(loaded, path, ledger, InstantModel())
            made = plan(evaluation, pull(evaluation))
            before, cpu = _nursery_cpu(), time.process_time()
            asyncio.run(run_chunks(evaluation, made.chunks))
            cpu, processes = time.process_time() - cpu, _nursery_cpu() - before
        calls, cells = read(path).query("SELECT (SELECT count(*) FROM calls), (SELECT count(*) FROM forecasts)").row(0)
    return 1000 * cpu / calls, 1000 * processes / cells


def _nursery_cpu() -> float:
    """CPU seconds of the nursery and of every worker process that has ended (Linux)."""
    if not processes.nurseries:
        return 0.0
    fields = Path(f"/proc/{processes.nurseries[-1].process_id}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
