"""What stands between a configuration and its agents: whatever is nobody's failure never reaches the configuration.

A configuration may catch what it is given: in `gather(return_exceptions=True)`, in a bare `except`. So it is given one kind
of failure only, an agent that has no valid answer, for good. A refused key, a full disk, an exhausted budget, a server that
is down or a bound that is reached is noted here instead; the ask that met it does not return, and the cell ends with that.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any, NoReturn

from coordeval.agents.answers import Answer
from coordeval.agents.bounds import Bounds
from coordeval.agents.cell import AskFailed, BoundReached, CellAgents
from coordeval.agents.scaffold import Ask
from coordeval.flows.run.guard import Owner, context_of, release


class Custody:
    """Answers the asks of one cell's panel, in tasks that are the run's own."""

    def __init__(self, agents: CellAgents, bounds: Bounds, owner: Owner) -> None:
        self.agents, self.bounds, self.owner = agents, bounds, owner
        self.failure: BaseException | None = None
        """What ended the cell, though it is no failure of one of its agents."""
        self.reasons: dict[int, str] = {}
        """Ordinal -> why this ask did not return."""
        self._ended = asyncio.get_running_loop().create_future()
        self._house = context_of(None)
        self._asks = self._pending = 0
        self._over = False
        self._own_seconds, self._since = 0.0, time.monotonic()

    @property
    def tokens(self) -> int:
        return self.agents.tokens

    async def answer(self, ask: Ask) -> Answer:
        """The answer to an ask. Raises AskFailed where an agent has none, for good; does not return where the cell ends."""
        self._asks += 1
        if self.failure is None and self._asks > self.bounds.asks:
            self.end(BoundReached(f"it made more than {self.bounds.asks} asks, which is what [bounds] asks allows one cell"))
        if self.failure is not None or self._over:
            await self._stand_still(ask)
        asking = asyncio.create_task(self.agents.answer(ask), context=self._house.copy())
        self._clock(+1)
        try:
            await asyncio.wait({asking})
        except asyncio.CancelledError:
            self._house.run(asking.cancel)
            raise
        finally:
            self._clock(-1)
        failure = asyncio.CancelledError() if asking.cancelled() else asking.exception()
        if failure is None:
            return asking.result()
        if isinstance(failure, AskFailed) and not failure.retryable:
            raise failure
        self.reasons[ask.ordinal] = str(failure) or type(failure).__name__
        self.end(failure)
        return await self._stand_still(ask)

    def end(self, failure: BaseException) -> None:
        """End the cell with this; the first one counts."""
        if self.failure is None:
            self.failure = failure
            self._ended.set_result(None)

    async def conduct(self, forecast: Callable[[], Awaitable[Any]]) -> tuple[Any, BaseException | None]:
        """(what a configuration returned, what it raised), once it is over, by itself or because the cell ended.

        None of its tasks is left, and its calls are booked. Raises nothing but CancelledError, when the run is stopped.
        """

        async def contained() -> tuple[Any, BaseException | None]:
            try:
                return await forecast(), None
            except BaseException as error:  # a configuration may raise anything; which it was goes into its row
                return None, error

        conducted = asyncio.create_task(contained(), context=context_of(self.owner))
        try:
            while not conducted.done() and self.failure is None:
                left = self.bounds.seconds - self._seconds()
                if left <= 0:
                    self.end(_out_of_time(self.bounds.seconds))
                    break
                await asyncio.wait({conducted, self._ended}, timeout=max(left, 1.0), return_when=asyncio.FIRST_COMPLETED)
            if not conducted.done():
                conducted.cancel()
        finally:
            self._over = True
            await release(self.owner)
        if conducted.cancelled():  # before its first step, or it was let go of
            return None, asyncio.CancelledError()
        return conducted.result() if conducted.done() else (None, asyncio.CancelledError())

    def _seconds(self) -> float:
        """Wall-clock seconds so far in which no ask was under way."""
        return self._own_seconds + (0.0 if self._pending else time.monotonic() - self._since)

    def _clock(self, change: int) -> None:
        self._own_seconds, self._since = self._seconds(), time.monotonic()
        self._pending += change

    async def _stand_still(self, ask: Ask) -> NoReturn:
        """Wait for the cell's end. It comes as a cancellation; who catches that and asks again stands still again."""
        if isinstance(self.failure, BoundReached):
            self.reasons.setdefault(ask.ordinal, str(self.failure))
        try:
            future = asyncio.get_running_loop().create_future()
        except RuntimeError:  # no loop runs it any more: it is being closed, and what asks again then must not spin
            await _Nothing()
        await future
        raise AssertionError("nothing sets this future")


class _Nothing:
    def __await__(self) -> Generator[None, None, None]:
        while True:
            yield


def _out_of_time(seconds: float) -> BoundReached:
    # another run may be luckier: its replies are there, and the clock begins anew
    return BoundReached(
        f"the configuration took more than {seconds:g} s of its own, the time its agents needed not counted, which is what "
        "[bounds] seconds allows one cell",
        retryable=True,
    )
