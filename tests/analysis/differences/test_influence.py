"""Which markets carry a result, and what the missing forecasts could make of it."""

import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordeval.analysis import AnalysisError, scored
from coordeval.analysis.base.numerals import without_rounding
from coordeval.analysis.differences.comparisons import comparisons
from coordeval.analysis.differences.influence import influence, missing_bounds
from tests.analysis.reference import cell, failed, made_up, recorded, recorded_frame, table


def duel(*errors: tuple[float, float]) -> pl.DataFrame:
    """a against b on markets that resolve NO without a price; each pair is their forecasts."""
    return table(
        *(
            cell(configuration=name, market_id=f"m{i:02}", outcome=0, probability=p, market_price=None)
            for i, both in enumerate(errors)
            for name, p in zip("ab", both, strict=True)
        )
    )


def test_one_market_carries_the_result_and_turns_it_round():
    """d = −0.81, then three times +0.09: Δ = −0.135, without the first it is +0.09."""
    found = influence(scored(duel((0.0, 0.9), (0.3, 0.0), (0.3, 0.0), (0.3, 0.0))), n=100)
    top = found.markets.row(0, named=True)
    assert (top["market_id"], top["flips"]) == ("m00", True)
    assert (top["difference"], top["delta_without"]) == (pytest.approx(-0.81), pytest.approx(0.09))
    assert top["influence"] == pytest.approx(-0.135 - 0.09)
    row = found.restated.row(0, named=True)
    assert (row["delta"], row["markets_to_flip"], row["flips"]) == (pytest.approx(-0.135), 1, True)
    assert "The lowest Brier score is that of a" in found.headline
    assert "Without market m00 b leads by 0.0900" in found.headline


def test_a_result_that_many_markets_carry_stays():
    found = influence(scored(duel(*[(0.1, 0.4)] * 5, (0.4, 0.1))), n=100)
    row = found.restated.row(0, named=True)
    assert (row["flips"], row["markets_to_flip"]) == (False, 4)
    assert "it stays ahead" in found.headline


def test_the_headline_and_the_pair_are_restated_without_the_same_market_and_that_one_carries_the_result():
    """The first market pulls most, but the other way: without it the lead only grows."""
    found = influence(scored(duel((0.8, 0.3), (0.1, 0.6), (0.1, 0.55), (0.1, 0.5))), n=100)
    row = found.restated.row(0, named=True)
    assert (found.markets["market_id"][0], row["market_id"]) == ("m00", "m01")
    assert row["delta"] < row["delta_without"], "what carried it is gone"
    assert "Without market m01" in found.headline


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=10))
def test_leaving_a_market_out_is_what_the_comparison_without_it_says(errors):
    frame = duel(*errors)
    found = influence(scored(frame), n=20).markets
    for row in found.iter_rows(named=True):
        left = comparisons(scored(frame.filter(pl.col("market_id") != row["market_id"])), n=20).table
        assert row["delta_without"] == pytest.approx(left["delta"][0], abs=1e-12)
    assert found["influence"].sum() == pytest.approx(0, abs=1e-9)
    assert found["influence"].abs().is_sorted(descending=True)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=7))
def test_the_fewest_markets_to_flip_are_the_fewest_of_all_subsets(errors):
    frame = duel(*errors)
    row = influence(scored(frame), n=20).restated.row(0, named=True)
    d = without_rounding([a**2 - b**2 for a, b in errors])
    if row["markets_to_flip"] is None:
        assert d.sum() == pytest.approx(0, abs=1e-9)
        return
    d *= np.sign(d.sum())
    enough = (
        k
        for k in range(1, d.size + 1)
        for gone in itertools.combinations(d, k)
        if d.sum() - sum(gone) <= 1e-12 * abs(d).sum()
    )
    assert row["markets_to_flip"] == next(enough)


def test_intervals_are_those_of_the_comparison_with_and_without():
    frame = made_up()
    found = influence(scored(frame), n=400).restated
    theirs = comparisons(scored(frame), n=400).table
    for end in ("low", "high"):
        assert found[end].to_list() == pytest.approx(theirs[end].to_list())
    assert found.height == 6, "three pairs, and each against the market price"
    for row in found.iter_rows(named=True):
        assert row["excludes_zero"] == (row["low"] > 0 or row["high"] < 0)
        assert row["low_without"] < row["delta_without"] < row["high_without"]
        assert row["reason"] is None


def test_undefined_is_null_with_its_reason():
    one = influence(scored(table(cell(market_price=None), cell(configuration="b", market_price=None))), n=20)
    assert one.markets.height == 0
    assert "one market" in one.restated["reason"][0]
    assert "Nothing to restate" in one.headline
    same = influence(scored(duel((0.2, 0.2), (0.3, 0.3))), n=20).restated.row(0, named=True)
    assert (same["markets_to_flip"], same["low"]) == (None, None)
    assert "there is no difference" in same["reason"]
    apart = table(cell(market_price=None), cell(configuration="b", market_id="m1", market_price=None))
    assert influence(scored(apart, policy="available"), n=20).restated["reason"][0] == "no market was scored for both"
    lone = influence(scored(table(cell(market_price=None))), n=20)
    assert (lone.markets.height, lone.restated.height) == (0, 0)


def test_nothing_depends_on_the_order_of_rows():
    frame = made_up(markets=20)
    a, b = influence(scored(frame), n=50), influence(scored(frame[::-1]), n=50)
    assert a.markets.equals(b.markets)
    assert a.restated.equals(b.restated)


def test_bounds_are_those_worked_out_by_hand():
    """a: errors 0.04 and one missing of two; b: 0.16 and 0.25, none missing."""
    frame = table(
        cell(outcome=1, probability=0.8),
        failed(market_id="m1", outcome=0),
        cell(configuration="b", outcome=1, probability=0.6),
        cell(configuration="b", market_id="m1", outcome=0, probability=0.5),
    )
    a, b, both = missing_bounds(frame).iter_rows(named=True)
    assert (a["estimate"], a["low"], a["high"], a["missing"]) == pytest.approx((0.04, 0.02, 0.52, 1))
    assert (b["low"], b["high"], b["missing"]) == pytest.approx((0.205, 0.205, 0))
    assert (both["estimate"], both["low"], both["high"]) == pytest.approx((-0.12, 0.02 - 0.205, 0.52 - 0.205))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.2, 0.5, 1.0, None]), min_size=4, max_size=4), st.lists(st.floats(0, 1), min_size=4))
def test_whatever_the_missing_forecasts_are_the_score_lies_within_the_bounds(said, fill):
    def made(values) -> pl.DataFrame:
        keys = [{"market_id": f"m{i // 2}", "replicate": i % 2, "outcome": i // 2} for i in range(4)]
        return table(*(failed(**k) if p is None else cell(**k, probability=p) for k, p in zip(keys, values, strict=True)))

    bound = missing_bounds(made(said)).row(0, named=True)
    filled = [f if p is None else p for p, f in zip(said, fill, strict=False)]
    full = missing_bounds(made(filled)).row(0, named=True)
    assert bound["low"] - 1e-12 <= full["estimate"] <= bound["high"] + 1e-12
    assert bound["high"] - bound["low"] == pytest.approx(bound["missing"] / 4)
    assert [full["low"], full["high"]] == pytest.approx([full["estimate"]] * 2)


def test_a_cell_that_is_not_there_is_missing_and_nothing_answered_has_no_estimate():
    frame = table(failed(), cell(configuration="b"), cell(configuration="b", market_id="m1"))
    a = missing_bounds(frame).row(0, named=True)
    assert (a["cells"], a["missing"], a["low"], a["high"], a["estimate"]) == (2, 2, 0, 1, None)
    assert "no market was answered" in a["reason"]
    with pytest.raises(AnalysisError, match="no market of the frame is resolved"):
        missing_bounds(table(cell(outcome=None)))


@recorded
def test_the_largest_published_difference_does_not_outlast_its_strongest_markets():
    frame = recorded_frame()
    found = influence(scored(frame), n=1000)
    row = found.restated.filter(first="consensus_alignment", second="sequential_pipeline").row(0, named=True)
    assert row["delta"] == pytest.approx(0.0211, abs=1e-4)
    assert row["markets_to_flip"] <= 10
    assert missing_bounds(frame)["missing"].max() > 0
