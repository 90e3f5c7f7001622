"""`coordeval plan`: what a second study would see and cost, from a stored first one or from the simulator."""

import dataclasses
import json
import sys

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from coordeval.analysis.base.frames import Scored
from coordeval.analysis.plan.power import best, power
from coordeval.analysis.plan.variance import variance
from coordeval.flows.cli.main import app
from coordeval.flows.plan.first_study import FirstStudy, Prices, first_study
from coordeval.flows.plan.power_plan import Wanted, power_plan
from coordeval.flows.run.scoring import score
from coordeval.ledger import read
from coordeval.market_data.errors import CoordevalError
from tests.flows.run.test_run import run

PARTS = (0.003, 0.0, 0.0008, 0.0012)


def said(plan) -> str:
    return " ".join(plan.words)


REPORT = {"alpha": 0.04, "comparisons": 10}


def world(*, markets=400, replicates=2) -> Scored:
    """Four configurations on markets that resolve NO, with squared errors of the components PARTS."""
    rng = np.random.default_rng(11)
    m, _, mc, r = np.sqrt(PARTS)
    shape = (markets, 4, replicates)
    errors = 0.4 + m * rng.normal(size=(markets, 1, 1)) + mc * rng.normal(size=(markets, 4, 1)) + r * rng.normal(size=shape)
    i, c, k = np.indices(shape).reshape(3, -1)
    names = {"market_id": np.char.add("m", i.astype(str)), "event_id": np.char.add("e", i.astype(str))}
    numbers = {
        "replicate": k,
        "probability": np.sqrt(np.clip(errors, 0, 1)).ravel(),
        "outcome": 0 * i,
        "model_calls": 0 * i + 1,
    }
    frame = pl.DataFrame({"configuration": np.char.add("c", c.astype(str)), **names, **numbers, "market_price": 0.2 + 0 * i})
    return Scored(frame=frame, policy="available", n_markets=markets, left_out=pl.DataFrame())


def made(*, usd=(0.02, 0.05), share=1.0, **options) -> FirstStudy:
    """A first study whose variance components are known."""
    names = [f"c{i}" for i in range(4)]
    prices = dict(zip(names, [*usd, *usd], strict=True))
    unknown = None if all(prices.values()) else "the price book does not know it"
    return FirstStudy(
        name="made",
        labels=(),
        about="made up",
        simulated=False,
        variance=variance(world(**options), n=400),
        prices=Prices(usd=prices, paid_share=share, source="made up", reason=unknown),
        priced=True,
        sampled=False,
    )


@pytest.fixture(scope="module")
def first() -> FirstStudy:
    return made()


@pytest.fixture(scope="module")
def ledger_path(tmp_path_factory):
    """A simulated first study of 40 markets."""
    from tests.flows.conftest import SMALL

    folder = tmp_path_factory.mktemp("plan")
    (folder / "s.toml").write_text(SMALL.replace("count = 6", "count = 40"))
    run(folder / "s.toml", folder / "l.duckdb")
    return folder / "l.duckdb"


def test_the_table_is_that_of_the_planned_power_corrected_for_all_that_a_report_asks(first):
    plan = power_plan(first, Wanted(markets=[50, 100], replicates=[1, 2], delta=0.002))
    expected = power(
        first.variance, markets=[50, 100], replicates=[1, 2], delta=0.002, usd_per_cell=plan.usd_per_cell, **REPORT
    )
    assert plan.table.select(expected.columns).equals(expected)
    assert plan.comparisons == 10  # six pairs, and each of four against the price
    assert plan.table["usd"].to_list() == pytest.approx([50 * 0.14, 100 * 0.14, 100 * 0.14, 200 * 0.14])


def test_the_ends_of_the_intervals_hold_the_plan(first):
    table = power_plan(first, Wanted(delta=0.0005)).table
    assert table.filter(~pl.col("power").is_between("power_low", "power_high")).is_empty()
    assert table.filter(~pl.col("detectable").is_between("detectable_low", "detectable_high")).is_empty()
    assert table.filter(pl.col("power_low") < pl.col("power_high")).height


def test_one_replicate_plans_one_replicate_and_says_why_no_more():
    plan = power_plan(made(replicates=1), Wanted(replicates=[1, 2], budget_usd=100))
    one, two = (plan.table.filter(replicates=r) for r in (1, 2))
    assert one["power"].null_count() == one["power_low"].null_count() == 0
    assert two["power"].null_count() == two.height
    assert two["ends_reason"].null_count() == 0
    assert "sampling noise is unknown: the first study had one replicate" in said(plan)
    assert plan.best.replicates == 1


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        pytest.param(None, "another market adds all of its information", id="as many markets as wanted"),
        pytest.param(60, "there are only 60 markets", id="the limit makes replicates worth it"),
    ],
)
def test_the_best_spending_is_found_and_its_reason_is_the_true_one(first, limit, words):
    plan = power_plan(first, Wanted(budget_usd=50, available_markets=limit))
    expected = best(first.variance, budget_usd=50, usd_per_cell=plan.usd_per_cell, available_markets=limit, **REPORT)
    assert (plan.best.markets, plan.best.replicates) == (expected.markets, expected.replicates)
    assert words in said(plan)
    assert ("noise floor stays unknown" in said(plan)) == (expected.replicates == 1)
    assert ("replicates without end" in said(plan)) == (limit is not None)
    if limit:
        assert plan.table["markets"].max() == limit, "the table has what there is"


def test_a_budget_that_buys_nothing_says_what_the_least_costs(first):
    plan = power_plan(first, Wanted(budget_usd=0.1))
    assert plan.best.markets is None
    assert "How to spend $0.1000 best cannot be said: two markets cost 0.28 USD." in said(plan)
    assert plan.table["power"].null_count() == 0, "the table needs no budget"


@pytest.mark.parametrize("usd", [(0.02, None), (0.0, 0.0)], ids=["unknown price", "free"])
def test_without_a_price_there_is_power_but_no_spending(usd):
    free = usd == (0.0, 0.0)
    first = made()
    prices = dataclasses.replace(
        first.prices, usd=dict(zip(first.prices.usd, usd * 2, strict=True)), reason=None if free else "nobody knows it"
    )
    plan = power_plan(dataclasses.replace(first, prices=prices), Wanted(budget_usd=10))
    assert plan.best is None
    assert ("cost nothing" if free else "nobody knows it") in plan.reasons["best"]
    assert plan.reasons["best"] in said(plan)
    assert plan.table["power"].null_count() == 0
    assert plan.table["usd"].null_count() == (0 if free else plan.table.height)


def test_fewer_configurations_cost_less_and_are_corrected_less(first):
    whole, two = (power_plan(first, Wanted(configurations=k, markets=[100], replicates=[1])) for k in (None, 2))
    assert (whole.comparisons, two.comparisons) == (10, 3)
    assert two.table["usd"][0] == pytest.approx(whole.table["usd"][0] / 2)
    assert two.table["detectable"][0] < whole.table["detectable"][0]
    assert "2 times the mean" in said(two)


def test_what_is_shared_is_paid_once():
    plan = power_plan(made(share=0.6), Wanted(markets=[100], replicates=[1]))
    assert plan.table["usd"][0] == pytest.approx(100 * 0.14 * 0.6)
    assert "paid once: 60% of their full $0.1400" in said(plan)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"markets": [1]}, "--markets 1"),
        ({"replicates": [2, 0]}, "--replicates 2,0"),
        ({"configurations": 1}, "--configurations 1"),
        ({"available_markets": 1}, "--available-markets 1"),
        ({"alpha": 5.0}, "--alpha 5"),
        ({"power": 1.0}, "--power 1"),
        ({"delta": 0.0}, "--delta 0"),
        ({"budget_usd": float("nan")}, "--budget nan"),
    ],
)
def test_an_option_out_of_its_range_is_named(first, changed, words):
    with pytest.raises(CoordevalError, match=words):
        power_plan(first, Wanted(**changed))


def test_a_stored_study_is_planned_from_its_own_variances_and_charges(ledger_path):
    found = first_study("small", ledger_path)
    assert found.simulated
    assert any("SIMULATED" in label for label in found.labels)
    assert found.configurations == ("consensus_alignment", "independent_ensemble", "peer_critique_debate", "single_agent")
    report = score(ledger_path, "small")
    assert found.variance.components.equals(report.findings.variance.components)
    board = dict(report.board.table.select("configuration", "cost_usd_per_market").iter_rows())
    assert found.prices.usd == pytest.approx({name: board[name] for name in found.configurations})
    spent = read(ledger_path).query("SELECT sum(micro_usd) / 1e6 FROM draws").item()
    full = sum(found.prices.usd.values()) * 40 * 2
    assert found.prices.paid_share == pytest.approx(spent / full), "in a ledger of its own all that is paid is its own"


@pytest.fixture
def small_simulation(monkeypatch):
    """What is not stored is planned from fewer markets than usual: enough for prices and labels."""
    module = sys.modules["coordeval.flows.plan.first_study"]
    monkeypatch.setattr(module, "SIMULATED_MARKETS", 15)


@pytest.mark.usefixtures("small_simulation")
def test_a_file_that_ran_is_planned_from_what_is_stored_and_another_from_the_simulator(study_file, ledger_path):
    stored = first_study(str(study_file(("count = 6", "count = 40"))), ledger_path)
    assert "Planned from the study small" in stored.about
    before = read(ledger_path).studies().height
    simulated = first_study(str(study_file(("count = 6", "count = 41"))), ledger_path)
    assert "ran in the simulated world (seed 1)" in simulated.about
    assert simulated.labels[0].startswith("SIMULATED")
    assert read(ledger_path).studies().height == before, "nothing of it is stored"


LIVE = ('provider = "simulated"', 'provider = "anthropic"\nid = "claude-opus-4-6"')


@pytest.mark.proof
@pytest.mark.usefixtures("small_simulation")
def test_a_live_study_that_has_not_run_needs_no_key_and_is_priced_as_its_model(study_file, tmp_path, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    few = ('["single_agent", "market_price", "independent_ensemble", "peer_critique_debate", "consensus_alignment"]',
           '["single_agent", "market_price", { name = "independent_ensemble", agents = 2 }]')  # fmt: skip
    found = first_study(str(study_file(LIVE, few)), tmp_path / "absent.duckdb")
    assert "claude-opus-4-6" in found.prices.source
    assert all(price > 0 for price in found.prices.usd.values())
    assert found.labels[0].startswith("SIMULATED")
    unknown = first_study(
        str(study_file((LIVE[0], LIVE[1].replace("opus-4-6", "octopus-9")), few)), tmp_path / "absent.duckdb"
    )
    assert set(unknown.prices.usd.values()) == {None}
    assert "does not know claude-octopus-9" in unknown.prices.reason
    assert "add it under [prices]" in unknown.prices.reason
    own = study_file((LIVE[0], LIVE[1].replace("opus-4-6", "octopus-9")), few)
    rates = dict.fromkeys(("input", "output", "cache_write_5m", "cache_write_1h", "cache_read"), "1.0")
    own.write_text(own.read_text() + "\n[prices.claude-octopus-9]\n" + "\n".join(f'{k} = "{v}"' for k, v in rates.items()))
    assert first_study(str(own), tmp_path / "absent.duckdb").prices.reason is None


@pytest.mark.proof
def test_a_study_that_nothing_can_be_planned_from_says_why(study_file, tmp_path):
    path = tmp_path / "l.duckdb"
    names = '["single_agent", "market_price", "independent_ensemble", "peer_critique_debate", "consensus_alignment"]'
    run(study_file((names, '["single_agent", "market_price"]'), ('"small"', '"alone"')), path)
    with pytest.raises(CoordevalError, match=r"alone has 1 scored configuration .*single_agent.*add one"):
        first_study("alone", path)
    run(study_file(("count = 6", "count = 1"), ('"small"', '"tiny"')), path)
    tiny = power_plan(first_study("tiny", path), Wanted(budget_usd=10))
    assert "What a second study would see is not known" in said(tiny)
    broken = study_file((names, '["single_agent", "independent_ensemble"]'), ('"small"', '"failed"'))
    broken.write_text(
        broken.read_text() + "[model.parameters]\nmalformed_rate = 0.0\nrefusal_rate = 1.0\ntruncation_rate = 0.0\n"
    )
    run(broken, path)
    with pytest.raises(CoordevalError, match="nothing of failed is scored"):
        first_study("failed", path)
    with pytest.raises(CoordevalError, match="there is no study 'absent'"):
        first_study("absent", path)


def test_the_command_speaks_in_words_first_and_in_json(ledger_path):
    command = ["plan", "small", "--ledger", str(ledger_path), "--budget", "20", "--markets", "50,100", "--replicates", "1"]
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0, shown.output
    assert shown.output.index("The best way to spend $20.00") < shown.output.index("markets  replicates")
    assert shown.output.count("SIMULATED") == 2, "before and after"
    found = json.loads(CliRunner().invoke(app, [*command, "--json"]).output)
    assert found["simulated"] is True
    assert [row["markets"] for row in found["table"]] == [50, 100]
    assert found["best"]["markets"] > 2
    wrong = CliRunner().invoke(app, ["plan", "small", "--ledger", str(ledger_path), "--markets", "many"])
    assert "--markets 'many': give whole numbers" in str(wrong.exception)
