"""Sign flips: all of them, many, and the tail where a correction needs a smaller p-value than flips can give."""

import numpy as np
import pytest

from coordeval.analysis import AnalysisError, comparisons, scored
from coordeval.analysis.differences.sign_flips import _all_flips, sign_flip, tail
from coordeval.analysis.quality.nulls import upper_tail
from tests.analysis.reference import cell, table

RNG = np.random.default_rng(0)
G = 18
SUMS = {
    "normal": RNG.normal(0.9, 1, G),
    "skewed": RNG.exponential(size=G) * np.where(np.arange(G) < 15, 1, -1),
    "one event carries half": np.append(np.full(G - 1, 0.05), 0.85) * np.where(np.arange(G) == 3, -1, 1),
    "all of one size": np.where(np.arange(G) < 16, 0.1, -0.1),
    "hundredths": RNG.choice([0.01, 0.02, 0.03, -0.01], G, p=[0.4, 0.3, 0.2, 0.1]),
}


@pytest.mark.parametrize("name", SUMS)
def test_the_fitted_tail_is_that_of_all_signs(name: str):
    sums = SUMS[name]
    exact = _all_flips(sums, abs(sums.sum()) * (1 - 1e-12))
    assert tail(sums) == pytest.approx(exact, rel=0.1)


def test_where_all_signs_agree_the_tail_is_the_two_of_all_signs():
    assert tail(np.full(30, 0.1)) == 2.0**-29
    assert 0 < tail(np.full(20_000, 0.1)) < 1e-300


def test_few_random_signs_do_not_keep_a_p_value_from_being_small():
    """38 standard errors: with 500 signs alone p is 1/501, which no correction for 66 pairs lets pass."""
    sums = np.random.default_rng(1).normal(0.3, 1, (16_000, 1))
    ((p, exact),) = sign_flip(sums, n=500)
    assert not exact
    assert 0 < p < 1e-100


def test_up_to_14_events_are_flipped_in_every_way_however_few_signs_are_asked_for():
    ((p, exact),) = sign_flip(np.full((14, 1), 0.1), n=10)
    assert (p, exact) == (2.0**-13, True)


def test_a_clear_difference_among_many_configurations_survives_correction():
    """12 configurations, one of which is worse; 66 pairs, and so few flips that no share of them is under 1/201."""
    rng = np.random.default_rng(2)
    cells = [
        cell(configuration=f"c{c:02}", market_id=f"m{i}", outcome=0, probability=float(p), market_price=None)
        for c in range(12)
        for i, p in enumerate(np.clip(rng.normal(0.2 + 0.2 * (c == 0), 0.05, 60), 0, 1).round(2))
    ]
    found = comparisons(scored(table(*cells)), n=200).table
    assert set(found.filter(first="c00")["p_holm"] < 0.05) == {True}


@pytest.mark.parametrize(
    ("sums", "options", "says"),
    [
        pytest.param([[0.1], [np.nan]], {}, r"sums\[1, 0\] is nan", id="NaN"),
        pytest.param([[np.inf]], {}, "must be finite", id="infinite"),
        pytest.param([0.1, 0.2], {}, "one column for one pair", id="one dimension"),
        pytest.param([[0.1]], {"n": 0}, "n is 0", id="no signs"),
    ],
)
def test_what_has_no_sign_is_refused(sums, options, says):
    with pytest.raises(AnalysisError, match=says):
        sign_flip(np.array(sums), **options)


def test_the_tail_of_a_null_is_fitted_where_few_draws_reach_so_far():
    """Of a gamma law with shape 4: P(x ≥ 14) is 0.0005, P(x ≥ 20) is 3·10⁻⁶; a share of 200 draws is at least 1/201."""
    rng = np.random.default_rng(3)
    found = np.array([[upper_tail(rng.gamma(4, size=200), x) for x in (14.0, 20.0)] for _ in range(40)])
    assert np.median(found[:, 0]) == pytest.approx(1e-3, rel=0.7)
    assert np.median(found[:, 1]) < 1e-4
    drawn = rng.gamma(4, size=500)
    assert upper_tail(drawn, 4.0) == (1 + np.sum(drawn >= 4)) / 501


def test_one_random_sign_is_enough_to_ask_for_and_a_pair_says_the_same_beside_a_much_larger_one():
    assert sign_flip(np.array([[0.2]]), n=1) == [(1.0, True)]
    small = np.array([0.2, 0.1, 0.3, -0.05])
    assert sign_flip(np.column_stack([small, small * 1e11]))[0] == sign_flip(small[:, None])[0]
