"""The plan of a study of games against draws whose truth is known; and what public functions of games refuse."""

import numpy as np
import polars as pl
import pytest

from coordeval.analysis import AnalysisError
from coordeval.analysis.games import compared, plan, telemetry

FRAME = pl.DataFrame(
    [(arm, str(i), r, 0.5 + 0.1 * (arm == "b") + i / 100) for arm in "ab" for i in range(4) for r in range(2)],
    schema=["arm", "instance_id", "replicate", "efficiency"],
    orient="row",
)


def world(instances: int, delta: float, seed: int, *, between=0.08, within=0.1, replicates=2) -> pl.DataFrame:
    """Two arms: true differences vary by `between` around `delta`, games by `within`."""
    rng = np.random.default_rng(seed)
    own = rng.normal(delta, between, instances)
    rows = [
        (arm, str(i), r, 0.5 + (own[i] if arm == "b" else 0.0) + rng.normal(0, within))
        for arm in "ab"
        for i in range(instances)
        for r in range(replicates)
    ]
    return pl.DataFrame(rows, schema=FRAME.schema, orient="row")


def test_spreads_between_instances_and_within_them_are_told_apart():
    found = plan(world(2000, 0.05, 1), "efficiency", baseline="a").spreads.row(0, named=True)
    assert found["between"] == pytest.approx(0.08, abs=0.01)
    assert found["within"] == pytest.approx(0.1 * 2**0.5, abs=0.01)


def test_the_planned_number_of_instances_shows_the_difference_as_often_as_was_asked():
    made = plan(world(2000, 0.05, 1), "efficiency", baseline="a", difference=0.05, replicates=(2,), power=0.8)
    n = made.needed["instances"].item()
    shown = 0
    for seed in range(100):
        frame = world(n, 0.05, 100 + seed)
        each = frame.group_by("arm", "instance_id").agg(pl.col("efficiency").mean()).sort("arm", "instance_id")
        a, b = (each.filter(arm=arm)["efficiency"].to_numpy() for arm in "ab")
        d = b - a
        shown += abs(d.mean()) > 1.96 * d.std(ddof=1) / n**0.5
    assert 66 <= shown <= 92  # of 100: three and a half standard deviations around 80


def test_more_replicates_and_larger_differences_need_fewer_instances_and_what_was_played_once_is_said():
    made = plan(world(50, 0.05, 2), "efficiency", baseline="a", replicates=(1, 2, 4))
    assert made.needed["instances"].to_list() == sorted(made.needed["instances"].to_list(), reverse=True)
    wide = plan(world(50, 0.05, 2), "efficiency", baseline="a", replicates=(1, 2, 4), difference=0.2)
    assert (wide.needed["instances"] <= made.needed["instances"]).all()
    once = plan(FRAME.filter(pl.col("replicate") == 0), "efficiency", baseline="a").spreads.row(0, named=True)
    assert "played once" in once["reason"]
    assert once["within"] == 0


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: plan(FRAME, "efficiency", baseline="z"), "baseline is 'z'"),
        (lambda: plan(FRAME, "effort", baseline="a"), "no column effort"),
        (lambda: plan(FRAME, "efficiency", baseline="a", difference=0.0), "difference is 0.0"),
        (lambda: plan(FRAME, "efficiency", baseline="a", power=1.0), "power is 1.0"),
        (lambda: plan(FRAME, "efficiency", baseline="a", alpha=2.0), "alpha is 2.0"),
        (lambda: plan(FRAME, "efficiency", baseline="a", instances=()), "instances is ()"),
        (lambda: plan(FRAME, "efficiency", baseline="a", replicates=(0,)), "replicates is (0,)"),
        (lambda: plan(FRAME, "efficiency", baseline="a", arms=("z",)), "no arm is there"),
        (lambda: plan(FRAME.head(4), "efficiency", baseline="a"), "no arm is there"),
        (lambda: plan(FRAME.filter(pl.col("instance_id") < "2"), "efficiency", baseline="a"), "on 2 instances"),
        (lambda: plan("frame.csv", "efficiency", baseline="a"), "frame is 'frame.csv'"),
        (lambda: plan(FRAME, "efficiency", baseline="a", power="0.8"), "power is '0.8'"),
        (lambda: compared(FRAME, "efficiency", baseline="z"), "baseline is 'z'"),
        (lambda: compared(FRAME, "effort", baseline="a"), "no column effort"),
        (lambda: compared({}, "efficiency", baseline="a"), "frame is {}"),
        (lambda: compared(FRAME, "efficiency", baseline="a", n="many"), "n is 'many'"),
        (lambda: compared(FRAME, "efficiency", baseline="a", seed=-1), "seed is -1"),
        (lambda: compared(FRAME, "efficiency", baseline="a", alpha=None), "alpha is None"),
        (lambda: telemetry(None, {}), "calls is None"),
        (lambda: telemetry(FRAME, {}), "calls has no column forecast_id"),
    ],
)
def test_an_argument_that_cannot_be_meant_is_named(call, says):
    with pytest.raises(AnalysisError) as error:
        call()
    assert says in str(error.value)
