"""The short form of `python -m benchmarks.kills`: one kill of each target; a power cut takes what was written last."""

import os
from random import Random

import pytest

from benchmarks import kill_targets
from benchmarks.kills import TARGETS, WAYS, cut_last_write, measure, report
from tests.thinned import first_of

SMALL = {
    "run": lambda folder: kill_targets.run(folder, batch=False),
    "batches": lambda folder: kill_targets.run(folder, batch=True),
    "migration": kill_targets.migration,
    "shards": lambda folder: kill_targets.shards(folder, count=2),
    "pull": lambda folder: kill_targets.pull(folder, markets=40),
    "import": lambda folder: kill_targets.imports(folder, questions=30),
    "jobs": kill_targets.jobs,
}
WAY = {"run": "power cut", "shards": "SIGTERM", "pull": "SIGTERM"}
"""The others by SIGKILL."""


def killed(name, folder, monkeypatch, **options):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return measure(SMALL[name], folder, seed=1, **options)


@pytest.mark.parametrize("name", first_of(list(SMALL), 5))
def test_what_was_killed_ends_as_what_nobody_killed(tmp_path, monkeypatch, name):
    way = WAY.get(name, "SIGKILL")
    result = killed(name, tmp_path, monkeypatch, kills=1, ways=(way,))
    assert dict(result.kills) == {way: 1}
    assert result.sound, report(name, result)


@pytest.mark.proof
@pytest.mark.parametrize("name", SMALL)
def test_ten_kills_of_each_kind_lose_and_double_nothing(tmp_path, monkeypatch, name):
    result = killed(name, tmp_path, monkeypatch, kills=10)
    assert result.kills.total() == 10
    assert result.sound, report(name, result)


def test_every_target_is_among_the_short_ones_and_the_shares_are_a_whole():
    assert {*SMALL, "serve"} == set(TARGETS)
    assert sum(share for _, share in TARGETS.values()) == pytest.approx(1)
    assert WAYS == ("SIGKILL", "SIGTERM", "power cut")


def test_a_power_cut_takes_the_end_of_the_log_that_was_written_last_and_of_nothing_else(tmp_path):
    assert not cut_last_write(tmp_path, Random(1))
    for age, name in enumerate(("x.duckdb", "x.duckdb.wal", "x.duckdb.journal-wal", "x.duckdb.shards/.a.partial")):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(bytes(9000))
        os.utime(file, (1000 - age, 1000 - age))
    assert cut_last_write(tmp_path, Random(1))
    sizes = {file.name: file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()}
    assert {name for name, size in sizes.items() if size < 9000} == {"x.duckdb.wal"}
    assert 9000 - 4096 <= sizes["x.duckdb.wal"] < 9000
