"""The self-test: its truths against brute force, its verdicts against exact ones, and that it finds what is broken."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import binom
from typer.testing import CliRunner

import analysis.resampling
from agents.simulated import SimulatedModel
from analysis import AnalysisError, bootstrap, plain_sampling, variance
from analysis.bootstrap import MEASURES
from analysis.coordination import coordination
from analysis.grid import PRICE as MARKET
from analysis.pooling import pooling
from analysis.selftest import QUICK, Check, Row, coverage, failures, page, selftest, truth
from analysis.selftest.benches import TRIO
from analysis.selftest.talk import PARAMETERS, anchored, estimates, first_view, read, revised, said, talk
from analysis.selftest.talk_truth import talked
from analysis.selftest.worlds import FORECASTERS, PRICE, REGIMES, as_scored, draw, frame
from analysis.tracking import tracking
from flows.cli import app

EVERY = tuple(measure for family in MEASURES.values() for measure in family)


@pytest.fixture(scope="module", params=REGIMES, ids=lambda regime: regime.name)
def large(request):
    """A world of 60,000 markets: brute force."""
    rng = np.random.default_rng(14)
    world = draw(60_000, regime=request.param, rng=rng)
    return request.param, world, as_scored(frame(world, rng=rng))


def test_true_values_of_every_measure_are_those_of_a_large_world(large):
    regime, _, scored = large
    found = bootstrap(scored, n=100).table
    for row in found.iter_rows(named=True):
        who = next(who for who in (*FORECASTERS, replace(PRICE, name=MARKET)) if who.name == row["configuration"])
        value = truth.measures(who, regime)[row["measure"]]
        assert row["estimate"] == pytest.approx(value, abs=4 * row["sd"] + 5e-5), row


def test_true_values_of_tracking_and_of_plain_sampling_are_those_of_a_large_world(large):
    regime, world, scored = large
    for row in tracking(scored, n=200).table.iter_rows(named=True):
        who = next(who for who in FORECASTERS if who.name == row["configuration"])
        half = (row["high"] - row["low"]) / 2
        assert row["estimate"] == pytest.approx(truth.follows(who, regime)[row["measure"]], abs=2.5 * half), row
    lone = FORECASTERS[-1]
    assert plain_sampling(world.forecasts[lone.name], world.y).c == pytest.approx(
        truth.pooled_brier(lone, regime), abs=0.002
    )


@pytest.mark.parametrize("regime", REGIMES, ids=lambda regime: regime.name)
def test_true_variance_components_are_those_of_a_large_world(regime):
    rng = np.random.default_rng(12)
    scored = as_scored(frame(draw(100_000, regime=regime, forecasters=TRIO, rng=rng), TRIO, rng=rng))
    true = truth.components(TRIO, regime)
    for row in variance(scored, n=100).components.iter_rows(named=True):
        half = (row["high"] - row["low"]) / 2
        assert row["variance"] == pytest.approx(true[row["component"]], abs=2.5 * half), row


def test_true_values_of_talk_are_those_that_the_library_finds_in_a_large_world():
    regime = REGIMES[0]
    cells = estimates(talk(10_000, regime=regime, rng=np.random.default_rng(13)))
    true, found = talked(regime), coordination(cells, n=50)
    rows = [(row["configuration"], row["measure"], row) for row in found.gain.iter_rows(named=True)]
    rows += [
        (row["configuration"], f"round {row['round']}: {row['measure']}", row) for row in found.rounds.iter_rows(named=True)
    ]
    for configuration, measure, row in rows:
        half = (row["high"] - row["low"]) / 2
        assert row["estimate"] == pytest.approx(true[configuration, measure], abs=2.5 * half), (configuration, measure)
    for row in pooling(cells, n=50).table.filter(stage="first").iter_rows(named=True):
        half = (row["delta_high"] - row["delta_low"]) / 2
        assert row["delta"] == pytest.approx(true[row["configuration"], row["pool"]], abs=2.5 * half + 1e-12), row


@pytest.mark.parametrize("role", ["forecaster", "critic", "aligner"])
def test_agents_who_talk_follow_the_equations_of_the_simulated_model(role):
    """The same numbers in, the same probability out, to its four decimals."""
    model = SimulatedModel(PARAMETERS)
    luck = SimpleNamespace(noise=0.8)
    noise = np.array(0.8416212335729143)
    price, evidence = read(np.array(0.35)), read(np.array([0.7, 0.55]))
    if role == "forecaster":
        opening = SimpleNamespace(own=None, peers=(), readings=(), price=float(price), role=role, question="Will?")
        heard = SimpleNamespace(evidence=[("a", float(evidence[0])), ("b", float(evidence[1]))])
        from agents.simulated import _bias  # the draw that all agents share has no other name

        bias = np.array(_bias(PARAMETERS.seed, "Will?"))
        ours = anchored(first_view(evidence.mean(), bias, noise, PARAMETERS), price, PARAMETERS)
    else:
        opening = SimpleNamespace(
            own=-0.4, peers=(0.3, 1.1), readings=(), price=float(price), role=role, question="Will it?"
        )
        heard = SimpleNamespace(evidence=[])
        herding = PARAMETERS.herding + (PARAMETERS.conformity if role == "aligner" else 0)
        ours = revised(np.array(-0.4), np.array(0.7), herding, noise, PARAMETERS)
    theirs = np.array(model._estimate(opening, heard, luck))
    assert said(ours) == said(theirs)


SMALL = {"forecasts": {60: 4}, "nulls": {60: 3}, "calibrated": {60: 3}, "looks": {60: 3}, "parts": {60: 3}, "talks": {60: 2}}


def test_the_result_depends_on_the_seed_and_not_on_the_number_of_processes():
    plan = {"calibrated": {60: 6}, "looks": {60: 4}}
    here, elsewhere = (selftest(plan, resamples=100, cores=cores) for cores in (1, 2))
    assert here.rows == elsewhere.rows
    assert selftest(plan, resamples=100, cores=1, seed=1).rows != here.rows


def test_every_bench_judges_each_check_once_per_world_and_every_interval_of_the_bootstrap_is_among_them():
    found = selftest(SMALL, resamples=100, cores=1)
    for row in found.rows:
        assert row.worlds + row.undefined in set().union(*(sizes.values() for sizes in SMALL.values())), row
    assert set(EVERY) <= {row.check.measure for row in found.rows}
    assert {row.check.world for row in found.rows} == {regime.name for regime in REGIMES}
    stored = coverage(found, "coordeval")
    assert set(stored["coverage"]) == set(EVERY)
    for measure in EVERY:
        mine = [row.figure for row in found.rows if row.check.measure == measure and row.figure is not None]
        assert stored["coverage"][measure]["60"] == pytest.approx(min(mine), abs=0.01)
    text = page(found, "coordeval selftest statistics --made-up")
    assert "coordeval selftest statistics --made-up" in text
    assert all(f"| {row.check.measure}" in text for row in found.rows)


def row(right, worlds, *, kind="interval", planned=None, measure="made up"):
    check = Check(kind=kind, measure=measure, world="balanced", markets=100, of="a")
    return Row(check=check, right=right, worlds=worlds, undefined=0, planned=planned)


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        pytest.param(row(950, 1000), "nominal", id="95%"),
        pytest.param(row(935, 1000), "nominal", id="93.5% is just within"),
        pytest.param(row(934, 1000), "FAILED", id="93.4% is not, whatever the Monte Carlo error"),
        pytest.param(row(980, 1000), "conservative", id="98%"),
        pytest.param(row(0, 0), "FAILED", id="never defined"),
        pytest.param(row(50, 1000, kind="test"), "nominal", id="a test at 5%"),
        pytest.param(row(66, 1000, kind="test"), "FAILED", id="a test that rejects too often"),
        pytest.param(row(10, 1000, kind="test"), "conservative", id="a test that rejects rarely"),
        pytest.param(row(50, 1000, kind="anytime"), "holds", id="a sequence at its bound"),
        pytest.param(row(51, 1000, kind="anytime"), "FAILED", id="a sequence beyond it"),
        pytest.param(row(775, 1000, kind="power", planned=80.0), "as planned", id="power 2.5 points below"),
        pytest.param(row(840, 1000, kind="power", planned=80.0), "FAILED", id="power 4 points above"),
    ],
)
def test_the_verdict_is_of_the_figure_as_it_stands(made, verdict):
    assert made.verdict == verdict


@pytest.mark.parametrize(
    ("made", "off"),
    [
        pytest.param(row(93, 100), False, id="chance explains it"),
        pytest.param(row(60, 100), True, id="chance does not"),
        pytest.param(row(930, 1000), False, id="half a point in 1,000 worlds"),
        pytest.param(row(9200, 10_000), True, id="1.5 points in 10,000"),
        pytest.param(row(30, 100, kind="test"), True, id="a test that rejects 30%"),
        pytest.param(row(8, 100, kind="test"), False, id="a test that rejects 8 of 100"),
        pytest.param(row(950, 1000, kind="power", planned=80.0), True, id="power far above plan"),
        pytest.param(row(0, 0), True, id="never defined"),
    ],
)
def test_a_failure_is_beyond_monte_carlo_error(made, off):
    assert bool(failures([made])) == off


def test_the_bound_on_chance_is_exact_and_shared_among_the_rows():
    """93.5% is the edge: of 1,000 worlds the fewest that pass are those with a binomial tail of 1% and more."""
    edge = int(binom.ppf(0.01, 1000, 0.935))
    assert not failures([row(edge, 1000)])
    assert failures([row(edge - 1, 1000)])
    assert not failures([row(edge - 1, 1000), row(950, 1000)])


def test_a_broken_interval_method_is_found(monkeypatch):
    """The percentile method for MCB, whose bias it does not see: sixty small worlds tell."""
    plan = {"forecasts": {60: 60}}
    assert not [bad for bad in selftest(plan, resamples=100, cores=1).failures if bad.check.measure == "mcb"]
    module = sys.modules["analysis.bootstrap"]  # `analysis.bootstrap` is the function
    monkeypatch.setattr(module, "METHODS", module.METHODS | dict.fromkeys(("mcb", "dsc"), "percentile"))
    found = selftest(plan, resamples=100, cores=1).failures
    assert {"mcb", "dsc"} <= {bad.check.measure for bad in found}


def test_intervals_that_are_too_short_are_found(monkeypatch):
    """Normal 80% tails in place of 95%."""
    whole = analysis.resampling._ends
    monkeypatch.setattr(analysis.resampling, "_ends", lambda *a, **k: whole(*a, **k | {"level": 0.8}))
    found = selftest({"parts": {60: 120}}, resamples=100, cores=1).failures
    assert any(bad.check.measure.startswith("variance") for bad in found)


def test_the_command_runs_writes_and_says_what_it_did(tmp_path):
    out, docs, stored = (tmp_path / name for name in ("all.json", "page.md", "coverage.json"))
    options = ["--quick", "--scale", "0.02", "--cores", "1", "--resamples", "100"]
    done = CliRunner().invoke(
        app, ["selftest", "statistics", *options, "--out", out, "--docs", docs, "--coverage", stored], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    assert "off beyond Monte Carlo error" in done.output
    assert all(path.stat().st_size > 1000 for path in (out, docs, stored))


def test_the_command_ends_with_1_where_a_figure_is_off(monkeypatch):
    whole = analysis.resampling._ends
    monkeypatch.setattr(analysis.resampling, "_ends", lambda *a, **k: whole(*a, **k | {"level": 0.2}))
    monkeypatch.setattr("analysis.selftest.QUICK", {"parts": {60: 60}})
    done = CliRunner().invoke(app, ["selftest", "statistics", "--quick", "--cores", "1", "--resamples", "100"])
    assert done.exit_code == 1
    assert "FAILED" in done.output


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        pytest.param({"forcasts": {100: 1}}, "forcasts", id="an unknown bench"),
        pytest.param({"looks": {5: 1}}, "markets is 5", id="too few markets"),
        pytest.param({"looks": {100: 0}}, "worlds is 0", id="no world"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused(plan, message):
    with pytest.raises(AnalysisError, match=message):
        selftest(plan, cores=1)


def test_the_quick_plan_covers_every_bench():
    from analysis.selftest import BENCHES

    assert set(QUICK) == set(BENCHES)
