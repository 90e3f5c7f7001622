"""Beside waves of calls: who asks again what came home without a reply, and who takes up what an earlier run left."""

from collections.abc import Mapping
from typing import Any

from coordeval.agents.breaker import Breaker
from coordeval.agents.failures import PatienceExhausted, RequestRefused, Unavailable
from coordeval.agents.messages import Model, ModelError, Reply, Request, Slot
from coordeval.agents.pacing import Hold
from coordeval.agents.waves import Waves
from coordeval.agents.wrapped import Wrapped


class TakingUp(Wrapped):
    """A model whose calls go out one by one, but for those that an earlier run left in batches: these are waited for."""

    def __init__(self, live: Model, waves: Waves) -> None:
        super().__init__(live)
        self._waves = waves

    def held(self, request: Request, slot: Slot) -> Mapping[str, Any] | None:
        """As `Waves.held`."""
        return self._waves.held(request, slot)

    async def complete(self, request: Request, slot: Slot) -> Reply:
        return await (self._waves if self._waves.holds(slot.attempt) else self._model).complete(request, slot)

    async def aclose(self) -> None:
        """Closes the model within."""
        await self._waves.aclose()


class Insistent(Wrapped):
    """A model of which an Unavailable call is asked again at once, `tries` times in all, then left open (ModelError).

    For calls whose waiting is done elsewhere (`Waves`). `asking` counts the calls within.
    """

    def __init__(self, model: Model, waves: Waves, *, tries: int) -> None:
        super().__init__(model)
        self.waves, self._tries = waves, tries
        self.asking = 0
        self._breaker = Breaker()

    @property
    def holding(self) -> Hold | None:
        """What all batches wait for; None while the endpoint answers."""
        return self.waves.holding

    @property
    def news(self) -> str:
        """What a progress line should say of batches now."""
        return self.waves.news

    @property
    def running(self) -> int:
        """Calls that have begun and have no end yet."""
        return self.asking

    @property
    def blocked(self) -> int:
        """Calls within that wait for money."""
        return int(getattr(self._model, "waiting", 0))

    @property
    def budget(self) -> Any:
        """The budget within (`agents.budget.Budgeted`)."""
        return self._model if hasattr(self._model, "raise_limit") else None

    def pause(self, paused: bool) -> None:
        """By a person's wish: no wave is sent until it is taken back."""
        self.waves.paused = paused

    async def complete(self, request: Request, slot: Slot) -> Reply:
        failed = 0
        self.asking += 1
        try:
            while True:
                try:
                    reply = await self._model.complete(request, slot)
                except RequestRefused as problem:
                    self._trip(problem.reason)
                    raise
                except Unavailable as problem:
                    failed += 1
                    if failed >= self._tries:
                        self._trip(problem.reason)
                        reason = f"{problem.reason}, also in try {failed} of {failed}"
                        raise ModelError(reason, retryable=True) from problem
                else:
                    self._breaker.answered()
                    return reply
        finally:
            self.asking -= 1

    def _trip(self, reason: str) -> None:
        if (over := self._breaker.failed(reason)) is not None:
            raise PatienceExhausted(over)
