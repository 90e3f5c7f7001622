"""Whose task is whose: what a configuration starts, cancels or lets escape stays its own cell's business.

Configurations are coroutines in the run's own event loop. A task that one starts is known as its cell's; it may cancel those
and no others, and a SystemExit or KeyboardInterrupt that it raises is an error of its own, not the end of the process.
"""

import asyncio
import sys
from collections.abc import Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet


@dataclass(eq=False, slots=True)
class Owner:
    """One cell's configuration, as the owner of tasks."""

    name: str
    """How it is called in messages: configuration, market and replicate."""
    tasks: WeakSet["asyncio.Task[Any]"] = field(default_factory=WeakSet)
    trespassed: bool = False
    """It tried to cancel a task that is not its own. Nothing came of it."""

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


def install(loop: asyncio.AbstractEventLoop) -> None:
    """Let the loop make owned tasks. A loop that has a task factory already keeps it."""
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
    task = OwnedTask(_Contained(coroutine), loop=loop, context=context)
    task.owner = owner
    owner.tasks.add(task)
    return task


class _Contained(Coroutine[Any, Any, Any]):
    """A coroutine out of which neither SystemExit nor KeyboardInterrupt gets."""

    def __init__(self, inner: Coroutine[Any, Any, Any]) -> None:
        self._inner = inner

    def send(self, value: Any) -> Any:
        try:
            return self._inner.send(value)
        except (SystemExit, KeyboardInterrupt) as error:
            raise EscapedError(f"{type(error).__name__}: {error}") from error

    def throw(self, *error: Any) -> Any:
        try:
            return self._inner.throw(*error)
        except (SystemExit, KeyboardInterrupt) as raised:
            raise EscapedError(f"{type(raised).__name__}: {raised}") from raised

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._inner.__await__()


async def release(owner: Owner, *, seconds: float = 1.0, tries: int = 3) -> int:
    """End every task of a configuration that is over; returns how many would not end and were let go of."""
    try:
        for _ in range(tries):
            if not (left := owner.unfinished()):
                return 0
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=seconds)
    finally:  # nothing ends these, or nobody has the time: at least the loop's own end must not wait for them
        left = owner.unfinished()
        for task in left:
            asyncio.tasks._unregister_task(task)
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        _LET_GO.extend(left)
    return len(left)


_LET_GO: list["asyncio.Task[Any]"] = []
"""Kept, for the collector would close their coroutines, and run what would not end once more."""
