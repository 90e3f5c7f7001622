"""Bytes that are not those that were written: never a wrong row, never a lost one without a word."""

import random
import shutil
import sqlite3
import struct
import subprocess
import sys
from pathlib import Path

import duckdb
import ledger_rows as rows
import pytest

from coordeval.ledger import Ledger, LedgerDamaged, LedgerError, NotALedger, read
from coordeval.ledger.journal import Journal
from coordeval.ledger.journal_head import Head

ENTRIES = [("t", f"key {i}", {"i": i, "text": f"a reply, paid for, with the number {i} " * 12}) for i in range(36)]
FLIPS = 120


def stored(folder: Path, *, killed: bool) -> dict[str, bytes]:
    """The files of a journal with all of ENTRIES, as a killed writer leaves them (in the log) or one that closed."""
    path = folder / "j.journal"
    journal = Journal(path)
    for start in range(0, len(ENTRIES), 3):
        journal.put_many(ENTRIES[start : start + 3])
    if killed:
        files = {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.endswith("-shm")}
        journal.truncate(journal.last)
    journal.close()
    return files if killed else {file.name: file.read_bytes() for file in folder.iterdir()}


def reopened(folder: Path, files: dict[str, bytes]) -> tuple[list, str]:
    shutil.rmtree(folder)
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    journal = Journal(folder / "j.journal")
    found = [(entry.table, entry.key, entry.row) for entry in journal.entries()]
    said = journal.damage
    journal.truncate(journal.last)
    journal.put_many([("t", "new", {})])
    assert [entry.key for entry in journal.entries()] == ["new"], "it goes on, whatever it was"
    journal.close()
    return found, said


@pytest.mark.parametrize("killed", [True, False], ids=["most in the log", "all in the file"])
def test_a_flipped_bit_of_a_journal_never_changes_or_drops_an_entry_silently(tmp_path, killed):
    folder = tmp_path / "j"
    folder.mkdir()
    files = stored(folder, killed=killed)
    assert reopened(folder, files) == (ENTRIES, ""), "the files as they are hold everything"
    rng, noticed = random.Random(7), 0
    for _ in range(FLIPS):
        name = rng.choice([name for name in files for _ in range(4 if "head" not in name else 1)])
        at, bit = rng.randrange(len(files[name])), rng.randrange(8)
        content = bytearray(files[name])
        content[at] ^= 1 << bit
        found, said = reopened(folder, {**files, name: bytes(content)})
        assert all(entry in ENTRIES for entry in found), f"a wrong entry: {name}, byte {at}, bit {bit}"
        assert len(found) == len(ENTRIES) or said, f"a lost entry: {name}, byte {at}, bit {bit}"
        if len(found) < len(ENTRIES):
            noticed += 1
            assert f"{len(ENTRIES) - len(found)} entries are lost" in said
            aside = next(
                path for path in folder.iterdir() if ".damaged-" in path.name and not path.name.endswith((".head", "-wal"))
            )
            assert aside.name in said
            assert name.endswith(("-wal", ".head")) or aside.read_bytes() == bytes(content)
    assert noticed > FLIPS / 10, "the table does hit entries"


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4, 0.8, 0.99])
@pytest.mark.parametrize(("killed", "name"), [(True, "j.journal-wal"), (False, "j.journal")])
def test_a_cut_journal_says_how_many_entries_are_missing(tmp_path, killed, name, share):
    folder = tmp_path / "j"
    folder.mkdir()
    files = stored(folder, killed=killed)
    found, said = reopened(folder, {**files, name: files[name][: int(share * len(files[name]))]})
    assert all(entry in ENTRIES for entry in found)
    assert len(found) < len(ENTRIES)
    assert f"{len(ENTRIES) - len(found)} entries are lost" in said


def test_a_journal_that_vanished_is_missed(tmp_path):
    folder = tmp_path / "j"
    folder.mkdir()
    files = stored(folder, killed=False)
    found, said = reopened(folder, {"j.journal.head": files["j.journal.head"]})
    assert found == []
    assert "36 entries are lost, in groups 1 to 12" in said


def test_a_power_cut_after_which_the_head_lags_behind_is_no_damage(tmp_path):
    folder = tmp_path / "j"
    folder.mkdir()
    files = stored(folder, killed=False)
    for head in (Head(last=9, waiting=27), Head()):
        assert reopened(folder, {**files, "j.journal.head": head.encoded()}) == (ENTRIES, "")
    assert reopened(folder, {"j.journal": files["j.journal"]}) == (ENTRIES, ""), "copied without its head"


def test_a_journal_of_the_version_before_checksums_goes_on(tmp_path):
    path = tmp_path / "j.journal"
    with sqlite3.connect(path) as old:
        old.execute(
            "CREATE TABLE groups (seq INTEGER PRIMARY KEY AUTOINCREMENT, entries INTEGER NOT NULL, payload BLOB NOT NULL)"
        )
        old.execute("INSERT INTO groups (seq, entries, payload) VALUES (41, 1, ?)", (b'["t","old",{}]',))
    old.close()
    journal = Journal(path)
    journal.put_many([("t", "new", {})])
    assert [entry.key for entry in journal.entries()] == ["old", "new"]
    journal.close()
    again = Journal(path)
    assert [entry.key for entry in again.entries()] == ["old", "new"]
    assert again.damage == ""
    again.close()


async def test_what_is_whole_is_moved_and_the_rest_is_said_once(path):
    ledger = Ledger.open(path, purpose="a test")
    ledger._flusher.shutdown()
    for i in range(3):
        await ledger.put("draws", rows.draw(f"d{i}"))
    ledger._journal._db.execute("UPDATE groups SET payload = replace(payload, 'd1', 'dX') WHERE seq = 2")
    ledger._journal.close()
    ledger._lock.release()
    with pytest.raises(LedgerDamaged, match=r"1 entries are lost, in groups 2,.*pays again"):
        Ledger.open(path, purpose="a test")
    assert read(path).query("SELECT draw_id FROM draws ORDER BY 1")["draw_id"].to_list() == ["d0", "d2"]
    Ledger.open(path, purpose="a test").close()
    assert {file.name.partition(".damaged-")[0] for file in path.parent.iterdir()} == {
        "x.duckdb",
        "x.duckdb.journal",
        "x.duckdb.lock",
    }


def header_of_a_later_duckdb(content: bytes) -> bytes:
    """The file's first block with a higher version of the format and the checksum that DuckDB gives it."""
    header = bytearray(content[:4096])
    header[12:20] = struct.pack("<Q", 100_000)
    total = 5381
    for (word,) in struct.iter_unpack("<Q", header[8:]):
        total ^= word * 0xBF58476D1CE4E5B9 % 2**64
    header[:8] = struct.pack("<Q", total)
    return bytes(header) + content[4096:]


def other_database(path: Path) -> None:
    with duckdb.connect(path) as con:
        con.execute("CREATE TABLE mine AS SELECT 1 AS a")


FILES = {
    "an empty file": (lambda path, made: path.write_bytes(b""), NotALedger, "is an empty file: delete it"),
    "a text file": (lambda path, made: path.write_text("naïve\n" * 999), NotALedger, "is a text file"),
    "a short text": (lambda path, made: path.write_text("{}"), NotALedger, "is a text file"),
    "an SQLite file": (
        lambda path, made: sqlite3.connect(path).execute("CREATE TABLE a(b)"),
        NotALedger,
        "is an SQLite database",
    ),
    "a Parquet file": (
        lambda path, made: path.write_bytes(b"PAR1" + b"\0" * 5000 + b"PAR1"),
        NotALedger,
        "is a Parquet file",
    ),
    "a Git LFS pointer": (
        lambda path, made: path.write_text("version https://git-lfs.github.com/spec/v1\n"),
        NotALedger,
        "lfs pull",
    ),
    "a folder": (lambda path, made: path.mkdir(), NotALedger, "is a folder"),
    "another tool's": (lambda path, made: other_database(path), NotALedger, "of something else .its tables: mine"),
    "a lost start": (
        lambda path, made: path.write_bytes(b"\0" * 4096 + made[4096:]),
        NotALedger,
        "whose start was overwritten",
    ),
    "a later DuckDB's": (
        lambda path, made: path.write_bytes(header_of_a_later_duckdb(made)),
        NotALedger,
        "another version of DuckDB",
    ),
    "a flipped header": (
        lambda path, made: path.write_bytes(made[:99] + b"\xff" + made[100:]),
        LedgerDamaged,
        "restore a backup",
    ),
    "cut early": (lambda path, made: path.write_bytes(made[:5000]), LedgerDamaged, "restore a backup"),
    "cut in half": (lambda path, made: path.write_bytes(made[: len(made) // 2]), LedgerDamaged, "restore a backup"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("made") / "x.duckdb"
    with Ledger.open(path, purpose="a test") as ledger:
        ledger.write("markets", [rows.market(f"m{i}", description=f"text {i} " * 40) for i in range(4000)])
    return path.read_bytes()


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_no_whole_ledger_is_named_as_what_it_is(tmp_path, made, kind):
    make, error, words = FILES[kind]
    path = tmp_path / "x.duckdb"
    make(path, made)
    with pytest.raises(error, match=words) as writing:
        Ledger.open(path, purpose="a test")
    assert "ree space" not in str(writing.value)
    if path.is_file():
        with pytest.raises(error, match=words):
            read(path).query("SELECT count(DISTINCT description) FROM markets")
    assert not list(tmp_path.glob("*.journal*")), "nothing is left beside it"


READ_ALL = """
import sys
from pathlib import Path
from coordeval.ledger import LedgerDamaged, NotALedger, read
from test_ledger_damage import damaged_ones
whole, right = Path(sys.argv[1]).read_bytes(), None
for what, content in [("whole", whole), *damaged_ones(whole)]:
    path = Path(sys.argv[2])
    path.write_bytes(content)
    try:
        found = read(path).query("SELECT * FROM markets ORDER BY market_id").to_dicts()
        right = right or found
        print(what, "same" if found == right else "WRONG ROWS")
    except (LedgerDamaged, NotALedger) as error:
        print(what, "named")
"""


def damaged_ones(whole: bytes) -> list[tuple[str, bytes]]:
    rng, made = random.Random(3), []
    for _ in range(60):
        at, bit = rng.randrange(len(whole)), rng.randrange(8)
        content = bytearray(whole)
        content[at] ^= 1 << bit
        made.append((f"byte {at}, bit {bit}:", bytes(content)))
    return made


def test_a_flipped_bit_of_a_ledger_is_named_or_changes_nothing(tmp_path, made):
    (tmp_path / "whole.duckdb").write_bytes(made)
    command = [sys.executable, "-c", READ_ALL, str(tmp_path / "whole.duckdb"), str(tmp_path / "x.duckdb")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=Path(__file__).parent)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert len(said) == 61
    assert [line for line in said if not line.endswith((" same", " named"))] == []
    assert sum(line.endswith(" named") for line in said) > 10


def test_of_a_damaged_ledger_the_tables_that_can_be_read_are_exported(tmp_path, made):
    path = tmp_path / "x.duckdb"
    with duckdb.connect() as con:
        path.write_bytes(made)
        con.execute(f"ATTACH '{path}' AS l (READ_ONLY)")
        block = con.execute(
            "SELECT max(block_id) FROM pragma_storage_info('l.markets') WHERE column_name = 'description'"
        ).fetchone()[0]
    content = bytearray(made)
    content[3 * 4096 + block * 262_144 + 999] ^= 4
    path.write_bytes(content)
    with pytest.raises(LedgerDamaged, match=r"cannot be read: markets; \d+ others were written"):
        read(path).export_parquet(tmp_path / "saved")
    assert (tmp_path / "saved" / "migrations.parquet").exists()


def test_an_export_that_cannot_be_written_still_blames_the_disk(tmp_path, made):
    path = tmp_path / "x.duckdb"
    path.write_bytes(made)
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match="cannot be written"):
        read(path).export_parquet(tmp_path / "file")


KILLED_BEFORE_ITS_LOG_WAS_MERGED = """
import asyncio, os, sys
import ledger_rows as rows
from coordeval.ledger import Ledger, database
ledger = Ledger.open(sys.argv[1], purpose="a test")
async def pay():
    for i in range(20):
        await ledger.put("draws", rows.draw(f"d{i:02}", size=300))
asyncio.run(pay())
commit = database.transaction.__wrapped__
def killed(con):
    yield from commit(con)
    os._exit(9)
import contextlib, coordeval.ledger.writer as writer
writer.transaction = contextlib.contextmanager(killed)
ledger.flush()
"""


@pytest.mark.parametrize("share", [0.2, 0.7, 1.0])
@pytest.mark.parametrize("how", ["cut", "flipped"])
def test_a_damaged_log_of_the_last_commits_loses_no_reply(tmp_path, how, share):
    path = tmp_path / "x.duckdb"
    command = [sys.executable, "-c", KILLED_BEFORE_ITS_LOG_WAS_MERGED, str(path)]
    assert subprocess.run(command, timeout=120, check=False, cwd=Path(__file__).parent).returncode == 9
    log = Path(f"{path}.wal")
    content = bytearray(log.read_bytes())
    at = int(share * (len(content) - 1))
    if how == "cut":
        log.write_bytes(content[:at])
    else:
        content[at] ^= 16
        log.write_bytes(content)
        with pytest.raises(
            LedgerDamaged, match=r"x\.duckdb\.wal, DuckDB's log of the last commits, is damaged.*move the log away"
        ):
            Ledger.open(path, purpose="a test")
        log.rename(tmp_path / "away")
    Ledger.open(path, purpose="a test").close()
    assert read(path).query("SELECT draw_id FROM draws ORDER BY 1")["draw_id"].to_list() == [f"d{i:02}" for i in range(20)]
