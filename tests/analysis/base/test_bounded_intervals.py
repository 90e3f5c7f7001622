"""No interval reaches where its quantity cannot be: few markets, one of which resolves YES, and one very high cost."""

from math import inf

import numpy as np
import polars as pl
import pytest

from coordeval.analysis import bootstrap, comparisons, compute_matched, frontier, scored, variance
from coordeval.analysis.base.resampling import Interval, bounded
from coordeval.analysis.quality.bootstrap import BOUNDS
from tests.analysis.reference import cell, table

N = 200


@pytest.fixture(scope="module")
def rare() -> pl.DataFrame:
    """40 markets, one YES, two replicates of three configurations; one cell in 80 costs a thousand times as much."""
    rng = np.random.default_rng(3)
    return table(
        *(
            cell(
                configuration=name,
                market_id=f"m{i:02}",
                replicate=r,
                probability=float(np.clip(rng.normal(0.03 + 0.4 * (i == 0), 0.02), 0, 1).round(2)),
                outcome=int(i == 0),
                market_price=0.05,
                cost_usd=10.0 if (i, r) == (0, 0) else 0.01,
            )
            for name in ("a", "b", "single_agent")
            for i in range(40)
            for r in range(2)
        )
    )


TABLES = {
    "bootstrap": (
        lambda f: bootstrap(scored(f), n=N).table,
        {measure: ("low", "high", *ends) for measure, ends in BOUNDS.items()},
    ),
    "comparisons": (lambda f: comparisons(scored(f), n=N).table, {None: ("low", "high", -1, 1)}),
    "cost": (lambda f: frontier(f, n=N).table, {None: ("cost_low", "cost_high", 0, inf)}),
    "Brier on the frontier": (lambda f: frontier(f, n=N).table, {None: ("brier_low", "brier_high", 0, 1)}),
    "premium": (lambda f: compute_matched(scored(f), n=N).table, {None: ("low", "high", -1, 1)}),
    "plain sampling": (lambda f: compute_matched(scored(f), n=N).curve, {None: ("low", "high", 0, 1)}),
    "variance components": (lambda f: variance(scored(f), n=N).components, {None: ("low", "high", 0, inf)}),
}


@pytest.mark.parametrize("name", TABLES)
def test_intervals_stay_where_their_quantity_can_be(rare: pl.DataFrame, name: str):
    of, expected = TABLES[name]
    found = of(rare)
    for measure, (low, high, least, most) in expected.items():
        mine = found if measure is None else found.filter(measure=measure)
        known = mine.drop_nulls(low)
        assert known.filter((pl.col(low) < least) | (pl.col(high) > most)).is_empty(), known
        assert mine.filter(pl.col(low).is_null() & pl.col("reason").is_null()).is_empty()


def test_the_hypervolume_is_an_area(rare: pl.DataFrame):
    found = frontier(rare, n=N)
    assert found.hypervolume_low is not None
    assert 0 <= found.hypervolume_low <= found.hypervolume <= found.hypervolume_high


@pytest.mark.parametrize(
    ("ends", "estimate", "bounds", "expected"),
    [
        pytest.param((-0.1, 0.2), 0.05, (0, 1), (0, 0.2), id="the part that can be"),
        pytest.param((0.9, 1.2), 0.95, (0, 1), (0.9, 1), id="on the other side"),
        pytest.param((-0.1, -0.05), -0.07, (0, 1), (None, None), id="an estimate that its own bias put below 0"),
        pytest.param((0.1, 0.2), 0.3, (0, 1), (0.1, 0.3), id="the estimate is held"),
        pytest.param((0.1, 0.2), 0.15, (-inf, inf), (0.1, 0.2), id="no bound"),
    ],
)
def test_what_lies_beyond_the_bounds_is_cut(ends, estimate, bounds, expected):
    found = bounded(Interval(low=ends[0], high=ends[1], sd=0.1, reason=None), estimate, bounds)
    assert (found.low, found.high) == expected
    assert (found.reason is None) == (found.low is not None)
