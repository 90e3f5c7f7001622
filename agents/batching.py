"""What batches of calls are made of: a model that takes them, a call in one, and what an earlier run left in them."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import orjson

from coordeval.agents.messages import ModelError, Reply, Request


@dataclass(frozen=True, slots=True)
class Item:
    """One call of a batch. `id` names it in the books and in the batch."""

    id: str
    request: Request


class Batches(Protocol):
    """What a model that takes batches has as its attribute `batches`.

    All of it raises Unavailable, RequestRefused or ModelAccessError, as the table in `failures` says.
    """

    most: int
    most_bytes: int
    """Of one batch: its calls, and the bytes of its requests."""

    async def create(self, items: Sequence[Item]) -> str:
        """The id of a new batch."""
        ...

    async def ended(self, batch_id: str) -> bool:
        """Whether its results are there."""
        ...

    def results(self, batch_id: str) -> AsyncIterator[tuple[str, Reply | Exception]]:
        """(item's id, its reply or why there is none), in any order."""
        ...

    async def since(self, moment: datetime, size: int) -> list[str]:
        """Batches of `size` calls that were created at or after `moment`."""
        ...


class Parked(ModelError):
    """The run stops, and the call goes on in its batch: the next run takes up its reply. It stays in the books as it is."""

    parked = True

    def __init__(self, reason: str) -> None:
        super().__init__(reason, retryable=True)


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """A batch of an earlier run of which replies are missing."""

    wave_id: str
    batch_id: str | None
    """None: the run was killed between asking for a batch and learning its id."""
    created_at: datetime
    size: int
    """Calls that it held, those with a reply included."""
    held: Mapping[tuple[str, int, int], Mapping[str, Any]]
    """(request, replicate, k) -> the attempt's row in the books."""


def items_of(rows: Iterable[tuple[str, str, int, int]]) -> str:
    """(attempt, request, replicate, k) each, as the ledger keeps them."""
    return orjson.dumps(list(rows)).decode()
