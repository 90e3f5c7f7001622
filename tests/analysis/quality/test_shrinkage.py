"""Partial pooling against statsmodels, Stan and SciPy, and against the truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from coordeval.analysis import AnalysisError
from coordeval.analysis.quality.shrinkage import shrink

# Log risk ratios of thirteen trials of BCG vaccine and their variances (Colditz et al. 1994).
BCG = [-0.8893, -1.5854, -1.3481, -1.4416, -0.2175, -0.7861, -1.6209, 0.012, -0.4694, -1.3713, -0.3394, 0.4459, -0.0173]
BCG_V = [0.3256, 0.1946, 0.4154, 0.02, 0.0512, 0.0069, 0.223, 0.004, 0.0564, 0.073, 0.0124, 0.5325, 0.0714]
# Effects of coaching in eight schools and their standard errors (Rubin 1981).
SCHOOLS = [28, 8, -3, 7, -1, 1, 18, 12]
SCHOOLS_SE = np.array([15, 10, 16, 11, 9, 11, 10, 18])


@pytest.mark.parametrize(
    ("y", "v", "tau2", "mean", "sem", "q"),
    [
        pytest.param(BCG, BCG_V, 0.3180824399, -0.7149703054, 0.1808945334, 151.8149189836, id="trials that differ"),
        pytest.param(SCHOOLS, SCHOOLS_SE**2, 0.0, 7.6856167250, 4.0719191584, 4.7070788644, id="schools that do not"),
    ],
)
def test_the_random_effects_model_is_that_of_statsmodels(y, v, tau2, mean, sem, q):
    """Figures: statsmodels 0.15.0, combine_effects(..., method_re="iterated"), which is Paule & Mandel's."""
    found = shrink(y, v)
    assert (found.tau2, found.mean, found.mean_sem, found.q) == pytest.approx((tau2, mean, sem, q), abs=2e-7)
    assert found.p_value == pytest.approx(stats.chi2.sf(q, len(y) - 1))


def test_the_posterior_is_that_of_stan():
    """Mean, 2.5% and 97.5% from 20,000 draws of the same model (rstan 2.7).

    Tolerance: five Monte Carlo standard errors of a mean; three of a quantile, which are about 0.5.
    """
    found = shrink(SCHOOLS, SCHOOLS_SE**2)
    means = [11.40, 7.96, 6.15, 7.58, 5.14, 6.20, 10.59, 8.37]
    errors = np.array([0.10, 0.05, 0.07, 0.05, 0.05, 0.05, 0.06, 0.07])
    assert np.all(np.abs(found.estimate - means) < 5 * errors)
    low = [-2.12, -4.34, -11.20, -5.46, -8.86, -8.38, -1.06, -6.86]
    high = [31.80, 20.75, 20.43, 20.49, 16.34, 18.69, 25.73, 24.83]
    assert found.low == pytest.approx(low, abs=1.5)
    assert found.high == pytest.approx(high, abs=1.5)


def test_with_estimated_variances_the_test_is_welchs():
    rng = np.random.default_rng(2)
    groups = [rng.normal(0.1 * k, 1 + k, 6 + 3 * k) for k in range(5)]
    v = [group.var(ddof=1) / group.size for group in groups]
    found = shrink([group.mean() for group in groups], v, df=[group.size - 1 for group in groups])
    assert found.p_value == pytest.approx(stats.f_oneway(*groups, equal_var=False).pvalue, rel=1e-10)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-1, 1), st.floats(0.01, 1)), min_size=3, max_size=12), st.floats(-5, 5), st.floats(0.1, 10)
)
def test_shift_and_scale_carry_over_and_estimates_lie_between_cell_and_cells(pairs, shift, scale):
    y, v = (np.array(column) for column in zip(*pairs, strict=True))
    found, moved = shrink(y, v), shrink(shift + scale * y, scale**2 * v)
    assert moved.estimate == pytest.approx(shift + scale * found.estimate, abs=1e-6 * (1 + scale))
    assert moved.low == pytest.approx(shift + scale * found.low, abs=1e-6 * (1 + scale))
    assert np.all(found.low <= found.estimate)
    assert np.all(found.estimate <= found.high)
    assert np.all((found.estimate >= y.min() - 1e-9) & (found.estimate <= y.max() + 1e-9))


def test_the_less_a_group_knows_the_further_it_is_drawn():
    found = shrink([1.0, 1.0, -1.0, -1.0], [0.1, 1.0, 0.1, 1.0])
    assert found.estimate[0] > found.estimate[1] > 0
    assert found.high[1] - found.low[1] > found.high[0] - found.low[0]


def test_few_degrees_of_freedom_widen_the_interval():
    narrow, wide = shrink([0.1, 0.2, 0.4], [0.01] * 3), shrink([0.1, 0.2, 0.4], [0.01] * 3, df=[4] * 3)
    assert wide.estimate == pytest.approx(narrow.estimate)
    assert np.all(wide.high - wide.low > 1.2 * (narrow.high - narrow.low))


@pytest.mark.parametrize("tau", [0.0, 1.0, 3.0])
@pytest.mark.parametrize(
    ("groups", "worlds"), [(3, 40), (10, 30), *(pytest.param(g, 400, marks=pytest.mark.proof) for g in (3, 10))]
)
def test_intervals_hold_the_truth_on_average_over_groups(tau, groups, worlds):
    """95%, more where τ is small. In 5,000 worlds with 10 groups and τ = 1 it was 94.3%, hence the point of its own.

    Groups of one world share their mean and their τ, so the binomial error is that of worlds.
    """
    rng = np.random.default_rng([int(10 * tau), groups])
    held = []
    for _ in range(worlds):
        v, truth = rng.uniform(0.3, 2, groups), rng.normal(0, tau, groups)
        found = shrink(rng.normal(truth, np.sqrt(v)), v)
        held.append(np.mean((found.low <= truth) & (truth <= found.high)))
    slack = 0.01 + 4 * np.sqrt(0.95 * 0.05 / groups / worlds)
    assert np.mean(held) > 0.95 - slack
    if tau == 3:
        assert np.mean(held) < 0.95 + slack


@pytest.mark.parametrize(
    ("y", "v", "df", "message"),
    [
        ([1, 2], [1, 1], None, "give 3 or more"),
        ([1, 2, 3], [1, 1], None, "one of each"),
        ([1, 2, 3], [1, 0, 1], None, "group 1: .*variance 0"),
        ([1, np.nan, 3], [1, 1, 1], None, "group 1: estimate nan"),
        ([1, 2, 3], [1, 1, 1], [1, 1, 0], "group 2"),
    ],
)
def test_what_cannot_be_pooled_is_named(y, v, df, message):
    with pytest.raises(AnalysisError, match=message):
        shrink(y, v, df=df)
