"""Several processes and one ledger: readers beside a writer, two writers, killed writers, a full disk."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from coordeval.ledger import Ledger, LedgerBusy, LedgerLocked, read
from tests.ledger.ledger_rows import draw, market

HERE = Path(__file__).parent


def start(script, *arguments):
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class Writer:
    """child_writer.py at work. It writes to a file, because at a full pipe it would stop."""

    def __init__(self, path, prefix):
        self.log = path.with_name(f"said-{prefix}")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            command = [sys.executable, str(HERE / "child_writer.py"), str(path), str(prefix)]
            self.child = subprocess.Popen(command, stdout=log, stderr=subprocess.PIPE, text=True)
        while b"ready" not in self.log.read_bytes():
            assert self.child.poll() is None, self.child.stderr.read()
            time.sleep(0.01)

    def kill(self):
        """kill -9; returns the ids that the child had said, by kind. A line torn by the kill does not count."""
        self.child.send_signal(signal.SIGKILL)
        _, errors = self.child.communicate()
        assert self.child.returncode == -signal.SIGKILL, errors
        said = [line.split() for line in self.log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return {kind: {words[1] for words in said if words[0] == kind} for kind in ("draw", "cell", "batch")}


def test_what_is_read_of_one_moment_fits_together_while_a_run_writes_on(path):
    writer = Writer(path, "w")
    count = "SELECT count(*) AS n FROM draws"

    def grown(reader, beyond):
        deadline = time.monotonic() + 120
        while (now := reader.query(count).item()) <= beyond:
            assert time.monotonic() < deadline, "the writer must go on once the moment is over"
        return now

    reader = read(path)
    before = grown(reader, 0)
    with reader.moment() as held:
        first = held.query(count).item()
        time.sleep(0.3)  # the writer flushes every 0.05 s
        assert held.query(count).item() == first >= before
    assert grown(reader, first) > first
    assert all(writer.kill().values())


@pytest.mark.proof
def test_readers_beside_a_writer_never_fail_and_see_whole_groups(path):
    writer = Writer(path, "w")
    readers = [start("child_reader.py", path, "20") for _ in range(2)]
    for reader in readers:
        output, errors = reader.communicate()
        assert reader.returncode == 0, errors
        reads, largest = map(int, output.split())
        assert reads >= 20
        assert largest > 0
    said = writer.kill()
    assert all(said.values()), "the writer did not do all it should have"


def test_readers_in_the_writing_process_work_too(ledger, path):
    ledger.write("markets", [market()])
    assert read(path).query("SELECT count(*) AS n FROM markets").item() == 1
    ledger.write("markets", [market("m2")])
    assert [m.id for m in read(path).markets_for("simulated")] == ["m1", "m2"]


def test_everything_that_a_killed_writer_had_stored_is_there_exactly_once(path):
    seed = random.randrange(10**6)
    pauses = random.Random(seed)
    promised = {"draw": set(), "cell": set(), "batch": set()}
    for attempt in range(6):
        writer = Writer(path, attempt)
        time.sleep(pauses.uniform(0.05, 1.2))
        for kind, names in writer.kill().items():
            promised[kind] |= names
    with Ledger.open(path, purpose="looking"):
        pass
    assert not Path(f"{path}.journal").exists()
    reader = read(path)
    draws = Counter(reader.query("SELECT draw_id FROM draws")["draw_id"])
    calls = Counter(reader.query("SELECT forecast_id FROM calls")["forecast_id"])
    answered = Counter(reader.query("SELECT forecast_id FROM forecasts WHERE status = 'answered'")["forecast_id"])
    batches = Counter(reader.query("SELECT category FROM markets")["category"])
    assert promised["draw"], f"seed {seed}: the writers did nothing"
    assert promised["cell"], f"seed {seed}: the writers stored no cell"
    assert promised["draw"] <= draws.keys(), f"seed {seed}: a paid reply is lost"
    assert promised["cell"] <= answered.keys(), f"seed {seed}: a cell is lost"
    assert promised["batch"] <= batches.keys(), f"seed {seed}: a bulk write is lost"
    assert set(draws.values()) | set(answered.values()) == {1}, f"seed {seed}: something is there twice"
    assert {calls[name] for name in promised["cell"]} == {3}, f"seed {seed}: a retried cell is doubled or torn"
    assert set(batches.values()) == {10}, f"seed {seed}: a bulk write is torn"
    assert reader.study("first").locked_at is not None


def test_a_second_writer_is_told_at_once_who_the_first_is(path):
    writer = Writer(path, "w")
    begun = time.monotonic()
    with pytest.raises(LedgerLocked, match=rf"process {writer.child.pid} \(child, since 20\d\d-"):
        Ledger.open(path, purpose="second")
    assert time.monotonic() - begun < 20, "not after the patience that readers get"
    writer.kill()
    with Ledger.open(path, purpose="third"):  # the lock of a killed process is nobody's
        pass


def test_a_second_writer_in_the_same_process_is_refused_too(ledger, path):
    with pytest.raises(LedgerLocked, match=f"process {os.getpid()} .a test"):
        Ledger.open(path, purpose="second")


def hold(path, seconds, *, read_only):
    """Another process that keeps the file open, as a database browser would."""
    code = (
        f"import duckdb, time; c = duckdb.connect({str(path)!r}, read_only={read_only}); "
        f"print('held', flush=True); time.sleep({seconds})"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "held\n"
    return child


async def test_a_flush_waits_for_readers_and_then_names_the_one_that_holds_the_file(ledger, path):
    holder = hold(path, 60, read_only=True)
    await ledger.put("draws", draw())
    with pytest.raises(LedgerBusy, match=f"process {holder.pid}"):
        ledger.flush(wait=0.2)
    ledger.flush_if_due(0)  # in the background a held file is no error: it is tried again
    holder.kill()
    holder.communicate()
    ledger.flush()
    assert read(path).query("SELECT draw_id FROM draws").item() == "d1"


async def test_close_names_the_holder_and_keeps_what_waits(path, monkeypatch):
    ledger = Ledger.open(path, purpose="closing")
    await ledger.put("draws", draw())
    holder = hold(path, 60, read_only=True)
    monkeypatch.setattr(Ledger.flush, "__kwdefaults__", {"wait": 0.2})
    with pytest.raises(LedgerBusy, match=rf"process {holder.pid}.*x\.duckdb\.journal"):
        ledger.close()
    holder.kill()
    holder.communicate()
    monkeypatch.undo()
    with Ledger.open(path, purpose="again") as again:
        assert again.known_draws(["m1"]) == {"d1": ('{"content":[]}', "f1")}


def test_a_reader_waits_while_another_program_writes(ledger, path):
    holder = hold(path, 0.5, read_only=False)
    assert read(path).studies().is_empty()
    holder.communicate()


def test_a_file_that_is_no_database_is_refused_by_name(tmp_path):
    path = tmp_path / "notes.duckdb"
    path.write_text("not a database, but long enough to look at: " + "x" * 5000)
    with pytest.raises(Exception, match=r"notes\.duckdb is a text file"):
        read(path).studies()


def test_a_crash_between_commit_and_truncation_changes_nothing(path, monkeypatch):
    script = (
        "import asyncio, os, sys\n"
        "from coordeval.ledger import Ledger\n"
        "from coordeval.ledger.journal import Journal\n"
        f"sys.path.insert(0, {str(HERE)!r})\n"
        "from ledger_rows import draw, whole_cell\n"
        "Journal.truncate = lambda self, upto: os.kill(os.getpid(), 9)\n"
        f"ledger = Ledger.open({str(path)!r}, purpose='dying')\n"
        "async def work():\n"
        "    await ledger.put('draws', draw())\n"
        "    await ledger.put_cell(whole_cell())\n"
        "asyncio.run(work())\n"
        "ledger.flush()\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert Path(f"{path}.journal").exists()
    counts = (
        "SELECT (SELECT count(*) FROM draws) AS d, (SELECT count(*) FROM forecasts) AS f, (SELECT count(*) FROM calls) AS c"
    )
    assert read(path).query(counts).row(0) == (1, 1, 3)
    with Ledger.open(path, purpose="after"):
        pass
    assert read(path).query(counts).row(0) == (1, 1, 3)


@pytest.fixture(params=["tmpfs", "rlimit"])
def small_disk(request, tmp_path):
    if request.param == "rlimit":
        yield tmp_path, "rlimit"
        return
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(tmp_path)], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small tmpfs here: {mounted.stderr.strip()}")
    yield tmp_path, "tmpfs"
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_loses_nothing_and_the_same_run_goes_on_after_space_is_freed(small_disk):
    child = start("child_full_disk.py", *small_disk)
    output, errors = child.communicate(timeout=600)
    assert child.returncode == 0, errors
    said = json.loads(output)
    for what in ("put", "write"):
        assert "x.duckdb" in said[what], f"{what}: no error, or one without the path: {said[what]!r}"
        assert "Free space" in said[what]
    assert "nothing of this write was stored" in said["write"]
    assert said["markets_while_full"] == ["before"]
    assert {*said["stored"], "after"} <= set(said["draws"])
    assert len(said["draws"]) == len(set(said["draws"]))
    assert said["calls_per_cell"] == [3]
    assert said["markets"] == [401]


def test_duckdb_still_refuses_a_reader_while_it_is_open_for_writing(path, tmp_path):
    """The reason for the journal. When this fails, DuckDB can share the file, and the journal can go."""
    other = tmp_path / "plain.duckdb"
    holder = hold(other, 60, read_only=False)
    with pytest.raises(duckdb.IOException, match=f"PID {holder.pid}"):
        duckdb.connect(other, read_only=True)
    holder.kill()
    holder.communicate()
