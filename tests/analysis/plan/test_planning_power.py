"""Planned power against simulated studies, and the best way to spend a budget against a search."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import stats

from coordeval.analysis import AnalysisError, scored
from coordeval.analysis.plan.power import best, power
from coordeval.analysis.plan.studies import shape_of
from coordeval.analysis.plan.studies import studies as studies_of
from coordeval.analysis.plan.variance import detectable, variance
from tests.analysis.plan.test_variance import as_scored, world
from tests.analysis.reference import made_up

PARTS = (0.003, 0.0, 0.0008, 0.0012)
PRICES = (0.01, 0.03)


def first_study(**options):
    return variance(as_scored(world(11, markets=2000, parts=PARTS, **options)), n=50)


def studies(*, markets: int, replicates: int, delta: float, twins: int = 1, n: int = 8000) -> np.ndarray:
    """Per study and event the mean difference of a pair, drawn from the true components."""
    rng = np.random.default_rng(5)
    sd = np.sqrt(2 * (PARTS[2] ** 2 + PARTS[3] ** 2 / replicates))
    return rng.normal(delta, sd, size=(n, markets // twins))


@pytest.mark.parametrize(
    ("markets", "replicates", "size"),
    [
        pytest.param(100, 1, 2.0, id="a plain study"),
        pytest.param(100, 3, 2.8, id="replicates, at 80%"),
        pytest.param(12, 2, 3.0, id="few markets: the t distribution matters"),
        pytest.param(400, 2, 0.5, id="a small effect"),
    ],
)
def test_the_power_is_as_planned(markets, replicates, size):
    """8,000 simulated studies with a paired t test: within 3 points. The plan sees only a first study, never the truth."""
    found = variance(as_scored(squared(11)), n=50)
    delta = size * power(found, markets=[markets], replicates=[replicates])["sem"][0]
    planned = power(found, markets=[markets], replicates=[replicates], delta=delta)["power"][0]
    d = studies(markets=markets, replicates=replicates, delta=delta)
    significant = stats.ttest_1samp(d, 0, axis=1).pvalue < 0.05
    assert planned == pytest.approx(np.mean(significant), abs=0.03)


SKEWED = {
    "gamma": lambda rng, size: rng.gamma(2.0, size=size),
    "lognormal": lambda rng, size: rng.lognormal(0.0, 1.0, size),
    "one in thirty": lambda rng, size: (rng.random(size) < 1 / 30) + rng.normal(0, 0.1, size),
}
SIZES = (20, 60, 200, 1000)


def skewed(name: str, side: int):
    """A first study of 4,000 markets whose differences follow that law, and a function that draws them anew."""
    standard = SKEWED[name](np.random.default_rng(8), 400_000)
    centre, unit = standard.mean(), standard.std()

    def drawn(rng, size):
        return side * (SKEWED[name](rng, size) - centre) / unit

    first = np.full((4000, 2, 1), 0.5)
    first[:, 1, 0] += 0.01 * (drawn(np.random.default_rng(3), 4000) + 0.25)
    return variance(as_scored(first), n=50), drawn


@pytest.mark.parametrize("side", [1, -1], ids=["the long tail on its side", "on the other"])
@pytest.mark.parametrize("law", SKEWED)
def test_where_differences_are_skewed_the_power_is_as_planned_and_grows_with_markets_or_is_refused(law, side):
    """Brute force: 3,000 studies from the true law, t tests, only detections with the right sign."""
    found, drawn = skewed(law, side)
    planned = power(found, markets=SIZES, replicates=[1], delta=0.0025)
    known = planned.filter(pl.col("power").is_not_null())
    assert known["power"].to_list() == sorted(known["power"])
    assert 1000 in known["markets"]
    rng = np.random.default_rng(5)
    for row in planned.iter_rows(named=True):
        d = drawn(rng, (3000, row["markets"]))
        if row["power"] is None:
            assert "too skewed" in row["reason"]
            assert np.mean(stats.ttest_1samp(d, 0, axis=1).pvalue < 0.05) > 0.065, row
        else:
            test = stats.ttest_1samp(d + 0.25, 0, axis=1)
            assert row["power"] == pytest.approx(np.mean((test.pvalue < 0.05) & (test.statistic > 0)), abs=0.035), row


def test_of_a_large_first_study_so_many_events_are_kept_that_their_mean_and_variance_stay():
    rng = np.random.default_rng(2)
    size, apart = rng.integers(1, 4, 9_000).astype(float), rng.lognormal(0, 1, (9_000, 2))
    apart -= size[:, None] * apart.sum(axis=0) / size.sum()
    kept = shape_of(size, apart)
    n, z = np.array(kept.markets), np.array(kept.apart).T
    assert n.size == 5_000
    assert np.abs(z.sum(axis=0)).max() < 1e-6
    assert np.sum(z**2, axis=0) / n.sum() == pytest.approx(np.sum(apart**2, axis=0) / size.sum())


def test_a_find_with_the_wrong_sign_is_no_power():
    """A tail on one side of so few markets: nine in a hundred studies find the opposite of what is there."""
    found, _ = skewed("one in thirty", 1)
    seen = studies_of(found.shape, 30, size=0.05, alpha=0.05)
    assert seen.wrong_sign > 0.08
    assert seen.power < 0.01


def squared(seed: int) -> np.ndarray:
    """A first study whose components are the squares of PARTS: their standard deviations are PARTS."""
    rng = np.random.default_rng(seed)
    m, _, mc, r = PARTS
    markets = rng.normal(0, m, (4000, 1, 1))
    return 0.4 + markets + rng.normal(0, mc, (4000, 4, 1)) + rng.normal(0, r, (4000, 4, 2))


def test_correlated_markets_of_an_event_cost_power_as_planned():
    """Pairs of identical markets: half the information, in the plan as in a clustered t test."""
    event = np.repeat(np.arange(2000), 2)
    found = variance(as_scored(np.repeat(squared(12)[:2000], 2, axis=0), events=event), n=50)
    assert found.design_effect == pytest.approx(2, abs=0.05)
    planned = power(found, markets=[100], replicates=[2], delta=0.0004)["power"][0]
    d = studies(markets=100, replicates=2, delta=0.0004, twins=2)
    assert planned == pytest.approx(np.mean(stats.ttest_1samp(d, 0, axis=1).pvalue < 0.05), abs=0.03)


def test_the_detectable_difference_is_that_of_the_variance_and_has_the_power_wanted():
    found = first_study()
    row = power(found, markets=[300], replicates=[2]).row(0, named=True)
    assert row["detectable"] == pytest.approx(detectable(found, markets=[300], replicates=[2])["delta"][0])
    assert power(found, markets=[300], replicates=[2], delta=row["detectable"])["power"][0] == pytest.approx(0.8, abs=0.01)
    assert power(found, markets=[300], replicates=[2], comparisons=10)["detectable"][0] > row["detectable"]


def test_power_grows_with_markets_replicates_and_the_difference():
    found = first_study()
    by_market = power(found, markets=[50, 100, 400], replicates=[1], delta=1e-3)["power"]
    by_replicate = [power(found, markets=[50], replicates=[r], delta=1e-3)["power"][0] for r in (1, 2, 8)]
    by_size = [power(found, markets=[50], replicates=[1], delta=d)["power"][0] for d in (1e-4, 1e-3, 1e-2)]
    for values in (by_market.to_list(), by_replicate, by_size):
        assert values == sorted(values)
    assert power(found, markets=[50], replicates=[2], usd_per_cell=PRICES)["usd"][0] == pytest.approx(50 * 2 * 0.04)
    assert power(found, markets=[50], replicates=[2])["usd"][0] is None


@pytest.mark.parametrize("limit", [None, 60])
def test_no_affordable_study_sees_more_than_the_best(limit):
    found = first_study()
    plan = best(found, budget_usd=10, usd_per_cell=PRICES, available_markets=limit)
    assert plan.usd <= 10
    quick = replace(found, shape=None)  # the standard error needs no studies drawn
    for r in range(1, 21):
        for n in range(2, (limit or 250) + 1):
            if n * r * sum(PRICES) <= 10:
                sem = power(quick, markets=[n], replicates=[r])["sem"][0]
                assert sem >= plan.table["sem"].min() - 1e-15
    assert (plan.markets, plan.replicates) == ((250, 1) if limit is None else (60, 4))


def test_where_nothing_more_is_gained_the_cheaper_study_is_chosen():
    """All markets taken and no sampling noise: a second replicate would buy nothing."""
    e = world(13, markets=400, parts=(0.003, 0, 0.0008, 0.0), replicates=2)
    plan = best(variance(as_scored(e), n=50), budget_usd=1000, usd_per_cell=PRICES, available_markets=100)
    assert (plan.markets, plan.replicates) == (100, 1)


def test_an_interaction_of_zero_does_not_buy_replicates_in_place_of_markets():
    """A first study whose interaction is estimated at 0 makes N and R interchangeable: then markets come first."""
    found = variance(as_scored(world(14, markets=60, parts=(0.003, 0, 0, 0.002))), n=50)
    assert dict(found.components.select("component", "variance").iter_rows())["market × configuration"] == 0
    plan = best(found, budget_usd=50, usd_per_cell=(0.037, 0.08))
    assert (plan.markets, plan.replicates) == (427, 1)


def test_what_cannot_be_told_is_null_with_its_reason():
    found = first_study(replicates=1)
    one, two = power(found, markets=[100], replicates=[1, 2]).iter_rows(named=True)
    assert one["power"] > 0
    assert (two["power"], "one replicate" in two["reason"]) == (None, True)
    assert best(found, budget_usd=10, usd_per_cell=PRICES).replicates == 1
    alone = variance(scored(made_up(configurations=1)), n=50)
    plan = best(alone, budget_usd=10, usd_per_cell=PRICES)
    assert (plan.markets, "two configurations" in plan.reason) == (None, True)
    poor = best(first_study(), budget_usd=0.05, usd_per_cell=PRICES)
    assert (poor.markets, poor.reason) == (None, "two markets cost 0.08 USD")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delta": 0.0}, "delta is 0.0"),
        ({"alpha": 5}, "alpha is 5"),
        ({"wanted": 1.0}, "wanted is 1.0"),
        ({"comparisons": 0}, "comparisons is 0"),
        ({"usd_per_cell": (0.1, float("nan"))}, "usd_per_cell holds nan"),
        ({"markets": [1]}, "markets is 1"),
        ({"replicates": [0]}, "replicates is 0"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(AnalysisError, match=message.replace(".", r"\.")):
        power(first_study(), **{"markets": [10], "replicates": [1]} | options)


def test_a_budget_needs_dollars_and_prices():
    with pytest.raises(AnalysisError, match="budget_usd is 0"):
        best(first_study(), budget_usd=0, usd_per_cell=PRICES)
    with pytest.raises(AnalysisError, match="usd_per_cell is"):
        best(first_study(), budget_usd=10, usd_per_cell=())
