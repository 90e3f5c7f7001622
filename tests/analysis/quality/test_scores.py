"""Scores against scikit-learn, SciPy and hand-made cases, and null with a reason where a score is undefined."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import brier_score_loss, log_loss

from coordeval.analysis import AnalysisError, alpha, base_rate, brier, log_score, skill

RNG = np.random.default_rng(1)
P = RNG.uniform(size=60).round(2)
Y = (RNG.random(60) < P).astype(int)
PRICE = np.clip(P + RNG.normal(0, 0.1, 60), 0, 1)


def test_brier_is_scikit_learns():
    assert brier(P, Y) == pytest.approx(brier_score_loss(Y, P), abs=1e-15)


@pytest.mark.parametrize("epsilon", [1e-3, 0.05])
def test_log_score_is_scikit_learns_after_clipping(epsilon):
    assert log_score(P, Y, epsilon=epsilon).nats == pytest.approx(log_loss(Y, np.clip(P, epsilon, 1 - epsilon)), abs=1e-12)


def test_certain_and_wrong_costs_what_epsilon_says_and_is_counted():
    score = log_score([0.0, 1.0, 0.5], [1, 0, 1], epsilon=0.001)
    assert (score.clipped, score.epsilon) == (2, 0.001)
    assert score.nats == pytest.approx((-2 * np.log(0.001) + np.log(2)) / 3)


@pytest.mark.parametrize(
    ("p", "y", "score"),
    [
        pytest.param([0.0, 1.0], [0, 1], 0.0, id="perfect"),
        pytest.param([1.0, 0.0], [0, 1], 1.0, id="a probability flipped when the answer is no would score 0 here"),
        pytest.param([0.5], [1], 0.25, id="one market"),
    ],
)
def test_brier_at_the_extremes(p, y, score):
    assert brier(p, y) == score


def test_alpha_over_separate_markets_is_scipys_mean_and_sem():
    d = (PRICE - Y) ** 2 - (P - Y) ** 2
    result = alpha(P, Y, PRICE)
    assert result.mean == pytest.approx(d.mean(), abs=1e-15)
    assert result.sem == pytest.approx(stats.sem(d), abs=1e-15)
    assert result.sem_clustered == pytest.approx(result.sem, abs=1e-15)


def test_two_copies_of_every_market_in_one_event_add_no_information():
    twice = [np.concatenate([a, a]) for a in (P, Y, PRICE)]
    result = alpha(*twice, markets=np.arange(120), events=np.tile(np.arange(60), 2))
    assert result.sem_clustered == pytest.approx(alpha(P, Y, PRICE).sem, abs=1e-15)
    assert result.sem < result.sem_clustered


def test_replicates_of_a_market_are_averaged_before_the_standard_error():
    other = np.clip(P + 0.1, 0, 1)
    ids = {"markets": np.tile(np.arange(60), 2), "replicates": np.repeat([0, 1], 60)}
    result = alpha(np.concatenate([P, other]), np.tile(Y, 2), np.tile(PRICE, 2), **ids)
    d = (PRICE - Y) ** 2 - ((P - Y) ** 2 + (other - Y) ** 2) / 2
    assert (result.mean, result.sem) == (pytest.approx(d.mean(), abs=1e-15), pytest.approx(stats.sem(d), abs=1e-15))


def test_every_replicate_counts_the_same_however_many_markets_it_answered():
    result = alpha([0.0, 1.0, 1.0], [0, 0, 0], [0.0, 0.0, 0.0], markets=[0, 0, 1], replicates=[0, 1, 1])
    assert result.mean == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("p", "price", "events", "missing", "reason"),
    [
        pytest.param(
            [0.2], [0.3], None, {"sem", "sem_clustered"}, "one market", id="one market has no standard error, not 0"
        ),
        pytest.param([0.2, 0.4], [0.3, 0.3], [1, 1], {"sem_clustered"}, "one event", id="one event"),
        pytest.param(
            [0.2, 0.4], [np.nan] * 2, None, {"mean", "sem", "sem_clustered"}, "no market price", id="no price at all"
        ),
    ],
)
def test_what_alpha_cannot_know_is_none_with_a_reason(p, price, events, missing, reason):
    result = alpha(p, [0] * len(p), price, events=events)
    assert (
        {name for name in ("mean", "sem", "sem_clustered") if getattr(result, name) is None}
        == missing
        == set(result.reasons)
    )
    assert all(reason in text or "event" in text for text in result.reasons.values())


def test_alpha_and_skill_leave_out_the_unpriced_and_say_over_how_many():
    price = np.where(np.arange(60) < 20, np.nan, PRICE)
    assert alpha(P, Y, price).n == skill(P, Y, reference=price).n == 40
    assert skill(P, Y, reference=price).value == pytest.approx(1 - brier(P[20:], Y[20:]) / brier(PRICE[20:], Y[20:]))


@pytest.mark.parametrize(
    ("y", "reference", "value", "reason"),
    [
        pytest.param([1, 0], [1.0, 0.0], None, "perfect", id="a perfect reference has no skill against it"),
        pytest.param([1, 1], 1.0, None, "perfect", id="one class only: the base rate is perfect"),
        pytest.param([1, 0], np.nan, None, "no reference", id="nothing to compare with"),
        pytest.param([1, 0], 0.5, 0.0, None, id="as good as the base rate"),
    ],
)
def test_skill_of_a_coin(y, reference, value, reason):
    result = skill([0.5, 0.5], y, reference=reference)
    assert result.value == value
    assert (result.reason is None) if reason is None else (reason in result.reason)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        pytest.param(lambda: brier([0.1, np.nan], [0, 1]), r"probability\[1\] is nan", id="NaN"),
        pytest.param(lambda: brier([55.0], [1]), "divide percentages by 100", id="percentages"),
        pytest.param(lambda: brier([0.1, 0.2], [1]), "one outcome per forecast", id="lengths differ"),
        pytest.param(lambda: brier([0.1], [0.5]), "must be 0 or 1", id="an outcome of one half"),
        pytest.param(lambda: brier([], []), "at least one", id="nothing"),
        pytest.param(lambda: log_score([0.1], [1], epsilon=0.0), "strictly between 0 and 0.5", id="no clipping at all"),
        pytest.param(lambda: alpha([0.1], [1], [0.1, 0.2]), "price has the shape", id="prices of other markets"),
        pytest.param(lambda: alpha([0.1], [1], [0.1], events=[1, 2]), "one id per forecast", id="events of other markets"),
    ],
)
def test_wrong_arrays_are_refused(call, says):
    with pytest.raises(AnalysisError, match=says):
        call()


def test_base_rate():
    assert base_rate([1, 0, 0, 1]) == 0.5


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=50))
def test_scores_lie_in_their_range(pairs):
    p, y = (np.array(column) for column in zip(*pairs, strict=True))
    assert 0 <= brier(p, y) <= 1
    assert 0 <= log_score(p, y).nats <= -np.log(1e-3) + 1e-12


def test_a_price_that_is_none_is_one_that_is_not_known_and_one_out_of_range_is_named():
    assert alpha([0.5, 0.5], [1, 0], [None, 0.4]).n == 1
    with pytest.raises(AnalysisError, match=r"price\[0\] is 1\.5"):
        alpha([0.5], [1], [1.5])
