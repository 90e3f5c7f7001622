"""Who may run: so many at once as are allowed now, the most urgent first, and nobody while it is held or paused."""

import asyncio
from heapq import heappop, heappush
from itertools import count


class Places:
    """`most` at once at the most; fewer while a server can take fewer. Of the equally urgent the first comes first."""

    def __init__(self, most: int) -> None:
        self._most = self._threshold = self._allowed = float(most)
        self._running = 0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._come = count()
        self._timer: asyncio.TimerHandle | None = None
        self.held = self.paused = False
        self.held_at = self.held_until = 0.0

    async def enter(self, urgency: int = 0) -> None:
        if not self._waiting and self._free():
            self._running += 1
            return
        future = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (-urgency, next(self._come), future))
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():  # it had a place already
                self.leave()
            raise

    def leave(self) -> None:
        self._running -= 1
        self._admit()

    def hold(self, until: float, began: float) -> None:
        self.held, self.held_at, self.held_until = True, began, until
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(until, self.open)

    def open(self) -> None:
        self.held = False
        self._admit()

    def pause(self, paused: bool) -> None:
        """By a person's wish: nobody enters until it is taken back."""
        self.paused = paused
        self._admit()

    def widen(self, most: int) -> None:
        """Another number that may run at once at the most; from now on it is allowed."""
        self._most = self._threshold = self._allowed = float(most)
        self._admit()

    @property
    def running(self) -> int:
        return self._running

    @property
    def most(self) -> int:
        return int(self._most)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def shrink(self, *, to_one: bool) -> None:
        """As TCP does it: half of what was allowed is where growing slows down."""
        self._threshold = max(1.0, self._allowed / 2)
        self._allowed = 1.0 if to_one else self._threshold

    def narrow(self, calls: int) -> None:
        """No more at once than a rate limit still takes; growing begins there."""
        self._allowed = min(self._allowed, max(1.0, float(calls)))

    def grow(self) -> None:
        if self._allowed < self._most:
            self._allowed = min(self._most, self._allowed + (1.0 if self._allowed < self._threshold else 1 / self._allowed))

    def _free(self) -> bool:
        return not self.held and not self.paused and self._running < int(self._allowed)

    def _admit(self) -> None:
        while self._waiting and self._free():
            _, _, future = heappop(self._waiting)
            if not future.done():
                self._running += 1
                future.set_result(None)
