"""What the tests of a module store is made again from its stored replies, as `coordeval verify` does it, once per kind.

A kind is all that decides what is sent: configuration, settings and model, and how it ended. Of every ledger that is
closed the first forecast of each kind that no test before has stored is replayed; `COORDEVAL_REPLAY=all` replays each one.
A module takes part with `pytestmark = pytest.mark.usefixtures("stored_is_made_again")`.
"""

import contextlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from coordeval.agents.messages import canonical
from coordeval.flows.run import guard, window
from coordeval.flows.verify.again import Replay
from coordeval.grounding.registry import load as installed_repairs
from coordeval.ledger import Ledger, read

ALL = os.environ.get("COORDEVAL_REPLAY") == "all"


KINDS: set[bytes] = set()
"""Replayed so far in this process."""


@dataclass(slots=True)
class Again:
    """What has been replayed, and what of it went wrong."""

    waiting: dict[Path, dict[str, tuple[bytes, Any]]] = field(default_factory=dict)
    """Ledger -> forecast -> (its kind, the study as it was loaded)."""
    looked: int = 0
    wrong: list[str] = field(default_factory=list)

    def made(self, evaluation: Any, cell: Any, rows: Any) -> None:
        forecast, identity = rows.forecast, cell.identity
        ended = [forecast["status"], bool(rows.tool_calls), len(rows.calls) > len(rows.estimates)]
        kind = canonical([ended, *(identity.get(name) for name in ("configuration", "settings", "model", "game"))])
        own = self.waiting.setdefault(evaluation.path, {})
        if ALL or (kind not in KINDS and kind not in {known for known, _ in own.values()}):
            own[cell.forecast_id] = kind, evaluation.loaded

    def closed(self, path: Path) -> None:
        """The ledger has all that was put into it."""
        if not (own := self.waiting.pop(path, None)) or not path.exists():
            return
        loaded = next(loaded for _, loaded in own.values())
        repairs = getattr(loaded, "repairs", None) or installed_repairs()
        with read(path).moment() as held, ThreadPoolExecutor(1) as beside:  # a test's own loop may be running here
            part = beside.submit(
                lambda: guard.run(Replay(held, loaded.registry, repairs).look(None, among=list(own)))
            ).result()
        self.looked += part.looked
        KINDS.update(kind for kind, _ in own.values())
        self.wrong += [f"{path}: {fault.where}: {fault.says}" for fault in part.faults]
        self.wrong += [f"{path}: {count} not made again: {reason}" for reason, count in part.not_looked.items()]


@contextlib.contextmanager
def replaying() -> Iterator[Again]:
    """Within, whatever a run of this process stores is replayed when its ledger is closed."""
    again = Again()
    run_cell, close = window.run_cell, Ledger.close

    async def made(evaluation: Any, cell: Any, model: Any) -> Any:
        rows = await run_cell(evaluation, cell, model)
        again.made(evaluation, cell, rows)
        return rows

    def closed(own: Ledger) -> None:
        close(own)
        again.closed(own.path)

    with patch.object(window, "run_cell", made), patch.object(Ledger, "close", closed):
        yield again
