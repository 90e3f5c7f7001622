"""Several models behind one budget, one pace and one count of calls: whoever asks says which of them is meant."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from coordeval.agents.batching import Batches, Item
from coordeval.agents.messages import Model, Reply, Request, Slot
from coordeval.agents.wrapped import Wrapped


class Several(Wrapped):
    """The innermost model of a study whose arms ask different ones: a call goes to the one that its slot names ("": the
    study's own). To whoever looks on from outside it is the study's own model."""

    def __init__(self, own: Model, named: Mapping[str, Model]) -> None:
        super().__init__(own)
        self.named = named

    async def complete(self, request: Request, slot: Slot) -> Reply:
        return await (self.named[slot.model] if slot.model else self._model).complete(request, slot)

    async def aclose(self) -> None:
        """Closes all of them."""
        await super().aclose()
        for model in self.named.values():
            if (close := getattr(model, "aclose", None)) is not None:
                await close()


class Meant(Wrapped):
    """One of several models, by its name, behind what stands before all: its identity is its own, and so are its draws."""

    def __init__(self, before: Model, name: str, own: Model) -> None:
        super().__init__(own)
        self._before, self._name = before, name

    async def complete(self, request: Request, slot: Slot) -> Reply:
        return await self._before.complete(request, replace(slot, model=self._name))

    async def aclose(self) -> None:
        """Nothing: whoever made what stands before closes it."""


class SeveralBatches:
    """The batches of several models, told apart by their ids; a wave cuts its batches so that each holds calls of one."""

    def __init__(self, parts: Mapping[str, Batches]) -> None:
        """`parts`: the id of a model -> its batches."""
        self._parts = parts
        self.most = min(part.most for part in parts.values())
        self.most_bytes = min(part.most_bytes for part in parts.values())

    async def create(self, items: Sequence[Item]) -> str:
        """The id of a new batch: that of the model of all its calls, and the endpoint's own."""
        model = items[0].request.model
        return f"{model}/{await self._parts[model].create(items)}"

    async def ended(self, batch_id: str) -> bool:
        """Whether its results are there."""
        part, own = self._of(batch_id)
        return await part.ended(own)

    async def results(self, batch_id: str) -> AsyncIterator[tuple[str, Reply | Exception]]:
        """(item's id, its reply or why there is none), in any order."""
        part, own = self._of(batch_id)
        async for result in part.results(own):
            yield result

    async def since(self, moment: datetime, size: int) -> list[str]:
        """Batches of `size` calls of any of the models that were created at or after `moment`."""
        return [f"{model}/{own}" for model, part in self._parts.items() for own in await part.since(moment, size)]

    def _of(self, batch_id: str) -> tuple[Batches, str]:
        model, _, own = batch_id.rpartition("/")
        return self._parts[model], own


def named_of(model: Any) -> Mapping[str, Model]:
    """The named models within wrappers."""
    while model is not None and not isinstance(model, Several):
        model = getattr(model, "_model", None)
    return {} if model is None else model.named
