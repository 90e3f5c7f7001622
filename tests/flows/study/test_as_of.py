"""One rule for as-of serves a sample and a study, and says what it needs."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordeval.flows.study.as_of import (
    FractionOfLife,
    HoursBeforeClose,
    HoursBeforeResolution,
    moment,
    plain,
    restored,
    rule_of,
)
from coordeval.market_data.errors import CoordevalError

OPENED, CLOSE, RESOLVED = (datetime(2026, 1, day, tzinfo=UTC) for day in (1, 11, 9))
PROPOSED = datetime(2026, 1, 7, tzinfo=UTC)
DATE = datetime(2026, 1, 5, 12, tzinfo=UTC)
TIMES = {"opened_at": OPENED, "scheduled_close": CLOSE, "resolved_at": RESOLVED, "reference_time": PROPOSED}
RULES = [
    # (as a command line gives it, the rule, the moment)
    ("hours_before_close=24", HoursBeforeClose(hours_before_close=24), CLOSE - timedelta(days=1)),
    ("{ hours_before_close = 0.5 }", HoursBeforeClose(hours_before_close=0.5), CLOSE - timedelta(minutes=30)),
    ("fraction_of_life = 0.25", FractionOfLife(fraction_of_life=0.25), OPENED + timedelta(days=2.5)),
    ("hours_before_resolution=24", HoursBeforeResolution(hours_before_resolution=24), RESOLVED - timedelta(days=1)),
    ("source", "source", PROPOSED),
    ("2026-01-05T12:00", DATE, DATE),
    ("2026-01-05T14:00+02:00", DATE, DATE),
]


@pytest.mark.parametrize(("text", "rule", "at"), RULES, ids=[row[0] for row in RULES])
def test_a_rule_is_read_and_gives_a_moment(text, rule, at):
    assert rule_of(text) == rule
    assert moment(rule, **TIMES) == (at, "")
    assert restored(plain(rule)) == rule, "a sample file gives it back"


LACKING = [
    ("hours_before_close=24", "scheduled_close", "scheduled close"),
    ("fraction_of_life=0.5", "scheduled_close", "scheduled close"),
    ("fraction_of_life=0.5", "opened_at", "opening time"),
    ("hours_before_resolution=24", "resolved_at", "resolution time"),
    ("source", "reference_time", "as-of time of its source's own"),
]


@pytest.mark.parametrize(("text", "absent", "what"), LACKING)
def test_what_a_rule_needs_and_a_market_lacks_is_named(text, absent, what):
    assert moment(rule_of(text), **(TIMES | {absent: None})) == (None, what)


def test_hours_beyond_the_calendar_are_no_moment():
    at, what = moment(HoursBeforeClose(hours_before_close=1e9), **TIMES)
    assert at is None
    assert "calendar" in what


BAD = {
    "hours_before_cloze=1": "no rule 'hours_before_cloze'",
    "fraction_of_life=1": "less than 1",
    "hours_before_close=-1": "greater than 0",
    "hours_before_close=1e999": "finite",
    "hours_before_close=": "no rule",
    "tomorrow": "no rule",
    "": "no rule",
}


@pytest.mark.parametrize(("text", "why"), BAD.items(), ids=list(BAD))
def test_what_is_no_rule_is_refused_with_the_ways_there_are(text, why):
    with pytest.raises(CoordevalError, match=r"fraction_of_life=0\.5") as error:
        rule_of(text)
    assert why in str(error.value)


@given(st.floats(0.001, 0.999), st.timedeltas(timedelta(hours=1), timedelta(days=400)))
def test_a_fraction_of_life_lies_between_opening_and_close(fraction, life):
    rule = FractionOfLife(fraction_of_life=fraction)
    at, _ = moment(rule, **(TIMES | {"scheduled_close": OPENED + life}))
    assert at is not None
    assert OPENED <= at <= OPENED + life
