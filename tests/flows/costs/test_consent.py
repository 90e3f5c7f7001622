"""No door lets money be spent that nobody agreed to: commands, scheduled jobs, notebooks, flows, workers."""

import asyncio
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import coordeval as package
from coordeval.agents.standin import Running, StandIn
from coordeval.flows.costs.consent import COMMAND, JOB, Door, NotAgreed, agreed, bounded, kept_within
from coordeval.flows.jobs.table import job_of
from coordeval.flows.jobs.wake import wake
from coordeval.flows.study.schema import Study
from coordeval.flows.study.study import load_study
from coordeval.ledger import read

PAID = 'provider = "anthropic"\nid = "claude-opus-4-6"'
AHEAD = """
name = "ahead"
replicates = 1
configurations = ["market_price", "single_agent"]
{bound}
[markets]
source = "open"
venue = "simulated"
per_day = 2
[model]
{model}
"""


def file(folder: Path, model: str = PAID, *, bound: str = "", ahead: bool = False, name: str = "ask") -> Path:
    text = AHEAD
    if not ahead:
        text = text.replace('"open"\nvenue = "simulated"\nper_day = 2', '"simulated"\ncount = 1').replace("ahead", name)
    path = folder / f"{name}.toml"
    path.write_text(text.format(bound=bound, model=model))
    return path


# --- what a yes is


@pytest.mark.parametrize(
    ("most", "budget", "up_to", "kept", "why"),
    [
        (9.0, None, None, False, "nothing was said"),
        (9.0, None, "5", False, "more than was said"),
        (9.0, None, "10", True, "within what was said"),
        (9.0, "5", "5", True, "the budget keeps it there"),
        (9.0, "6", "5", False, "the budget allows more"),
        (None, None, "1000", False, "an unknown price is within nothing"),
        (None, "5", "5", True, "but a budget is kept, or stops the run"),
        (0.0, None, None, True, "an endpoint of one's own at $0"),
    ],
)
def test_who_has_to_be_asked(most, budget, up_to, kept, why):
    amounts = (None if said is None else Decimal(said) for said in (budget, up_to))
    assert kept_within(most, *amounts) is kept, why


@pytest.mark.parametrize(
    ("said", "is_one", "why"),
    [
        ({}, False, "nothing is said"),
        ({"budget_usd": 40}, True, "all of the study"),
        ({"budget": {"cell_usd": 0.5}}, True, "each forecast, of which there are so many"),
        ({"budget": {"configurations": {"single_agent": 3}}}, False, "the debate has no limit"),
        ({"budget": {"configurations": {"single_agent": 3, "peer_critique_debate": 9}}}, True, "each has its own"),
        (
            {"budget": {"configurations": {"single_agent": 3, "peer_critique_debate": 9}},
             "agents": {"memorisation_probe": True}},
            False,
            "but the probe has none",
        ),
    ],
)  # fmt: skip
def test_what_bounds_all_of_a_study(said, is_one, why):
    given = {
        "name": "s",
        "configurations": ["single_agent", "peer_critique_debate"],
        "markets": {"source": "simulated"},
        "model": {"provider": "anthropic", "id": "claude-opus-4-6"},
    }
    assert bounded(Study.model_validate(given | said)) is is_one, why


def test_a_question_says_what_it_may_cost_and_a_no_spends_nothing(tmp_path):
    loaded, path, quiet = load_study(file(tmp_path)), tmp_path / "l.duckdb", Console(quiet=True)
    with pytest.raises(NotAgreed, match="nothing was spent"):
        agreed(loaded, path, quiet, Door(how=COMMAND, up_to=Decimal("0.001"), ask=lambda question: False))
    assert agreed(loaded, path, quiet, Door(how=COMMAND, ask=lambda question: "may cost $" in question)) is not None
    assert not path.exists()


def test_a_study_that_costs_nothing_is_never_asked_about(tmp_path):
    free = load_study(file(tmp_path, 'provider = "simulated"'))
    assert agreed(free, tmp_path / "x.duckdb", Console(), Door(how=COMMAND)) is None


def test_a_model_of_ones_own_at_no_price_is_not_asked_about_where_nobody_is_there(tmp_path):
    own = 'provider = "openai"\nid = "qwen"\nbase_url = "http://127.0.0.1:9"\n[prices.qwen]\ninput = 0\noutput = 0'
    assert agreed(load_study(file(tmp_path, own)), tmp_path / "x", Console(quiet=True), Door(how=JOB, bound_is_yes=True))


# --- every door

Commands = Callable[..., Any]


def refused(done: Any) -> str:
    assert done.status == 1, (done.out, done.err)
    return done.err


def by_command(*arguments: str) -> Callable[..., str]:
    return lambda coordeval, study, ledger: refused(coordeval(arguments[0], study, *arguments[1:], "--ledger", ledger))


def by_notebook(coordeval: Commands, study: Path, ledger: Path) -> str:
    with pytest.raises(NotAgreed) as error:
        package.run(study, ledger)
    return str(error.value)


def by_job(coordeval: Commands, study: Path, ledger: Path) -> str:
    with pytest.raises(NotAgreed) as error:
        wake(job_of("forecast-open"), study, ledger, now=datetime(2026, 1, 1, 12, tzinfo=UTC), say=lambda said: None)
    return str(error.value)


def by_flow(coordeval: Commands, study: Path, ledger: Path) -> str:
    from coordeval.flows.orchestration.evaluate import evaluate

    with pytest.raises(NotAgreed) as error:
        asyncio.run(evaluate.fn(str(study), str(ledger)))
    return str(error.value)


NOW = ("--now", "2026-01-01")
DOORS = {
    "run": (by_command("run", "--inline"), False, "--yes-up-to"),
    "run, with a budget": (by_command("run", "--inline", "--max-usd", "40"), False, "--yes-up-to"),
    "run as a flow": (by_command("run"), False, "--yes-up-to"),
    "run on workers": (by_command("run", "--on", "dask:1"), False, "--yes-up-to"),
    "a pilot": (by_command("quote", "--pilot", "1"), False, "--yes-up-to"),
    "forecast-open": (by_command("forecast-open", *NOW), True, "--yes-up-to"),
    "a job by hand": (lambda c, s, p: refused(c("wake", "forecast-open", s, *NOW, "--ledger", p)), True, "budget_usd"),
    "a job": (by_job, True, "budget_usd"),
    "a flow that was deployed": (by_flow, False, "budget_usd"),
    "a notebook": (by_notebook, False, "max_usd=40"),
}


@pytest.fixture(scope="module")
def server():
    stand_in = StandIn(sampled=False)
    with Running(stand_in) as running:
        yield stand_in, f'{PAID}\nbase_url = "{running.url}"'


@pytest.mark.parametrize("door", DOORS)
def test_no_door_spends_what_nobody_agreed_to(tmp_path, coordeval, monkeypatch, server, door):
    stand_in, model = server
    monkeypatch.setenv("ANTHROPIC_API_KEY", stand_in.key)
    enter, ahead, fix = DOORS[door]
    said = enter(coordeval, file(tmp_path, model, ahead=ahead), tmp_path / "l.duckdb")
    assert re.search(r"may cost \$0\.\d+ \(\$", said), "what it would cost"
    assert fix in said, "and what to write"
    assert stand_in.seen == [], "nothing was asked"


def test_a_refused_day_has_picked_nothing_and_a_bound_or_a_yes_lets_it_go_on(tmp_path, coordeval, monkeypatch, server):
    stand_in, model = server
    monkeypatch.setenv("ANTHROPIC_API_KEY", stand_in.key)
    study, ledger = file(tmp_path, model, ahead=True), tmp_path / "l.duckdb"
    refused(coordeval("forecast-open", study, *NOW, "--ledger", ledger))
    assert read(ledger).query("SELECT count(*) FROM picks").item() == 0
    done = coordeval("forecast-open", study, *NOW, "--yes-up-to", 5, "--ledger", ledger)
    assert (done.status, "quoted at $" in done.out) == (0, True), done.err
    assert "was not examined with these settings" in done.out
    asked = len(stand_in.seen)
    again = coordeval("forecast-open", study, *NOW, "--ledger", ledger)
    assert (again.status, len(stand_in.seen)) == (0, asked), "a day that is done asks nobody, and needs no yes"
    second = coordeval("wake", "forecast-open", study, "--now", "2026-01-02", "--set", "max_usd=5", "--ledger", ledger)
    assert second.status == 0, second.err
    assert len(stand_in.seen) > asked


def test_a_notebook_takes_a_bound_for_a_yes(tmp_path, monkeypatch):
    ran = []

    async def steps(loaded: Any, *rest: Any) -> None:
        ran.append(loaded.study.budget_usd)

    monkeypatch.setattr("coordeval.flows.notebook.run_steps", steps)
    monkeypatch.setattr("coordeval.flows.notebook.score", lambda *given: None)
    package.run(file(tmp_path, bound="budget_usd = 5"), tmp_path / "n.duckdb")
    package.run(file(tmp_path), tmp_path / "n.duckdb", max_usd="2.50")
    package.run(file(tmp_path), tmp_path / "n.duckdb", yes=True)
    assert ran == [Decimal(5), Decimal("2.50"), None]
    with pytest.raises(package.CoordevalError, match="budget_usd"):
        package.run(file(tmp_path), tmp_path / "n.duckdb", max_usd=-1)


def test_an_exam_whose_limit_cannot_be_kept_needs_a_yes(tmp_path, coordeval):
    study = file(tmp_path, 'provider = "openai"\nid = "qwen"\nbase_url = "http://127.0.0.1:9"')
    said = refused(coordeval("check-model", study, "--ledger", tmp_path / "l.duckdb"))
    assert "the price of qwen is not known, so --max-usd cannot be kept" in said
    assert "or say --yes" in said


# --- quotes of what is picked later


@pytest.mark.proof
def test_a_prospective_study_is_quoted_by_the_day(tmp_path, coordeval):
    study, ledger = file(tmp_path, ahead=True), tmp_path / "l.duckdb"
    one, ten = (
        json.loads(coordeval("quote", study, *days, "--json", "--ledger", ledger).out) for days in ((), ("--days", 10))
    )
    assert (one["days"], one["open"], one["markets"]) == (1, 4, 2)
    assert (ten["days"], ten["open"], ten["markets"]) == (10, 40, 20)
    assert 5 < ten["live"]["mean"] / one["live"]["mean"] < 20
    assert one["study_id"] == load_study(study).id
    assert "made-up ones in their place" in one["notes"][-1]
    assert "on 20 markets in 10 days" in coordeval("quote", study, "--days", 10, "--ledger", ledger).out
    assert "forecast day by day" in refused(coordeval("quote", study, "--pilot", 1, "--ledger", ledger))
    assert "--days 3: known forecasts markets that are known" in refused(
        coordeval("quote", file(tmp_path, name="known"), "--days", 3, "--ledger", ledger)
    )


def test_searches_of_the_provider_are_said_not_to_be_in_a_guess(tmp_path, coordeval):
    study = file(tmp_path, f'{PAID}\n[agents]\ntools = ["market_details", "web_search"]', ahead=True)
    found = json.loads(coordeval("quote", study, "--json", "--ledger", tmp_path / "l.duckdb").out)
    assert any("searches of the provider are not in it" in note for note in found["notes"])
