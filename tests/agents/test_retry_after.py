"""Whatever a server writes into `retry-after`, the time to wait is read or nothing is."""

from datetime import UTC, datetime

import pytest

from coordeval.agents.retry_after import retry_after

NOW = datetime(2026, 11, 15, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds", "why"),
    [
        ({}, None, "nothing was said"),
        ({"retry-after": "40"}, 40, "seconds"),
        ({"retry-after": "3600"}, 3600, "an hour"),
        ({"retry-after": " 7 "}, 7, "blanks around it"),
        ({"retry-after": "0.5"}, 0.5, "a fraction, which some servers send"),
        ({"retry-after": "0"}, 0, "at once"),
        ({"retry-after": "999999999999999999"}, 1e18, "longer than anybody waits, but a number"),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5, "the finer header goes first"),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9, "and is left where it says nothing"),
        ({"retry-after": "Sun, 15 Nov 2026 12:01:00 GMT"}, 60, "a date"),
        ({"retry-after": "Sun, 15 Nov 2026 13:01:00 +0100"}, 60, "a date with an offset"),
        ({"retry-after": "Sun, 15 Nov 2026 12:01:00"}, 60, "a date without one is UTC"),
        ({"retry-after": "Sun, 15 Nov 2026 11:00:00 GMT"}, 0, "a date that has passed"),
        ({"retry-after": "²"}, None, "a digit that int() refuses"),
        ({"retry-after": "٣"}, None, "a digit of another script"),
        ({"retry-after": "-5"}, None, "negative"),
        ({"retry-after": "nan"}, None, "no number"),
        ({"retry-after": "inf"}, None, "no number of seconds"),
        ({"retry-after": "1e3"}, None, "not how it is written"),
        ({"retry-after": "9" * 400}, None, "no number that anybody can mean"),
        ({"retry-after": "tomorrow"}, None, "words"),
        ({"retry-after": "Sun, 99 Nov 2026 12:01:00 GMT"}, None, "a day that there is not"),
    ],
)
def test_the_time_to_wait(headers, seconds, why):
    assert retry_after(headers, NOW) == seconds, why
