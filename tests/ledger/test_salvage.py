"""`coordeval recover` and `backup`: no wrong row, none lost without a word, and what is whole is kept."""

import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import ledger_rows as rows
import pytest

from coordeval.ledger import Ledger, LedgerDamaged, LedgerError, LedgerLocked, NotALedger, read
from coordeval.ledger.backup import backup
from coordeval.ledger.salvage import salvage
from tests.ledger.test_ledger_processes import Writer
from tests.thinned import first_of

KILLED = """
import asyncio, os, sys
import ledger_rows as rows
import coordeval.ledger.writer as writer
from coordeval.ledger import Ledger
ledger = Ledger.open(sys.argv[1], purpose="a test")
ledger.write("markets", [rows.market(f"m{i}", description=f"text {i} " * 40) for i in range(4000)])
async def pay(name):
    for i in range(12):
        await ledger.put("draws", rows.draw(f"{name}{i:02}", size=300))
    await ledger.put_cell(rows.whole_cell(f"f-{name}"))
asyncio.run(pay("moved"))
ledger.flush()
asyncio.run(pay("last"))
import contextlib
from coordeval.ledger import database
commit = database.transaction.__wrapped__
def killed(con):
    yield from commit(con)
    os._exit(9)
writer.transaction = contextlib.contextmanager(killed)
ledger.flush()
"""
"""Killed when the last rows stand in DuckDB's log and in the journal."""


@pytest.fixture(scope="module")
def left(tmp_path_factory) -> Path:
    """What a killed writer left: the file, DuckDB's log, the journal with its own log, and its head."""
    folder = tmp_path_factory.mktemp("left")
    command = [sys.executable, "-c", KILLED, str(folder / "x.duckdb")]
    assert subprocess.run(command, timeout=120, check=False, cwd=Path(__file__).parent).returncode == 9
    return folder


@pytest.fixture(scope="module")
def truth(left, tmp_path_factory) -> dict[str, dict]:
    found = salvage(left / "x.duckdb", tmp_path_factory.mktemp("truth") / "new.duckdb")
    assert found.whole
    made = held(Path(found.target))
    assert len(made["markets"]) == 4000
    assert {name[:4] for name in made["draws"]} == {"move", "last"}
    assert len(made["draws"]) == 24
    assert len(made["forecasts"]) == 2
    return made


def held(path: Path) -> dict[str, dict]:
    keys = {"markets": "market_id", "draws": "draw_id", "forecasts": "forecast_id"}
    with read(path).moment() as reader:
        return {
            name: {row[key]: row for row in reader.query(f"SELECT * FROM {name}").to_dicts()} for name, key in keys.items()
        }


def flipped(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def torn(content: bytes, rng: random.Random) -> bytes:
    """The last page was on its way: it is there in part, and the rest of it is nothing."""
    return content[: max(len(content) - rng.randrange(1, 4096), 0)].ljust(len(content), b"\0")


def gone(content: bytes, rng: random.Random) -> bytes:
    return b""


DAMAGES = [
    ("x.duckdb", flipped, 0),
    ("x.duckdb", cut, 1),
    ("x.duckdb.wal", torn, 1),
    ("x.duckdb.journal-wal", flipped, 1),
    ("x.duckdb.journal-wal", cut, 1),
    ("x.duckdb.journal.head", flipped, 1),
    *[("x.duckdb", flipped, seed) for seed in (1, 2, 3)],
    ("x.duckdb", torn, 1),
    *[("x.duckdb.wal", how, 1) for how in (flipped, cut, gone)],
    ("x.duckdb.journal-wal", torn, 1),
    *[("x.duckdb.journal-wal", how, 2) for how in (flipped, cut, torn)],
]
"""The first six on every commit: each file, and each way of damaging."""


def damaged(left: Path, folder: Path, name: str, how, seed: int) -> Path:
    shutil.copytree(left, folder, dirs_exist_ok=True)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(how(content, random.Random(f"{name} {seed}")))
    return folder / "x.duckdb"


def check(left: Path, truth: dict[str, dict], folder: Path, name: str, how, seed: int) -> tuple[bool, int]:
    """(whether something was said to be lost, how many rows are)."""
    path = damaged(left, folder / "damaged", name, how, seed)
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    found = salvage(path, folder / "new" / "saved.duckdb")
    made = held(Path(found.target))
    for table, rows_ in made.items():
        for key, row in rows_.items():
            assert row == truth[table][key], "never a row that was not stored"
    lost = sum(len(truth[table].keys() - made[table].keys()) for table in truth)
    assert not lost or not found.whole, "none is lost without a word"
    assert {file.name: file.read_bytes() for file in path.parent.iterdir() if file.name in before} == before
    assert [file.name for file in (folder / "new").iterdir() if file.name.startswith(".")] == [], "nothing half-made is left"
    return not found.whole, lost


@pytest.mark.parametrize(
    ("name", "how", "seed"),
    first_of(DAMAGES, 4, ids=lambda one: f"{one[0].replace('x.duckdb', 'file')}-{one[1].__name__}-{one[2]}"),
)
def test_what_is_whole_of_damaged_files_is_kept_and_the_rest_is_named(left, truth, tmp_path, name, how, seed):
    _, lost = check(left, truth, tmp_path, name, how, seed)
    if name.endswith((".wal", ".head")):
        assert lost == 0, "what the log held is in the journal too"
    if name.endswith("journal-wal"):
        assert lost <= 13, "what was moved does not need the journal"


@pytest.mark.proof
def test_what_is_whole_is_kept_whatever_is_damaged(left, truth, tmp_path):
    rng, said = random.Random(11), 0
    names = ["x.duckdb"] * 3 + ["x.duckdb.wal", "x.duckdb.journal-wal", "x.duckdb.journal.head"]
    for seed in range(200):
        folder = tmp_path / str(seed)
        folder.mkdir()
        said += check(left, truth, folder, rng.choice(names), rng.choice([flipped, flipped, cut, torn]), seed)[0]
        shutil.rmtree(folder)
    assert said > 50


def test_of_a_damaged_table_the_rows_beyond_the_damage_are_kept(tmp_path):
    """Two row groups; a block of the second one is damaged."""
    import duckdb

    path = tmp_path / "x.duckdb"
    with Ledger.open(path, purpose="a test") as ledger:
        ledger.write("prices", [rows.price(f"m{i}") for i in range(10)])
    with duckdb.connect(path) as con:
        con.execute("INSERT INTO prices SELECT 'm' || i, TIMESTAMPTZ '2026-01-01', random(), 'mid' FROM range(300_000) t(i)")
        con.execute("CHECKPOINT")
        [(block,)] = con.execute(
            "SELECT max(block_id) FROM pragma_storage_info('prices') WHERE column_name = 'price' AND row_group_id = 2"
        ).fetchall()
    content = bytearray(path.read_bytes())
    content[3 * 4096 + block * 262_144 + 999] ^= 4
    path.write_bytes(content)
    found = salvage(path, tmp_path / "new.duckdb")
    [prices] = [one for one in found.tables if one.name == "prices"]
    assert prices.rows == 300_010
    assert 122_880 <= prices.kept < 300_010
    assert "checksum" in prices.why
    assert read(tmp_path / "new.duckdb").query("SELECT count(*) FROM prices").item() == prices.kept


def test_a_forecast_that_lost_a_part_of_itself_is_made_again(tmp_path):
    import asyncio

    import duckdb

    from coordeval.ledger.salvage import _leave_out_parts

    path = tmp_path / "x.duckdb"
    with Ledger.open(path, purpose="a test") as ledger:
        ledger.write_all(
            {"cells": [{**rows.cell(f, market_id=f), "identity": '{"settings":{}}'} for f in ("whole", "part")]}
        )

        async def pay() -> None:
            await ledger.put("draws", rows.draw("d1"))
            for name in ("whole", "part"):
                await ledger.put_cell(rows.whole_cell(name))

        asyncio.run(pay())
    with duckdb.connect(path) as con:
        con.execute("UPDATE forecasts SET model_calls = 3, tool_calls = 1")
        con.execute("UPDATE calls SET draw_id = 'd1'")
        con.execute("DELETE FROM calls WHERE forecast_id = 'part'")
        assert _leave_out_parts(con) == 1
        assert con.execute("SELECT forecast_id FROM forecasts").fetchall() == [("whole",)]
        assert con.execute("SELECT DISTINCT forecast_id FROM estimates").fetchall() == [("whole",)]


def test_nothing_is_written_over_and_nothing_that_is_no_ledger_is_recovered(tmp_path, left):
    path = Path(shutil.copytree(left, tmp_path / "x")) / "x.duckdb"
    (tmp_path / "there.duckdb").touch()
    for make in (salvage, backup):
        with pytest.raises(LedgerError, match="exists already"):
            make(path, tmp_path / "there.duckdb")
    with pytest.raises(LedgerError, match="there is no ledger"):
        salvage(tmp_path / "none.duckdb", tmp_path / "new.duckdb")
    (tmp_path / "notes.duckdb").write_text("notes\n" * 999)
    with pytest.raises(NotALedger, match="is a text file"):
        salvage(tmp_path / "notes.duckdb", tmp_path / "new.duckdb")
    with Ledger.open(tmp_path / "y.duckdb", purpose="a run"), pytest.raises(LedgerLocked, match="a run"):
        salvage(tmp_path / "y.duckdb", tmp_path / "new.duckdb")
    assert not (tmp_path / "new.duckdb").exists()


@pytest.mark.proof
def test_backups_while_a_run_writes_hold_all_that_was_promised_before(path, tmp_path):
    writer = Writer(path, "w")
    copies = []
    for n in range(3):
        said = [line.split() for line in writer.log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        copies.append(
            (
                backup(path, tmp_path / f"copy-{n}.duckdb"),
                {kind: {w[1] for w in said if w[0] == kind} for kind in ("draw", "cell")},
            )
        )
    all_said = writer.kill()
    for copy, promised in copies:
        assert list(copy.parent.glob(f"{copy.name}*")) in ([copy], [copy, Path(f"{copy}.lock")]), "one file"
        with read(copy).moment() as reader:
            draws = set(reader.query("SELECT draw_id FROM draws")["draw_id"])
            cells = set(reader.query("SELECT forecast_id FROM forecasts")["forecast_id"])
            assert promised["draw"] <= draws
            assert promised["cell"] <= cells
            whole = reader.query("SELECT count(*) FROM forecasts ANTI JOIN calls USING (forecast_id)").item()
            assert whole == 0, "no cell in part"
    # restored, it goes on
    restored = copies[-1][0]
    with Ledger.open(restored, purpose="a test") as ledger:
        assert ledger.write("markets", [rows.market("new")]) == 1
    assert all_said["draw"]


@pytest.mark.parametrize("name", ["x.duckdb.journal-wal", "x.duckdb.journal"])
def test_a_backup_of_a_damaged_journal_is_none_and_says_what_to_do(left, tmp_path, name):
    path = damaged(left, tmp_path / "x", "x.duckdb.journal-wal", cut, 5)
    if name == "x.duckdb.journal":
        (tmp_path / "x" / name).write_bytes(b"no database at all" * 400)
        (tmp_path / "x" / "x.duckdb.journal-wal").unlink()
    with pytest.raises(LedgerDamaged, match=r"x\.duckdb\.journal is damaged.*coordeval recover"):
        backup(path, tmp_path / "copy.duckdb")
    assert not (tmp_path / "copy.duckdb").exists()


def test_two_backups_at_once_are_two_whole_files(tmp_path):
    path = tmp_path / "x.duckdb"
    with Ledger.open(path, purpose="a test") as ledger:
        ledger.write("markets", [rows.market(f"m{i}") for i in range(50)])
    threads = [threading.Thread(target=backup, args=(path, tmp_path / f"copy-{n}.duckdb")) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in range(2):
        assert read(tmp_path / f"copy-{n}.duckdb").query("SELECT count(*) FROM markets").item() == 50
