"""Who is on the frontier, and who keeps the others off it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordeval.analysis import AnalysisError, pareto_frontier


@pytest.mark.parametrize(
    ("points", "frontier", "dominated"),
    [
        pytest.param({"a": (1, 0.2), "b": (2, 0.1)}, {"a", "b"}, {}, id="a trade-off: both"),
        pytest.param({"a": (1, 0.1), "b": (2, 0.2)}, {"a"}, {"b": ("a",)}, id="cheaper and better"),
        pytest.param({"a": (1, 0.2), "b": (1, 0.2)}, {"a", "b"}, {}, id="equal in both: both"),
        pytest.param({"a": (1, 0.1), "b": (1, 0.2)}, {"a"}, {"b": ("a",)}, id="the same cost, a worse score"),
        pytest.param({"a": (1, 0.1), "b": (2, 0.1)}, {"a"}, {"b": ("a",)}, id="the same score, a higher cost"),
        pytest.param(
            {"a": (1, 0.1), "b": (1, 0.1), "c": (2, 0.2)}, {"a", "b"}, {"c": ("a", "b")}, id="both of a tie dominate"
        ),
        pytest.param({"a": (0, 0.0)}, {"a"}, {}, id="alone, and free"),
    ],
)
def test_frontier(points, frontier, dominated):
    placed = pareto_frontier(list(points), cost=[c for c, _ in points.values()], brier=[b for _, b in points.values()])
    assert {place.configuration for place in placed if place.on_frontier} == frontier
    assert {place.configuration: place.dominated_by for place in placed if place.dominated_by} == dominated


def test_an_unknown_cost_is_not_placed_and_dominates_nobody():
    unknown, unscored, known = pareto_frontier(["x", "y", "z"], cost=[None, 1.0, 2.0], brier=[0.0, None, 0.3])
    assert (unknown.on_frontier, unknown.reason) == (None, "its cost is unknown")
    assert (unscored.on_frontier, unscored.reason) == (None, "it has no Brier score")
    assert (known.on_frontier, known.dominated_by) == (True, ())


def test_nan_is_not_an_unknown_cost():
    with pytest.raises(AnalysisError, match="configuration x: cost nan"):
        pareto_frontier(["x"], cost=[float("nan")], brier=[0.1])


def test_lengths_must_agree():
    with pytest.raises(AnalysisError, match="2 configurations, 1 costs"):
        pareto_frontier(["x", "y"], cost=[1.0], brier=[0.1, 0.2])


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_the_frontier_is_never_empty_and_knows_no_order(points, random):
    def members(rows):
        placed = pareto_frontier([str(i) for i in range(len(rows))], cost=[c for c, _ in rows], brier=[b for _, b in rows])
        return sorted(rows[i] for i, place in enumerate(placed) if place.on_frontier)

    assert members(points) == members(random.sample(points, len(points)))
    assert min(points) in members(points)
    assert len(np.unique([c for c, _ in members(points)])) == len(set(members(points)))
