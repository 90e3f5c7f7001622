"""Whatever order wake-ups, failures, kills and clocks come in: no day is done twice, none is lost, no past one is done."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordeval.flows.jobs.job import Done, Job
from coordeval.flows.jobs.wake import wake
from coordeval.flows.schedule import days
from coordeval.ledger import Ledger, read
from coordeval.ledger.database import kept_open

START = datetime(2026, 3, 10, 12, tzinfo=UTC)


class Killed(BaseException):
    """The process is gone: nothing more is written."""


class Work:
    """What jobs did, by (job, venue, day), in a world whose clock is set by hand."""

    def __init__(self, book, number):
        self.book, self.number, self.now, self.latest = book, number, START, {}
        self.did = {}
        self.fault = None

    def job(self, catch_up):
        return Job(name=f"{catch_up}-{self.number}", about="", do=self.do, cron="", of="venue", catch_up=catch_up)

    def do(self, study, ledger, *, day, now, say, source, catch_up):
        if self.fault == "fails":
            raise OSError("the venue is down")
        if self.fault == "overlaps":  # another scheduler, another server or a person wakes the same
            self.fault = None
            other = self.wake(catch_up, source)
            assert (other.done, other.taken) == ({}, [day, *other.taken[1:]]), "it is left to who is at it"
        if catch_up != "each":
            assert day == now.date(), "no day that is past is done"
        self.did.setdefault((catch_up, source, day), []).append(now)
        if self.fault == "killed after":
            raise Killed
        return Done(said="done")

    def wake(self, catch_up, source):
        options = {"source": source, "catch_up": catch_up}
        return wake(self.job(catch_up), None, self.book, now=self.now, say=str, by="a test", options=options)


@contextmanager
def dying(monkeypatch):
    """Within, a Killed ends a day as a kill does: its claim stands as begun, its lock is free."""
    end = days._end

    def ends(ledger, row, wait):
        if row["reason"] != "stopped from outside (Killed)":
            end(ledger, row, wait)

    with monkeypatch.context() as patch:
        patch.setattr(days, "_end", ends)
        yield


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    path = tmp_path_factory.mktemp("any-order") / "ledger.duckdb"
    with Ledger.open(path, purpose="a test") as opened, kept_open(path):
        yield opened


NUMBERS = iter(range(10_000))
FAULTS = (None, None, "fails", "overlaps", "killed after", "killed before it says what it missed")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(("each", "last", "never")),
        st.sampled_from(("polymarket", "kalshi")),
        st.sampled_from(FAULTS),
        st.sampled_from((0, 1, 6, 24, 24, 72, -24)),  # hours by which the clock moves before
    ),
    min_size=4,
    max_size=9,
)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_nothing_is_doubled_and_nothing_lost_in_any_order(steps, book, monkeypatch):
    work = Work(book, next(NUMBERS))
    for catch_up, source, fault, hours in steps:
        work.now += timedelta(hours=hours)
        work.fault = fault
        key = catch_up, source
        back = work.now + days.CLOCKS < work.latest.get(key, work.now)
        before = {name: list(times) for name, times in work.did.items()}
        with dying(monkeypatch), monkeypatch.context() as patch:
            if fault == "killed before it says what it missed":
                patch.setattr("coordeval.flows.jobs.wake.miss", killed)
            try:
                work.wake(*key)
            except days.ClocksDisagree:
                assert back, "only a clock that went back is refused"
            except (OSError, Killed):
                pass
        if back:
            assert work.did == before, "nothing is done for a past that was written"
        else:
            work.latest[key] = max(work.now, work.latest.get(key, work.now))
    work.now = max([work.now, *work.latest.values()]) + timedelta(days=1)
    work.fault = None
    for key in work.latest:
        work.wake(*key)
        assert work.wake(*key).done == {}, "a wake-up too many returns at once"
        rows = read(book.path).query(
            "SELECT * FROM days WHERE job = ? AND study = ? ORDER BY day, attempt", [f"{key[0]}-{work.number}", key[1]]
        )
        if rows.is_empty():
            continue
        by_day = {day: own.to_dicts() for (day,), own in rows.partition_by("day", as_dict=True).items()}
        assert sorted(by_day) == [min(by_day) + timedelta(days=n) for n in range(len(by_day))], "no day is lost"
        assert max(by_day) == work.now.date()
        for day, own in by_day.items():
            assert [row["attempt"] for row in own] == list(range(1, len(own) + 1))
            *earlier, last = [row["status"] for row in own]
            assert last in days.OVER
            assert set(earlier) <= {"failed", "lost"}, "a day that is over is not begun again"
            done, lost = work.did.get((*key, day), []), earlier.count("lost")
            assert (last == "done") <= len(done) <= (last == "done") + lost, "done once, and again only after a kill"


def killed(*given, **named):
    raise Killed
