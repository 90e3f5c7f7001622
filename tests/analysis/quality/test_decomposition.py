"""Binned decompositions: where a forecast falls, that the parts add up, and that the corrections do what they say."""

from decimal import Decimal
from fractions import Fraction
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordeval.analysis import AnalysisError, bin_index, decompose, null_reliability

RULES = ("decimal", "float", "quantile", "distinct")


@pytest.mark.parametrize(
    ("p", "bins", "k"),
    [
        *(pytest.param(i / 10, 10, i, id=f"{i / 10} opens its bin") for i in range(10)),
        *(pytest.param(float(f"0.{i}9"), 10, i, id=f"0.{i}9 closes the same bin") for i in range(10)),
        pytest.param(1.0, 10, 9, id="the last bin keeps 1"),
        pytest.param(np.nextafter(0.3, 0), 10, 3, id="a last bit under an edge is rounding"),
        pytest.param(fmean([0.01, 0.01, 0.58]), 10, 2, id="a mean of decimals: 0.19999999999999998"),
        pytest.param(0.3 - 1e-8, 10, 2, id="more than rounding under an edge stays under it"),
        pytest.param(0.1 + 0.2, 10, 3, id="0.30000000000000004"),
        pytest.param(0.29, 100, 29, id="0.29 · 100 is 28.999999999999996 in floating point"),
        pytest.param(1 / 3, 3, 1, id="a third opens its bin, though 0.3333333333333333 is less"),
        pytest.param(0.333, 3, 0, id="0.333 is less than a third"),
        pytest.param(5e-324, 7, 0, id="the smallest number there is"),
        pytest.param(0.7, 1, 0, id="one bin for all"),
    ],
)
def test_the_bin_that_the_decimal_value_names(p, bins, k):
    assert bin_index([p], bins=bins) == [k]


NEAR_AN_EDGE = st.builds(
    lambda k, j, step: float(np.clip(np.nextafter(min(j, k) / k, 2 * step), 0, 1) if step != 0.5 else min(j, k) / k),
    st.integers(1, 1000),
    st.integers(0, 1000),
    st.sampled_from([0, 0.5, 1]),
)


@given(
    st.lists(st.one_of(st.floats(0, 1), st.integers(0, 10**6).map(lambda i: i / 10**6), NEAR_AN_EDGE), min_size=1),
    st.integers(1, 2000),
)
def test_decimal_bins_agree_with_exact_arithmetic(p, bins):
    found = bin_index(p, bins=bins).tolist()
    for value, k in zip(p, found, strict=True):
        low, high = (int((Fraction(value) + slack) * bins) for slack in (Fraction(9, 10**10), Fraction(11, 10**10)))
        assert min(low, bins - 1) <= k <= min(high, bins - 1)  # above the edge, or under it by rounding only
    assert sorted(found) == bin_index(sorted(p), bins=bins).tolist()


@pytest.mark.parametrize("bins", [1, 2, 3, 5, 7, 10, 12, 15, 20, 25, 30, 49, 50, 100, 1000])
def test_every_written_edge_opens_its_bin(bins):
    edges = [Decimal(j) / bins for j in range(bins) if (Fraction(j, bins) * 10**6).denominator == 1]
    expected = [int(edge * bins) for edge in edges]
    assert bin_index([float(edge) for edge in edges], bins=bins).tolist() == expected


def test_floating_point_edges_put_three_tenths_too_low_which_is_why_they_are_not_the_default():
    assert bin_index([0.3, 0.6, 0.7, 1.0], edges="float").tolist() == [2, 5, 6, 9]


def test_quantile_bins_have_equal_counts_and_keep_equal_forecasts_together():
    assert np.bincount(bin_index(np.arange(100) / 100, bins=4, edges="quantile")).tolist() == [25] * 4
    assert len(set(bin_index([0.4] * 7, bins=3, edges="quantile").tolist())) == 1
    assert len(set(bin_index([0.1, 0.4, 0.4, 0.4, 0.9], bins=5, edges="quantile")[1:4].tolist())) == 1


FORECASTS = st.lists(
    st.tuples(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.1, 0.3, 0.6, 0.7, 1.0])), st.integers(0, 1)),
    min_size=1,
    max_size=80,
)


@given(FORECASTS, st.integers(1, 30), st.sampled_from(RULES))
def test_the_five_terms_add_up_to_brier(pairs, bins, edges):
    p, y = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    d = decompose(p, y, bins=bins, edges=edges)
    assert d.unc + d.rel - d.res + d.wbv - d.wbc == pytest.approx(d.brier, abs=1e-12)
    assert d.brier == pytest.approx(np.mean((p - y) ** 2), abs=1e-15)
    assert min(d.rel, d.res, d.unc, d.wbv) >= 0


@given(FORECASTS, st.integers(1, 12), st.randoms(use_true_random=False))
def test_the_order_of_the_markets_does_not_matter(pairs, bins, random):
    shuffled = random.sample(pairs, len(pairs))
    one, other = (decompose(*zip(*rows, strict=True), bins=bins) for rows in (pairs, shuffled))
    for name in ("rel", "res", "unc", "wbv", "wbc", "rel_corrected", "res_corrected", "unc_corrected"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-12)


@pytest.mark.parametrize("p", [[0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0], [0.25, 0.25, 0.25, 0.25]])
def test_one_bin_per_value_leaves_nothing_within_bins(p):
    d = decompose(p, [0, 1, 0, 1], edges="distinct")
    assert (d.wbv, d.wbc) == (0, 0)
    assert d.unc + d.rel - d.res == pytest.approx(d.brier, abs=1e-15)


@pytest.mark.parametrize(
    ("p", "y", "expected"),
    [
        pytest.param(
            [1.0, 1.0], [0, 0], {"rel": 1.0, "res": 0.0, "unc": 0.0}, id="p = 1 is in a bin: REL is 1 where Brier is 1"
        ),
        pytest.param([0.0, 1.0], [0, 1], {"rel": 0.0, "res": 0.25, "unc": 0.25}, id="perfect"),
        pytest.param([0.5] * 4, [0, 1, 0, 1], {"rel": 0.0, "res": 0.0, "unc": 0.25}, id="constant at the base rate"),
        pytest.param([0.2, 0.9], [1, 1], {"res": 0.0, "unc": 0.0}, id="one class only: nothing to resolve"),
    ],
)
def test_hand_made_cases(p, y, expected):
    d = decompose(p, y)
    assert {name: getattr(d, name) for name in expected} == pytest.approx(expected)


def test_no_term_comes_from_the_last_bin_alone():
    """A loop variable that outlives its loop gives each bin the numbers of the last; here the bins differ in everything."""
    p, y = np.array([0.05] * 1 + [0.35] * 4 + [0.85] * 5), np.array([1, 0, 0, 1, 1, 1, 1, 1, 0, 1])
    d = decompose(p, y)
    assert d.rel == pytest.approx((1 * 0.95**2 + 4 * 0.15**2 + 5 * 0.05**2) / 10)
    assert d.res == pytest.approx((1 * 0.3**2 + 4 * 0.2**2 + 5 * 0.1**2) / 10)


def test_the_correction_by_hand():
    """n_k = 1, 2, 3 with ȳ_k = 1, 1/2, 1/3: B = (2·(1/4)/1 + 3·(2/9)/2)/6 = 5/36; the lonely forecast adds nothing."""
    d = decompose([0.05, 0.55, 0.55, 0.85, 0.85, 0.85], [1, 0, 1, 1, 0, 0])
    assert d.alone == 1
    assert d.rel - d.rel_corrected == pytest.approx(5 / 36)
    assert d.res - d.res_corrected == pytest.approx(5 / 36 - d.unc / 5)
    assert d.unc_corrected == pytest.approx(d.unc * 6 / 5)


def test_the_corrected_terms_are_unbiased_where_the_plain_ones_are_not():
    """A calibrated forecaster at 0.2, 0.5, 0.8: the true REL is 0, RES 0.06, UNC 0.25; 4000 samples of 60 markets."""
    rng = np.random.default_rng(7)
    p = np.repeat([0.2, 0.5, 0.8], 20)
    samples = [decompose(p, rng.random(60) < p) for _ in range(4000)]
    mean = {
        name: np.mean([getattr(d, name) for d in samples])
        for name in ("rel", "rel_corrected", "res_corrected", "unc_corrected")
    }
    assert mean["rel"] > 0.008
    assert mean["rel_corrected"] == pytest.approx(0, abs=5e-4)
    # Unbiased where forecasts are sampled too; here they are fixed, which leaves a difference of order 1/N.
    assert mean["res_corrected"] == pytest.approx(0.06, abs=2e-3)
    assert mean["unc_corrected"] == pytest.approx(0.25, abs=2e-3)


@pytest.mark.parametrize(
    ("p", "missing"),
    [
        pytest.param([0.4], {"rel_corrected", "res_corrected", "unc_corrected"}, id="one market"),
        pytest.param([0.1, 0.5, 0.9], {"rel_corrected", "res_corrected"}, id="every forecast alone in its bin"),
        pytest.param([0.11, 0.12], set(), id="all in one bin"),
    ],
)
def test_an_unknown_correction_is_none_with_a_reason(p, missing):
    d = decompose(p, [1, 0, 0][: len(p)])
    assert {name for name in ("rel_corrected", "res_corrected", "unc_corrected") if getattr(d, name) is None} == missing
    assert set(d.reasons) == missing


def test_null_reliability_is_that_of_simulated_outcomes():
    rng = np.random.default_rng(3)
    p = rng.uniform(size=80).round(2)
    simulated = [decompose(p, rng.random(80) < p).rel for _ in range(3000)]
    null = null_reliability(p, n=3000, seed=1)
    assert null.mean == pytest.approx(np.mean(simulated), rel=0.04)
    assert (null.low, null.high) == (
        pytest.approx(np.percentile(simulated, 2.5), rel=0.12),
        pytest.approx(np.percentile(simulated, 97.5), rel=0.08),
    )


def test_null_reliability_depends_on_the_seed_and_not_on_the_order():
    p = np.random.default_rng(3).uniform(size=50)
    assert null_reliability(p, seed=5) == null_reliability(p[::-1], seed=5) != null_reliability(p, seed=6)
    assert null_reliability(p, seed=5).seed == 5


def test_forecasts_of_zero_and_one_leave_chance_nothing():
    null = null_reliability([0.0, 1.0, 1.0])
    assert (null.mean, null.low, null.high) == (0, 0, 0)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        pytest.param(lambda: bin_index([0.1], edges="linspace"), "decimal, distinct, float, quantile", id="an unknown rule"),
        pytest.param(lambda: bin_index([0.1], bins=0), "bins is 0", id="no bins"),
        pytest.param(lambda: decompose([0.1], [0], bins=2.5), "whole number", id="half a bin"),
        pytest.param(lambda: bin_index([np.nan]), "nan", id="NaN lies in no bin"),
        pytest.param(lambda: null_reliability([0.1], n=0), "n is 0", id="no draws"),
    ],
)
def test_wrong_options_are_refused(call, says):
    with pytest.raises(AnalysisError, match=says):
        call()
