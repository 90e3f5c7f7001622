"""Calls that go out together: when everybody waits for a model, what they wait for is one wave, and a wave is one batch.

No configuration knows. A batch costs less (Message Batches: half) and takes longer; what is replied is the same, so it is no
part of any identity. Its id is on disk before anybody looks for its results, so a run that was killed picks its batches up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from copy import copy
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

from coordeval.agents.batching import Batches, Item, OpenBatch, Parked, items_of
from coordeval.agents.draws import DrawStore
from coordeval.agents.failures import ModelAccessError, PatienceExhausted, Unavailable
from coordeval.agents.messages import Model, ModelError, Reply, Request, Slot
from coordeval.agents.pacing import FIRST_WAIT, LONGEST_WAIT, Hold, in_words
from coordeval.agents.wrapped import Wrapped

T = TypeVar("T")

QUIET = 0.05
"""Seconds without a new call before it is asked whether everybody waits."""
AT_MOST = 20.0
"""Seconds after the last new call for which cells that do something else are waited for."""
FIRST_LOOK, LONGEST_LOOK = 0.2, 60.0
"""Seconds between two looks at a batch: each is half as long again as the one before."""


class Waves(Wrapped):
    """A model whose calls wait until everybody does, and then go out as one batch, split only at its limits.

    `everybody_waits` is asked with the number of calls that wait here; the run sets it. One wave is under way at a time, so
    that the number of batches is the length of the longest chain of calls that hang on each other. Where an endpoint takes
    nobody, the wave is kept and tried again for `patience` seconds (`holding`), then all raise PatienceExhausted.

    A call whose batch an earlier run sent (`held`) waits for that batch and is not sent again.
    """

    def __init__(
        self,
        model: Model,
        batches: Batches,
        store: DrawStore,
        *,
        study_id: str,
        patience: float = 3600.0,
        open_batches: Sequence[OpenBatch] = (),
        quiet: float = QUIET,
        first_look: float = FIRST_LOOK,
    ) -> None:
        super().__init__(model)
        self._batches, self._store, self._study_id = batches, store, study_id
        self._patience, self._quiet, self._first_look = patience, quiet, first_look
        self.everybody_waits: Callable[[int], bool] = lambda queued: True
        self.holding: Hold | None = None
        self.news = ""
        """What a progress line should say of batches now."""
        self.sent = 0
        """Batches that this run sent."""
        self.paused = False
        self._queue: dict[str, tuple[Request, Slot, asyncio.Future[Reply]]] = {}
        self._out: dict[str, asyncio.Future[Reply]] = {}
        """Calls in a batch that is under way."""
        self._held = {key: (row, batch) for batch in open_batches for key, row in batch.held.items()}
        self._collecting: dict[str, asyncio.Task[None]] = {}
        self._watch: asyncio.Task[None] | None = None
        self._touched = 0.0
        self._over: ModelError | ModelAccessError | None = None
        self._perhaps_taken: set[str] = set()
        """Calls in batches that the endpoint has, or may have: they are charged, whatever becomes of us."""

    async def aclose(self) -> None:
        """Ends what watches and closes the model within."""
        tasks = [task for task in (self._watch, *self._collecting.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await super().aclose()

    def held(self, request: Request, slot: Slot) -> Mapping[str, Any] | None:
        """The row in the books of a call that stands in a batch of an earlier run; None: this one is new. Once each."""
        found = self._held.pop((request.key, slot.replicate, slot.k), None)
        if found is None:
            return None
        row, batch = found
        self._out[row["attempt_id"]] = asyncio.get_running_loop().create_future()
        if batch.wave_id not in self._collecting:
            self._collecting[batch.wave_id] = asyncio.create_task(self._pick_up(batch))
        return row

    def holds(self, attempt: str) -> bool:
        """Whether this call is in a batch that is under way."""
        return attempt in self._out

    async def complete(self, request: Request, slot: Slot) -> Reply:
        """One reply. Raises Unavailable where its item expired, failed or was cancelled: asked again, it is another item."""
        if self._over is not None:
            raise self._over
        future = self._out.get(slot.attempt)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            self._queue[slot.attempt] = request, slot, future
            self._touched = asyncio.get_running_loop().time()
            if self._watch is None or self._watch.done():
                self._watch = asyncio.create_task(self._watching())
        try:
            return await future
        finally:
            self._queue.pop(slot.attempt, None)
            self._out.pop(slot.attempt, None)

    def halt(self) -> None:
        """The run stops: what was not sent is left open, what is in a batch is parked there."""
        self._over = ModelError("the run was stopped before this was asked", retryable=True)
        for _, _, future in self._queue.values():
            _fail(future, self._over)
        for future in self._out.values():
            _fail(future, Parked("the run was stopped; this call goes on in its batch, and the next run takes it up"))
        for task in (self._watch, *self._collecting.values()):
            if task is not None:
                task.cancel()

    async def _watching(self) -> None:
        """Sends a wave whenever everybody waits, until nothing is queued."""
        loop = asyncio.get_running_loop()
        while self._queue:
            await asyncio.sleep(self._quiet)
            now = loop.time()
            waited = now - self._touched
            if waited < self._quiet or self.paused or self._collecting:
                continue
            if self.everybody_waits(len(self._queue)) or waited > AT_MOST:
                await self._send()

    async def _send(self) -> None:
        wave, self._queue = self._queue, {}
        self._out |= {attempt: future for attempt, (_, _, future) in wave.items()}
        for part in self._parts(wave):
            wave_id = uuid4().hex
            task = asyncio.create_task(self._one(wave_id, part))
            self._collecting[wave_id] = task

    def _parts(
        self, wave: Mapping[str, tuple[Request, Slot, asyncio.Future[Reply]]]
    ) -> list[dict[str, tuple[Request, Slot]]]:
        """The wave, cut where a batch would be too long or too large, or would hold calls of two models."""
        parts: list[dict[str, tuple[Request, Slot]]] = [{}]
        size, model = 0, ""
        for attempt, (request, slot, _) in sorted(wave.items(), key=lambda item: item[1][0].model):
            own = len(request.encoded) + 100
            full = len(parts[-1]) >= self._batches.most or size + own > self._batches.most_bytes
            if parts[-1] and (full or request.model != model):
                parts.append({})
                size = 0
            model = request.model
            parts[-1][attempt] = request, slot
            size += own
        return parts

    async def _one(self, wave_id: str, part: Mapping[str, tuple[Request, Slot]]) -> None:
        """One batch, from the intent to its last result."""
        try:
            created_at = datetime.now(UTC)
            row = {
                "wave_id": wave_id,
                "study_id": self._study_id,
                "batch_id": None,
                "created_at": created_at,
                "size": len(part),
                "items": items_of((a, request.key, slot.replicate, slot.k) for a, (request, slot) in part.items()),
                "ended_at": None,
            }
            await self._store.put("batches", row)
            batch_id = await self._created(part, created_at)
            row["batch_id"] = batch_id
            await self._store.put("batches", row)
            self.sent += 1
            self._say(f"batch {self.sent} is under way: {len(part)} calls, {batch_id}")
            await self._collect(batch_id, list(part))
            await self._store.put("batches", {**row, "ended_at": datetime.now(UTC)})
        except Exception as error:
            self._failed(list(part), error)
        finally:
            self._collecting.pop(wave_id, None)

    async def _created(self, part: Mapping[str, tuple[Request, Slot]], created_at: datetime) -> str:
        """A batch's id. Where nobody knows whether the endpoint took it, it is looked for before it is sent again."""
        items = [Item(attempt, request) for attempt, (request, _) in part.items()]
        lost = False

        async def create() -> str:
            nonlocal lost
            if lost and (found := await self._found(created_at, len(part), set(part))) is not None:
                return found
            try:
                return await self._batches.create(items)
            except Unavailable as problem:
                lost = lost or problem.charged
                if lost:
                    self._perhaps_taken.update(part)
                raise

        batch_id = await self._patiently(create)
        self._perhaps_taken.update(part)
        return batch_id

    async def _found(self, created_at: datetime, size: int, attempts: Collection[str]) -> str | None:
        """The batch that holds these calls, among those of its size that the endpoint has. Waits for their ends."""
        moment = created_at - timedelta(minutes=5)  # clocks differ
        for batch_id in await self._patiently(lambda: self._batches.since(moment, size)):
            await self._end_of(batch_id)
            if await self._patiently(partial(self._holds_one, batch_id, attempts)):
                return batch_id
        return None

    async def _holds_one(self, batch_id: str, attempts: Collection[str]) -> bool:
        async for item, _ in self._batches.results(batch_id):
            if item in attempts:
                return True
        return False

    async def _pick_up(self, batch: OpenBatch) -> None:
        """The results of a batch that an earlier run sent, or meant to send."""
        attempts = [str(row["attempt_id"]) for row in batch.held.values()]
        self._perhaps_taken.update(attempts)
        try:
            batch_id = batch.batch_id
            if batch_id is None:
                batch_id = await self._found(batch.created_at, batch.size, set(attempts))
            if batch_id is None:
                self._perhaps_taken.difference_update(attempts)
                raise Unavailable("its batch was never taken by the endpoint")
            self._say(f"a batch of an earlier run is picked up: {batch_id}")
            await self._collect(batch_id, attempts)
        except Exception as error:
            self._failed(attempts, error)
        finally:
            self._collecting.pop(batch.wave_id, None)

    async def _collect(self, batch_id: str, attempts: list[str]) -> None:
        await self._end_of(batch_id)

        async def read() -> None:
            async for attempt, result in self._batches.results(batch_id):
                future = self._out.get(attempt)
                if future is None or future.done():
                    continue
                if isinstance(result, Reply):
                    future.set_result(result)
                else:
                    future.set_exception(result)

        await self._patiently(read)
        self._perhaps_taken.difference_update(attempts)
        self._failed(attempts, Unavailable(f"batch {batch_id} ended without a result for it"))
        self._say("")

    async def _end_of(self, batch_id: str) -> None:
        pause = self._first_look
        while not await self._patiently(lambda: self._batches.ended(batch_id)):
            await asyncio.sleep(pause)
            pause = min(LONGEST_LOOK, pause * 1.5)

    def _failed(self, attempts: list[str], error: Exception) -> None:
        """Those of these calls that have no result yet end in `error`; what stops the run ends all of them.

        Those whose batch is taken, or may be, are parked: they stay in the books, and the next run takes them up.
        """
        if isinstance(error, ModelAccessError):
            self._over = error
            attempts = [*self._out, *self._queue]
            parked: Exception = copy(error)
            parked.parked = True  # type: ignore[attr-defined]  # a mark on a copy of the error, whose class is kept
        elif not isinstance(
            error, ModelError
        ):  # such as a full disk: it stops the run, and is nothing that the endpoint said
            parked = error
        else:
            parked = Parked(f"{error}; this call is in a batch, and the next run takes it up")
        futures = {**self._out, **{attempt: future for attempt, (_, _, future) in self._queue.items()}}
        for attempt in attempts:
            if (future := futures.get(attempt)) is not None:
                _fail(future, parked if attempt in self._perhaps_taken else error)

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """What `call` gives, tried again while the endpoint takes nobody, as long as it asks to wait and patience lasts."""
        loop = asyncio.get_running_loop()
        began, since, waits = loop.time(), datetime.now(UTC), 0
        while True:
            try:
                result = await call()
            except Unavailable as problem:
                waited = loop.time() - began
                wait = problem.wait if problem.wait is not None else min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(waits, 20))
                waits += 1
                if waited + wait > self._patience:
                    raise PatienceExhausted(
                        f"the endpoint took no batch call for {in_words(waited)}; patience_minutes = "
                        f"{self._patience / 60:g} in [run] is over. Last it was: {problem.reason}. Run the same command "
                        "again when it is back: what is open is taken up"
                    ) from problem
                self.holding = Hold(problem.reason, since, datetime.now(UTC) + timedelta(seconds=wait))
                await asyncio.sleep(wait)
            else:
                self.holding = None
                return result

    def _say(self, text: str) -> None:
        self.news = text


def _fail(future: asyncio.Future[Reply], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # read here: nobody may wait for it any more
