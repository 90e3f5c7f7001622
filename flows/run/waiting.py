"""A wait that says what it waits for: a line after two seconds, then one every ten, however long a single answer takes."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

FIRST, EVERY = 2.0, 10.0
"""Seconds."""


@contextmanager
def told(
    words: Callable[[], str], say: Callable[[str], object], *, first: float = FIRST, every: float = EVERY
) -> Iterator[None]:
    """While the body runs, `say` what `words` then gives: "evidence: 12 of 40 markets".

    Both are called in a thread of their own, so that a computation which holds up the event loop does not hold up the words.
    """
    over = threading.Event()

    def lines() -> None:
        pause = first
        while not over.wait(pause):
            say(words())
            pause = every

    thread = threading.Thread(target=lines, name="what is waited for", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def so_far(what: str) -> Callable[[], str]:
    """Words for a wait of which nobody knows how far it is: "waiting for the report (12 s so far)"."""
    began = time.monotonic()
    return lambda: f"waiting for {what} ({time.monotonic() - began:.0f} s so far)"
