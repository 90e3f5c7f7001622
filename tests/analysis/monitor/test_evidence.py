"""The e-detector holds what it promises: exactly, over every order in which periods could have come, and in simulation."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.monitor import e_values, evidence, ranks
from coordeval.analysis.monitor.evidence import SHIFTS

N, BASELINE = 7, 2
VALUES = {
    "all differ": [0.3, 1.0, 1.1, 5.0, 5.5, 9.0, 40.0],
    "two values only": [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0],
    "one value only": [2.0] * N,
}


@pytest.fixture(scope="module", params=VALUES, ids=str)
def every_order(request) -> np.ndarray:
    """The evidence in each of the 5,040 orders, (orders, periods)."""
    pairs = list(zip(VALUES[request.param], np.random.default_rng(0).random(N), strict=True))
    return np.array([evidence(*zip(*order, strict=True), baseline=BASELINE).value for order in permutations(pairs)])


def test_without_a_change_the_expected_evidence_is_the_number_of_periods(every_order):
    assert every_order.mean(axis=0) == pytest.approx([0, 0, 1, 2, 3, 4, 5])


@pytest.mark.parametrize("needed", [5.5, 8, 12, 20])
def test_without_a_change_an_alarm_is_as_rare_as_promised_however_often_one_looks(every_order, needed):
    share = (every_order.max(axis=1) >= needed).mean()
    assert share <= (N - BASELINE) / needed
    assert needed > 12 or share > 0, "the bound is not held by never betting"


def test_what_is_known_so_far_tells_nothing_of_the_next_gain(every_order):
    """A martingale: among the orders with one past, the next gain is 1 on average."""
    pairs = [(float(v), 0.5) for v in range(5)]
    told: dict[tuple[int, ...], list[float]] = {}
    for order in permutations(pairs):
        x, ties = zip(*order, strict=True)
        found = evidence(x, ties, baseline=BASELINE)
        past = tuple(ranks(x, ties)[:4].tolist())
        told.setdefault(past, []).append(found.value[4] - found.value[3])
    assert len(told) == 24
    assert [np.mean(gains) for gains in told.values()] == pytest.approx([1.0] * 24)


@given(st.integers(1, 400))
@settings(max_examples=25, deadline=None)
def test_the_bet_on_each_shift_is_worth_1_on_average_over_the_ranks(t):
    worth = [e_values(np.array([1] * (t - 1) + [r]))[-1] for r in range(1, t + 1)]
    assert np.mean(worth, axis=0) == pytest.approx(np.ones(len(SHIFTS)))


def test_the_bet_is_the_mean_likelihood_ratio_over_the_rank():
    """Against a numerical integral of another library."""
    u = (np.arange(200_000) + 0.5) / 200_000
    ratio = np.exp(norm.ppf(u) - 0.5)
    seen = e_values(np.array([1, 2, 2, 4]))[:, SHIFTS.index(1.0)]
    assert seen[3] == pytest.approx(ratio[u > 0.75].mean(), rel=1e-3)
    assert seen[2] == pytest.approx(ratio[(u > 1 / 3) & (u < 2 / 3)].mean(), rel=1e-3)


@given(st.lists(st.floats(-30, 30), min_size=12, max_size=30, unique=True))
@settings(max_examples=25, deadline=None)
def test_neither_unit_nor_shape_matters_and_down_is_as_up(values):
    x, ties = np.array(values), np.linspace(0, 1, len(values))
    plain, bent, turned = (evidence(v, ties, baseline=5) for v in (x, x**3 if len(set(x**3)) == len(x) else x, -x))
    assert plain.value == pytest.approx(bent.value)
    assert plain.value == pytest.approx(turned.value)


def test_heavy_tails_and_hardly_varying_signals_raise_no_more_alarms_than_promised():
    rng = np.random.default_rng(5)
    needed, periods, streams = 2_000.0, 100, 300
    for x in (rng.standard_cauchy((streams, 120)), rng.binomial(20, 0.01, (streams, 120)) / 20):
        alarms = sum(evidence(row, rng.random(120), baseline=20).first(needed) is not None for row in x)
        bound = streams * periods / needed
        assert alarms <= bound + 3 * np.sqrt(bound)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_change_is_found_where_it_began_and_which_way_it_went(sign):
    rng = np.random.default_rng(2)
    x = sign * np.concatenate([rng.normal(0, 1, 80), rng.normal(3, 1, 20)])
    found = evidence(x, rng.random(100), baseline=28)
    at = found.first(1e6)
    assert at is not None
    assert 84 <= at <= 92
    assert abs(found.since[at] - 80) <= 1
    assert np.sign(found.shift[at]) == sign
    assert found.value[:28].tolist() == [0.0] * 28


@pytest.mark.parametrize(
    ("x", "ties", "baseline", "words"),
    [
        ([1.0, 2.0], [0.1], 2, r"x has the shape \(2,\), ties \(1,\)"),
        ([1.0, np.nan, 2.0], [0.1, 0.2, 0.3], 2, r"x\[1\] is nan"),
        ([1.0, 2.0, 3.0], [0.1, 0.2, 0.3], 1, "baseline is 1"),
        ([1.0, 2.0, 3.0], [0.1, 0.2, 0.3], 2.5, "baseline is 2.5"),
    ],
)
def test_what_cannot_be_judged_is_refused(x, ties, baseline, words):
    with pytest.raises(AnalysisError, match=words):
        evidence(x, ties, baseline=baseline)


def test_a_baseline_that_takes_everything_judges_nothing():
    assert evidence([1.0, 2.0, 9.0], [0.1, 0.2, 0.3], baseline=3).first(0.5) is None
