"""A damaged study is recovered to a new ledger, and the same run goes on with it: what is whole is not asked again."""

import json
import shutil
from pathlib import Path

import duckdb
import orjson
import pytest

from coordeval.flows.run.run import shards_beside
from coordeval.flows.run.workers.shards import encoded
from coordeval.flows.verify.verifying import verify
from coordeval.ledger import read
from tests.flows.cli.conftest import coordeval  # noqa: F401  the fixture
from tests.flows.run.test_run import run
from tests.flows.verify.test_verify import SMALL, part, store
from tests.ledger import ledger_rows
from tests.thinned import first_of


@pytest.fixture(scope="module")
def untouched(tmp_path_factory) -> Path:
    return store(tmp_path_factory.mktemp("recover"), SMALL)


@pytest.fixture
def copy(untouched, tmp_path) -> Path:
    return Path(shutil.copy(untouched, tmp_path / "ledger.duckdb"))


def damage(path: Path, table: str, column: str) -> None:
    with duckdb.connect(str(path), read_only=True) as con:
        said = f"SELECT max(block_id) FROM pragma_storage_info('{table}') WHERE column_name = '{column}'"
        [(block,)] = con.execute(said).fetchall()
    content = bytearray(path.read_bytes())
    content[3 * 4096 + block * 262_144 + 999] ^= 4
    path.write_bytes(content)


def test_a_damaged_table_is_named_recovered_around_and_made_again(copy, coordeval):  # noqa: F811
    damage(copy, "tool_calls", "result")
    ended = coordeval("verify", "--ledger", copy)
    assert ended.status == 1
    assert "where it began: bytes, table" in ended.out
    new = copy.with_name("new.duckdb")
    ended = coordeval("recover", new, "--ledger", copy, "--json")
    told = json.loads(ended.out)
    assert (ended.status, told["whole"]) == (3, False)
    lost = {one["name"] for one in told["tables"] if one["why"]}
    assert lost, "what shares the block is named"
    assert told["forecasts_left_out"] > 0 or "calls" in lost
    again = verify(read(new))
    assert not part(again, "keys").wrong or lost & {"draws", "markets", "cells", "studies", "runs"}
    assert not part(again, "bytes").wrong


@pytest.mark.proof
def test_the_run_that_goes_on_makes_the_left_out_forecasts_from_stored_replies(untouched, tmp_path):
    from coordeval.ledger.salvage import salvage

    path = Path(shutil.copy(untouched, tmp_path / "ledger.duckdb"))
    study = Path(shutil.copy(untouched.with_name("study.toml"), tmp_path / "study.toml"))
    with duckdb.connect(str(path)) as con:  # what a lost block comes to
        con.execute("DELETE FROM tool_calls")
    found = salvage(path, tmp_path / "new.duckdb")
    assert found.whole, "no block is damaged here, so nothing is judged by its parts"
    with duckdb.connect(str(tmp_path / "new.duckdb")) as con:
        from coordeval.ledger.salvage import _leave_out_parts

        left_out = _leave_out_parts(con)
        assert left_out > 0
    before = read(path).query("SELECT draw_id, reply FROM draws ORDER BY 1").rows()
    assert run(study, tmp_path / "new.duckdb") == left_out
    assert read(tmp_path / "new.duckdb").query("SELECT draw_id, reply FROM draws ORDER BY 1").rows() == before
    assert verify(read(tmp_path / "new.duckdb")).verdict == "whole"


def flipped(content: bytes) -> bytes:
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 8
    return bytes(changed)


@pytest.mark.parametrize(
    "how", first_of([flipped, lambda content: content[:-9], lambda content: b""], ids=["flipped", "cut", "empty"])
)
def test_damaged_shards_are_named_and_whole_ones_are_taken_up(copy, coordeval, how):  # noqa: F811
    from coordeval.flows.run.workers.chunk import _tables

    study = read(copy).study("small").study_id
    rows = {name: ledger_rows.draw(name, created_at=ledger_rows.T0) for name in ("d-whole", "d-broken")}
    folder = shards_beside(copy) / "run" / "00000"
    folder.mkdir(parents=True)
    for name, row in rows.items():
        entry = ("draws", name, orjson.dumps(_tables()["draws"].row(row)))
        content = encoded([entry], study=study, version="0")
        (folder / f"{name}.parquet").write_bytes(content if name == "d-whole" else how(content))
    shards = part(verify(read(copy)), "shards")
    assert (shards.looked, shards.wrong) == (2, 1)
    assert "d-broken.parquet" in shards.faults[0].where
    ended = coordeval("recover", copy.with_name("new.duckdb"), "--ledger", copy)
    assert ended.status == 3
    assert "d-broken.parquet" in ended.out
    found = read(copy.with_name("new.duckdb")).query("SELECT draw_id FROM draws WHERE starts_with(draw_id, 'd-')")
    assert found["draw_id"].to_list() == ["d-whole"]


@pytest.mark.proof
def test_a_whole_ledger_is_copied_whole_and_says_so(copy, coordeval):  # noqa: F811
    for command in ("recover", "backup"):
        ended = coordeval(command, copy.with_name(f"{command}.duckdb"), "--ledger", copy)
        assert ended.status == 0
        assert verify(read(copy.with_name(f"{command}.duckdb"))).verdict == "whole"
    ended = coordeval("backup", copy.with_name("backup.duckdb"), "--ledger", copy)
    assert ended.status == 1
    assert "exists already" in ended.err
