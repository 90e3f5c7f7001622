"""Need and utility of tools against planted truth: noise is allowed for, and nothing is judged on what it was chosen by."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from coordeval.analysis import AnalysisError, need, paired_answers, policies, wasted
from coordeval.analysis.tools.example import tool_example, tool_world
from coordeval.analysis.tools.posterior import of_utility, posterior, variance_within

ROW = {"case": "a", "market_id": "m", "event_id": "e", "configuration": "c", "outcome": 1, "cost_usd": 0.1, "calls": 1}


@pytest.fixture(scope="module")
def world():
    return tool_world(600, replicates=4, rng=np.random.default_rng(0))


def test_shares_of_need_and_use_are_those_planted(world):
    told = {row["measure"]: row for row in need(world.answers, n=200).totals.to_dicts()}
    tried = world.answers.tried
    assert told["utility"]["low"] < world.utility[tried].mean() < told["utility"]["high"]
    assert told["needed"]["estimate"] == pytest.approx((world.need > 0.0625).mean(), abs=0.03)
    assert told["useful"]["estimate"] == pytest.approx((world.utility[tried] > 0).mean(), abs=0.06)
    assert told["used"]["estimate"] == pytest.approx(0.6, abs=0.03)
    assert told["useful"]["estimate"] + told["harmful"]["estimate"] == pytest.approx(1)


def test_an_agent_that_calls_at_random_perceives_nothing(world):
    rows = {(row["perceived"], row["true"]): row for row in need(world.answers, n=200).perceived.to_dicts()}
    for truth in ("needed", "useful"):
        one, other = rows["called", truth], rows["did not call", truth]
        assert one["low"] < other["share"] < one["high"]


def test_the_spread_of_true_utilities_is_told_apart_from_noise(world):
    assert need(world.answers, n=20).spread == pytest.approx(world.utility.std(), rel=0.1)
    flat = tool_world(600, replicates=4, benefit=0.0, rng=np.random.default_rng(1))
    assert need(flat.answers, n=20).spread < 0.03


def test_intervals_of_single_cases_hold_their_utility(world):
    cases, tried = need(world.answers, n=20).cases, world.answers.tried
    low, high = (cases[name].to_numpy()[tried] for name in ("utility_low", "utility_high"))
    held = (low <= world.utility[tried]) & (world.utility[tried] <= high)
    assert held.mean() > 0.9


def test_what_is_shrunk_is_nearer_to_the_truth_than_what_was_seen():
    """Normal means with known noise: the posterior mean is the weighted one, to a closed form."""
    rng = np.random.default_rng(2)
    true = rng.normal(1.0, 2.0, 5000)
    seen = true + rng.normal(0, 3.0, 5000)
    found = posterior(seen, np.full(5000, 9.0))
    assert found.spread == pytest.approx(2.0, rel=0.05)
    assert found.mean == pytest.approx(1 + (seen - 1) * 4 / 13, abs=0.25)
    assert found.sd == pytest.approx(np.sqrt(36 / 13), rel=0.06)
    assert np.mean((found.mean - true) ** 2) < 0.4 * np.mean((seen - true) ** 2)


def test_policies_stand_where_the_truth_has_them(world):
    found = policies(world.answers, predicted=world.utility, n=100)
    points = {row["policy"]: row for row in found.points.to_dicts()}
    tried = world.answers.tried
    bare, gain = world.need[tried], world.utility[tried]
    assert points["never"]["brier"] == pytest.approx(bare.mean(), abs=0.006)
    assert points["always"]["gain"] == pytest.approx(gain.mean(), abs=0.01)
    assert points["estimator"]["gain"] == pytest.approx(np.maximum(gain, 0).mean(), abs=0.01)  # here it knows the truth
    assert points["estimator"]["brier"] < points["always"]["brier"] - 0.03
    assert points["own choice"]["calls"] < points["always"]["calls"]
    assert (points["never"]["cost_usd"], points["always"]["cost_usd"]) == pytest.approx((0.01, 0.03))
    half = {row["policy"]: row["brier"] for row in found.curve.filter(pl.col("share").is_between(0.49, 0.51)).to_dicts()}
    best = bare.mean() - np.sort(gain)[::-1][: len(gain) // 2].sum() / len(gain)
    assert half["best possible"] == pytest.approx(best, abs=0.012)
    assert half["chance"] > half["best, chosen on half the draws"] > half["best possible"]


def test_the_best_of_nothing_is_nothing():
    """Tools that change nothing: what looks best on some draws is no better on the others."""
    flat = tool_world(300, replicates=4, benefit=0.0, rng=np.random.default_rng(3))
    at = policies(flat.answers, n=20).curve.filter(pl.col("share").is_between(0.49, 0.51))
    half = dict(at.select("policy", "brier").iter_rows())
    assert half["best, chosen on half the draws"] == pytest.approx(half["chance"], abs=0.012)


def test_every_curve_begins_where_nobody_calls_and_ends_where_all_do(world):
    found = policies(world.answers, predicted=world.features[:, 2], n=20)
    points = dict(found.points.select("policy", "brier").iter_rows())
    for name, line in found.curve.group_by("policy"):
        ends = line.sort("share")["brier"].to_list()
        assert ends[0] == pytest.approx(points["never"])
        assert ends[-1] == pytest.approx(points["always"], abs=0.02 if name[0].startswith("best") else 1e-9)


def test_one_replicate_says_that_it_knows_no_case():
    told = need(tool_world(40, replicates=1, rng=np.random.default_rng(4)).answers, n=20)
    assert told.cases["p_useful"].is_null().all()
    assert told.cases["reason"].str.contains("one replicate|no draw called").all()
    assert {row["measure"] for row in told.totals.to_dicts() if row["estimate"] is None} == {"needed", "useful", "harmful"}
    found = policies(tool_world(40, replicates=1, rng=np.random.default_rng(4)).answers, n=20)
    assert set(found.reasons) == {"estimator", "best, chosen on half the draws", "best possible"}


def test_the_variance_of_a_draw_is_that_within_cases():
    values = np.array([[0.0, 1.0], [5.0, 5.0], [3.0, np.nan]])
    assert variance_within(values) == pytest.approx(0.25)  # (0.5 + 0)/2
    assert variance_within(values[:, :1]) is None
    assert of_utility(values[:, :1], values) is None


def test_answers_are_paired_by_case_and_what_has_one_kind_only_is_counted():
    rows = [
        {**ROW, "replicate": r, "tools": t, "probability": 0.5 + 0.3 * t, "calls": int(t and r == 0)}
        for r in (0, 1)
        for t in (False, True)
    ]
    rows += [{**ROW, "market_id": "other", "replicate": 0, "tools": True, "probability": 0.5}]
    made = paired_answers(pl.DataFrame(rows))
    assert (made.market, made.left_out) == (("m",), 1)
    assert made.without.tolist() == [[0.25, 0.25]]
    assert np.isnan(made.used[0, 1])
    assert made.utility.tolist() == pytest.approx([0.25 - 0.04])


@pytest.mark.parametrize(
    ("made", "says"),
    [
        pytest.param(lambda f: f.drop("tools"), "lacks tools", id="no column"),
        pytest.param(lambda f: f.filter("tools"), "no market was answered both with and without", id="one kind only"),
        pytest.param(lambda f: pl.concat([f, f]), "this answer is there more than once", id="twice"),
    ],
)
def test_answers_that_cannot_be_paired_are_refused(made, says):
    frame = pl.DataFrame([{**ROW, "replicate": 0, "tools": t, "probability": 0.5} for t in (False, True)])
    with pytest.raises(AnalysisError, match=says):
        paired_answers(made(frame))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        pytest.param(lambda: need(tool_example(), good=25.0), "good is 25.0", id="a percentage"),
        pytest.param(lambda: need(tool_example(), level=95.0), "level is 95.0", id="a level in percent"),
        pytest.param(lambda: policies(tool_example(), predicted=np.zeros(3)), "predicted has 3 values", id="another length"),
    ],
)
def test_options_that_mean_nothing_are_refused(call, says):
    with pytest.raises(AnalysisError, match=says):
        call()


def test_calls_that_brought_nothing_are_counted_by_why():
    row = {
        "forecast_id": "f",
        "ask": 0,
        "configuration": "c",
        "tool": "t",
        "arguments": "{}",
        "result": "a",
        "items": 1,
        "error": False,
    }
    made = [
        row,
        row,  # the same once more
        row | {"ask": 1},  # another agent had not seen it
        row | {"result": "b"},  # the same question, another answer
        row | {"arguments": "2", "items": 0},
        row | {"arguments": "3", "items": 0, "error": True},
    ]
    [told] = wasted(pl.DataFrame(made)).to_dicts()
    assert told == {
        **{"configuration": "c", "tool": "t", "calls": 6, "redundant": 1, "empty": 1, "failed": 1, "wasted": 3, "share": 0.5}
    }
    with pytest.raises(AnalysisError, match="lacks items"):
        wasted(pl.DataFrame(made).drop("items"))


def test_scores_of_policies_have_no_interval_where_few_outcomes_tell():
    world = tool_world(60, rng=np.random.default_rng(5)).answers
    assert policies(world, n=50).points["low"].null_count() == 0
    rare = replace(world, outcome=np.where(np.arange(len(world.event)) < 5, 1.0, 0.0))
    points = policies(rare, n=50).points
    assert points["brier"].null_count() == 0
    assert points["low"].null_count() == points["high"].null_count() == points.height
    assert all("resolved YES" in reason for reason in points["reason"])
    assert points.filter(pl.col("policy") != "never")["gain_low"].null_count() == 0
