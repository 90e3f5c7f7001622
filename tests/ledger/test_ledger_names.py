"""One file, one writer, one journal: whichever name the ledger is given by."""

import json
import os
import subprocess
import sys
from pathlib import Path

import ledger_rows as rows
import pytest

from coordeval.ledger import Ledger, LedgerError, LedgerLocked, place, read

HOLD = """
import sys
from coordeval.ledger import Ledger
with Ledger.open(sys.argv[1], purpose="the first"):
    print("open", flush=True)
    sys.stdin.readline()
"""


def symlink(file: Path, folder: Path) -> str:
    (folder / "link.duckdb").symlink_to(file)
    return str(folder / "link.duckdb")


def link_of_a_link(file: Path, folder: Path) -> str:
    (folder / "second.duckdb").symlink_to(symlink(file, folder))
    return str(folder / "second.duckdb")


def linked_folder(file: Path, folder: Path) -> str:
    (folder / "linked").symlink_to(file.parent)
    return str(folder / "linked" / file.name)


def relative(file: Path, folder: Path) -> str:
    return os.path.relpath(file)


def hard_link(file: Path, folder: Path) -> str:
    (folder / "hard.duckdb").hardlink_to(file)
    return str(folder / "hard.duckdb")


NAMES = [
    (symlink, LedgerLocked, r"is being written by process \d+ \(the first"),
    (link_of_a_link, LedgerLocked, "the first"),
    (linked_folder, LedgerLocked, "the first"),
    (relative, LedgerLocked, "the first"),
    (hard_link, LedgerError, r"has 2 names \(hard links\).*-samefile"),
]


@pytest.mark.parametrize(("name", "error", "words"), NAMES, ids=[row[0].__name__ for row in NAMES])
def test_a_second_writer_by_another_name_of_the_file_is_refused(tmp_path, name, error, words):
    file, folder = tmp_path / "a" / "x.duckdb", tmp_path / "b"
    folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", HOLD, file], stdin=-1, stdout=-1, text=True) as first:
        assert first.stdout.readline() == "open\n"
        with pytest.raises(error, match=words):
            Ledger.open(name(file, folder), purpose="the second")
        assert not list(folder.glob("*.journal*")), "no second journal"
        first.communicate("\n")
    assert first.returncode == 0


async def test_what_waits_in_the_journal_is_found_by_every_name(tmp_path):
    file = tmp_path / "x.duckdb"
    ledger = Ledger.open(file, purpose="a test")
    await ledger.put("draws", rows.draw("d1"))
    ledger._journal.close()  # as after a kill: nothing was moved
    ledger._lock.release()
    (tmp_path / "b").mkdir()
    link = symlink(file, tmp_path / "b")
    Ledger.open(link, purpose="another").close()
    assert read(link).query("SELECT count(*) FROM draws").item() == 1
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["link.duckdb"]


async def test_a_renamed_ledger_is_not_opened_without_its_journal(tmp_path):
    file = tmp_path / "x.duckdb"
    ledger = Ledger.open(file, purpose="a test")
    await ledger.put("draws", rows.draw("d1"))
    ledger._journal.close()
    ledger._lock.release()
    renamed = file.rename(tmp_path / "y.duckdb")
    with pytest.raises(LedgerError, match=r"was x\.duckdb when it was written last.*paid for: name it `y\.duckdb\.journal`"):
        Ledger.open(renamed, purpose="a test")
    for suffix in ("", ".head"):
        os.rename(f"{file}.journal{suffix}", f"{renamed}.journal{suffix}")
    Ledger.open(renamed, purpose="a test").close()
    assert read(renamed).query("SELECT count(*) FROM draws").item() == 1


def test_a_file_that_is_mounted_by_itself_is_refused(tmp_path, monkeypatch):
    file = tmp_path / "the ledger.duckdb"
    Ledger.open(file, purpose="a test").close()
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"36 35 98:0 /x {str(file).replace(' ', chr(92) + '040')} rw,noatime - ext3 /dev/root rw\n")
    monkeypatch.setattr(place, "MOUNTS", mounts)
    with pytest.raises(LedgerError, match=r"mounted as a single file.*mount the folder"):
        Ledger.open(file, purpose="a test")


def test_links_in_a_circle_are_said(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(LedgerError, match="cannot be"):
        Ledger.open(tmp_path / "a", purpose="a test")


def test_a_link_to_a_ledger_that_does_not_exist_yet_makes_it_where_it_points(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "x.duckdb").symlink_to(tmp_path / "far" / "true.duckdb")
    Ledger.open(tmp_path / "x.duckdb", purpose="a test").close()
    assert (tmp_path / "far" / "true.duckdb").is_file()
    assert json.dumps(sorted(path.name for path in tmp_path.iterdir())) == '["far", "x.duckdb"]'
