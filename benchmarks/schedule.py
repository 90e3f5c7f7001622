"""How well a run orders its calls, apart from what the machine does: on virtual time, where computing takes none.

100 markets x 5 configurations x 3 agents, latencies of 0.5 to 2 s, 200 calls at once, once and twice (REPLICATES=1,2). The
ideal is the total latency / 200, or the longest chain of calls of one cell. At most 1.05 times it is wanted.

Who begins a call does not know how long it takes. What that alone costs is said beside it: the same latencies as calls that
follow no others, begun one after another as places become free. They are alike, so no order of them is better than another,
and chains only forbid orders.
"""

import asyncio
import os
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from heapq import heapreplace
from pathlib import Path
from random import Random
from typing import Any, cast

from benchmarks.virtual_time import VirtualLoop
from benchmarks.window import CALLS
from coordeval.agents.messages import Reply, Request, Slot
from coordeval.agents.pacing import Paced
from coordeval.agents.simulated import InstantModel, SimulatedModel, SimulatedParameters
from coordeval.agents.wrapped import Wrapped
from coordeval.flows.run import guard
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import Evaluation
from coordeval.flows.study.study import load_study
from coordeval.ledger import CellRows, Ledger

STUDY = """
name = "schedule"
replicates = {replicates}
configurations = ["independent_ensemble", "peer_critique_debate", "orchestrator_specialist", "sequential_pipeline",
    "consensus_alignment"]
[markets]
source = "simulated"
count = 100
[model]
provider = "simulated"
[run]
concurrent_calls = {calls}
"""


class Late(Wrapped):
    """A model whose replies take 0.5 to 2 s."""

    def __init__(self) -> None:
        super().__init__(SimulatedModel(SimulatedParameters(seed=1)))
        self.rng = Random(1)
        self.waits: list[float] = []

    async def complete(self, request: Request, slot: Slot) -> Reply:
        seconds = 0.5 + 1.5 * self.rng.random()
        self.waits.append(seconds)
        await asyncio.sleep(seconds)
        return replace(await self._model.complete(request, slot), seconds=seconds)


class Memory:
    """As much of a ledger as a window of cells needs."""

    def __init__(self) -> None:
        self.cells: list[CellRows] = []

    async def put(self, table: str, row: dict[str, Any]) -> None:
        """It is forgotten."""

    async def put_cell(self, cell: CellRows) -> None:
        self.cells.append(cell)

    def drawn_alike(self, markets: Iterable[str]) -> dict[str, list[str]]:
        return {}

    def flush(self) -> None:
        """There is nothing to move."""

    flush_if_due = flush

    @property
    def longest(self) -> float:
        """Seconds of the longest chain of calls of one cell."""
        found = 0.0
        for cell in self.cells:
            turns: defaultdict[tuple[int, int], float] = defaultdict(float)
            for call in cell.calls:
                where = call["round"], call["turn"]
                turns[where] = max(turns[where], call["seconds"])
            found = max(found, sum(turns.values()))
        return found


def main() -> None:
    for replicates in map(int, os.environ.get("REPLICATES", "1,2").split(",")):
        with tempfile.TemporaryDirectory() as folder:
            file, path = Path(folder) / "schedule.toml", Path(folder) / "schedule.duckdb"
            file.write_text(STUDY.format(replicates=replicates, calls=CALLS))
            loaded = load_study(file)
            with Ledger.open(path, purpose="benchmark") as ledger:
                planned = Evaluation.start(loaded, path, ledger, InstantModel())
                chunks = plan(planned, pull(planned)).chunks
            late, memory = Late(), Memory()
            evaluation = Evaluation.start(loaded, path, cast(Ledger, memory), Paced(late, concurrency=CALLS))
            seconds = _run(run_chunks(evaluation, chunks))
        each = sum(late.waits) / CALLS
        ideal, alone = max(each, memory.longest), [_alone(late.waits, Random(seed)) / each for seed in range(100)]
        print(
            f"{len(late.waits)} calls, {each:.2f} s of latency for each of {CALLS} places, longest chain "
            f"{memory.longest:.2f} s: {seconds:.2f} s, {seconds / ideal:.3f} times the ideal; calls that follow no others: "
            f"{statistics.mean(alone):.3f} ({min(alone):.3f} to {max(alone):.3f} in {len(alone)} orders)",
            flush=True,
        )


def _alone(waits: list[float], rng: Random) -> float:
    """Seconds that these calls take in one order where each may begin as soon as a place is free."""
    ends = [0.0] * CALLS
    for seconds in rng.sample(waits, len(waits)):
        heapreplace(ends, ends[0] + seconds)
    return max(ends)


def _run(work: Any) -> float:
    """Virtual seconds that it took."""
    loop = VirtualLoop(Random(1))
    guard.install(loop)
    asyncio.set_event_loop(loop)
    try:
        task = loop.create_task(work)
        task.add_done_callback(lambda done: loop.stop())
        loop.run_forever()
        task.result()
        return loop.now
    finally:
        asyncio.set_event_loop(None)
        loop.close()


if __name__ == "__main__":
    main()
