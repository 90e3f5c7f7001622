"""`coordeval diagnose --search`: a model is asked as every other, within its tokens, and what it found is kept and shown."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from coordeval.agents.standin import Running, StandIn
from coordeval.flows.audit.asking import KIND, ask, kept, model_of
from coordeval.flows.audit.diagnosis import evidence_of
from coordeval.flows.costs.consent import COMMAND, Door, NotAgreed
from coordeval.flows.dashboard.facts import Facts
from coordeval.flows.dashboard.pages.forecast import PAGE
from coordeval.flows.dashboard.pages.page import Asked
from coordeval.flows.dashboard.view import View
from coordeval.flows.study.study import load_study
from coordeval.flows.verify import rows
from coordeval.ledger import read
from coordeval.market_data.errors import CoordevalError
from tests.flows.cli.conftest import STUDY
from tests.flows.dashboard.conftest import store

TOKENS = 50_000


class Quiet:
    def print(self, *said, **how):
        pass


@pytest.fixture(scope="module")
def ledger(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("asked")
    path = folder / "ledger.duckdb"
    store(path, folder, name="small", count=2, replicates=1)
    return path


@pytest.fixture(scope="module")
def forecast(ledger) -> str:
    rows = read(ledger).query("SELECT forecast_id FROM cells WHERE configuration = 'independent_ensemble' ORDER BY 1")
    return str(rows["forecast_id"][0])


def draws(ledger: Path) -> int:
    return read(ledger).query("SELECT count(*) FROM draws WHERE payer LIKE 'diagnosis%'").item()


@pytest.fixture(scope="module")
def searched(ledger, forecast):
    """What a first search found, and the draws it left behind."""
    known, _ = evidence_of(read(ledger), forecast)
    loaded = model_of(read(ledger), forecast, str(known.study["study_id"]), None)
    return ask(ledger, known, forecast, loaded, Door(how=COMMAND), Quiet(), tokens=TOKENS), draws(ledger)


def test_the_simulated_model_of_its_own_study_looks_within_its_tokens_and_needs_no_yes(searched):
    made, stored = searched
    assert made.simulated
    assert 0 < made.found.tokens <= TOKENS
    assert stored == made.found.asks
    assert made.paid_usd is not None


def test_what_was_found_is_kept_and_shown_where_the_forecast_is(searched, ledger, forecast, coordeval):
    made, _ = searched
    [found] = kept(read(ledger), forecast)
    assert found == json.loads(json.dumps(made.as_json()))
    shown = coordeval("diagnose", forecast[:10], "--ledger", ledger)
    assert shown.status == 0, shown.err
    assert "tree search by simulated-forecaster-1 (SIMULATED" in shown.out
    facts = Facts(ledger)
    try:
        view = View(study="small", forecast=forecast)
        page = str(PAGE.layout(Asked(view=view, facts=facts, dark=False)))
    finally:
        facts.close()
    assert "Why it stands where it does" in page
    assert "SIMULATED: tree search by simulated-forecaster-1" in page


def test_the_same_search_again_asks_nothing_anew_and_stands_in_its_own_place(searched, ledger, forecast, coordeval):
    made, stored = searched
    again = coordeval("diagnose", forecast[:10], "--search", "--tokens", TOKENS, "--ledger", ledger, "--json")
    [found] = json.loads(again.out)["asked"]
    assert found["nodes"] == json.loads(json.dumps(made.as_json()))["nodes"]
    assert found["tokens"] == made.found.tokens  # what a reply takes counts, whoever paid for it
    assert draws(ledger) == stored
    assert read(ledger).query("SELECT count(*) FROM findings WHERE kind = ?", [KIND]).item() == 1


def test_its_draws_are_no_part_of_the_study_s_bill(searched, ledger):
    paid = "SELECT count(*) FROM calls SEMI JOIN (SELECT draw_id FROM draws WHERE payer LIKE 'diagnosis%') d USING (draw_id)"
    assert read(ledger).query(paid).item() == 0


def test_what_it_took_is_a_row_of_its_own_in_the_bill_and_every_draw_stands_in_one(searched, ledger, coordeval):
    made, _ = searched
    told = json.loads(coordeval("costs", "small", "--ledger", ledger, "--json").out)
    [beside] = told["beside"]
    assert (beside["purpose"], beside["calls"]) == ("diagnosis", made.found.asks)
    assert beside["paid_micro_usd"] == round(made.paid_usd * 1e6)
    drawn = read(ledger).query("SELECT sum(micro_usd)::BIGINT FROM draws").item()
    assert told["total"]["paid_micro_usd"] + beside["paid_micro_usd"] == told["with_beside"]["paid_micro_usd"] == drawn
    every = json.loads(coordeval("costs", "--ledger", ledger, "--json").out)
    assert [(row["study"], row["purpose"]) for row in every] == [("small", "forecasts"), ("small", "diagnosis")]
    assert sum(row["paid_micro_usd"] for row in every) == drawn
    assert f"beside it, diagnosis: {made.found.asks} calls" in coordeval("costs", "small", "--ledger", ledger).out
    assert "diagnosis" in coordeval("costs", "--ledger", ledger).out


def test_its_draws_are_no_broken_key(searched, ledger):
    [keys] = [part for part in rows.look(read(ledger), None) if part.name == "keys"]
    assert keys.faults == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--search", "--one-pass"), "are two ways to look"),
        (("--search", "--tokens", "1500"), "one ask may take more than 5,000"),
    ],
)
def test_what_cannot_be_asked_is_one_message_with_a_fix(ledger, forecast, coordeval, options, says):
    ended = coordeval("diagnose", forecast[:10], *options, "--ledger", ledger)
    assert ended.status == 1
    assert says in ended.err


def test_a_model_that_answers_nothing_is_an_exit_status(ledger, forecast, coordeval):
    ended = coordeval("diagnose", forecast[:10], "--one-pass", "--tokens", "6000", "--ledger", ledger)
    assert ended.status == 1
    assert "it names no cause" in ended.out
    assert "the budget of 6,000 tokens holds no further ask" in ended.out


# --- a model that costs money


@pytest.fixture(scope="module")
def paid(tmp_path_factory):
    stand_in = StandIn(sampled=False)
    folder = tmp_path_factory.mktemp("paid")
    with Running(stand_in) as running:
        file = folder / "paid.toml"
        model = f'provider = "anthropic"\nid = "claude-opus-4-6"\nmax_tokens = 800\nbase_url = "{running.url}"'
        file.write_text(STUDY.format(name="paid", cap=1).partition("[model]")[0] + f"[model]\n{model}\n")
        yield stand_in, file


def test_nothing_is_asked_that_nobody_agreed_to(paid, ledger, forecast, coordeval, monkeypatch):
    stand_in, file = paid
    monkeypatch.setenv("ANTHROPIC_API_KEY", stand_in.key)
    ended = coordeval("diagnose", forecast[:10], "--model", file, "--tokens", TOKENS, "--ledger", ledger)
    assert ended.status == 1
    assert "this diagnosis may cost up to $1.25" in ended.err  # 50,000 tokens at $25 a million
    assert "--yes-up-to" in ended.err
    ended = coordeval("diagnose", forecast[:10], "--model", file, "--yes-up-to", "0.1", "--ledger", ledger)
    assert "more than --yes-up-to 0.1" in ended.err
    ended = coordeval("diagnose", forecast[:10], "--model", file, "--max-usd", "0.1", "--yes", "--ledger", ledger)
    assert "--max-usd 0.1: 60,000 tokens may cost up to $1.50; give fewer --tokens" in ended.err
    assert stand_in.seen == []


def test_a_yes_lets_it_go_on_through_the_budget_and_the_books(paid, ledger, forecast, monkeypatch):
    stand_in, file = paid
    monkeypatch.setenv("ANTHROPIC_API_KEY", stand_in.key)
    known, _ = evidence_of(read(ledger), forecast)
    loaded, door = load_study(file), Door(how=COMMAND, up_to=Decimal(2))
    made = ask(ledger, known, forecast, loaded, door, Quiet(), tokens=TOKENS, alone=True)
    assert stand_in.seen
    attempts = read(ledger).query("SELECT count(*) FROM attempts WHERE payer = ?", [f"diagnosis {forecast}"]).item()
    assert attempts == len(stand_in.seen)
    assert made.found.tokens <= TOKENS
    with pytest.raises(NotAgreed):
        ask(ledger, known, forecast, loaded, Door(how=COMMAND), Quiet(), tokens=TOKENS)


def test_a_stored_model_that_is_not_simulated_has_to_be_named_by_a_file(ledger, forecast, monkeypatch):
    reader = read(ledger)
    known, _ = evidence_of(reader, forecast)
    monkeypatch.setattr("coordeval.flows.audit.asking._STUDIES", "SELECT 'x' AS name, '{}' AS content, ? = ? AS same")
    with pytest.raises(CoordevalError, match="name a study file whose"):
        model_of(reader, forecast, str(known.study["study_id"]), None)
