"""How fast a model may be asked, and how a run waits: at one place for all its calls, for as long as its patience lasts."""

import asyncio
import random
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aiolimiter import AsyncLimiter

from coordeval.agents.breaker import Breaker
from coordeval.agents.chains import Chains
from coordeval.agents.failures import ModelAccessError, PatienceExhausted, RequestRefused, Unavailable
from coordeval.agents.messages import Model, ModelError, Reply, Request, Room, Slot
from coordeval.agents.places import Places
from coordeval.agents.tokens import Tokens
from coordeval.agents.wrapped import Wrapped
from coordeval.market_data.errors import CoordevalError

FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds of the first and the longest wait where the server names none; each wait without a success doubles it."""
FIRST_CONTACT = 60.0
"""Seconds that a run waits for an address where nobody has ever answered it: more likely it is wrong than down."""
PAGES = 3
"""So many pages in place of replies, before anything was answered, and the address is not one of a Messages API."""


@dataclass(frozen=True, slots=True)
class Hold:
    """All calls of the run wait: why, since when, and until when (UTC); then one of them tries."""

    reason: str
    since: datetime
    until: datetime


class Paced(Wrapped):
    """A model of which at most `concurrency` calls run, and at most `requests_per_minute` start in any minute.

    Starts are spaced evenly, without an opening burst; of calls that wait for a place the one goes first that most others
    have to follow (`Chains`). It changes when a reply comes, never which, so the identity is the wrapped model's.

    Waiting is the run's. When the server can take nobody (`Unavailable`), no call starts before the time that it names, or
    before a growing pause; after it one call tries, and each success lets one more run beside it. `holding` is a `Hold`
    from the first such answer to the next success, and None otherwise: a progress line shows it. After `patience` seconds
    without a success, or as soon as the server names a time beyond that, every call raises PatienceExhausted, so the run
    stops and its cells stay open. Whatever stops the run (ModelAccessError) is raised by all later calls too, unasked.

    What a reply says of the server's rate limit (`Reply.room`) is heeded before it refuses: no more calls at once than it
    still takes, and none where it is used up. `tokens_per_minute` counts what a call sends and what calls answered so far.
    Where BREAKER calls in a row were refused and none was answered, the run stops with the reason.

    A call of which `tries` failed while others were answered is left open (ModelError).
    """

    def __init__(
        self,
        model: Model,
        *,
        concurrency: int,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        patience: float = 3600.0,
        tries: int = 5,
    ) -> None:
        if concurrency < 1:
            raise CoordevalError(f"concurrency is {concurrency}; it must be at least 1")
        if requests_per_minute is not None and not requests_per_minute > 0:
            raise CoordevalError(
                f"requests_per_minute is {requests_per_minute}; it must be above 0, or be left out for no limit"
            )
        super().__init__(model)
        self.requests_per_minute = requests_per_minute
        self._rate = None if requests_per_minute is None else AsyncLimiter(1, 60 / requests_per_minute)
        self._patience, self._tries = patience, tries
        self._places, self._chains = Places(concurrency), Chains()
        self._tokens = Tokens(tokens_per_minute)
        self._breaker = Breaker()
        self._hold: Hold | None = None
        self._since = 0.0
        self._waits = self._answered = self._pages = 0
        self._over: tuple[type[ModelAccessError], str] | None = None

    @property
    def holding(self) -> Hold | None:
        """What all calls of the run wait for; None while the server answers."""
        return self._hold

    @property
    def budget(self) -> Any:
        """The budget within, where there is one (`agents.budget.Budgeted`)."""
        return self._model if hasattr(self._model, "raise_limit") else None

    async def aclose(self) -> None:
        """Closes the model within, and lets nobody wait for a place any more."""
        self._places.close()
        await super().aclose()

    async def complete(self, request: Request, slot: Slot) -> Reply:
        failed, answered = 0, self._answered
        while True:
            await self._start(request, slot)
            place = self._chains.place(slot)
            started = asyncio.get_running_loop().time()
            try:
                reply = await self._model.complete(request, slot)
            except Unavailable as problem:
                self._wait(problem, started)
                failed += problem.own or self._answered > answered
                answered = self._answered
                if failed >= self._tries:
                    self._trip(problem.reason)
                    raise ModelError(f"{problem.reason}, also in try {failed} of {failed}", retryable=True) from problem
            except RequestRefused as problem:
                self._success(started)
                self._trip(problem.reason)
                raise
            except ModelAccessError as problem:
                self._stop(type(problem), str(problem))
                raise
            else:
                self._success(started)
                self._chains.ended(slot, place)
                self._breaker.answered()
                self._tokens.learn(reply.usage.output_tokens)
                self._heed(reply.room)
                return reply
            finally:
                self._places.leave()

    def pause(self, paused: bool) -> None:
        """By a person's wish: no call starts until it is taken back."""
        self._places.pause(paused)

    @property
    def running(self) -> int:
        """Calls that have begun and have no end yet."""
        return self._places.running

    @property
    def concurrency(self) -> int:
        """Calls that may run at once at the most."""
        return self._places.most

    @property
    def tokens_per_minute(self) -> float | None:
        return self._tokens.per_minute

    def change(
        self,
        *,
        concurrency: int | None = None,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
    ) -> None:
        """Another pace from now on; None leaves a part as it is. All are above 0."""
        if concurrency is not None:
            self._places.widen(concurrency)
        if requests_per_minute is not None:
            self.requests_per_minute, self._rate = requests_per_minute, AsyncLimiter(1, 60 / requests_per_minute)
        if tokens_per_minute is not None:
            self._tokens.per_minute = tokens_per_minute

    def _trip(self, reason: str) -> None:
        if (over := self._breaker.failed(reason)) is not None:
            self._stop(PatienceExhausted, over)

    def _heed(self, room: Room | None) -> None:
        """The rate limit is nearly, or wholly, used up: as many calls at once as are left of it, or none for so long."""
        if room is None or room.seconds <= 0 or self._hold is not None:
            return
        if room.calls < self._places.most:
            self._places.narrow(room.calls)
        if not room.calls and room.seconds <= self._patience:
            now = asyncio.get_running_loop().time()
            self._places.hold(now + room.seconds, now)
            clock = datetime.now(UTC)
            self._since = now
            self._hold = Hold("the server's rate limit is used up", clock, clock + timedelta(seconds=room.seconds))

    async def _start(self, request: Request, slot: Slot) -> None:
        while True:
            if self._over:
                kind, message = self._over
                raise kind(message)
            await self._places.enter(self._chains.urgency(slot))
            try:
                async with self._rate or nullcontext():
                    pass
                await self._tokens.take(request)
            except BaseException:
                self._places.leave()
                raise
            if not self._places.held and not self._places.paused and not self._over:
                return
            self._places.leave()

    def _success(self, started: float) -> None:
        """An answer ends a hold, but not that of a call that was under way when the hold began."""
        self._answered += 1
        if self._hold is None or started >= self._places.held_at:
            self._waits, self._hold = 0, None
            self._places.grow()

    def _wait(self, problem: Unavailable, started: float) -> None:
        """Hold all calls. Those that were under way when a hold began tell nothing new, but for a longer time to wait."""
        now = asyncio.get_running_loop().time()
        self._pages += problem.page
        if problem.page and not self._answered and self._pages >= PAGES:
            what = f"{problem.reason}: base_url is not the address of a Messages API; set it in [model] and run again"
            return self._stop(ModelAccessError, what)
        if self._hold is None:
            self._since = now
        news = self._hold is None or started >= self._places.held_at
        wait = problem.wait
        if wait is None:
            wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(self._waits, 20)) * random.uniform(0.8, 1.0) if news else 0.0
        if news:
            self._waits += 1
            self._places.shrink(to_one=problem.overloaded or self._waits > 1)
        waited = now - self._since
        if problem.unreachable and not self._answered and min(self._patience, waited + wait) > FIRST_CONTACT:
            what = f"nobody has answered for {in_words(waited)}, and nobody did before: {problem.reason}"
            mend = "look whether base_url is right and the network is there, then run the same command again"
            return self._stop(PatienceExhausted, f"{what}; {mend}")
        if waited + wait > self._patience or waited >= self._patience:
            return self._stop(PatienceExhausted, self._impatient(problem, waited, wait))
        self._places.hold(max(now + wait, self._places.held_until), now if news else self._places.held_at)
        clock = datetime.now(UTC)
        self._hold = Hold(
            problem.reason,
            self._hold.since if self._hold else clock,
            clock + timedelta(seconds=self._places.held_until - now),
        )
        return None

    def _impatient(self, problem: Unavailable, waited: float, wait: float) -> str:
        asks = f", and it asks to wait {in_words(wait)} more" if problem.wait is not None else ""
        return (
            f"the server took no call for {in_words(waited)}{asks}; patience_minutes = {self._patience / 60:g} in [run] is "
            f"over. Last it was: {problem.reason}. Run the same command again when it is back: what is open is taken up"
        )

    def _stop(self, kind: type[ModelAccessError], message: str) -> None:
        self._over = self._over or (kind, message)
        self._places.open()


def in_words(seconds: float) -> str:
    """A time to wait as a person says it."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
