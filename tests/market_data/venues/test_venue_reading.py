"""Units: each reader takes one and refuses the others, because a wrong one gives a plausible number."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from coordeval.market_data.polymarket.fields import SchemaChange
from coordeval.market_data.venues.reading import Reader


def reader(**row):
    return Reader(row, "market X")


@pytest.mark.parametrize(
    ("row", "value"),
    [
        pytest.param({"close_dollars": "0.5600"}, "0.56", id="dollars as text"),
        pytest.param({"close_dollars": "0.5600", "close": 56}, "0.56", id="both: the newer field counts"),
        pytest.param({"close": 56}, "0.56", id="older payload: cents"),
        pytest.param({"close": 1}, "0.01", id="1 is a cent, not a dollar"),
        pytest.param({"close": 100}, "1", id="100 cents are a dollar"),
        pytest.param({"close": "0.5600"}, "0.56", id="archive: text under the short name is dollars"),
        pytest.param({"close": "1.0000"}, "1", id="archive: one dollar"),
        pytest.param({"close_dollars": None, "close": 3}, "0.03", id="null leaves it to the older field"),
    ],
)
def test_dollars_and_cents_are_told_apart_by_name_and_type(row, value):
    assert reader(**row).dollars("close") == Decimal(value)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param({"close_dollars": 56}, id="a number under _dollars: cents that were renamed"),
        pytest.param({"close_dollars": "56"}, id="56 dollars for a contract that pays one: cents as text"),
        pytest.param({"close": "56"}, id="the same under the short name"),
        pytest.param({"close": 0.56}, id="a fraction is neither cents nor text"),
        pytest.param({"close": 101}, id="more than a dollar"),
        pytest.param({"close": True}, id="true is not a cent"),
        pytest.param({"close_dollars": "NaN"}, id="not a number"),
        pytest.param({"close_dollars": "-0.01"}, id="below nothing"),
        pytest.param({"close_dollars": "x"}, id="not a decimal"),
    ],
)
def test_what_may_be_another_unit_is_refused(row):
    with pytest.raises(SchemaChange, match="market X: field 'close"):
        reader(**row).dollars("close")


def test_no_price_is_none():
    assert reader(close_dollars=None).dollars("close") is None


def test_milliseconds_are_not_seconds():
    assert reader(t=1653850472294).milliseconds("t") == datetime(2022, 5, 29, 18, 54, 32, 294000, tzinfo=UTC)
    assert reader(t=1653850472).seconds("t") == datetime(2022, 5, 29, 18, 54, 32, tzinfo=UTC)
    with pytest.raises(SchemaChange, match="milliseconds since 1970"):  # read as milliseconds it would be January 1970
        reader(t=1653850472).milliseconds("t")
    with pytest.raises(SchemaChange, match="seconds since 1970"):  # read as seconds it would be the year 54377
        reader(t=1653850472294).seconds("t")


def test_a_close_time_beyond_the_calendar_is_no_time():
    assert reader(t=10**17).milliseconds("t") is None


@pytest.mark.parametrize("value", ["2026-02-20T19:00:00", "1653850472", 1653850472, "tomorrow", True])
def test_a_time_without_zone_or_in_digits_is_no_iso_time(value):
    with pytest.raises(SchemaChange, match="ISO 8601"):
        reader(t=value).iso("t")


@pytest.mark.parametrize("value", [1.01, -0.01, float("nan"), "0.5", True, None])
def test_a_probability_is_a_number_between_0_and_1(value):
    with pytest.raises(SchemaChange):
        reader(p=value).probability("p")
