"""What both steps of a prospective study stand on: the study, the clock, the venue, and findings that are told once."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from coordeval.agents.messages import content_hash
from coordeval.flows.study.open_markets import OpenMarkets
from coordeval.flows.study.study import LoadedStudy, load_study
from coordeval.ledger import Ledger, Reader
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.http import Patience, on_this_machine
from coordeval.market_data.open_world import SimulatedVenue
from coordeval.market_data.opening import OpenSource, SimulatedOpen, VenueOpen
from coordeval.market_data.types import utc
from coordeval.market_data.venues import connect

Say = Callable[[str], object]
_TOLERANCE = timedelta(minutes=15)


class ProspectiveError(CoordevalError, ValueError):
    """What a prospective study cannot do, such as forecast a day that is past."""


def silent(text: str) -> None:
    """Says nothing."""


@dataclass(frozen=True, slots=True)
class Clock:
    """What time it is: a simulated world's time stands still while a step is made, any other goes on from `start`."""

    start: datetime
    stands: bool
    _since: float = field(default_factory=time.monotonic)

    def __call__(self) -> datetime:
        return self.start if self.stands else self.start + timedelta(seconds=time.monotonic() - self._since)


def prospective_study(path: Path | str | LoadedStudy) -> tuple[LoadedStudy, OpenMarkets]:
    """Raises StudyError; ProspectiveError for a study of markets that are not open."""
    loaded = path if isinstance(path, LoadedStudy) else load_study(Path(path))
    if not isinstance(loaded.study.markets, OpenMarkets):
        raise ProspectiveError(
            f"{loaded.study.name if isinstance(path, LoadedStudy) else path}: "
            f"markets.source = {loaded.study.markets.source!r}: only markets.source = 'open' is forecast "
            "ahead; `coordeval run` runs this study, and `coordeval study new FILE --open` writes one of open "
            "markets"
        )
    return loaded, loaded.study.markets


def clock_of(rule: OpenMarkets, now: datetime) -> Clock:
    """The clock of a step. Raises ProspectiveError where `now` is not the present and the venue is a real one."""
    start = utc(now, "now")
    if rule.venue == "simulated":
        return Clock(start, stands=True)
    present = datetime.now(UTC)
    if not on_this_machine(rule.base_url) and abs(start - present) > _TOLERANCE:
        raise ProspectiveError(
            f"now is {start.isoformat(timespec='seconds')}, and the clock says {present.isoformat(timespec='seconds')}: "
            f"markets of {rule.venue} are forecast as of the present and of no other time; only the simulated venue has a "
            "time of its own"
        )
    return Clock(start, stands=False)


@asynccontextmanager
async def source_of(
    rule: OpenMarkets, ledger: Ledger, *, patience: Patience | None = None, transport: Any = None
) -> AsyncIterator[OpenSource]:
    """The study's venue, closed at the end."""
    if rule.venue == "simulated":
        yield SimulatedOpen(SimulatedVenue(rule.seed))
        return
    client, venue = connect(
        rule.venue,
        base_url=rule.base_url,
        aside=ledger.path.parent / "aside",
        patience=patience,
        contact=rule.contact,
        transport=transport,
    )
    async with client:
        yield VenueOpen(venue, made_up=client.stand_in or on_this_machine(rule.base_url))


def writer(ledger: Path | str | Ledger, purpose: str) -> AbstractContextManager[Ledger]:
    """The ledger, opened for the time of the block; one that is open already stays open after it."""
    return nullcontext(ledger) if isinstance(ledger, Ledger) else Ledger.open(ledger, purpose=purpose)


def found(ledger: Ledger, study_id: str, kind: str, items: list[tuple[str, str]], at: datetime, severity: str) -> list[str]:
    """Store findings of one kind, (what it is about, what is so) each; returns those that were not known, in words."""
    rows = [
        {
            "finding_id": content_hash("finding/1", [study_id, kind, about, detail]),
            "study_id": study_id,
            "kind": kind,
            "severity": severity,
            "detail": detail,
            "created_at": at,
        }
        for about, detail in items
    ]
    if not rows:
        return []
    known = set(_known(ledger, [str(row["finding_id"]) for row in rows]))
    new = [row for row in rows if row["finding_id"] not in known]
    ledger.write("findings", new)
    return [str(row["detail"]) for row in new]


def _known(ledger: Ledger, ids: list[str]) -> list[str]:
    reader = Reader(ledger.path)
    rows = reader.query("SELECT finding_id FROM findings WHERE finding_id IN (SELECT unnest(?::VARCHAR[]))", [ids])
    return [str(one) for one in rows["finding_id"]]
