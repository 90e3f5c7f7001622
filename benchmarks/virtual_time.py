"""An event loop in which time passes only when everybody waits, and threads are turns of the loop: one seed, one order.

No kept library does both on Python 3.11: looptime leaves threads to the clock, simloop and simloom want a newer Python.
"""

import asyncio
import selectors
from collections.abc import Callable
from random import Random
from typing import Any


class Stuck(Exception):
    """Everybody waits, and for nothing that will come."""


class _Selector(selectors.BaseSelector):
    """Says at once what is ready; instead of waiting it moves the loop's time on."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if (end := self.loop.ends()) is not None:
            raise end
        ready = self._real.select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise Stuck("everybody waits, and for nothing that will come")
        self.loop.now += max(timeout, 1e-9)
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def close(self) -> None:
        self._real.close()

    def get_map(self) -> Any:
        return self._real.get_map()


class VirtualLoop(asyncio.SelectorEventLoop):
    """`now` is its time in seconds, from 0. What is handed to a thread runs in the loop, after a moment that `rng` draws."""

    def __init__(self, rng: Random) -> None:
        selector = _Selector()
        self.now, self.rng = 0.0, rng
        super().__init__(selector)
        selector.loop = self
        self.set_exception_handler(lambda loop, context: None)  # a loop that is killed leaves tasks behind

    def time(self) -> float:
        return self.now

    def ends(self) -> BaseException | None:
        """What ends the loop where it stands; nothing does."""
        return None

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        future = self.create_future()

        def run() -> None:
            if future.done():
                return
            try:
                future.set_result(func(*args))
            except Exception as error:
                future.set_exception(error)

        self.call_later(self.rng.expovariate(200.0), run)
        return future
