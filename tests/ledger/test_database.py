"""One opening of a file per process, on a database that is used again: nothing of the last file is left in it."""

import subprocess
import sys

import duckdb
import pytest

from coordeval.ledger import Ledger, LedgerBusy, read
from coordeval.ledger.database import BULK, connected, kept_open

FORKED = """
import os, sys
from pathlib import Path
from coordeval.ledger.database import connected
path = Path(sys.argv[1])
with connected(path) as con:
    con.execute("CREATE TABLE a AS SELECT 1 AS n")
if not (child := os.fork()):
    with connected(path, read_only=True) as con:
        os._exit(con.execute("SELECT n FROM a").fetchall()[0][0])
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def setting(con, name):
    return con.execute(f"SELECT current_setting('{name}')").fetchall()[0][0]


@pytest.mark.parametrize(
    "name", ["memory", "temp", "system", "MAIN", "a.b", 'quo"te', "quo'te", "1", "select", "ä b", ".hidden"]
)
def test_a_ledger_may_have_any_name(tmp_path, name):
    path = tmp_path / f"{name}.duckdb"
    with Ledger.open(path, purpose="a test"):
        pass
    assert read(path).studies().is_empty()
    with duckdb.connect(path, read_only=True) as alone:  # what anybody's DuckDB makes of it
        assert alone.execute("SELECT count(*) FROM studies").fetchall() == [(0,)]


def test_settings_end_with_their_session(tmp_path):
    with connected(tmp_path / "a.duckdb") as con:
        before = {name: setting(con, name) for name in BULK}
    with connected(tmp_path / "a.duckdb", settings=BULK) as con:
        assert setting(con, "memory_limit") != before["memory_limit"]
    for other in ("a.duckdb", "b.duckdb"):
        with connected(tmp_path / other) as con:
            assert {name: setting(con, name) for name in BULK} == before


def test_tables_of_another_file_are_not_there_and_the_folder_for_what_is_too_large_is_beside_its_own(tmp_path):
    for name in ("a", "b", "a"):
        with connected(tmp_path / f"{name}.duckdb") as con:
            con.execute(f"CREATE TABLE IF NOT EXISTS {name} (n INTEGER)")
            tables = con.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall()
            assert tables == [(name,)]
            assert setting(con, "temp_directory") == str(tmp_path / f"{name}.duckdb.tmp")


def test_what_somebody_attached_beside_a_file_is_gone_with_it(tmp_path):
    with connected(tmp_path / "a.duckdb") as con:
        con.execute(f"ATTACH '{tmp_path / 'beside.duckdb'}' AS beside")
        con.execute("CREATE TABLE beside.more (n INTEGER)")
    with connected(tmp_path / "a.duckdb") as con:
        assert con.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall() == []


def test_readers_share_an_opening_and_a_writer_waits_for_them_unless_the_process_keeps_the_file(tmp_path):
    path = tmp_path / "a.duckdb"
    with connected(path) as con:
        con.execute("CREATE TABLE a (n INTEGER)")
    with connected(path, read_only=True) as one, connected(path, read_only=True) as other:
        assert one.execute("FROM a").fetchall() == other.execute("FROM a").fetchall() == []
        with pytest.raises(LedgerBusy, match="another connection"), connected(path, wait=0.05):
            pass
        with pytest.raises(duckdb.InvalidInputException, match="read-only"):
            one.execute("INSERT INTO a VALUES (1)")
    with kept_open(path), connected(path, read_only=True) as reader, connected(path) as writer:
        writer.execute("INSERT INTO a VALUES (1)")
        assert reader.execute("FROM a").fetchall() == [(1,)]


def test_what_went_wrong_in_one_file_is_not_carried_into_the_next(tmp_path):
    with pytest.raises(duckdb.CatalogException), connected(tmp_path / "a.duckdb") as con:
        con.execute("BEGIN; CREATE TABLE a (n INTEGER); FROM nothing_of_that_name")
    with connected(tmp_path / "b.duckdb") as con:
        assert con.execute("SELECT database_name FROM duckdb_databases() WHERE NOT internal ORDER BY 1").fetchall() == [
            ("b",),
            ("memory",),
        ]
    with connected(tmp_path / "a.duckdb", read_only=True) as con:
        assert con.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall() == []


def test_a_forked_process_opens_for_itself(tmp_path):
    done = subprocess.run([sys.executable, "-c", FORKED, tmp_path / "a.duckdb"], timeout=60, check=False)
    assert done.returncode == 1


@pytest.mark.parametrize("read_only", [False, True])
def test_no_bar_of_progress_goes_to_standard_output(tmp_path, read_only):
    with connected(tmp_path / "a.duckdb"):
        pass
    with connected(tmp_path / "a.duckdb", read_only=read_only) as con:
        assert setting(con, "enable_progress_bar") is False
