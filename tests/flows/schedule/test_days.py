"""A day is a key: done once whoever wakes it, caught up where it was missed, taken up where its process died."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import pytest

from coordeval.flows.schedule import days
from coordeval.ledger import Ledger, LedgerLocked, read
from coordeval.market_data.errors import CoordevalError

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
TODAY = NOON.date()
JOB = ("pull-markets", "")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.duckdb"


def do(path, day, now=NOON, **more):
    with days.claim(path, *JOB, day, now=now, **more) as mine:
        if mine is not None:
            mine.said = f"did {day}"
        return mine is not None


def stored(path):
    return [(row["day"], row["attempt"], row["status"]) for row in reversed(days.history(read(path)))]


def test_a_new_job_has_today_to_do_and_a_day_that_is_done_is_not_done_again(path):
    assert days.due(path, *JOB, NOON) == [TODAY]
    assert do(path, TODAY)
    assert days.due(path, *JOB, NOON) == []
    assert not do(path, TODAY)
    assert stored(path) == [(TODAY, 1, "done")]
    assert days.history(read(path))[0]["reason"] == f"did {TODAY}"


def test_missed_days_are_due_oldest_first_and_each_once(path):
    assert do(path, TODAY)
    later = NOON + timedelta(days=3)
    missed = [TODAY + timedelta(days=n) for n in (1, 2, 3)]
    assert days.due(path, *JOB, later) == missed
    assert days.due(path, *JOB, NOON, since=TODAY - timedelta(days=2)) == [TODAY - timedelta(days=n) for n in (2, 1)]
    for _ in range(2):
        for day in days.due(path, *JOB, later):
            assert do(path, day, later)
    assert [(day, attempt) for day, attempt, _ in stored(path)] == [(day, 1) for day in (TODAY, *missed)]


def test_days_are_those_of_utc(path):
    kiritimati = datetime.fromisoformat("2026-03-11T09:00+14:00")
    assert days.due(path, *JOB, kiritimati) == [date(2026, 3, 10)]
    with pytest.raises(CoordevalError, match="time zone"):
        days.due(path, *JOB, kiritimati.replace(tzinfo=None))


def test_a_day_that_failed_is_due_again_and_its_reason_is_a_finding(path):
    with pytest.raises(ValueError, match="no such venue"), days.claim(path, *JOB, TODAY, now=NOON):
        raise ValueError("no such venue")
    assert days.due(path, *JOB, NOON) == [TODAY]
    [finding] = read(path).query("SELECT * FROM findings").to_dicts()
    assert "ValueError: no such venue" in finding["detail"]
    assert do(path, TODAY)
    assert stored(path) == [(TODAY, 1, "failed"), (TODAY, 2, "done")]


def test_two_who_wake_at_once_do_it_once_and_another_study_is_not_held_up(path):
    with days.claim(path, *JOB, TODAY, now=NOON) as first:
        assert first is not None
        assert not do(path, TODAY), "another one is at it"
        with days.claim(path, "forecast-open", "a1b2c3", TODAY, now=NOON) as other:
            assert other is not None
    assert not do(path, TODAY)
    assert sorted(stored(path)) == [(TODAY, 1, "done")] * 2


def test_a_claim_of_a_killed_process_is_taken_up_and_told(path):
    child = (
        "import os, sys; from datetime import datetime, UTC; from pathlib import Path\n"
        "from coordeval.flows.schedule import days\n"
        "with days.claim(Path(sys.argv[1]), 'pull-markets', '', datetime(2026, 3, 10).date(), "
        "now=datetime(2026, 3, 10, 12, tzinfo=UTC)):\n    os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", child, str(path)], check=False, timeout=120).returncode == 9
    assert read(path).query("SELECT status FROM days")["status"].to_list() == ["started"]
    assert stored(path) == [(TODAY, 1, "lost")], "a reader sees that nobody is at it"
    assert days.due(path, *JOB, NOON) == [TODAY]
    assert do(path, TODAY)
    assert read(path).query("SELECT attempt, status FROM days ORDER BY ALL").rows() == [(1, "lost"), (2, "done")]
    assert read(path).query("SELECT kind FROM findings")["kind"].to_list() == ["day lost"]


def test_a_disk_that_is_full_when_a_day_ends_leaves_it_to_be_done_again(path):
    assert do(path, TODAY - timedelta(days=1), NOON - timedelta(days=1))
    child = (
        "import resource, sys; from datetime import datetime, UTC; from pathlib import Path\n"
        "from coordeval.flows.schedule import days; from coordeval.ledger import LedgerWriteError\n"
        "try:\n"
        "    with days.claim(Path(sys.argv[1]), 'pull-markets', '', datetime(2026, 3, 10).date(), "
        "now=datetime(2026, 3, 10, 12, tzinfo=UTC)):\n"
        "        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "except LedgerWriteError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", child, str(path)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert str(path) in done.stdout
    assert days.due(path, *JOB, NOON) == [TODAY]
    assert do(path, TODAY)
    assert [status for _, _, status in stored(path)] == ["done", "lost", "done"]


def test_a_clock_that_went_back_is_refused_does_nothing_and_is_a_finding(path):
    assert do(path, TODAY)
    earlier = NOON - timedelta(days=1)
    with pytest.raises(days.ClocksDisagree, match=r"2026-03-09 12:00 UTC.*2026-03-10 12:00 UTC.*clock"):
        do(path, TODAY - timedelta(days=1), earlier)
    assert stored(path) == [(TODAY, 1, "done")]
    assert read(path).query("SELECT kind FROM findings")["kind"].to_list() == ["clocks disagree"]


def test_a_missed_day_is_told_and_not_due_again(path):
    assert do(path, TODAY)
    later = NOON + timedelta(days=2)
    days.miss(path, *JOB, [TODAY, TODAY + timedelta(days=1)], now=later, why="it is over")
    assert days.due(path, *JOB, later) == [TODAY + timedelta(days=2)]
    assert stored(path) == [(TODAY, 1, "done"), (TODAY + timedelta(days=1), 1, "missed")]


def test_who_holds_the_ledger_open_claims_with_it_and_others_are_told_who_writes(path):
    with Ledger.open(path, purpose="a year of days") as ledger:
        assert do(ledger, TODAY)
        assert not do(ledger, TODAY)
        with pytest.raises(LedgerLocked, match="a year of days"):
            do(path, TODAY + timedelta(days=1), NOON + timedelta(days=1), wait=0)
    [row] = days.history(read(path))
    assert (row["pid"], row["version"] != "", row["now_at"]) == (os.getpid(), True, NOON)
