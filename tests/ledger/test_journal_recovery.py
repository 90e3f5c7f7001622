"""What is found in a journal, and what is told of it: whole groups are kept, and no other is counted as one."""

import sqlite3
from contextlib import closing

import pytest

from coordeval.ledger.journal_head import Head, HeadFile
from coordeval.ledger.journal_recovery import INSERT, SCHEMA, check_sum, examine, is_damage, is_whole, recover

GROUPS = {seq: (seq, seq + 1, b"payload %d" % seq) for seq in range(1, 9)}
"""Number -> a group of that number, with one more entries."""


def stored(path, *numbers, damaged=(), head=None, summed=True):
    """A journal of these groups."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(SCHEMA if summed else SCHEMA.replace(", check_sum BLOB", ""))
        for number in numbers:
            seq, entries, payload = GROUPS[number]
            kept = b"another" if number in damaged else payload
            if summed:
                db.execute(INSERT, (seq, entries, kept, check_sum(seq, entries, payload)))
            else:
                db.execute("INSERT INTO groups VALUES (?, ?, ?)", (seq, entries, kept))
    if head is not None:
        file = HeadFile(path)
        file.write(head)
        file.close()
    return path


def groups(path):
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT seq, entries, payload, check_sum FROM groups ORDER BY seq").fetchall()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "j.journal"


def test_a_group_is_whole_where_all_of_it_is_what_was_summed():
    whole = (3, 2, b"x", check_sum(3, 2, b"x"))
    assert is_whole(whole, 0)
    for at, other in enumerate((4, 3, b"y", b"z")):
        assert not is_whole((*whole[:at], other, *whole[at + 1 :]), 9)
    assert not is_whole((3, "2", b"x", None), 9), "a flipped bit changed its type"
    assert not is_whole((3, 2, "x", None), 9)
    assert is_whole((3, 2, b"x", None), 3), "an earlier version wrote no sums"
    assert not is_whole((4, 2, b"x", None), 3)


def test_a_full_disk_is_no_damage():
    def error(kind, words="", code=None):
        made = kind(words)
        if code is not None:
            made.sqlite_errorcode = code
        return made

    for code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT | 1 << 8):
        assert is_damage(error(sqlite3.DatabaseError, code=code))
    for code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR | 11 << 8):
        assert not is_damage(error(sqlite3.OperationalError, "malformed", code))
    assert is_damage(error(sqlite3.DatabaseError, "database disk image is malformed"))
    assert not is_damage(error(sqlite3.DatabaseError, "locked"))
    assert not is_damage(error(sqlite3.Error, "malformed"))


def test_what_the_head_knows_of_and_is_not_there_is_lost(path):
    head = Head(last=8, moved=1, waiting=3 + 4 + 5 + 6 + 7 + 8 + 9)
    found = examine(stored(path, 1, 2, 3, 4, 6, damaged=[3]), head)
    assert (found.whole, found.entries, found.lost) == ([1, 2, 4, 6], 2 + 3 + 5 + 7, [3, 5, 7, 8])
    assert found.lost_entries == 4 + 6 + 8 + 9, "of group 1 it is known that it was moved"
    assert (found.unreadable, found.unsummed, found.is_sound) == ("", 0, False)


def test_without_a_head_a_gap_is_seen_and_nobody_knows_what_it_held(path):
    found = examine(stored(path, 3, 4, 6), Head())
    assert (found.whole, found.lost, found.lost_entries) == ([3, 4, 6], [5], None)
    assert examine(stored(path.with_name("whole"), 3, 4), Head()).is_sound


def test_damage_beyond_the_head_is_of_unknown_size(path):
    found = examine(stored(path, 1, 2, 3, damaged=[3]), Head(last=2, waiting=5))
    assert (found.lost, found.lost_entries) == ([3], None)
    beyond = examine(stored(path.with_name("lags"), 1, 2, 3), Head(last=2, waiting=5))
    assert (beyond.is_sound, beyond.whole, beyond.lost_entries) == (True, [1, 2, 3], 0)


def test_entries_that_the_head_counts_and_no_group_holds_are_lost(path):
    assert examine(stored(path, 1, 2), Head(last=2, waiting=7)).lost_entries == 2


def test_a_journal_of_the_version_before_sums_is_taken_as_it_is(path):
    found = examine(stored(path, 1, 2, summed=False), Head())
    assert (found.whole, found.unsummed, found.is_sound) == ([1, 2], 2, True)


def test_a_sound_journal_is_left_and_a_head_knows_again_what_was_moved(path):
    stored(path, 3, 4, head=Head(last=4, moved=2, waiting=9, unsummed=1))
    before = path.read_bytes()
    assert recover(path) == (Head(moved=2, unsummed=1), "")
    Head.path(path).unlink()
    assert recover(path) == (Head(moved=2), "")
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_nothing_is_told_where_there_was_nothing(path):
    assert recover(path) == (Head(), "")
    assert recover(stored(path)) == (Head(), ""), "of no group nothing was moved"


def test_why_a_part_cannot_be_read_is_told_and_the_groups_beyond_it_are_found(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(SCHEMA)
        for seq in range(1, 41):
            payload = b"%d " % seq * 300
            db.execute(INSERT, (seq, 1, payload, check_sum(seq, 1, payload)))
    content = bytearray(path.read_bytes())
    content[6 * 4096 : 7 * 4096] = bytes(4096)  # a page of a few groups
    path.write_bytes(content)
    found = examine(path, Head(last=40, waiting=40))
    assert found.unreadable == "database disk image is malformed"
    assert 0 < len(found.lost) < 10
    assert found.lost_entries == len(found.lost)
    assert {1, 40} <= set(found.whole)


def test_a_damaged_head_is_told_and_the_journal_kept(path):
    stored(path, 1, 2)
    Head.path(path).write_bytes(b"no head")
    known, said = recover(path)
    assert known == Head()
    assert said == (
        f"{path}.head is damaged, so nobody can tell whether the end of the journal is missing; the 5 entries that are "
        "whole are in the ledger now"
    )


def test_what_is_lost_is_told_and_what_is_whole_numbered_anew(path):
    stored(path, 2, 3, 4, 8, damaged=[3], head=Head(last=8, moved=1, waiting=3 + 4 + 5 + 6 + 7 + 8 + 9))
    before = path.read_bytes()
    known, said = recover(path)
    [aside] = path.parent.glob("*.damaged-*Z")
    assert (known, aside.read_bytes()) == (Head(), before)
    assert said == (
        f"{path} is damaged: 25 entries are lost, in groups 3, 5 to 7, which are missing or no longer as they were written; "
        f"the 17 entries that are whole are in the ledger now. As it was found it stands in {aside.name}. The same command "
        "goes on, and asks and pays again for replies that were lost. Check the disk first"
    )
    kept = [(seq, *GROUPS[number][1:]) for seq, number in enumerate((2, 4, 8), start=1)]
    assert groups(path) == [(*group, check_sum(*group)) for group in kept]
    left = {path.name, f"{path.name}.head", aside.name, f"{aside.name}.head"}
    assert {file.name for file in path.parent.iterdir()} == left


def test_a_journal_that_is_gone_and_one_that_is_no_database_lose_an_unknown_or_a_known_number(path):
    file = HeadFile(path)
    file.write(Head(last=2, waiting=5))
    file.close()
    assert ": 5 entries are lost, in groups 1 to 2, which" in recover(path)[1]
    assert groups(path) == []
    path.write_bytes(b"no database " * 100)
    Head.path(path).unlink()
    said = recover(path)[1]
    assert f"{path} is damaged (file is not a database): an unknown number of entries is lost; the 0 entries" in said
    assert groups(path) == []
