"""The compute-matched curve against every subset written out, and against the reference figures."""

import json
import re
from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from coordeval.analysis import AnalysisError, Scored, scored
from coordeval.analysis.cost.compute_matched import SAMPLING, Curve, compute_matched, moments, plain_sampling
from tests.analysis.reference import DATA, cell, made_up, recorded, recorded_frame, table

DRAWS = st.integers(2, 6).flatmap(
    lambda draws: st.lists(
        st.tuples(st.lists(st.integers(0, 100), min_size=draws, max_size=draws), st.integers(0, 1)), min_size=1, max_size=8
    )
)


@given(DRAWS)
def test_the_curve_is_the_mean_over_every_subset_of_the_draws(rows):
    p, y = np.array([row[0] for row in rows]) / 100, np.array([row[1] for row in rows])
    curve = plain_sampling(p, y)
    for k in range(1, p.shape[1] + 1):
        subsets = [np.mean((p[:, list(s)].mean(axis=1) - y) ** 2) for s in combinations(range(p.shape[1]), k)]
        assert curve.brier(k) == pytest.approx(np.mean(subsets), abs=1e-12)


@given(DRAWS, st.randoms(use_true_random=False))
def test_the_order_of_draws_and_markets_and_repeating_all_markets_change_nothing(rows, random):
    def curve(chosen):
        return plain_sampling([[x / 100 for x in draws] for draws, _ in chosen], [y for _, y in chosen])

    mixed = [(random.sample(draws, len(draws)), y) for draws, y in random.sample(rows, len(rows))]
    for other in (mixed, rows + rows):
        assert (curve(other).v, curve(other).c) == pytest.approx((curve(rows).v, curve(rows).c), abs=1e-12)


def test_markets_with_one_draw_are_left_out():
    v, c = moments([[0.1, np.nan], [0.2, 0.4], [np.nan, np.nan]], [0, 0, 1])
    assert np.isnan(v).tolist() == np.isnan(c).tolist() == [True, False, True]
    assert (v[1], c[1]) == pytest.approx((0.1, 0.08))
    assert plain_sampling([[0.1, np.nan]], [0]) is None


def test_the_forecasts_needed_for_a_score_invert_the_curve():
    curve = Curve(v=0.2, c=0.1, n_markets=9)
    assert curve.brier(curve.forecasts_for(0.13)) == pytest.approx(0.13)
    assert (curve.forecasts_for(0.3), curve.forecasts_for(0.1)) == (1.0, None)
    with pytest.raises(AnalysisError, match=r"k is 0\.5"):
        curve.brier(0.5)


def three_draws() -> pl.DataFrame:
    """The recorded single-agent replicates: two configurations that are one agent, and the debate before it speaks."""
    ids = {
        (m := json.loads(line))["marketIndex"]: m["marketId"] for line in (DATA / "markets.jsonl").read_text().splitlines()
    }
    rows = []
    for name in ("independent_ensemble", "consensus_alignment", "peer_critique_debate"):
        for line in (DATA / f"traces/{name}.jsonl").read_text().splitlines():
            row = json.loads(line)
            calls = row["trace"]["calls"]
            stated = re.findall(r"FINAL_PROBABILITY:\s*([\d.]+)", calls[0]["response"]["text"]) if calls else []
            first = float(stated[-1]) if stated else None
            p = first if name == "peer_critique_debate" else None if row.get("_failure") else row["probability"]
            rows.append((ids[row["marketIndex"]], p, calls[0]["costUsd"] if calls else None))
    frame = pl.DataFrame(rows, schema=["market_id", "probability", "cost_usd"], orient="row")
    return frame.drop_nulls("probability").filter(pl.len().over("market_id") == 3)


@recorded
def test_the_recorded_study():
    found = compute_matched(scored(recorded_frame(), policy="fallback_half"), draws=three_draws(), n=2000)
    assert found.exact.n_markets == 98
    assert [found.exact.brier(k) for k in (1, 2, 3)] == pytest.approx([0.168629, 0.167364, 0.166942], abs=5.01e-7)
    assert found.curve["brier"].to_list()[:3] == pytest.approx([0.168629, 0.167364, 0.166942], abs=5.01e-7)
    rows = {row["configuration"]: row for row in found.table.iter_rows(named=True)}
    assert rows["independent_ensemble"]["k"] == pytest.approx(1, abs=0.02)
    assert (
        rows["sequential_pipeline"]["low"] < 0 < rows["sequential_pipeline"]["premium"] < rows["sequential_pipeline"]["high"]
    )
    curve = found.to_match.filter(configuration=SAMPLING).row(0, named=True)
    assert (curve["cost"], curve["reached"] < 0.5) == (None, True)


def test_the_premium_is_the_curve_at_the_configurations_own_cost_less_its_score():
    frame = made_up(markets=60, replicates=3)
    found = compute_matched(scored(frame), lone="c0", n=500)
    assert found.table["configuration"].to_list() == ["c1", "c2"]
    for row, k in zip(found.table.iter_rows(named=True), (2, 3), strict=True):
        assert row["k"] == pytest.approx(k)
        assert row["matched"] == pytest.approx(found.exact.brier(k))
        assert row["premium"] == pytest.approx(row["matched"] - row["brier"])
        assert row["low"] < row["premium"] < row["high"]
    assert found.curve["cost"].to_list() == pytest.approx([0.01 * k for k in range(1, 11)])


def test_what_costs_less_than_one_forecast_is_set_against_one():
    frame = made_up(markets=40, replicates=2)
    row = compute_matched(scored(frame), lone="c2", n=50).table.filter(configuration="c0").row(0, named=True)
    found = compute_matched(scored(frame), lone="c2", n=50)
    assert row["k"] == pytest.approx(1 / 3)
    assert row["matched"] == pytest.approx(found.exact.v)


def test_the_cost_to_match_a_target():
    frame = made_up(markets=60, replicates=3)
    easy = compute_matched(scored(frame), lone="c0", target=0.9, n=200).to_match
    assert easy["cost"].to_list() == pytest.approx([0.01, 0.02, 0.03])
    assert easy["reached"].to_list() == [1.0] * 3
    hard = compute_matched(scored(frame), lone="c0", target=0.0, n=200).to_match
    assert hard["cost"].to_list() == [None] * 3
    assert hard["reached"].to_list() == [0.0] * 3
    curve = compute_matched(scored(frame), lone="c0", n=200).exact
    between = (curve.v + curve.c) / 2
    cost = compute_matched(scored(frame), lone="c0", target=between, n=200).to_match.filter(configuration=SAMPLING)["cost"][
        0
    ]
    assert cost == pytest.approx(0.01 * curve.forecasts_for(between))


@pytest.mark.proof
def test_plain_sampling_by_another_name_earns_no_premium():
    """The mean of four draws of the same agent at four times the price, in 200 worlds: 95% ± 5 points hold 0."""
    hits, premiums = [], []
    for seed in range(200):
        rng = np.random.default_rng([2, seed])
        y = rng.integers(0, 2, size=60)
        base = np.clip(0.3 + 0.4 * y + rng.normal(0, 0.15, size=60), 0.1, 0.9)
        p = np.clip(base[:, None] + rng.normal(0, 0.1, size=(60, 8)), 0, 1)
        one = {"outcome": y, "market_price": base, "market_id": [f"m{i:02}" for i in range(60)]}
        ensemble = pl.DataFrame(
            one | {"configuration": ["four"] * 60, "probability": p[:, :4].mean(axis=1), "cost_usd": [0.04] * 60}
        )
        lone = [
            pl.DataFrame(one | {"configuration": ["single_agent"] * 60, "probability": p[:, 4 + r], "cost_usd": [0.01] * 60})
            for r in range(4)
        ]
        frame = pl.concat([part.with_columns(replicate=pl.lit(r % 4)) for r, part in enumerate([ensemble, *lone], start=3)])
        result = compute_matched(as_scored(frame.with_columns(event_id=pl.col("market_id"))), n=300, seed=seed)
        row = result.table.row(0, named=True)
        hits.append(row["low"] <= 0 <= row["high"])
        premiums.append(row["premium"])
    assert np.mean(hits) == pytest.approx(0.95, abs=0.05)
    assert np.mean(premiums) == pytest.approx(0, abs=4 * np.std(premiums) / np.sqrt(200))


def as_scored(frame):
    return Scored(frame=frame, policy="available", n_markets=frame["market_id"].n_unique(), left_out=pl.DataFrame())


def test_without_two_forecasts_by_one_agent_there_is_no_curve():
    found = compute_matched(scored(made_up(markets=8)), n=50)
    assert (found.exact, found.cost) == (None, None)
    assert "sample it twice" in found.reason
    for frame in (found.table, found.curve, found.to_match):
        assert frame["reason"].null_count() == 0
    assert found.table["premium"].null_count() == 3


@pytest.mark.parametrize("unknown", ["c0", "c1"])
def test_an_unknown_cost_is_null_with_a_reason(unknown):
    cost = pl.when((pl.col("configuration") == unknown) & (pl.col("market_id") == "m003")).then(None).otherwise("cost_usd")
    frame = made_up(markets=20, replicates=2).with_columns(cost_usd=cost)
    row = compute_matched(scored(frame), lone="c0", n=50).table.filter(configuration="c1").row(0, named=True)
    assert (row["premium"], row["k"], row["cost"]) == (None, None, None)
    assert "unknown" in row["reason"]
    assert row["brier"] is not None


def test_one_event_has_no_interval():
    frame = table(
        *(cell(configuration=c, replicate=r, probability=0.1 * (1 + r)) for c in ("a", "single_agent") for r in (0, 1))
    )
    found = compute_matched(scored(frame), n=50)
    assert (found.table["premium"][0] is None, found.table["low"][0]) == (False, None)
    assert "1 event" in found.table["reason"][0]
    assert found.to_match.filter(configuration=SAMPLING)["low"][0] is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: moments([0.1, 0.2], [1, 0]), "give"),
        (lambda: moments([[0.1, 1.2]], [1]), r"p\[0, 1\] is 1.2"),
        (
            lambda: compute_matched(scored(made_up(markets=4)), draws=pl.DataFrame({"market_id": ["m"]})),
            "draws lacks probability",
        ),
        (lambda: compute_matched(scored(made_up(markets=4)), sizes=(0,)), "sizes is 0"),
    ],
)
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises(AnalysisError, match=message):
        call()


def spent(v: float, c: float, costs: list[float]) -> pl.DataFrame:
    """Two draws of each market with the squared errors' mean `v` and product `c`, at its price."""
    middle, apart = np.sqrt((v + c) / 2), np.sqrt((v - c) / 2)
    pair = (middle - apart, middle + apart)
    return table(
        *(
            cell(
                configuration="single_agent", market_id=f"m{i}", replicate=r, outcome=0, probability=float(p), cost_usd=cost
            )
            for i, cost in enumerate(costs)
            for r, p in enumerate(pair)
        )
    )


@pytest.mark.parametrize("target", [0.099, 0.1, 0.101, 0.104, 0.11, 0.2])
def test_where_one_forecast_reaches_the_target_the_cost_is_that_of_one_with_its_interval(target):
    """V = 0.1, C = 0.08, without noise; costs vary. An easier target never costs more, and nothing costs less than 0."""
    found = compute_matched(scored(spent(0.1, 0.08, [0.01] * 32 + [0.05] * 8)), target=target, n=1000)
    row = found.to_match.filter(configuration=SAMPLING).row(0, named=True)
    one = found.cost
    assert row["cost"] == pytest.approx(one * max(1, 0.02 / (target - 0.08)))
    assert 0 < row["low"] < row["cost"] < row["high"]
    if target >= 0.1:
        t = stats.t.ppf(0.975, 39)
        prices = np.array([0.01] * 32 + [0.05] * 8)
        assert row["high"] >= one + t * stats.sem(prices) * 0.99


def test_a_price_far_beyond_the_others_makes_no_cost_negative_and_no_reason_false():
    found = compute_matched(scored(spent(0.1, 0.08, [0.01] * 39 + [2.0])), target=0.5, n=1000)
    row = found.to_match.filter(configuration=SAMPLING).row(0, named=True)
    assert row["reached"] == 1
    assert 0 <= row["low"] < row["cost"] < row["high"]
    assert row["reason"] is None


def test_draws_that_are_the_same_cost_one_forecast_or_never_reach_it():
    frame = scored(spent(0.1, 0.1, [0.01, 0.02, 0.03] * 10))
    for target, reached in ((0.2, 1.0), (0.05, 0.0)):
        row = compute_matched(frame, target=target, n=500).to_match.filter(configuration=SAMPLING).row(0, named=True)
        assert row["reached"] == reached
        assert row["cost"] == (pytest.approx(0.02) if reached else None)


def test_few_events_have_no_cost_interval_for_anybody():
    found = compute_matched(scored(made_up(markets=9)), lone="c0", target=0.9, n=200).to_match
    assert found["low"].null_count() == found.height
    assert all("an interval needs 6" in reason for reason in found["reason"])
