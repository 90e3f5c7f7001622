"""A study on a live endpoint: a real server on this machine that speaks the Messages API and checks every request."""

import asyncio
import itertools
from pathlib import Path

import polars as pl
import pytest

from coordeval.agents.anthropic_model import AnthropicModel
from coordeval.agents.budget import Budgeted
from coordeval.agents.failures import ModelAccessError, PatienceExhausted
from coordeval.agents.pacing import Paced
from coordeval.ledger import read
from tests.agents.messages_server import KEY, Answer, MessagesServer, error, message
from tests.flows.run.test_run import run

LIVE = """
name = "live"
replicates = 1
{budget}
configurations = ["independent_ensemble", "peer_critique_debate", "orchestrator_specialist", "sequential_pipeline"]
[markets]
source = "simulated"
count = 2
[model]
provider = "anthropic"
id = "claude-opus-4-6"
max_tokens = 500
base_url = "{url}"
[model.sampling]
temperature = 0.3
"""


class Forecaster(MessagesServer):
    """Looks for evidence once, then answers with the tool that the prompt asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: Answer | None = None
        self.outage: list[Answer] = []
        self._ids = itertools.count()

    def answer(self, body) -> Answer:
        if self.outage:
            return self.outage.pop()
        if self.broken is not None:
            return self.broken
        first = body["messages"][0]["content"]
        text = first if isinstance(first, str) else first[0]["text"]
        if len(body["messages"]) == 1:
            return self._use("search_evidence", {"query": "", "limit": 2})
        if "submit_report" in text.splitlines()[-1]:
            return self._use("submit_report", {"report": "Nothing decides it.", "parts": ["When?", "Who?", "How?"]})
        return self._use("submit_estimate", {"probability": 0.25, "rationale": "Base rate.", "reading": "As written."})

    def _use(self, name, given) -> Answer:
        block = {"type": "tool_use", "id": f"toolu_{next(self._ids)}", "name": name, "input": given}
        usage = {"input_tokens": 1000, "output_tokens": 100, "cache_read_input_tokens": 200}
        return Answer(body=message(content=[block], stop_reason="tool_use", usage=usage))


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    running = Forecaster()
    yield running
    running.stop()


def study(tmp_path: Path, server: MessagesServer, budget: str = "", more: str = "") -> Path:
    path = tmp_path / "live.toml"
    path.write_text(LIVE.format(url=server.url, budget=budget) + more)
    return path


def test_a_live_study_runs_with_tools_and_structured_estimates_and_counts_its_cost(tmp_path: Path, server):
    path = tmp_path / "l.duckdb"
    run(study(tmp_path, server), path)
    frame = read(path).forecast_frame("live")
    assert frame["probability"].to_list() == [0.25] * 8
    assert set(frame["simulated"]) == {True}, "the markets are simulated, so the result is, whatever the model"
    per_call = (1000 * 5 + 200 * 0.5 + 100 * 25) / 1e6
    ensemble = frame.filter(pl.col("configuration") == "independent_ensemble")
    assert ensemble["model_calls"].to_list() == [6, 6]
    assert ensemble["cost_usd"].to_list() == pytest.approx([6 * per_call] * 2)
    assert len(server.seen) == read(path).query("SELECT count(*) FROM draws").item(), (
        "every reply is stored, none paid twice"
    )
    headers, body = server.seen[0]
    assert body["temperature"] == 0.3
    assert headers["anthropic-version"] == "2023-06-01"
    assert {tool["name"] for tool in body["tools"]} >= {"market_details", "price_history", "search_evidence"}
    sent = len(server.seen)
    assert run(study(tmp_path, server), path) == 0
    assert len(server.seen) == sent


OVERLOADED = Answer(
    529, {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, {"retry-after-ms": "1"}
)


def test_a_request_that_the_api_calls_invalid_is_a_failed_row_that_the_next_run_asks_again(tmp_path: Path, server):
    path = tmp_path / "l.duckdb"
    server.broken = error(400, "invalid_request_error", "no")
    run(study(tmp_path, server), path)
    frame = read(path).forecast_frame("live")
    assert set(frame["status"]) == {"failed"}
    assert frame["probability"].null_count() == frame.height
    server.broken = None
    assert run(study(tmp_path, server), path) == 8, "only a reply says something final"


def test_an_overload_fails_no_forecast(tmp_path: Path, server):
    path = tmp_path / "l.duckdb"
    server.outage = [OVERLOADED] * 30
    assert run(study(tmp_path, server), path) == 8
    assert set(read(path).forecast_frame("live")["status"]) == {"answered"}
    assert not server.outage


def test_an_outage_beyond_the_patience_stops_the_run_and_the_next_one_makes_every_forecast(tmp_path: Path, server):
    path = tmp_path / "l.duckdb"
    server.broken = OVERLOADED
    with pytest.raises(PatienceExhausted, match=r"patience_minutes = 0.001 in \[run\] is over"):
        run(study(tmp_path, server, more="[run]\npatience_minutes = 0.001"), path)
    assert read(path).query("SELECT count(*) FROM forecasts").item() == 0
    server.broken = None
    assert run(study(tmp_path, server), path) == 8, "patience is no part of the identity"
    assert set(read(path).forecast_frame("live")["status"]) == {"answered"}


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (error(401, "authentication_error", "invalid x-api-key"), "check the key"),
        (
            error(400, "invalid_request_error", "Your credit balance is too low to access the API."),
            "credit balance is too low",
        ),
        (Answer(200, b"<html>down for maintenance</html>", kind="text/html"), "not the address of a Messages API"),
        (Answer(301, b"", {"location": "https://elsewhere.example"}), "to https://elsewhere.example"),
    ],
)
def test_what_speaks_of_the_account_or_the_address_stops_the_run_and_fails_no_forecast(
    tmp_path: Path, server, refusal, words
):
    path = tmp_path / "l.duckdb"
    server.broken = refusal
    with pytest.raises(ModelAccessError, match=words):
        run(study(tmp_path, server), path)
    assert read(path).query("SELECT count(*) FROM forecasts").item() == 0
    server.broken = None
    assert run(study(tmp_path, server), path) == 8


@pytest.mark.proof
def test_a_reply_whose_form_cannot_be_used_is_bought_twice_stored_and_charged(tmp_path: Path, server):
    path = tmp_path / "l.duckdb"
    server.broken = Answer(body=message(stop_reason=None))
    run(study(tmp_path, server), path)
    frame = read(path).forecast_frame("live")
    assert set(frame["status"]) == {"failed"}
    assert all("served and charged, and cannot be used: a message whose stop_reason is None" in r for r in frame["reason"])
    served = len(server.seen)
    price = (100 * 5 + 10 * 25) / 1e6
    stored = read(path).query("SELECT count(*) AS n, sum(micro_usd) / 1e6 AS usd FROM draws").row(0)
    assert stored == (served, pytest.approx(served * price))
    assert frame["paid_usd"].sum() == pytest.approx(served * price)
    calls = read(path).query("SELECT count(*) FROM calls").item()
    assert calls == served, "each is a row of the cell that it was bought for"
    run(study(tmp_path, server), path)
    assert len(server.seen) == served + served / 2, "the next run tries each once"
    server.broken = None
    run(study(tmp_path, server), path)
    frame = read(path).forecast_frame("live")
    assert set(frame["status"]) == {"answered"}


def test_the_budget_stops_the_run_before_it_is_exceeded_and_a_larger_one_goes_on(tmp_path: Path, server):
    path = tmp_path / "l.duckdb"
    run(study(tmp_path, server, "budget_usd = 0.10"), path)
    spent = read(path).query("SELECT sum(micro_usd) FROM draws").item()
    assert 0 < spent <= 100_000
    frame = read(path).forecast_frame("live")
    assert any("budget" in reason for reason in frame["reason"].drop_nulls())
    run(study(tmp_path, server, "budget_usd = 5"), path)
    assert set(read(path).forecast_frame("live")["status"]) == {"answered"}, "the same study: a budget is not identity"
    assert len(server.seen) == read(path).query("SELECT count(*) FROM draws").item()


def test_closing_the_wrapped_model_closes_the_client(server):
    model = AnthropicModel("claude-opus-4-6", base_url=server.url)
    wrapped = Paced(Budgeted(model, limit_micro_usd=1_000_000), concurrency=2)
    asyncio.run(wrapped.aclose())
    assert model._client.is_closed()
