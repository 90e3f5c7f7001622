"""Following the market price: against figures computed in another way, and the weight a blend should find."""

import numpy as np
import polars as pl
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LinearRegression, LogisticRegression

from coordeval.analysis import AnalysisError, scored
from coordeval.analysis.base.events import event_sums
from coordeval.analysis.quality.tracking import MEASURES, tracking
from tests.analysis.reference import cell, made_up, table


def rows(frame, **options) -> dict[str, dict]:
    found = tracking(scored(frame), **{"n": 500} | options).table
    return {row["measure"]: row for row in found.iter_rows(named=True)}


def world(*, markets: int, signal: float, seed: int, noise: float = 0.0) -> pl.DataFrame:
    """The truth is at logit (1 − signal) · price + signal · forecast: the blend that is best by construction."""
    rng = np.random.default_rng(seed)
    m, p = rng.normal(0, 1, (2, markets))
    y = rng.random(markets) < expit((1 - signal) * m + signal * p)
    return table(
        *(
            cell(
                market_id=f"m{i:05}",
                probability=float(expit(p[i] + noise)),
                market_price=float(expit(m[i])),
                outcome=int(y[i]),
            )
            for i in range(markets)
        )
    )


def test_slope_intercept_and_share_are_those_of_other_implementations():
    frame = made_up(configurations=1, replicates=1)
    found = rows(frame)
    x, y = (logit(frame[name].clip(0.01, 0.99).to_numpy()) for name in ("market_price", "probability"))
    line = LinearRegression().fit(x[:, None], y)
    assert (found["slope"]["estimate"], found["intercept"]["estimate"]) == pytest.approx((line.coef_[0], line.intercept_))
    near = (frame["probability"] - frame["market_price"]).abs() <= 0.005
    assert found["near"]["estimate"] == pytest.approx(near.mean())


def test_a_replicated_study_has_the_estimates_of_the_single_one():
    one = made_up(configurations=1, replicates=1)
    two = pl.concat([one, one.with_columns(replicate=pl.lit(1, pl.Int64))])
    for measure, row in rows(two).items():
        assert row == pytest.approx(rows(one)[measure], nan_ok=True), measure


def test_a_distance_of_exactly_the_limit_is_near():
    frame = table(*(cell(market_id=f"m{i}", probability=0.3, market_price=m) for i, m in enumerate([0.305, 0.295, 0.3051])))
    assert rows(frame)["near"]["estimate"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("signal", [0.0, 0.5, 1.0])
def test_the_blend_finds_the_weight_that_the_outcomes_were_drawn_with(signal):
    found = rows(world(markets=4000, signal=signal, seed=3), n=1000)
    assert found["blend_weight"]["low"] <= signal <= found["blend_weight"]["high"]
    assert found["blend_weight"]["high"] - found["blend_weight"]["low"] < 0.25
    if signal:
        assert found["blend_gain"]["low"] > 0


@pytest.mark.proof
def test_the_interval_of_the_blend_weight_covers_it():
    """120 worlds of 200 markets: 95% ± 5 points."""
    hits = []
    for seed in range(120):
        row = rows(world(markets=200, signal=0.4, seed=seed + 100), n=400)["blend_weight"]
        hits.append(row["low"] <= 0.4 <= row["high"])
    assert 0.90 <= np.mean(hits) <= 1


def test_the_weight_is_the_mean_of_logistic_regressions_that_leave_a_fold_out():
    frame = world(markets=300, signal=0.5, seed=5)
    m, p = (logit(frame[name].clip(0.01, 0.99).to_numpy()) for name in ("market_price", "probability"))
    y = frame["outcome"].to_numpy()
    fold = np.random.default_rng(0).permutation(300) % 5
    weights = []
    for k in range(5):
        kept = fold != k
        # A regression with the fixed offset m is one without: the score at the weight found must vanish.
        fit = LogisticRegression(C=1e12, fit_intercept=False, tol=1e-10, max_iter=1000)
        fit.fit(np.stack([m, p - m], axis=1)[kept], y[kept])
        weights.append(fit.coef_[0, 1] / fit.coef_[0, 0])
    assert rows(frame)["blend_weight"]["estimate"] == pytest.approx(np.mean(weights), abs=0.15)


def test_what_is_undefined_is_null_with_its_reason():
    same = made_up(configurations=1).with_columns(probability=pl.col("market_price"))
    assert "there is nothing to weigh" in rows(same)["blend_weight"]["reason"]
    assert (rows(same)["near"]["estimate"], rows(same)["near"]["high"]) == (1, 1)
    assert rows(same)["near"]["low"] < 1, "that all of a few follow the price does not say that all would"
    flat = made_up(configurations=1).with_columns(market_price=pl.lit(0.4))
    assert "same on every market" in rows(flat)["slope"]["reason"]
    unpriced = made_up(configurations=1).with_columns(market_price=pl.lit(None, pl.Float64))
    assert {row["reason"] for row in rows(unpriced).values()} == {"no market price is known"}
    one = table(cell())
    assert "5 folds" in rows(one)["blend_weight"]["reason"]
    sure = table(*(cell(market_id=f"m{i}", outcome=i % 2, probability=float(i % 2)) for i in range(40)))
    assert "perfectly" in rows(sure)["blend_weight"]["reason"]
    for frame in (same, flat, unpriced, one, sure):
        for row in rows(frame).values():
            assert (row["low"] is None) == (row["high"] is None)
            assert row["low"] is not None or row["reason"]
            assert row["low"] is None or row["low"] < row["high"]


def test_every_configuration_has_every_measure_and_order_does_not_matter():
    frame = made_up()
    found = tracking(scored(frame), n=200)
    assert found.table["measure"].to_list() == [*MEASURES] * 3
    assert found.table.equals(tracking(scored(frame[::-1]), n=200).table)


def test_options_out_of_range_are_named():
    with pytest.raises(AnalysisError, match="folds is 1"):
        tracking(scored(made_up()), folds=1)
    with pytest.raises(AnalysisError, match="within is 5"):
        tracking(scored(made_up()), within=5)


def test_sums_over_events_take_positions_in_any_order():
    assert event_sums(np.array([[1.0, 2], [3, 4], [5, 6]]), np.array([1, 0, 1])).tolist() == [[3, 4], [6, 8]]
