"""Pools against figures computed by hand, and in a study whose estimates are known."""

from math import exp, log, sqrt

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordeval.analysis import AnalysisError
from coordeval.analysis.base.estimates import ESTIMATES, resolved
from coordeval.analysis.talk.pooling import pooled, pooling

NAN = float("nan")


def estimate(**changed) -> dict:
    """One estimate of a cell that resolved YES; the event follows the market."""
    row = dict.fromkeys(ESTIMATES) | {"configuration": "debate", "market_id": "m0", "replicate": 0, "ask": 0, "agent": 0}
    row |= {"round": 0, "role": "forecaster", "probability": 0.5, "outcome": 1, "market_price": 0.4, "forecast": 0.5}
    row |= changed
    return row | {"event_id": changed.get("event_id", f"event of {row['market_id']}")}


def said(*rounds: tuple[float, ...], **facts) -> list[dict]:
    """The estimates of one cell, one tuple per round."""
    asks = [(r, a, p) for r, values in enumerate(rounds) for a, p in enumerate(values)]
    return [estimate(ask=i, round=r, agent=a, probability=p, **facts) for i, (r, a, p) in enumerate(asks)]


def frame(*cells: list[dict]) -> pl.DataFrame:
    return pl.DataFrame([row for cell in cells for row in cell], schema=ESTIMATES)


@pytest.mark.parametrize(
    ("pool", "p", "expected"),
    [
        pytest.param("mean", [0.1, 0.2, 0.6], 0.3, id="mean"),
        pytest.param("median", [0.1, 0.2, 0.6], 0.2, id="median of an odd number"),
        pytest.param("median", [0.1, 0.2, 0.4, 0.6], 0.3, id="median of an even number is halfway"),
        pytest.param("median", [0.1, 0.3, NAN], 0.2, id="who said nothing does not count"),
        pytest.param("log_odds", [0.5, 0.8], 2 / 3, id="odds 1 and 4 have the geometric mean 2"),
        pytest.param("log_odds", [0.2, 0.8], 0.5, id="symmetric odds cancel"),
        pytest.param("log_odds", [0.0, 1.0], 0.5, id="certainties are held at 0.001 and 0.999"),
        pytest.param("extremised", [0.5, 0.8], 2 ** sqrt(3) / (1 + 2 ** sqrt(3)), id="odds 2 to the power √3"),
        pytest.param("trimmed", [0.1, 0.2, 0.6], 0.2, id="of three, one goes at each end"),
        pytest.param("trimmed", [0.0, 0.1, 0.3, 1.0], 0.2, id="at least one goes at each end"),
        pytest.param("trimmed", [0.1, 0.3], 0.2, id="of two nothing goes"),
        pytest.param("trimmed", [0.7, NAN, NAN], 0.7, id="one agent is its own pool"),
    ],
)
def test_a_pool_has_the_value_worked_out_by_hand(pool, p, expected):
    assert pooled(np.array([p]), pool=pool)[0] == pytest.approx(expected)


def test_trimming_takes_its_share_from_each_end():
    p = np.linspace(0, 1, 20)[None] ** 2
    assert pooled(p, pool="trimmed", trim=0.2)[0] == pytest.approx(np.mean(p[0, 4:16]))


@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=9), st.randoms(use_true_random=False))
def test_every_pool_but_the_extremised_lies_among_the_estimates_and_ignores_their_order(values, random):
    shuffled = random.sample(values, len(values))
    for pool in ("mean", "median", "log_odds", "trimmed", "extremised"):
        value = pooled(np.array([values]), pool=pool)[0]
        assert value == pytest.approx(pooled(np.array([shuffled]), pool=pool)[0])
        if pool != "extremised":
            assert min(values) - 1e-12 <= value <= max(values) + 1e-12


@given(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=9))
def test_extremising_by_one_is_the_log_odds_pool_and_flips_with_the_question(values):
    p = np.array([values])
    assert pooled(p, pool="extremised", factor=1.0) == pytest.approx(pooled(p, pool="log_odds"))
    assert pooled(1 - p, pool="extremised") == pytest.approx(1 - pooled(p, pool="extremised"))
    x = np.mean([log(v / (1 - v)) for v in values])
    assert pooled(p, pool="log_odds")[0] == pytest.approx(1 / (1 + exp(-x)))


def test_brier_scores_are_those_of_the_table_by_hand():
    """Two markets, YES and NO; the forecast is the mean of the last round."""
    yes = said((0.2, 0.4, 0.9), (0.5, 0.6, 0.7), forecast=0.6, outcome=1)
    no = said((0.1, 0.3, 0.2), (0.2, 0.2, 0.2), forecast=0.2, outcome=0, market_id="m1")
    table = pooling(frame(yes, no), n=100).table
    found = {(row["stage"], row["pool"]): row for row in table.iter_rows(named=True)}
    assert found["first", "mean"]["brier"] == pytest.approx((0.5**2 + 0.2**2) / 2)
    assert found["first", "median"]["brier"] == pytest.approx((0.6**2 + 0.2**2) / 2)
    assert found["last", "mean"]["brier"] == pytest.approx((0.4**2 + 0.2**2) / 2)
    assert found["first", "mean"]["delta"] == pytest.approx((0.25 - 0.16) / 2)
    assert found["last", "mean"]["delta"] == pytest.approx(0)
    assert all(row["low"] is None and "2 events" in row["reason"] for row in found.values()), "too few for an interval"


def test_the_last_round_is_each_cells_own_and_replicates_share_a_market():
    """One cell stops after a round, the other goes on: m0 has two replicates and still counts once."""
    cells = [said((0.4, 0.6)), said((0.4, 0.6), (0.8, 0.8), replicate=1), said((0.0, 0.2), market_id="m1", outcome=0)]
    found = pooling(frame(*cells), n=100).table.filter(stage="last", pool="mean").row(0, named=True)
    assert found["brier"] == pytest.approx(((0.25 + 0.04) / 2 + 0.01) / 2)
    assert found["n_markets"] == 2


def test_intervals_have_width_or_a_reason():
    rng = np.random.default_rng(0)
    cells = [said(tuple(rng.uniform(size=3)), market_id=f"m{i:02}", outcome=i % 2, forecast=0.5) for i in range(30)]
    for row in pooling(frame(*cells), n=500).table.iter_rows(named=True):
        assert row["low"] < row["brier"] < row["high"]
        assert row["delta_low"] < row["delta"] < row["delta_high"]
        assert row["reason"] is None


def test_what_is_undefined_is_null_with_its_reason():
    late = [estimate(configuration="late", round=2)]
    failed = [
        estimate(configuration="failed", forecast=None),
        estimate(configuration="failed", market_id="m1", outcome=None),
    ]
    table = pooling(frame(late, failed), n=100).table
    assert set(table.filter(configuration="late", stage="first")["reason"]) == {"nobody estimates in round 0"}
    assert table.filter(configuration="late", stage="last")["brier"].null_count() == 0
    assert set(table.filter(configuration="failed")["reason"]) == {"no cell is resolved and answered"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"probability": 1.2}, "probability is 1.2"),
        ({"probability": None}, "probability is None"),
        ({"probability": NAN}, "probability is nan"),
        ({"outcome": 2}, "outcome is 2"),
        ({"forecast": -0.1}, "forecast is -0.1"),
    ],
)
def test_an_estimate_that_breaks_a_rule_is_named(changed, message):
    with pytest.raises(AnalysisError, match=f"configuration debate, market_id m0.*{message}"):
        resolved(frame([estimate(**changed)]))


def test_wrong_frames_and_options_are_named():
    with pytest.raises(AnalysisError, match="lacks forecast"):
        pooling(frame(said((0.5,))).drop("forecast"))
    with pytest.raises(AnalysisError, match="there twice"):
        pooling(frame(said((0.5,)), said((0.5,))))
    with pytest.raises(AnalysisError, match=r"trim is 0\.5"):
        pooled(np.array([[0.5]]), pool="mean", trim=0.5)
    with pytest.raises(AnalysisError, match="factor is 0"):
        pooled(np.array([[0.5]]), pool="mean", factor=0)
    with pytest.raises(AnalysisError, match="cell 1 has no estimate"):
        pooled(np.array([[0.5], [NAN]]), pool="mean")
