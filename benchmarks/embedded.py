"""The embedded study as a user runs it: 1,000 forecasts through Prefect within 60 s and 1 GB, a repeat within 5 s.

The run is timed by its own row in the ledger, so Prefect's start, which is printed apart, is not in it.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from coordeval.ledger import read

ROOT = Path(__file__).parents[1]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "embedded.duckdb"
        wall, peak = _run(path)
        run = "SELECT date_diff('millisecond', started_at, ended_at) / 1000 FROM runs ORDER BY started_at LIMIT 1"
        asking = read(path).query(run).item()
        forecasts, calls, draws = (
            read(path).query(f"SELECT count(*) FROM {table}").item() for table in ("forecasts", "calls", "draws")
        )
        print(f"forecasts {forecasts}, model calls {calls}, of which paid {draws}")
        print(f"pull, plan and forecasts           {asking:6.1f} s   (at most 60)")
        print(f"Prefect's start, score and report  {wall - asking:6.1f} s")
        print(f"peak memory of the process         {peak / 1024:6.0f} MB  (at most 1024)")
        repeat, _ = _run(path, "--inline")
        again = read(path).query("SELECT count(*) FROM draws").item()
        print(f"repeat with --inline               {repeat:6.1f} s   (at most 5); replies paid for: {again - draws}")


def _run(path: Path, *options: str) -> tuple[float, int]:
    """Wall-clock seconds and peak memory (KiB) of `coordeval run studies/embedded.toml`."""
    command = [sys.executable, "-m", "coordeval", "run", "studies/embedded.toml", "--ledger", str(path), *options]
    start = time.perf_counter()
    null = os.open(os.devnull, os.O_WRONLY)
    pid = os.posix_spawn(
        sys.executable,
        command,
        {**os.environ, "PYTHONPATH": str(ROOT)},
        file_actions=[(os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, null, 2)],
    )
    os.close(null)
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        sys.exit(f"the run failed with status {os.waitstatus_to_exitcode(status)}: {' '.join(command)}")
    return time.perf_counter() - start, usage.ru_maxrss
