"""A simulated venue with a clock: markets open every day, trade, and resolve weeks later, on any date from 2025 on.

It is the simulated world (`simulated`), laid out along the calendar: event n opens on its own day and closes 14 to 45 days
later. Evidence and prices follow the latent probability until five days before the close; after that the price runs to the
outcome, so a study's rule leaves that end out (`closes_after_days`, 7 by default). What is asked for as of a moment is told
as of that moment: a market that has not opened is not there, and one that has not ended has no outcome.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from coordeval.market_data.simulated import SimulatedWorld, _Event, _Record
from coordeval.market_data.types import Document, Outcome, PricePoint

EVENTS_PER_DAY: Final = 3
SHORTEST, LONGEST = 14, 45
"""Days from opening to close."""
_QUIET_DAYS: Final = 5
_EPOCH: Final = datetime(2025, 1, 1, tzinfo=UTC)
_DAY: Final = 1440
_MOST: Final = 3
"""Markets of one event; ids leave room for them."""
_TIMES: Final = 3
"""Stream of random numbers for opening and closing."""


class _Calendar(SimulatedWorld):
    """The world of one seed, whose event n opens on day n // EVENTS_PER_DAY since 2025-01-01."""

    @property
    def _family(self) -> str:
        return f"open-{self.seed}"

    def _timed(self, number: int, event: _Event) -> _Event:
        random = self._random(_TIMES, number)
        close = int(random.integers(SHORTEST * _DAY, LONGEST * _DAY))
        opened = _EPOCH + timedelta(days=number // EVENTS_PER_DAY, minutes=int(random.integers(_DAY)))
        return replace(event, opened_at=opened, close_minute=close, as_of_minute=close - _QUIET_DAYS * _DAY)

    def event(self, number: int) -> tuple[_Record, ...]:
        # a world with a clock proposes no as-of time of its own: that is when it is asked
        found = self._build_event(number, first_index=_MOST * number + 1)
        return tuple(replace(one, market=replace(one.market, reference_time=None)) for one in found)


@lru_cache(maxsize=4096)
def _event(seed: int, number: int) -> tuple[_Record, ...]:
    return _Calendar(count=1, seed=seed).event(number)


@dataclass(frozen=True, slots=True)
class SimulatedVenue:
    """All of it as of any moment. The same seed gives the same markets, whichever days are looked at."""

    seed: int = 1
    name: str = "simulated"

    def open_at(self, at: datetime) -> list[_Record]:
        """The markets that trade at `at`, by id."""
        first = (at - timedelta(days=LONGEST + 1) - _EPOCH).days * EVENTS_PER_DAY
        last = (at - _EPOCH).days * EVENTS_PER_DAY + EVENTS_PER_DAY
        records = [record for number in range(max(0, first), max(0, last)) for record in _event(self.seed, number)]
        return [one for one in records if _opened(one) <= at < _ended(one)]

    def prices(self, market_id: str, at: datetime) -> list[PricePoint]:
        """Its prices up to `at`."""
        return [
            point for point in self._record(market_id).prices if point.knowable_at is not None and point.knowable_at <= at
        ]

    def documents(self, market_id: str, at: datetime) -> list[Document]:
        """Its dated pages that are out by `at`."""
        found = self._record(market_id).documents
        return [page for page in found if page.knowable_at is not None and page.knowable_at <= at]

    def outcome(self, market_id: str, at: datetime) -> Outcome:
        """How it ended, or that it has not by `at`."""
        record = self._record(market_id)
        if _ended(record) <= at:
            return record.outcome
        return Outcome(market_id=market_id, status="unresolved", value=None, resolved_at=None, reason="it is still trading")

    def known(self, market_ids: Iterable[str]) -> Mapping[str, bool]:
        """Which of these ids are markets of this venue."""
        return {market_id: self._find(market_id) is not None for market_id in market_ids}

    def truth(self, market_id: str) -> float:
        """The latent probability that its outcome was drawn from: for test benches only."""
        return self._record(market_id).truth

    def _record(self, market_id: str) -> _Record:
        found = self._find(market_id)
        if found is None:
            raise KeyError(market_id)
        return found

    def _find(self, market_id: str) -> _Record | None:
        head, _, index = market_id.rpartition("-")
        if head != f"open-{self.seed}" or not index.isdigit() or index == "0":
            return None
        event = _event(self.seed, (int(index) - 1) // _MOST)
        return next((one for one in event if one.market.id == market_id), None)


def _opened(record: _Record) -> datetime:
    assert record.market.opened_at is not None
    return record.market.opened_at


def _ended(record: _Record) -> datetime:
    assert record.outcome.resolved_at is not None
    return record.outcome.resolved_at
