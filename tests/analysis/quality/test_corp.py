"""CORP against model-diagnostics, its identity, and the calibration test against simulation."""

import sys
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_diagnostics.scoring import SquaredError, decompose
from scipy import stats
from sklearn.isotonic import IsotonicRegression

from coordeval.analysis import AnalysisError, brier, calibration_p_value, consistency, corp
from coordeval.analysis.quality.corp import explained, pool_rows


def sample(n: int = 100, *, seed: int = 0, digits: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.uniform(size=n).round(digits)
    return p, (rng.random(n) < p).astype(float)


@pytest.mark.parametrize(("n", "digits"), [(30, 1), (100, 2), (500, 6)])
def test_the_terms_are_those_of_model_diagnostics(n, digits):
    p, y = sample(n, digits=digits)
    theirs = decompose(y, p, scoring_function=SquaredError()).row(0, named=True)
    ours = corp(p, y)
    assert (ours.mcb, ours.dsc, ours.unc, ours.brier) == pytest.approx(
        (theirs["miscalibration"], theirs["discrimination"], theirs["uncertainty"], theirs["score"]), abs=1e-12
    )


def test_the_curve_is_scikit_learns_at_the_distinct_forecasts():
    p, y = sample()
    ours = corp(p, y)
    assert ours.recalibrated == pytest.approx(IsotonicRegression().fit(p, y).predict(ours.x), abs=1e-12)
    assert ours.counts.sum() == ours.n == 100


PAIRS = st.lists(
    st.tuples(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.3, 1.0])), st.integers(0, 1)), min_size=1, max_size=60
)


@given(PAIRS, st.randoms(use_true_random=False))
def test_the_identity_holds_in_any_order_and_the_curve_rises(pairs, random):
    for rows in (pairs, random.sample(pairs, len(pairs))):
        p, y = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
        c = corp(p, y)
        assert c.mcb - c.dsc + c.unc == pytest.approx(np.mean((p - y) ** 2), abs=1e-12)
        assert min(c.mcb, c.dsc) >= -1e-12
        assert np.all(np.diff(c.recalibrated) >= 0)
        assert corp(*zip(*pairs, strict=True)).mcb == pytest.approx(c.mcb, abs=1e-12)


@pytest.mark.parametrize(
    ("p", "y", "mcb", "dsc"),
    [
        pytest.param([0.2, 0.7], [1, 1], 0.365, 0.0, id="one class only"),
        pytest.param([0.4] * 4, [1, 0, 1, 0], 0.01, 0.0, id="a constant forecast discriminates nothing"),
        pytest.param([0.3], [1], 0.49, 0.0, id="one market"),
        pytest.param([0.0, 1.0], [0, 1], 0.0, 0.25, id="perfect at exactly 0 and 1"),
        pytest.param([0.0, 1.0], [1, 0], 0.75, 0.0, id="perfectly wrong"),
    ],
)
def test_hand_made_cases(p, y, mcb, dsc):
    c = corp(p, y)
    assert (c.mcb, c.dsc) == pytest.approx((mcb, dsc), abs=1e-15)


def test_forecasts_that_differ_by_rounding_only_are_recalibrated_together():
    p = [fmean([0.2] * 3), 0.2, fmean([0.01, 0.01, 0.58])]  # 0.2, 0.2 and 0.19999999999999998
    found = corp(p, [0, 1, 0])
    assert found.x.size == 1
    assert found.recalibrated.tolist() == [pytest.approx(1 / 3)]
    assert (found.mcb - found.dsc + found.unc, found.brier) == pytest.approx([brier(p, [0, 1, 0])] * 2, abs=1e-15)
    assert corp([0.2, 0.2 + 1e-8], [0, 1]).recalibrated.tolist() == [0, 1]


def test_the_p_value_rejects_a_true_null_as_often_as_it_says_and_finds_a_false_one():
    rng = np.random.default_rng(11)
    values = []
    for i in range(300):
        p = rng.uniform(size=60).round(2)
        values.append(calibration_p_value(p, rng.random(60) < p, n=199, seed=i))
    assert np.mean(np.array(values) <= 0.05) == pytest.approx(0.05, abs=0.03)
    p = rng.uniform(size=300)
    assert calibration_p_value(p, rng.random(300) < p**3, n=199) == 1 / 200


def test_the_band_holds_the_curve_of_a_calibrated_forecaster_pointwise_as_often_as_it_says():
    rng = np.random.default_rng(2)
    p = np.repeat(np.linspace(0.05, 0.95, 10), 10)
    band = consistency(p, rng.random(100) < p, n=2000, level=0.9)
    inside = []
    for _ in range(500):
        curve = corp(p, rng.random(100) < p).recalibrated
        inside.append((curve >= band.low - 1e-9) & (curve <= band.high + 1e-9))
    assert 0.88 <= np.mean(inside) <= 0.96  # discrete curves put some mass on the limits themselves


def test_the_band_of_one_forecast_is_binomial():
    band = consistency([0.5] * 400, [0, 1] * 200, n=5000, level=0.9)
    assert (band.low[0], band.high[0]) == pytest.approx(stats.binom.ppf([0.05, 0.95], 400, 0.5) / 400, abs=0.003)


def test_a_wider_level_gives_a_wider_band():
    p, y = sample()
    narrow, wide = consistency(p, y, level=0.5), consistency(p, y, level=0.95)
    assert np.all(wide.low <= narrow.low)
    assert np.all(wide.high >= narrow.high)


def test_the_seed_is_recorded_and_decides_and_the_order_does_not():
    p, y = sample()
    one, other = consistency(p, y, seed=4), consistency(p[::-1], y[::-1], seed=4)
    assert one.seed == 4
    assert one.p_value == other.p_value == calibration_p_value(p, y, seed=4)
    assert one.low.tolist() == other.low.tolist() != consistency(p, y, seed=5).low.tolist()


def test_certain_and_right_is_calibrated():
    assert calibration_p_value([0.0, 1.0], [0, 1]) == 1.0
    assert calibration_p_value([0.0, 1.0], [1, 1], n=99) == 0.01


@pytest.mark.parametrize("level", [90, 1.0, 0.0], ids=["a percentage in place of a fraction", "everything", "nothing"])
def test_a_level_that_is_no_fraction_is_refused(level):
    with pytest.raises(AnalysisError, match=r"such as 0\.9 for 90%"):
        consistency([0.1, 0.2], [0, 1], level=level)


def test_an_extreme_level_is_no_error():
    band = consistency([0.1, 0.9], [0, 1], level=0.999999, n=50)
    assert np.all(band.low <= band.high)


def test_a_band_at_some_of_the_forecasts_is_the_whole_band_there():
    rng = np.random.default_rng(5)
    p = rng.random(300)
    y = rng.random(300) < p
    whole, some = consistency(p, y, n=50, seed=1), consistency(p, y, n=50, seed=1, points=20)
    at = np.searchsorted(whole.x, some.x)
    assert some.x.size == 20
    assert (some.x[0], some.x[-1]) == (p.min(), p.max())
    np.testing.assert_array_equal(some.low, whole.low[at])
    np.testing.assert_array_equal(some.high, whole.high[at])
    assert some.p_value == whole.p_value


def test_a_band_needs_two_points():
    with pytest.raises(AnalysisError, match="points"):
        consistency([0.2, 0.4, 0.6], [0, 1, 1], points=1)


@pytest.mark.parametrize(
    ("distinct", "rows", "most", "drawn"),
    [
        pytest.param(1, 4, 3, 1.0, id="one distinct forecast"),
        pytest.param(40, 300, 1, 1.0, id="every forecast once: many ties between hits"),
        pytest.param(40, 300, 9, 0.6, id="resamples that leave some out"),
        pytest.param(25, 300, 400, 0.1, id="few of many, with large counts"),
    ],
)
def test_the_curves_of_many_rows_at_once_are_scikit_learns_of_each(monkeypatch, distinct, rows, most, drawn):
    monkeypatch.setattr(sys.modules[pool_rows.__module__], "_BLOCK", 70 * distinct)  # several regressions
    rng = np.random.default_rng(distinct + most)
    counts = rng.integers(1, most + 1, (rows, distinct)) * (rng.random((rows, distinct)) < drawn)
    counts[:, 0] = np.maximum(counts[:, 0], 1)
    hits = rng.binomial(counts, np.linspace(0.2, 0.8, distinct))
    found = explained(hits, counts)
    for k in range(rows):
        there = counts[k] > 0
        n, rate = counts[k][there], hits[k][there] / counts[k][there]
        curve = IsotonicRegression().fit_transform(np.arange(n.size), rate, sample_weight=n)
        assert found[k] == pytest.approx(n @ curve**2, rel=1e-12, abs=1e-12)
    whole = counts + 1
    curves = pool_rows(hits, whole)
    for k in range(rows):
        curve = IsotonicRegression().fit_transform(np.arange(distinct), hits[k] / whole[k], sample_weight=whole[k])
        assert curves[k] == pytest.approx(curve, abs=1e-12)
