"""One study on one and on two worker processes, with a model that answers at once; CELLS=100000 for more cells.

Two workers take at most 1/1.7 of the time of one; scheduler and merge take at most 10% of the CPU time; a worker's memory
stays flat. WORKERS=2 for one row only.
"""

import os
import tempfile
from pathlib import Path

from coordeval.agents.simulated import InstantModel
from coordeval.flows.run import guard
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.spending import Spending
from coordeval.flows.run.stopping import Stop
from coordeval.flows.run.window import Watch
from coordeval.flows.run.workers.cluster import Where
from coordeval.flows.run.workers.dispatch import Account, On, run_on
from coordeval.flows.study.evaluation import Evaluation
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, read

STUDY = """
name = "workers"
replicates = 2
configurations = ["single_agent", "independent_ensemble"]
[markets]
source = "simulated"
count = {count}
[model]
provider = "simulated"
"""
PER_MARKET = 4


def main() -> None:
    cells = int(os.environ.get("CELLS", "20000"))
    print(f"{cells} cells, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before it began")
    seconds = {}
    for workers in map(int, os.environ.get("WORKERS", "1,2").split(",")):
        account, calls = _measure(cells, workers)
        seconds[workers] = account.seconds
        own, theirs = account.own_cpu, account.worker_cpu
        print(f"{workers} of them: {account.seconds:.1f} s, {cells / account.seconds:.0f} cells/s ({calls} calls)")
        print(
            f"  CPU a cell: {1000 * theirs / cells:.3f} ms of workers, {1000 * own / cells:.3f} ms of the run (scheduler, "
            f"sending, merging), which is {own / (own + theirs):.1%} of all; {cells / theirs:.0f} cells a CPU second of "
            f"workers; {(own + theirs) / account.seconds:.2f} cores busy"
        )
        mb = ", ".join(" ".join(f"{one / 1e6:.0f}" for one in _tenths(peaks)) for peaks in account.peaks.values())
        print(f"  most memory of each so far, over its chunks: {mb} MB")
    if {1, 2} <= seconds.keys():
        times = seconds[1] / seconds[2]
        print(f"two workers are {times:.2f} times as fast as one (at least 1.7 where each has a core to itself)")


def _tenths(values: list[int]) -> list[int]:
    """At most ten of them, the first and the last included."""
    n = min(len(values), 10)
    return [values[round(i * (len(values) - 1) / max(n - 1, 1))] for i in range(n)]


def _measure(cells: int, workers: int) -> tuple[Account, int]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "study.toml").write_text(STUDY.format(count=cells // PER_MARKET))
        loaded, path = load_study(Path(folder) / "study.toml"), Path(folder) / "workers.duckdb"
        with Ledger.open(path, purpose="benchmark") as ledger:
            evaluation = Evaluation.start(loaded, path, ledger, InstantModel())
            made = plan(evaluation, pull(evaluation))
            on = On(Where.of(f"dask:{workers}"), f"{folder}/shards", InstantModel())
            spending = Spending(ledger, "simulated", before=0)
            running = run_on(evaluation, made.chunks, on, watch=Watch(), spending=spending, stop=Stop())
            account: Account = guard.run(running)
        return account, read(path).query("SELECT count(*) FROM calls").item()
