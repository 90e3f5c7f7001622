"""The self-test: its truths against brute force, its verdicts against exact ones, and that it finds what is broken."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import binom
from typer.testing import CliRunner

from coordeval.agents.simulated import SimulatedModel
from coordeval.agents.simulated_reading import Opening
from coordeval.analysis import AnalysisError, bootstrap, plain_sampling, variance
from coordeval.analysis.base import resampling
from coordeval.analysis.base.grid import PRICE as MARKET
from coordeval.analysis.quality.bootstrap import MEASURES, of_grid
from coordeval.analysis.quality.tracking import tracking
from coordeval.analysis.selftest import QUICK, Check, Row, benches, coverage, failures, kept, page, running, selftest, truth
from coordeval.analysis.selftest.benches import TRIO
from coordeval.analysis.selftest.recorded import attained
from coordeval.analysis.selftest.regimes import MILD, REGIMES, normal_grid
from coordeval.analysis.selftest.talk import PARAMETERS, anchored, estimates, first_view, read, revised, said, talk
from coordeval.analysis.selftest.talk_truth import talked
from coordeval.analysis.selftest.worlds import FORECASTERS, PRICE, as_grid, as_scored, draw, frame
from coordeval.analysis.selftest.writing import shape_by_shape
from coordeval.analysis.talk.coordination import coordination
from coordeval.analysis.talk.pooling import pooling
from coordeval.flows.cli.main import app

EVERY = tuple(measure for family in MEASURES.values() for measure in family)


def first_of(regimes):
    """The first one always, the others among the proofs."""
    return [pytest.param(one, id=one.name, marks=pytest.mark.proof if i else ()) for i, one in enumerate(regimes)]


@pytest.fixture(scope="module", params=first_of([REGIMES[0], REGIMES[-1]]))
def large(request):
    """A world of 12,000 markets: brute force."""
    rng = np.random.default_rng(14)
    world = draw(12_000, regime=request.param, rng=rng)
    return request.param, world, as_scored(frame(world, rng=rng))


def test_true_values_of_every_measure_are_those_of_a_large_world(large):
    regime, _, scored = large
    found = bootstrap(scored, n=50).table
    for row in found.iter_rows(named=True):
        who = next(who for who in (*FORECASTERS, replace(PRICE, name=MARKET)) if who.name == row["configuration"])
        value = truth.measures(who, regime)[row["measure"]]
        assert row["estimate"] == pytest.approx(value, abs=4 * row["sd"] + 5e-5), row


@pytest.mark.proof
def test_true_values_of_tracking_and_of_plain_sampling_are_those_of_a_large_world(large):
    regime, world, scored = large
    for row in tracking(scored, n=100).table.iter_rows(named=True):
        who = next(who for who in FORECASTERS if who.name == row["configuration"])
        half = (row["high"] - row["low"]) / 2
        assert row["estimate"] == pytest.approx(truth.follows(who, regime)[row["measure"]], abs=2.5 * half), row
    lone = FORECASTERS[-1]
    assert plain_sampling(world.forecasts[lone.name], world.y).c == pytest.approx(
        truth.pooled_brier(lone, regime), abs=0.004
    )


@pytest.mark.parametrize("regime", first_of(MILD))
@pytest.mark.proof
def test_true_variance_components_are_those_of_a_large_world(regime):
    rng = np.random.default_rng(12)
    scored = as_scored(frame(draw(100_000, regime=regime, forecasters=TRIO, rng=rng), TRIO, rng=rng))
    true = truth.components(TRIO, regime)
    for row in variance(scored, n=50).components.iter_rows(named=True):
        half = (row["high"] - row["low"]) / 2
        assert row["variance"] == pytest.approx(true[row["component"]], abs=2.5 * half), row


@pytest.mark.proof
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


ASKED = Opening(
    question="Will?",
    price=None,
    role="forecaster",
    answer="estimate",
    parts=0,
    own=None,
    peers=(),
    stances=(),
    readings=(),
    proposal=None,
)


@pytest.mark.parametrize("role", ["forecaster", "critic", "aligner"])
def test_agents_who_talk_follow_the_equations_of_the_simulated_model(role):
    """The same numbers in, the same probability out, to its four decimals."""
    model = SimulatedModel(PARAMETERS)
    luck = SimpleNamespace(noise=0.8)
    noise = np.array(0.8416212335729143)
    price, evidence = read(np.array(0.35)), read(np.array([0.7, 0.55]))
    if role == "forecaster":
        opening = replace(ASKED, price=float(price), role=role)
        heard = SimpleNamespace(evidence=[("a", float(evidence[0])), ("b", float(evidence[1]))])
        from coordeval.agents.simulated import _bias  # the draw that all agents share has no other name

        bias = np.array(_bias(PARAMETERS.seed, "Will?"))
        ours = anchored(first_view(evidence.mean(), bias, noise, PARAMETERS), price, PARAMETERS)
    else:
        opening = replace(ASKED, own=-0.4, peers=(0.3, 1.1), price=float(price), role=role)
        heard = SimpleNamespace(evidence=[])
        herding = PARAMETERS.herding + (PARAMETERS.conformity if role == "aligner" else 0)
        ours = revised(np.array(-0.4), np.array(0.7), herding, noise, PARAMETERS)
    theirs = np.array(model._estimate(opening, heard, luck))
    assert said(ours) == said(theirs)


SMALL = {
    **{"forecasts": {60: 2}, "nulls": {60: 2}, "headline": {40: 2}},
    **{"calibrated": {60: 1}, "looks": {60: 1}, "parts": {60: 1}, "talks": {60: 1}, "shapes": {50: 1}},
}


@pytest.fixture
def coarse(monkeypatch):
    """True values by a tenth of the nodes, for what is counted and written whatever they are."""
    kept = [made for made in vars(benches).values() if hasattr(made, "cache_clear")]
    monkeypatch.setattr(truth, "normal_grid", lambda nodes=601: normal_grid(nodes))
    monkeypatch.setattr(truth, "_COARSE", 201)
    monkeypatch.setattr(truth, "_KEPT", 41)
    for made in kept:
        made.cache_clear()
    yield
    for made in kept:
        made.cache_clear()


@pytest.mark.proof
def test_the_result_depends_on_the_seed_and_not_on_the_number_of_processes():
    plan = {"calibrated": {60: 3}, "looks": {60: 2}}
    here, elsewhere = (selftest(plan, resamples=100, cores=cores) for cores in (1, 2))
    assert here.rows == elsewhere.rows
    assert selftest(plan, resamples=100, cores=1, seed=1).rows != here.rows


def test_a_run_that_was_interrupted_goes_on_from_what_it_kept_and_not_from_what_other_code_made(tmp_path, monkeypatch):
    plan = {"calibrated": {60: 3}, "looks": {60: 2}}
    how = {"resamples": 100, "cores": 1}
    selftest({"looks": plan["looks"]}, folder=tmp_path, **how)  # as if interrupted after it
    counted = []
    count = running.count
    monkeypatch.setattr(running, "count", lambda tasks, folder: counted.append(tasks[0].bench) or count(tasks, folder))
    whole = selftest(plan, folder=tmp_path, **how)
    assert set(counted) == {"calibrated"}
    assert whole.rows == selftest(plan, **how).rows
    counted.clear()
    assert selftest(plan, folder=tmp_path, **how).rows == whole.rows
    assert not counted
    monkeypatch.setattr(kept, "code", lambda: "of another state")
    selftest({"looks": plan["looks"]}, folder=tmp_path, **how)
    assert set(counted) == {"looks"}


@pytest.mark.proof
def test_every_bench_judges_each_check_once_per_world_and_every_interval_of_the_bootstrap_is_among_them(coarse):
    found = selftest(SMALL, resamples=100, cores=1)
    for row in found.rows:
        assert row.worlds + row.undefined in set().union(*(sizes.values() for sizes in SMALL.values())), row
    assert set(EVERY) <= {row.check.measure for row in found.rows}
    assert {row.check.world for row in found.rows} == {regime.name for regime in REGIMES}
    stored = coverage(found, "coordeval")
    assert set(stored["coverage"]) == set(EVERY)
    for measure in EVERY:
        of = [row for row in found.rows if row.check.measure == measure and row.check.markets == 60]
        mine = [row.figure for row in of if row.figure is not None]
        if measure == "wbv":  # withheld: too few events
            assert not mine
            continue
        assert stored["coverage"][measure]["60"] == pytest.approx(min(mine), abs=0.01)
    text = page(found, "coordeval selftest statistics --made-up")
    assert "coordeval selftest statistics --made-up" in text
    assert all(f"| {row.check.measure}" in text for row in found.rows)
    header, *lines = shape_by_shape(found.rows)
    assert header[:3] == ("shape", "markets", "Brier")
    assert {line[:2] for line in lines} >= {(regime.name, "50") for regime in REGIMES}


def row(right, worlds, *, kind="interval", planned=None, measure="made up", undefined=0):
    check = Check(kind=kind, measure=measure, world="balanced", markets=100, of="a")
    return Row(check=check, right=right, worlds=worlds, undefined=undefined, planned=planned)


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        pytest.param(row(950, 1000), "nominal", id="95%"),
        pytest.param(row(935, 1000), "nominal", id="93.5% is just within"),
        pytest.param(row(934, 1000), "FAILED", id="93.4% is not, whatever the Monte Carlo error"),
        pytest.param(row(980, 1000), "conservative", id="98%"),
        pytest.param(row(0, 0), "FAILED", id="never defined"),
        pytest.param(row(0, 0, undefined=9), "FAILED", id="never given, for no reason that is known"),
        pytest.param(row(0, 0, undefined=9, measure="wbv"), "withheld", id="never given, by its rule"),
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
    assert failures([row(edge - 1, 1000), row(10, 10)]), "of so few worlds no share of the chance is taken"


@pytest.mark.parametrize("check", attained(), ids=lambda check: f"{check.measure}, {check.of}")
def test_the_quick_plan_finds_a_headline_measure_that_became_worse_by_four_points(check):
    """By the exact binomial, among as many rows and worlds as it has; one that did not change is told once in 1,000 runs."""
    worlds, (before, of) = QUICK["headline"][100], attained()[check]
    others = [row(38_000, 40_000), *[row(round(0.95 * worlds), worlds)] * 13]

    def tells(right):
        made = Row(check=check, right=right, worlds=worlds, undefined=0, planned=None)
        return made in failures([made, *others])

    step = -1 if check.kind == "interval" else 1
    low, high = sorted((round(worlds * (before / of + 0.1 * step)), round(worlds * before / of)))
    sound, broken = (low, high) if step > 0 else (high, low)
    assert tells(broken)
    assert not tells(sound)
    while abs(sound - broken) > 1:
        middle = (sound + broken) // 2
        sound, broken = (sound, middle) if tells(middle) else (middle, broken)
    share = min(before / of, 0.9995)

    def chance(p):
        return binom.cdf(broken, worlds, p) if step < 0 else binom.sf(broken - 1, worlds, p)

    assert chance(share + 0.04 * step) > 0.9
    assert chance(share) < 0.001


@pytest.mark.proof  # its short form is the next test
def test_a_broken_interval_method_is_found(monkeypatch):
    """The percentile method for MCB, whose bias it does not see: a few small worlds tell."""
    whole = selftest({"forecasts": {60: 8}}, resamples=100, cores=1)
    assert not [bad for bad in whole.failures if bad.check.measure in ("mcb", "dsc")]
    module = sys.modules["coordeval.analysis.quality.bootstrap"]  # `analysis.quality.bootstrap` is the function
    monkeypatch.setattr(module, "METHODS", module.METHODS | {"mcb": "percentile"})
    monkeypatch.setattr(module, "REACHING", module.REACHING | {"dsc": "percentile"})
    found = selftest({"forecasts": {60: 40}}, resamples=100, cores=1).failures
    assert {"mcb", "dsc"} <= {bad.check.measure for bad in found}


@pytest.mark.proof
def test_intervals_that_are_too_short_are_found(monkeypatch, coarse):
    """Normal 80% tails in place of 95%."""
    whole = resampling._ends
    monkeypatch.setattr(resampling, "_ends", lambda *a, **k: whole(*a, **k | {"level": 0.8}))
    found = selftest({"parts": {60: 60}}, resamples=100, cores=1).failures
    assert any(bad.check.measure.startswith("variance") for bad in found)


def test_forecasts_that_are_arrays_are_measured_as_those_of_a_frame():
    rng = np.random.default_rng(1)
    world = draw(40, regime=REGIMES[0], forecasters=FORECASTERS[:2], rng=rng)
    there = as_grid(world, ["calibrated", "noisy"])
    found = of_grid(there, "common", families=("brier", "corp"), n=50, seed=0).table.drop("method", "reason")
    framed = bootstrap(as_scored(frame(world, FORECASTERS[:2], rng=rng)), families=("brier", "corp"), n=50).table
    assert set(found["configuration"]) == set(framed["configuration"])
    key = ["configuration", "measure"]
    assert found.sort(key)["estimate"].to_list() == pytest.approx(framed.sort(key)["estimate"].to_list())


@pytest.mark.parametrize("regime", REGIMES, ids=lambda regime: regime.name)
def test_a_world_resolves_as_often_as_it_says_and_its_events_have_the_sizes_that_it_says(regime):
    world = draw(20_000, regime=regime, forecasters=FORECASTERS[:2], rng=np.random.default_rng(6))
    size = np.bincount(world.event)
    if regime.sizes in ("small", "published"):
        rate = truth.table(FORECASTERS[0], regime).hits.sum()
        assert world.y.mean() == pytest.approx(rate, abs=0.015)
    assert size.max() <= {"small": 3, "published": 4}.get(regime.sizes, 4000)
    assert (size.max() == 4000) == (regime.sizes == "one large")
    a, b = (logit(np.clip(world.forecasts[name][:, 0], 0.005, 0.995)) for name in ("calibrated", "noisy"))
    assert (np.corrcoef(a, b)[0, 1] > 0.8) or regime.name != "alike"


def test_an_interval_allows_for_the_outcome_that_has_not_been_seen():
    """4% resolve YES, 30 markets: where none did, a plain interval of the Brier score ends far below the truth."""
    rare, true, held, seen = REGIMES[2], truth.measures(FORECASTERS[0], REGIMES[2])["brier"], 0, 0
    for seed in range(60):
        world = draw(30, regime=rare, forecasters=FORECASTERS[:1], rng=np.random.default_rng(seed))
        there = as_grid(world, ["calibrated"])
        row = of_grid(there, "common", families=["brier"], n=200, seed=seed).table.row(0, named=True)
        held += row["low"] <= true <= row["high"]
        seen += world.y.any()
    assert seen < 60
    assert held >= 55  # the plain one: 44


@pytest.mark.proof
def test_the_command_runs_writes_and_says_what_it_did(tmp_path, coarse, monkeypatch):
    monkeypatch.setattr("coordeval.analysis.selftest.QUICK", SMALL)
    out, docs, stored = (tmp_path / name for name in ("all.json", "page.md", "coverage.json"))
    options = ["--quick", "--cores", "1", "--resamples", "100"]
    done = CliRunner().invoke(
        app, ["selftest", "statistics", *options, "--out", out, "--docs", docs, "--coverage", stored], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    assert "off beyond Monte Carlo error" in done.output
    assert all(path.stat().st_size > 1000 for path in (out, docs, stored))


def test_the_command_ends_with_1_where_a_figure_is_off(monkeypatch, coarse):
    whole = resampling._ends
    monkeypatch.setattr(resampling, "_ends", lambda *a, **k: whole(*a, **k | {"level": 0.2}))
    monkeypatch.setattr("coordeval.analysis.selftest.QUICK", {"parts": {60: 8}})
    done = CliRunner().invoke(app, ["selftest", "statistics", "--quick", "--cores", "1", "--resamples", "100"])
    assert done.exit_code == 1
    assert "FAILED" in done.output


@pytest.mark.parametrize("options", [["--only", "forcasts"], ["--only", "looks", "--docs", "page.md"]])
def test_a_bench_that_is_not_there_and_a_page_of_some_benches_are_refused(options):
    done = CliRunner().invoke(app, ["selftest", "statistics", "--quick", *options])
    assert done.exit_code == 1
    assert "--only" in str(done.exception)


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
    from coordeval.analysis.selftest import BENCHES

    assert set(QUICK) == set(BENCHES)


def test_the_measures_of_groups_hold_the_truth_of_their_worlds():
    """A formula that is off misses everywhere; of intervals at 95% one in five would not."""
    seen = [
        held
        for world in ("balanced", "skewed")
        for _, held in benches.BENCHES["grouped"](benches.Task(bench="grouped", world=world, markets=200, number=3))
    ]
    held = [one for one in seen if one is not None]
    assert len(held) >= 68
    assert sum(held) >= 0.8 * len(held)
