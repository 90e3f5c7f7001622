"""Confidence sequences: valid under optional stopping, and not uselessly wide."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordeval.analysis import AnalysisError, scored
from coordeval.analysis.base.grid import PRICE
from coordeval.analysis.differences.sequential import confidence_sequence, e_values, sequences
from tests.analysis.reference import cell, made_up, recorded, recorded_frame, table

NULLS = {
    "heavy and skewed": lambda rng: np.where(rng.random(400) < 0.1, 0.9, -0.1),
    "small differences": lambda rng: rng.choice((-0.02, 0.0, 0.02), size=400),
    "the largest there are": lambda rng: rng.choice((-1.0, 1.0), size=400),
    "variance that grows": lambda rng: rng.choice((-1.0, 1.0), size=400) * np.linspace(0.01, 0.9, 400),
}


@pytest.mark.parametrize("law", NULLS)
def test_looking_after_every_event_finds_a_true_null_wanting_at_most_five_per_cent_of_the_time(law):
    """1,000 worlds of 400 looks, stopped at the strongest evidence: 5% and three standard errors."""
    strongest = [e_values(NULLS[law](np.random.default_rng([4, seed]))).max() for seed in range(1000)]
    assert np.mean(np.array(strongest) >= 20) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1000)
    assert np.mean([e_values(NULLS[law](np.random.default_rng([4, seed])))[-1] for seed in range(200)]) <= 1.5


@pytest.mark.parametrize("law", NULLS)
def test_an_interval_excludes_zero_only_where_the_evidence_does(law):
    for seed in range(10):
        d = np.clip(NULLS[law](np.random.default_rng([4, seed])) + 0.08 * (seed > 4), -1, 1)
        found = confidence_sequence(d)
        assert found.excluded_at is None or found.e_value[: found.excluded_at].max() >= 20
        assert np.array_equal(found.e_value, e_values(d))


def test_the_true_mean_is_inside_at_every_time_at_once():
    inside = []
    for seed in range(100):
        d = np.where(np.random.default_rng([5, seed]).random(200) < 0.3, 0.4, -0.1)
        found = confidence_sequence(d)
        inside.append(np.all((found.low <= 0.05) & (found.high >= 0.05)))
    assert np.mean(inside) >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 100)


def test_a_real_difference_is_found_in_the_end():
    found = [confidence_sequence(np.random.default_rng(seed).normal(0.03, 0.12, 1500).clip(-1, 1)) for seed in range(10)]
    assert all(f.excluded_at is not None for f in found)
    assert np.median([f.excluded_at for f in found]) < 500
    assert np.mean([f.high[-1] - f.low[-1] for f in found]) < 0.03


DIFFERENCES = st.lists(st.one_of(st.floats(-1, 1), st.sampled_from([-1.0, 0.0, 1.0])), min_size=1, max_size=40)


@settings(max_examples=50, deadline=None)
@given(DIFFERENCES)
def test_it_never_widens_and_knows_nothing_of_what_comes_later(d):
    found = confidence_sequence(d)
    kept = ~np.isnan(found.low)
    assert np.all(np.diff(found.low[kept]) >= 0)
    assert np.all(np.diff(found.high[kept]) <= 0)
    assert np.all((found.low[kept] >= -1) & (found.high[kept] <= 1))
    early = confidence_sequence(d[: len(d) // 2 + 1])
    assert np.array_equal(early.low, found.low[: early.low.size], equal_nan=True)
    assert early.e_value == pytest.approx(found.e_value[: early.low.size])


@settings(max_examples=50, deadline=None)
@given(DIFFERENCES)
def test_swapping_the_sides_mirrors_it(d):
    a, b = confidence_sequence(d), confidence_sequence(-np.array(d))
    assert a.low == pytest.approx(-b.high, nan_ok=True)
    assert a.e_value == pytest.approx(b.e_value)


def test_one_difference_excludes_nothing():
    found = confidence_sequence([0.9])
    assert (found.low[0], found.high[0], found.excluded_at, found.e_value.size) == (-1, 1, None, 1)
    assert 0 < found.p_value <= 1


def test_a_sequence_whose_mean_changed_leaves_nothing_and_says_so():
    found = confidence_sequence([0.9] * 200 + [-0.9] * 300)
    assert np.isnan(found.low[-1])
    frame = table(
        *(
            cell(
                configuration=c,
                market_id=f"m{i:03}",
                outcome=0,
                probability=float(np.sqrt(abs(x))) if (c == "a") == (x > 0) else 0,
            )
            for i, x in enumerate([0.9] * 200 + [-0.9] * 300)
            for c in "ab"
        )
    )
    row = sequences(scored(frame)).table.row(0, named=True)
    assert (row["low"], row["high"]) == (None, None)
    assert "the mean changed" in row["reason"]


def test_an_event_is_one_observation_and_counts_from_its_last_market():
    frame = table(
        *(
            cell(configuration=c, market_id=m, event_id=e, outcome=0, probability=p if c == "a" else 0.0)
            for m, e, p in (("m0", "e0", 0.2), ("m1", "e0", 0.4), ("m2", "e1", 0.6))
            for c in "ab"
        )
    )
    first = sequences(scored(frame), order=["m0", "m1", "m2"]).paths["a", "b"]
    late = sequences(scored(frame), order=["m0", "m2", "m1"]).paths["a", "b"]
    assert first.e_value == pytest.approx(confidence_sequence([0.1, 0.36]).e_value)
    assert late.e_value == pytest.approx(confidence_sequence([0.36, 0.1]).e_value)
    assert sequences(scored(frame)).table.filter(first="a", second="b")["mean"][0] == pytest.approx(0.23)


def test_every_pair_and_the_market_price_has_a_row_whatever_the_order_of_rows():
    frame = made_up(markets=12)
    found = sequences(scored(frame))
    assert found.table.select("first", "second").rows() == list(combinations(("c0", "c1", "c2", PRICE), 2))
    assert found.table.equals(sequences(scored(frame[::-1])).table)
    assert found.table["n_events"].to_list() == [6] * 6


def test_nothing_in_common_is_a_row_with_a_reason():
    frame = table(cell(configuration="a", market_id="m0"), cell(configuration="b", market_id="m1"))
    found = sequences(scored(frame, policy="available"))
    row = found.table.filter(first="a", second="b").row(0, named=True)
    assert (row["n_events"], row["low"], row["reason"]) == (0, None, "no market was scored for both")
    assert ("a", "b") not in found.paths


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: confidence_sequence([]), "at least one"),
        (lambda: confidence_sequence([0.1, float("nan")]), r"d\[1\] is nan"),
        (lambda: confidence_sequence([1.2]), r"d\[0\] is 1.2"),
        (lambda: confidence_sequence([0.1], alpha=5), "alpha is 5"),
        (lambda: sequences(scored(made_up(markets=3)), order=["m000"]), "order lacks the market 'm001'"),
    ],
)
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises(AnalysisError, match=message):
        call()


@recorded
def test_no_pair_of_the_recorded_study_is_told_apart():
    found = sequences(scored(recorded_frame())).table
    assert found.height == 15
    assert found["excluded_at"].null_count() == 15
    assert found["e_value"].max() < 20


@pytest.mark.parametrize("mean", [0.0, 0.03, -0.2], ids=["none", "small", "large"])
def test_looking_for_candidates_in_stretches_changes_nothing(mean, monkeypatch):
    d = np.clip(np.random.default_rng(2).normal(mean, 0.2, 3000), -1, 1)
    found = confidence_sequence(d)
    monkeypatch.setattr("coordeval.analysis.differences.sequential._STRETCH", d.size)
    monkeypatch.setattr("coordeval.analysis.differences.sequential._BLOCK", 10**9)
    at_once = confidence_sequence(d)
    np.testing.assert_array_equal(found.low, at_once.low)
    np.testing.assert_array_equal(found.high, at_once.high)
