"""Results by category and price: what a cell says by itself, when it says nothing, and that pooled intervals cover."""

import numpy as np
import polars as pl
import pytest

from coordeval.analysis import PRICE, AnalysisError, scored
from coordeval.analysis.quality.subgroups import MEASURES, subgroups
from tests.analysis.reference import cell, made_up, recorded, recorded_frame, table


def world(n, names, *, p, y, events=None, price=None):
    return table(
        *(
            cell(
                market_id=f"m{i:04}",
                event_id=f"e{i if events is None else events[i]:04}",
                category=names[i % len(names)],
                probability=float(p[i]),
                outcome=int(y[i]),
                market_price=None if price is None else float(price[i]),
            )
            for i in range(n)
        )
    )


def test_a_cell_by_itself_has_the_mean_and_the_clustered_standard_error_of_its_markets():
    rng = np.random.default_rng(0)
    p, y, events = rng.uniform(size=24), rng.integers(0, 2, 24), np.arange(24) // 6 * 3 + np.arange(24) % 3
    found = subgroups(scored(world(24, ["x", "y", "z"], p=p, y=y, events=events)), fewest_events=4)
    mine = np.arange(24) % 3 == 0
    for measure, d in (("bias", p - y), ("brier", (p - y) ** 2)):
        row = found.table.filter(measure=measure, by="category", cell="x").row(0, named=True)
        sums = [np.sum((d - d[mine].mean())[mine & (events == e)]) for e in np.unique(events[mine])]
        assert (row["n_markets"], row["n_events"]) == (8, 4)
        assert row["mean"] == pytest.approx(d[mine].mean())
        assert row["sem"] == pytest.approx(np.sqrt(4 / 3 * np.sum(np.square(sums))) / 8)


def test_markets_weighted_by_size_give_back_the_whole():
    frame = made_up(markets=100).with_columns(category=pl.col("market_id").str.slice(-1))
    found = subgroups(scored(frame), fewest_events=2, deciles=4).table.filter(
        configuration="c1", by="category", measure="brier"
    )
    errors = (frame.filter(configuration="c1")["probability"] - frame.filter(configuration="c1")["outcome"]) ** 2
    assert found["mean"].null_count() == 0
    assert (found["mean"] * found["n_markets"]).sum() / 100 == pytest.approx(errors.mean())


def test_delta_against_the_price_is_on_the_same_markets_and_the_price_has_none_of_its_own():
    frame = made_up(markets=60)
    found = subgroups(scored(frame), deciles=2).table
    assert set(found.filter(configuration=PRICE)["measure"]) == {"brier", "bias"}
    cells = found.filter(by="price").pivot("measure", index=["configuration", "cell"], values="mean")
    price = dict(cells.filter(configuration=PRICE).select("cell", "brier").iter_rows())
    for name, of, brier, delta in cells.select("configuration", "cell", "brier", "delta_market").iter_rows():
        if name != PRICE:
            assert delta == pytest.approx(brier - price[of])


def test_price_cells_are_deciles_named_by_their_ends():
    price = np.arange(1, 41) / 100
    found = subgroups(scored(world(40, ["x"], p=price, y=np.arange(40) % 2, price=price)), fewest_events=2)
    cells = found.table.filter(by="price", measure="bias", configuration="a")
    assert cells["cell"].to_list() == [f"{low / 100:.3g} to {(low + 3) / 100:.3g}" for low in range(1, 41, 4)]
    assert set(cells["n_markets"]) == {4}
    wide = subgroups(scored(world(40, ["x"], p=price, y=np.arange(40) % 2, price=price)), edges="decimal", fewest_events=2)
    assert wide.table.filter(by="price", measure="bias", configuration="a")["n_markets"].to_list() == [9, 10, 10, 10, 1]


@pytest.mark.parametrize(
    ("n", "y", "p", "reason"),
    [
        pytest.param(4, [0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4], "too little data: 4 events, a cell needs 5", id="few events"),
        pytest.param(6, [0] * 6, [0.1, 0.2] * 3, "all 6 markets resolved NO", id="no surprise yet"),
        pytest.param(6, [1] * 6, [0.1, 0.2] * 3, "all 6 markets resolved YES", id="no surprise yet, YES"),
        pytest.param(6, [0, 1] * 3, [0.25, 0.75] * 3, "the same on every market", id="no variance"),
    ],
)
def test_a_cell_that_cannot_say_anything_has_a_reason_instead_of_a_number(n, y, p, reason):
    found = subgroups(scored(world(n, ["x"], p=p, y=y))).table.filter(by="category", measure="brier").row(0, named=True)
    assert [found[name] for name in ("mean", "sem", "estimate", "low", "high")] == [None] * 5
    assert reason in found["reason"]


def test_two_cells_have_numbers_and_are_not_pooled():
    rng = np.random.default_rng(1)
    found = subgroups(scored(world(40, ["x", "y"], p=rng.uniform(size=40), y=rng.integers(0, 2, 40))))
    row = found.table.filter(by="category", measure="bias", cell="x").row(0, named=True)
    assert row["mean"] is not None
    assert (row["estimate"], row["reason"]) == (
        None,
        "estimate, low, high, p_value: 2 cells with enough data, pooling needs 3",
    )
    assert found.spreads.filter(by="category", measure="bias")["reason"][0] == "2 cells with enough data, pooling needs 3"
    assert found.spreads.filter(by="price").is_empty() or found.spreads.filter(by="price")["cells"].to_list() == [0, 0, 0]


def test_markets_without_a_category_or_price_are_counted():
    frame = made_up(markets=40).with_columns(
        category=pl.when(pl.col("market_id") < "m010").then(None).otherwise(pl.lit("x")),
        market_price=pl.when(pl.col("market_id") < "m003").then(None).otherwise("market_price"),
    )
    assert subgroups(scored(frame)).left_out == {"category": 10, "price": 3}


def test_every_null_has_a_reason():
    for frame in (made_up(markets=30), world(9, ["x", "y", "z"], p=[0.5] * 9, y=[0, 1, 1] * 3)):
        found = subgroups(scored(frame))
        for part in (found.table, found.spreads):
            silent = part.filter(pl.any_horizontal(pl.exclude("reason").is_null()) & pl.col("reason").is_null())
            assert silent.is_empty()


def test_the_order_of_rows_changes_nothing():
    frame = made_up(markets=60)
    assert subgroups(scored(frame)).table.equals(subgroups(scored(frame.sample(fraction=1, shuffle=True, seed=3))).table)


@pytest.mark.parametrize(
    ("tau", "n", "cells", "worlds"),
    [
        (0.0, 60, 6, 12),
        (0.05, 100, 10, 12),
        *(
            pytest.param(*row, 60, marks=pytest.mark.proof)
            for row in [(0.0, 60, 6), (0.05, 100, 10), (0.15, 100, 10), (0.15, 400, 6)]
        ),
    ],
)
def test_pooled_intervals_hold_the_true_bias_and_brier_score_on_average_over_cells(tau, n, cells, worlds):
    """Forecasts uniform in [0.3, 0.7] and off by θ_k in cell k: the bias is θ_k, the expected Brier score 1/4 − 0.4²/12."""
    rng = np.random.default_rng([int(100 * tau), n])
    names = [f"c{k}" for k in range(cells)]
    hits, asked = {"bias": 0, "brier": 0}, {"bias": 0, "brier": 0}
    for _ in range(worlds):
        p, off = rng.uniform(0.3, 0.7, n), np.clip(rng.normal(0, tau, cells), -0.29, 0.29)
        y = rng.random(n) < p - off[np.arange(n) % cells]
        found = subgroups(scored(world(n, names, p=p, y=y))).table.filter(pl.col("low").is_not_null())
        for measure, of, low, high in found.select("measure", "cell", "low", "high").iter_rows():
            truth = off[int(of[1:])] if measure == "bias" else 0.25 - 0.4**2 / 12
            hits[measure] += low <= truth <= high
            asked[measure] += 1
    for measure, count in asked.items():
        assert hits[measure] / count > 0.95 - 4 * np.sqrt(0.95 * 0.05 / count), measure


@pytest.mark.parametrize("options", [{"deciles": 0}, {"fewest_events": 1}, {"edges": "round"}])
def test_options_out_of_range_are_named(options):
    with pytest.raises(AnalysisError, match=next(iter(options))):
        subgroups(scored(made_up(markets=30)), **options)


@recorded
def test_the_recorded_study_cannot_tell_categories_apart_against_the_price():
    found = subgroups(scored(recorded_frame()))
    assert set(found.table["measure"]) == set(MEASURES)
    against = found.spreads.filter(measure="delta_market", by="category")
    assert against["pooled"].to_list() == [6] * 5
    assert against["p_value"].min() > 0.4
    price = found.table.filter(by="price", measure="brier", configuration="independent_ensemble")
    surprised = price.filter(pl.col("reason").is_not_null())
    assert surprised.height == 3
    assert all("what one surprise would do" in reason for reason in surprised["reason"])
