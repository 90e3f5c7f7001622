"""Tests between configurations against SciPy and published figures, and their error rates against simulation."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from coordeval.analysis import AnalysisError, alpha, compare, scored
from coordeval.analysis.base.grid import PRICE, grid
from coordeval.analysis.base.resampling import Resamples, interval
from coordeval.analysis.differences.comparisons import comparisons, holm, markets_needed, paired, retrodesign, sign_flip
from tests.analysis.reference import cell, made_up, recorded, recorded_frame, table


def study(**forecasts) -> pl.DataFrame:
    """Configuration -> forecasts of markets that all resolve NO, two markets per event."""
    return table(
        *(
            cell(configuration=c, market_id=f"m{i}", event_id=f"e{i // 2}", outcome=0, probability=p)
            for c, mine in forecasts.items()
            for i, p in enumerate(mine)
        )
    )


def row_of(frame: pl.DataFrame, first: str, second: str, **options):
    return comparisons(scored(frame), **({"n": 2000} | options)).table.filter(first=first, second=second).row(0, named=True)


@pytest.mark.parametrize("events", [2, 5, 12])
def test_few_events_are_flipped_in_every_way_as_scipy_does(events):
    sums = np.random.default_rng(events).normal(0.3, 1, size=events)
    (p, exact), (mirrored, _) = sign_flip(np.stack([sums, -sums], axis=1))
    theirs = stats.permutation_test((sums,), np.sum, permutation_type="samples", n_resamples=np.inf).pvalue
    assert exact
    assert p == pytest.approx(theirs)
    assert mirrored == pytest.approx(p)


def test_many_events_are_flipped_at_random():
    sums = np.random.default_rng(1).normal(0.15, 1, size=150)
    ((p, exact),) = sign_flip(sums[:, None], n=20_000, seed=3)
    theirs = stats.permutation_test((sums,), np.sum, permutation_type="samples", n_resamples=20_000, rng=1).pvalue
    assert not exact
    assert p == pytest.approx(theirs, abs=0.012)


def test_events_without_a_difference_do_not_count():
    sums = np.concatenate([np.zeros(100), [1.0, 2.0, 3.0]])[:, None]
    assert sign_flip(sums) == [(pytest.approx(2 / 8), True)]
    assert sign_flip(sums[:101]) == [(1.0, True)]
    assert sign_flip(sums[:100]) == [(1.0, True)]
    assert sign_flip(np.full((40, 1), 1e-17)) == [(1.0, True)]  # what rounding left


def test_the_tests_over_markets_and_over_events_are_those_of_other_code():
    frame = made_up(markets=30)
    row = row_of(frame, "c0", "c2")
    plain = compare(scored(frame)).filter(first="c0", second="c2").row(0, named=True)
    assert (row["delta"], row["sem"], row["t"], row["p_t"], row["ratio"]) == pytest.approx(
        tuple(plain[name] for name in ("delta", "sem", "t", "p_value", "ratio"))
    )
    mine = frame.filter(configuration="c0")
    columns = [mine[name].to_numpy() for name in ("probability", "outcome", "market_price")]
    excess = alpha(*columns, markets=mine["market_id"], events=mine["event_id"], replicates=mine["replicate"])
    against = row_of(frame, "c0", PRICE)
    assert (-against["delta"], against["sem_clustered"]) == pytest.approx((excess.mean, excess.sem_clustered))
    assert against["p_clustered"] == pytest.approx(2 * stats.t.sf(abs(against["t_clustered"]), 14))


def test_equivalence_is_two_one_sided_tests():
    d = np.random.default_rng(2).normal(0.001, 0.01, size=40)
    error = np.full(40, 0.16)
    frame = study(a=np.sqrt(error + d), b=np.sqrt(error)).with_columns(event_id=pl.col("market_id"))
    row = row_of(frame, "a", "b", margin=0.005)
    sides = (
        stats.ttest_1samp(d, -0.005, alternative="greater").pvalue,
        stats.ttest_1samp(d, 0.005, alternative="less").pvalue,
    )
    assert row["p_tost"] == pytest.approx(max(sides))
    third = frame.filter(configuration="a").with_columns(configuration=pl.lit("c"), probability=pl.col("probability") ** 0.5)
    table = comparisons(scored(pl.concat([frame, third])), margin=0.005, n=50).table.filter(family="configurations")
    far = table.filter(second="c")["p_tost"].to_list()
    assert table.filter(first="a", second="b")["p_tost"].item() == pytest.approx(3 * max(sides)), "one of three pairs"
    assert min(far) > 0.9


def test_the_interval_holds_the_difference_and_swapping_names_mirrors_it():
    frame = made_up(markets=50)
    swapped = frame.with_columns(pl.col("configuration").replace({"c0": "c2", "c2": "c0"}))
    a, b = row_of(frame, "c0", "c2"), row_of(swapped, "c0", "c2")
    assert a["low"] < a["delta"] < a["high"]
    assert (a["delta"], a["low"], a["high"], a["t"]) == pytest.approx((-b["delta"], -b["high"], -b["low"], -b["t"]))
    assert (a["p_value"], a["p_holm"], a["n_needed"]) == pytest.approx((b["p_value"], b["p_holm"], b["n_needed"]))


@pytest.mark.parametrize(
    ("effect", "sem", "power", "type_s", "type_m"),
    [(0.1, 3.28, 0.05, 0.46, 77), (2, 8.1, 0.06, 0.24, 9.5)],  # Gelman & Carlin (2014), sex ratio and ovulation
)
def test_type_s_and_type_m_are_those_of_the_paper(effect, sem, power, type_s, type_m):
    design = retrodesign(effect, sem)
    assert (design.power, design.type_s) == pytest.approx((power, type_s), abs=0.006)
    assert design.type_m == pytest.approx(type_m, rel=0.02)


@pytest.mark.parametrize("df", [4, 30, np.inf])
def test_type_m_is_the_mean_of_significant_draws(df):
    rng = np.random.default_rng(0)
    law = stats.norm() if np.isinf(df) else stats.t(df)
    drawn = 1.3 + law.rvs(400_000, random_state=rng)
    found = np.abs(drawn) > law.isf(0.025)
    design = retrodesign(1.3, 1.0, df=df)
    assert design.power == pytest.approx(found.mean(), abs=0.003)
    assert design.type_s == pytest.approx((drawn[found] < 0).mean(), abs=0.004)
    assert design.type_m == pytest.approx(np.abs(drawn[found]).mean() / 1.3, rel=0.01)


def test_the_markets_needed_give_the_power_asked_for():
    n = markets_needed(0.02, 0.1, alpha=0.005, power=0.8)
    means = np.random.default_rng(5).normal(0.02, 0.1 / np.sqrt(n), size=200_000)
    assert np.mean(np.abs(means) * np.sqrt(n) / 0.1 > stats.norm.isf(0.0025)) == pytest.approx(0.8, abs=0.005)


def test_holm_steps_down_and_leaves_unknown_ones_out():
    assert holm([0.01, 0.04, None, 0.03, 0.005]) == [pytest.approx(0.03), 0.06, None, 0.06, 0.02]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_the_plain_and_bonferroni(p_values):
    for p, adjusted in zip(p_values, holm(p_values), strict=True):
        assert p <= adjusted <= min(1, len(p_values) * p)


def test_p_values_are_adjusted_within_their_family():
    found = comparisons(scored(made_up(markets=40)), n=2000).table
    for family, count in (("configurations", 3), ("market", 3)):
        mine = found.filter(family=family)
        assert mine.height == count
        assert mine["p_bonferroni"].to_list() == pytest.approx([min(1, count * p) for p in mine["p_value"]])


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(random):
    frame = made_up(markets=20)
    order = list(range(frame.height))
    random.shuffle(order)
    assert comparisons(scored(frame), n=200).table.equals(comparisons(scored(frame[order]), n=200).table)


@recorded
def test_the_recorded_study():
    found = comparisons(scored(recorded_frame()))
    pairs = found.table.filter(family="configurations")
    assert (pairs.height, pairs["p_holm"].min() > 0.5, pairs["p_bonferroni"].min() > 0.5) == (10, True, True)
    row = pairs.filter(first="consensus_alignment", second="sequential_pipeline").row(0, named=True)
    assert (row["n_markets"], row["n_events"], row["n_needed"]) == (94, 84, 401)
    assert (row["delta"], row["t"], row["p_t"]) == pytest.approx((0.0211, 1.77, 0.080), abs=5e-3)
    sample = grid(scored(recorded_frame()))
    first, second = (sample.errors()[:, sample.configurations.index(row[side])] for side in ("first", "second"))
    drawn = paired(sample, (first - second)[:, None], Resamples(events=len(sample.events)))
    published = interval(drawn, 0, 0, method="percentile", events=row["n_events"])
    assert (published.low, published.high) == pytest.approx((0.0003, 0.0460), abs=2e-3)
    assert row["low"] < 0 < published.low, "quantiles alone exclude 0 where the t test has p = 0.08"
    twin = pairs.filter(first="independent_ensemble", second="orchestrator_specialist").row(0, named=True)
    assert (twin["delta"], twin["p_t"], twin["p_value"]) == pytest.approx((-0.0002, 0.973, 0.973), abs=6e-3)
    market = found.table.filter(family="market")
    assert market.height == 5
    assert market["p_holm"].min() > 0.05


@pytest.mark.parametrize(
    ("frame", "nulls", "reason"),
    [
        pytest.param(study(a=[0.2] * 20, b=[0.2] * 20), ("t", "p_tost", "n_needed", "low"), "does not vary", id="twins"),
        pytest.param(study(a=[0.2], b=[0.4]), ("t", "t_clustered", "low", "n_needed"), "one market", id="one market"),
        pytest.param(
            study(a=[0.2, 0.1], b=[0.4, 0.2]), ("t_clustered", "low", "p_tost", "power"), "one event", id="one event"
        ),
        pytest.param(
            study(a=[0.2, 0.1] * 2, b=[0.4] * 4), ("power", "type_s", "type_m"), "does not vary", id="events all alike"
        ),
        pytest.param(study(a=[0.1, 0.2, 0.3, 0.1], b=[0.4] * 4), ("power", "type_s"), "they need three", id="two events"),
        pytest.param(study(a=[0.1] * 20, b=[0.3] * 20), ("t", "sem", "p_tost"), "does not vary", id="constant difference"),
    ],
)
def test_what_is_undefined_is_null_with_a_reason(frame, nulls, reason):
    row = row_of(frame, "a", "b")
    assert [row[name] for name in nulls] == [None] * len(nulls)
    assert reason in row["reason"]
    assert "ratio: no configuration was sampled twice" in row["reason"]


def test_configurations_without_a_market_in_common_are_a_row_with_a_reason():
    b = study(b=[0.2]).with_columns(market_id=pl.lit("m9"), event_id=pl.lit("e9"))
    found = comparisons(scored(pl.concat([study(a=[0.1]), b]), policy="available"), n=50).table
    row = found.filter(first="a", second="b").row(0, named=True)
    assert (row["n_markets"], row["delta"], row["reason"]) == (0, None, "no market was scored for both")


def test_one_configuration_is_compared_with_the_market_alone_and_without_a_price_with_nobody():
    assert comparisons(scored(study(a=[0.2, 0.3])), n=50).table["second"].to_list() == [PRICE]
    assert comparisons(scored(table(cell(market_price=None))), n=50).table.is_empty()


@pytest.mark.parametrize("option", [{"margin": 0}, {"effect": -1}, {"alpha": 5}, {"wanted_power": 1.0}])
def test_options_out_of_range_are_named(option):
    with pytest.raises(AnalysisError, match=f"{next(iter(option))} is {next(iter(option.values()))}"):
        comparisons(scored(made_up(markets=4)), **option)


def test_no_more_than_five_per_cent_of_true_nulls_are_rejected():
    """60 events of one to three correlated markets, 1,000 worlds at once: 5% ± 2.1 points, which is 3 standard errors."""
    rng = np.random.default_rng(8)
    event = np.repeat(np.arange(60), rng.integers(1, 4, size=60))
    shape = (event.size, 1000)
    d = (rng.exponential(size=(60, 1000)) - 1)[event] * 0.5 + rng.normal(size=shape) * rng.uniform(0.2, 2, size=shape)
    sums = np.add.reduceat(d, np.flatnonzero(np.diff(event, prepend=-1)))
    flips = np.array([p for p, _ in sign_flip(sums, n=999)])
    assert np.mean(flips <= 0.05) == pytest.approx(0.05, abs=0.021)
    residual = sums - np.bincount(event)[:, None] * d.mean(axis=0)
    t = d.mean(axis=0) / np.sqrt(60 / 59 * np.sum(residual**2, axis=0)) * event.size
    assert np.mean(2 * stats.t.sf(np.abs(t), 59) <= 0.05) == pytest.approx(0.05, abs=0.021)


def test_a_tie_that_rounding_leaves_over_needs_no_number_of_markets():
    """0.1² + 0.7² − 0.5² − 0.5² is 0 but for rounding: the markets for it would be more than a whole number can hold."""
    rows = [(0.1, 0.5), (0.7, 0.5), (0.1, 0.5), (0.7, 0.5)]
    cells = [
        cell(configuration=name, market_id=f"m{i}", probability=p, outcome=0)
        for i, pair in enumerate(rows)
        for name, p in zip("ab", pair, strict=True)
    ]
    row = comparisons(scored(table(*cells)), n=50).table.row(by_predicate=pl.col("family") == "configurations", named=True)
    assert (row["delta"], row["n_needed"], row["n_needed_clustered"]) == (0, None, None)
    assert "n_needed: no difference" in row["reason"]


@pytest.mark.parametrize("delta", [0.0, float("nan"), float("inf")])
def test_no_number_of_markets_shows_a_difference_that_is_not_there(delta):
    with pytest.raises(AnalysisError, match=r"it must be a (difference other than 0|number)"):
        markets_needed(delta, 0.1, alpha=0.05)
