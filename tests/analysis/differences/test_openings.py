"""Configurations that were asked the same: who they are, when a difference says something, and how often it lies."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from coordeval.analysis import AnalysisError
from coordeval.analysis.differences.openings import COLUMNS, openings


def opening(**changed):
    row = {
        "configuration": "a",
        "market_id": "m0",
        "replicate": 0,
        "request_id": "r",
        "probability": 0.4,
        "outcome": 1,
        "market_price": 0.5,
        "cost_usd": 0.01,
        "forecast": 0.6,
    } | changed
    row = {"event_id": f"event of {row['market_id']}", "draw_id": "/".join(str(value) for value in row.values())} | row
    return {name: row[name] for name in COLUMNS}


def asked(*rows):
    return pl.DataFrame(list(rows), schema=COLUMNS)


def study(names="abc", *, markets=40, seed=0, shift=0.0, replicates=1, draws=1):
    """Configurations asked the same on every market; the last one's forecasts are worse by `shift`."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.1, 0.9, markets)
    outcome = rng.random(markets) < truth
    return asked(
        *(
            opening(
                configuration=name,
                market_id=f"m{i:03}",
                event_id=f"e{i // 2:03}",
                replicate=r,
                request_id=f"r{i}",
                draw_id=f"{name} {i} {r} {k}",
                probability=float(
                    np.clip(truth[i] + rng.normal(0, 0.1) + shift * (name == names[-1]) * (0.5 - outcome[i]), 0, 1)
                ),
                outcome=int(outcome[i]),
                cost_usd=0.01 * (1 + names.index(name)),
                forecast=float(np.clip(truth[i] + rng.normal(0, 0.02), 0, 1)),
            )
            for name in names
            for i in range(markets)
            for r in range(replicates)
            for k in range(draws)
        )
    )


def pair(found, first="a", second="b"):
    return found.pairs.filter(first=first, second=second).row(0, named=True)


def test_the_same_requests_everywhere_make_a_group_whose_differences_are_tested():
    frame = study(replicates=2, draws=3)
    found = openings(frame, n=2000)
    assert found.groups["configurations"].to_list() == [["a", "b", "c"]]
    row = pair(found)
    assert (row["n_shared"], row["n_same"], row["same"], row["n_shared_draws"], row["n_markets"]) == (40, 40, True, 0, 40)
    per = (
        frame.with_columns(error=(pl.col("probability") - pl.col("outcome")) ** 2)
        .group_by("configuration")
        .agg(pl.col("error").mean())
    )
    brier = dict(per.iter_rows())
    assert row["delta"] == pytest.approx(brier["a"] - brier["b"])
    assert (row["brier_first"], row["brier_second"]) == pytest.approx((brier["a"], brier["b"]))
    assert row["low"] < row["delta"] < row["high"]
    assert row["delta_cost"] == pytest.approx(0.01)
    assert found.groups["brier"][0].to_list() == pytest.approx([brier[name] for name in "abc"])
    assert found.groups["range"][0] == pytest.approx(max(brier.values()) - min(brier.values()))
    assert found.largest == pytest.approx(max(abs(d) for d in found.pairs["delta"]))
    assert found.exceeds == sum(abs(d) < found.largest for d in found.pairs["delta_forecast"])
    assert found.compared == 3


def test_shared_draws_are_no_test():
    """Common draws: the same reply stands in both, and a difference of 0 would look like proof."""
    frame = study("ab").with_columns(draw_id="request_id", probability=pl.lit(0.3))
    found = openings(frame, n=50)
    row = pair(found)
    assert (row["same"], row["n_shared_draws"], row["n_markets"], row["delta"], row["p_value"]) == (True, 40, 0, None, None)
    assert "shared draws: both have the same replies on all 40 markets" in row["reason"]
    assert (found.largest, found.exceeds) == (None, None)
    assert found.reason == "no pair has draws of its own and an outcome"
    assert "every member has draws of its own" in found.groups["reason"][0]


def test_one_shared_reply_among_several_leaves_the_market_out():
    """An ensemble of three whose first draw is a single agent's only one."""
    both = [opening(configuration=name, draw_id=draw, market_id="m0") for name, draw in [("a", "1"), ("a", "2"), ("b", "1")]]
    own = [opening(configuration=name, draw_id=f"{name}9", market_id="m1") for name in "ab"]
    row = pair(openings(asked(*both, *own), n=50))
    assert (row["n_same"], row["n_shared_draws"], row["n_markets"]) == (2, 1, 1)


def test_requests_are_compared_as_sets_market_by_market():
    rows = [
        *(opening(configuration="a", market_id="m0", request_id=r, draw_id=f"a{r}{k}") for r in "xy" for k in (0, 1)),
        *(opening(configuration="b", market_id="m0", request_id=r, draw_id=f"b{r}") for r in "yx"),
        opening(configuration="a", market_id="m1", request_id="x"),
        opening(configuration="b", market_id="m1", request_id="z"),
        opening(configuration="b", market_id="m2"),
        opening(configuration="c", market_id="m3"),
    ]
    found = openings(asked(*rows), n=50)
    row = pair(found)
    assert (row["n_shared"], row["n_same"], row["same"], row["n_markets"]) == (2, 1, False, 1)
    assert found.groups.is_empty()
    assert found.reason == "no two configurations begin with the same requests"
    assert (pair(found, "a", "c")["same"], pair(found, "a", "c")["n_shared"]) == (None, 0)
    assert "delta: no market on which both began" in pair(found, "a", "c")["reason"]


def test_one_replicate_with_another_request_is_another_opening():
    rows = [opening(configuration=c, replicate=r, request_id=f"{c if r else ''}x") for c in "ab" for r in (0, 1)]
    row = pair(openings(asked(*rows), n=50))
    assert (row["n_same"], row["same"]) == (0, False)
    assert "delta: other requests on every market" in row["reason"]


def test_reports_open_without_an_estimate():
    """A planner and a researcher may be asked the same; there is nothing to score yet."""
    frame = study("ab").with_columns(probability=pl.lit(None, pl.Float64))
    found = openings(frame, n=50)
    assert (pair(found)["same"], pair(found)["n_markets"]) == (True, 0)
    assert "an estimate of both" in pair(found)["reason"]
    assert found.configurations["brier"].to_list() == [None, None]
    assert "it begins without an estimate" in found.configurations["reason"][0]


def test_what_one_configuration_said_first():
    rows = [opening(market_id="m0", probability=0.4), opening(market_id="m1", probability=0.2, outcome=0, market_price=0.3)]
    own = openings(asked(*rows), n=50).configurations.row(0, named=True)
    assert (own["n_markets"], own["n_draws"], own["brier"], own["cost_usd"]) == pytest.approx(
        (2, 2, (0.36 + 0.04) / 2, 0.01)
    )
    assert own["delta_market"] == pytest.approx((0.36 - 0.25 + 0.04 - 0.09) / 2)


def test_every_null_has_a_reason():
    rows = [
        *(opening(configuration=c, market_id="m0", cost_usd=None, market_price=None) for c in "ab"),
        *(opening(configuration=c, market_id="m1", outcome=None, forecast=None) for c in "abc"),
    ]
    found = openings(asked(*rows), n=50)
    for part in (found.pairs, found.groups, found.configurations):
        silent = part.filter(pl.any_horizontal(pl.exclude("reason").is_null()) & pl.col("reason").is_null())
        assert silent.is_empty()
    row = pair(found)
    assert (row["delta"], row["low"], row["p_value"], row["delta_cost"]) == (0, None, 1, None)
    for part in ("delta_cost: a cost is unknown", "1 event"):
        assert part in row["reason"]


def test_the_order_of_rows_changes_nothing():
    frame = study(markets=12)
    first, second = openings(frame, n=200), openings(frame.sample(fraction=1, shuffle=True, seed=1), n=200)
    for name in ("pairs", "groups", "configurations"):
        assert getattr(first, name).equals(getattr(second, name))


@pytest.mark.parametrize("worlds", [40, pytest.param(400, marks=pytest.mark.proof)])
def test_a_test_of_the_same_with_the_same_rejects_as_often_as_stated(worlds):
    hits = np.zeros(2)
    for seed in range(worlds):
        found = openings(study(seed=seed, markets=30), n=199)
        hits += [pair(found)["p_value"] <= 0.05, found.groups["p_value"][0] <= 0.05]
    assert np.all(np.abs(hits / worlds - 0.05) < 4 * np.sqrt(0.05 * 0.95 / worlds))
    assert openings(study(shift=0.5), n=999).groups["p_value"][0] < 0.01


def test_a_group_of_two_is_its_pair():
    found = openings(study("ab", markets=30), n=4000)
    assert found.groups["p_value"][0] == pytest.approx(pair(found)["p_value"], abs=4 * np.sqrt(2 * 0.25 / 4000))
    d = study("ab", markets=30).with_columns(error=(pl.col("probability") - pl.col("outcome")) ** 2)
    wide = d.pivot("configuration", index=["event_id", "market_id"], values="error")
    events = (wide["a"] - wide["b"]).to_frame("d").with_columns(wide["event_id"]).group_by("event_id").agg(pl.col("d").sum())
    theirs = stats.permutation_test((events["d"].to_numpy(),), np.sum, permutation_type="samples", n_resamples=4000, rng=0)
    assert pair(found)["p_value"] == pytest.approx(theirs.pvalue, abs=4 * np.sqrt(2 * 0.25 / 4000))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (asked(opening()).drop("draw_id"), "lacks draw_id: take it from ledger.estimates.openings_frame"),
        (asked(opening(probability=40.0)), r"'probability': 40\.0.*must lie in \[0, 1\]"),
        (asked(opening(request_id=None, draw_id="d")), "request_id is null"),
        (asked(opening()).with_columns(outcome=pl.lit("yes")), "does not hold the types"),
    ],
)
def test_bad_frames_are_refused_by_name(frame, message):
    with pytest.raises(AnalysisError, match=message):
        openings(frame)
