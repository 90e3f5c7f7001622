"""Variance components against a table written out by hand and against the truth."""

import numpy as np
import polars as pl
import pytest

from coordeval.analysis import AnalysisError, Scored, scored, spread
from coordeval.analysis.plan.power import power
from coordeval.analysis.plan.variance import COMPONENTS, detectable, variance
from tests.analysis.reference import cell, failed, made_up, recorded, recorded_frame, table


def as_scored(errors, *, events=None) -> Scored:
    """Squared errors, (markets, configurations, replicates), of markets that resolve NO; NaN where there is no forecast."""
    i, c, r = np.nonzero(~np.isnan(errors))
    events = np.arange(errors.shape[0]) if events is None else events
    frame = pl.DataFrame(
        {
            "configuration": np.char.add("c", c.astype(str)),
            "market_id": np.char.add("m", np.char.zfill(i.astype(str), 4)),
            "event_id": np.char.add("e", np.char.zfill(events[i].astype(str), 4)),
            "replicate": r,
            "probability": np.sqrt(errors[i, c, r]),
            "outcome": np.zeros(i.size, int),
            "market_price": np.full(i.size, 0.2),
            "model_calls": np.ones(i.size, int),
        }
    )
    return Scored(frame=frame, policy="available", n_markets=errors.shape[0], left_out=pl.DataFrame())


def world(seed, *, markets=200, parts=(0.003, 0.0004, 0.0008, 0.0012), replicates=2) -> np.ndarray:
    """Four configurations; `parts` are the true components."""
    rng = np.random.default_rng(seed)
    m, c, mc, r = np.sqrt(parts)
    fixed = np.array([-1.5, -0.5, 0.5, 1.5]) / np.std([-1.5, -0.5, 0.5, 1.5], ddof=1)
    return np.clip(
        0.4
        + m * rng.normal(size=(markets, 1, 1))
        + c * fixed[:, None]
        + mc * rng.normal(size=(markets, 4, 1))
        + r * rng.normal(size=(markets, 4, replicates)),
        0,
        1,
    )


def components(found) -> dict[str, dict]:
    return {row["component"]: row for row in found.components.iter_rows(named=True)}


def test_the_components_are_those_of_the_analysis_of_variance():
    e = world(1, markets=30, replicates=3)
    a, b, r = e.shape
    cells, grand = e.mean(axis=2), e.mean()
    ms_m = r * b * np.sum((cells.mean(axis=1) - grand) ** 2) / (a - 1)
    ms_c = r * a * np.sum((cells.mean(axis=0) - grand) ** 2) / (b - 1)
    rest = cells - cells.mean(axis=1, keepdims=True) - cells.mean(axis=0) + grand
    ms_mc = r * np.sum(rest**2) / ((a - 1) * (b - 1))
    ms_r = np.sum((e - cells[:, :, None]) ** 2) / (a * b * (r - 1))
    theirs = ((ms_m - ms_mc) / (b * r), (ms_c - ms_mc) / (a * r), (ms_mc - ms_r) / r, ms_r)
    found = components(variance(as_scored(e), n=100))
    assert [found[name]["estimate"] for name in COMPONENTS] == pytest.approx(theirs, abs=1e-12)


def test_half_the_variance_of_a_difference_is_the_mean_over_pairs():
    e = world(2, markets=25)
    cells = e.mean(axis=2)
    pairs = [np.var(cells[:, i] - cells[:, j], ddof=1) for i in range(4) for j in range(i)]
    assert variance(as_scored(e), n=50).difference == pytest.approx(np.mean(pairs) / 2)


@pytest.mark.proof
def test_the_true_components_are_inside_their_intervals():
    """150 worlds of 120 markets; the components of truly varying things are covered 95% ± 5 points of the time."""
    truth = (0.003, 0.0004, 0.0008, 0.0012)
    hits = {name: [] for name in COMPONENTS}
    estimates = {name: [] for name in COMPONENTS}
    for seed in range(150):
        for row in variance(as_scored(world([3, seed], markets=120)), n=300, seed=seed).components.iter_rows(named=True):
            true = truth[COMPONENTS.index(row["component"])]
            hits[row["component"]].append(row["low"] <= true <= row["high"])
            estimates[row["component"]].append(row["estimate"])
    for name, true in zip(COMPONENTS, truth, strict=True):
        assert np.mean(estimates[name]) == pytest.approx(true, rel=0.05), name
        assert np.mean(hits[name]) >= 0.90, name


def test_replicates_missing_in_some_cells_are_averaged_over_and_a_missing_cell_leaves_its_market_out():
    e = world(4, markets=60, replicates=3)
    e[:20, 0, 2] = np.nan
    e[5, 1] = np.nan
    found = variance(as_scored(e), n=100)
    assert found.n_markets == 59
    assert found.replicates == pytest.approx(59 * 4 / (59 * 4 / 3 - 19 / 3 + 19 / 2))
    assert components(found)["replicate"]["estimate"] == pytest.approx(0.0012, rel=0.3)


def test_a_negative_estimate_is_zero_with_a_reason_and_keeps_its_value_beside():
    found = components(variance(as_scored(world(5, markets=40, parts=(0.003, 0, 0, 0.004))), n=200))
    negative = [row for row in found.values() if row["estimate"] < 0]
    assert negative
    for row in negative:
        assert row["variance"] == 0
        assert "taken as 0" in row["reason"]
        assert row["low"] is None or row["low"] < row["high"]


def test_one_replicate_cannot_tell_interaction_from_noise():
    found = variance(as_scored(world(6, replicates=1)), n=100)
    parts = components(found)
    assert [parts[name]["variance"] is None for name in COMPONENTS] == [False, False, True, True]
    assert "one replicate" in parts["replicate"]["reason"]
    assert (found.noise_floor, found.noise_high, found.noise.height) == (None, None, 0)
    assert found.forecasts["reason"].to_list() == ["no market has two replicates"] * 4


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        pytest.param(made_up(markets=1), "two markets and two configurations", id="one market"),
        pytest.param(made_up(configurations=1), "two markets and two configurations", id="one configuration"),
        pytest.param(
            made_up(markets=4).with_columns(model_calls=pl.lit(0, pl.Int64)), "calls a model", id="nobody was asked"
        ),
    ],
)
def test_what_is_undefined_is_null_with_a_reason(frame, reason):
    found = variance(scored(frame), n=50)
    row = components(found)["market"]
    assert row["variance"] is None
    assert reason in row["reason"]
    assert detectable(found, markets=[100], replicates=[2])["delta"][0] is None


def test_nothing_shared_by_all_is_null_with_a_reason():
    frame = table(cell(configuration="a", market_id="m0"), cell(configuration="b", market_id="m1"))
    assert (
        "no market has every configuration"
        in components(variance(scored(frame, policy="available"), n=50))["market"]["reason"]
    )


def test_a_configuration_that_calls_no_model_takes_no_part():
    frame = made_up(markets=20)
    price = made_up(markets=20, configurations=1).with_columns(
        configuration=pl.lit("market_price"), model_calls=pl.lit(0, pl.Int64)
    )
    both = variance(scored(pl.concat([frame, price])), n=50)
    assert both.components.equals(variance(scored(frame), n=50).components)
    assert "market_price" not in both.noise["configuration"].to_list()


def test_the_noise_floor_is_that_of_the_spread_and_every_pair_of_replicates_is_listed():
    frame = made_up(markets=20, replicates=3)
    found = variance(scored(frame), n=50)
    assert found.noise_floor == pytest.approx(spread(scored(frame)).noise_floor)
    assert found.noise.height == 3 * 3
    assert found.noise.filter(configuration="c0").select("first", "second").rows() == [(0, 1), (0, 2), (1, 2)]
    assert found.noise_low < found.noise_floor < found.noise_high


def test_the_variance_of_the_forecasts_is_that_within_markets():
    frame = table(
        *(
            cell(market_id=m, replicate=r, probability=p)
            for m, ps in {"m0": (0.1, 0.3), "m1": (0.5, 0.5)}.items()
            for r, p in enumerate(ps)
        ),
        cell(market_id="m2", replicate=0),
        failed(market_id="m2", replicate=1),
    )
    row = variance(scored(frame, policy="available"), n=50).forecasts.row(0, named=True)
    assert (row["n_markets"], row["replicates"], row["variance"]) == (2, 2, pytest.approx(0.02 / 2))


def test_the_detectable_difference_is_detected_with_the_power_asked_for():
    parts = (0.003, 0.0, 0.0008, 0.0012)
    found = variance(as_scored(world(7, markets=4000, parts=parts)), n=50)
    delta = detectable(found, markets=[150], replicates=[3])["delta"][0]
    rng = np.random.default_rng(0)
    sd = np.sqrt(2 * (0.0008 + 0.0012 / 3))
    seen = rng.normal(delta, sd, size=(20_000, 150)).mean(axis=1)
    assert np.mean(np.abs(seen) > 1.96 * sd / np.sqrt(150)) == pytest.approx(0.8, abs=0.03)
    more = detectable(found, markets=[150, 600], replicates=[1, 3])["delta"].to_list()
    assert more[0] > more[1]
    assert more[0] == pytest.approx(2 * more[2])


def test_with_one_replicate_only_the_same_design_can_be_told():
    found = variance(as_scored(world(8, replicates=1)), n=50)
    one, two = detectable(found, markets=[100], replicates=[1, 2]).iter_rows(named=True)
    assert one["delta"] > 0
    assert (two["delta"], "one replicate" in two["reason"]) == (None, True)


def test_correlated_markets_of_an_event_raise_the_design_effect():
    e = world(9, markets=300)
    twins = np.repeat(e[:100], 3, axis=0)
    assert variance(as_scored(e), n=50).design_effect == pytest.approx(1, abs=0.01)
    assert variance(as_scored(twins, events=np.repeat(np.arange(100), 3)), n=50).design_effect == pytest.approx(3, abs=0.05)


def test_nothing_depends_on_the_order_of_rows():
    frame = made_up(markets=12)
    a, b = variance(scored(frame), n=50), variance(scored(frame[::-1]), n=50)
    assert a.components.equals(b.components)
    assert a.noise.equals(b.noise)


def test_options_out_of_range_are_named():
    found = variance(scored(made_up(markets=6)), n=50)
    with pytest.raises(AnalysisError, match="alpha 5"):
        detectable(found, markets=[10], replicates=[1], alpha=5)
    with pytest.raises(AnalysisError, match="markets is 1"):
        detectable(found, markets=[1], replicates=[1])


@recorded
def test_the_recorded_study_varies_by_market_and_hardly_by_configuration():
    parts = components(variance(scored(recorded_frame()), n=2000))
    assert parts["market"]["variance"] > 500 * parts["configuration"]["variance"]
    assert parts["configuration"]["low"] == 0


def test_the_interval_of_the_variance_of_a_difference_holds_its_true_value():
    """With one replicate half of it is σ²_mc + σ²_r, which is all that such a study tells of its noise."""
    parts, held = (0.003, 0.0, 0.0008, 0.0012), 0
    for seed in range(60):
        found = variance(as_scored(world(seed, markets=150, parts=parts, replicates=1)), n=400)
        assert found.difference_low < found.difference < found.difference_high
        held += found.difference_low <= parts[2] + parts[3] <= found.difference_high
    assert held >= 52, "95% of 60 are 57, five standard errors below is 48"
    one = variance(scored(made_up(configurations=1)), n=50)
    assert (one.difference, one.difference_low, one.difference_high) == (None, None, None)


def test_a_pair_without_spread_leaves_the_shape_of_the_others():
    e = np.random.default_rng(0).exponential(0.1, (500, 2, 1))
    alone, twice = variance(as_scored(e), n=50).shape, variance(as_scored(e[:, [0, 1, 1]]), n=50).shape
    assert [np.round(np.abs(pair), 6).tolist() for pair in twice.apart] == [np.round(np.abs(alone.apart[0]), 6).tolist()] * 2
    assert variance(as_scored(e[:, [0, 0]]), n=50).shape is None


def test_differences_that_cancel_within_every_event_have_no_shape():
    """Each event holds d and −d: there is a spread between markets, and none between events."""
    d = np.random.default_rng(1).uniform(0.01, 0.1, 50)
    e = np.full((100, 2, 1), 0.3)
    e[0::2, 1, 0] += d
    e[1::2, 1, 0] -= d
    found = variance(as_scored(e, events=np.repeat(np.arange(50), 2)), n=50)
    assert (found.shape, found.design_effect) == (None, None)
    planned = power(found, markets=[100], replicates=[1]).row(0, named=True)
    assert planned["power"] is None
    assert "differences that vary" in planned["reason"]
