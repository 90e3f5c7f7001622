"""Which calls are on their way to a model's server: what a stopped run waits for, since they will be charged."""

import asyncio
from collections.abc import Callable

from coordeval.agents.messages import Model, ModelError, Reply, Request, Slot
from coordeval.agents.wrapped import Wrapped


class Flight:
    """Counts calls from their sending to their reply. After `halt` none is sent any more; those under way come home."""

    def __init__(self) -> None:
        self.under_way = 0
        self._halted = False
        self._landed = asyncio.Event()
        self.on_halt: list[Callable[[], None]] = []
        """What else is told that the run stops."""

    def over(self, model: Model) -> Model:
        """`model` with its calls counted. It belongs innermost: what waits for its turn is not on its way."""
        return _Counted(model, self)

    def halt(self) -> None:
        self._halted = True
        for told in self.on_halt:
            told()

    async def landed(self) -> None:
        """Returns once no call is under way."""
        while self.under_way:
            self._landed.clear()
            await self._landed.wait()

    async def send(self, model: Model, request: Request, slot: Slot) -> Reply:
        if self._halted:
            raise ModelError("the run was stopped before this was asked", retryable=True)
        self.under_way += 1
        try:
            return await model.complete(request, slot)
        finally:
            self.under_way -= 1
            self._landed.set()


class _Counted(Wrapped):
    def __init__(self, model: Model, flight: Flight) -> None:
        super().__init__(model)
        self._flight = flight

    async def complete(self, request: Request, slot: Slot) -> Reply:
        return await self._flight.send(self._model, request, slot)
