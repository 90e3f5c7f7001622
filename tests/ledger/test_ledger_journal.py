"""The journal by itself."""

import sqlite3

import pytest

from coordeval.ledger import LedgerError, LedgerWriteError
from coordeval.ledger.journal import Journal


@pytest.fixture
def file(tmp_path):
    return tmp_path / "x.journal"


def test_entries_come_back_in_order_after_reopening(file):
    journal = Journal(file)
    journal.put_many([("t", str(i), {"i": i, "text": "line\nbreak"}) for i in range(3)])
    journal.put_many([("t", "3", {"i": 3, "text": None})])
    journal.close()
    again = Journal(file)
    assert [(entry.key, entry.row["i"]) for entry in again.entries()] == [(str(i), i) for i in range(4)]
    assert again.pending == 4
    again.close()


async def test_truncation_forgets_what_is_older_and_keeps_what_came_after(file):
    journal = Journal(file)
    await journal.put("t", "a", {})
    moved = journal.last
    await journal.put("t", "b", {})
    journal.truncate(moved)
    assert [entry.key for entry in journal.entries()] == ["b"]
    journal.truncate(journal.last)
    await journal.put("t", "c", {})
    assert journal.last > moved, "a number is never given twice"
    journal.close()
    assert file.exists()


async def test_an_empty_journal_leaves_no_file(file):
    journal = Journal(file)
    await journal.put("t", "a", {})
    journal.truncate(journal.last)
    journal.close()
    assert list(file.parent.iterdir()) == []


async def test_a_group_is_on_disk_with_one_fsync(file):
    """FULL is what makes a returned put survive a power cut; in WAL mode the default of other drivers does not."""
    journal = Journal(file)
    assert journal._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert journal._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    await journal.put("t", "a", {})
    with sqlite3.connect(file) as other:
        assert other.execute("SELECT entries FROM groups").fetchall() == [(1,)]
    journal.close()


def test_long_journals_come_in_bounded_bundles(file, monkeypatch):
    monkeypatch.setattr("coordeval.ledger.journal.GROUP_BYTES", 100)
    journal = Journal(file)
    for i in range(10):
        journal.put_many([("t", str(i), {"text": "x" * 40})])
    bundles = list(journal.groups(journal.last))
    assert 3 <= len(bundles) <= 9
    assert [entry.key for _, bundle in bundles for entry in bundle] == [str(i) for i in range(10)]
    journal.close()


class Dying:
    """A database of which the process is killed before it deletes anything."""

    def __init__(self, db):
        self.db = db

    def execute(self, sql, *rest):
        if sql.startswith("DELETE"):
            raise KeyboardInterrupt
        return self.db.execute(sql, *rest)


@pytest.mark.parametrize("kept", [0, 3], ids=["all of it was moved", "some came meanwhile"])
def test_a_kill_between_what_is_said_to_be_moved_and_its_deletion_is_no_damage(file, kept):
    journal = Journal(file)
    journal.put_many([("t", str(i), {}) for i in range(5)])
    moved = journal.last
    if kept:
        journal.put_many([("t", str(5 + i), {}) for i in range(kept)])
    journal._db = Dying(journal._db)
    with pytest.raises(KeyboardInterrupt):
        journal.truncate(moved)
    journal._db.db.close()
    again = Journal(file)
    assert again.damage == "", "nothing was lost, so nobody is told that something was"
    assert len(list(again.entries())) == 5 + kept, "what is moved twice changes nothing"
    again.close()


def test_a_journal_that_is_closed_says_so_to_whoever_puts(tmp_path):
    journal = Journal(tmp_path / "j")
    journal.close()
    with pytest.raises(LedgerError, match="j: the ledger is closed; open it again to write"):
        journal.put_many([("t", "k", {})])


async def test_a_put_that_the_disk_refuses_is_told_so_and_the_journal_goes_on(tmp_path):
    class Full:
        def execute(self, *arguments):
            raise sqlite3.OperationalError("database or disk is full")

    journal = Journal(tmp_path / "j")
    real, journal._db = journal._db, Full()
    with pytest.raises(LedgerWriteError, match="database or disk is full"):
        await journal.put("t", "refused", {})
    journal._db = real
    await journal.put("t", "taken", {})
    assert [entry.key for entry in journal.entries()] == ["taken"]
    journal.truncate(journal.last)
    journal.close()
