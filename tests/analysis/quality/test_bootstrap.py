"""The cluster bootstrap against SciPy and against resamples written out market by market; `test_selftest` has the truth."""

import json
from importlib.resources import files

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import ndtr, ndtri

from coordeval.analysis import AnalysisError, alpha, brier, corp, decompose, leaderboard, scored, skill
from coordeval.analysis.base.grid import PRICE, grid
from coordeval.analysis.base.resampling import Draws, Resamples, bias_and_acceleration, freedom, interval, measured, ratio
from coordeval.analysis.quality.bootstrap import COVERAGE, MEASURES, METHODS, bootstrap
from coordeval.analysis.quality.scores import base_rate
from coordeval.analysis.study.leaderboard import REFERENCE
from tests.analysis.reference import cell, failed, made_up, recorded, recorded_frame, table

EVERY = [measure for family in MEASURES.values() for measure in family]


def mean(sums):
    return ratio(sums[:, 1:], sums[:, :1])


def means(d, *, events=None, n=10_000, seed=0, left_out=False):
    """The mean of `d` over markets, resampled by event."""
    events = np.arange(d.size) if events is None else events
    columns = np.stack([np.bincount(events), np.bincount(events, d)], axis=1)[:, :, None]
    return measured(columns, mean, Resamples(events=len(columns), n=n, seed=seed), left_out=left_out)


def written_out(frame: pl.DataFrame, weights) -> dict[tuple[str, str], float]:
    """Every measure of a resample whose markets are really repeated, by the functions that measure one sample."""
    names = sorted(frame["event_id"].unique())
    times = pl.DataFrame({"event_id": names, "times": weights.astype(int)})
    rows = frame.join(times, on="event_id").filter(pl.col("times") > 0)
    repeated = rows.select(pl.exclude("times").repeat_by("times").explode())
    found = {}
    for (name,), mine in repeated.group_by("configuration"):
        values = []
        for _, part in mine.group_by("replicate"):
            p, y, price = (part[c].cast(pl.Float64).to_numpy() for c in ("probability", "outcome", "market_price"))
            d, c = decompose(p, y), corp(p, y)
            own = {m: getattr(d, m) for m in MEASURES["binned"]} | {"mcb": c.mcb, "dsc": c.dsc, "brier": brier(p, y)}
            own |= {"skill_market": skill(p, y, reference=price).value, "alpha": alpha(p, y, price).mean}
            values.append(own | {"skill_base": skill(p, y, reference=base_rate(y)).value})
        found |= {(measure, name): np.mean([v[measure] for v in values]) for measure in EVERY}
    return found


def test_every_measure_in_every_resample_is_that_of_the_repeated_markets():
    frame = made_up(markets=60, replicates=3, seed=4)
    result = bootstrap(scored(frame), n=25, seed=7)
    weights = np.concatenate([w.copy() for w in Resamples(events=result.n_events, n=25, seed=7).weights()])
    for b, row in enumerate(weights):
        theirs = written_out(frame, row)
        for c, name in enumerate(result.configurations[:-1]):
            for measure in EVERY:
                assert result.draws[measure][b, c] == pytest.approx(theirs[measure, name], abs=1e-12), (measure, name)


def test_the_estimates_are_those_of_the_leaderboard():
    frame = made_up(markets=70, replicates=2)
    board = leaderboard(frame, resamples=1).table
    for row in bootstrap(scored(frame), n=50).table.iter_rows(named=True):
        theirs = board.filter(configuration=row["configuration"])[row["measure"]][0]
        assert row["estimate"] == pytest.approx(theirs, abs=1e-12), row


@recorded
@pytest.mark.parametrize("policy", ["common", "available", "fallback_half"])
def test_the_estimates_are_those_of_the_leaderboard_on_the_recorded_study(policy):
    board = leaderboard(recorded_frame(), policy=policy, resamples=1).table
    found = bootstrap(scored(recorded_frame(), policy=policy), n=100)
    for row in found.table.iter_rows(named=True):
        theirs = board.filter(configuration=row["configuration"])[row["measure"]][0]
        assert row["estimate"] == pytest.approx(theirs, abs=1e-12), row
    assert found.n_events == (90 if policy != "common" else 84)


def test_every_measure_has_a_method_and_the_coverage_that_the_self_test_stored_for_that_method():
    assert set(METHODS) == set(COVERAGE) == set(EVERY)
    stored = json.loads(files("coordeval.analysis").joinpath("data/coverage.json").read_text(encoding="utf-8"))
    assert stored["methods"] == dict(METHODS), "an interval method changed: run `coordeval selftest statistics` again"
    assert all(set(sizes) == {100, 400, 1600} for sizes in COVERAGE.values())
    assert {"command", "version", "at", "seed", "resamples", "worlds"} <= set(stored)


def test_the_price_is_called_as_in_the_leaderboard():
    assert PRICE == REFERENCE


def test_each_resample_draws_as_many_events_as_there_are_whatever_the_block():
    resamples = Resamples(events=7, n=40, seed=1)
    whole = np.concatenate([w.copy() for w in resamples.weights()])
    assert whole.shape == (40, 7)
    assert np.all(whole.sum(axis=1) == 7)
    many = Resamples(events=70_000, n=9, seed=1)
    for rows in (1, 2, 4):
        blocks = np.concatenate([w.copy() for w in many.weights(rows=rows)])
        assert np.array_equal(blocks, np.concatenate([w.copy() for w in many.weights(rows=9)]))


@pytest.mark.parametrize(("method", "theirs"), [("percentile", "percentile"), ("bca", "BCa")])
def test_the_intervals_are_scipys(method, theirs):
    d = np.random.default_rng(3).exponential(size=60)
    tail = float(ndtr(stats.t.ppf(0.025, 59) * np.sqrt(60 / 59)))
    other = stats.bootstrap((d,), np.mean, n_resamples=20_000, confidence_level=1 - 2 * tail, method=theirs, rng=1)
    ours = interval(means(d, n=20_000, left_out=True), 0, 0, method=method, events=60)
    width = other.confidence_interval.high - other.confidence_interval.low
    assert (ours.low, ours.high) == pytest.approx(tuple(other.confidence_interval), abs=0.03 * width)
    assert ours.sd == pytest.approx(other.standard_error, rel=0.03)


def test_few_events_get_the_tails_of_student():
    d = np.random.default_rng(0).normal(size=8)
    found = interval(means(d, n=50_000), 0, 0, method="percentile", events=8)
    t = stats.ttest_1samp(d, 0).confidence_interval()
    assert found.high - found.low == pytest.approx(t.high - t.low, rel=0.12)


def test_without_an_event_is_without_all_its_markets():
    d, events = np.array([1.0, 3.0, 8.0, -2.0]), np.array([0, 0, 1, 2])
    assert means(d, events=events, left_out=True).left_out.ravel() == pytest.approx([3, 2 / 3, 4])


def test_bca_of_corp_leaves_events_out_one_by_one():
    frame = made_up(markets=20, configurations=1, replicates=1)
    found = bootstrap(scored(frame), families=["corp", "brier"], n=300, methods={"mcb": "bca"}).table
    assert found.filter(measure="brier")["method"][0] == METHODS["brier"] + "+turned"  # of 20 markets
    assert found.filter(measure="mcb")["low"][0] is not None


FORECASTS = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 1), st.integers(0, 5)), min_size=2, max_size=25)


@settings(max_examples=40, deadline=None)
@given(FORECASTS)
def test_the_identities_hold_in_every_resample(rows):
    frame = table(
        *(cell(market_id=f"m{i}", event_id=f"e{e}", probability=p / 100, outcome=y) for i, (p, y, e) in enumerate(rows))
    )
    d = bootstrap(scored(frame), n=20).draws
    assert d["unc"] + d["rel"] - d["res"] + d["wbv"] - d["wbc"] == pytest.approx(d["brier"], abs=1e-12)
    assert d["mcb"] - d["dsc"] + d["unc"] == pytest.approx(d["brier"], abs=1e-12)


@pytest.mark.proof
@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False))
def test_nothing_depends_on_the_order_of_rows_or_on_names(random):
    frame = made_up(markets=24)
    order = list(range(frame.height))
    random.shuffle(order)
    names = {"c0": "x", "c1": "y", "c2": "z"}
    renamed = frame[order].with_columns(pl.col("configuration").replace(names), pl.col("market_id") + " again")
    a, b = bootstrap(scored(frame), n=30), bootstrap(scored(renamed), n=30)
    assert a.table.with_columns(pl.col("configuration").replace(names)).equals(b.table)
    assert all(np.array_equal(a.draws[m], b.draws[m], equal_nan=True) for m in EVERY)


def test_a_copy_of_a_configuration_differs_from_it_in_no_resample():
    frame = made_up(markets=30)
    twin = frame.filter(configuration="c1").with_columns(configuration=pl.lit("c9"))
    found = bootstrap(scored(pl.concat([frame, twin])), n=100)
    first, second = (found.configurations.index(name) for name in ("c1", "c9"))
    for measure in EVERY:
        assert found.draws[measure][:, first] == pytest.approx(found.draws[measure][:, second], abs=1e-12)


def one(*rows, **changed):
    """A frame of one configuration: (event, probability, outcome) per market."""
    return scored(
        table(
            *(cell(market_id=f"m{i}", event_id=e, probability=p, outcome=y, **changed) for i, (e, p, y) in enumerate(rows))
        )
    )


@pytest.mark.parametrize(
    ("sample", "measure", "estimate", "reason"),
    [
        pytest.param(one(("e", 0.3, 1)), "brier", 0.49, "1 event", id="one market"),
        pytest.param(one(("e", 0.3, 1), ("e", 0.2, 0)), "rel", 0.265, "no bin holds two", id="two markets of one event"),
        pytest.param(
            one(*((f"e{i}", 0.1 * i, 0) for i in range(4))), "brier", 0.035, "needs 6", id="too few events for 95%"
        ),
        pytest.param(
            one(*((f"e{i}", 0.1 * i, 0) for i in range(9))), "skill_base", None, "one class only", id="one class, skill"
        ),
        pytest.param(
            one(*((f"e{i}", 0.4, i % 2) for i in range(8))), "wbv", 0.0, "the same in every", id="constant forecast"
        ),
        pytest.param(
            one(*((f"e{i}", 0.1 * i, i % 2) for i in range(10))),
            "rel_corrected",
            None,
            "no bin holds two",
            id="no bin of two",
        ),
    ],
)
def test_what_is_undefined_is_null_with_a_reason(sample, measure, estimate, reason):
    row = bootstrap(sample, n=200).table.filter(configuration="a", measure=measure).row(0, named=True)
    assert row["estimate"] == (None if estimate is None else pytest.approx(estimate, abs=1e-12))
    assert (row["low"], row["high"], row["sd"]) == (None, None, None)
    assert reason in row["reason"]


def test_one_class_alone_does_not_say_that_there_is_no_other():
    """Of 9 NOs the base rate may be up to 3/9: Clopper & Pearson."""
    found = bootstrap(one(*((f"e{i}", 0.1 * i, 0) for i in range(9))), n=200).table.filter(configuration="a", measure="unc")
    row, highest = found.row(0, named=True), 1 - 0.025 ** (1 / 9)
    assert (row["estimate"], row["low"], row["reason"]) == (0, 0, None)
    assert row["high"] == pytest.approx(highest * (1 - highest))


def test_every_null_has_a_reason_and_no_interval_is_without_width():
    for sample in (one(("e", 0.3, 1)), one(*((f"e{i}", 0.4, i % 2) for i in range(8))), scored(made_up(markets=30))):
        for row in bootstrap(sample, n=200).table.iter_rows(named=True):
            assert (row["reason"] is None) == (None not in (row["estimate"], row["low"], row["high"], row["sd"])), row
            assert row["low"] is None or row["low"] < row["high"]


def test_a_component_that_is_exactly_0_has_no_interval_without_width():
    rows = [(f"e{i}", float(i % 2), i % 2) for i in range(20)]
    for measure in ("mcb", "rel", "wbv"):
        row = bootstrap(one(*rows), n=200).table.filter(measure=measure, configuration="a").row(0, named=True)
        assert (row["estimate"], row["low"], row["high"]) == (pytest.approx(0, abs=1e-12), None, None)
        assert row["reason"]


def test_a_price_that_nobody_knows_is_no_configuration():
    found = bootstrap(one(*((f"e{i}", 0.1 * i, i % 2) for i in range(10)), market_price=None), n=50)
    assert found.configurations == ("a",)
    assert "no market price" in found.table.filter(measure="alpha")["reason"][0]


def test_replicates_missing_in_some_cells_count_once_each():
    frame = table(
        cell(market_id="m0", probability=0.1, outcome=0, replicate=0),
        failed(market_id="m0", outcome=0, replicate=1),
        *(cell(market_id="m1", probability=0.4, outcome=0, replicate=r) for r in (0, 1)),
    )
    found = bootstrap(scored(frame, policy="available"), n=20).table.filter(measure="brier", configuration="a")
    assert found["estimate"][0] == pytest.approx(((0.01 + 0.16) / 2 + 0.16) / 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        pytest.param(lambda: bootstrap(scored(table(cell(outcome=None)))), "nothing is scored", id="unresolved"),
        pytest.param(lambda: bootstrap(scored(table(cell(configuration=PRICE)))), "reference row", id="taken name"),
        pytest.param(lambda: bootstrap(scored(table(cell())), families=["bins"]), "unknown family", id="family"),
        pytest.param(lambda: bootstrap(scored(table(cell())), level=95), "such as 0.95", id="a percentage as level"),
        pytest.param(lambda: bootstrap(scored(table(cell())), n=1), "resamples is 1", id="one resample"),
        pytest.param(lambda: bootstrap(scored(table(cell(probability=float("nan"))))), "probability is nan", id="NaN"),
        pytest.param(lambda: bootstrap(scored(table(cell(), cell()))), "more than once", id="duplicates"),
        pytest.param(lambda: interval(means(np.ones(9)), 0, 0, method="bca", events=9, level=2), "level is 2", id="level"),
    ],
)
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises(AnalysisError, match=message):
        call()


def test_bca_without_a_jackknife_says_how_to_get_one():
    with pytest.raises(AnalysisError, match="left_out=True"):
        interval(means(np.arange(9.0), n=50), 0, 0, method="bca", events=9)


def test_a_measure_undefined_in_many_resamples_has_no_interval():
    drawn = Draws(
        estimate=np.array([[0.5]]),
        resampled=np.where(np.arange(100) < 10, np.nan, np.arange(100.0))[:, None, None],
        left_out=None,
    )
    assert "undefined in 10%" in interval(drawn, 0, 0, method="percentile", events=50).reason


def test_grid_has_one_row_per_market_and_events_together():
    sample = grid(scored(made_up(markets=9, replicates=2)))
    assert sample.p.shape == (9, 4, 2)
    assert np.all(np.diff(sample.event) >= 0)
    assert sample.by_event(np.ones(9)) == pytest.approx([2, 2, 2, 2, 1])
    assert sample.errors()[:, -1] == pytest.approx((sample.price - sample.y) ** 2)


def test_a_combined_method_reaches_to_the_outermost_ends_of_its_parts():
    d = np.random.default_rng(6).exponential(size=30)
    drawn = means(d, n=400, left_out=True)
    error = stats.sem(d)  # what leaving one out comes to for a mean
    centred, found = (interval(drawn, 0, 0, method=method, events=30) for method in ("centred", "centred+student"))
    freedom = 2 * 30 / (stats.kurtosis(d, fisher=False) - 1)
    assert freedom < 29, "the variance of a skewed sample is known less well"
    t = stats.t.ppf(0.975, freedom)
    assert found.low == pytest.approx(min(centred.low, d.mean() - t * error))
    assert found.high == pytest.approx(max(centred.high, d.mean() + t * error))
    reflected, both = (interval(drawn, 0, 0, method=method, events=30) for method in ("reflected", "centred+reflected"))
    assert (both.low, both.high) == (min(centred.low, reflected.low), max(centred.high, reflected.high))


@pytest.mark.parametrize("draw", ["normal", "uniform", "exponential"])
def test_the_freedom_is_that_of_the_variance(draw):
    """Satterthwaite: 2 E[s²]²/Var s², here from 40,000 samples; of a sample it is known roughly, and G − 1 is the most."""
    samples = getattr(np.random.default_rng(1), draw)(size=(40_000, 60))
    variances = samples.var(axis=1, ddof=1)
    true = min(59, 2 * variances.mean() ** 2 / variances.var())
    found = np.median([freedom(-row, events=60) for row in samples[:2000]])
    assert true * 0.8 < found < true * 2
    assert max(freedom(-row, events=60) for row in samples[:2000]) <= 59


@pytest.mark.parametrize("share", [0.5, 0.3])
def test_the_interval_of_unc_is_its_range_over_the_interval_of_the_base_rate(share):
    rows = [(f"e{i:02}", 0.4 + 0.001 * i, int(i < share * 60)) for i in range(60)]
    row = bootstrap(one(*rows), n=400).table.filter(measure="unc", configuration="a").row(0, named=True)
    y = np.array([y for *_, y in rows], float)
    base = interval(means(y, n=400, left_out=True), 0, 0, method=METHODS["unc"], events=60)
    ends = [end * (1 - end) for end in (base.low, base.high)]
    assert row["low"] == pytest.approx(min(ends))
    assert row["high"] == pytest.approx(0.25 if share == 0.5 else max(ends))


@pytest.mark.parametrize(("hits", "events"), [(0, 40), (1, 40), (12, 40), (40, 40), (3, 400)])
def test_the_interval_of_a_share_of_independent_events_is_clopper_and_pearsons(hits, events):
    d = (np.arange(events) < hits).astype(float)
    found = interval(means(d, n=50, left_out=True), 0, 0, method="share", events=events)
    exact = stats.binomtest(hits, events).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), rel=0.1, abs=1e-12)


@pytest.mark.parametrize(
    ("events", "n"),
    [(100, 1000), (7, 50), (400, 1003)],
    ids=["blocks of equal size", "one block", "a last block that is smaller"],
)
def test_resamples_are_the_same_whether_they_are_kept_or_drawn_again(events, n, monkeypatch):
    resamples = Resamples(events=events, n=n, seed=3)
    kept = np.concatenate([block.copy() for block in resamples.weights()])
    monkeypatch.setattr("coordeval.analysis.base.resampling._KEPT", 0)
    for rows in (1, 64, n):
        again = np.concatenate([block.copy() for block in resamples.weights(rows=rows)])
        np.testing.assert_array_equal(again, kept)
    np.testing.assert_array_equal(kept.sum(axis=1), events)
    places = np.random.default_rng(3).integers(0, events, (n, events))
    np.testing.assert_array_equal(kept, [np.bincount(row, minlength=events) for row in places])


def test_resamples_that_equal_the_estimate_count_half_below_it_whatever_the_order_of_the_sums():
    d = np.array([0.09] * 21 + [0.49] * 9)
    drawn = means(d, n=20_000, left_out=True)
    hits = np.random.default_rng(3).binomial(30, 0.3, 400_000)
    expected = ndtri(np.mean(hits < 9) + np.mean(hits == 9) / 2)
    found, _ = bias_and_acceleration(drawn.estimate[0, 0], drawn.resampled[:, 0, 0], drawn.left_out[:, 0, 0])
    assert found == pytest.approx(expected, abs=0.03)
