"""Common draws: draw k of a byte-identical request within one replicate is one reply, paid once, whoever asks.

So the first round of an ensemble, a debate and a consensus is the same sample, and what then differs is coordination.
The store is durable: a reply is on disk before it is judged, and before the coroutine that asked for it goes on.
"""

import asyncio
from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from coordeval.agents.messages import Model, ModelError, Reply, Request, Slot, content_hash, decode_reply

TRIES = 2
"""How often a reply is bought whose form cannot be used: the same fault mostly comes again."""


class DrawStore(Protocol):
    """Where paid replies are kept."""

    async def put(self, table: str, row: dict[str, Any]) -> None:
        """Returns when the row is on disk."""
        ...


class CommonDraws:
    """A model that hands out stored draws and pays only for new ones.

    `known` maps draw ids to (encoded reply, payer) and must hold every stored draw that this model may be asked for.
    With `by_configuration`, for recordings whose draws were not shared, the place of the ask is part of a draw's identity.

    A reply with a fault is stored as a draw of its own, which nobody is handed, and paid by the cell that asked; after TRIES
    of them the call is left open (ModelError), and a later run tries once.
    """

    def __init__(
        self, model: Model, store: DrawStore, known: Mapping[str, tuple[str, str]], *, by_configuration: bool = False
    ) -> None:
        self._model, self._store = model, store
        self._known: dict[str, tuple[Reply | str, str]] = dict(known)
        self._by_configuration = by_configuration
        self._model_key = content_hash("model/1", dict(model.identity))
        self._former_keys = [content_hash("model/1", dict(one)) for one in getattr(model, "former_identities", ())]
        self._under_way: dict[str, asyncio.Task[Reply]] = {}

    @property
    def identity(self) -> Mapping[str, Any]:
        return {**self._model.identity, "draws": "by_configuration" if self._by_configuration else "common"}

    def draw_id(self, request: Request, slot: Slot) -> str:
        """sha256 of everything that says which sample this is."""
        return self._id(self._model_key, request, slot)

    def _id(self, model_key: str, request: Request, slot: Slot) -> str:
        which: list[Any] = [model_key, request.key, slot.replicate, slot.k]
        if self._by_configuration:
            which += [slot.market_id, slot.configuration, slot.ask, slot.turn]
        return content_hash("draw/1", which)

    async def complete(self, request: Request, slot: Slot) -> Reply:
        draw_id = self.draw_id(request, slot)
        while True:
            try:
                return await self._complete(draw_id, request, slot)
            except _NotMine:
                continue

    async def _complete(self, draw_id: str, request: Request, slot: Slot) -> Reply:
        if (stored := self._stored(draw_id, request, slot)) is not None:
            reply, payer = stored
            return reply.drawn(reply.draw_id, paid=payer == slot.forecast_id)
        task = self._under_way.get(draw_id)
        new = task is None
        if task is None:
            task = asyncio.create_task(self._draw(draw_id, request, slot))
            self._under_way[draw_id] = task
            task.add_done_callback(lambda done: self._forget(draw_id, done))
        # a cancelled cell must not cancel a call that is being paid for: others may wait for it, and it is stored anyway
        try:
            reply = await asyncio.shield(task)
        except ModelError as error:
            if not new and error.of_payer:
                raise _NotMine from error
            if new or not error.discarded:
                raise
            own = copy(error)  # of the same kind, but what was discarded is charged to the one who asked first
            own.discarded = ()
            raise own from error
        return reply.drawn(draw_id, paid=True) if new else replace(reply, draw_id=draw_id, paid=False, discarded=())

    def _stored(self, draw_id: str, request: Request, slot: Slot) -> tuple[Reply, str] | None:
        """The stored draw with its payer, also where it was stored under another name of the same model."""
        known = self._known.get(draw_id)
        if known is None and self._former_keys:
            for key in self._former_keys:
                former = self._id(key, request, slot)
                if (known := self._known.get(former)) is not None:
                    draw_id = former
                    break
        if known is None:
            return None
        reply, payer = known
        if isinstance(reply, str):
            reply = decode_reply(reply).drawn(draw_id, paid=False)
            self._known[draw_id] = (reply, payer)
        return reply, payer

    async def settle(self, seconds: float) -> int:
        """Wait for the calls under way to be stored, so that a stopped run pays none twice; returns how many are left."""
        if not self._under_way:
            return 0
        _, left = await asyncio.wait(list(self._under_way.values()), timeout=seconds)
        return len(left)

    async def _draw(self, draw_id: str, request: Request, slot: Slot) -> Reply:
        discarded: list[Reply] = []
        number = 0
        while _spoiled(draw_id, number) in self._known:
            number += 1
        left = 1 if number else TRIES
        while True:
            try:
                reply = await self._model.complete(request, slot)
            except ModelError as error:  # such as a budget that holds no second try: the first was charged all the same
                error.discarded = (*discarded, *error.discarded)
                raise
            own_id = _spoiled(draw_id, number) if reply.fault else draw_id
            reply = replace(reply, draw_id=own_id)
            await self._store.put("draws", self._row(own_id, request, slot, reply))
            self._known[own_id] = (reply, slot.forecast_id)
            if not reply.fault:
                return replace(reply, discarded=tuple(discarded))
            discarded.append(reply)
            number, left = number + 1, left - 1
            if not left:
                what = f"{request.model}: a reply was served and charged, and cannot be used: {reply.fault}"
                raise ModelError(what, retryable=True, discarded=tuple(discarded))

    def _forget(self, draw_id: str, done: asyncio.Task[Reply]) -> None:
        del self._under_way[draw_id]
        if not done.cancelled():
            done.exception()  # read here, so that a failure which nobody waits for any more is no error of its own

    def _row(self, draw_id: str, request: Request, slot: Slot, reply: Reply) -> dict[str, Any]:
        return {
            "draw_id": draw_id,
            "request_id": request.key,
            "market_id": slot.market_id,
            "replicate": slot.replicate,
            "k": slot.k,
            "model": request.model,
            "served_model": reply.model,
            "request": request.encoded.decode(),
            "reply": reply.encoded().decode(),
            "micro_usd": reply.micro_usd,
            "payer": slot.forecast_id,
            "created_at": datetime.now(UTC),
            "attempt_id": reply.attempt or None,
            "batch_id": reply.batch or None,
        }


class _NotMine(Exception):
    """Another cell would have paid for this draw and could not; whoever waited for it asks itself."""


def _spoiled(draw_id: str, number: int) -> str:
    """The id of the n-th reply to a request that cannot be used."""
    return content_hash("draw/1 with a fault", [draw_id, number])
