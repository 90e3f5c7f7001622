"""The run's side: chunks go out to workers, shards come in, and what one process would do at its end is done here."""

import asyncio
import os
import time
from asyncio import FIRST_COMPLETED
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from coordeval.agents.messages import Model
from coordeval.flows.run.spending import Spending
from coordeval.flows.run.stopping import Stop
from coordeval.flows.run.window import Watch
from coordeval.flows.run.workers.chunk import BEACON, Chunk, Ended, Task
from coordeval.flows.run.workers.cluster import ClusterError, Where, Workers, connected
from coordeval.flows.run.workers.merging import Merged, merge
from coordeval.flows.run.workers.places import Place, PlaceError, place
from coordeval.flows.study.evaluation import Cell, Evaluation, version
from coordeval.flows.study.wiring import counted
from coordeval.market_data.errors import CoordevalError

BEAT_SECONDS = 5.0
WORKERS_SECONDS = 60.0
"""How long a run waits for a first worker, or for another once all are gone."""
MOST_CELLS = 1000
"""In a piece."""
MERGE_CELLS = 10 * MOST_CELLS
MERGE_SECONDS = 20.0
"""So many cells are merged together, or what came home in so long. In shards they are as safe."""
END_SECONDS = 30.0
"""Beside `settle_seconds`: how long workers may take to come to an end once they are told to."""


@dataclass(frozen=True, slots=True)
class On:
    """Where a run works, and where shards are kept on the way."""

    where: Where
    shards: str
    model: Model | None = None
    """In place of the study's own, for tests and benchmarks."""
    connect: Callable[[Where], AbstractContextManager[Workers]] = connected


@dataclass(slots=True)
class _Piece:
    number: int
    cells: Sequence[Cell]
    chunk: int
    """Of the plan's chunks, the one that it is a part of."""
    budget: int = 0
    short: bool = False
    """Its part of the budget was not enough once: it waits until it can have all that is left."""


@dataclass(slots=True)
class _Over:
    left: int
    event: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self) -> None:
        await self.event.wait()


@dataclass(slots=True)
class Account:
    """Where the time of a run on workers went, and what their memory was."""

    seconds: float = 0.0
    """From the first chunk sent to the last one merged."""
    merging: float = 0.0
    sending: float = 0.0
    working: float = 0.0
    """Of all workers together, within chunks."""
    own_cpu: float = 0.0
    """CPU seconds of this process: to send, poll and merge, and the scheduler where it was started here."""
    worker_cpu: float = 0.0
    """CPU seconds of all workers together, within chunks."""
    peaks: dict[str, list[int]] = field(default_factory=dict)
    """Worker -> the most bytes it had had by the end of each of its chunks."""


def take_in(evaluation: Evaluation, shards: str, tell: Callable[[str], Any]) -> Merged:
    """Merge what workers of earlier runs of this study left, and tell those that still work to stop."""
    kept = place(shards)
    folder = evaluation.loaded.id[:16]
    for name in kept.names(f"{folder}/"):
        if name.endswith(f"/{BEACON}"):
            kept.write(name, orjson.dumps({"stop": True, "at": datetime.now(UTC)}))
    found = merge(evaluation.ledger, kept, f"{folder}/", study=evaluation.loaded.id, tell=tell)
    if found.forecasts or found.draws:
        tell(f"took in {len(found.forecasts)} forecasts and {len(found.draws)} replies that workers of an earlier run left")
    return found


async def run_on(
    evaluation: Evaluation,
    chunks: Sequence[Sequence[Cell]],
    on: On,
    *,
    watch: Watch,
    spending: Spending,
    stop: Stop,
) -> Account:
    """Make the forecasts of all these cells on workers; as `run_chunks`, with which it agrees in every stored forecast.

    Raises what ended it (a key that is refused, a full disk, no worker) once what workers have stored is in the ledger.
    """
    shards = await asyncio.to_thread(place, on.shards)
    opened = on.connect(on.where)
    watch.tell(f"starting workers ({on.where.text}); shards in {shards.url}")
    cluster = await asyncio.to_thread(opened.__enter__)
    try:
        account = await _Dispatch(evaluation, chunks, on, shards, cluster, watch, spending, stop).run()
    finally:
        await asyncio.to_thread(opened.__exit__, None, None, None)
    await asyncio.to_thread(evaluation.ledger.flush)
    return account


class _Dispatch:
    def __init__(
        self,
        evaluation: Evaluation,
        chunks: Sequence[Sequence[Cell]],
        on: On,
        shards: Place,
        cluster: Workers,
        watch: Watch,
        spending: Spending,
        stop: Stop,
    ) -> None:
        self._evaluation, self._shards, self._cluster = evaluation, shards, cluster
        self._watch, self._spending, self._stop = watch, spending, stop
        self._loop = asyncio.get_running_loop()
        self._folder = f"{evaluation.loaded.id[:16]}/{evaluation.run_id[:12]}"
        self._task = _task(evaluation, on, shards.url, self._folder)
        self._over = [_Over(len(cells)) for cells in chunks]
        self._plan = chunks
        self._waiting: deque[_Piece] = deque()
        self._under_way: dict[Future[Ended], tuple[_Piece, str]] = {}
        self._started: set[int] = set()
        self._came_home: asyncio.Queue[tuple[_Piece, Future[Ended]] | None] = asyncio.Queue()
        self._at_home = 0
        """Pieces that are being merged, or wait for it."""
        self._merged = asyncio.Event()
        self._merged.set()
        self._drawn: dict[str, list[str]] = {}
        """Market -> the markets whose stored draws it may be handed."""
        self._news = asyncio.Event()
        self._telling: set[asyncio.Task[None]] = set()
        limit = evaluation.loaded.study.budget_usd
        self._limit = None if limit is None else int(limit * 1_000_000)
        self._account = Account()

    async def run(self) -> Account:
        await self._beat({})
        beating, homing = asyncio.create_task(self._beats()), asyncio.create_task(self._homing())
        try:
            workers = await self._workers()
            self._waiting.extend(_pieces(self._plan, len(workers) * self._cluster.pieces_per_worker))
            markets = {cell.view.market.id for cells in self._plan for cell in cells}
            self._drawn = await asyncio.to_thread(self._evaluation.ledger.drawn_alike, markets)
            began, cpu = time.monotonic(), time.process_time()
            while self._waiting or self._under_way or self._at_home:
                await self._send()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), 1.0)
                self._news.clear()
                for future in [future for future in self._under_way if future.done()]:
                    piece, _ = self._under_way.pop(future)
                    self._came_home.put_nowait((piece, future))
                    self._at_home += 1
                    self._merged.clear()
                if self._limit is not None:  # what is left of the budget is known once all that came home is merged
                    await asyncio.wait({homing, asyncio.ensure_future(self._merged.wait())}, return_when=FIRST_COMPLETED)
                if homing.done():
                    homing.result()
            self._account.seconds, self._account.own_cpu = time.monotonic() - began, time.process_time() - cpu
        finally:
            beating.cancel()
            self._came_home.put_nowait(None)
            await asyncio.wait({homing})
            await self._end()
        return self._account

    async def _workers(self) -> list[str]:
        """Those that live; waits for one. Raises ClusterError where there is none for WORKERS_SECONDS."""
        until, told = time.monotonic() + WORKERS_SECONDS, False
        while not (workers := await asyncio.to_thread(self._cluster.workers)):
            if time.monotonic() > until:
                raise ClusterError(
                    f"no worker was there for {WORKERS_SECONDS:g} s: start some with {self._cluster.start} and run "
                    "the same command again; what was answered is stored"
                )
            if not told:
                self._watch.tell("waiting for a worker")
                told = True
            await asyncio.sleep(0.5)
        return workers

    async def _send(self) -> None:
        """A piece to every worker that has none, and one to begin with next, so that none waits for this process."""
        if not self._waiting:
            return
        workers = await self._workers()
        busy = Counter(worker for _, worker in self._under_way.values())
        deep = self._cluster.ahead if self._limit is None else 1  # a part of the budget that waits is no use to anybody
        for worker in [worker for n in range(deep) for worker in workers if busy[worker] <= n]:
            if not self._waiting:
                return
            if self._waiting[0].short and self._under_way:
                return  # two that share what is left for one call would come back for ever
            budget = self._part(1 if self._waiting[0].short else len(workers))
            if budget == 0 and self._under_way:
                return  # what the others leave of theirs may be enough
            piece = self._waiting.popleft()
            piece.budget = budget or 0
            if piece.chunk not in self._started:
                self._started.add(piece.chunk)
                self._tell(self._watch.on_chunk(piece.chunk + 1, self._over[piece.chunk].wait))
            began = time.monotonic()
            chunk = await asyncio.to_thread(self._chunk, piece, len(workers), budget)
            future = await asyncio.to_thread(self._cluster.submit, chunk, worker, self._call)
            self._account.sending += time.monotonic() - began
            self._under_way[future] = (piece, worker)

    def _part(self, workers: int) -> int | None:
        """What a piece may spend: an equal part of what is neither spent nor given to another; None: no limit."""
        if self._limit is None:
            return None
        given = sum(piece.budget for piece, _ in self._under_way.values())
        free = max(workers - len(self._under_way), 1)
        return max(self._limit - self._spent() - given, 0) // free

    def _spent(self) -> int:
        loaded = self._evaluation.loaded
        return counted(loaded.study, self._evaluation.ledger.books(loaded.id))

    def _chunk(self, piece: _Piece, workers: int, budget: int | None) -> Chunk:
        ledger = self._evaluation.ledger
        markets = {cell.view.market.id for cell in piece.cells}
        drawn = {market: self._drawn[market] for market in markets & self._drawn.keys()}
        handed = sorted({other for others in drawn.values() for other in others})
        served = ledger.books(self._evaluation.loaded.id).served if self._limit is not None else frozenset()
        return Chunk(
            task=self._task,
            number=piece.number,
            cells=[(c.view, (c.arm, c.label), c.replicate, c.forecast_id, c.identity) for c in piece.cells],
            known=ledger.known_draws(handed) if handed else {},
            served=served,
            processes=workers,
            budget_micro_usd=budget,
        )

    async def _homing(self) -> None:
        """Merges what comes home, one piece after the other, while others are sent and worked on."""
        more: tuple[_Piece, Future[Ended]] | None
        while (more := await self._came_home.get()) is not None:
            came = [more]
            until = time.monotonic() + MERGE_SECONDS
            while not self._due(came) and (left := until - time.monotonic()) > 0:
                try:
                    more = await asyncio.wait_for(self._came_home.get(), left)
                except TimeoutError:
                    break
                if more is None:
                    break
                came.append(more)
            try:
                await self._merge(*(f"{self._folder}/{piece.number:05}/" for piece, _ in came))
                for piece, future in came:
                    await self._judge(piece, future)
            finally:
                self._at_home -= len(came)
                if not self._at_home:
                    self._merged.set()
                self._news.set()
            if more is None:
                return

    def _due(self, came: Sequence[tuple[_Piece, Future[Ended]]]) -> bool:
        """Whether what came home is merged now. To open the ledger and store takes as long for a row as for a thousand."""
        if self._limit is not None or not (self._under_way or self._waiting):
            return self._came_home.empty()
        bad = any(future.exception() is not None or future.result().error is not None for _, future in came)
        return bad or sum(len(piece.cells) for piece, _ in came) >= MERGE_CELLS

    async def _judge(self, piece: _Piece, future: Future[Ended]) -> None:
        """What became of a piece whose shards are merged."""
        try:
            ended = future.result()
        except CoordevalError:
            raise
        except Exception as error:  # KilledWorker, CommClosedError, whatever a scheduler may say
            raise ClusterError(
                f"workers died with the same chunk again and again ({type(error).__name__}: {str(error)[:200]}); what they "
                "had stored is in the ledger, and the same command goes on. Look for memory, or a plugin that ends processes"
            ) from error
        self._account.peaks.setdefault(ended.worker, []).append(ended.peak_bytes)
        self._account.working += ended.seconds
        self._account.worker_cpu += ended.cpu_seconds
        left = await asyncio.to_thread(self._left, piece) if ended.short else []
        if ended.short and left and not piece.short and ended.error is None:  # its part was not enough; all of it may be
            self._waiting.appendleft(_Piece(piece.number, left, piece.chunk, short=True))
            markets = {cell.view.market.id for cell in left}
            self._drawn |= await asyncio.to_thread(self._evaluation.ledger.drawn_alike, markets)
            self._over[piece.chunk].left -= len(piece.cells) - len(left)
            return
        if ended.error is not None:
            raise ended.error
        over = self._over[piece.chunk]
        over.left -= len(piece.cells)
        if over.left <= 0:
            over.event.set()

    def _left(self, piece: _Piece) -> list[Cell]:
        known = self._evaluation.ledger.known_forecasts([cell.forecast_id for cell in piece.cells])
        return [cell for cell in piece.cells if known.get(cell.forecast_id, ("failed", True)) == ("failed", True)]

    async def _merge(self, *prefixes: str) -> None:
        ledger, study, shards = self._evaluation.ledger, self._evaluation.loaded.id, self._shards
        began = time.monotonic()
        merged = await asyncio.to_thread(merge, ledger, shards, *prefixes, study=study, tell=self._watch.tell)
        self._account.merging += time.monotonic() - began
        for draw in merged.draws:
            self._spending.count(draw)
        for forecast in merged.forecasts:
            self._watch.on_forecast(forecast)

    async def _end(self) -> None:
        """Workers that still work are told to stop and waited for; what they have stored is merged."""
        until = time.monotonic() + self._evaluation.loaded.study.run.settle_seconds + END_SECONDS
        word: dict[str, Any] = {"stop": True}
        try:
            if self._under_way:
                workers = f"{len(self._under_way)} workers"
                self._watch.tell(f"waiting for {workers} to store replies under way; a second signal ends at once")
            while any(not future.done() for future in self._under_way) and time.monotonic() < until:
                if self._stop.hurry.is_set():
                    word, until = {"stop": True, "hurry": True}, min(until, time.monotonic() + 5)
                with suppress(PlaceError):
                    await self._beat(word)
                self._news.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), 1.0)
            with suppress(PlaceError):
                await self._beat(word)
        finally:
            for task in self._telling:
                task.cancel()
            with suppress(CoordevalError):  # a disk that is full ended the run: the shards stay for the next one
                await self._merge(f"{self._folder}/")
                if not await asyncio.to_thread(self._shards.names, f"{self._folder}/0"):
                    await asyncio.to_thread(self._shards.delete, [f"{self._folder}/{BEACON}"])

    async def _beats(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            with suppress(PlaceError):  # an object store that is away for a moment; workers wait a minute for the next
                await self._beat({})

    async def _beat(self, said: Mapping[str, Any]) -> None:
        content = orjson.dumps({"at": datetime.now(UTC), "process": os.getpid(), **said})
        await asyncio.to_thread(self._shards.write, f"{self._folder}/{BEACON}", content)

    def _call(self) -> None:
        self._loop.call_soon_threadsafe(self._news.set)

    def _tell(self, telling: Any) -> None:
        task = asyncio.ensure_future(telling)
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)


def _task(evaluation: Evaluation, on: On, shards: str, folder: str) -> Task:
    loaded = evaluation.loaded
    return Task(
        study=loaded.study,
        study_id=loaded.id,
        files=loaded.files(),
        run_id=evaluation.run_id,
        started_at=evaluation.started_at,
        made_up=evaluation.made_up,
        version=version(),
        shards=shards,
        folder=folder,
        data=str(evaluation.data.absolute()),
        model=on.model,
    )


def _pieces(chunks: Sequence[Sequence[Cell]], least: int) -> Iterator[_Piece]:
    """The plan's chunks, cut where markets share no draw, into at least so many where there are cells enough, so
    that every worker gets several."""
    total = sum(len(chunk) for chunk in chunks)
    most = min(MOST_CELLS, max(1, total // least))
    number = 0
    for index, chunk in enumerate(chunks):
        start = 0
        for i in range(1, len(chunk) + 1):
            full = i - start >= most and i < len(chunk) and chunk[i].view.opening != chunk[i - 1].view.opening
            if full or i == len(chunk):
                yield _Piece(number, chunk[start:i], index)
                number, start = number + 1, i
