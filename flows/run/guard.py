"""Whose task is whose: what a configuration starts, cancels or lets escape stays its own cell's business.

Configurations are coroutines in the run's own event loop. A task that one starts is known as its cell's; it may cancel those
and no others, and a SystemExit or KeyboardInterrupt that it raises is an error of its own, not the end of the process; so
is `os._exit`.
"""

import asyncio
import atexit
import ctypes
import os
import sys
from collections.abc import Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn
from weakref import WeakSet


@dataclass(eq=False, slots=True)
class Owner:
    """One cell's configuration, as the owner of tasks."""

    name: str
    """How it is called in messages: configuration, market and replicate."""
    tasks: WeakSet["asyncio.Task[Any]"] = field(default_factory=WeakSet)
    trespassed: bool = False
    """It tried to cancel a task that is not its own. Nothing came of it."""
    stubborn: int = 0
    """How many of its tasks caught being called off, again and again, until they were ended without being asked."""
    over: bool = False
    """None of its code runs any more: whatever of it would take a next step is ended there."""

    def unfinished(self) -> set["asyncio.Task[Any]"]:
        return {task for task in self.tasks if not task.done()}


OWNER: ContextVar[Owner | None] = ContextVar("coordeval_owner", default=None)
"""Set while a configuration's code runs; whatever it starts inherits it."""


class EscapedError(Exception):
    """A SystemExit or KeyboardInterrupt that a configuration's own task raised; let out, it would end the event loop."""


class OwnedTask(asyncio.Task[Any]):
    """A task that knows its owner and lets no other configuration cancel it."""

    owner: Owner | None = None

    def cancel(self, msg: Any | None = None) -> bool:
        caller = OWNER.get()
        if caller is None or caller is self.owner or _by_signal():
            return super().cancel(msg)
        caller.trespassed = True
        return False


def _by_signal() -> bool:
    """Ctrl-C runs its handler in the middle of whatever runs, a configuration too; asyncio's is in asyncio.runners."""
    frame = sys._getframe(2)
    return bool(frame.f_globals.get("__name__") == "asyncio.runners")


leave: Final = os._exit
"""Ends this process at once, whosever code runs."""
_guarded: int | None = None
"""The process in which a configuration's `os._exit` is no more than a SystemExit; what it forks may end itself."""


def _exit(status: int) -> NoReturn:
    if OWNER.get() is not None and os.getpid() == _guarded:
        raise SystemExit(f"os._exit({status})")
    leave(status)


def install(loop: asyncio.AbstractEventLoop) -> None:
    """Let the loop make owned tasks. A loop that has a task factory already keeps it."""
    global _guarded
    _guarded, os._exit = os.getpid(), _exit
    if loop.get_task_factory() is None:
        loop.set_task_factory(_make)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """A loop of which every task, the first too, is owned."""
    loop = asyncio.new_event_loop()
    install(loop)
    return loop


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """`asyncio.run`, on such a loop."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)


def context_of(owner: Owner | None) -> Context:
    """A context in which what runs, and what it starts, belongs to `owner`; None: to the run."""
    context = copy_context()
    context.run(OWNER.set, owner)
    return context


def _make(loop: asyncio.AbstractEventLoop, coroutine: Any, *, context: Context | None = None) -> "OwnedTask":
    owner = OWNER.get() if context is None else context.get(OWNER)
    if owner is None:
        return OwnedTask(coroutine, loop=loop, context=context)
    task = OwnedTask(_Contained(coroutine, owner), loop=loop, context=context)
    task.owner = owner
    owner.tasks.add(task)
    return task


class _Contained(Coroutine[Any, Any, Any]):
    """A coroutine out of which neither SystemExit nor KeyboardInterrupt gets, and which ends when its owner is over.

    Code that catches every cancellation is not asked again then: it stays where it stands, and its task is cancelled.
    """

    def __init__(self, inner: Coroutine[Any, Any, Any], owner: Owner) -> None:
        self._inner, self._owner = inner, owner
        self._begun = False

    def send(self, value: Any) -> Any:
        self._stand()
        try:
            return self._inner.send(value)
        except (SystemExit, KeyboardInterrupt) as error:
            raise EscapedError(f"{type(error).__name__}: {error}") from error

    def throw(self, *error: Any) -> Any:
        self._stand()
        try:
            return self._inner.throw(*error)
        except (SystemExit, KeyboardInterrupt) as raised:
            raise EscapedError(f"{type(raised).__name__}: {raised}") from raised

    def _stand(self) -> None:
        if self._owner.over:
            if not self._begun:
                self._inner.close()
            raise asyncio.CancelledError
        self._begun = True

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._inner.__await__()


RELEASE_TRIES = 3
RELEASE_SECONDS = 1.0
"""How often a configuration's tasks are called off before they are cut off, and how long each time they have to end."""


async def release(owner: Owner) -> None:
    """End every task of a configuration that is over; `owner.stubborn` says how many would not end by themselves."""
    try:
        for _ in range(RELEASE_TRIES):
            if not (left := owner.unfinished()):
                return
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=RELEASE_SECONDS)
    finally:  # nothing ends these, or nobody has the time: their code runs no further
        left = owner.unfinished()
        owner.stubborn, owner.over = len(left), True
        for task in left:
            # its code is never closed, not even at the interpreter's end: that runs it once more, and it may never come back
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(task.get_coro()))
            task.cancel()
            # a task that awaits what cannot be cancelled stays: at least the loop's own end must not wait for it
            asyncio.tasks._unregister_task(task)
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        _LET_GO.extend(left)


_LET_GO: list["asyncio.Task[Any]"] = []
"""All that were cut off in this process."""


def _quietly() -> None:
    """Libraries that count at the interpreter's end what was never let go of would fill the terminal with it."""
    if _LET_GO:
        sys.stderr.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


atexit.register(_quietly)
