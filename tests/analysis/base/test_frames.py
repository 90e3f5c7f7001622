"""The frame's rules, and what each policy does about forecasts that are not there."""

import polars as pl
import pytest

from coordeval.analysis import SCHEMA, AnalysisError, scored, validated
from tests.analysis.reference import cell, failed, made_up, table
from tests.analysis.report_data import synthetic


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        pytest.param([cell(probability=float("nan"))], "probability is nan", id="NaN is not a probability"),
        pytest.param([cell(probability=30.0)], "divide percentages by 100", id="a percentage in place of a fraction"),
        pytest.param([cell(probability=-0.01)], "probability is -0.01", id="below 0"),
        pytest.param([cell(probability=None)], "an answered cell has a probability", id="answered without an answer"),
        pytest.param([cell(status="failed")], "a failed one has none", id="failed, but standing at a number"),
        pytest.param([cell(status="timeout")], "'answered' or 'failed'", id="an unknown status"),
        pytest.param([cell(outcome=2)], "outcome is 2", id="an outcome that is not binary"),
        pytest.param([cell(market_price=40.0)], "market_price is 40.0", id="a price in cents"),
        pytest.param([cell(cost_usd=-1.0)], "cost_usd is -1.0", id="a negative cost"),
        pytest.param([cell(paid_usd=float("inf"))], "paid_usd is inf", id="an infinite payment"),
        pytest.param([cell(event_id=None)], "event_id is None", id="a market without an event cannot be clustered"),
        pytest.param([cell(), cell(probability=0.4)], "more than once", id="one cell twice"),
        pytest.param([cell(), cell(configuration="b", outcome=0)], "outcome is [1, 0]", id="two outcomes of one market"),
        pytest.param([cell(), cell(configuration="b", outcome=None)], "outcome is [1, None]", id="half unresolved"),
        pytest.param([cell(), cell(configuration="b", market_price=0.5)], "market_price is [0.4, 0.5]", id="two prices"),
        pytest.param([cell(), cell(configuration="b", event_id="other")], "one market has one event_id", id="two events"),
        pytest.param([], "is empty", id="nothing at all"),
    ],
)
def test_a_broken_rule_is_refused_and_named(cells, says):
    with pytest.raises(AnalysisError) as error:
        validated(table(*cells))
    assert says in str(error.value)


def test_an_error_names_the_cell():
    with pytest.raises(AnalysisError, match="configuration a, market m7, replicate 3: probability is nan"):
        validated(table(cell(), cell(market_id="m7", replicate=3, probability=float("nan"))))


def test_a_missing_column_is_named():
    with pytest.raises(AnalysisError, match="lacks outcome, market_price"):
        validated(table(cell()).drop("outcome", "market_price"))


def test_an_outcome_of_a_half_is_not_cut_to_0_and_whole_numbers_may_be_floats():
    frame = made_up(markets=2).with_columns(pl.col("outcome").cast(pl.Float64))
    assert validated(frame).schema["outcome"] == pl.Int64
    with pytest.raises(AnalysisError, match="column outcome holds"):
        validated(frame.with_columns(outcome=0.5))


@pytest.mark.parametrize(
    ("column", "dtype"),
    [
        pytest.param("probability", pl.String, id="text is not read as a number"),
        pytest.param("replicate", pl.String, id="a replicate is counted"),
    ],
)
def test_a_column_of_another_kind_is_refused(column, dtype):
    with pytest.raises(AnalysisError, match=f"column {column} holds"):
        validated(table(cell()).cast({column: dtype}))


def test_narrow_integers_empty_columns_and_further_columns_are_accepted():
    frame = (
        table(cell()).cast({"outcome": pl.UInt8, "replicate": pl.Int32}).with_columns(pl.lit(None).alias("reason"), more=1)
    )
    assert dict(validated(frame).schema) == SCHEMA


def incomplete() -> pl.DataFrame:
    """m0: everyone answered. m1: b failed. m2: unresolved. m3: b's second replicate is not there. m4: b failed, no price."""
    rows = [cell(configuration=c, market_id=m, replicate=r) for c in "ab" for m in ("m0", "m1", "m3") for r in (0, 1)]
    rows += [cell(configuration=c, market_id="m2", replicate=r, outcome=None) for c in "ab" for r in (0, 1)]
    rows += [cell(configuration="a", market_id="m4", replicate=r, market_price=None) for r in (0, 1)]
    rows = [r for r in rows if (r["configuration"], r["market_id"], r["replicate"]) not in {("b", "m1", 0), ("b", "m3", 1)}]
    rows += [failed(configuration="b", market_id="m1", replicate=0)]
    rows += [failed(configuration="b", market_id="m4", replicate=r, market_price=None) for r in (0, 1)]
    return table(*rows)


@pytest.mark.parametrize(
    ("policy", "markets", "a", "b"),
    [
        # (scored, filled, unresolved, unanswered, not_common) of the ten cells of each
        pytest.param(
            "common", {"m0"}, (2, 0, 2, 0, 6), (2, 0, 2, 4, 2), id="common: only what all answered in all replicates"
        ),
        pytest.param("available", {"m0", "m1", "m3", "m4"}, (8, 0, 2, 0, 0), (4, 0, 2, 4, 0), id="available: each its own"),
        pytest.param(
            "fallback_half", {"m0", "m1", "m3", "m4"}, (8, 0, 2, 0, 0), (7, 3, 2, 1, 0), id="0.5 for a failure, not a gap"
        ),
        pytest.param(
            "fallback_market", {"m0", "m1", "m3", "m4"}, (8, 0, 2, 0, 0), (5, 1, 2, 3, 0), id="no price, no fallback"
        ),
    ],
)
def test_policies_account_for_every_cell(policy, markets, a, b):
    kept = scored(incomplete(), policy=policy)
    assert set(kept.frame["market_id"]) == markets
    assert kept.n_markets == len(markets)
    parts = kept.left_out.select("scored", "filled", "unresolved", "unanswered", "not_common")
    assert parts.rows() == [a, b]
    assert kept.left_out.select(pl.sum_horizontal(parts.drop("filled").columns)).to_series().to_list() == [10, 10]
    assert kept.frame["probability"].null_count() == kept.frame["outcome"].null_count() == 0


def test_a_fallback_is_marked_and_has_the_value_it_says():
    for policy, value in (("fallback_half", 0.5), ("fallback_market", 0.4)):
        row = scored(incomplete(), policy=policy).frame.filter(configuration="b", market_id="m1", replicate=0)
        assert row.select("probability", "filled", "status").row(0) == (value, True, "failed")


def test_an_unknown_policy_names_the_known_ones():
    with pytest.raises(
        AnalysisError, match="unknown policy 'half': it must be one of available, common, fallback_half, fallback_market"
    ):
        scored(made_up(), policy="half")


def test_means_have_the_same_last_bits_whatever_order_and_pieces_the_rows_came_in():
    frame = synthetic()
    kept = validated(frame.sample(fraction=1, shuffle=True, seed=1))
    pieces = validated(pl.concat([kept[:13], kept[13:800], kept[800:]], rechunk=False))
    of = pl.col("cost_usd").drop_nulls().mean(), pl.col("probability").sum()
    assert (
        kept.group_by("configuration")
        .agg(of)
        .sort("configuration")
        .equals(pieces.group_by("configuration").agg(of).sort("configuration"))
    )
    assert kept.equals(pieces)
    assert (kept.n_chunks(), kept["configuration"].flags) == (pieces.n_chunks(), pieces["configuration"].flags)
