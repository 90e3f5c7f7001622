"""The figures of the statistics plan, computed by other code, from the 500 recorded forecasts."""

import csv

import polars as pl
import pytest

from coordeval.analysis import leaderboard
from coordeval.analysis.study.leaderboard import REFERENCE
from tests.analysis.reference import CONFIGURATIONS, DATA, recorded, recorded_frame

pytestmark = recorded

MEASURES = ("brier", "rel", "res", "wbv", "wbc", "rel_corrected", "res_corrected", "mcb", "dsc")
EXACT_EDGES = {
    "independent_ensemble": (0.159145, 0.016025, 0.104171, 0.000700, 0.002509, 0.001082, 0.091743, 0.025229, 0.115183),
    "peer_critique_debate": (0.169563, 0.020072, 0.100044, 0.000640, 0.000205, 0.005021, 0.087509, 0.024072, 0.103609),
    "orchestrator_specialist": (0.161680, 0.024696, 0.111445, 0.000640, 0.001311, 0.010546, 0.099812, 0.024033, 0.111453),
    "sequential_pipeline": (0.153112, 0.014540, 0.111322, 0.000648, -0.000146, 0.000257, 0.099555, 0.022548, 0.118536),
    "consensus_alignment": (0.180916, 0.022467, 0.088993, 0.000613, 0.002271, 0.006234, 0.075276, 0.028105, 0.096289),
    REFERENCE: (0.152505, 0.018129, 0.114161, 0.000701, 0.001264, 0.005290, 0.103838, 0.033479, 0.130075),
}
SIX_DIGITS = 5.01e-7


@pytest.fixture(scope="module")
def published_policy():
    return leaderboard(recorded_frame(), policy="fallback_half")


@pytest.mark.parametrize("configuration", EXACT_EDGES)
def test_exact_edges(published_policy, configuration):
    row = published_policy.table.row(by_predicate=pl.col("configuration") == configuration, named=True)
    assert [row[name] for name in MEASURES] == pytest.approx(EXACT_EDGES[configuration], abs=SIX_DIGITS)
    assert (row["unc"], row["unc_corrected"]) == pytest.approx((0.249100, 0.251616), abs=SIX_DIGITS)


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_floating_point_edges_give_the_publication(configuration):
    table = leaderboard(recorded_frame(), policy="fallback_half", edges="float", resamples=1).table
    ours = table.row(by_predicate=pl.col("configuration") == configuration, named=True)
    with (DATA / "leaderboard.csv").open() as file:
        published = next(row for row in csv.DictReader(file) if row["config"] == configuration)
    columns = {
        "brier": "brier",
        "alpha": "alpha",
        "alpha_sem": "alpha_sem",
        "unc": "UNC",
        "rel": "REL",
        "res": "RES",
        "cost_usd_per_market": "cost_usd_per_market",
    }
    for mine, theirs in columns.items():
        assert ours[mine] == pytest.approx(float(published[theirs]), abs=SIX_DIGITS), mine
    assert ours["input_tokens_per_market"] == pytest.approx(float(published["tokens_per_market"]))  # all tokens of the data


def test_the_null_rel_is_as_large_as_a_good_forecasters_rel(published_policy):
    """The reference draws every market on its own; that the legs of an event may resolve together raises it a little."""
    independent = leaderboard(recorded_frame(), policy="fallback_half", within_events="independent")
    assert published_policy.table["null_rel_mean"].mean() > independent.table["null_rel_mean"].mean()
    for row in independent.table.iter_rows(named=True):
        assert row["null_rel_mean"] == pytest.approx(0.0165, abs=0.001)
        assert row["null_rel_low"] == pytest.approx(0.005, abs=0.001)
        assert row["null_rel_high"] == pytest.approx(0.035, abs=0.004)


def test_the_frontier(published_policy):
    placed = {row["configuration"]: row for row in published_policy.table.iter_rows(named=True)}
    frontier = {name: (row["cost_usd_per_market"], row["brier"]) for name, row in placed.items() if row["on_frontier"]}
    assert frontier == {
        "consensus_alignment": pytest.approx((0.09700, 0.1809), abs=5e-5),
        "independent_ensemble": pytest.approx((0.09830, 0.1591), abs=5e-5),
        "sequential_pipeline": pytest.approx((0.35596, 0.1531), abs=5e-5),
    }
    assert (
        placed["peer_critique_debate"]["dominated_by"]
        == placed["orchestrator_specialist"]["dominated_by"]
        == ["independent_ensemble"]
    )


def test_six_failures_are_six_fallbacks_and_nothing_else(published_policy):
    assert published_policy.table["filled"].sum() == published_policy.table["failed"].sum() == 6
    assert published_policy.n_markets == 100


@pytest.mark.parametrize(
    ("first", "second", "delta", "t", "p"),
    [
        ("consensus_alignment", "sequential_pipeline", 0.0211, 1.77, 0.080),
        ("independent_ensemble", "orchestrator_specialist", -0.0002, None, 0.973),
    ],
)
def test_paired_comparisons_on_the_94_common_markets(first, second, delta, t, p):
    board = leaderboard(recorded_frame(), resamples=1)
    assert board.n_markets == 94
    row = board.comparisons.filter(first=first, second=second).row(0, named=True)
    assert (row["n_markets"], row["delta"], row["p_value"]) == (
        94,
        pytest.approx(delta, abs=5e-5),
        pytest.approx(p, abs=5e-4),
    )
    assert t is None or row["t"] == pytest.approx(t, abs=5e-3)


def test_none_of_the_ten_pairs_passes_bonferroni():
    comparisons = leaderboard(recorded_frame(), resamples=1).comparisons
    assert comparisons.height == 10
    assert comparisons["p_value"].min() > 0.05 / 10


def test_one_replicate_has_no_noise_floor(published_policy):
    assert published_policy.noise_floor is None
    assert "brier_spread: one replicate" in published_policy.notes
