"""One study in one process, and by processes of a real Prefect work pool of which one is killed: the same result.

A server and a process worker are started for it; it takes a minute or two.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from coordeval.flows.run import guard
from coordeval.flows.run.run import Steps, run_steps
from coordeval.flows.run.workers.cluster import Where
from coordeval.flows.run.workers.dispatch import On
from coordeval.flows.study.study import load_study
from coordeval.ledger import read

STUDY = """
name = "pool"
replicates = 2
configurations = ["single_agent", "independent_ensemble", "peer_critique_debate"]
[markets]
source = "simulated"
count = {count}
[model]
provider = "simulated"
"""
SAME = {
    "forecasts": "SELECT * EXCLUDE (run_id, created_at, paid_micro_usd, seconds) FROM forecasts ORDER BY ALL",
    "draws": "SELECT draw_id, request, reply, micro_usd FROM draws ORDER BY ALL",
    "calls": "SELECT * EXCLUDE (paid_micro_usd) FROM calls ORDER BY ALL",
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "pool.toml"
        study.write_text(STUDY.format(count=int(os.environ.get("MARKETS", "200"))))
        alone, pooled = Path(folder) / "alone.duckdb", Path(folder) / "pooled.duckdb"
        seconds = _run(study, alone, None)
        with _server(Path(folder)) as environment:
            os.environ.update(environment)
            from coordeval.flows.orchestration.pool import pool

            killed = threading.Thread(target=_kill_one, daemon=True)
            killed.start()
            on = On(Where.of("work-pool:benchmark"), f"{folder}/shards", connect=pool)
            by_pool = _run(study, pooled, on)
        kept = {name: read(alone).query(sql).rows() == read(pooled).query(sql).rows() for name, sql in SAME.items()}
        forecasts = read(pooled).query("SELECT count(*) FROM forecasts").item()
        killed_one = "one process was killed" if not killed.is_alive() else "no process was killed"
        print(f"{forecasts} forecasts: {seconds:.1f} s in one process, {by_pool:.1f} s on a pool of two; {killed_one}")
        print(f"the same: {', '.join(f'{name} {same}' for name, same in kept.items())}")
        if not all(kept.values()):
            sys.exit("the pool did not store what one process does")


def _run(study: Path, ledger: Path, on: On | None) -> float:
    loaded = load_study(study)
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        began = time.perf_counter()
        guard.run(run_steps(loaded, ledger, Console(file=nowhere), Steps(loaded.study.name), on=on))
        return time.perf_counter() - began


def _kill_one() -> None:
    """The first process of a chunk, a while after it began."""
    while not (found := _working()):
        time.sleep(0.2)
    time.sleep(0.5)
    os.kill(found[0], signal.SIGKILL)


def _working() -> list[int]:
    """Flow runs of our own server that have begun with a chunk."""
    own, found = os.environ["PREFECT_API_URL"].encode(), []
    begun = set(Path(tempfile.gettempdir()).glob("coordeval-worker-*")) - _BEFORE
    for process in Path("/proc").iterdir() if begun else ():
        try:
            command = (process / "cmdline").read_bytes() if process.name.isdigit() else b""
            flow_run = b"prefect" in command and b"\0prefect\0" not in command  # neither server nor worker
            if flow_run and own in (process / "environ").read_bytes() and int(process.name) != os.getpid():
                found.append(int(process.name))
        except OSError:
            continue
    return found


_BEFORE = set(Path(tempfile.gettempdir()).glob("coordeval-worker-*"))


@contextmanager
def _server(folder: Path) -> Iterator[dict[str, str]]:
    """A Prefect server, a work pool and a worker with room for two; gives the environment that talks to them."""
    import httpx

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
    }
    api, prefect = environment["PREFECT_API_URL"], [sys.executable, "-m", "prefect"]
    with (folder / "server.log").open("w") as log:

        def start(*command: str) -> "subprocess.Popen[bytes]":
            return subprocess.Popen([*prefect, *command], stdout=log, stderr=log, env=os.environ | environment)

        running = [start("server", "start", "--host", "127.0.0.1", "--port", str(port))]
        try:
            while True:
                try:
                    if httpx.get(f"{api}/health", timeout=5).status_code == 200:
                        break
                except httpx.HTTPError:
                    time.sleep(0.2)
            pool = {"name": "benchmark", "type": "process", "concurrency_limit": 2}
            httpx.post(f"{api}/work_pools/", json=pool, timeout=60).raise_for_status()
            running.append(start("worker", "start", "--pool", "benchmark", "--type", "process"))
            yield environment
        finally:
            for process in reversed(running):
                process.terminate()
                process.wait(60)
