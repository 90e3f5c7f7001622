"""Which configurations are one procedure under several names."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordeval.analysis import AnalysisError, compare, scored
from coordeval.analysis.differences.structure import structure
from tests.analysis.reference import cell, failed, made_up, recorded, recorded_frame, table


def graphed(frame: pl.DataFrame, graphs: dict[str, str | None]) -> pl.DataFrame:
    return frame.with_columns(call_graph=pl.col("configuration").replace_strict(graphs, return_dtype=pl.String))


def test_the_same_graph_on_every_shared_market_makes_replicates_of_each_other():
    frame = graphed(made_up(markets=40), {"c0": "g", "c1": "h", "c2": "g"})
    found = structure(frame, n=500)
    assert found.groups == (("c0", "c2"),)
    row = found.table.filter(first="c0", second="c2").row(0, named=True)
    assert (row["identical"], row["n_shared"], row["n_same"]) == (True, 40, 40)
    paired = compare(scored(made_up(markets=40))).filter(first="c0", second="c2").row(0, named=True)
    assert row["delta"] == pytest.approx(paired["delta"])
    assert found.noise_floor == pytest.approx(abs(paired["delta"]))
    assert row["low"] < row["delta"] < row["high"]
    assert 0 < row["p_value"] <= 1
    assert found.cost_floor == row["delta_cost"] == pytest.approx(0.02)
    other = found.table.filter(first="c0", second="c1").row(0, named=True)
    assert (other["identical"], other["delta"], other["reason"]) == (False, None, "delta: not the same procedure")


def test_one_market_with_another_graph_makes_another_procedure():
    frame = graphed(made_up(markets=10), dict.fromkeys(("c0", "c1", "c2"), "g")).with_columns(
        call_graph=pl.when((pl.col("configuration") == "c1") & (pl.col("market_id") == "m003"))
        .then(pl.lit("x"))
        .otherwise("call_graph")
    )
    found = structure(frame, n=50)
    assert found.groups == (("c0", "c2"),)
    assert found.table.filter(first="c0", second="c1")["n_same"].to_list() == [9]


def test_only_shared_markets_are_compared():
    frame = table(
        *(cell(configuration="a", market_id=f"m{i}") for i in range(3)),
        *(cell(configuration="b", market_id=f"m{i}") for i in range(1, 5)),
        cell(configuration="c", market_id="m9"),
    )
    found = structure(graphed(frame, dict.fromkeys("abc", "g")), policy="available", n=50)
    assert found.groups == (("a", "b"),)
    row = found.table.filter(first="a", second="c").row(0, named=True)
    assert (row["identical"], row["n_shared"], row["reason"]) == (None, 0, "identical: no market has a call graph in both")


def test_replicates_that_differ_in_their_graphs_are_compared_as_sets():
    rows = [cell(configuration=c, market_id="m0", replicate=r) for c in "ab" for r in (0, 1)]
    for graphs, same in ((["g", "h", "h", "g"], True), (["g", "h", "g", "g"], False)):
        frame = table(*rows).with_columns(call_graph=pl.Series(graphs))
        assert structure(frame, n=50).table["identical"].to_list() == [same]


def test_a_group_holds_only_configurations_that_are_each_like_every_other():
    cells = {"a": ["m0"], "b": ["m0", "m1"], "c": ["m1"]}
    frame = table(*(cell(configuration=c, market_id=m) for c, markets in cells.items() for m in markets))
    found = structure(graphed(frame, dict.fromkeys("abc", "g")), policy="available", n=50)
    assert found.groups == (("a", "b"),)
    assert found.table["identical"].to_list() == [True, None, True]


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_and_the_names_of_graphs_change_nothing(random):
    frame = graphed(made_up(markets=8), {"c0": "g", "c1": "h", "c2": "g"})
    order = list(range(frame.height))
    random.shuffle(order)
    other = structure(frame[order].with_columns(pl.col("call_graph").replace({"g": "1", "h": "2"})), n=50)
    first = structure(frame, n=50)
    assert (first.groups, first.noise_floor) == (other.groups, other.noise_floor)
    assert first.table.equals(other.table)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        pytest.param(
            graphed(made_up(markets=4), {"c0": "g", "c1": "h", "c2": "i"}), "no two configurations", id="all different"
        ),
        pytest.param(
            graphed(
                table(cell(configuration="a", outcome=None), cell(configuration="b", outcome=None)), {"a": "g", "b": "g"}
            ),
            "none of the identical pairs is scored",
            id="unresolved",
        ),
        pytest.param(made_up(markets=4).with_columns(call_graph=pl.lit(None)), "no two configurations", id="no graphs"),
    ],
)
def test_no_floor_has_a_reason(frame, reason):
    found = structure(frame, n=50)
    assert (found.noise_floor, found.cost_floor if "scored" not in reason else None) == (None, None)
    assert reason in found.reason


def test_every_null_of_an_identical_pair_has_a_reason():
    frame = table(
        cell(configuration="a", cost_usd=None),
        cell(configuration="b"),
        failed(configuration="b", market_id="m1"),
    )
    row = structure(graphed(frame, {"a": "g", "b": "g"}), policy="available", n=50).table.row(0, named=True)
    assert (row["delta"], row["low"], row["p_value"], row["delta_cost"]) == (0, None, 1, None)
    for part in ("delta_cost: a cost is unknown", "1 event"):
        assert part in row["reason"]


@pytest.mark.parametrize("frame", [made_up(markets=2), made_up(markets=2).with_columns(call_graph=pl.lit(3))])
def test_without_call_graphs_it_says_what_is_needed(frame):
    with pytest.raises(AnalysisError, match="needs a column call_graph"):
        structure(frame)


@recorded
def test_two_names_for_one_procedure_in_the_recorded_study_differ_by_as_much_as_any_pair():
    names = recorded_frame()["configuration"].unique().to_list()
    graphs = {name: "one agent" if name in ("independent_ensemble", "consensus_alignment") else name for name in names}
    found = structure(graphed(recorded_frame(), graphs), n=2000)
    assert found.groups == (("consensus_alignment", "independent_ensemble"),)
    assert found.noise_floor == pytest.approx(0.0151, abs=5e-5)
