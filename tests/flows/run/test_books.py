"""What a run has cost is what the server billed, across runs, kills, retries and refusals."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import orjson
import pytest

from coordeval.flows.study.evaluation import open_evaluation
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, read
from tests.agents.messages_server import KEY, Answer, MessagesServer, message
from tests.flows.run.test_run import run
from tests.thinned import first_of

STUDY = """
name = "books"
replicates = 1
budget_usd = {budget}
configurations = ["{configuration}"]
[markets]
source = "simulated"
count = {count}
[model]
provider = "anthropic"
id = "claude-opus-4-6"
max_tokens = 500
base_url = "{url}"
{more}
"""


class Answering(MessagesServer):
    """Answers each request with an estimate; `usage` and `model` are what the test says."""

    usage: object = {"input_tokens": 1000, "output_tokens": 200}  # $0.01
    model, stop_reason = "claude-opus-4-6", "tool_use"

    def answer(self, body) -> Answer:
        given = {"probability": 0.25, "rationale": "Base rate.", "reading": "As written."}
        block = {"type": "tool_use", "id": "toolu_1", "name": "submit_estimate", "input": given}
        content = message(content=[block], stop_reason=self.stop_reason, usage=self.usage, model=self.model)
        return Answer(body=content)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    running = Answering()
    yield running
    running.stop()


def study(tmp_path: Path, server, *, budget=0.4, count=30, configuration="single_agent", more="") -> Path:
    path = tmp_path / "books.toml"
    text = STUDY.format(url=server.url, budget=budget, count=count, configuration=configuration, more=more)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("usage", "why"),
    first_of(
        [
            ({"input_tokens": 1000, "output_tokens": 200, "service_tier": "priority"}, "another tier has another price"),
            (None, "nothing was said"),
            ({"input_tokens": True, "output_tokens": 200}, "a truth value is no count"),
            ({"input_tokens": -1_000_000, "output_tokens": 200}, "nothing is credited"),
        ],
        2,
    ),
)
def test_replies_of_unknown_price_count_as_their_worst_case_also_after_a_resume(tmp_path: Path, server, usage, why):
    server.usage = usage
    path = tmp_path / "l.duckdb"
    run(study(tmp_path, server), path)
    asked = len(server.seen)
    assert 0 < asked < 30, why
    for _ in range(2):
        run(study(tmp_path, server), path)
        assert len(server.seen) == asked, why
    with Ledger.open(path, purpose="test") as ledger:
        books = ledger.books(read(path).study("books").study_id)
    assert (books.paid_micro_usd, len(books.unpriced), books.uncertain) == (0, asked, 0)


def test_replies_that_cannot_be_used_count_against_the_budget(tmp_path: Path, server):
    server.stop_reason = None
    path = tmp_path / "l.duckdb"
    run(study(tmp_path, server, budget=0.2), path)
    assert len(server.seen) * 0.01 <= 0.2
    frame = read(path).forecast_frame("books")
    assert frame["paid_usd"].sum() == pytest.approx(len(server.seen) * 0.01)


def test_a_model_that_is_dearer_than_the_one_asked_is_reckoned_with_once_it_was_seen(tmp_path: Path, server):
    server.model = "claude-opus-4-1"
    path = tmp_path / "l.duckdb"
    run(study(tmp_path, server, budget=0.5, more="[run]\nconcurrent_calls = 1"), path)
    spent = read(path).query("SELECT sum(micro_usd) FROM draws").item()
    per_call = read(path).query("SELECT max(micro_usd) FROM draws").item()
    assert per_call > 10_000, "it is dearer"
    assert spent <= 500_000


def test_what_was_in_flight_at_a_kill_counts_as_what_it_may_have_cost_and_is_said(tmp_path: Path, server):
    server.held.set()
    path, file = tmp_path / "l.duckdb", study(tmp_path, server, count=1, budget=5, configuration="independent_ensemble")
    command = [sys.executable, "-m", "coordeval", "run", str(file), "--inline", "--yes", "--ledger", str(path)]
    process = subprocess.Popen(command, env={**os.environ, "ANTHROPIC_API_KEY": KEY}, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 300
    while len(server.seen) < 3 and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(server.seen) == 3
    server.held.clear()
    run(file, path)
    loaded = load_study(file)
    with Ledger.open(path, purpose="test") as ledger:
        books = ledger.books(loaded.id)
        open_evaluation(loaded, path, ledger)
    assert (books.uncertain, books.paid_micro_usd) == (3, 30_000)
    assert books.uncertain_micro_usd > 3 * 500 * 25, "each as its worst case"
    assert any("3 calls of earlier runs may have been charged although no reply" in note for note in loaded.warnings)


def test_a_ledger_that_holds_a_usage_of_no_sense_opens_and_goes_on(tmp_path: Path, server):
    path, file = tmp_path / "l.duckdb", study(tmp_path, server, count=2, budget=5)
    run(file, path)
    with duckdb.connect(path) as con:  # as an older version stored it
        for odd in (True, -1_000_000):
            (draw_id, reply) = con.execute("SELECT draw_id, reply FROM draws WHERE micro_usd > 0 LIMIT 1").fetchone()
            stored = orjson.loads(reply)
            stored["usage"]["input_tokens"], stored["micro_usd"] = odd, -5_000_000
            con.execute(
                "UPDATE draws SET reply = ?, micro_usd = -5000000 WHERE draw_id = ?",
                [orjson.dumps(stored).decode(), draw_id],
            )
        con.execute("DELETE FROM forecasts")
        con.execute("DELETE FROM calls")
    asked = len(server.seen)
    assert run(file, path) == 2
    assert len(server.seen) == asked, "the replies are there"
    frame = read(path).forecast_frame("books")
    assert set(frame["status"]) == {"answered"}
    assert frame["paid_usd"].null_count() == 2, "what was paid is not known, and nothing is credited"
