"""`coordeval serve` as a whole, with the runs that it starts and now and then the Prefect server, as a target of kills.

All of them are killed at once, as by a machine that goes down, from the moment on at which the first run of a job is there.
A start of Prefect's server takes longer than all else, so one goes on, and every fourth kill meets it too.
"""

import functools
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from benchmarks.kill_targets import Ready, columns, command
from coordeval.agents.standin import Faults, Running, StandIn
from coordeval.flows.orchestration import serve as serving
from coordeval.flows.orchestration.server import quiet_prefect
from coordeval.ledger import read

JOBS = {"forecast-open", "resolve-and-score", "monitor", "report"}
CALLS_AT_ONCE = 4
PATIENCE = 900
"""Seconds that the server may take to start, on a machine that is busy with other work."""
WITHIN = 40.0
"""Seconds; on a busy machine its four jobs take minutes, most of them for starts of Python."""
SERVER_TOO = 4
"""Of so many kills one also meets Prefect's server."""
STUDY = f"""
name = "ahead"
replicates = 1
budget_usd = 20
configurations = ["market_price", "independent_ensemble", "peer_critique_debate"]
[markets]
source = "open"
venue = "simulated"
per_day = 2
[model]
provider = "anthropic"
id = "claude-opus-4-6"
max_tokens = 500
base_url = "URL"
[run]
concurrent_calls = {CALLS_AT_ONCE}
"""


class Server:
    """Prefect's, as `serve` starts it: it outlives the process that is killed, and starts again with what it stored."""

    def __init__(self, home: Path) -> None:
        self.home, self.kills, self._open = home, 0, ExitStack()
        with socket.socket() as trial:
            trial.bind(("127.0.0.1", 0))
            self.port = trial.getsockname()[1]
        self.api = f"http://127.0.0.1:{self.port}/api"

    def start(self) -> None:
        self._process = self._open.enter_context(serving._started(self.port, self.home / "server.log", self.api))

    def end(self) -> None:
        self._open.close()

    def kill(self, pid: int, sent: int) -> None:
        """`serve`, what is below it and, every so often, this one."""
        self.kills += 1
        if too := self.kills % SERVER_TOO == 0:
            os.killpg(self._process.pid, signal.SIGKILL)
        _kill(pid, sent)
        if too:
            self.end()
            self.start()


@contextmanager
def serve(folder: Path) -> Iterator[Ready]:
    """A process of it wakes all jobs once at its start, for today; where they are done it is told to end."""
    served = StandIn(Faults(seconds=0.3, spread=0.5), sampled=False)
    quiet_prefect()
    serving.STARTUP_SECONDS = PATIENCE
    server = Server(folder / "prefect")
    os.environ["PREFECT_HOME"] = str(server.home)
    os.environ["PREFECT_RUNNER_POLL_FREQUENCY"] = "1"  # seconds between a run's end and the next one's start; else 10
    with Running(served) as running:
        file = folder / "ahead.toml"
        file.write_text(STUDY.replace("URL", running.url))
        server.start()
        try:
            yield Ready(
                functools.partial(_serve, str(file), served.key, server.api),
                _same,
                served=lambda: len(served.seen),
                under_way=CALLS_AT_ONCE,
                study="ahead",
                kill=server.kill,
                at_work=_works,
                within=WITHIN,
            )
        finally:
            server.end()


def _same(ledger: Path) -> dict[str, object]:
    """Each job of the day is done once; no forecast twice, all answered, and all that were picked are committed to."""
    reader = read(ledger)
    once = "SELECT job, count(*) FROM days WHERE status = 'done' GROUP BY job ORDER BY job"
    counts = columns(ledger, {"forecasts": "count(*), count(DISTINCT forecast_id), min(status), max(status)"})
    leaves = "SELECT count(*), count(DISTINCT forecast_id) FROM commitment_leaves"
    draws = reader.query("SELECT count(*) FROM draws").item()
    return {"days": reader.query(once).rows(), "leaves": reader.query(leaves).rows(), "draws": draws, **counts}


def _kill(pid: int, sent: int) -> None:
    """It and all below it, also those that it starts meanwhile. They have sessions of their own: its group is not enough."""
    known: set[int] = set()
    if sent == signal.SIGKILL:
        os.kill(pid, signal.SIGSTOP)
    while below := set(_below(pid)) - known:
        known |= below
        for one in below:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGSTOP if sent == signal.SIGKILL else sent)
    for one in (pid, *known):
        if sent == signal.SIGKILL or one == pid:
            with suppress(ProcessLookupError):
                os.kill(one, sent)


def _works(pid: int) -> bool:
    """Whether a run of a job is there."""
    for one in _below(pid):
        with suppress(OSError):
            if b"prefect.engine" in Path(f"/proc/{one}/cmdline").read_bytes():
                return True
    return False


def _below(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for one in (task / "children").read_text().split():
                yield int(one)
                yield from _below(int(one))


def _serve(file: str, key: str, api: str, ledger: str) -> None:
    os.environ["ANTHROPIC_API_KEY"] = key
    os.environ["PREFECT_API_URL"] = api
    over = threading.Event()

    def watch() -> None:
        while not (Path(ledger).exists() and _done(Path(ledger)) >= JOBS):
            time.sleep(1)
        over.set()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
    command("serve", file, "--ledger", ledger, fine=over)


def _done(ledger: Path) -> set[str]:
    with suppress(Exception):  # it is being made
        return set(read(ledger).query("SELECT job FROM days WHERE status = 'done'")["job"])
    return set()
