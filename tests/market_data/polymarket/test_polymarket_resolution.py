"""How a market ended: every pattern of status and prices, and what other sources may and may not change."""

from collections import Counter

import pytest
from polymarket_case import a_row, needs_recordings, recorded

from coordeval.market_data.errors import DataError
from coordeval.market_data.polymarket import SchemaChange, parse_market
from coordeval.market_data.polymarket.resolution import parse_clob_market, parse_payouts

CONDITION = a_row()["conditionId"]
YES, NO = "1" * 77, "2" * 77


@pytest.mark.parametrize(
    ("changes", "status", "value", "reason"),
    [
        pytest.param({}, "resolved", 1, "", id="YES"),
        pytest.param({"outcomePrices": '["0", "1"]'}, "resolved", 0, "", id="NO"),
        pytest.param(
            {"outcomePrices": '["1.0", "0.00"]'}, "resolved", 1, "", id="1 and 0 with decimals are exactly 1 and 0"
        ),
        pytest.param({"outcomePrices": '["0.5", "0.5"]'}, "fifty_fifty", None, "50-50", id="tie or cancelled"),
        pytest.param(
            {"outcomePrices": '["0.9999999999999999999", "0"]'}, "contradictory", None, "not 1 and 0", id="never rounded"
        ),
        pytest.param({"outcomePrices": '["1", "1"]'}, "contradictory", None, "not 1 and 0", id="two winners"),
        pytest.param({"outcomePrices": '["0", "0"]'}, "contradictory", None, "not 1 and 0", id="no winner"),
        pytest.param({"outcomePrices": None}, "contradictory", None, "without outcomePrices", id="resolved without prices"),
        pytest.param({"umaResolutionStatus": "disputed"}, "disputed", None, "may still change", id="disputed"),
        pytest.param({"umaResolutionStatus": "proposed"}, "proposed", None, "may still change", id="proposed"),
        pytest.param(
            {"umaResolutionStatus": "proposed", "closed": False}, "proposed", None, "may", id="proposed while open"
        ),
        pytest.param({"umaResolutionStatus": "settled"}, "unresolved", None, "'settled'", id="a status nobody knows"),
        pytest.param(
            {"umaResolutionStatus": None}, "contradictory", None, "without umaRes", id="prices alone decide nothing"
        ),
        pytest.param(
            {"umaResolutionStatus": None, "outcomePrices": None}, "unresolved", None, "closed without", id="placeholder"
        ),
        pytest.param(
            {"umaResolutionStatus": None, "outcomePrices": '["0", "0"]', "createdAt": "2020-10-02T16:10:01.467Z"},
            "legacy",
            None,
            "before the venue kept one",
            id="legacy",
        ),
        pytest.param({"closed": False}, "contradictory", None, "open, but", id="open and resolved"),
        pytest.param(
            {"closed": False, "umaResolutionStatus": None, "outcomePrices": '["0.5", "0.5"]'},
            "unresolved",
            None,
            "is open",
            id="fresh: 50-50 prices mean nothing while open",
        ),
        pytest.param({"outcomes": '["Up", "Down"]'}, "not_yes_no", None, "Up / Down", id="other labels"),
        pytest.param({"outcomes": '["yes", "no"]'}, "not_yes_no", None, "yes / no", id="the label is Yes, letter by letter"),
        pytest.param({"outcomes": '["Yes", "Yes"]'}, "not_yes_no", None, "Yes / Yes", id="Yes twice"),
        pytest.param(
            {"closedTime": "2025-11-01 00:00:00+00"}, "contradictory", None, "before it was created", id="clock backwards"
        ),
        pytest.param({"umaResolutionStatuses": '["proposed", "proposed"]'}, "resolved", 1, "", id="the history is no state"),
    ],
)
def test_gamma_alone(changes, status, value, reason):
    outcome = parse_market(a_row(**changes)).outcome
    assert (outcome.status, outcome.value) == (status, value)
    assert reason in outcome.reason
    assert bool(reason) == bool(outcome.reason)


def clob(winner=YES, condition=CONDITION, closed=True, half=False, prices=(1, 0), tokens=(YES, NO)):
    rows = [
        {"token_id": token, "outcome": label, "price": price, "winner": token == winner}
        for token, label, price in zip(tokens, ("Yes", "No"), prices, strict=True)
    ]
    return parse_clob_market({"condition_id": condition, "closed": closed, "is_50_50_outcome": half, "tokens": rows})


def payouts(paid=(1_000_000, 0), status="resolved", **extra):
    return parse_payouts({"condition_id": CONDITION, "status": status, "payouts": list(paid) if paid else None, **extra})


@pytest.mark.parametrize(
    ("sources", "status", "reason"),
    [
        pytest.param({"clob": clob()}, "resolved", "", id="the CLOB agrees"),
        pytest.param({"clob": clob(winner=None)}, "resolved", "", id="no winner flagged says nothing: 74 of 98 legacy ones"),
        pytest.param({"clob": clob(winner=NO, prices=(0, 1))}, "contradictory", "another winner", id="another winner"),
        pytest.param({"clob": clob(winner=None, prices=(0, 1))}, "contradictory", "final prices", id="other final prices"),
        pytest.param(
            {"clob": clob(winner=None, half=True, prices=(0.5, 0.5))}, "contradictory", "is_50_50", id="50-50 there"
        ),
        pytest.param({"clob": clob(closed=False)}, "contradictory", "open on the CLOB", id="still open there"),
        pytest.param({"clob": clob(tokens=("7", "8"), winner="7")}, "contradictory", "different tokens", id="other tokens"),
        pytest.param({"payouts": payouts()}, "resolved", "", id="payouts agree"),
        pytest.param({"payouts": payouts(paid=None)}, "resolved", "", id="an old row without payouts says nothing"),
        pytest.param({"payouts": payouts(paid=None, price="1" + "0" * 18)}, "resolved", "", id="UMA 1e18 is YES"),
        pytest.param({"payouts": payouts(paid=None, price="69")}, "resolved", "", id="69 is UMA's unset"),
        pytest.param({"payouts": payouts(paid=None, price="0")}, "contradictory", "pays", id="UMA 0 is NO"),
        pytest.param({"payouts": payouts((0, 1_000_000))}, "contradictory", "pays", id="payouts disagree"),
        pytest.param({"payouts": payouts((500_000, 500_000))}, "contradictory", "pays", id="paid half"),
        pytest.param({"payouts": payouts(status="disputed")}, "contradictory", "'disputed'", id="disputed there"),
    ],
)
def test_other_sources_confirm_or_contradict(sources, status, reason):
    outcome = parse_market(a_row()).confirmed(**sources)
    assert outcome.status == status
    assert reason in outcome.reason


def test_a_source_cannot_turn_an_unscored_outcome_into_a_scored_one():
    contradictory = parse_market(a_row(umaResolutionStatus=None))
    assert contradictory.confirmed(clob=clob(), payouts=payouts()) == contradictory.outcome


def test_fifty_fifty_is_confirmed_too():
    half = parse_market(a_row(outcomePrices='["0.5", "0.5"]'))
    agreeing = {"clob": clob(winner=None, half=True, prices=(0.5, 0.5)), "payouts": payouts((500_000, 500_000))}
    assert half.confirmed(**agreeing).status == "fifty_fifty"
    assert half.confirmed(clob=clob()).status == "contradictory"


def test_payouts_follow_the_position_of_yes():
    swapped = parse_market(a_row(outcomes='["No", "Yes"]'))
    assert swapped.outcome.value == 0
    assert swapped.confirmed(payouts=payouts((1_000_000, 0))).status == "resolved"


def test_another_markets_resolution_is_an_error():
    with pytest.raises(DataError, match="ignores a parameter"):
        parse_market(a_row()).confirmed(clob=clob(condition="0xother"))


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"condition_id": CONDITION, "closed": True, "is_50_50_outcome": False}, "tokens"),
        ({"condition_id": CONDITION, "closed": 1, "is_50_50_outcome": False, "tokens": []}, "closed"),
        ({"condition_id": 1, "closed": True, "is_50_50_outcome": False, "tokens": []}, "condition_id"),
        (
            {
                "condition_id": CONDITION,
                "closed": True,
                "is_50_50_outcome": False,
                "tokens": [{"token_id": 1e76, "winner": True, "price": 1}],
            },
            "token_id",
        ),
    ],
)
def test_a_changed_clob_market_names_its_field(row, field):
    with pytest.raises(SchemaChange, match=field):
        parse_clob_market(row)


@pytest.mark.parametrize("changes", [{"status": None}, {"payouts": "all"}, {"payouts": None, "price": "much"}])
def test_a_changed_resolution_names_its_field(changes):
    with pytest.raises(SchemaChange, match=next(iter(reversed(changes)))):
        parse_payouts({"condition_id": CONDITION, "status": "resolved", "payouts": [0, 1_000_000]} | changes)


@needs_recordings
class TestRecordings:
    def test_katana_is_confirmed_by_its_twin(self):
        katana = parse_market(recorded("gamma_market_resolved_no_katana.json"))
        twin = parse_clob_market(recorded("clob_market_resolved_no_katana.json"))
        assert katana.confirmed(clob=twin) == katana.outcome
        assert katana.outcome.value == 0

    def test_the_anomaly_is_not_scored_although_its_twin_flags_a_winner(self):
        anomaly = parse_market(recorded("gamma_market_resolved_accepting_true_anomaly.json"))
        twin = parse_clob_market(recorded("clob_market_resolved_accepting_true_anomaly.json"))
        assert any(twin.winner.values())
        assert anomaly.confirmed(clob=twin).status == "contradictory"

    def test_most_legacy_clob_markets_flag_no_winner(self):
        read = [parse_clob_market(row) for row in recorded("clob_markets_page_100_legacy_closed.json")["data"]]
        assert Counter((market.closed, any(market.winner.values())) for market in read)[True, False] == 74

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("data_v2_resolutions_resolved_no_payouts.json", (0, 1_000_000)),
            ("data_v2_resolutions_uma_no_payouts_field.json", (0, 1_000_000)),
        ],
    )
    def test_both_kinds_of_resolution_rows(self, name, expected):
        (row,) = recorded(name)["data"]
        read = parse_payouts(row)
        assert (read.payouts, read.status) == (expected, "resolved")
        assert read.resolved_at is not None

    def test_the_recorded_uma_row_agrees_with_the_recorded_market(self):
        """Wizards v. Nets: UMA's price 0 pays the second outcome, and Gamma's second price is 1."""
        (row,) = recorded("data_v2_resolutions_uma_no_payouts_field.json")["data"]
        nba = parse_market(recorded("gamma_markets_keyset_page_nba_resolved_no.json")["markets"][0])
        assert row["condition_id"] == nba.market.id
        assert [price == "1" for price in nba.facts.prices] == [paid > 0 for paid in parse_payouts(row).payouts]
