"""Arms of a study of games held against each other: paired by instance, and equal to what can be worked out by hand."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.games import compared


def frame(values: dict[str, np.ndarray]) -> pl.DataFrame:
    """`values`: arm -> (instances, replicates)."""
    rows = [
        (arm, f"i{i}", r, float(value))
        for arm, own in values.items()
        for i, row in enumerate(own)
        for r, value in enumerate(row)
        if not np.isnan(value)
    ]
    return pl.DataFrame(rows, schema=["arm", "instance_id", "replicate", "efficiency"], orient="row")


@pytest.fixture(scope="module")
def made() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    base = rng.uniform(0.3, 0.7, (30, 1))
    noise = lambda: rng.normal(0, 0.05, (30, 2))  # noqa: E731
    return {"talk": base + noise(), "record": base + 0.1 + noise(), "same": base + noise()}


def test_a_difference_is_the_mean_over_instances_of_replicates_means(made):
    found = compared(frame(made), "efficiency", baseline="talk", n=2000)
    rows = {row["arm"]: row for row in found.differences.to_dicts()}
    for arm in ("record", "same"):
        d = made[arm].mean(axis=1) - made["talk"].mean(axis=1)
        assert rows[arm]["delta"] == pytest.approx(d.mean())
        # an independent method: the paired t interval and test
        low, high = stats.t.interval(0.95, 29, d.mean(), stats.sem(d))
        assert (rows[arm]["low"], rows[arm]["high"]) == pytest.approx((low, high), abs=0.01)
        assert rows[arm]["p_value"] == pytest.approx(stats.ttest_1samp(d, 0).pvalue, abs=0.03)
    assert rows["record"]["probability"] > 0.99
    assert rows["record"]["p_holm"] == pytest.approx(min(1, 2 * rows["record"]["p_value"]))
    assert rows["record"]["ratio"] > 3 > rows["same"]["ratio"]


def test_the_noise_floor_is_that_of_two_runs(made):
    found = compared(frame(made), "efficiency", baseline="talk", n=200)
    assert found.noise_floor == pytest.approx(2 * np.sqrt(0.05**2 / (np.pi * 30)), rel=0.25)
    once = compared(frame({arm: own[:, :1] for arm, own in made.items()}), "efficiency", baseline="talk", n=200)
    assert once.noise_floor is None
    assert all("noise floor" in why for why in once.differences["reason"])


def test_only_instances_that_both_played_are_compared(made):
    holes = made["record"].copy()
    holes[:10] = np.nan
    row = compared(frame(made | {"record": holes}), "efficiency", baseline="talk", n=200).differences.row(0, named=True)
    assert row["instances"] == 20
    assert row["delta"] == pytest.approx((made["record"] - made["talk"])[10:].mean())


def test_rows_in_another_order_change_nothing_and_the_same_seed_gives_the_same(made):
    own = frame(made)
    one, other = (compared(rows, "efficiency", baseline="talk", n=300) for rows in (own, own.sort("efficiency")))
    for table in ("means", "differences"):
        first, second = (getattr(found, table) for found in (one, other))
        assert first.select(pl.col(pl.Float64).round(12)).equals(second.select(pl.col(pl.Float64).round(12)))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"baseline": "tlak"}, "baseline is 'tlak'"),
        ({"measure": "recovery"}, "no column recovery"),
    ],
)
def test_what_cannot_be_compared_is_told(made, change, told):
    given = {"measure": "efficiency", "baseline": "talk"} | change
    with pytest.raises(AnalysisError, match=told):
        compared(frame(made), n=200, **given)
