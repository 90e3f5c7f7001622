"""Where chunks are worked on: worker processes of Dask, started here or found at a scheduler's address.

Dask only carries chunks to processes and says which of them live. What is done, paid and stored is read from shards.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

from coordeval.flows.run.workers.chunk import Chunk, Ended, run_chunk
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.secrets import taken

CONNECT_SECONDS = 15.0
MOST_WORKERS = 1000
WORKERS_SECONDS = 2.0
"""How long it is believed which workers there are; what is given to one that is gone goes to another."""
THREADS = 2
"""Of a worker: while a chunk waits for its last slow markets, the next one is worked on."""


class ClusterError(CoordevalError):
    """No worker can be had where the run was told to work."""


class WorkerLost(CoordevalError):
    """A chunk whose worker died again and again."""


@dataclass(frozen=True, slots=True)
class Where:
    """`dask:N`: N worker processes on this machine; `dask://host:port`: those of a scheduler that is there;
    `work-pool:NAME`: processes that workers of a Prefect work pool start."""

    text: str
    local: int = 0
    address: str = ""
    pool: str = ""

    @classmethod
    def of(cls, text: str) -> "Where":
        """Raises ClusterError for what names no place to work, or where Dask is not installed."""
        if (found := re.fullmatch(r"dask:(\d+)", text)) and 1 <= int(found[1]) <= MOST_WORKERS:
            return cls(_with_dask(text), local=int(found[1]))
        if found := re.fullmatch(r"dask://([^/:\s]+|\[[0-9a-fA-F:]+\]):(\d{1,5})/?", text):
            return cls(_with_dask(text), address=f"tcp://{found[1]}:{found[2]}")
        if found := re.fullmatch(r"work-pool:([^\s/:]+)", text):
            return cls(text, pool=found[1])
        raise ClusterError(
            f"--on {text!r}: it must be dask:N (1 to {MOST_WORKERS} worker processes on this machine), dask://host:port "
            "or work-pool:NAME"
        )


def _with_dask(text: str) -> str:
    if find_spec("distributed") is None:
        raise ClusterError(f"--on {text} needs Dask, which is not installed: pip install 'coordeval[dask]'")
    return text


class Workers(Protocol):
    """What a run needs of those who work for it."""

    ahead: int
    """Pieces that a worker has at once, the next one included."""
    pieces_per_worker: int
    """At least, where there are cells enough."""
    start: str
    """The command that starts one."""

    def workers(self) -> list[str]: ...
    def submit(self, chunk: Chunk, worker: str, done: Callable[[], None]) -> Future[Ended]: ...


class Cluster:
    """A connection to workers of Dask."""

    ahead = THREADS + 1
    pieces_per_worker = 8
    start = "`dask worker ADDRESS --nthreads 2`"

    def __init__(self, client: Any) -> None:
        self._client = client
        self._held: dict[Future[Ended], Any] = {}
        self._workers: tuple[float, list[str]] = (0.0, [])

    def workers(self) -> list[str]:
        """Addresses of the workers that live, as it was WORKERS_SECONDS ago at most."""
        at, known = self._workers
        if not known or time.monotonic() - at > WORKERS_SECONDS:
            known = sorted(self._client.scheduler_info(n_workers=-1)["workers"])
            self._workers = (time.monotonic(), known)
        return known

    def submit(self, chunk: Chunk, worker: str, done: Callable[[], None]) -> Future[Ended]:
        """Give a chunk to a worker, or to another should that one be gone; `done` is called, in any thread, at its end.

        Where workers die with it several times, the result is a WorkerLost.
        """
        ours: Future[Ended] = Future()
        # not pure: the same chunk is given again where its part of the budget was not enough
        theirs = self._client.submit(run_chunk, chunk, workers=[worker], allow_other_workers=True, pure=False, retries=0)

        def ended(future: Any) -> None:
            try:
                if future.status == "finished":
                    ours.set_result(future.result())
                else:
                    error = future.exception() if future.status == "error" else None
                    ours.set_exception(error or WorkerLost("the scheduler is gone, or gave the chunk up"))
            except Exception as error:
                ours.set_exception(error)
            done()

        theirs.add_done_callback(ended)
        self._held = {future: held for future, held in self._held.items() if not future.done()}
        self._held[ours] = theirs  # Dask forgets a task of which nobody holds the future
        return ours


def _check(library: Any, address: str) -> None:
    """Raises OSError or TimeoutError unless a scheduler answers there. A client waits for the first word of what takes its
    connection and says nothing, for ever."""

    async def answered() -> None:
        (await library.core.connect(address, timeout=CONNECT_SECONDS)).abort()

    asyncio.run(asyncio.wait_for(answered(), CONNECT_SECONDS))


@contextmanager
def connected(where: Where) -> Iterator[Cluster]:
    """Workers, for as long as it is open. Raises ClusterError where nobody answers."""
    import dask
    import distributed

    library: Any = distributed  # it has no types
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is said in the run's own words
    quiet = {
        "distributed.worker.profile.enabled": False,
        "distributed.admin.large-graph-warning-threshold": "1GB",
        # what a scheduler does all the time, of which 2% of a core becomes a fifth of that
        "distributed.admin.tick.interval": "2s",
        "distributed.admin.tick.cycle": "10s",
        "distributed.admin.system-monitor.interval": "10s",
        "distributed.admin.system-monitor.gil.enabled": False,
    }
    with dask.config.set(quiet):
        local: Any = None
        try:
            if where.local:
                local = library.LocalCluster(
                    n_workers=where.local,
                    threads_per_worker=THREADS,
                    processes=True,
                    memory_limit=None,
                    dashboard_address=None,
                    # a plugin or a child does not find the key in the environment of this process; a worker of ours needs it
                    env=taken(),
                    preload=["import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)"],  # Ctrl-C is the run's business
                    silence_logs=logging.CRITICAL,
                )
            else:
                _check(library, where.address)
            client: Any = library.Client(local or where.address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            if local is not None:
                local.close()
            raise ClusterError(
                f"--on {where.text}: no scheduler answers there ({type(error).__name__}); start one with `dask scheduler` "
                "and workers with `dask worker ADDRESS --nthreads 2`, or use dask:N for workers on this machine"
            ) from error
        try:
            yield Cluster(client)
        finally:
            client.close(timeout=5)
            if local is not None:
                local.close(timeout=10)
