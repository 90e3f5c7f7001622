"""Whole reports against simulated truth: the fast way states what a report does, and what is off is found."""

from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from coordeval.analysis import Record, diagnose, find, leaderboard
from coordeval.analysis.selftest import reports as whole
from coordeval.analysis.selftest.reports import SHAPES, Plan, Told, frame, reports, statements
from coordeval.analysis.selftest.worlds import as_scored
from coordeval.analysis.study.family import family_size
from coordeval.analysis.study.stated import stated
from coordeval.flows.cli.main import app


def test_the_fast_way_states_what_a_report_does():
    cells = frame(SHAPES[0], 90, {"b": 0.05, "price": 0.97}, rng=np.random.default_rng(3))
    kept = as_scored(cells)
    fast = statements(kept, n=200, seed=5)
    found, deeper = find(cells, kept, n=200, seed=5), diagnose(cells, kept, Record(), n=200, seed=5)
    slow = stated(found, deeper, leaderboard(cells, resamples=200, seed=5))
    assert {"market", "pair"} <= {each.kind for each in fast}
    assert [each for each in slow if each.kind != "blend"] == list(fast)
    assert found.tests == family_size(3) == 8


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_every_forecaster_of_a_world_is_calibrated_and_scores_the_same(shape):
    alone = replace(shape, heavy=False)  # one event that a fifth of all markets are in says little of a mean
    _, y, said = whole._world(alone, 100_000, {"a": shape.rho, "b": shape.rho}, rng=np.random.default_rng(1))
    assert y.mean() == pytest.approx(shape.base_rate, abs=0.01)
    a, b = (float(np.mean((p - y[:, None]) ** 2)) for p in said.values())
    assert a == pytest.approx(b, abs=2e-3)
    p = said["a"][:, 0]
    for low in (0, 0.2, 0.4, 0.6, 0.8):
        mine = (p >= low) & (p < low + 0.2)
        error = np.sqrt(np.sum((p * (1 - p))[mine])) / mine.sum()  # of Monte Carlo, if all is calibrated
        assert np.mean((y - p)[mine]) == pytest.approx(0, abs=4 * error + 0.001), low  # and what rounding to hundredths adds


@pytest.mark.proof
def test_a_short_form_finds_nothing_stated_that_is_not_so():
    plan = Plan(null={60: 4}, planted={100: 6}, resamples=120, shapes=SHAPES[:1])
    for told in reports(plan, seed=1):
        assert told.failures == (), told


@pytest.mark.parametrize(
    ("wrong", "found", "off"),
    [
        pytest.param(20, None, False, id="5% of null reports state something"),
        pytest.param(40, None, True, id="10% do"),
        pytest.param(4, 320, False, id="80% state what is planted"),
        pytest.param(4, 280, True, id="70% do"),
        pytest.param(4, 360, True, id="90% do: the plan is too dear"),
        pytest.param(14, 320, True, id="3.5% state something else"),
    ],
)
def test_a_figure_beyond_chance_is_a_failure(wrong, found, off):
    told = Told(shape="made", markets=100, reports=400, wrong=wrong, kinds={}, found=found)
    assert bool(told.failures) == off


def test_a_report_that_does_not_correct_is_found(monkeypatch):
    monkeypatch.setattr(whole, "factor", lambda tests: 0.2)  # each test at a fourth, so that few reports are enough
    plan = Plan(null={60: 12}, planted={}, resamples=100, shapes=SHAPES[:1])
    assert reports(plan, seed=2)[0].failures


def test_the_command_tells_what_it_found_and_fails_where_it_is_off(monkeypatch):
    told = [Told(shape="made", markets=100, reports=400, wrong=n, kinds={"market": n}) for n in (3, 60)]
    monkeypatch.setattr(whole, "reports", lambda plan, **options: told)
    result = CliRunner().invoke(app, ["selftest", "reports", "--quick", "--json"])
    assert result.exit_code == 1
    assert "15.0% state what is not so" in result.stdout
    assert "market 60" in CliRunner().invoke(app, ["selftest", "reports", "--quick"], terminal_width=200).stdout
