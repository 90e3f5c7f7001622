"""Which days of a scheduled job are done. Whatever wakes a job asks here, so late, doubled and skipped wakes do no harm.

A day (UTC) of a job and a study is a key. Who does it claims it first: a lock of the operating system, which dies with its
holder, and a row of the table `days`. A row that says "started" and whose lock is free is a claim of a process that was
killed: the next one takes it up.
"""

import contextlib
import hashlib
import os
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from coordeval.ledger import Ledger, LedgerLocked, Reader, read
from coordeval.ledger.errors import write_error
from coordeval.ledger.place import true_path
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.secrets import excerpt

FOLDER = ".claims"
"""Beside the ledger: a file per job and study that is locked while one of its days is being done."""
PATIENCE = 60.0
"""Seconds that a claim waits for another writer of the ledger; how a day ended waits ten times as long."""
CLOCKS = timedelta(minutes=5)
"""How far two clocks may be apart before they disagree."""
OVER = ("done", "missed")
"""A day with such a row is not done again."""

_DAYS = """
    SELECT * FROM days WHERE job = ? AND study = ?
    QUALIFY row_number() OVER (PARTITION BY day ORDER BY attempt DESC) = 1 ORDER BY day
"""


class ClocksDisagree(CoordevalError):
    """The ledger knows a later moment than the one that a job is told it is."""


@dataclass(slots=True)
class Claim:
    """A day that is this process's to do."""

    job: str
    study: str
    day: date
    attempt: int
    said: str = field(default="")
    """What was done, in a sentence: it is set by who does it, and kept as the reason that the day is done."""


def due(ledger: Path | Ledger, job: str, study: str, now: datetime, *, since: date | None = None) -> list[date]:
    """The days to do, oldest first: from the first day that the ledger knows of this job and study (or `since`, or the day
    of `now`, whichever is earliest) to the day of `now`, without those that are done or missed.

    `now` has a time zone. Days are UTC. A ledger that does not exist yet knows of none.
    """
    today = day_of(now)
    stands = {row["day"]: row["status"] for row in _rows(ledger, job, study)}
    first = min([today, *stands, *([] if since is None else [since])])
    every = (first + timedelta(days=n) for n in range((today - first).days + 1))
    return [day for day in every if stands.get(day) not in OVER]


@contextlib.contextmanager
def claim(
    ledger: Path | Ledger, job: str, study: str, day: date, *, now: datetime, by: str = "", wait: float = PATIENCE
) -> Iterator[Claim | None]:
    """The day for the time of the block, or None where it is done already or another process is at it.

    After the block the day is done; where the block raised, it is failed with that reason, which is a finding too. Give the
    open Ledger where there is one: nobody else can write it then. Of a path the file is free while the block runs.

    Raises ClocksDisagree where the ledger knows a later moment than `now`, and LedgerLocked where another process writes
    the ledger for longer than `wait` seconds.
    """
    with _locked(ledger, job, study) as mine:
        taken = _begin(ledger, Claim(job, study, day, 1), now, by, wait) if mine else None
        if taken is None:
            yield None
            return
        made, row = taken
        try:
            yield made
        except BaseException as error:
            _end(ledger, row | {"status": "failed", "reason": _reason(error)}, 10 * wait)
            raise
        _end(ledger, row | {"status": "done", "reason": made.said}, 10 * wait)


def miss(
    ledger: Path | Ledger,
    job: str,
    study: str,
    days: Sequence[date],
    *,
    now: datetime,
    why: str,
    by: str = "",
    found: bool = True,
) -> None:
    """States that nothing can be done any more for these days, and why: they are not due again.

    It is a finding (`found`), unless another day makes up for them. Where another process is at the job, nothing is stated:
    what is left is due at the next wake-up.
    """
    if not days:
        return
    with _locked(ledger, job, study) as mine:
        if not mine:
            return
        known = {row["day"]: row for row in _rows(ledger, job, study)}
        rows = [
            _row(Claim(job, study, day, known[day]["attempt"] + 1 if day in known else 1), now, by)
            | {"status": "missed", "reason": why, "ended_at": datetime.now(UTC)}
            for day in days
            if day not in known or known[day]["status"] not in OVER
        ]
        begun = (known[day] for day in days if day in known and known[day]["status"] == "started")
        lost = [{**row, "status": "lost", "reason": LOST} for row in begun]  # of a process that was killed: the lock is free
        told = [*lost, *(row for row in rows if found)]
        with writing(ledger, f"missed days of {job}", PATIENCE) as book:
            book.write_all({"days": [*lost, *rows], "findings": [_finding(row) for row in told]})


def history(reader: Reader) -> list[dict[str, Any]]:
    """One row per attempt at a day, the newest first, with the study's `name` (null: it was never stored).

    An attempt whose process is gone is "lost", also before the next one has marked it.
    """
    query = (
        "SELECT d.*, s.name FROM days d LEFT JOIN studies s ON s.study_id = d.study "
        "ORDER BY d.started_at DESC, d.day DESC, d.attempt DESC, d.job"
    )
    found = reader.query(query).to_dicts()
    for row in found:
        if row["status"] == "started" and not _lives(row):
            row |= {"status": "lost", "reason": LOST}
    return found


LOST = "ended without a word: its process was killed, or its machine stopped"


def day_of(now: datetime) -> date:
    """The UTC day of a moment. Raises CoordevalError for one without a time zone: it would be another day elsewhere."""
    if now.tzinfo is None:
        raise CoordevalError(f"now = {now}: a moment needs a time zone, such as {now.isoformat()}+00:00")
    return now.astimezone(UTC).date()


def _begin(ledger: Path | Ledger, wanted: Claim, now: datetime, by: str, wait: float) -> tuple[Claim, dict[str, Any]] | None:
    with writing(ledger, f"{wanted.job} of {wanted.day}", wait) as book:
        known = _rows(book, wanted.job, wanted.study)
        last = next((row for row in known if row["day"] == wanted.day), None)
        if last is not None and last["status"] in OVER:
            return None
        latest = max((row["now_at"] for row in known), default=now)
        if latest > now + CLOCKS:
            said = (
                f"{wanted.job}: now is said to be {now:%Y-%m-%d %H:%M} UTC, and this job was last told that it is "
                f"{latest:%Y-%m-%d %H:%M} UTC; nothing is done for a past that has been written: set this machine's "
                "clock, or give another ledger"
            )
            about = ("clocks", wanted.job, wanted.study, str(latest))
            book.write("findings", [_told(about, wanted.study, "clocks disagree", said, datetime.now(UTC))])
            raise ClocksDisagree(said)
        rows = []
        if last is not None:
            wanted.attempt = last["attempt"] + 1
            if last["status"] == "started":  # its lock was free
                rows.append({**last, "status": "lost", "reason": LOST})
        row = _row(wanted, now, by)
        book.write_all({"days": [*rows, row], "findings": [_finding(lost) for lost in rows]})
    return wanted, row


def _end(ledger: Path | Ledger, row: dict[str, Any], wait: float) -> None:
    ended = row | {"ended_at": datetime.now(UTC)}
    findings = [] if ended["status"] == "done" else [_finding(ended)]
    with writing(ledger, f"{row['job']} of {row['day']}", wait) as book:
        book.write_all({"days": [ended], "findings": findings})


def _row(claim: Claim, now: datetime, by: str) -> dict[str, Any]:
    from coordeval.flows.study.evaluation import version  # 0.4 s that who only reads need not wait

    return {
        "job": claim.job,
        "study": claim.study,
        "day": claim.day,
        "attempt": claim.attempt,
        "status": "started",
        "reason": "",
        "now_at": now,
        "started_at": datetime.now(UTC),
        "ended_at": None,
        "woken_by": by or "the command line",
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "version": version(),
    }


def _finding(row: dict[str, Any]) -> dict[str, Any]:
    about = ("day", row["job"], row["study"], str(row["day"]), str(row["attempt"]))
    said = f"{row['job']} of {row['day']} (attempt {row['attempt']}): {row['reason']}"
    return _told(about, row["study"], f"day {row['status']}", said, row["ended_at"] or row["started_at"])


def _told(about: Sequence[str], study: str, kind: str, said: str, at: datetime) -> dict[str, Any]:
    """A row of `findings`; told about the same again it is the same row."""
    return {
        "finding_id": hashlib.sha256("\0".join(about).encode()).hexdigest(),
        "study_id": study,
        "kind": kind,
        "severity": "warning",
        "detail": said,
        "created_at": at,
    }


def _reason(error: BaseException) -> str:
    if not isinstance(error, Exception):
        return f"stopped from outside ({type(error).__name__})"
    return excerpt(str(error) if isinstance(error, CoordevalError) else f"{type(error).__name__}: {error}", 2000)


def _rows(ledger: Path | Ledger, job: str, study: str) -> list[dict[str, Any]]:
    """How each known day stands, by day."""
    path = ledger.path if isinstance(ledger, Ledger) else ledger
    return read(path).query(_DAYS, [job, study]).to_dicts() if path.exists() else []


@contextlib.contextmanager
def writing(ledger: Path | Ledger, purpose: str, wait: float = PATIENCE) -> Iterator[Ledger]:
    """The ledger open for writing; another writer is waited for, for `wait` seconds, and then LedgerLocked names it."""
    if isinstance(ledger, Ledger):
        yield ledger
        return
    deadline = time.monotonic() + wait
    while True:
        try:
            book = Ledger.open(ledger, purpose=purpose)
            break
        except LedgerLocked:
            if time.monotonic() >= deadline:
                raise
        time.sleep(0.1)
    with book:
        yield book


@contextlib.contextmanager
def _locked(ledger: Path | Ledger, job: str, study: str) -> Iterator[bool]:
    """Whether the job of this study is nobody else's meanwhile."""
    path = true_path(ledger.path if isinstance(ledger, Ledger) else ledger)
    name = hashlib.sha256("\0".join((path.name, job, study)).encode()).hexdigest()[:32]
    file = path.parent / FOLDER / f"{name}.lock"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o644))
    except OSError as error:
        raise write_error(path, error, "nothing was begun") from error
    lock = FileLock(file, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _lives(row: dict[str, Any]) -> bool:
    if row["host"] != socket.gethostname():
        return True  # nobody here can know; its lock tells who does the day next
    try:
        os.kill(row["pid"], 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
