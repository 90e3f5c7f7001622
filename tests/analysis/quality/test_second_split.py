"""Three terms and the smooth calibration error against their definitions; adjusted scores against least squares."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import norm

from coordeval.analysis import adjusted, bootstrap, example, scored, second_split, smooth_ce, three_terms


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=30))
def test_the_terms_add_up_to_the_brier_score_and_none_is_negative(pairs):
    p, y = np.array(pairs).T
    found = three_terms(p, y)
    terms = (found.variance_mismatch, found.correlation_deficit, found.in_the_large)
    assert sum(terms) == pytest.approx(np.mean((p - y) ** 2), abs=1e-12)
    assert min(terms) >= 0


def test_the_terms_are_those_of_numpy():
    rng = np.random.default_rng(0)
    p, y = rng.random(200), (rng.random(200) < 0.3).astype(float)
    found = three_terms(p, y)
    deficit = 2 * p.std() * y.std() * (1 - np.corrcoef(p, y)[0, 1])
    assert found.variance_mismatch == pytest.approx((p.std() - y.std()) ** 2)
    assert found.correlation_deficit == pytest.approx(deficit)
    assert found.in_the_large == pytest.approx((p.mean() - y.mean()) ** 2)


def directly(p, y):
    """By the definition: images of every forecast in the mirrors 0 and 1, integrated, and the width found by a root."""

    def off(width):
        images = np.concatenate([2 * k + sign * p for k in range(-3, 4) for sign in (1, -1)])
        residual = np.tile(y - p, 14) / p.size
        return quad(lambda t: abs(np.sum(residual * norm.pdf(t - images, scale=width))), 0, 1, limit=200, epsabs=1e-6)[0]

    return brentq(lambda width: off(width) - width, 0.005, 1)


@pytest.mark.parametrize("seed", range(3))
def test_the_smooth_calibration_error_is_that_of_its_definition(seed):
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 1 + seed, 80).round(2 + seed)
    y = (rng.random(80) < p ** (1 + seed)).astype(float)
    assert smooth_ce(p, y) == pytest.approx(directly(p, y), abs=2e-4)


def test_the_smooth_calibration_error_of_a_calibrated_forecaster_falls_with_markets():
    rng = np.random.default_rng(5)
    found = []
    for n in (100, 10_000):
        p = rng.random(n)
        found.append(smooth_ce(p, (rng.random(n) < p).astype(float)))
    assert found[1] < 0.02 < found[0]


def test_intervals_hold_the_values_of_a_large_sample():
    """p is 0.8 of what then happens; the terms of 200,000 markets are the truth."""
    rng = np.random.default_rng(3)
    held = dict.fromkeys(("variance_mismatch", "correlation_deficit", "in_the_large"), 0)
    latent = rng.random(200_000)
    truth = three_terms(np.clip(latent * 0.8, 0, 1), rng.random(200_000) < latent)
    for seed in range(25):
        frame = example(markets=60, replicates=1, seed=seed).filter(configuration="single_agent")
        x = np.random.default_rng(seed).random(60)
        y = (np.random.default_rng(1000 + seed).random(60) < x).astype(np.int64)
        frame = frame.with_columns(probability=pl.Series(0.8 * x), outcome=pl.Series(y), event_id="market_id")
        rows = second_split(scored(frame), n=150).table.filter(configuration="single_agent").to_dicts()
        for row in rows:
            if row["measure"] in held:
                held[row["measure"]] += row["low"] <= getattr(truth, row["measure"]) <= row["high"]
    assert min(held.values()) >= 20  # of 25: fewer have P < 0.001 each where 95% hold


def test_the_means_over_replicates_add_up_to_the_brier_score_of_the_table():
    kept = scored(example())
    table = second_split(kept, n=50).table
    brier = bootstrap(kept, families=["brier"], n=50).table
    for name, whole in brier.select("configuration", "estimate").iter_rows():
        parts = table.filter(pl.col("measure") != "smooth_ce", configuration=name)["estimate"]
        assert parts.sum() == pytest.approx(whole)


def holes(seed, share=0.4):
    """Cells of the example of which some are missing, so that each answered other markets."""
    cells = example(replicates=1, markets=30).filter(status="answered")
    return cells.filter(pl.Series(np.random.default_rng(seed).random(cells.height) > share))


@pytest.mark.parametrize("seed", range(3))
def test_adjusted_scores_are_those_of_least_squares_with_dummies(seed):
    kept = scored(holes(seed), policy="available")
    found = dict(adjusted(kept, n=50).table.select("configuration", "estimate").iter_rows())
    rows = kept.frame.select("configuration", "market_id", error=(pl.col("probability") - pl.col("outcome")) ** 2)
    price = kept.frame.unique("market_id").select(
        configuration=pl.lit("market price"), market_id="market_id", error=(pl.col("market_price") - pl.col("outcome")) ** 2
    )
    rows = pl.concat([rows, price])
    names, markets = sorted(found), rows["market_id"].unique().sort().to_list()
    design = np.zeros((rows.height, len(names) + len(markets)))
    for i, (name, market, _) in enumerate(rows.iter_rows()):
        design[i, names.index(name)] = design[i, len(names) + markets.index(market)] = 1
    beta = np.linalg.lstsq(design, rows["error"].to_numpy(), rcond=None)[0]
    expected = beta[: len(names)] + beta[len(names) :].mean()
    assert [found[name] for name in names] == pytest.approx(expected.tolist())


def test_where_all_answered_all_it_is_the_brier_score():
    kept = scored(example())
    brier = bootstrap(kept, families=["brier"], n=50).table.sort("configuration")["estimate"].to_list()
    assert adjusted(kept, n=50).table.sort("configuration")["estimate"].to_list() == pytest.approx(brier)


def test_who_had_the_harder_markets_is_not_punished_for_it():
    """a answers the hard half and a few of the others, b the easy one; a is better by 0.05 on each."""
    n = 40
    hard = np.arange(n) < 20
    base = np.where(hard, 0.36, 0.04)
    rows = []
    for name, gain, mine in (("a", -0.02, hard | (np.arange(n) < 26)), ("b", 0.02, ~hard | (np.arange(n) > 14))):
        rows += [(name, f"m{i:02}", float(np.sqrt(base[i] + gain))) for i in np.flatnonzero(mine)]
    frame = example(replicates=1).clear()
    made = pl.DataFrame(rows, schema=["configuration", "market_id", "probability"], orient="row").with_columns(
        event_id="market_id", replicate=0, status=pl.lit("answered"), outcome=0, simulated=True
    )
    made = pl.concat([frame, made], how="diagonal_relaxed").with_columns(market_price=pl.lit(None, pl.Float64))
    kept = scored(made.select(frame.columns), policy="available")
    found = adjusted(kept, n=100).table
    raw = bootstrap(kept, families=["brier"], n=50).table["estimate"].to_list()
    assert raw[0] > raw[1]
    assert found["estimate"].to_list() == pytest.approx([0.18, 0.22])


def test_those_who_share_no_market_are_not_compared():
    cells = example(replicates=1).filter(status="answered").with_columns(market_price=pl.lit(None, pl.Float64))
    early = (pl.col("market_id") < "m20") == (pl.col("configuration") == "single_agent")
    row = adjusted(scored(cells.filter(early), policy="available"), n=50).table.row(0, named=True)
    assert row["estimate"] is None
    assert "nobody knows whose were harder" in row["reason"]
