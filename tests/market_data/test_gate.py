"""The as-of gate: what passes, what is refused with which reason, and what makes one view differ from another."""

from datetime import UTC, datetime, timedelta

import pytest

from coordeval.market_data.errors import DataError
from coordeval.market_data.gate import Gate, MarketView, Refusal
from coordeval.market_data.types import Document, Market, PricePoint

AS_OF = datetime(2025, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MARKET = Market(id="m1", source="test", event_id="e1", simulated=True, question="Will it?", opened_at=AS_OF - timedelta(9))


def price(offset, value=0.5, market="m1"):
    at = None if offset is None else AS_OF + offset
    return PricePoint(market_id=market, knowable_at=at, price=value, kind="mid")


def document(offset, text="It rained.", market="m1"):
    at = None if offset is None else AS_OF + offset
    return Document(market_id=market, knowable_at=at, title="News", text=text, source="wire")


def view(prices=(), documents=(), market=MARKET, as_of=AS_OF):
    return MarketView(market, as_of, prices, documents)


@pytest.mark.parametrize("make", [price, document])
@pytest.mark.parametrize(
    ("offset", "reason"),
    [
        pytest.param(-SECOND, None, id="earlier"),
        pytest.param(0 * SECOND, None, id="at as-of itself"),
        pytest.param(SECOND, "later than as-of", id="one second late"),
        pytest.param(None, "undated", id="nobody knows when"),
    ],
)
def test_an_item_passes_only_if_it_was_knowable_by_then(make, offset, reason):
    gate, item = Gate(AS_OF), make(offset)
    assert gate.admit("item", [item]) == ([] if reason else [item])
    assert [r.reason for r in gate.refusals] == ([reason] if reason else [])


def test_refusals_name_the_item_and_nothing_that_it_says():
    late = document(SECOND, text="The answer is YES.")
    seen = view([price(SECOND, 0.987)], [late])
    assert seen.refusals == (
        Refusal("price", f"m1 at {AS_OF + SECOND}", "later than as-of"),
        Refusal("document", late.id, "later than as-of"),
    )
    assert "0.987" not in str(seen.refusals)
    assert "YES" not in str(vars(seen))


def test_prices_come_oldest_first_and_the_last_one_counts():
    seen = view([price(-SECOND, 0.3), price(-3 * SECOND, 0.1), price(SECOND, 0.9), price(-2 * SECOND, 0.2)])
    assert [p.price for p in seen.prices] == [0.1, 0.2, 0.3]
    assert seen.price.price == 0.3


def test_without_a_price_there_is_none_and_not_a_half():
    assert view([price(SECOND)]).price is None


def test_a_market_cannot_be_looked_at_before_it_opened():
    with pytest.raises(DataError, match=r"market m1: the as-of time .* before the market opened .* choose a later one"):
        view(as_of=MARKET.opened_at - SECOND)


def test_an_as_of_time_needs_a_time_zone():
    with pytest.raises(DataError, match="market m1, as-of time"):
        view(as_of=AS_OF.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("items", "kind"),
    [
        pytest.param({"prices": [price(-SECOND, market="m2")]}, "price", id="another market's price"),
        pytest.param({"documents": [document(-SECOND, market="m2")]}, "document", id="another market's document"),
        pytest.param(
            {"documents": [document(SECOND, market="m2")]}, "document", id="also where it would be refused as late"
        ),
    ],
)
def test_a_view_takes_nothing_that_belongs_to_another_market(items, kind):
    with pytest.raises(DataError, match=rf"market m1: a {kind} of market m2"):
        view(**items)


BASE = {"prices": [price(-SECOND), price(-2 * SECOND)], "documents": [document(-SECOND), document(-SECOND, "It snowed.")]}


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param({"prices": BASE["prices"][::-1]}, True, id="the order of prices is the source's whim"),
        pytest.param({"documents": BASE["documents"][::-1]}, True, id="the order of documents too, also at one moment"),
        pytest.param({"prices": [*BASE["prices"], price(SECOND)]}, True, id="a late price is not seen"),
        pytest.param({"documents": [*BASE["documents"], document(None)]}, True, id="an undated document is not seen"),
        pytest.param({"prices": BASE["prices"][:1]}, False, id="one price fewer"),
        pytest.param({"documents": BASE["documents"][:1]}, False, id="one document fewer"),
        pytest.param({"as_of": AS_OF + timedelta(microseconds=1)}, False, id="another moment"),
    ],
)
def test_the_fingerprint_is_of_what_can_be_learnt(change, same):
    assert (view(**BASE | change).fingerprint == view(**BASE).fingerprint) is same


@pytest.mark.parametrize(
    ("field", "value", "same"),
    [
        ("question", "Will it now?", False),
        ("scheduled_close", AS_OF + timedelta(5), False),
        ("id", "m9", False),
        ("url", "https://example.org", True),
    ],
)
def test_the_fingerprint_covers_the_facts_that_are_shown(field, value, same):
    facts = {name: getattr(MARKET, name) for name in Market.__dataclass_fields__}
    assert (view(market=Market(**facts | {field: value})).fingerprint == view().fingerprint) is same
