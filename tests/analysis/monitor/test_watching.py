"""What the monitor says of a study: what changed since when, what no single agent showed, what is over, what is silent."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.monitor import BY_NAME, RECORD, SIGNALS, label, monitor, says, values
from coordeval.analysis.monitor.watching import PER_FALSE_ALARM
from coordeval.analysis.selftest.years import CHANGED_ON, CONFIGURATIONS, Planted, year

PLANTED = [Planted("alpha", BY_NAME["path"]), Planted("beta", BY_NAME["empty_results"])]
DAYS = 150


@pytest.fixture(scope="module")
def record() -> pl.DataFrame:
    """Five configurations, 150 days: from day 120 alpha's paths are longer and beta's tools return nothing more often."""
    return year(np.random.default_rng(3), PLANTED, days=DAYS)


@pytest.fixture(scope="module")
def found(record):
    return monitor(record)


def test_what_changed_is_told_with_since_when_and_what_did_not_is_not(found):
    alarms = {(alarm.configuration, alarm.signal): alarm for alarm in found.alarms}
    assert set(alarms) == {("alpha", "path"), ("beta", "empty_results")}
    for alarm in alarms.values():
        assert abs(alarm.since - CHANGED_ON) <= 1
        assert CHANGED_ON + 3 <= alarm.raised <= CHANGED_ON + 12
        assert (alarm.state, alarm.latest) == ("open", DAYS - 1)
        assert alarm.evidence >= alarm.needed == PER_FALSE_ALARM * len(SIGNALS) * len(CONFIGURATIONS)
    assert alarms["alpha", "path"].after / alarms["alpha", "path"].before == pytest.approx(1.2, abs=0.03)


def test_it_says_what_no_single_agent_showed(found):
    path, empty = sorted(found.alarms, key=lambda alarm: alarm.signal, reverse=True)
    assert (path.kind, path.alone) == ("joint", True)
    assert (empty.kind, empty.alone) == ("leaf", None)
    assert says(path, "day") == (
        f"alpha: path length went from {path.before:.2f} to {path.after:.2f} asks "
        f"(+{path.after / path.before - 1:.0%}) since 1970-05-01. No signal of a "
        "single agent's output showed it"
    )
    assert "No signal" not in says(replace(path, alone=False), "day")


def test_a_joint_alarm_beside_one_of_an_agent_is_not_called_alone(record):
    late = (pl.col("period") >= CHANGED_ON) & (pl.col("configuration") == "alpha")
    both = record.with_columns(empty_results=pl.when(late).then(pl.col("tool_calls")).otherwise(pl.col("empty_results")))
    [path] = [alarm for alarm in monitor(both).alarms if alarm.signal == "path"]
    assert path.alone is False


def test_the_rows_behind_an_alarm_are_the_forecasts_that_went_furthest(found, record):
    [path] = [alarm for alarm in found.alarms if alarm.signal == "path"]
    rows = record.filter(pl.col("forecast_id").is_in(list(path.forecasts)))
    assert rows["configuration"].unique().to_list() == ["alpha"]
    assert rows["period"].is_between(path.since, path.raised).all()
    window = record.filter(pl.col("period").is_between(path.since, path.raised), configuration="alpha")
    assert rows["asks"].min() >= window["asks"].sort(descending=True)[len(path.forecasts) - 1]


def test_the_order_of_rows_and_the_names_of_others_change_nothing(record, found):
    shuffled = monitor(record.sample(fraction=1.0, shuffle=True, seed=1))
    assert shuffled.streams.equals(found.streams)
    assert [a.raised for a in shuffled.alarms] == [a.raised for a in found.alarms]


def test_an_alarm_whose_signal_comes_back_is_over_and_the_watch_begins_anew(record):
    early = record.filter(pl.col("configuration") == "alpha")
    back = early.filter(pl.col("period") < 110).with_columns(pl.col("period", "outcome_period") + DAYS)
    streams = monitor(pl.concat([early, back]))
    [path] = [alarm for alarm in streams.alarms if alarm.signal == "path"]
    assert path.state == "over"
    assert abs(path.latest - (DAYS - 1)) <= 4
    row = streams.streams.row(by_predicate=pl.col("signal") == "path", named=True)
    assert (row["state"], row["reason"]) == ("quiet", None)
    assert "it was back after" in says(path, "day")


def test_an_acknowledged_alarm_makes_what_is_now_the_baseline(record, found):
    [path] = [alarm for alarm in found.alarms if alarm.signal == "path"]
    again = monitor(record, ended={("alpha", "path"): [(path.since, path.raised)]})
    [known] = [alarm for alarm in again.alarms if alarm.signal == "path"]
    assert (known.state, known.latest) == ("acknowledged", path.raised)
    row = again.streams.row(by_predicate=(pl.col("signal") == "path") & (pl.col("configuration") == "alpha"), named=True)
    assert row["state"] is None
    assert "since the last alarm" in row["reason"]
    [other] = [alarm for alarm in again.alarms if alarm.signal == "empty_results"]
    assert other.state == "open"


def test_a_window_of_dates_is_the_baseline(record):
    late = monitor(record, baseline=(CHANGED_ON, DAYS - 5))
    assert late.alarms == ()
    assert set(late.streams["periods"]) == {DAYS - CHANGED_ON}
    same = monitor(record, baseline=(0, 27))
    assert [(a.signal, a.raised) for a in same.alarms] == [(a.signal, a.raised) for a in monitor(record).alarms]


def test_what_is_not_watched_says_why(record):
    short = monitor(record.filter(pl.col("period") < 20)).streams
    assert short["state"].null_count() == short.height
    assert set(short["reason"]) == {"20 periods so far, and the baseline takes 28 before the first that is judged"}
    lone = record.with_columns(spread=None, brier=None, micro_usd=None).filter(configuration="alpha")
    reasons = {r["signal"]: r["reason"] for r in monitor(lone).streams.to_dicts() if r["state"] is None}
    assert reasons == {
        "spread": "no two agents give an estimate in one round",
        "brier": "no outcome has arrived",
        "cost": "a price is not known",
    }


def test_every_row_has_a_state_or_a_reason(found):
    assert (found.streams["state"].is_null() == found.streams["reason"].is_not_null()).all()
    assert found.streams.height == len(SIGNALS) * len(CONFIGURATIONS)


def test_nothing_is_watched_in_an_empty_record():
    nothing = monitor(pl.DataFrame(schema=RECORD))
    assert (nothing.streams.height, nothing.alarms) == (0, ())


@pytest.mark.parametrize(
    ("rows", "signal", "value"),
    [
        pytest.param([{"empty_results": 1, "tool_calls": 1}, {"empty_results": 0, "tool_calls": 9}], "empty_results", 0.1,
                     id="a share is of all calls, not the mean of shares"),
        pytest.param([{"moved": -0.1, "apart": 0.2}, {"moved": 0.2, "apart": 0.0}], "influence", -0.5,
                     id="who has no way to go has not gone any"),
        pytest.param([{"ms": 0.0}, {"ms": np.e**2 - 1}], "seconds", 1.0, id="latencies by their logarithm"),
        pytest.param([{"brier": None}, {"brier": 0.04}], "brier", 0.04, id="no outcome is no score"),
    ],
)  # fmt: skip
def test_the_value_of_a_period(rows, signal, value):
    frame = pl.DataFrame([{"configuration": "c", "period": 0, "outcome_period": 0, **row} for row in rows], schema=RECORD)
    assert values(frame, BY_NAME[signal])["value"].to_list() == pytest.approx([value])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"by": "hour"}, "'hour'"),
        ({"baseline": 3}, "baseline is 3"),
        ({"baseline": (10, 12)}, "the baseline 1970-01-11 to 1970-01-13 holds fewer than 8 periods"),
    ],
)
def test_what_cannot_be_watched_is_refused(record, options, words):
    with pytest.raises(AnalysisError, match=words):
        monitor(record, **options)


def test_a_record_without_a_column_is_refused(record):
    with pytest.raises(AnalysisError, match="the record lacks asks"):
        monitor(record.drop("asks"))


def test_periods_have_names():
    assert (label("day", 20_000), label("block", 11)) == ("2024-10-04", "block 12")
