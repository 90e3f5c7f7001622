"""Whatever a model or an endpoint hands in, a run ends with a clear error, or with a row that has its reason."""

from pathlib import Path

import pytest

from coordeval.agents.standin import Answer, Faults, Running, StandIn, error
from coordeval.agents.standin.app import KEY
from coordeval.flows.run import guard
from coordeval.flows.run.ending import cells_of, end_of
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import open_evaluation
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, read
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.secrets import forget
from tests.thinned import first_of

STUDY = """
name = "bad"
replicates = 1
{budget}
configurations = ["single_agent"]
[markets]
source = "simulated"
count = 1
[agents]
tools = []
[model]
provider = "anthropic"
id = "claude-opus-4-6"
max_tokens = 500
base_url = "{url}"
[run]
batch = {batch}
patience_minutes = 1
"""


@pytest.fixture(scope="module")
def served():
    with Running(StandIn()) as running:
        yield running


@pytest.fixture
def standin(served, monkeypatch):
    forget()
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    served.standin.faults = served.standin.batches._faults = Faults()
    return served


def ended(folder: Path, url: str, *, batch: bool = False, budget: str = "", provider: str = "anthropic") -> tuple[str, str]:
    """(how the run ended, its words), or ("error", the message)."""
    file, path = folder / "bad.toml", folder / "results" / "l.duckdb"
    text = STUDY.format(url=url, batch=str(batch).lower(), budget=budget)
    file.write_text(text.replace('"anthropic"', f'"{provider}"'))
    try:
        loaded = load_study(file)
        with Ledger.open(path, purpose="test") as ledger:
            evaluation = open_evaluation(loaded, path, ledger)
            made = plan(evaluation, pull(evaluation))

            async def main() -> None:
                try:
                    await run_chunks(evaluation, made.chunks)
                finally:
                    await evaluation.model.aclose()

            guard.run(main())
    except CoordevalError as problem:
        return "error", str(problem)
    end = end_of(cells_of(read(path), loaded.id, ["single_agent"]), made=1)
    return end.status, " ".join(end.lines("coordeval run"))


CASES = [
    ("401", "error", "check the key"),
    ("404", "error", "model: claude-opus-4-6"),
    ("no credit", "error", "Your credit balance is too low"),
    ("page", "error", "base_url is not the address of a Messages API"),
    ("no tools", "incomplete", "this model does not support tool use"),
    ("nan", "incomplete", "JSON that breaks the standard"),
    ("lone surrogate", "incomplete", "cannot be used"),
    ("two estimates", "unanswered", "2 answers were submitted at once"),
    ("malformed", "unanswered", "probability is '70%', it must be a number from 0 to 1"),
    ("prose", "unanswered", "without a call of submit_estimate"),
    ("refusal", "unanswered", "the model refused to answer"),
    ("truncated", "unanswered", "cut off at the output cap of 500 tokens"),
    ("zero", "complete", "1 answered"),
    ("one", "complete", "1 answered"),
    ("over-long", "complete", "1 answered"),
]


@pytest.mark.parametrize(("fault", "status", "says"), CASES)
def test_what_is_wrong_is_an_error_or_a_row_with_its_reason(tmp_path, standin, fault, status, says):
    standin.standin.faults.rates = {fault: 1.0}
    assert ended(tmp_path, standin.url)[0] == status
    assert says in ended(tmp_path, standin.url)[1]


@pytest.mark.parametrize(
    ("fault", "status", "says"), first_of([case for case in CASES if case[1] != "error" and case[0] != "no tools"], 3)
)
def test_it_is_the_same_in_a_batch(tmp_path, standin, fault, status, says):
    standin.standin.faults.rates = {fault: 1.0}
    found = ended(tmp_path, standin.url, batch=True)
    assert found[0] == status
    assert says in found[1]


# there a tool's arguments are text within JSON, so what breaks them is the answer's fault: see test_openai_model
@pytest.mark.parametrize(
    ("fault", "status", "says"), first_of([case for case in CASES if case[0] not in ("nan", "lone surrogate")], 4)
)
def test_it_is_the_same_through_chat_completions(tmp_path, standin, monkeypatch, fault, status, says):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    standin.standin.faults.rates = {fault: 1.0}
    found = ended(tmp_path, f"{standin.url}/v1", provider="openai")
    assert found[0] == status, found
    assert says in found[1]


@pytest.mark.parametrize("probability", [0, 1])
def test_a_probability_of_exactly_0_or_1_is_kept_as_it_is(tmp_path, standin, probability):
    standin.standin.faults.rates = {"zero" if probability == 0 else "one": 1.0}
    ended(tmp_path, standin.url)
    assert read(tmp_path / "results" / "l.duckdb").query("SELECT probability FROM forecasts").item() == probability


def test_without_a_key_it_says_where_one_goes(tmp_path, standin, monkeypatch):
    forget()
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    status, says = ended(tmp_path, standin.url)
    assert (status, "ANTHROPIC_API_KEY is not set" in says) == ("error", True)


@pytest.mark.parametrize("batch", [False, True])
def test_a_budget_under_one_call_sends_nothing(tmp_path, standin, batch):
    seen, made = len(standin.standin.seen), len(standin.standin.batches.made)
    status, says = ended(tmp_path, standin.url, batch=batch, budget="budget_usd = 0.0001")
    assert (status, "raise budget_usd" in says) == ("incomplete", True)
    assert (len(standin.standin.seen), len(standin.standin.batches.made)) == (seen, made)


@pytest.mark.parametrize("refusing", [False, True])
def test_a_key_that_a_batch_repeats_is_in_no_file(tmp_path, monkeypatch, refusing):
    key = "sk-ant-marked-0123456789"
    monkeypatch.setenv("ANTHROPIC_API_KEY", key)
    given = {"probability": 0.25, "rationale": f"You sent {key}.", "reading": key}

    class Echo(StandIn):
        async def answer(self, body):
            sound = await super().answer(body)
            if refusing:
                return error(400, "invalid_request_error", f"the key {key} is wrong here, says the request of {key}")
            block = {"type": "tool_use", "id": key, "name": "submit_estimate", "input": given}
            return Answer(body={**sound.body, "content": [block], "stop_reason": "tool_use", "model": key})

    with Running(Echo(key=key)) as echo:
        status, says = ended(tmp_path, echo.url, batch=True)
    assert status == ("error" if refusing else "complete")
    assert key not in says
    for file in (tmp_path / "results").rglob("*"):
        assert not file.is_file() or key.encode() not in file.read_bytes(), file
