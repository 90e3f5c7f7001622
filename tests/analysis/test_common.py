"""Every measure in one table, and the properties that each must have, whatever it measures.

A new measure is a row here. `points` are the columns that hold estimates and tests without resampling: what they say may not
depend on how things are called, or on which answer is called YES.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from coordeval import analysis as a

MARKETS, N = 24, 200


@dataclass(frozen=True, slots=True)
class Measure:
    """`of` gives the table of a frame; `key` says which row is which; `points` do not come from random draws."""

    of: Callable[[pl.DataFrame], pl.DataFrame]
    key: tuple[str, ...]
    points: tuple[str, ...]
    seeded: Callable[[pl.DataFrame, int], pl.DataFrame] | None = None
    """The same with a seed, where intervals or p-values are drawn."""
    symmetric: tuple[str, ...] = ()
    """Those of `points` that stay when YES and NO change places."""
    extensive: tuple[str, ...] = ()
    """Those of `points` that grow or shrink when every market is there twice."""
    by_name: str = ""
    """Why it is not blind to how configurations are called."""


def kept(frame: pl.DataFrame) -> a.Scored:
    return a.scored(frame)


def ended(said: pl.DataFrame) -> pl.DataFrame:
    """The forecasts of a frame of estimates."""
    cells = said.sort("ask").unique(["configuration", "market_id", "replicate"], keep="first", maintain_order=True)
    failed = pl.col("forecast").is_null()
    return cells.select(
        *("configuration", "market_id", "event_id", "replicate", "outcome"),
        status=pl.when(failed).then(pl.lit("failed")).otherwise(pl.lit("answered")),
        probability="forecast",
        reason=pl.when(failed).then(pl.lit("no answer")),
    )


def talked(said: pl.DataFrame) -> pl.DataFrame:
    """The same with calls, messages and texts."""
    counts = said.group_by("configuration", "market_id", "replicate").agg(
        turns=pl.len(), messages=2 * (pl.col("round") > 0).sum(), texts=pl.col("role").sort_by("ask")
    )
    made = ended(said).join(counts, on=["configuration", "market_id", "replicate"], how="left")
    return made.rename({"probability": "forecast"})


CELLS = {
    "leaderboard": Measure(
        lambda f: a.leaderboard(f, resamples=50).table,
        ("configuration",),
        (
            "n_markets",
            "answered",
            "failed",
            "brier",
            "log_score",
            "alpha",
            "skill_market",
            "skill_base",
            "rel",
            "res",
            "unc",
            "wbv",
            "wbc",
            "mcb",
            "dsc",
            "cost_usd_per_market",
            "on_frontier",
        ),
        lambda f, seed: a.leaderboard(f, resamples=50, seed=seed).table,
        symmetric=("brier", "log_score", "alpha", "skill_market", "skill_base", "rel", "res", "unc", "mcb", "dsc"),
        extensive=("n_markets", "answered", "failed"),
    ),
    "bootstrap": Measure(
        lambda f: a.bootstrap(kept(f), n=N).table,
        ("configuration", "measure"),
        ("estimate", "n_markets"),
        lambda f, seed: a.bootstrap(kept(f), n=N, seed=seed).table,
        extensive=("n_markets", "estimate"),  # corrected components know how many markets there are
    ),
    "nulls": Measure(
        lambda f: a.nulls(kept(f), n=50).table,
        ("configuration", "measure"),
        ("n_markets",),
        lambda f, seed: a.nulls(kept(f), n=50, seed=seed).table,
        extensive=("n_markets",),
    ),
    "comparisons": Measure(
        lambda f: a.comparisons(kept(f), n=N).table,
        ("first", "second"),
        ("n_markets", "n_events", "brier_first", "brier_second", "delta", "sem", "t", "p_t", "noise_floor"),
        lambda f, seed: a.comparisons(kept(f), n=N, seed=seed).table,
        symmetric=("brier_first", "brier_second", "delta", "sem", "t", "p_t"),
        extensive=("n_markets", "n_events", "sem", "t", "p_t", "noise_floor"),
    ),
    "binning": Measure(
        lambda f: a.binning(kept(f)).table,
        ("configuration", "edges", "bins"),
        ("rel", "res", "mcb", "dsc"),
        symmetric=("mcb", "dsc"),
    ),
    "second_split": Measure(
        lambda f: a.second_split(kept(f), n=N).table,
        ("configuration", "measure"),
        ("estimate", "n_markets"),
        lambda f, seed: a.second_split(kept(f), n=N, seed=seed).table,
        symmetric=("estimate",),
        extensive=("n_markets",),
    ),
    "adjusted": Measure(
        lambda f: a.adjusted(kept(f), n=N).table,
        ("configuration",),
        ("estimate", "n_markets"),
        lambda f, seed: a.adjusted(kept(f), n=N, seed=seed).table,
        symmetric=("estimate",),
        extensive=("n_markets",),
    ),
    "tracking": Measure(
        lambda f: a.tracking(kept(f), n=N).table,
        ("configuration", "measure"),
        ("n_markets",),
        lambda f, seed: a.tracking(kept(f), n=N, seed=seed).table,
        extensive=("n_markets",),
    ),
    "compare": Measure(
        lambda f: a.compare(kept(f)),
        ("first", "second"),
        ("n_markets", "brier_first", "brier_second", "delta", "sem", "t", "p_value", "noise_floor"),
        symmetric=("brier_first", "brier_second", "delta", "sem", "t", "p_value", "noise_floor"),
        extensive=("n_markets", "sem", "t", "p_value", "noise_floor"),
    ),
    "spread": Measure(
        lambda f: a.spread(kept(f)).table,
        ("configuration",),
        ("replicates", "mean_abs_delta", "max_abs_delta"),
        symmetric=("mean_abs_delta", "max_abs_delta"),
    ),
    "frontier": Measure(
        lambda f: a.frontier(f, n=N).table,
        ("configuration",),
        ("cost", "brier", "on_frontier"),
        lambda f, seed: a.frontier(f, n=N, seed=seed).table,
        symmetric=("cost", "brier", "on_frontier"),
    ),
    "compute_matched": Measure(
        lambda f: a.compute_matched(kept(f)).table,
        ("configuration",),
        ("n_markets", "cost", "k", "brier", "matched", "premium"),
        symmetric=("cost", "k", "brier", "matched", "premium"),
        extensive=("n_markets",),
        by_name="plain sampling is what single_agent costs and says",
    ),
    "sequences": Measure(
        lambda f: a.sequences(kept(f)).table,
        ("first", "second"),
        ("n_events", "mean"),
        symmetric=("mean",),
        extensive=("n_events",),
    ),
    "missing_bounds": Measure(
        a.missing_bounds,
        ("configuration", "than"),
        ("n_markets", "cells", "missing", "estimate", "low", "high"),
        symmetric=("estimate", "low", "high"),
        extensive=("n_markets", "cells", "missing"),
    ),
}
SAID = {
    "pooling": Measure(
        lambda f: a.pooling(f, n=N).table,
        ("configuration", "stage", "pool"),
        ("n_markets", "brier", "delta"),
        lambda f, seed: a.pooling(f, n=N, seed=seed).table,
        symmetric=("brier", "delta"),
        extensive=("n_markets",),
    ),
    "coordination": Measure(
        lambda f: a.coordination(f, n=N).gain,
        ("configuration", "measure"),
        ("n_markets", "estimate"),
        lambda f, seed: a.coordination(f, n=N, seed=seed).gain,
        symmetric=("estimate",),
        extensive=("n_markets",),
        by_name="how a configuration pools is read off its elements, else off its name",
    ),
}
SAID |= {
    "diversity": Measure(
        lambda f: a.diversity(f, n=N),
        ("configuration", "round", "measure"),
        ("n_markets", "estimate"),
        lambda f, seed: a.diversity(f, n=N, seed=seed),
        symmetric=("estimate",),
        extensive=("n_markets",),
    ),
    "flips": Measure(
        lambda f: a.flips(f, n=N).table,
        ("part", "measure"),
        ("n_markets", "estimate"),
        lambda f, seed: a.flips(f, n=N, seed=seed).table,
        symmetric=("estimate",),
        extensive=("n_markets",),
        by_name="which configuration is which arm is said by name",
    ),
    "ends": Measure(
        lambda f: a.ends(f, ended(f), n=N),
        ("configuration", "measure"),
        ("n_markets", "estimate"),
        # no seed: of so few markets these are shares, whose intervals draw nothing, or have none
        symmetric=("estimate",),
        extensive=("n_markets",),
    ),
    "scaling": Measure(
        lambda f: a.scaling(talked(f), n=N),
        ("configuration", "measure"),
        ("n_markets", "estimate"),
        lambda f, seed: a.scaling(talked(f), n=N, seed=seed),
        symmetric=("estimate",),
        extensive=("n_markets",),
        by_name="one agent alone is what single_agent is",
    ),
}
ALL = [*((name, m, "cells") for name, m in CELLS.items()), *((name, m, "said") for name, m in SAID.items())]


def those(wanted: Callable[[Measure], object]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("measure", "kind"), [pytest.param(m, kind, id=name) for name, m, kind in ALL if wanted(m)]
    )


every = those(lambda m: True)


def given(kind: str) -> pl.DataFrame:
    """A made-up study whose forecasts stand on no edge of a bin, with one cell that failed."""
    frame = (a.example if kind == "cells" else a.example_estimates)(markets=MARKETS)
    return frame.with_columns((pl.col(c) * 0.98 + 0.0123).alias(c) for c in ("probability", "market_price"))


def renamed(frame: pl.DataFrame, **prefix: str) -> pl.DataFrame:
    """Other names in the same order."""
    return frame.with_columns((pl.lit(p) + pl.col(column)).alias(column) for column, p in prefix.items())


def rows(measure: Measure, table: pl.DataFrame, columns: tuple[str, ...]) -> pl.DataFrame:
    return table.select(*measure.key, *columns).sort(measure.key, nulls_last=True)


@every
def test_the_order_of_rows_does_not_matter(measure: Measure, kind: str):
    frame = given(kind)
    assert_frame_equal(measure.of(frame.sample(fraction=1, shuffle=True, seed=1)), measure.of(frame))


@every
def test_other_names_of_events_and_markets_change_nothing(measure: Measure, kind: str):
    frame = given(kind)
    other = measure.of(renamed(frame, event_id="x-", market_id="y-"))
    columns = tuple(c for c in other.columns if c not in (*measure.key, "market_id", "event_id", "reason"))
    assert_frame_equal(rows(measure, other, columns), rows(measure, measure.of(frame), columns))


@those(lambda m: not m.by_name)
def test_other_names_of_configurations_change_no_estimate(measure: Measure, kind: str):
    frame = given(kind)
    names = frame["configuration"].unique().sort().to_list()
    back = dict(zip([f"z{i}" for i in range(len(names))], names, strict=True))
    other = measure.of(frame.with_columns(pl.col("configuration").replace({old: new for new, old in back.items()})))
    keys = [key for key in measure.key if key in ("configuration", "first", "second", "than")]
    other = other.with_columns(pl.col(key).replace(back) for key in keys)
    assert_frame_equal(rows(measure, other, measure.points), rows(measure, measure.of(frame), measure.points))


@those(lambda m: m.symmetric)
def test_yes_and_no_may_change_places(measure: Measure, kind: str):
    frame = given(kind)
    columns = [c for c in ("probability", "outcome", "market_price", "forecast") if c in frame.columns]
    other = measure.of(frame.with_columns((1 - pl.col(c)).alias(c) for c in columns))
    assert_frame_equal(
        rows(measure, other, measure.symmetric), rows(measure, measure.of(frame), measure.symmetric), abs_tol=1e-12
    )


@those(lambda m: set(m.points) - set(m.extensive))
def test_every_market_twice_estimates_the_same(measure: Measure, kind: str):
    points = tuple(c for c in measure.points if c not in measure.extensive)
    frame = given(kind)
    twice = pl.concat([frame, renamed(frame, event_id="again ", market_id="again ")])
    assert_frame_equal(rows(measure, measure.of(twice), points), rows(measure, measure.of(frame), points), abs_tol=1e-12)


@every
def test_last_bits_decide_nothing(measure: Measure, kind: str):
    """Hundredths stand on edges of bins and tie; the same said as means of decimals are a bit off, in every column alike."""
    frame = (a.example if kind == "cells" else a.example_estimates)(markets=MARKETS)
    up = pl.Series(np.random.default_rng(0).random(frame.height) < 0.5)
    off = frame.with_columns(
        pl.when(pl.col(c).is_null() | ~pl.col(c).is_between(0.01, 0.99))
        .then(pl.col(c))
        .otherwise(pl.col(c) * pl.when(up).then(1 + 2.0**-52).otherwise(1 - 2.0**-52))
        .alias(c)
        for c in ("probability", "market_price")
    )
    one, other = (measure.of(f) for f in (off, frame))
    if "edges" in one.columns:  # those of floating point are there to show what last bits do
        one, other = (found.filter(pl.col("edges") != "float") for found in (one, other))
    assert_frame_equal(one, other, abs_tol=1e-7, rel_tol=1e-7)


@those(lambda m: m.seeded)
def test_the_seed_says_what_is_drawn(measure: Measure, kind: str):
    assert measure.seeded is not None
    frame = given(kind)
    one, again, other = (measure.seeded(frame, seed) for seed in (3, 3, 4))
    assert one.equals(again)
    assert not one.equals(other)


@every
def test_every_null_has_its_reason(measure: Measure, kind: str):
    table = measure.of(given(kind))
    if "reason" not in table.columns:
        assert "on_frontier" in table.columns, "only the leaderboard keeps its reasons apart, in its notes"
        return
    estimates = [c for c in ("estimate", "low", "high", "delta", "brier", "premium", "rel", "mcb") if c in table.columns]
    silent = table.filter(pl.any_horizontal(pl.col(estimates).is_null()) & pl.col("reason").is_null())
    assert silent.is_empty(), silent
