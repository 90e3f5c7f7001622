"""Whether everybody in a run waits for a model: what a wave of calls waits for (`agents.batching`)."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from coordeval.agents.draws import DrawStore
from coordeval.agents.messages import Model, Reply, Request, Slot


class Tide:
    """Counts a window's cells, and the calls and rows that are on their way in it."""

    def __init__(self, asking: Callable[[], int], blocked: Callable[[], int]) -> None:
        """`asking`: calls below the draws; `blocked`: those of them that wait for money."""
        self._asking, self._blocked = asking, blocked
        self.filling = True
        """More cells are about to start."""
        self._cells: set[str] = set()
        self._waiting: Counter[str] = Counter()
        self._storing = 0

    def begun(self, forecast_id: str) -> None:
        self._cells.add(forecast_id)

    def ended(self, forecast_id: str) -> None:
        self._cells.discard(forecast_id)

    def all_wait(self, queued: int) -> bool:
        """True where nothing but the `queued` calls holds up any cell."""
        still = not self.filling and not self._storing and self._asking() == queued + self._blocked()
        return still and all(self._waiting[cell] for cell in self._cells)

    def over(self, model: Model) -> Model:
        """`model`, with those who wait for it counted."""
        return _Awaited(model, self)

    def keeping(self, store: DrawStore) -> DrawStore:
        """`store`, with the rows on their way to it counted."""
        return _Kept(store, self)


class _Awaited:
    def __init__(self, model: Model, tide: Tide) -> None:
        self._model, self._tide = model, tide

    @property
    def identity(self) -> Mapping[str, Any]:
        return self._model.identity

    async def complete(self, request: Request, slot: Slot) -> Reply:
        self._tide._waiting[slot.forecast_id] += 1
        try:
            return await self._model.complete(request, slot)
        finally:
            self._tide._waiting[slot.forecast_id] -= 1


class _Kept:
    def __init__(self, store: DrawStore, tide: Tide) -> None:
        self._store, self._tide = store, tide

    async def put(self, table: str, row: dict[str, Any]) -> None:
        self._tide._storing += 1
        try:
            await self._store.put(table, row)
        finally:
            self._tide._storing -= 1
