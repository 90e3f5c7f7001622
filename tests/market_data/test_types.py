"""Markets, prices, documents and outcomes: what they refuse, and which of their fields an agent may be shown."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone

import pytest

from coordeval.market_data.errors import DataError
from coordeval.market_data.types import Document, Market, Outcome, PricePoint

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
NAIVE = datetime(2025, 3, 1, 12)  # noqa: DTZ001


def a_market(**changes):
    return Market(**{"id": "m1", "source": "test", "event_id": "e1", "simulated": True, "question": "Will it?"} | changes)


def a_price(**changes):
    return PricePoint(**{"market_id": "m1", "knowable_at": NOON, "price": 0.5, "kind": "mid"} | changes)


def a_document(**changes):
    given = {"market_id": "m1", "knowable_at": NOON, "title": "News", "text": "It rained.", "source": "wire"}
    return Document(**given | changes)


def an_outcome(**changes):
    return Outcome(**{"market_id": "m1", "status": "resolved", "value": 1, "resolved_at": NOON} | changes)


def test_every_market_field_says_whether_it_was_known_at_opening():
    assert {f.name: f.metadata.get("known") for f in fields(Market)} == {
        "id": "internal",
        "source": "internal",
        "event_id": "internal",
        "simulated": "internal",
        "reference_time": "internal",
        "url": "internal",
        "text_known_at": "internal",
        "question": "at opening",
        "description": "at opening",
        "category": "at opening",
        "opened_at": "at opening",
        "scheduled_close": "at opening",
    }


def test_the_whitelist_holds_the_scheduled_close_and_no_other_time_after_opening():
    market = a_market(opened_at=NOON, scheduled_close=NOON + timedelta(9), reference_time=NOON + timedelta(5), url="u")
    assert market.known_at_opening() == {
        "question": "Will it?",
        "description": "",
        "category": "",
        "opened_at": NOON,
        "scheduled_close": NOON + timedelta(9),
    }


@pytest.mark.parametrize("kind", [Market, PricePoint, Document])
def test_nothing_that_describes_a_market_has_a_place_for_its_outcome(kind):
    names = {f.name for f in fields(kind)}
    assert not names & {"outcome", "value", "status", "resolved_at", "resolution", "winner"}


@pytest.mark.parametrize(
    ("make", "told"),
    [
        pytest.param(lambda: a_market(id=" "), "id is empty", id="an id of blanks names nothing"),
        pytest.param(lambda: a_market(question=""), "market m1: question is empty", id="nothing to forecast"),
        pytest.param(lambda: a_market(event_id=""), "event_id is empty", id="statistics could not cluster it"),
        pytest.param(lambda: a_market(opened_at=NAIVE), "opened_at: the time .* no time zone", id="naive opening"),
        pytest.param(lambda: a_market(scheduled_close=NAIVE), "scheduled_close", id="naive close"),
        pytest.param(lambda: a_market(reference_time=NAIVE), "reference_time", id="naive reference"),
        pytest.param(lambda: a_price(price=63.0), r"63\.0 .* outside \[0, 1\]", id="cents taken for dollars"),
        pytest.param(lambda: a_price(price=-0.01), "outside", id="a negative price"),
        pytest.param(lambda: a_price(price=float("nan")), "outside", id="not a number is not a price"),
        pytest.param(lambda: a_price(knowable_at=NAIVE), "market m1, price", id="naive price time"),
        pytest.param(lambda: a_document(knowable_at=NAIVE), "document 'News'", id="naive document time"),
        pytest.param(lambda: an_outcome(value=None), "must be 0 or 1", id="resolved without a value"),
        pytest.param(lambda: an_outcome(value=0.5), "must be 0 or 1", id="a price is not an outcome"),
        pytest.param(lambda: an_outcome(status="voided"), "needs a reason and no value", id="void with a value"),
        pytest.param(lambda: an_outcome(status="voided", value=None), "needs a reason", id="void without a reason"),
        pytest.param(lambda: an_outcome(resolved_at=NAIVE), "resolved_at", id="naive resolution"),
    ],
)
def test_broken_data_are_refused_by_name(make, told):
    with pytest.raises(DataError, match=told):
        make()


def test_times_are_kept_in_utc():
    elsewhere = datetime(2025, 3, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    assert a_market(opened_at=elsewhere).opened_at == NOON
    for item in (a_price(knowable_at=elsewhere), a_document(knowable_at=elsewhere)):
        assert item.knowable_at.tzinfo is UTC
        assert item.knowable_at == NOON


def test_an_outcome_that_cannot_be_scored_keeps_its_reason():
    assert an_outcome(status="voided", value=None, reason="called off").reason == "called off"


def test_a_document_is_its_content():
    assert a_document().id == a_document().id
    changed = [a_document(**{name: "x"}) for name in ("market_id", "title", "text", "source")]
    changed += [a_document(knowable_at=None), a_document(knowable_at=NOON + timedelta(seconds=1))]
    assert len({a_document().id, *(d.id for d in changed)}) == 7


def test_a_document_has_one_id_in_every_time_zone():
    elsewhere = datetime(2025, 3, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    assert a_document(knowable_at=elsewhere).id == a_document().id
