"""Chunks as flow runs on a Prefect work pool that exists: each has a process, which a Prefect worker starts for it.

Prefect carries chunks to processes. Which of those live, and what is done, paid and stored, is read beside the shards: a
flow run that a worker had claimed when it died says for ever that it will soon begin.
"""

import math
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from coordeval.flows.orchestration.server import check, quiet_prefect
from coordeval.flows.run.workers.chunk import Chunk, Ended, WorkerError
from coordeval.flows.run.workers.cluster import ClusterError, Where, WorkerLost
from coordeval.flows.run.workers.places import Place, PlaceError, place
from coordeval.market_data.errors import CoordevalError, choose

TASK, TAKEN, ENDED = ".task", ".taken", ".ended"
"""Ends of names beside a chunk's shards: what is to be done, that a process does it, and how that ended."""
POLL_SECONDS = 1.0
TRIES = 4
"""How often a chunk is given to a process."""
SILENT_SECONDS = 60.0
"""A process that has begun, and then said nothing for so long, is dead."""
CLAIMED_SECONDS = 180.0
"""A worker that claimed a flow run, and whose process has said nothing for so long, is dead."""
GIVE_SECONDS = 600.0
"""How long an API may take no chunk."""
WORKERS_SECONDS = 10.0
"""How long it is believed which workers there are."""


_FINAL = ("CRASHED", "FAILED", "COMPLETED", "CANCELLED")


@dataclass(slots=True, eq=False)
class _Given:
    """A chunk that a flow run has, or will have."""

    chunk: Chunk
    kept: Place
    future: Future[Ended]
    done: Callable[[], None]
    name: str = ""
    run: UUID | None = None
    tries: int = 1
    heard: bytes = b""
    since: float = 0.0
    """When something last changed."""
    state: str = ""


class Pool:
    """As `Cluster`: workers and what is given to them. A worker is a process that the pool runs at once."""

    ahead = 1
    pieces_per_worker = 2

    def __init__(self, name: str, client: Any, deployment: UUID) -> None:
        self._name, self._client, self._deployment = name, client, deployment
        self.start = f"`prefect worker start --pool {name}`"
        self._lock = threading.Lock()
        self._given: list[_Given] = []
        self._over = threading.Event()
        self._workers: tuple[float, list[str]] = (-WORKERS_SECONDS, [])
        self._polling = threading.Thread(target=self._poll, name=f"work pool {name}", daemon=True)
        self._polling.start()

    def workers(self) -> list[str]:
        """One for each process that may run at once: the pool's limit or, where it has none, the workers that live."""
        at, known = self._workers
        if time.monotonic() - at > WORKERS_SECONDS or not known:
            with suppress(Exception), self._lock:  # an API that is away for a moment: those that were there
                pool = self._client.read_work_pool(self._name)
                alive = [w for w in self._client.read_workers_for_work_pool(self._name) if str(w.status).endswith("ONLINE")]
                many = 0 if pool.is_paused or not alive else pool.concurrency_limit or len(alive)
                self._workers = (time.monotonic(), [f"{self._name}/{n + 1}" for n in range(many)])
        return self._workers[1]

    def submit(self, chunk: Chunk, worker: str, done: Callable[[], None]) -> Future[Ended]:
        """Give a chunk to the pool; `done` is called, in any thread, at its end. A process that dies is followed by another;
        where several do, the result is a WorkerLost."""
        given = _Given(chunk, place(chunk.task.shards), Future(), done)
        self._describe(given)
        with self._lock:
            self._given.append(given)
        return given.future

    def close(self) -> None:
        """What no process has begun is taken back."""
        self._over.set()
        self._polling.join()
        for given in self._given:
            self._take_back(given)

    def _describe(self, given: _Given) -> None:
        """What is to be done, in the place, under a new name."""
        given.name, given.run, given.since = f"{given.chunk.prefix}{uuid4().hex[:8]}", None, time.monotonic()
        given.heard, given.state = b"", ""
        given.kept.write(f"{given.name}{TASK}", pickle.dumps(given.chunk))

    def _give(self, given: _Given) -> None:
        """A flow run for it. An API that is away for a moment is asked again."""
        chunk = given.chunk
        parameters = {"shards": chunk.task.shards, "task": f"{given.name}{TASK}"}
        called = f"{chunk.task.study.name}, chunk {chunk.number + 1}"
        try:
            with self._lock:
                made = self._client.create_flow_run_from_deployment(self._deployment, parameters=parameters, name=called)
        except Exception as error:
            if time.monotonic() - given.since > GIVE_SECONDS:
                said = f"{type(error).__name__}: {error}"
                raise ClusterError(
                    f"Prefect has taken no chunk for {GIVE_SECONDS:g} s ({said}); the same command goes on"
                ) from error
            return
        given.run, given.since = made.id, time.monotonic()

    def _take_back(self, given: _Given) -> None:
        """No process that comes later begins with it."""
        with suppress(PlaceError):
            given.kept.delete([name for name in given.kept.names(given.name) if not name.endswith(".parquet")])
        with suppress(Exception), self._lock:
            if given.run is not None and given.state not in _FINAL:
                self._client.set_flow_run_state(given.run, _cancelled(), force=True)

    def _poll(self) -> None:
        while not self._over.wait(POLL_SECONDS):
            states: dict[UUID, Any] = {}
            with suppress(Exception), self._lock:  # an API that is away for a moment: the place says what is done
                states = self._states([given.run for given in self._given if given.run is not None])
            for given in list(self._given):
                try:
                    if given.run is None:
                        self._give(given)
                    else:
                        self._look(given, states.get(given.run))
                except PlaceError:
                    continue  # one that is away for a moment
                except CoordevalError as error:
                    self._ended(given, error)
                except Exception as error:
                    self._ended(given, ClusterError(f"the pool {self._name}: {type(error).__name__}: {error}"))

    def _states(self, runs: list[UUID]) -> dict[UUID, Any]:
        from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

        if not runs:
            return {}
        found = self._client.read_flow_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=runs)))
        return {run.id: run.state for run in found}

    def _look(self, given: _Given, state: Any) -> None:
        """What became of it."""
        if (content := given.kept.read(f"{given.name}{ENDED}")) is not None:
            self._ended(given, pickle.loads(content))
            return
        heard = given.kept.read(f"{given.name}{TAKEN}") or b""
        kind = "" if state is None else state.type.value
        kind = kind or given.state
        if (heard, kind) != (given.heard, given.state):
            given.heard, given.state, given.since = heard, kind, time.monotonic()
        silent = time.monotonic() - given.since
        if given.state == "FAILED" and not given.heard:
            self._ended(given, WorkerError(f"a worker of the pool {self._name} could not begin: {state.message}"))
        elif given.state in ("CANCELLED", "CANCELLING"):
            self._ended(given, ClusterError("a chunk was cancelled in Prefect; the same command goes on"))
        elif given.state in _FINAL or silent > self._patience(given):
            self._again(given)

    def _patience(self, given: _Given) -> float:
        """Seconds of silence after which its process is dead; what nobody has claimed waits as long as it must."""
        if given.heard:
            return SILENT_SECONDS
        return CLAIMED_SECONDS if given.state in ("PENDING", "RUNNING") else math.inf

    def _again(self, given: _Given) -> None:
        """Its process is dead: another takes it up. What is in its shards is not asked again."""
        self._take_back(given)
        if given.tries == TRIES:
            self._ended(given, WorkerLost(f"{TRIES} processes of the pool {self._name} died with it"))
            return
        given.tries += 1
        self._describe(given)

    def _ended(self, given: _Given, result: Ended | CoordevalError) -> None:
        with self._lock:
            self._given.remove(given)
        with suppress(PlaceError):
            given.kept.delete([name for name in given.kept.names(given.name) if not name.endswith(".parquet")])
        if isinstance(result, Ended):
            given.future.set_result(result)
        else:
            given.future.set_exception(result)
        given.done()


def address_for(where: Where) -> str:
    """Of the Prefect API that is configured. Raises ClusterError where there is none."""
    quiet_prefect()
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    if url is None:
        raise ClusterError(
            f"--on {where.text}: a work pool belongs to a Prefect server, and none is configured: set PREFECT_API_URL to "
            "the one that the pool's workers use"
        )
    return url


@contextmanager
def pool(where: Where) -> Iterator[Pool]:
    """Workers of a work pool, for as long as it is open. Raises ClusterError where there is none of that name."""
    quiet_prefect()
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    name = where.pool
    check(address_for(where), instead="give `--on dask:4`, which needs no server")
    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(name)
        except ObjectNotFound:
            there = [one.name for one in client.read_work_pools()]
            raise ClusterError(
                f"--on {where.text}: {choose('work pool', name, there)}; `prefect work-pool create --type process {name}` "
                "makes it"
            ) from None
        working = Pool(name, client, _deployed(name))
        try:
            yield working
        finally:
            working.close()


def _deployed(name: str) -> UUID:
    from prefect.types.entrypoint import EntrypointType

    from coordeval.flows.orchestration.chunks import work_on_chunk

    made: Any = work_on_chunk.to_deployment(
        name=f"on {name}",
        work_pool_name=name,
        tags=["coordeval"],
        description="A chunk of a study that `coordeval run --on work-pool:NAME` has cut.",
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    deployment: UUID = made.apply(work_pool_name=name)
    return deployment


def _cancelled() -> Any:
    from prefect.states import Cancelled

    return Cancelled(message="the run has ended, or has given this chunk to another process")
