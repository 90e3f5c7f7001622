"""The made-up study is a study like any other, and what was put into it comes out again."""

import polars as pl
import pytest

from coordeval.analysis import (
    ESTIMATES,
    SCHEMA,
    AnalysisError,
    coordination,
    early_closing,
    example,
    example_estimates,
    missing_bounds,
    structure,
    validated,
)
from coordeval.analysis.made_up import HEARD

CELL = ["configuration", "market_id", "replicate"]


def test_it_has_what_a_study_has():
    cells = example()
    assert validated(cells).equals(cells.select(*SCHEMA))
    assert cells.select("configuration", "market_id", "replicate").n_unique() == 3 * 40 * 2
    assert set(cells.group_by("event_id").agg(pl.col("market_id").n_unique())["market_id"]) == {1, 2}
    assert cells["simulated"].all()
    assert cells["market_price"].null_count() == 0
    assert cells.filter(status="failed").select("reason").rows() == [("refused",)]
    assert example_estimates().schema == pl.Schema(ESTIMATES)


def test_what_agents_said_ends_in_the_forecast_of_the_cell():
    told = example_estimates().unique(CELL).select(*CELL, "forecast", "outcome", "market_price")
    cells = example().select(*CELL, forecast="probability", outcome="outcome", market_price="market_price")
    assert told.sort(CELL).equals(cells.sort(CELL))


def test_the_first_estimates_are_the_same_draws_in_every_configuration():
    first = example_estimates().filter(pl.col("round") == 0, agent=0)
    assert first.group_by("market_id", "replicate").agg(pl.col("probability").n_unique())["probability"].max() == 1
    paid = example().filter(configuration="independent_ensemble").select(pl.col("paid_usd") / pl.col("cost_usd"))
    assert paid.to_series().is_between(0.5, 0.8).all()  # the single agent's draw of three is paid for already


def test_the_seed_is_the_study():
    assert example(seed=3).equals(example(seed=3))
    assert example_estimates(seed=3).equals(example_estimates(seed=3))
    assert not example(seed=3).equals(example(seed=4))


def test_the_weight_of_peers_is_recovered():
    influence = coordination(example_estimates(markets=400), n=500).influence
    [found] = influence.filter(measure="peers")["estimate"]
    assert found == pytest.approx(HEARD, abs=0.03)


def test_every_measure_that_takes_the_frame_takes_it():
    assert missing_bounds(example())["missing"].max() == 1
    assert structure(example(), n=50).groups == ()
    assert early_closing(example(), resamples=50).rate_early.value == 1


@pytest.mark.parametrize(("option", "value"), [("markets", 1), ("replicates", 0), ("markets", 2.5)])
def test_a_study_of_nothing_is_refused(option, value):
    with pytest.raises(AnalysisError, match=f"{option} is {value}"):
        example(**{option: value})
