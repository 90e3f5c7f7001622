"""A study on several worker processes is the study on one: nothing lost, nothing doubled, nothing paid twice."""

import asyncio
import hashlib
import io
import json
import logging
import pickle
import random
import re
import resource
import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest

from coordeval.agents.messages import Reply, Request, Slot
from coordeval.agents.simulated import InstantModel
from coordeval.flows.run import guard
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.spending import Spending
from coordeval.flows.run.stopping import Stop
from coordeval.flows.run.window import Watch, run_chunks
from coordeval.flows.run.workers import chunk as working
from coordeval.flows.run.workers import cluster
from coordeval.flows.run.workers.chunk import BEACON, Chunk, Ended, WorkerError, run_chunk
from coordeval.flows.run.workers.cluster import ClusterError, Where
from coordeval.flows.run.workers.columns import is_columns
from coordeval.flows.run.workers.dispatch import On, _Dispatch, _Piece, run_on, take_in
from coordeval.flows.run.workers.merging import merge
from coordeval.flows.run.workers.places import PlaceError, ShardError, place
from coordeval.flows.run.workers.shards import decoded, encoded
from coordeval.flows.study.evaluation import open_evaluation
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, LedgerWriteError, RowError, read
from coordeval.market_data.gate import MarketView
from coordeval.market_data.secrets import forget, take
from tests.agents.messages_server import KEY, Answer, MessagesServer, message
from tests.flows.run.worker_models import Noting, noted

STUDY = """
name = "spread"
replicates = 2
plugins = ["extreme_plugin.py"]
configurations = ["single_agent", "market_price", "independent_ensemble", "peer_critique_debate", "extreme"]
[markets]
source = "simulated"
count = 6
[model]
provider = "simulated"
"""
WHAT = {  # who paid for a shared draw, and so what a cell paid, hangs on who comes first, in one process too
    "forecasts": "SELECT * EXCLUDE (run_id, created_at, paid_micro_usd, seconds) FROM forecasts ORDER BY ALL",
    "draws": "SELECT draw_id, request, reply, micro_usd FROM draws ORDER BY ALL",
    "calls": "SELECT * EXCLUDE (paid_micro_usd) FROM calls ORDER BY ALL",
    "estimates": "SELECT * FROM estimates ORDER BY ALL",
    "messages": "SELECT * FROM messages ORDER BY ALL",
    "tool_calls": "SELECT * FROM tool_calls ORDER BY ALL",
    "telemetry": "SELECT * FROM telemetry ORDER BY ALL",
    "paid": "SELECT sum(paid_micro_usd) FROM forecasts",
}


def everything(path: Path) -> dict[str, Any]:
    return {name: read(path).query(sql).rows() for name, sql in WHAT.items()}


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    plugin = Path(__file__).parents[1] / "extreme_plugin.py"
    (folder / plugin.name).write_text(plugin.read_text())
    (folder / "spread.toml").write_text(STUDY)
    return folder / "spread.toml"


@pytest.fixture(scope="module")
def in_one_process(study, tmp_path_factory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("one") / "ledger.duckdb"
    loaded = load_study(study)
    with Ledger.open(path, purpose="test") as ledger:
        evaluation = open_evaluation(loaded, path, ledger)
        guard.run(run_chunks(evaluation, plan(evaluation, pull(evaluation)).chunks))
    return everything(path)


@pytest.fixture(scope="module")
def scheduler():
    """The address of a scheduler with two workers, as --on takes it."""
    patch = pytest.MonkeyPatch()
    patch.setenv("ANTHROPIC_API_KEY", KEY)
    take("ANTHROPIC_API_KEY")  # as a run has done before it starts workers: one that is started anew has the key too
    with cluster.connected(Where.of("dask:2")) as there:
        yield "dask://" + there._client.scheduler.address.removeprefix("tcp://")
    forget()
    patch.undo()


def spread(study: Path, path: Path, on: On) -> list[dict[str, Any]]:
    """Run on workers; returns the forecasts that were told of."""
    told: list[dict[str, Any]] = []
    with Ledger.open(path, purpose="test") as ledger:
        evaluation = open_evaluation(load_study(study), path, ledger)
        if on.model is not None:
            evaluation.model = on.model
        made = plan(evaluation, pull(evaluation))
        watch = Watch(on_forecast=lambda row: told.append(dict(row)))
        spending = Spending(ledger, "simulated", before=ledger.spent_micro_usd(evaluation.loaded.id))
        guard.run(run_on(evaluation, made.chunks, on, watch=watch, spending=spending, stop=Stop()))
    paid = read(path).query("SELECT coalesce(sum(micro_usd), 0)::BIGINT FROM draws").item()
    assert spending.now == paid - spending.before
    return told


def test_workers_store_what_one_process_does_and_leave_nothing_behind(study, in_one_process, scheduler, tmp_path):
    path, shards = tmp_path / "ledger.duckdb", tmp_path / "shards"
    told = spread(study, path, On(Where.of(scheduler), str(shards)))
    assert everything(path) == in_one_process
    assert len(told) == len({row["forecast_id"] for row in told}) == 60
    assert not shards.exists()
    assert spread(study, path, On(Where.of(scheduler), str(shards))) == []


def test_a_worker_that_is_killed_loses_nothing_and_pays_nothing_twice(study, scheduler, tmp_path):
    path, notes = tmp_path / "ledger.duckdb", tmp_path / "notes"
    notes.touch()
    spread(study, path, On(Where.of(scheduler), str(tmp_path / "shards"), Noting(notes, kill_at=25)))
    assert (tmp_path / "notes.killed").exists()
    statuses = read(path).query("SELECT status, count(*) AS n FROM forecasts GROUP BY ALL").rows()
    assert statuses == [("answered", 60)]
    calls = noted(notes)
    times = Counter(which for _, which in calls["answered"])
    stored = read(path).query("SELECT count(*) FROM draws").item()
    assert stored == len(times)
    # answered twice is only what the killed process had just been given, and had not stored yet
    twice = [which for which, n in times.items() if n > 1]
    assert len(twice) <= 12


LIVE = """
name = "live"
replicates = 1
budget_usd = {budget}
configurations = ["single_agent", "independent_ensemble"]
[markets]
source = "simulated"
count = 4
[model]
provider = "anthropic"
id = "claude-opus-4-6"
max_tokens = 500
base_url = "{url}"
"""


class Estimating(MessagesServer):
    def answer(self, body: Any) -> Answer:
        given = {"probability": 0.25, "rationale": "Because.", "reading": "As worded."}
        block = {"type": "tool_use", "id": "toolu_1", "name": "submit_estimate", "input": given}
        usage = {"input_tokens": 100, "output_tokens": 480}
        return Answer(body=message(content=[block], stop_reason="tool_use", model=body["model"], usage=usage))


def test_a_budget_that_is_divided_is_kept_and_used_and_nothing_is_paid_twice(scheduler, tmp_path, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    server, path, study = Estimating(), tmp_path / "ledger.duckdb", tmp_path / "live.toml"
    on = On(Where.of(scheduler), str(tmp_path / "shards"))
    try:
        study.write_text(LIVE.format(url=server.url, budget="0.08"))
        spread(study, path, on)
        statuses = "SELECT DISTINCT status, left(reason, 35) FROM forecasts ORDER BY ALL"
        assert read(path).query(statuses).rows() == [
            ("answered", None),
            ("failed", "the budget of $0.0800 is exhausted:"),
        ]
        paid, draws = read(path).query("SELECT sum(micro_usd), count(*) FROM draws").row(0)
        assert 0 < paid <= 80_000
        assert draws == len(server.seen)
        worst = read(path).query("SELECT max(worst_micro_usd) FROM attempts").item()
        assert paid + worst > 80_000, "what was left was not enough for one call"
        study.write_text(LIVE.format(url=server.url, budget="5"))
        spread(study, path, on)
        assert read(path).query("SELECT DISTINCT status FROM forecasts").rows() == [("answered",)]
        assert read(path).query("SELECT count(*) FROM draws").item() == len(server.seen)
    finally:
        server.stop()


def alone(study: Path, folder: Path, model: Any = None, shards: str = "", **changes: Any) -> tuple[Path, Any]:
    """A planned ledger and its chunks as workers are given them, without any cluster: (ledger path, chunks)."""
    path = folder / "ledger.duckdb"
    with Ledger.open(path, purpose="test") as ledger:
        evaluation = open_evaluation(load_study(study), path, ledger)
        if model is not None:
            evaluation.model = model
        made = plan(evaluation, pull(evaluation))
        on = On(Where.of("dask:1"), shards or str(folder / "shards"), model)
        spending = Spending(ledger, "simulated", before=0)
        chunks: list[Chunk] = []

        async def build() -> None:
            dispatch = _Dispatch(evaluation, made.chunks, on, place(on.shards), None, Watch(), spending, Stop())  # type: ignore[arg-type]
            await dispatch._beat({})
            for number, cells in enumerate(made.chunks):
                chunks.append(dispatch._chunk(_Piece(number, cells, number), 1, None))

        asyncio.run(build())
    return path, [replace(chunk, **changes) for chunk in chunks]


def in_a_thread(chunk: Chunk) -> Ended:
    """As a worker does it."""
    return run_chunk(chunk)


def merged(path: Path, shards: str, study_id: str) -> Any:
    with Ledger.open(path, purpose="test") as ledger:
        return merge(ledger, place(shards), study_id[:16], study=study_id)


@pytest.fixture(scope="module")
def made(study, tmp_path_factory):
    """(ledger path before any merge, shards by name, study id) of chunks that were worked on."""
    folder = tmp_path_factory.mktemp("made")
    path, chunks = alone(study, folder)
    for chunk in chunks:
        assert in_a_thread(chunk).error is None
    task = chunks[0].task
    names = place(task.shards).names(f"{task.folder}/0")
    return path, {name: place(task.shards).read(name) for name in names}, task.study_id


def shards_of(made) -> dict[str, bytes]:
    """Without the columns that sum them up."""
    return {name: content for name, content in made[1].items() if not is_columns(name)}


def fresh(made, folder: Path) -> tuple[Path, str]:
    """A copy of the ledger, and a place with the shards."""
    path, shards, _ = made
    (folder / "ledger.duckdb").write_bytes(path.read_bytes())
    there = place(str(folder / "shards"))
    for name, content in shards.items():
        there.write(name, content)
    return folder / "ledger.duckdb", str(folder / "shards")


def test_shards_come_in_any_order_and_twice_if_need_be(made, in_one_process, tmp_path):
    study_id, shards = made[2], shards_of(made)
    ledger, there = fresh(made, tmp_path)
    names = list(shards)
    random.Random(1).shuffle(names)
    with Ledger.open(ledger, purpose="test") as writer:
        for some in (names[::3], names[1::3], names[::3], names[2::3]):
            entries = [entry for name in some for entry in decoded(shards[name], name, study=study_id)]
            writer.merge([(entry.table, entry.row) for entry in entries])
    assert everything(ledger) == in_one_process
    again = merged(ledger, there, study_id)
    assert (again.forecasts, again.draws) == ([], [])
    assert everything(ledger) == in_one_process
    assert place(there).names(study_id[:16]) == []


def test_an_earlier_failure_that_comes_later_replaces_no_forecast(made, tmp_path):
    ledger, _ = fresh(made, tmp_path)
    entries = [e for name, content in shards_of(made).items() for e in decoded(content, name, study=made[2])]
    cell = next(entry.row for entry in entries if entry.table == "cell")
    earlier = orjson.loads(orjson.dumps(cell))
    earlier["forecasts"][0] |= {"status": "failed", "probability": None, "reason": "lost", "retryable": True}
    earlier["forecasts"][0]["created_at"] = datetime(2020, 1, 1, tzinfo=UTC).isoformat()
    with Ledger.open(ledger, purpose="test") as writer:
        writer.merge([("cell", cell)])
        assert writer.merge([("cell", earlier)])["forecasts"] == []
    [row] = read(ledger).query("SELECT status FROM forecasts").rows()
    assert row == ("answered",)


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def saying(**about: Any) -> Callable[[bytes], bytes]:
    """The shard with other words about itself."""

    def change(content: bytes) -> bytes:
        table = pq.read_table(io.BytesIO(content))
        told = {**json.loads(table.schema.metadata[b"coordeval"]), **about}
        out = io.BytesIO()
        pq.write_table(table.replace_schema_metadata({"coordeval": json.dumps(told)}), out)
        return out.getvalue()

    return change


DAMAGE = {
    "half written": (cut, "is not whole"),
    "empty": (lambda content: b"", "is not whole"),
    "something else": (lambda content: b"PAR1" + bytes(100) + b"PAR1", "is not whole"),
    "with another checksum": (saying(sha256="0" * 64), "does not hold what was written to it"),
    "with a row too few": (saying(entries=3), "does not hold what was written to it"),
    "of a later format": (saying(format="coordeval-shard/9"), "has the format"),
    "of another study": (saying(study="f" * 64), "is of the study ffffffff"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_shard_that_cannot_be_used_is_named_and_kept_and_the_others_go_in(made, tmp_path, kind):
    damage, words = DAMAGE[kind]
    ledger, there = fresh(made, tmp_path)
    shards = place(there)
    shards.delete([name for name in made[1] if is_columns(name)])  # as a worker leaves it that is killed
    name = shards.names(made[2][:16])[-1]
    content = shards.read(name)
    assert content is not None
    assert damage(content) != content
    shards.write(name, damage(content))
    with pytest.raises(ShardError, match=words):
        decoded(damage(content), name, study=made[2])
    found = merged(ledger, there, made[2])
    assert len(found.refused) == 1
    assert words in found.refused[0]
    assert found.forecasts
    assert shards.names(made[2][:16]) == [f"{name}.refused"]


COLUMNS_DAMAGE = {
    "half written": (cut, "is not whole"),
    "of a later format": (lambda content: content.replace(b"coordeval-columns/1", b"coordeval-columns/9"), "has the format"),
    "of another study": (
        lambda content: re.sub(rb'"study":"\w{64}"', b'"study":"%s"' % (b"f" * 64), content),
        "is of the study ffffffff",
    ),
    "something else": (lambda content: b"PAR1" + bytes(100) + b"PAR1", "is no file of this version"),
}


@pytest.mark.parametrize("kind", COLUMNS_DAMAGE)
def test_columns_that_cannot_be_used_are_named_and_kept_and_their_shards_are_read(made, in_one_process, tmp_path, kind):
    damage, words = COLUMNS_DAMAGE[kind]
    ledger, there = fresh(made, tmp_path)
    name = next(name for name in made[1] if is_columns(name))
    content = damage(made[1][name])
    assert content != made[1][name]
    told = name.partition(".columns-")[0] + f".columns-{hashlib.sha256(content).hexdigest()[:32]}.parquet"
    other = name if kind == "half written" else told
    place(there).delete([name])
    place(there).write(other, content)
    found = merged(ledger, there, made[2])
    assert len(found.refused) == 1
    assert re.search(words, found.refused[0])
    assert place(there).names(made[2][:16]) == [f"{other}.refused"]
    assert everything(ledger) == in_one_process


def test_a_shard_of_another_version_is_named_and_kept_and_the_others_go_in(made, tmp_path):
    ledger, there = fresh(made, tmp_path)
    place(there).delete([name for name in made[1] if is_columns(name)])
    name, content = next((n, c) for n, c in shards_of(made).items() if b"draws" in c)
    entries = decoded(content, name, study=made[2])
    later = [(e.table, e.key, orjson.dumps({**e.row, "mood": "good"})) for e in entries if e.table == "draws"]
    place(there).write(name, encoded(later, study=made[2], version="9.0.0"))
    found = merged(ledger, there, made[2])
    assert len(found.refused) == 1
    assert "has the columns mood, which this version does not know" in found.refused[0]
    assert place(there).names(made[2][:16]) == [f"{name}.refused"]
    assert found.forecasts


def test_a_view_is_the_same_in_another_process(study, tmp_path):
    _, chunks = alone(study, tmp_path)
    for chunk in chunks:
        for (view, *_), (again, *_) in zip(chunk.cells, pickle.loads(pickle.dumps(chunk)).cells, strict=True):
            assert vars(again) == vars(view)
            assert MarketView(view.market, view.as_of, again.prices, again.documents).fingerprint == view.fingerprint


def test_rows_of_another_version_are_refused_and_nothing_of_them_is_stored(made, tmp_path):
    ledger, _ = fresh(made, tmp_path)
    entries = [e for name, content in shards_of(made).items() for e in decoded(content, name, study=made[2])]
    draws = [e for e in entries if e.table == "draws"]
    with Ledger.open(ledger, purpose="test") as writer:
        with pytest.raises(RowError, match="has the columns mood, which this version does not know"):
            writer.merge([("draws", draws[0].row), ("draws", {**draws[1].row, "mood": "good"})])
        assert read(ledger).query("SELECT count(*) FROM draws").item() == 0


def test_a_full_disk_on_the_writer_leaves_the_shards_for_the_next_run(made, in_one_process, tmp_path):
    ledger, there = fresh(made, tmp_path)
    before = place(there).names(made[2][:16])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Ledger.open(ledger, purpose="test") as writer:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        try:
            with pytest.raises(LedgerWriteError, match="nothing of it was stored"):
                merge(writer, place(there), made[2][:16], study=made[2])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert place(there).names(made[2][:16]) == before
    merged(ledger, there, made[2])
    assert everything(ledger) == in_one_process


def test_a_disk_that_becomes_full_ends_the_run_and_the_next_one_has_all_that_was_made(
    study, in_one_process, scheduler, tmp_path
):
    path, on = tmp_path / "ledger.duckdb", On(Where.of(scheduler), str(tmp_path / "shards"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Ledger.open(path, purpose="test") as ledger:
        evaluation = open_evaluation(load_study(study), path, ledger)
        made = plan(evaluation, pull(evaluation))
        spending = Spending(ledger, "simulated", before=0)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        try:
            with pytest.raises(LedgerWriteError, match="nothing of it was stored"):
                guard.run(run_on(evaluation, made.chunks, on, watch=Watch(), spending=spending, stop=Stop()))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert (spending.made, ledger.books(evaluation.loaded.id).paid_micro_usd) == (0, 0)
        assert len(take_in(evaluation, on.shards, print).forecasts) > 0
    spread(study, path, on)
    assert everything(path) == in_one_process


def test_a_run_takes_in_what_workers_of_an_earlier_one_left_and_tells_them_to_stop(made, study, in_one_process, tmp_path):
    ledger, there = fresh(made, tmp_path)
    folder = next(iter(made[1])).rpartition("/")[0].rpartition("/")[0]
    place(there).write(f"{folder}/{BEACON}", b"{}")
    said: list[str] = []
    with Ledger.open(ledger, purpose="test") as writer:
        evaluation = open_evaluation(load_study(study), ledger, writer)
        take_in(evaluation, there, said.append)
        assert plan(evaluation, pull(evaluation)).to_run == 0
    assert "60 forecasts" in said[0]
    assert everything(ledger) == in_one_process
    beacon = place(there).read(f"{folder}/{BEACON}")
    assert beacon is not None
    assert orjson.loads(beacon)["stop"] is True


def test_a_chunk_that_is_taken_up_again_asks_for_the_rest_only(study, tmp_path):
    notes = tmp_path / "notes"
    notes.touch()
    _, chunks = alone(study, tmp_path, Noting(notes))
    [chunk, *_] = [replace(chunk, cells=chunk.cells) for chunk in chunks]
    half = replace(chunk, cells=chunk.cells[: len(chunk.cells) // 2])
    assert in_a_thread(half).error is None
    before = len(noted(notes)["answered"])
    assert before > 0
    assert in_a_thread(chunk).error is None
    assert in_a_thread(chunk).error is None
    draws = [which for _, which in noted(notes)["answered"]]
    assert len(draws) == len(set(draws)) > before


def test_a_worker_stops_when_it_is_told_to_and_what_it_made_is_stored(study, tmp_path, monkeypatch):
    monkeypatch.setattr(working, "POLL_SECONDS", 0.01)
    _, chunks = alone(study, tmp_path)
    shards, beacon = place(chunks[0].task.shards), f"{chunks[0].task.folder}/{BEACON}"
    shards.write(beacon, b'{"stop": true}')
    assert in_a_thread(chunks[0]).stopped
    monkeypatch.setattr(working, "SILENT_SECONDS", 0.0)
    shards.write(beacon, b"{}")
    assert in_a_thread(chunks[1]).stopped, "a run that says nothing any more"


def refused(study: Path, folder: Path, change: Any) -> str:
    _, chunks = alone(study, folder)
    ended = in_a_thread(change(chunks[0]))
    assert isinstance(ended.error, WorkerError)
    return str(ended.error)


def test_a_worker_that_would_make_other_forecasts_makes_none(study, tmp_path):
    def older(chunk: Chunk) -> Chunk:
        return replace(chunk, task=replace(chunk.task, version="0.0.9", run_id="older"))

    def other_plugin(chunk: Chunk) -> Chunk:
        files = {name: content.replace(b"1.5", b"2.5") for name, content in chunk.task.files.items()}
        return replace(chunk, task=replace(chunk.task, files=files, run_id="plugin"))

    def elsewhere(chunk: Chunk) -> Chunk:
        return replace(chunk, task=replace(chunk.task, shards=str(tmp_path / "nowhere")))

    def other_code(chunk: Chunk) -> Chunk:
        view, label, replicate, forecast_id, identity = chunk.cells[0]
        settings = {**identity["settings"], "scaffold": "another"}
        cell = (view, label, replicate, forecast_id, {**identity, "settings": settings})
        return replace(chunk, cells=[cell])

    for name, change, words in (
        ("older", older, "the run has 0.0.9"),
        ("plugin", other_plugin, "takes this study for"),
        ("elsewhere", elsewhere, "does not see"),
        ("code", other_code, "settings differ"),
    ):
        (tmp_path / name).mkdir()
        assert words in refused(study, tmp_path / name, change)


def test_the_pace_is_divided(study, tmp_path):
    _, chunks = alone(study, tmp_path)
    part = working._loaded(replace(chunks[0], processes=3))
    assert part.study.run.concurrent_calls == 22
    assert part.id == chunks[0].task.study_id


@pytest.mark.parametrize(
    "text", ["dask:0", "dask:", "dask:1001", "dask:two", "ray:4", "dask://host", "4", "", "work-pool:", "work-pool:a b"]
)
def test_a_place_to_work_that_is_none_is_refused(text):
    with pytest.raises(ClusterError, match="dask://host:port"):
        Where.of(text)


def test_a_scheduler_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    with pytest.raises(ClusterError, match="no scheduler answers there"), cluster.connected(Where.of("dask://127.0.0.1:9")):
        raise AssertionError("it is not there")


def test_what_takes_a_connection_and_says_nothing_is_no_scheduler(monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = Where.of(f"dask://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(ClusterError, match="no scheduler answers there"), cluster.connected(where):
            raise AssertionError("nobody spoke")


def test_an_unknown_place_for_shards_is_refused(tmp_path):
    with pytest.raises(PlaceError, match="nosuch://x"):
        place("nosuch://x")
    (tmp_path / "file").touch()
    with pytest.raises(PlaceError, match="cannot be written"):
        place(str(tmp_path / "file")).write("a/b", b"x")


@pytest.fixture(scope="module")
def bucket():
    """The URL of a bucket on a local stand-in for S3."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    from moto.server import ThreadedMotoServer

    patch = pytest.MonkeyPatch()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        patch.setenv(name, value)
    import s3fs

    s3fs.S3FileSystem().mkdir("shards-of-tests")
    yield "s3://shards-of-tests/below"
    server.stop()
    patch.undo()


def test_shards_in_an_object_store(study, in_one_process, bucket, tmp_path):
    path, chunks = alone(study, tmp_path, shards=bucket)
    for chunk in chunks:
        assert in_a_thread(chunk).error is None
    found = merged(path, bucket, chunks[0].task.study_id)
    assert len(found.forecasts) == 60
    assert everything(path) == in_one_process
    left = place(bucket).names(chunks[0].task.study_id[:16])
    assert [name.rpartition("/")[2] for name in left] == [BEACON]
    with pytest.raises(PlaceError, match="cannot be"):
        place("s3://there-is-no-such-bucket/x").write("a", b"x")


@pytest.mark.proof
def test_an_instant_model_of_a_worker_is_the_one_that_it_was_given(study, tmp_path):
    _, chunks = alone(study, tmp_path, InstantModel())
    assert in_a_thread(chunks[0]).error is None


class WaitsForOthers(InstantModel):
    """One market is answered only once `others` is set."""

    def __init__(self, slow: str) -> None:
        super().__init__()
        self.slow, self.others = slow, threading.Event()

    async def complete(self, request: Request, slot: Slot) -> Reply:
        if slot.market_id == self.slow:
            await asyncio.to_thread(self.others.wait)
        return await super().complete(request, slot)


@pytest.mark.proof
def test_a_slow_market_holds_up_no_other_chunk_of_its_worker(study, tmp_path):
    model = WaitsForOthers("sim-1-0001")
    path, chunks = alone(study, tmp_path, model)
    slow, *others = sorted(chunks, key=lambda chunk: chunk.cells[0][0].market.id)
    assert slow.cells[0][0].market.id == model.slow
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(run_chunk, slow)
        for chunk in others:
            assert run_chunk(chunk).error is None
        assert not waiting.done()
        model.others.set()
        assert waiting.result().error is None
    assert len(merged(path, chunks[0].task.shards, chunks[0].task.study_id).forecasts) == 60
