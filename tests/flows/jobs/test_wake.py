"""Wake-ups: the days that are due are done, each once, whatever woke the job; a stand-in for time in place of waiting."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from coordeval.flows.jobs import pull
from coordeval.flows.jobs.job import Done, Job
from coordeval.flows.jobs.table import JOBS
from coordeval.flows.jobs.wake import wake
from coordeval.flows.schedule.days import claim, history
from coordeval.flows.study.reading import StudyError
from coordeval.ledger import read
from tests.flows import pulling_world as world

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


class Diary:
    """A job that writes down which days it was asked to do, and fails on some."""

    def __init__(self, catch_up="each", fails=()):
        self.days, self.fails = [], {NOON.date() + timedelta(days=n) for n in fails}
        self.job = Job(name="diary", about="", do=self.do, cron="", of="venue", catch_up=catch_up, options={"source": "v"})

    def do(self, study, ledger, *, day, now, say, **options):
        if day in self.fails:
            raise OSError("the venue is down")
        self.days.append((day - NOON.date()).days)
        return Done(said=f"day {day}")

    def wake(self, path, days_later=0, **more):
        return wake(self.job, None, path, now=NOON + timedelta(days=days_later), say=lambda _: None, by="a test", **more)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.duckdb"


def test_every_day_is_done_once_however_often_it_is_woken(path):
    diary = Diary()
    for later in (0, 0, 3, 3):
        woken = diary.wake(path, later)
    assert diary.days == [0, 1, 2, 3]
    assert woken.said() == "every day is done already"
    assert {row["woken_by"] for row in history(read(path))} == {"a test"}


@pytest.mark.parametrize(("catch_up", "why"), [("last", "the one of 2026-03-13 covers it"), ("never", "its time is over")])
def test_where_the_last_day_covers_the_others_or_the_past_is_over_it_alone_is_done(path, catch_up, why):
    diary = Diary(catch_up)
    diary.wake(path)
    assert "2 missed days" in diary.wake(path, 3).said()
    diary.wake(path, 3)
    assert diary.days == [0, 3]
    missed = [row["reason"] for row in history(read(path)) if row["status"] == "missed"]
    assert missed == [f"nothing woke it; {why}"] * 2
    assert read(path).query("SELECT count(*) FROM findings").item() == 0, "nothing was lost by it"


def test_a_day_that_fails_holds_up_those_after_it_and_is_taken_up_at_the_next_wake(path):
    diary = Diary(fails=[1])
    diary.wake(path)
    with pytest.raises(OSError, match="the venue is down"):
        diary.wake(path, 2)
    assert diary.days == [0]
    diary.fails.clear()
    diary.wake(path, 2)
    assert diary.days == [0, 1, 2]


def test_backfill_does_the_days_before_the_first_one_too_and_none_twice(path):
    diary = Diary()
    diary.wake(path)
    for _ in range(2):
        diary.wake(path, since=NOON.date() - timedelta(days=2))
    assert diary.days == [0, -2, -1]


def test_a_day_that_another_process_is_at_is_left_to_it(path):
    diary = Diary()
    with claim(path, "diary", "v", NOON.date(), now=NOON):
        assert "another process is at it" in diary.wake(path).said()
    assert diary.days == []


def test_a_study_that_cannot_be_read_is_a_failed_day_and_a_finding_by_its_file(path, study_file):
    wrong = study_file(("count = 6", "count = -6"))
    for _ in range(2):
        with pytest.raises(StudyError, match=r"markets\.count"):
            wake(JOBS["report"], wrong, path, now=NOON, say=lambda _: None)
    found = history(read(path))
    assert [(row["study"], row["status"], row["attempt"]) for row in found] == [
        (str(wrong), "failed", 2),
        (str(wrong), "failed", 1),
    ]
    assert "markets.count" in found[0]["reason"]
    assert read(path).query("SELECT count(*) FROM findings").item() == 2


def test_the_days_of_two_venues_are_two_things(path):
    diary = Diary()
    diary.wake(path)
    diary.wake(path, options={"source": "w"})
    assert diary.days == [0, 0]


def test_pull_markets_reads_each_day_what_closed_before_it_and_nothing_is_asked_twice(path, monkeypatch):
    venue = world.World(200)
    wire = world.Wire(world.polymarket_app(venue))
    monkeypatch.setattr(pull, "pull_markets", lambda *a, **more: world.pull_markets(*a, transport=wire, **more))
    job = replace(pull.JOB, options={**pull.JOB.options, "base_url": world.BASE, "prices": 0.0, "days_back": 2})
    begins = datetime.fromtimestamp(sorted(venue.closed_at)[100], UTC).replace(hour=6)
    asked = []
    for later in (0, 0, 3, 3):
        wake(job, None, path, now=begins + timedelta(days=later), say=lambda _: None)
        asked.append(len(wire.asked))
    assert 0 < asked[0] == asked[1] < asked[2] == asked[3]
    first, last = begins.replace(hour=0) - timedelta(days=2), begins.replace(hour=0) + timedelta(days=3)
    there = read(path).query("SELECT count(*) FROM markets").item()
    assert there == len(venue.within(first.replace(minute=0, second=0), last.replace(minute=0, second=0))) > 0
