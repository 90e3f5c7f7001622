"""Planned power against simulated studies, and the best way to spend a budget against a search."""

import numpy as np
import pytest
from reference import made_up
from scipy import stats
from test_variance import as_scored, world

from analysis import AnalysisError, retrodesign, scored
from analysis.planning_power import best, power
from analysis.variance import detectable, variance

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


@pytest.mark.parametrize("side", [1, -1])
def test_the_power_is_as_planned_where_differences_are_skewed(side):
    """Differences from a gamma distribution whose long tail lies on their own side or the other: power moves 3 points."""
    shape, markets = 2.0, 60  # skewness √2
    rng = np.random.default_rng(3)

    def drawn(size):
        return side * 0.001 * (rng.gamma(shape, size=size) - shape) + 0.0005

    first = np.full((20_000, 2, 1), 0.3)
    first[:, 1] += drawn((20_000, 1))
    found = variance(as_scored(first), n=50)
    assert found.skewness == pytest.approx(side * stats.gamma.stats(shape, moments="s"), abs=0.1)
    planned = power(found, markets=[markets], replicates=[1], delta=0.0005)["power"][0]
    significant = stats.ttest_1samp(drawn((8000, markets)), 0, axis=1).pvalue < 0.05
    assert planned == pytest.approx(np.mean(significant), abs=0.03)
    plain = retrodesign(0.0005, 0.001 * np.sqrt(shape / markets), df=markets - 1).power
    assert side * (planned - plain) > 0.02


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
    for r in range(1, 21):
        for n in range(2, (limit or 250) + 1):
            if n * r * sum(PRICES) <= 10:
                sem = power(found, markets=[n], replicates=[r])["sem"][0]
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
