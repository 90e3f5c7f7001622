"""What Prefect's bookkeeping takes of a run: one study with and without it, side by side, on a server that runs already.

The embedded study takes seconds, so its share there is large; of a run ten times as long as what is added it is a tenth.
So two figures are held: what Prefect adds for each task, and that tasks grow with chunks and are 15 at most.
"""

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

TEXT = """
name = "share-{count}"
replicates = 2
configurations = ["market_price", "single_agent", "independent_ensemble", "peer_critique_debate", "consensus_alignment"]
[markets]
source = "simulated"
count = {count}
[model]
provider = "simulated"
"""
COUNTS, REPEATS = [int(one) for one in os.environ.get("COUNTS", "10,100,400").split(",")], 3


def main() -> None:
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    from coordeval.flows.orchestration.server import quiet_prefect

    quiet_prefect()
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=300):
        print("markets  forecasts  tasks  without  with Prefect  added  a task  share")
        for count in COUNTS:
            _measure(count)
    print("(tasks at most 15; what is added is at most 10% of a run that takes ten times as long as it)")


def _measure(count: int) -> None:
    plain, flow = [], []
    tasks = 0
    for _ in range(REPEATS):
        plain.append(asyncio.run(_timed(count, prefect=False))[0])
        seconds, tasks = asyncio.run(_timed(count, prefect=True))
        flow.append(seconds)
    without, added = statistics.median(plain), statistics.median(b - a for a, b in zip(plain, flow, strict=True))
    print(
        f"{count:7}  {count * 10:9}  {tasks:5}  {without:6.1f} s  {without + added:10.1f} s  {added:4.1f} s  "
        f"{1000 * added / tasks:4.0f} ms  {added / (without + added):5.0%}"
    )


async def _timed(count: int, *, prefect: bool) -> tuple[float, int]:
    """(seconds, Prefect's tasks) of one run on a new ledger."""
    from prefect.client.orchestration import get_client
    from rich.console import Console

    from coordeval.flows.orchestration.evaluate import run_as_flow
    from coordeval.flows.run.run import Steps, run_steps
    from coordeval.flows.run.stopping import Stop
    from coordeval.flows.study.study import load_study

    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: ASYNC230
        study, ledger = Path(folder) / "share.toml", Path(folder) / "share.duckdb"
        study.write_text(TEXT.format(count=count))
        console: Any = Console(file=nowhere)
        begins = time.perf_counter()
        if prefect:
            await run_as_flow(study, ledger, console, Stop())
        else:
            loaded = load_study(study)
            await run_steps(loaded, ledger, console, Steps(loaded.study.name))
        seconds = time.perf_counter() - begins
        if not prefect:
            return seconds, 0
        async with get_client() as client:
            newest = max(await client.read_flow_runs(), key=lambda run: run.expected_start_time or run.created)
            own = [task for task in await client.read_task_runs() if task.flow_run_id == newest.id]
        return seconds, len(own)
