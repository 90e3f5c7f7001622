"""The frontier in every resample against the strict one, and ties."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordeval.analysis import AnalysisError, leaderboard, pareto_frontier
from coordeval.analysis.base.resampling import Resamples
from coordeval.analysis.cost.frontier import frontier, hypervolume
from tests.analysis.reference import cell, failed, made_up, recorded, recorded_frame, table


def study(seed=0, *, markets=30, configurations=4) -> pl.DataFrame:
    """Costs vary by market; two markets per event."""
    rng = np.random.default_rng(seed)
    return table(
        *(
            cell(
                configuration=f"c{c}",
                market_id=f"m{i:02}",
                event_id=f"e{i // 2:02}",
                probability=float(rng.uniform()),
                outcome=i % 2,
                cost_usd=float(rng.uniform(0, 1 + c)),
            )
            for c in range(configurations)
            for i in range(markets)
        )
    )


def points(*rows) -> pl.DataFrame:
    """One market: (configuration, cost, Brier score)."""
    return table(*(cell(configuration=n, cost_usd=float(c), probability=float(np.sqrt(b)), outcome=0) for n, c, b in rows))


def test_the_probability_is_the_share_of_resamples_with_a_strict_place():
    frame = study()
    found = frontier(frame, n=60, seed=3)
    events = sorted(frame["event_id"].unique())
    names = sorted(frame["configuration"].unique())
    frame = frame.with_columns(error=(pl.col("probability") - pl.col("outcome")) ** 2)
    part = {key[0]: rows for key, rows in frame.partition_by("event_id", as_dict=True).items()}
    counts = dict.fromkeys(names, 0)
    over = dict.fromkeys(((a, b) for a in names for b in names), 0)
    for weights in np.concatenate([w.copy() for w in Resamples(events=15, n=60, seed=3).weights()]):
        drawn = pl.concat([part[e] for e, w in zip(events, weights, strict=True) for _ in range(int(w))])
        mean = drawn.group_by("configuration").agg(pl.col("error", "cost_usd").mean()).sort("configuration")
        for place in pareto_frontier(names, cost=mean["cost_usd"].to_list(), brier=mean["error"].to_list()):
            counts[place.configuration] += bool(place.on_frontier)
            for other in place.dominated_by:
                over[other, place.configuration] += 1
    for row in found.table.iter_rows(named=True):
        assert row["probability"] == pytest.approx(counts[row["configuration"]] / 60)
    for row in found.dominance.iter_rows(named=True):
        assert row["probability"] == pytest.approx(over[row["dominating"], row["dominated"]] / 60)


def test_the_frontier_of_the_sample_is_the_leaderboards():
    frame = made_up(markets=20)
    board = leaderboard(frame, resamples=1).table
    for row in frontier(frame, n=50).table.iter_rows(named=True):
        theirs = board.row(by_predicate=pl.col("configuration") == row["configuration"], named=True)
        assert (row["on_frontier"], row["dominated_by"]) == (theirs["on_frontier"], theirs["dominated_by"])
        assert (row["brier"], row["cost"]) == pytest.approx((theirs["brier"], theirs["cost_usd_per_market"]))


@recorded
def test_the_recorded_study():
    found = frontier(recorded_frame(), policy="fallback_half")
    rows = {row["configuration"]: row for row in found.table.iter_rows(named=True)}
    assert {name for name, row in rows.items() if row["on_frontier"]} == {
        "consensus_alignment",
        "independent_ensemble",
        "sequential_pipeline",
    }
    assert (rows["consensus_alignment"]["cost"], rows["consensus_alignment"]["brier"]) == pytest.approx(
        (0.097, 0.1809), abs=5e-5
    )
    assert rows["consensus_alignment"]["probability"] < 0.9 < rows["independent_ensemble"]["probability"]
    assert rows["consensus_alignment"]["on_epsilon_frontier"] is None
    assert "give epsilon_brier" in found.reasons["epsilon_brier"]
    tied = frontier(recorded_frame(), policy="fallback_half", epsilon_brier=0.015, epsilon_cost=0.002, n=50).table
    assert tied.filter(configuration="consensus_alignment")["epsilon_dominated_by"].to_list() == [["independent_ensemble"]]


@pytest.mark.parametrize(
    ("rows", "members", "why"),
    [
        ([("a", 1.0, 0.20), ("b", 1.01, 0.10)], {"b"}, "the cheapest is a tie in cost and clearly worse"),
        ([("a", 1.0, 0.20), ("b", 2.0, 0.195)], {"a"}, "the best is a tie in score and clearly dearer"),
        ([("a", 1.0, 0.20), ("b", 1.01, 0.195)], {"a", "b"}, "ties in both"),
        ([("a", 1.0, 0.20), ("b", 2.0, 0.10)], {"a", "b"}, "a clear trade-off"),
    ],
)
def test_the_epsilon_frontier_treats_small_differences_as_ties(rows, members, why):
    found = frontier(points(*rows), epsilon_brier=0.01, epsilon_cost=0.05, n=10).table
    assert set(found.filter("on_epsilon_frontier")["configuration"]) == members, why


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=6),
    st.integers(0, 3),
    st.integers(0, 3),
    st.randoms(use_true_random=False),
)
def test_the_epsilon_frontier_is_never_empty_and_knows_no_order(rows, tie_cost, tie_brier, random):
    named = [(f"c{i}", c / 10, b / 10) for i, (c, b) in enumerate(rows)]
    options = {"epsilon_brier": tie_brier / 10, "epsilon_cost": tie_cost / 10, "n": 2}
    found = frontier(points(*named), **options).table
    assert found["on_epsilon_frontier"].any()
    assert found.equals(frontier(points(*random.sample(named, len(named))), **options).table)
    if not tie_cost and not tie_brier:
        assert found["on_epsilon_frontier"].equals(found["on_frontier"].rename("on_epsilon_frontier"))


def test_the_default_ties_are_the_differences_expected_between_replicates():
    """Squared errors 0.01 and 0.09 on one market: σ² = 0.0032, and two draws lie 2 √(σ²/π) apart on average."""
    rows = ((0, 0.1, 1.0), (1, 0.3, 1.5))
    found = frontier(table(*(cell(replicate=r, probability=p, outcome=0, cost_usd=c) for r, p, c in rows)), n=5)
    assert (found.epsilon_brier, found.epsilon_cost) == pytest.approx((2 * (0.0032 / np.pi) ** 0.5, 0.5))


def test_hypervolume_is_the_area_under_the_reference():
    cost, brier = np.array([[1.0, 2.0, 3.0], [2.0, 1.0, 9.0]]), np.array([[0.2, 0.1, 0.15], [0.1, 0.3, 0.0]])
    assert hypervolume(cost, brier, reference=(4.0, 0.25)) == pytest.approx([0.05 + 2 * 0.15, 2 * 0.15])


def test_adding_a_dominated_configuration_leaves_the_hypervolume():
    frame = study(1)
    worse = frame.filter(configuration="c0").with_columns(
        configuration=pl.lit("z"), cost_usd=pl.col("cost_usd") + 1, probability=1 - pl.col("outcome").cast(pl.Float64)
    )
    a, b = (frontier(f, n=50, reference=(9.0, 0.25)) for f in (frame, pl.concat([frame, worse])))
    assert (a.hypervolume, a.hypervolume_low, a.hypervolume_high) == pytest.approx(
        (b.hypervolume, b.hypervolume_low, b.hypervolume_high)
    )
    assert b.table.filter(configuration="z")["probability"][0] == 0


def test_an_unknown_cost_is_not_placed():
    frame = pl.concat([study(2), table(cell(configuration="x", market_id="m00", event_id="e00", outcome=0, cost_usd=None))])
    found = frontier(frame, policy="available", n=50).table.row(by_predicate=pl.col("configuration") == "x", named=True)
    assert (found["cost"], found["on_frontier"], found["probability"], found["cost_low"]) == (None, None, None, None)
    assert "its cost is unknown" in found["reason"]
    assert found["brier"] == pytest.approx(0.09)


def test_failed_and_unresolved_cells_cost_money_too():
    frame = table(
        cell(market_id="m0", cost_usd=1.0),
        failed(market_id="m1", cost_usd=2.0),
        cell(market_id="m2", cost_usd=6.0, outcome=None),
    )
    assert frontier(frame, n=5).table["cost"][0] == pytest.approx(3)


def test_no_known_cost_has_no_hypervolume():
    found = frontier(table(cell(cost_usd=None)), n=5)
    assert (found.hypervolume, found.reference) == (None, None)
    assert found.reasons["hypervolume"] == "no configuration has a known cost"


def test_one_event_has_no_probability():
    row = frontier(points(("a", 1.0, 0.2)), n=5).table.row(0, named=True)
    assert (row["on_frontier"], row["probability"], row["brier_low"]) == (True, None, None)
    assert "probability: one event" in row["reason"]


def test_a_negative_tie_is_refused():
    with pytest.raises(AnalysisError, match="epsilon_cost is -1"):
        frontier(made_up(markets=4), epsilon_cost=-1)
