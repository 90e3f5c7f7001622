"""Several models behind one budget, one pace and one count of calls: whoever asks says which of them is meant."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

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


def named_of(model: Any) -> Mapping[str, Model]:
    """The named models within wrappers."""
    while model is not None and not isinstance(model, Several):
        model = getattr(model, "_model", None)
    return {} if model is None else model.named
