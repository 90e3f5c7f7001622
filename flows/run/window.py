"""The third step of a run: its cells become forecasts, in one window over the whole study.

As many cells as fit are under way at any moment, whichever market they belong to, so a slow one holds up nobody. Chunks and
batches only say what is loaded, reported and let go together.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakSet

from coordeval.agents import telemetry
from coordeval.agents.draws import CommonDraws, DrawStore
from coordeval.flows.run.cell import run_cell
from coordeval.flows.run.stopping import Stop
from coordeval.flows.run.telemetry import told as with_telemetry
from coordeval.flows.run.tide import Tide
from coordeval.flows.run.waiting import told
from coordeval.flows.run.watching import watching
from coordeval.flows.study.evaluation import Cell, Evaluation
from coordeval.ledger import CellRows
from coordeval.ledger.store import GAME_TABLES
from coordeval.market_data.errors import CoordevalError

END_SECONDS = 10.0
"""How long cells that were called off may take to end; a configuration can swallow the cancellation."""

SETTLE_SECONDS = 2.0
"""How long replies that have come home may take to the disk."""

NEW_OBJECTS = 10_000
"""So many new containers before Python looks for cycles among them; Python's own 700 are a few calls."""

OnForecast = Callable[[Mapping[str, Any]], None]
"""Called with each forecast's row once it is durable."""
Tell = Callable[[str], None]
"""Called with what a person should know while they wait."""
OnChunk = Callable[[int, Callable[[], Awaitable[None]]], Awaitable[None]]
"""Called with a chunk's number when its first cell starts, and with what returns when its last one is stored."""


async def _wait(number: int, over: Callable[[], Awaitable[None]]) -> None:
    await over()


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Who looks on while cells are made."""

    on_forecast: OnForecast = lambda row: None
    on_start: Callable[[Cell], None] = lambda cell: None
    on_end: Callable[[Cell], None] = lambda cell: None
    on_chunk: OnChunk = _wait
    tell: Tell = lambda text: None


async def run_chunks(
    evaluation: Evaluation,
    chunks: Sequence[Sequence[Cell]],
    *,
    watch: Watch | None = None,
    store: DrawStore | None = None,
    stop: Stop | None = None,
) -> None:
    """Make the forecasts of all these cells. Every paid reply and every finished cell is on disk on return.

    Raises CoordevalError where no forecast can be had (a key that is refused, a full disk) once what is under way is stored.
    Cancelled, it waits for the replies under way as long as the study's `settle_seconds`, or until `stop.hurry` is set.
    """
    await _Window(evaluation, watch or Watch(), store or evaluation.ledger, stop or Stop()).run(chunks)


@dataclass(slots=True)
class _Chunk:
    left: int
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self) -> None:
        await self.over.wait()


class _Window:
    def __init__(self, evaluation: Evaluation, watch: Watch, store: DrawStore, stop: Stop) -> None:
        self._evaluation, self._watch, self._store, self._stop = evaluation, watch, store, stop
        self._width = evaluation.loaded.study.run.cells_at_once
        self._places = asyncio.Semaphore(self._width)
        self._tasks: set[asyncio.Task[None]] = set()
        self._tide: Tide | None = None
        if (waves := getattr(evaluation.model, "waves", None)) is not None:
            model: Any = evaluation.model
            self._tide = Tide(lambda: model.asking, lambda: model.blocked)
            waves.everybody_waits = self._tide.all_wait
            self._store = self._tide.keeping(self._store)
        self.planned = 0
        """Cells that this run was to make."""
        self.open_cells: dict[str, Cell] = {}
        """Those that failed in a way that may pass."""
        self._going = asyncio.Event()
        self._going.set()
        self._chunks = self._under_way = 0
        if evaluation.helm is not None:
            evaluation.helm.window = self
        self._draws: WeakSet[CommonDraws] = WeakSet()  # alive while a cell or a call of theirs is
        self._over = asyncio.Event()
        self._error: BaseException | None = None
        self._ending = False

    async def run(self, chunks: Sequence[Sequence[Cell]]) -> None:
        try:
            with watching(asyncio.get_running_loop()), rarely_collecting():
                self._spawn(self._start(chunks))
                await self._over.wait()
        finally:
            await self._end()
        if self._error is not None:
            raise self._error
        await asyncio.to_thread(self._evaluation.ledger.flush)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._error = self._error or error
        if self._error is not None or not self._tasks:
            self._over.set()

    @property
    def under_way(self) -> int:
        """Cells that have begun and are not stored."""
        return self._under_way

    def pause(self, paused: bool) -> None:
        """By a person's wish: no cell and no call begins until it is taken back."""
        if paused:
            self._going.clear()
        else:
            self._going.set()
        if (pause := getattr(self._evaluation.model, "pause", None)) is not None:
            pause(paused)

    def again(self) -> int:
        """Ask once more for the cells that are open now; returns how many."""
        cells = list(self.open_cells.values())
        self.open_cells.clear()
        if cells:
            self._spawn(self._start([cells]))
        return len(cells)

    async def _start(self, chunks: Sequence[Sequence[Cell]]) -> None:
        """Starts cells as places become free. A batch's stored draws are read when its first cell is about to start."""
        ledger = self._evaluation.ledger
        markets = {cell.view.market.id for chunk in chunks for cell in chunk}
        drawn = await asyncio.to_thread(ledger.drawn_alike, markets) if markets else {}
        self.planned += sum(len(cells) for cells in chunks)
        for cells in chunks:
            self._chunks += 1
            number, chunk = self._chunks, _Chunk(len(cells))
            if not cells:  # nobody would say that it is over
                chunk.over.set()
            self._spawn(self._watch.on_chunk(number, chunk.wait))
            for batch in _batches(cells, self._width):
                known: dict[str, tuple[str, str]] = {}
                if stored := {other for cell in batch for other in drawn.get(cell.view.market.id, ())}:
                    async with self._places:  # not read before there is room for those who need it
                        known = await asyncio.to_thread(ledger.known_draws, sorted(stored))
                recorded = self._evaluation.loaded.recorded
                drawn_from: dict[str, CommonDraws] = {}  # by model: arms that ask one model share its draws
                for cell in batch:
                    await self._going.wait()
                    if self._tide is not None:  # a wave may go while there is no room for more cells
                        self._tide.filling = not self._places.locked()
                    await self._places.acquire()
                    if self._tide is not None:
                        self._tide.filling = True
                        self._tide.begun(cell.forecast_id)
                    if (name := cell.model) not in drawn_from:
                        model = self._evaluation.model_of(name)
                        drawn_from[name] = CommonDraws(model, self._store, known, by_configuration=recorded)
                        self._draws.add(drawn_from[name])
                    self._spawn(self._make(cell, drawn_from[name], chunk))
                    await asyncio.sleep(0)  # or no call begins before every cell of the window has made its first request
        if self._tide is not None:
            self._tide.filling = False

    async def _make(self, cell: Cell, draws: CommonDraws, chunk: _Chunk) -> None:
        self._watch.on_start(cell)
        self._under_way += 1
        try:
            rows = await self._stored(cell, await self._rows(cell, draws))
        finally:
            self._places.release()
            self._under_way -= 1
            if self._tide is not None:
                self._tide.ended(cell.forecast_id)
            self._watch.on_end(cell)
        if rows.forecast["status"] == "failed" and rows.forecast["retryable"]:
            self.open_cells[cell.forecast_id] = cell
        self._evaluation.ledger.flush_if_due()
        self._watch.on_forecast(rows.forecast)
        chunk.left -= 1
        if not chunk.left:
            chunk.over.set()

    async def _stored(self, cell: Cell, rows: CellRows) -> CellRows:
        """What was stored: `rows`, or their failure where they break a rule (a forecast forged past the panel)."""
        put = self._evaluation.ledger.put_cell
        try:
            await put(rows := with_telemetry(rows))
        except (ValueError, TypeError, ArithmeticError) as error:
            reason = f"{cell.label} left what cannot be stored: {error}"
            rows = _failed(self._evaluation, cell, reason, rows)
            try:
                await put(rows := with_telemetry(rows))
            except (ValueError, TypeError, ArithmeticError):
                rows = _failed(self._evaluation, cell, reason)
                await put(rows)
        return rows

    async def _rows(self, cell: Cell, draws: CommonDraws) -> CellRows:
        """The cell's rows, whatever its configuration does: what is no reason for the run to end is a failed row."""
        try:
            with telemetry.cell(
                forecast_id=cell.forecast_id,
                arm=cell.arm,
                configuration=cell.label,
                market_id=cell.view.market.id,
                replicate=cell.replicate,
            ):
                return await run_cell(self._evaluation, cell, draws if self._tide is None else self._tide.over(draws))
        except CoordevalError:
            raise  # a key that is refused, a disk that is full: nobody's failure, so the run ends and says so
        except BaseException as error:
            if self._ending:
                raise
            if (task := asyncio.current_task()) is not None:
                while task.cancelling():  # by the configuration itself: the run calls nothing off before it ends
                    task.uncancel()
            return _failed(self._evaluation, cell, f"{cell.label} raised {type(error).__name__}: {error}")

    async def _end(self) -> None:
        """Calls off what is unfinished, and waits for the replies that are on their way and will be charged."""
        self._ending = True
        flight, patience = self._evaluation.flight, self._evaluation.loaded.study.run.settle_seconds
        flight.halt()
        for task in self._tasks:
            task.cancel()
        hurry = asyncio.create_task(self._stop.hurry.wait())
        try:
            with told(self._left, self._watch.tell):
                if flight.under_way:
                    waited = f"waiting for {flight.under_way} replies under way, which are paid for, up to {patience:g} s"
                    self._watch.tell(f"{waited}; a second signal ends at once")
                if self._tasks:
                    await self._until(hurry, asyncio.wait({*self._tasks}), END_SECONDS)
                if flight.under_way:
                    await self._until(hurry, flight.landed(), patience)
                if self._draws:  # what has come home goes to disk; what was never sent ends by itself
                    settled = asyncio.gather(*[draws.settle(SETTLE_SECONDS) for draws in self._draws])
                    await self._until(hurry, settled, SETTLE_SECONDS)
        finally:
            hurry.cancel()
        if flight.under_way:
            self._watch.tell(f"gave up {flight.under_way} replies under way: they may be charged, and are asked for again")
        if self._tasks:
            self._watch.tell(f"{len(self._tasks)} cells would not end when they were called off; they are left open")

    def _left(self) -> str:
        """What an ended run waits for, in words."""
        tasks = len(self._tasks)
        what = [f"{self._evaluation.flight.under_way} replies under way"] if self._evaluation.flight.under_way else []
        what += [f"{tasks} forecasts that were called off"] if tasks else []
        return f"waiting for {' and '.join(what) or 'replies to be stored'}"

    async def _until(self, hurry: asyncio.Task[Any], work: Any, seconds: float) -> None:
        waiting = asyncio.ensure_future(work)
        await asyncio.wait({hurry, waiting}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting


@contextmanager
def rarely_collecting() -> Iterator[None]:
    """While inside, Python looks for cycles among what was made since, and less often: what stood before (every module, the
    study, its plan) is most of what there is, stays to the end, and took a tenth of the processor to be looked through."""
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    if not frozen:  # what somebody else has put aside is not put back
        gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        if not frozen:
            gc.unfreeze()


def _batches(cells: Sequence[Cell], width: int) -> Iterator[Sequence[Cell]]:
    """Consecutive cells, at least as many as fit into the window, cut only where markets share no draw."""
    start = 0
    for i in range(1, len(cells) + 1):
        full = i - start >= width and i < len(cells) and cells[i].view.opening != cells[i - 1].view.opening
        if full or i == len(cells):
            yield cells[start:i]
            start = i


def _failed(evaluation: Evaluation, cell: Cell, reason: str, rows: CellRows | None = None) -> CellRows:
    """A failed row, with what the cell used where that is known."""
    text = reason.encode(errors="backslashreplace").decode()  # a plugin's text may hold what no file can
    outcome = {"status": "failed", "probability": None, "reason": text, "retryable": True}
    if rows is not None:
        games: dict[str, Any] = dict.fromkeys(GAME_TABLES, ())
        return replace(rows, forecast={**rows.forecast, **outcome}, estimates=(), messages=(), parts=(), **games)
    counts = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "model_calls", "tool_calls")
    return CellRows(
        forecast={
            "forecast_id": cell.forecast_id,
            "run_id": evaluation.run_id,
            "market_id": cell.view.market.id,
            "configuration": cell.configuration.name,
            "replicate": cell.replicate,
            **outcome,
            **dict.fromkeys(counts, 0),
            "attributed_micro_usd": None,  # what it used before it broke is not known
            "paid_micro_usd": None,
            "seconds": 0.0,
            "call_graph": "",
            "simulated": evaluation.simulated,
            "created_at": evaluation.clock(),
        }
    )
