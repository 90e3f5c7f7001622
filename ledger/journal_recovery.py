"""What a journal still holds after damage: whole groups are kept, the rest is counted, and the file is set aside as found.

SQLite has no checksum for the pages of its file, and drops what follows a damaged frame of its log. So each group carries
one of its own, and groups are numbered without gaps.
"""

import contextlib
import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from coordeval.ledger.journal_head import Head

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS groups "
    "(seq INTEGER PRIMARY KEY AUTOINCREMENT, entries INTEGER NOT NULL, payload BLOB NOT NULL, check_sum BLOB)"
)
INSERT = "INSERT INTO groups (seq, entries, payload, check_sum) VALUES (?, ?, ?, ?)"
_CORRUPT = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_SCHEMA,
    sqlite3.SQLITE_MISMATCH,
}

Group = tuple[int, int, bytes, bytes | None]
"""seq, entries, payload, check_sum (None: stored by a version that wrote none)."""


def check_sum(seq: int, entries: int, payload: bytes) -> bytes:
    return hashlib.blake2b(b"%d %d " % (seq, entries) + payload, digest_size=16).digest()


def is_whole(group: Group, unsummed: int) -> bool:
    """`unsummed`: groups as far as this one may be without a checksum."""
    seq, entries, payload, stored = group
    if not (isinstance(entries, int) and isinstance(payload, bytes)):
        return False  # a flipped bit can change a value's type
    return seq <= unsummed if stored is None else stored == check_sum(seq, entries, payload)


def is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return (
        (code & 0xFF) in _CORRUPT
        if code is not None
        else isinstance(error, sqlite3.DatabaseError) and "malformed" in str(error)
    )


@dataclass(slots=True)
class Found:
    """What stands in a journal. Of `whole` groups only the numbers; `entries` is how many entries they hold."""

    whole: list[int] = field(default_factory=list)
    entries: int = 0
    lost: list[int] = field(default_factory=list)
    """Groups that were stored, and are damaged or missing."""
    lost_entries: int | None = 0
    """None: not known."""
    unreadable: str = ""
    """Why not all of the file can be read."""
    unsummed: int = 0

    @property
    def is_sound(self) -> bool:
        return not (self.lost or self.lost_entries or self.unreadable)


def recover(path: Path) -> tuple[Head, str]:
    """Looks through what an earlier writer left. Where it is damaged it is set aside, and what is whole put in its place.

    Returns what its head is to say of `moved` and `unsummed`, and what is to be told of damage ("" for none).
    """
    head = Head.read(path)
    if not path.exists() and not head.waiting:
        return Head(), ""
    found = examine(path, head)
    known = Head(moved=head.moved if head.last else min(found.whole, default=1) - 1, unsummed=found.unsummed)
    kept = f"the {found.entries} entries that are whole are in the ledger now"
    if found.is_sound:
        words = f"{Head.path(path)} is damaged, so nobody can tell whether the end of the journal is missing; {kept}"
        return known, words if head.damaged else ""
    aside = set_aside(path)
    rebuild(path, found)
    lost = "an unknown number of entries is lost" if found.lost_entries is None else f"{found.lost_entries} entries are lost"
    where = f", in groups {_ranges(found.lost)}, which are missing or no longer as they were written" if found.lost else ""
    why = f" ({found.unreadable})" if found.unreadable else ""
    fix = "The same command goes on, and asks and pays again for replies that were lost. Check the disk first"
    return Head(), f"{path} is damaged{why}: {lost}{where}; {kept}. As it was found it stands in {aside.name}. {fix}"


def examine(path: Path, head: Head) -> Found:
    """Reads the whole journal at `path`, and changes nothing in it."""
    found, counted = Found(unsummed=head.unsummed), 0
    try:
        with _copy(path) as db:
            summed = _is_summed(db)
            if not summed:
                found.unsummed = db.execute("SELECT coalesce(max(seq), 0) FROM groups").fetchone()[0]
            for group in _readable(db, head.last, summed):
                if isinstance(group, str):
                    found.unreadable = group
                elif is_whole(group, found.unsummed):
                    found.whole.append(group[0])
                    found.entries += group[1]
                    counted += group[1] if head.moved < group[0] <= head.last else 0
                else:
                    found.lost.append(group[0])
            if not found.unreadable and (said := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                found.unreadable = str(said)
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        found.unreadable = str(error)
    seen = found.whole + found.lost
    first = head.moved + 1 if head.last else min(seen, default=1)
    last = max([head.last, *seen])
    found.lost = sorted(set(range(first, last + 1)).difference(found.whole))
    if head.last:  # groups beyond it were stored at a power cut, after which the head lagged behind
        found.lost_entries = None if any(seq > head.last for seq in found.lost) else head.waiting - counted
    elif found.lost or found.unreadable:
        found.lost_entries = None
    return found


def set_aside(path: Path) -> Path:
    """Copies the journal as it was found to a new name beside it, which is returned."""
    aside = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    for suffix in ("", "-wal", ".head"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(f"{path}{suffix}", f"{aside}{suffix}")
    return aside


def rebuild(path: Path, found: Found) -> None:
    """Makes the journal anew from its whole groups, numbered from 1."""
    fresh = path.with_name(f"{path.name}.rebuilt")
    fresh.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(fresh, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = FULL")
        db.execute(SCHEMA)
        if whole := set(found.whole):
            with _copy(path) as old:
                for group in _readable(old, max(whole), _is_summed(old)):
                    if not isinstance(group, str) and group[0] in whole:
                        whole.discard(group[0])
                        seq = len(found.whole) - len(whole)
                        db.execute(INSERT, (seq, *group[1:3], check_sum(seq, *group[1:3])))
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)  # first: a log beside a file that it does not belong to is replayed
    fresh.replace(path)


@contextlib.contextmanager
def _copy(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a copy of the journal: SQLite writes to what it opens, and what is damaged stays as it was found."""
    scratch = path.with_name(f"{path.name}.read")
    for suffix in ("", "-wal"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(f"{path}{suffix}", f"{scratch}{suffix}")
    try:
        with contextlib.closing(sqlite3.connect(scratch)) as db:
            yield db
    finally:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{scratch}{suffix}").unlink(missing_ok=True)


def _is_summed(db: sqlite3.Connection) -> bool:
    """Whether there is a column of checksums: since version 0.2, or in a table that is yet to be made."""
    known = [row[1] for row in db.execute("PRAGMA table_info(groups)")]
    return not known or "check_sum" in known


def _readable(db: sqlite3.Connection, last: int, summed: bool) -> Iterator[Group | str]:
    """Every group that can be read, in order, and why reading stopped or skipped, where it did."""
    columns = "seq, entries, payload, " + ("check_sum" if summed else "NULL")
    seq = 0
    try:
        if not db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'groups'").fetchone()[0]:
            return  # killed before there was anything, or lost: the head knows
        query = f"SELECT {columns} FROM groups WHERE seq > ? ORDER BY seq LIMIT 1"
        while (row := db.execute(query, (seq,)).fetchone()) and row[0] > seq:
            seq = row[0]
            yield row
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        yield str(error)
        for number in range(seq + 1, last + 1):
            with contextlib.suppress(sqlite3.Error):
                if row := db.execute(f"SELECT {columns} FROM groups WHERE seq = ?", (number,)).fetchone():
                    yield row


def _ranges(numbers: list[int]) -> str:
    """1, 2, 3, 7 as "1 to 3, 7"."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(low) if low == high else f"{low} to {high}" for low, high in spans)
