"""What the stand-in serves: market objects, found and sorted as Gamma does it, from a generator or from recordings."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from coordeval.market_data.polymarket.fields import instant

Json = dict[str, Any]
Indices = npt.NDArray[np.int64]


class Catalogue(ABC):
    """Markets by position. Only what lists are sorted by is held as columns, so that 100,000 rows are sorted without
    being built: `closed`, `closed_at` (seconds, NaN: none) and `volume` (NaN: not stated).
    """

    closed: npt.NDArray[np.bool_]
    closed_at: npt.NDArray[np.float64]
    volume: npt.NDArray[np.float64]

    def __init__(self) -> None:
        self._selections: dict[tuple[str, bool, float], Indices] = {}

    @abstractmethod
    def row(self, index: int) -> Json:
        """The Gamma object."""

    @abstractmethod
    def find(self, name: str, value: str) -> int | None:
        """The market whose `id`, `conditionId` or token (`token`) is `value`."""

    @abstractmethod
    def legs(self, event_id: str) -> list[int]:
        """The markets of an event."""

    @abstractmethod
    def history(self, token: str, start: int, end: int, fidelity: int) -> list[Json]:
        """CLOB points in [start, end], without faults."""

    def __len__(self) -> int:
        return len(self.closed)

    def select(self, order: str, closed: bool, min_volume: float) -> Indices:
        """Positions in the order of a list: `id` rising, or `closedTime` falling with those without one at the end."""
        key = (order, closed, min_volume)
        if key not in self._selections:
            chosen = np.flatnonzero(self.closed == closed)
            if min_volume > 0:
                chosen = chosen[self.volume[chosen] >= min_volume]  # NaN is no volume: left out, as by SQL
            if order == "closedTime":
                chosen = chosen[np.lexsort((chosen, -self.closed_at[chosen]))]
            self._selections[key] = chosen
        return self._selections[key]


class Recorded(Catalogue):
    """The market objects in `gamma_*.json` of a directory of recordings; `histories` gives CLOB points by token."""

    def __init__(self, directory: Path, histories: dict[str, list[Json]] | None = None) -> None:
        super().__init__()
        found = (row for path in sorted(directory.glob("gamma_*.json")) for row in _markets(orjson.loads(path.read_bytes())))
        self.rows: Sequence[Json] = sorted({row["id"]: row for row in found}.values(), key=lambda row: int(row["id"]))
        self.histories = histories or {}
        times = [instant(row.get("closedTime")) for row in self.rows]
        self.closed = np.array([row["closed"] for row in self.rows], dtype=np.bool_)
        self.closed_at = np.array([at.timestamp() if at else np.nan for at in times], dtype=np.float64)
        self.volume = np.array([float(row.get("volume", "nan")) for row in self.rows], dtype=np.float64)

    def row(self, index: int) -> Json:
        return self.rows[index]

    def find(self, name: str, value: str) -> int | None:
        for index, row in enumerate(self.rows):
            if row.get(name) == value or (name == "token" and value in orjson.loads(row.get("clobTokenIds", "[]"))):
                return index
        return None

    def legs(self, event_id: str) -> list[int]:
        return [i for i, row in enumerate(self.rows) if any(e["id"] == event_id for e in row.get("events", []))]

    def history(self, token: str, start: int, end: int, fidelity: int) -> list[Json]:
        return [point for point in self.histories.get(token, []) if start <= point["t"] <= end]


def _markets(payload: Any) -> Iterator[Json]:
    """Market objects anywhere in a recorded answer."""
    if isinstance(payload, list):
        for item in payload:
            yield from _markets(item)
    elif isinstance(payload, dict):
        if "conditionId" in payload and "outcomes" in payload:
            yield payload
        for name in ("markets", "events"):
            yield from _markets(payload.get(name, []))
