"""The table as a whole: what is averaged, what is null and why, and what must not change it."""

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from coordeval.analysis import AnalysisError, brier, leaderboard, nulls, scored, spread
from coordeval.analysis.study.leaderboard import COLUMNS, REFERENCE
from tests.analysis.reference import cell, failed, made_up, table


def row_of(board, name):
    return board.table.row(by_predicate=pl.col("configuration") == name, named=True)


def test_columns_and_order():
    board = leaderboard(made_up())
    assert dict(board.table.schema) == COLUMNS
    assert board.table["brier"].is_sorted()
    assert set(board.table["configuration"]) == {"c0", "c1", "c2", REFERENCE}
    assert (board.policy, board.n_markets, board.bins, board.edges, board.seed) == ("common", 40, 10, "decimal", 0)
    assert board.simulated


@pytest.mark.parametrize("policy", ["common", "available", "fallback_half", "fallback_market"])
@pytest.mark.parametrize("edges", ["decimal", "float", "quantile", "distinct"])
def test_identities_hold_after_averaging_over_replicates(policy, edges):
    frame = made_up().with_columns(failing=(pl.col("market_id") == "m003") & (pl.col("replicate") == 1))
    frame = frame.with_columns(
        status=pl.when("failing").then(pl.lit("failed")).otherwise("status"),
        probability=pl.when(~pl.col("failing")).then("probability"),
    )
    for row in leaderboard(frame, policy=policy, edges=edges, resamples=20).table.iter_rows(named=True):
        assert row["unc"] + row["rel"] - row["res"] + row["wbv"] - row["wbc"] == pytest.approx(row["brier"], abs=1e-12)
        assert row["mcb"] - row["dsc"] + row["unc"] == pytest.approx(row["brier"], abs=1e-12)


def test_a_score_is_the_mean_over_replicates():
    frame = made_up()
    each = [
        brier(part["probability"], part["outcome"]) for part in frame.filter(configuration="c1").partition_by("replicate")
    ]
    row = row_of(leaderboard(frame, resamples=20), "c1")
    assert row["brier"] == pytest.approx(sum(each) / 2, abs=1e-15)
    noise = dict(spread(scored(frame)).table.select("configuration", "noise").iter_rows())
    assert row["brier_spread"] == noise["c1"]
    assert (row["n_markets"], row["n_forecasts"], row["answered"], row["failed"]) == (40, 80, 80, 0)


def test_the_nulls_are_those_of_the_components_and_the_p_value_is_that_of_mcb():
    frame = made_up(configurations=1, replicates=3).with_columns(pl.col("probability") ** 2)
    board = leaderboard(frame, resamples=200)
    theirs = nulls(scored(frame), n=200).table
    assert board.nulls.table.equals(theirs)
    row, rel = row_of(board, "c0"), theirs.row(by_predicate=(pl.col("configuration") == "c0") & (pl.col("measure") == "rel"))
    rel = dict(zip(theirs.columns, rel, strict=True))
    assert [row[f"null_rel_{end}"] for end in ("mean", "low", "high")] == [rel[end] for end in ("mean", "low", "high")]
    assert row["rel"] == pytest.approx(rel["seen"], abs=1e-15)
    assert row["calibration_p"] == theirs.filter(configuration="c0", measure="mcb")["p_value"][0] < 1


def test_the_market_price_row_is_the_score_of_the_prices():
    frame = made_up()
    row = row_of(leaderboard(frame, resamples=20), REFERENCE)
    prices = frame.unique("market_id")
    assert row["brier"] == pytest.approx(brier(prices["market_price"], prices["outcome"]), abs=1e-12)
    assert (
        row["alpha"] is row["alpha_sem"] is row["cost_usd_per_market"] is row["on_frontier"] is row["brier_spread"] is None
    )


def test_alpha_is_the_difference_to_the_market_row():
    board = leaderboard(made_up(), resamples=20)
    market = row_of(board, REFERENCE)["brier"]
    for row in board.table.filter(pl.col("configuration") != REFERENCE).iter_rows(named=True):
        assert row["alpha"] == pytest.approx(market - row["brier"], abs=1e-12)
        assert row["skill_market"] == pytest.approx(1 - row["brier"] / market, abs=1e-12)


def test_a_failed_forecast_costs_money_and_is_no_forecast():
    frame = table(cell(cost_usd=0.1), failed(market_id="m1", cost_usd=0.3))
    row = row_of(leaderboard(frame), "a")
    assert (row["n_forecasts"], row["answered"], row["failed"]) == (1, 1, 1)
    assert row["cost_usd_per_market"] == pytest.approx(0.2)
    assert row["brier"] == pytest.approx(0.49)


def test_use_is_per_market_of_one_replicate_and_paid_is_the_total():
    frame = table(*(cell(replicate=r, market_id=m, cost_usd=0.1, paid_usd=0.05) for r in (0, 1) for m in ("m0", "m1", "m2")))
    row = row_of(leaderboard(frame), "a")
    assert row["cost_usd_per_market"] == pytest.approx(0.1)
    assert row["paid_usd"] == pytest.approx(0.3)
    assert (row["input_tokens_per_market"], row["model_calls_per_market"], row["seconds_per_market"]) == (100, 1, 1.5)


def test_an_unknown_cost_is_null_and_not_placed():
    frame = table(
        cell(), cell(market_id="m1", cost_usd=None), cell(configuration="b"), cell(configuration="b", market_id="m1")
    )
    board = leaderboard(frame)
    row = row_of(board, "a")
    assert (row["cost_usd_per_market"], row["on_frontier"], row["dominated_by"]) == (None, None, [])
    assert "cost_usd_per_market: unknown for 1 of 2 cells (a)" in board.notes
    assert "on_frontier: its cost is unknown (a)" in board.notes
    assert row_of(board, "b")["on_frontier"] is True


@pytest.mark.parametrize(
    ("frame", "nulls", "note"),
    [
        pytest.param(
            table(cell()), {"alpha_sem", "brier_spread"}, "brier_spread: one replicate", id="one replicate of one market"
        ),
        pytest.param(table(cell()), {"skill_base"}, "skill_base: the reference is perfect", id="one class only"),
        pytest.param(
            table(cell(market_price=None)),
            {"alpha", "alpha_sem", "skill_market"},
            "alpha: no market price is known",
            id="no price",
        ),
        pytest.param(
            table(cell(outcome=None)),
            {"brier", "alpha", "mcb", "log_score", "clipped"},
            "scores: no forecast is scored",
            id="unresolved",
        ),
        pytest.param(table(failed()), {"brier", "rel"}, "1 unanswered", id="failed"),
    ],
)
def test_an_undefined_number_is_null_and_a_note_says_why(frame, nulls, note):
    board = leaderboard(frame)
    row = row_of(board, "a")
    assert {name for name in nulls if row[name] is not None} == set()
    assert any(note in line for line in board.notes)


def test_every_null_has_a_note():
    """Whatever is null in some row is named by a note, or falls under the two notes that speak of groups of columns."""
    frame = pl.concat(
        [made_up(markets=4, configurations=1, replicates=1), table(cell(configuration="b", market_id="m9", cost_usd=None))]
    )
    board = leaderboard(frame, policy="available")
    text = "\n".join(board.notes)
    for row in board.table.filter(pl.col("configuration") != REFERENCE).iter_rows(named=True):
        for name in (name for name, value in row.items() if value is None):
            assert f"{name}:" in text, name


def test_unpriced_markets_are_left_out_of_alpha_and_said():
    frame = table(cell(), cell(market_id="m1", market_price=None), cell(market_id="m2", outcome=0))
    board = leaderboard(frame)
    assert "alpha, skill_market: over 2 forecasts whose market price is known, without 1 (a)" in [
        line if "(a)" in line else f"{line} (a)" for line in board.notes
    ]
    assert row_of(board, REFERENCE)["n_markets"] == 2


def test_the_policy_and_what_it_left_out_come_first():
    frame = table(cell(), cell(market_id="m1"), cell(configuration="b"), failed(configuration="b", market_id="m1"))
    assert (
        leaderboard(frame)
        .notes[0]
        .startswith("policy common: 1 of 2 markets; cells left out: 0 unresolved, 1 unanswered, 1 answered but")
    )


def test_the_name_of_the_reference_row_is_taken():
    with pytest.raises(AnalysisError, match="reference row"):
        leaderboard(table(cell(configuration=REFERENCE)))


def test_the_market_price_may_be_a_configuration_too():
    frame = pl.concat(
        [made_up(), made_up(configurations=1).with_columns(configuration=pl.lit("market_price"), probability="market_price")]
    )
    board = leaderboard(frame, resamples=20)
    assert row_of(board, "market_price")["brier"] == pytest.approx(row_of(board, REFERENCE)["brier"], abs=1e-12)
    assert row_of(board, "market_price")["alpha"] == pytest.approx(0, abs=1e-15)


def test_a_simulated_configuration_is_labelled():
    frame = pl.concat(
        [made_up(configurations=1), table(*made_up(configurations=1).with_columns(configuration=pl.lit("real")).to_dicts())]
    )
    board = leaderboard(frame.with_columns(simulated=pl.col("configuration") != "real"), resamples=20)
    assert (row_of(board, "c0")["simulated"], row_of(board, "real")["simulated"], board.simulated) == (True, False, True)


@pytest.mark.proof
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10**6))
def test_the_order_of_the_rows_changes_nothing(seed):
    frame = made_up(markets=12)
    one, other = (
        leaderboard(frame, resamples=20),
        leaderboard(frame.sample(fraction=1, shuffle=True, seed=seed), resamples=20),
    )
    assert_frame_equal(one.table, other.table, check_exact=True)
    assert_frame_equal(one.comparisons, other.comparisons, check_exact=True)
    assert one.notes == other.notes


def test_names_of_markets_events_and_configurations_change_no_number():
    frame = made_up()
    renamed = frame.with_columns(
        market_id=pl.col("market_id").str.reverse(),
        event_id=pl.concat_str(pl.lit("x"), "event_id"),
        configuration="z" + pl.col("configuration"),
    )
    numbers = [name for name, dtype in COLUMNS.items() if dtype in (pl.Float64, pl.Int64)]
    one, other = leaderboard(frame).table.select(numbers), leaderboard(renamed).table.select(numbers)
    assert_frame_equal(one, other, abs_tol=1e-12)
