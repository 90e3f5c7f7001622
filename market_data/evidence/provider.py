"""The contract of an evidence provider, and the composite that asks several of them.

Invariant: what leaves a `Findings` or a `Composite` has passed `market_data.gate.Gate`, so no document without a time, or
with one later than as-of, comes out, whatever a service or a plugin returns. What is held back is a refusal with its reason.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from coordeval.market_data.errors import CoordevalError, DataError
from coordeval.market_data.evidence.query import Query
from coordeval.market_data.gate import Gate, Refusal
from coordeval.market_data.polymarket.fields import printable, unfit
from coordeval.market_data.types import Document, utc

FAILED = "provider"
"""The kind of a refusal that stands for a provider, or an address at it, that could not be asked to the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search brought. Documents are ordered by time, then content."""

    documents: tuple[Document, ...]
    refusals: tuple[Refusal, ...]
    requests: int
    """Requests that were put to services, each counted once, without those of a provider that failed as a whole."""
    notes: tuple[str, ...] = ()
    """What a service said about its own answer: warnings, more results than were taken, a shortened window."""

    @property
    def complete(self) -> bool:
        """False where something failed: asked again, it may bring other documents, so do not store this as final."""
        return not any(refusal.kind == FAILED for refusal in self.refusals)


class EvidenceProvider(Protocol):
    """Where dated evidence comes from. A new one is a class with these members."""

    @property
    def name(self) -> str: ...

    @property
    def ranks_by_todays_index(self) -> bool:
        """True where the choice of documents is made by an index of today: their text is of then, their choice is not."""
        ...

    async def search(self, query: Query, as_of: datetime, limit: int) -> Found:
        """At most `limit` documents. Raises CoordevalError where the service cannot be asked to the end."""
        ...


@dataclass(slots=True)
class Findings:
    """What a provider gathers on its way; `found` is the only way out, and leads through the gate."""

    query: Query
    as_of: datetime
    limit: int
    documents: list[Document] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    requests: int = 0

    def __post_init__(self) -> None:
        self.as_of = utc(self.as_of, f"market {self.query.market_id}, as-of time of an evidence search")
        if self.limit < 1:
            raise DataError(f"market {self.query.market_id}: evidence limit is {self.limit} documents; it must be 1 or more")

    @property
    def full(self) -> bool:
        return len(self.documents) >= self.limit

    def add(self, *, at: datetime | None, title: str, text: str, source: str) -> None:
        if not text:
            self.refuse("document", source, "no text is left after the markup")
            return
        if why_not := next((why for part in (title, text, source) if (why := unfit(part))), ""):
            self.refuse("document", printable(source), f"it must be {why_not}")
            return
        self.documents.append(
            Document(market_id=self.query.market_id, knowable_at=at, title=title, text=text, source=source)
        )

    def refuse(self, kind: str, item: str, reason: str) -> None:
        self.refusals.append(Refusal(kind, printable(item), printable(reason)))

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def found(self) -> Found:
        gate = Gate(self.as_of, self.refusals)
        admitted = gate.admit("document", {d.id: d for d in self.documents}.values())
        return Found(
            documents=tuple(admitted), refusals=tuple(self.refusals), requests=self.requests, notes=tuple(self.notes)
        )


class Composite:
    """Several providers as one, asked at the same time; `limit` holds for each of them.

    A provider that fails is one refusal of kind "provider": the others' documents still come, and `Found.complete` is False.
    """

    def __init__(self, providers: Sequence[EvidenceProvider]) -> None:
        names = [provider.name for provider in providers]
        if not names or len(set(names)) < len(names):
            raise DataError(f"evidence providers {names}: there must be at least one, and each name only once")
        self.providers = tuple(providers)
        self.name = "+".join(names)
        self.ranks_by_todays_index = any(provider.ranks_by_todays_index for provider in providers)

    async def search(self, query: Query, as_of: datetime, limit: int) -> Found:
        findings = Findings(query, as_of, limit)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_ask(p, query, findings.as_of, limit)) for p in self.providers]
        for found in (task.result() for task in tasks):
            findings.documents += found.documents
            findings.refusals += found.refusals
            findings.requests += found.requests
            findings.notes += found.notes
        return findings.found()


async def _ask(provider: EvidenceProvider, query: Query, as_of: datetime, limit: int) -> Found:
    try:
        found = await provider.search(query, as_of, limit)
        if foreign := {d.market_id for d in found.documents} - {query.market_id}:
            raise DataError(
                f"evidence provider {provider.name!r} was asked about market {query.market_id} and returned documents of "
                f"{', '.join(sorted(foreign))}; a provider must give its documents the market_id of the query"
            )
    except CoordevalError as error:
        return Found(documents=(), refusals=(Refusal(FAILED, provider.name, str(error)),), requests=0)
    return found
