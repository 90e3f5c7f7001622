"""What a worker does with a chunk: the run's own window over its cells, with a model of its own and shards for a ledger."""

import asyncio
import math
import os
import socket
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import orjson

from coordeval.agents.messages import Model
from coordeval.flows.run import guard
from coordeval.flows.run.planning import cell_of, planned
from coordeval.flows.run.stopping import Stop
from coordeval.flows.run.window import Watch, run_chunks
from coordeval.flows.run.workers.places import Place, PlaceError, place
from coordeval.flows.run.workers.shards import ShardStore, held
from coordeval.flows.study.evaluation import Cell, Evaluation, version
from coordeval.flows.study.flight import Flight
from coordeval.flows.study.schema import Study
from coordeval.flows.study.study import LoadedStudy
from coordeval.flows.study.wiring import build_model
from coordeval.ledger import Ledger
from coordeval.ledger.tables import Tables
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.gate import MarketView

POLL_SECONDS = 1.0
"""How often a worker looks whether it is to stop."""
SILENT_SECONDS = 60.0
"""A run that said nothing for so long is gone, and so is the reason to pay for its calls."""
BEACON = "run.json"


class WorkerError(CoordevalError):
    """A worker cannot do what it is asked: another version of the code, or another storage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What all chunks of a run have in common."""

    study: Study
    study_id: str
    files: Mapping[str, bytes]
    """Plugin files with their role texts, and the sample: path from the study's folder -> bytes."""
    run_id: str
    started_at: datetime
    made_up: bool
    version: str
    shards: str
    """URL of the place."""
    folder: str
    """The run's own folder there."""
    data: str
    """Where datasets are, if the worker can see it."""
    model: Model | None = None
    """In place of the study's own, for tests and benchmarks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of a study: whole markets, those that read the same together, so that it shares no draw with another."""

    task: Task
    number: int
    cells: Sequence[tuple[MarketView, tuple[str, str], int, str, Mapping[str, Any]]]
    """(view, (arm, label), replicate, forecast id, identity) of each."""
    known: Mapping[str, tuple[str, str]]
    """The stored draws that its markets may be handed."""
    served: frozenset[str]
    """Models that have answered so far."""
    processes: int
    """How many work at once: the pace is divided by it."""
    budget_micro_usd: int | None

    @property
    def prefix(self) -> str:
        return f"{self.task.folder}/{self.number:05}/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a worker left a chunk. What it made stands in shards, not here."""

    number: int
    error: CoordevalError | None = None
    """What ended it before its time."""
    stopped: bool = False
    short: bool = False
    """Cells were left open because the chunk's part of the budget was used up."""
    worker: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    """Of the worker's process, all threads, since it ended a chunk before."""
    peak_bytes: int = 0
    """The most memory that the process has had so far."""
    notes: list[str] = field(default_factory=list)


_ONE = threading.Lock()
"""A chunk has its process to itself, however many threads the worker has, until only stragglers of it are left."""
STRAGGLERS = 0.75
"""Of the calls that a chunk may have at once: so many cells of it are left at most. The next chunk has the rest of them."""
_late: list["_Turn"] = []
"""Those that gave up their turn and have not ended."""


class _Turn:
    """A chunk's turn in its process. It gives it up early, so that a slow market holds up no other chunk."""

    def __init__(self, chunk: Chunk) -> None:
        run = chunk.task.study.run
        self._few = STRAGGLERS * run.concurrent_calls / chunk.processes
        self.to_start, self.running, self.busy, self._has = math.inf, 0, 0, False

    def __enter__(self) -> "_Turn":
        _ONE.acquire()
        self._has = True
        self.busy = sum(late.running for late in _late)
        return self

    def __exit__(self, *ended: object) -> None:
        self._give_up()
        _late.remove(self)

    def _give_up(self) -> None:
        if self._has:
            self._has = False
            _late.append(self)
            _ONE.release()

    def started(self, cell: Cell) -> None:
        self.to_start -= 1
        self.running += 1

    def ended(self, cell: Cell) -> None:
        self.running -= 1
        if self.to_start <= 0 and self.running <= self._few:
            self._give_up()


def run_chunk(chunk: Chunk) -> Ended:
    """Make the forecasts of a chunk; called in a worker process. Raises nothing that the run would not understand."""
    if not _cpu_told:
        _cpu_seconds()
    with _Turn(chunk) as turn:
        began = time.monotonic()
        try:
            ended: Ended = guard.run(_run(chunk, turn))
        except CoordevalError as error:
            ended = Ended(number=chunk.number, error=error)
    name, seconds = f"{socket.gethostname()}:{os.getpid()}", time.monotonic() - began
    return replace(ended, worker=name, seconds=seconds, cpu_seconds=_cpu_seconds(), peak_bytes=_peak_bytes())


async def _run(chunk: Chunk, turn: _Turn) -> Ended:
    task = chunk.task
    shards = place(task.shards)
    if shards.read(f"{task.folder}/{BEACON}") is None:
        raise WorkerError(
            f"the worker {socket.gethostname()} does not see {task.shards}/{task.folder}, where the run writes: give a "
            "place that all machines can reach with --shards, such as a shared folder or s3://bucket/path"
        )
    loaded = _loaded(chunk, turn.busy)
    before = held(shards, chunk.prefix, study=task.study_id)
    limit, part, spent = task.study.budget_usd, chunk.budget_micro_usd, 0
    if limit is not None and part is not None:  # a worker that died had spent some of this chunk's part
        spent = int(limit * 1_000_000) - max(part - before.micro_usd, 0)
    store = ShardStore(
        shards,
        f"{chunk.prefix}{uuid4().hex[:8]}",
        _tables(),
        study=task.study_id,
        version=task.version,
        known={**chunk.known, **before.draws},
        served=chunk.served,
        spent=spent,
    )
    flight = Flight()
    ledger = cast(Ledger, store)
    model = task.model or build_model(loaded, Path(task.data), ledger, flight)
    evaluation = Evaluation(loaded, ledger, Path(task.data), model, task.run_id, task.started_at, flight)
    evaluation.made_up = task.made_up
    cells = [cell for cell in _cells(chunk, evaluation) if cell.forecast_id not in before.final]
    stop = Stop()
    turn.to_start, watch = len(cells), Watch(on_start=turn.started, on_end=turn.ended)
    running = asyncio.create_task(run_chunks(evaluation, [cells], watch=watch, store=store, stop=stop))
    watching = asyncio.create_task(_watch(shards, f"{task.folder}/{BEACON}", running, stop))
    try:
        await asyncio.wait({running})
    finally:
        watching.cancel()
        await store.settled()
        if not running.cancelled() and running.exception() is None:
            with suppress(PlaceError):  # it is all in shards
                await asyncio.to_thread(store.sum_up)
        if task.model is None and (aclose := getattr(model, "aclose", None)) is not None:
            await aclose()
    if running.cancelled():
        return Ended(number=chunk.number, stopped=True)
    error = running.exception()
    if error is not None and not isinstance(error, CoordevalError):
        error = WorkerError(f"a worker met {type(error).__name__}: {error}")
    return Ended(number=chunk.number, error=error, short=store.short)


async def _watch(shards: Place, beacon: str, running: asyncio.Task[None], stop: Stop) -> None:
    """Stops the chunk where the run says so, or says nothing any more."""
    last, since = b"", time.monotonic()
    while True:
        await asyncio.sleep(POLL_SECONDS)
        with suppress(CoordevalError):
            said = await asyncio.to_thread(shards.read, beacon) or b""
            if said != last:
                last, since = said, time.monotonic()
            told = orjson.loads(said) if said else {"stop": True}
            if told.get("hurry"):
                stop.hurry.set()
            if told.get("stop"):
                running.cancel()
                return
        if time.monotonic() - since > SILENT_SECONDS:
            running.cancel()
            return


_studies: dict[str, LoadedStudy] = {}
_folders: list[tempfile.TemporaryDirectory[str]] = []


def _loaded(chunk: Chunk, busy: int = 0) -> LoadedStudy:
    """The study, loaded once in a process, with this chunk's part of the pace; `busy` have stragglers of others."""
    task = chunk.task
    whole = _studies.get(task.run_id)
    if whole is None:
        _folders.append(tempfile.TemporaryDirectory(prefix="coordeval-worker-"))
        folder = Path(_folders[-1].name, *"12345678")  # room for files that lie above the study's own folder
        for name, content in task.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        whole = _studies[task.run_id] = LoadedStudy(task.study, folder)
    if whole.id != task.study_id or version() != task.version:
        raise WorkerError(
            f"the worker {socket.gethostname()} has coordeval {version()} and takes this study for {whole.id[:8]}; the run "
            f"has {task.version} and {task.study_id[:8]}: install the same version, and the same plugins, on all machines"
        )
    run, n = task.study.run, chunk.processes
    rate = run.requests_per_minute
    part = run.model_copy(
        update={
            "concurrent_calls": max(-(-run.concurrent_calls // n) - busy, 1),
            "concurrent_cells": None if run.concurrent_cells is None else max(-(-run.concurrent_cells // n) - busy, 1),
            "requests_per_minute": None if rate is None else rate / n,
            "tokens_per_minute": None if run.tokens_per_minute is None else run.tokens_per_minute / n,
        }
    )
    whole.study = task.study.model_copy(update={"run": part})
    return whole


def _cells(chunk: Chunk, evaluation: Evaluation) -> list[Cell]:
    """The cells, made anew. Raises WorkerError where this worker would make other forecasts than the run planned."""
    cells = []
    own = {(one.arm.name, one.label): one for one in planned(evaluation.loaded)}
    for view, which, replicate, forecast_id, identity in chunk.cells:
        made = cell_of(evaluation, own[which], view, replicate)
        differ = sorted(part for part in identity.keys() | made.identity.keys() if part != "model")
        differ = [part for part in differ if identity.get(part) != made.identity.get(part)]
        if differ or (chunk.task.model is None and not _same_model(evaluation.model_of(made.model), identity["model"])):
            raise WorkerError(
                f"the worker {socket.gethostname()} would make another forecast than {forecast_id[:12]}: "
                f"{', '.join(differ) or 'model'} differ; install the same version, and the same plugins, on all machines"
            )
        cells.append(replace(made, forecast_id=forecast_id, identity=dict(identity)))
    return cells


def _same_model(model: Model, wanted: Mapping[str, Any]) -> bool:
    mine = [model.identity, *getattr(model, "former_identities", ())]
    return any({**one, "draws": wanted["draws"]} == dict(wanted) for one in mine)


@cache
def _tables() -> Tables:
    import duckdb

    from coordeval.ledger import schema

    with duckdb.connect(":memory:") as con:
        schema.migrate(con)
        return Tables.of(con)


_cpu_told = 0.0


def _cpu_seconds() -> float:
    """What this process has used since this was called before."""
    global _cpu_told
    before, _cpu_told = _cpu_told, time.process_time()
    return _cpu_told - before


def _peak_bytes() -> int:
    """The most memory this process has had; 0 where the system does not say. (ru_maxrss begins with its parent's.)"""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
