"""What so few events cannot carry has no interval, and a share has that of a share, wherever means of events are told."""

import numpy as np
import polars as pl
import pytest

from coordeval.analysis import Resamples, example_estimates
from coordeval.analysis.base.events import mean_of, summary
from coordeval.analysis.base.resampling import APART, UNIT
from coordeval.analysis.talk.coordination import coordination
from coordeval.analysis.talk.pooling import pooling


def of(values, bounds, outcome=None):
    columns = np.stack([np.ones(len(values)), values], axis=1)
    drawn = Resamples(events=len(values), n=500)
    return summary(columns, np.arange(len(values)), mean_of, resamples=drawn, level=0.95, bounds=bounds, outcome=outcome)


def first(count, markets):
    return (np.arange(markets) < count).astype(np.float64)


@pytest.mark.parametrize(("count", "low", "high"), [(0, 0.0, 0.11), (1, 0.0, 0.17), (15, 0.3, 0.7), (30, 0.89, 1.0)])
def test_a_share_has_an_interval_also_where_it_is_none_or_all(count, low, high):
    found = of(first(count, 30), UNIT)
    assert found["estimate"] == pytest.approx(count / 30)
    assert found["low"] == pytest.approx(low, abs=0.02)
    assert found["high"] == pytest.approx(high, abs=0.02)


def test_the_interval_of_a_rare_share_holds_the_truth():
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(200):
        found = of((rng.random(40) < 0.05).astype(np.float64), UNIT)
        held += found["low"] <= 0.05 <= found["high"]
    assert held >= 187  # 93.5%; quantiles of resamples hold it in some 86%, and there are none in 13%


@pytest.mark.parametrize(
    ("values", "outcome", "why"),
    [
        pytest.param(0.3 * first(4, 40), None, "36 of 40 events say 0: an interval needs 15", id="few say anything else"),
        pytest.param(0.3 * first(14, 40) * np.linspace(1, 2, 40), None, None, id="a third says something else"),
        pytest.param(0.3 * first(16, 80), None, None, id="enough say something else"),
        pytest.param(np.linspace(0, 1, 40), first(3, 40), "3 events resolved YES", id="a score of few outcomes"),
        pytest.param(np.linspace(0, 1, 40), first(20, 40), None, id="a score of enough outcomes"),
    ],
)
def test_there_is_no_interval_where_the_data_cannot_carry_one(values, outcome, why):
    found = of(values, APART, outcome)
    assert found["estimate"] == pytest.approx(values.mean())
    assert (found["low"] is None) == (why is not None)
    assert (found["reason"] is None) if why is None else (why in found["reason"])


def test_scores_of_agents_who_talk_and_of_pools_have_none_in_a_thin_study_and_differences_do():
    said = example_estimates()
    markets = said["market_id"].unique().sort()
    yes = pl.col("market_id").is_in(markets.head(3).to_list())
    told = coordination(said.with_columns(outcome=yes.cast(said["outcome"].dtype)), n=100).gain
    known = told.filter(pl.col("estimate").is_not_null())
    scores = known.filter(pl.col("measure").is_in(["individual", "static_pool", "pool", "final"]))
    assert scores.height
    assert scores["low"].is_null().all()
    assert scores["reason"].str.contains("2 events resolved YES").all()
    assert known.filter(measure="gain")["low"].is_not_null().any()
    pools = pooling(said.with_columns(outcome=yes.cast(said["outcome"].dtype)), n=100).table
    assert pools["low"].is_null().all()
    assert pools["delta_low"].is_not_null().any()
