"""Models that worker processes of a test import: they answer like the simulated one and note each call in a file."""

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coordeval.agents.messages import Reply, Request, Slot
from coordeval.agents.simulated import InstantModel


class Noting(InstantModel):
    """Notes "begun" and "answered" with the draw that was asked for; with `kill_at`, one process is killed at that call."""

    def __init__(self, notes: Path, *, kill_at: int = 0) -> None:
        super().__init__()
        self._notes, self._kill_at = str(notes), kill_at

    async def complete(self, request: Request, slot: Slot) -> Reply:
        which = f"{request.key} {slot.replicate} {slot.k}"
        self._note(f"begun {which}")
        if self._kill_at and self._count() >= self._kill_at and self._first():
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(0)
        reply = await super().complete(request, slot)
        self._note(f"answered {which}")
        return reply

    def _note(self, text: str) -> None:
        with open(self._notes, "a") as file:  # one write of a line: whole, whoever else writes
            file.write(f"{os.getpid()} {text}\n")

    def _count(self) -> int:
        return Path(self._notes).read_text().count("answered")

    def _first(self) -> bool:
        try:
            os.close(os.open(f"{self._notes}.killed", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True


def noted(notes: Path) -> Mapping[str, list[Any]]:
    """ "begun" and "answered": the draws, in order."""
    found: dict[str, list[Any]] = {"begun": [], "answered": []}
    for line in notes.read_text().splitlines():
        process, kind, which = line.split(" ", 2)
        found[kind].append((process, which))
    return found
