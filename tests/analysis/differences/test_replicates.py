"""The spread between replicates, and differences set beside it."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from coordeval.analysis import compare, scored, spread
from tests.analysis.reference import cell, made_up, table


def study(*briers: tuple[str, int, list[float]], **changed) -> pl.DataFrame:
    """(configuration, replicate, probabilities of markets that all resolve NO)."""
    return table(
        *(
            cell(configuration=c, replicate=r, market_id=f"m{i}", outcome=0, probability=p, **changed)
            for c, r, forecasts in briers
            for i, p in enumerate(forecasts)
        )
    )


def test_the_floor_is_of_the_variance_within_markets_and_one_that_answers_alike_does_not_lower_it():
    frame = study(("a", 0, [0.1]), ("a", 1, [0.3]), ("a", 2, [0.5]), ("b", 0, [0.2]), ("b", 1, [0.2]), ("c", 0, [0.9]))
    between = spread(scored(frame))
    rows = {row["configuration"]: row for row in between.table.iter_rows(named=True)}
    assert rows["a"]["brier"] == pytest.approx([0.01, 0.09, 0.25])
    assert (rows["a"]["mean_abs_delta"], rows["a"]["max_abs_delta"]) == pytest.approx((0.16, 0.24))
    assert (rows["c"]["mean_abs_delta"], rows["c"]["max_abs_delta"], rows["c"]["reason"]) == (None, None, "one replicate")
    within = np.var([0.01, 0.09, 0.25], ddof=1)
    assert rows["a"]["noise"] == between.noise_floor == pytest.approx(2 * np.sqrt(within / np.pi))
    assert (rows["b"]["noise"], rows["c"]["noise"]) == (0.0, None)
    assert (between.noise_low, between.noise_high) == (None, None)  # of one event


@pytest.mark.proof
def test_two_replicates_of_a_hundred_markets_tell_the_floor_within_a_third_and_its_interval_holds_it():
    """The mean of |Δ| of the same two replicates has a 5 to 95% range of a factor of 8."""
    rng = np.random.default_rng(4)
    held, found = 0, []
    for _ in range(150):
        p = np.clip(0.3 + 0.1 * rng.standard_normal((100, 2)), 0, 1)
        between = spread(scored(study(("a", 0, p[:, 0]), ("a", 1, p[:, 1]))))
        found.append(between.noise_floor)
        held += between.noise_low <= _TRUE <= between.noise_high
    assert np.quantile(found, (0.05, 0.95)) == pytest.approx([_TRUE, _TRUE], rel=0.33)
    assert held / 150 == pytest.approx(0.95, abs=0.05)


_P = np.clip(0.3 + 0.1 * np.random.default_rng(0).standard_normal((400_000, 2)), 0, 1) ** 2
_TRUE = 2 * np.sqrt(np.mean(np.var(_P, axis=1, ddof=1)) / 100 / np.pi)


def test_one_replicate_has_no_floor_rather_than_a_floor_of_zero():
    between = spread(scored(study(("a", 0, [0.1]), ("b", 0, [0.2]))))
    assert (between.noise_floor, between.reason) == (None, "no configuration was sampled twice")


def test_a_configuration_that_calls_no_model_does_not_lower_the_floor():
    noisy = study(("a", 0, [0.1]), ("a", 1, [0.3]))
    price = study(("market_price", 0, [0.4]), ("market_price", 1, [0.4]), model_calls=0)
    between = spread(scored(pl.concat([noisy, price])))
    assert between.noise_floor == spread(scored(noisy)).noise_floor == pytest.approx(0.08 * np.sqrt(2 / np.pi))
    assert between.table["sampled"].to_list() == [True, False]


def test_replicates_that_answered_different_markets_are_compared_on_those_they_share():
    frame = study(("a", 0, [0.1, 0.9]), ("a", 1, [0.3]))
    assert spread(scored(frame, policy="available")).table["mean_abs_delta"][0] == pytest.approx(0.08)


def test_paired_t_over_market_means_is_scipys():
    frame = made_up(markets=30)
    error = frame.with_columns(error=(pl.col("probability") - pl.col("outcome")) ** 2)
    mean = {
        c: error.filter(configuration=c).group_by("market_id").agg(pl.col("error").mean()).sort("market_id")["error"]
        for c in ("c0", "c2")
    }
    t, p = stats.ttest_rel(mean["c0"], mean["c2"])
    row = compare(scored(frame)).filter(first="c0", second="c2").row(0, named=True)
    assert (row["t"], row["p_value"]) == pytest.approx((t, p), abs=1e-12)
    assert row["delta"] == pytest.approx(row["brier_first"] - row["brier_second"], abs=1e-15)
    assert row["ratio"] == pytest.approx(abs(row["delta"]) / row["noise_floor"])
    assert row["n_markets"] == 30


def test_every_difference_stands_beside_both_spreads():
    frame = made_up()
    spreads = dict(spread(scored(frame)).table.select("configuration", "noise").iter_rows())
    for row in compare(scored(frame)).iter_rows(named=True):
        assert (row["spread_first"], row["spread_second"]) == (spreads[row["first"]], spreads[row["second"]])


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        pytest.param([0.1, 0.2], [0.1, 0.2], "the same on every market", id="identical forecasts"),
        pytest.param([0.1], [0.4], "one market", id="one market"),
    ],
)
def test_an_undefined_test_is_null_with_a_reason(first, second, reason):
    row = compare(scored(study(("a", 0, first), ("b", 0, second)))).row(0, named=True)
    assert (row["t"], row["p_value"], row["ratio"]) == (None, None, None)
    assert reason in row["reason"]
    assert "no configuration was sampled twice" in row["reason"]


def test_a_floor_of_zero_gives_no_ratio():
    row = compare(scored(study(*((c, r, [p, 0.5]) for c, p in (("a", 0.1), ("b", 0.2)) for r in (0, 1))))).row(0, named=True)
    assert (row["noise_floor"], row["ratio"]) == (0, None)
    assert "the noise floor is 0" in row["reason"]


def test_available_pairs_are_compared_on_their_overlap_and_say_how_large_it_is():
    frame = study(("a", 0, [0.1, 0.2, 0.3]), ("b", 0, [0.2, 0.3]))
    assert compare(scored(frame, policy="available"))["n_markets"].to_list() == [2]


def test_nothing_in_common_is_a_row_with_a_reason():
    a, b = study(("a", 0, [0.1])), study(("b", 0, [0.2])).with_columns(market_id=pl.lit("m9"), event_id=pl.lit("e9"))
    row = compare(scored(pl.concat([a, b]), policy="available")).row(0, named=True)
    assert (row["n_markets"], row["delta"]) == (0, None)
    assert "no market was scored for both" in row["reason"]


def test_one_configuration_has_no_pairs_and_nothing_scored_has_none_either():
    assert compare(scored(study(("a", 0, [0.1])))).is_empty()
    assert compare(scored(table(cell(outcome=None)))).is_empty()


def test_squared_errors_are_averaged_over_replicates_not_the_forecasts():
    frame = study(("a", 0, [0.0, 0.3]), ("a", 1, [1.0, 0.3]), ("b", 0, [0.5, 0.2]), ("b", 1, [0.5, 0.2]))
    assert compare(scored(frame))["brier_first"][0] == pytest.approx(np.mean([0.5, 0.09]))
