"""A configuration that blocks the event loop (time.sleep, a loop without await) holds up every cell: this says which one.

It cannot be stopped from inside: the loop would have to run for that. A thread beside it notices and says so once.
"""

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from coordeval.flows.run.guard import OwnedTask
from coordeval.market_data.text import shown

BLOCKED_SECONDS = 10.0
"""A loop that has not come round for so long is blocked; what is honest takes milliseconds."""

Say = Callable[[str], None]


def _to_stderr(text: str) -> None:
    sys.stderr.write(f"{shown(text)}\n")
    sys.stderr.flush()


@contextmanager
def watching(loop: asyncio.AbstractEventLoop, *, seconds: float = BLOCKED_SECONDS, say: Say = _to_stderr) -> Iterator[None]:
    """While inside, what blocks the loop for `seconds` is named: its configuration, market and line."""
    pulse = [time.monotonic()]
    over = threading.Event()
    thread = threading.get_ident()

    def beat() -> None:
        pulse[0] = time.monotonic()
        if not over.is_set():
            loop.call_later(seconds / 4, beat)

    def watch() -> None:
        said = 0.0
        while not over.wait(seconds / 4):
            last = pulse[0]
            if time.monotonic() - last < seconds or last == said:
                continue
            task = asyncio.current_task(loop)
            owner = task.owner if isinstance(task, OwnedTask) else None
            frame = sys._current_frames().get(thread)
            if owner is not None and frame is not None:
                said = last
                at = traceback.extract_stack(frame)[-1]
                say(
                    f"warning: {owner.name} has held up all cells for {time.monotonic() - last:.0f} s: it computes or "
                    f"sleeps without await, at {at.filename}:{at.lineno} ({at.line}). It cannot be stopped from here; stop "
                    "the run, use asyncio.sleep or asyncio.to_thread there, and run again: what was answered is stored"
                )

    beat()
    watcher = threading.Thread(target=watch, name="coordeval loop watch", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
