"""How a run is stopped from outside: Ctrl-C, SIGTERM (service managers, containers, Prefect) and SIGHUP are one thing.

The first signal cancels the run, which waits for the replies that are being paid for and stores them; the second ends that
wait; a third, or a second where the first was not even noticed (a plugin that blocks), ends the process on the spot.
"""

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context
from types import FrameType
from typing import Any

from coordeval.flows.run.guard import leave

NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}
"""The signals that stop a run, as a person calls them."""


class Stop:
    """Whether a run was asked to stop, and by what. Where no signal came and a run is cancelled, its caller did that."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self.hurry = asyncio.Event()
        """Set by the second signal: wait for nothing any more."""
        self.last_acts: list[Callable[[], Any]] = []
        """What is done before the process is ended on the spot."""
        self._count = 0
        self._noticed = False
        self._interrupted = False
        self._asked_by = ""
        self._run: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None

    @property
    def by(self) -> str:
        return self._asked_by or ("its caller" if self.signal is None else NAMES[self.signal])

    @property
    def exit_status(self) -> int:
        """As shells have it: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + (self.signal or signal.SIGINT)

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Signals stop what runs within: before a run is `attached` as KeyboardInterrupt. No effect off the main thread."""
        before: dict[signal.Signals, Any] = {}
        with suppress(ValueError):  # only the main thread may have handlers
            for number in NAMES:
                if signal.getsignal(number) is not signal.SIG_IGN:  # nohup: a user's wish
                    before[number] = signal.signal(number, self._handle)
        try:
            yield
        except Exception as error:
            if not self._interrupted:
                raise
            raise KeyboardInterrupt from error  # a library made an error of its own of it, as pydantic does
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Within, a signal cancels the current task. Takes the handlers that a framework above may have set meanwhile."""
        task = asyncio.current_task()
        assert task is not None
        with self.caught():
            self._run = asyncio.get_running_loop(), task
            try:
                yield
            finally:
                self._run = None

    def ask(self, by: str) -> bool:
        """Stop as SIGTERM does, at the wish of `by`; asked again, wait for nothing. False where nothing runs that could."""
        if self._run is None:
            return False
        self.signal, self._asked_by = self.signal or signal.SIGTERM, self._asked_by or by
        self._count += 1
        loop, task = self._run
        if self._count == 1:
            loop.call_soon_threadsafe(self._cancel, task, context=Context())
        else:
            loop.call_soon_threadsafe(self.hurry.set, context=Context())
        return True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        self.signal = self.signal or signal.Signals(number)
        if self._run is None:
            self._interrupted = True
            raise KeyboardInterrupt
        loop, task = self._run
        # in a context of its own: the handler runs in that of whatever runs, which may be a configuration's
        if self._count == 1:
            loop.call_soon_threadsafe(self._cancel, task, context=Context())
        elif self._count == 2 and self._noticed:
            loop.call_soon_threadsafe(self.hurry.set, context=Context())
        else:
            for act in self.last_acts:
                with suppress(Exception):
                    act()
            sys.stderr.write(f"\nended at once on {self.by}: replies under way are lost; what was stored stands\n")
            sys.stderr.flush()
            leave(self.exit_status)

    def _cancel(self, task: asyncio.Task[Any]) -> None:
        self._noticed = True
        task.cancel()
