"""Which markets the rules tie together, and which they leave alone."""

from datetime import UTC, datetime

import polars as pl
import pytest

from coordeval.analysis import AnalysisError
from coordeval.analysis.linked.links import DEADLINE, EXCLUSIVE, SCHEMA, THRESHOLD, checked, propose_links

NOW = datetime(2026, 1, 10, tzinfo=UTC)


def markets(*questions, event="e", **columns):
    """Markets a, b, c, ... of one event."""
    frame = pl.DataFrame({"market_id": list("abcdefgh"[: len(questions)]), "question": list(questions)})
    return frame.with_columns(event_id=pl.lit(event), as_of=pl.lit(NOW)).with_columns(
        pl.Series(name, values) for name, values in columns.items()
    )


def ladder(found, rule):
    return found.table.filter(rule=rule).sort("link_id", "order")["market_id"].to_list()


@pytest.mark.parametrize(
    ("questions", "order"),
    [
        pytest.param(["Deal by June 30?", "Deal by March 31?"], ["b", "a"], id="no year: the next one"),
        pytest.param(["Deal by March 31, 2027?", "Deal by June 30?"], ["b", "a"], id="a year that is given"),
        pytest.param(
            ["Deal before July 2026?", "Deal before 2026-02-01?", "Deal by end of 2026?"], ["b", "a", "c"], id="forms"
        ),
        pytest.param(["Deal signed by June 30?", "Deal by March 31?"], [], id="other words"),
        pytest.param(["Deal on June 30?", "Deal on March 31?"], [], id="a day is no deadline"),
    ],
)
def test_a_ladder_of_deadlines_is_one_event_and_the_same_words(questions, order):
    assert ladder(propose_links(markets(*questions)), DEADLINE) == order


@pytest.mark.parametrize(
    ("questions", "order"),
    [
        pytest.param(["Token above $4B?", "Token above $800M?", "Token above $1.5B?"], ["a", "c", "b"], id="units"),
        pytest.param(["Plasma >$1B market cap?", "Plasma >$2B market cap?"], ["b", "a"], id="a sign"),
        pytest.param(["Will it hit 1,000 views?", "Will it hit 2,000 views?"], ["b", "a"], id="thousands"),
        pytest.param(["Gold hit (LOW) $55?", "Gold hit (LOW) $50?"], ["b", "a"], id="falling to"),
        pytest.param(["Gold hit (HIGH) $55?", "Gold hit (HIGH) $50?"], ["a", "b"], id="rising to"),
        pytest.param(["Gold hit (HIGH) $55?", "Gold hit (LOW) $50?"], [], id="rising and falling"),
        pytest.param(["Rate below 3%?", "Rate below 4%?"], ["a", "b"], id="under"),
        pytest.param(["Rate above 3%?", "Rate below 3%?"], [], id="over and under"),
        pytest.param(["Price above 5 in May?", "Price above 6 in June?"], [], id="another number differs"),
        pytest.param(["Game 1 won?", "Game 2 won?"], [], id="a number that nothing passes"),
        pytest.param(["Above 104k subscribers?", "Above 105 subscribers?"], ["a", "b"], id="k is a thousand"),
        pytest.param(["Over 5 goals?", "Over 5.0 goals?", "Over 6 goals?"], [], id="one number twice leaves one rung"),
    ],
)
def test_a_ladder_of_thresholds_is_one_event_and_the_same_words_but_for_the_number(questions, order):
    assert ladder(propose_links(markets(*questions)), THRESHOLD) == order


def test_another_event_is_another_occasion():
    both = pl.concat(
        [markets("Deal by March 31?"), markets("Deal by June 30?", event="f").with_columns(market_id=pl.lit("z"))]
    )
    assert propose_links(both).table.is_empty()


def test_a_group_excludes_by_the_word_of_the_venue_not_by_the_event():
    found = propose_links(markets("A wins?", "B wins?", "Turnout?", neg_risk_id=["0x1", "0x1", None]))
    assert found.table.select("kind", "market_id", "order", "exhaustive", "rule").rows() == [
        ("exclusive", "a", None, False, EXCLUSIVE),
        ("exclusive", "b", None, False, EXCLUSIVE),
    ]
    assert propose_links(markets("A wins?", "B wins?", neg_risk_id=["0x1", "0x2"])).table.is_empty()
    ranges = propose_links(markets("Above 5?", "Above 6?", neg_risk_id=["0x1", "0x1"]))
    assert ranges.table["kind"].to_list() == ["exclusive"] * 2, "legs are no ladder, whatever their words"
    assert set(ranges.left_out["reason"]) == {"the venue says that they exclude each other"}


def test_what_was_looked_at_in_vain_is_told():
    twice = propose_links(markets("Deal by March 31?", "Deal by 2026-03-31?", "Deal by June 30?"))
    assert twice.table.is_empty()
    assert dict(twice.left_out.select("market_id", "reason").iter_rows()) == {
        "a": "another market has the same",
        "b": "another market has the same",
        "c": "no other market of its ladder is left",
    }
    wrong = propose_links(markets("Deal by February 31?", "Deal by March 31?", "Deal by June 30?"))
    assert ladder(wrong, DEADLINE) == ["b", "c"]
    assert wrong.left_out.select("rule", "market_id", "reason").rows() == [(DEADLINE, "a", "its deadline cannot be told")]


def test_scheduled_closes_that_say_the_reverse_break_the_ladder():
    closes = [datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)]
    asked = ("Deal by March 31?", "Deal by June 30?")
    found = propose_links(markets(*asked, scheduled_close=closes))
    assert found.table.is_empty()
    assert set(found.left_out["reason"]) == {"its scheduled closes are in another order than its deadlines"}
    assert ladder(propose_links(markets(*asked, scheduled_close=closes[::-1])), DEADLINE) == ["a", "b"]


def test_what_is_proposed_is_valid_and_does_not_depend_on_the_order_of_rows():
    asked = markets("X above 1?", "X above 2?", "Y by May 1?", "Y by June 1?", neg_risk_id=["0x1", None, "0x1", None])
    found = propose_links(asked).table
    assert found["link_id"].unique(maintain_order=True).to_list() == ["exclusive e.1", "ladder e.1", "ladder e.2"]
    assert checked(found).equals(found)
    assert propose_links(asked[::-1]).table.equals(found)


def link(**changed):
    base = {"link_id": "l", "event_id": "e", "kind": "ladder", "market_id": ["a", "b"], "order": [0, 1]}
    return pl.DataFrame(base | {"exhaustive": False, "rule": "mine"} | changed)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kind": "chain"}, "link l, market a: kind must be"),
        ({"order": [0, 0]}, "may not have the same order"),
        ({"order": [0, None]}, "market b: each market of a ladder has an order"),
        ({"market_id": ["a", "a"]}, "stands in a link once"),
        ({"event_id": ["e", "f"]}, "one kind and one event"),
        ({"exhaustive": True}, "a ladder is not exhaustive"),
        ({"market_id": ["a", None]}, "only order and rule may be null"),
        ({"link_id": ["l", "m"]}, "a link needs two markets"),
    ],
)
def test_a_link_that_makes_no_sense_is_refused_by_name(changed, message):
    assert checked(link()).schema == SCHEMA
    with pytest.raises(AnalysisError, match=message):
        checked(link(**changed))


def test_what_is_missing_is_named():
    with pytest.raises(AnalysisError, match="lacks question, as_of"):
        propose_links(pl.DataFrame({"market_id": ["a"], "event_id": ["e"]}))
    with pytest.raises(AnalysisError, match="market a is there more than once"):
        propose_links(pl.concat([markets("A?"), markets("B?")]))
    with pytest.raises(AnalysisError, match="lacks exhaustive"):
        checked(link().drop("exhaustive"))
