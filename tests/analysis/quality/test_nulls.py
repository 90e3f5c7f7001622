"""The null of every component: against the nulls that there are, against exact sums, and against the truth."""

import sys

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy import stats

from coordeval.analysis import PRICE, AnalysisError, bootstrap, calibration_p_value, null_reliability, scored
from coordeval.analysis.quality.nulls import COMPONENTS, nulls
from tests.analysis.reference import cell, made_up, recorded, recorded_frame, table


def one(p, y, *, events=None, replicate=0) -> pl.DataFrame:
    events = range(len(p)) if events is None else events
    return table(
        *(
            cell(market_id=f"m{i}", event_id=f"e{e}", probability=float(q), outcome=int(o), market_price=None)
            for i, (q, o, e) in enumerate(zip(p, y, events, strict=True))
        )
    ).with_columns(replicate=pl.lit(replicate, pl.Int64))


def row(found, measure, configuration="a"):
    return found.table.filter(configuration=configuration, measure=measure).row(0, named=True)


@pytest.mark.parametrize(("bins", "edges"), [(10, "decimal"), (7, "quantile"), (1, "distinct"), (10, "float")])
def test_what_is_seen_is_what_the_bootstrap_measures(bins, edges):
    frame = made_up(markets=50, replicates=3)
    theirs = bootstrap(scored(frame), families=["brier", "binned", "corp"], bins=bins, edges=edges, n=50).table
    ours = nulls(scored(frame), bins=bins, edges=edges, n=5).table
    joined = ours.join(theirs, on=["configuration", "measure"])
    assert joined.height == ours.height == 4 * len(COMPONENTS)
    for seen, estimate, why in joined.select("seen", "estimate", "reason").iter_rows():
        assert (seen is None) == (estimate is None), why
        assert seen == pytest.approx(estimate, abs=1e-12)


def test_the_terms_of_the_null_add_up_to_its_brier_score():
    mean = dict(
        nulls(scored(made_up(markets=30)), n=200).table.filter(configuration="c0").select("measure", "mean").iter_rows()
    )
    assert mean["unc"] + mean["rel"] - mean["res"] + mean["wbv"] - mean["wbc"] == pytest.approx(mean["brier"], abs=1e-12)
    assert mean["mcb"] - mean["dsc"] + mean["unc"] == pytest.approx(mean["brier"], abs=1e-12)


def test_the_mean_brier_score_of_a_calibrated_forecaster_is_the_mean_of_p_times_one_minus_p():
    p = np.linspace(0.02, 0.98, 60)
    found = row(nulls(scored(one(p, p > 0.5)), n=20_000, within_events="independent"), "brier")
    sd = np.sqrt(np.sum(p * (1 - p) * (1 - 2 * p) ** 2)) / 60
    assert found["mean"] == pytest.approx(np.mean(p * (1 - p)), abs=4 * sd / np.sqrt(20_000))
    assert (found["low"], found["high"]) == pytest.approx(
        np.mean(p * (1 - p)) + sd * stats.norm.ppf([0.025, 0.975]), abs=0.2 * sd
    )


def test_with_independent_markets_rel_and_mcb_have_the_nulls_of_the_leaderboard():
    rng = np.random.default_rng(4)
    p = rng.uniform(size=80).round(2)
    y = (rng.random(80) < p).astype(int)
    found = nulls(scored(one(p, y)), n=8000, within_events="independent")
    theirs = null_reliability(p, n=8000, seed=9)
    rel = row(found, "rel")
    assert (rel["mean"], rel["low"], rel["high"]) == pytest.approx((theirs.mean, theirs.low, theirs.high), rel=0.06)
    p_value = calibration_p_value(p, y, n=8000, seed=9)
    assert row(found, "mcb")["p_value"] == pytest.approx(p_value, abs=4 * np.sqrt(2 * p_value * (1 - p_value) / 8000))


def test_an_event_that_resolves_together_widens_the_null_by_as_much_as_it_can():
    """Two markets of one event with one forecast: perfectly correlated, the sum of p − y in a bin has twice the variance."""
    p, events = np.full(40, 0.3), np.arange(40) // 2
    both = {
        how: row(nulls(scored(one(p, np.arange(40) % 3 == 0, events=events)), n=20_000, within_events=how), "rel")["mean"]
        for how in ("together", "independent")
    }
    assert both["independent"] == pytest.approx(0.3 * 0.7 / 40, rel=0.05)
    assert both["together"] == pytest.approx(2 * both["independent"], rel=0.05)


def test_replicates_share_the_outcome_of_their_market():
    """Twice the same forecasts say nothing new: the null is that of one replicate, not half as wide."""
    once = one(np.linspace(0.05, 0.95, 30), np.arange(30) % 2)
    twice = pl.concat([once, once.with_columns(replicate=pl.lit(1, pl.Int64))])
    first, second = (nulls(scored(frame), n=300).table.drop("n_markets") for frame in (once, twice))
    assert second.equals(first)


def test_wbv_and_what_no_draw_changes_have_a_reason_instead_of_a_tail():
    found = nulls(scored(made_up(markets=12)), n=50)
    wbv = row(found, "wbv", "c0")
    assert wbv["seen"] == pytest.approx(wbv["mean"], abs=1e-15)
    assert (wbv["p_value"], wbv["reason"]) == (None, "p_below, p_above, p_value: it depends on the forecasts only")
    sure = nulls(scored(one([0.0, 1.0, 1.0], [0, 1, 1])), n=50)
    assert "every draw shows the same" in row(sure, "brier")["reason"]
    alone = nulls(scored(one([0.1, 0.9], [0, 1])), n=50)
    assert (row(alone, "rel_corrected")["seen"], row(alone, "rel_corrected")["mean"]) == (None, None)
    assert "no bin holds two forecasts" in row(alone, "rel_corrected")["reason"]
    for result in (found, sure, alone):
        silent = result.table.filter(pl.any_horizontal(pl.exclude("reason").is_null()) & pl.col("reason").is_null())
        assert silent.is_empty()


def test_blocks_change_nothing(monkeypatch):
    frame = scored(made_up(markets=20))
    whole = nulls(frame, n=50, seed=3).table
    monkeypatch.setattr(sys.modules["coordeval.analysis.quality.nulls"], "_BLOCK", 60)  # nulls is a function too
    assert_frame_equal(nulls(frame, n=50, seed=3).table, whole)
    assert not nulls(frame, n=50, seed=4).table.equals(whole)


def rejections(worlds, *, within_events, correlated, seed):
    """How often calibration of a calibrated forecaster is doubted at 5%, by REL and by MCB."""
    rng = np.random.default_rng(seed)
    hits = np.zeros(2)
    for world in range(worlds):
        p = np.repeat(rng.uniform(0.1, 0.9, 15), 4).round(2)
        events = np.arange(60) // 4
        u = np.repeat(rng.random(15), 4) if correlated else rng.random(60)
        found = nulls(scored(one(p, u < p, events=events)), n=99, seed=world, within_events=within_events)
        hits += [row(found, measure)["p_value"] <= 0.05 for measure in ("rel", "mcb")]
    return hits / worlds


@pytest.mark.parametrize("worlds", [40, pytest.param(400, marks=pytest.mark.proof)])
def test_calibration_is_doubted_as_often_as_stated_and_not_more_where_events_resolve_together(worlds):
    slack = 4 * np.sqrt(0.05 * 0.95 / worlds)
    fair = rejections(worlds, within_events="independent", correlated=False, seed=1)
    assert np.abs(fair - 0.05).max() < slack
    held = rejections(worlds, within_events="together", correlated=True, seed=2)
    assert held.max() < 0.05 + slack
    fooled = rejections(worlds, within_events="independent", correlated=True, seed=2)
    assert fooled.min() > 0.05 + slack, "what independence would have cost"


def test_an_overconfident_forecaster_stands_out():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.3, 0.7, 300)
    p = np.clip(0.5 + 2.4 * (truth - 0.5), 0.01, 0.99)
    found = nulls(scored(one(p, rng.random(300) < truth)), n=999)
    assert row(found, "rel")["p_value"] < 0.01
    assert row(found, "mcb")["p_value"] < 0.01
    assert row(found, "brier")["p_above"] < 0.01


def test_a_hundred_thousand_markets_are_measured_with_fewer_draws():
    rng = np.random.default_rng(0)
    n = 100_000
    p = rng.uniform(size=n).round(3)
    frame = pl.DataFrame({"market_id": [f"m{i}" for i in range(n)], "probability": p, "outcome": rng.random(n) < p})
    frame = frame.with_columns(pl.col("outcome").cast(pl.Int64), event_id=pl.Series([f"e{i // 2}" for i in range(n)]))
    constant = {k: pl.lit(v) for k, v in cell().items() if k not in frame.columns}
    found = nulls(scored(frame.with_columns(**constant)), n=20)
    assert row(found, "rel")["mean"] == pytest.approx(10 * np.mean(p * (1 - p)) / n, rel=0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n is 0"),
        ({"within_events": "apart"}, "within_events"),
        ({"level": 95}, "level is 95"),
        ({"bins": 0}, "bins"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(AnalysisError, match=message):
        nulls(scored(made_up(markets=4)), **options)


@recorded
def test_no_configuration_of_the_recorded_study_is_told_from_a_calibrated_one():
    found = nulls(scored(recorded_frame()), n=2000)
    tails = found.table.filter(pl.col("measure").is_in(["rel", "rel_corrected", "mcb"]) & (pl.col("configuration") != PRICE))
    assert tails.height == 15
    assert tails["p_value"].min() > 0.05
    rel = found.table.filter(measure="rel")
    assert rel["mean"].to_list() == pytest.approx([0.018] * 6, abs=0.002)


def test_one_who_is_sure_and_wrong_is_further_from_calibration_than_every_draw():
    """Of sure forecasts all draws are alike, with MCB 0: what differs from that is as unlikely as can be."""
    frame = made_up(configurations=1, replicates=1).with_columns(pl.col("probability").round(0))
    rows = {row["measure"]: row for row in nulls(scored(frame), n=99).table.filter(configuration="c0").iter_rows(named=True)}
    assert rows["mcb"]["seen"] > rows["mcb"]["high"] == 0
    assert rows["mcb"]["p_value"] == rows["rel"]["p_value"] == 0.01
    assert rows["wbv"]["p_value"] is None
