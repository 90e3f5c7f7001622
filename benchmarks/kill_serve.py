"""`coordeval serve` as a whole, with the Prefect server that it starts, as a target of kills."""

import functools
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.kill_targets import AHEAD, Ready, columns, command
from coordeval.ledger import read

JOBS = {"forecast-open", "resolve-and-score", "monitor", "report"}


@contextmanager
def serve(folder: Path) -> Iterator[Ready]:
    """A process of it wakes all jobs once at its start, for today; where they are done it is told to end."""
    file = folder / "ahead.toml"
    file.write_text(AHEAD)
    yield Ready(functools.partial(_serve, str(file)), _same)


def _same(ledger: Path) -> dict[str, object]:
    """Each job of the day is done once; no forecast twice, and all that were picked are committed to."""
    reader = read(ledger)
    once = "SELECT job, count(*) FROM days WHERE status = 'done' GROUP BY job ORDER BY job"
    counts = columns(ledger, {"forecasts": "count(*), count(DISTINCT forecast_id), min(status), max(status)"})
    leaves = "SELECT count(*), count(DISTINCT forecast_id) FROM commitment_leaves"
    return {"days": reader.query(once).rows(), "leaves": reader.query(leaves).rows(), **counts}


def _serve(file: str, ledger: str) -> None:
    os.environ["PREFECT_HOME"] = str(Path(ledger).parent / "prefect")
    os.environ.pop("PREFECT_API_URL", None)
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    over = threading.Event()

    def watch() -> None:
        while not (Path(ledger).exists() and _done(Path(ledger)) >= JOBS):
            time.sleep(1)
        over.set()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
    command("serve", file, "--port", str(port), "--ledger", ledger, fine=over)


def _done(ledger: Path) -> set[str]:
    with suppress(Exception):  # it is being made
        return set(read(ledger).query("SELECT job FROM days WHERE status = 'done'")["job"])
    return set()
