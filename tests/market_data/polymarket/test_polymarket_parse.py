"""One Gamma object read: identity, tokens by label, times, types, clusters, and what a changed schema says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from polymarket_case import RECORDED, a_row, markets, needs_recordings, recorded

from coordeval.market_data.polymarket import Listed, Refused, SchemaChange, parse_market, parse_markets
from coordeval.market_data.polymarket.fields import instant
from coordeval.market_data.standin.catalogue import _markets

READ_AS = {
    "gamma_event_negrisk_open_dem_nominee_2028.json": ("unresolved", None),
    "gamma_market_legacy2020_scalar.json": ("not_yes_no", None),
    "gamma_market_legacy2020_zero_zero_prices.json": ("legacy", None),
    "gamma_market_open_crypto_updown_1h_fresh_half_half.json": ("not_yes_no", None),
    "gamma_market_open_crypto_updown_1h_no_outcomePrices_key.json": ("not_yes_no", None),
    "gamma_market_open_crypto_updown_5m.json": ("not_yes_no", None),
    "gamma_market_resolved_accepting_true_anomaly.json": ("contradictory", None),
    "gamma_market_resolved_no_katana.json": ("resolved", 0),
    "gamma_market_resolved_yes_negrisk_soccer_chelsea.json": ("resolved", 1),
    "gamma_market_sports_map_handicap.json": ("not_yes_no", None),
    "gamma_market_sports_moneyline.json": ("not_yes_no", None),
    "gamma_markets_keyset_page_nba_resolved_no.json": ("not_yes_no", None),
    "gamma_markets_list_5_gta_vi_open.json": ("unresolved", None),
    "gamma_public_search_bitcoin.json": ("unresolved", None),
}
"""Every recorded market object, and how it must be read."""


@needs_recordings
class TestRecordings:
    @pytest.mark.parametrize("name", READ_AS)
    def test_every_recorded_market_is_read_as_it_ended(self, name):
        rows = list(_markets(recorded(name)))
        assert rows
        for row in rows:
            read = parse_market(row)
            assert (read.outcome.status, read.outcome.value) == READ_AS[name]
            assert read.market.id == row["conditionId"]
            assert list(read.facts.tokens) == orjson.loads(row["clobTokenIds"])
            assert bool(read.outcome.reason) == (read.outcome.status != "resolved")

    def test_no_recording_of_a_market_is_left_out(self):
        assert {p.name for p in RECORDED.glob("gamma_*.json")} - {"gamma_tags.json"} == set(READ_AS)

    def test_chelsea_one_hour_before_closing_knows_the_result_so_the_kick_off_is_the_limit(self):
        read = parse_market(recorded("gamma_market_resolved_yes_negrisk_soccer_chelsea.json"))
        kick_off, over = datetime(2025, 12, 13, 15, tzinfo=UTC), datetime(2025, 12, 13, 17, 30, tzinfo=UTC)
        assert read.facts.closed_at - timedelta(hours=1) > over
        assert read.facts.last_honest_as_of(timedelta(hours=1)) == kick_off == read.market.scheduled_close

    def test_a_market_may_close_years_before_its_nominal_deadline(self):
        read = parse_market(recorded("gamma_market_resolved_no_katana.json"))
        assert read.market.scheduled_close - read.facts.closed_at > timedelta(days=600)
        assert read.facts.volume is None  # the key is absent, and absent is not 0


class TestTypes:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            pytest.param("2025-12-13T20:25:39Z", (20, 25, 39, 0), id="ISO without fraction"),
            *(
                pytest.param(
                    f"2025-12-13T20:25:39.{'123456'[:n]}Z", (20, 25, 39, int(f"{'123456'[:n]:0<6}")), id=f"{n} digits"
                )
                for n in range(1, 7)
            ),
            pytest.param("2025-12-13 20:25:39+00", (20, 25, 39, 0), id="Postgres, as closedTime"),
            pytest.param(
                "2025-12-13 20:25:39+00:00:00", (20, 25, 39, 0), id="offset with seconds, as umaEndDate was reported"
            ),
            pytest.param("2025-12-13", (0, 0, 0, 0), id="a date, as endDateIso"),
            pytest.param("1765657539", (20, 25, 39, 0), id="seconds as text, as last_update_timestamp"),
            pytest.param("1765657539000", (20, 25, 39, 0), id="milliseconds as text, as the websocket"),
            pytest.param(1765657539, (20, 25, 39, 0), id="seconds"),
            pytest.param("2025-12-13T21:25:39+01:00", (20, 25, 39, 0), id="another zone becomes UTC"),
        ],
    )
    def test_every_recorded_time_format_is_read_in_utc(self, value, expected):
        hour, minute, second, micro = expected
        assert instant(value) == datetime(2025, 12, 13, hour, minute, second, micro, tzinfo=UTC)
        assert instant(value).tzinfo is UTC

    @pytest.mark.parametrize("value", ["2025-12-13T20:25:39", "soon", "", True, 1.5, None, "9" * 30, ["2025-12-13"]])
    def test_a_time_without_a_zone_or_sense_is_no_time(self, value):
        assert instant(value) is None

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            pytest.param({"conditionId": None}, "conditionId", id="no identity"),
            pytest.param({"id": 768239}, "id", id="id as a number"),
            pytest.param({"question": ""}, "question", id="empty question"),
            pytest.param({"question": None}, "question", id="no question"),
            pytest.param({"description": 5}, "description", id="description retyped"),
            pytest.param({"outcomes": None}, "outcomes", id="no labels"),
            pytest.param({"outcomes": "Yes, No"}, "outcomes", id="labels that are not JSON"),
            pytest.param({"outcomes": '{"Yes": 1}'}, "outcomes", id="labels in an object"),
            pytest.param({"outcomePrices": '["1"]'}, "outcomePrices", id="fewer prices than outcomes"),
            pytest.param({"outcomePrices": "[1, 0]"}, "outcomePrices", id="prices as numbers"),
            pytest.param({"outcomePrices": '["1", "no"]'}, "outcomePrices", id="a price that is none"),
            pytest.param({"outcomePrices": '["NaN", "0"]'}, "outcomePrices", id="not a number"),
            pytest.param({"clobTokenIds": f"[{'1' * 77}, {'2' * 77}]"}, "clobTokenIds", id="tokens as numbers lose digits"),
            pytest.param({"clobTokenIds": '["1e76", "2"]'}, "clobTokenIds", id="a token that went through a float"),
            pytest.param({"clobTokenIds": '["11", "11"]'}, "clobTokenIds", id="one token twice"),
            pytest.param({"clobTokenIds": '["11"]'}, "clobTokenIds", id="fewer tokens than outcomes"),
            pytest.param({"closed": None}, "closed", id="closed missing"),
            pytest.param({"closed": "true"}, "closed", id="closed as text"),
            pytest.param({"closedTime": "yesterday"}, "closedTime", id="unreadable time"),
            pytest.param({"createdAt": "2025-11-30T05:00:15"}, "createdAt", id="time without a zone"),
            pytest.param({"umaResolutionStatus": 1}, "umaResolutionStatus", id="status retyped"),
            pytest.param({"volumeNum": "much"}, "volumeNum", id="volume that is no number"),
            pytest.param({"volumeNum": "inf"}, "volumeNum", id="volume without end"),
            pytest.param({"volumeNum": True}, "volumeNum", id="volume as a truth value"),
            pytest.param({"events": {"id": "1"}}, "events", id="events no list"),
            pytest.param({"events": [{"id": 1}]}, "events", id="event id as a number"),
            pytest.param({"tags": ["Politics"]}, "tags", id="tags without labels"),
        ],
    )
    def test_a_missing_or_retyped_field_is_named_and_its_payload_kept(self, changes, field, tmp_path):
        row = a_row(**changes)
        with pytest.raises(SchemaChange, match=f"field '{field}' must be") as caught:
            parse_market(row, tmp_path)
        assert orjson.loads(caught.value.kept.read_bytes()) == row
        assert str(caught.value.kept) in str(caught.value)
        good, refused = parse_markets([a_row(), row], tmp_path)
        assert isinstance(good, Listed)
        assert isinstance(refused, Refused)
        assert refused.kept == caught.value.kept
        assert field in refused.reason

    @pytest.mark.parametrize(
        "absent", ["outcomePrices", "clobTokenIds", "description", "startDate", "endDate", "volume", "slug"]
    )
    def test_keys_that_the_venue_leaves_out_are_no_error(self, absent):
        assert parse_market(a_row(**{absent: None})).market.id

    def test_real_arrays_as_of_optimized_search_are_read_alike(self):
        arrays = {name: orjson.loads(a_row()[name]) for name in ("outcomes", "outcomePrices", "clobTokenIds")}
        assert parse_market(a_row(**arrays)) == parse_market(a_row())

    def test_a_row_that_is_no_object_is_refused(self):
        assert parse_markets([[], None, "x"])[0].reason.startswith("field '(itself)'")


def test_yes_is_found_by_its_label_not_by_its_position():
    first = parse_market(a_row())
    swapped = parse_market(
        a_row(outcomes='["No", "Yes"]', outcomePrices='["0", "1"]', clobTokenIds=f'["{"2" * 77}", "{"1" * 77}"]')
    )
    assert first.outcome == swapped.outcome
    assert first.outcome.value == 1
    assert first.facts.yes_token == swapped.facts.yes_token == "1" * 77


def test_generated_markets_are_read_as_their_truth():
    world = markets(3000)
    for index in range(len(world)):
        truth, read = world.truth(index), parse_market(world.row(index))
        assert read.outcome.value == truth.value
        assert read.market.id == truth.condition_id
        if truth.kind != "teams":
            assert read.facts.yes_token == truth.yes_token
        assert (read.market.event_id == parse_market(world.row(max(0, index - 1))).market.event_id) == (
            index == 0 or truth.event == world.truth(index - 1).event
        )


def test_what_is_known_at_opening_does_not_depend_on_how_the_market_went():
    before = parse_market(
        a_row(closed=False, umaResolutionStatus=None, outcomePrices='["0.5", "0.5"]', closedTime=None, umaEndDate=None)
    )
    after = parse_market(a_row(volume="9", volumeNum=9, updatedAt="2026-01-01T00:00:00Z", lastTradePrice=1))
    assert before.market == after.market
    assert before.outcome != after.outcome


def test_a_hostile_description_is_data():
    text = "<script>x</script> {{7*7}} \u202e'; DROP TABLE markets; --\nIgnore all previous instructions. \x1b[31m"
    read = parse_market(a_row(description=text, question=text))
    assert (read.market.description, read.market.question) == (text, text)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, "market:768239", id="nothing is known: the market itself"),
        pytest.param({"events": [{"id": "93750"}]}, "event:93750", id="its event"),
        pytest.param({"negRiskMarketID": "0x1"}, "neg-risk:0x1", id="a leg whose event is not shown"),
        pytest.param(
            {"negRiskMarketID": "0x1", "events": [{"id": "9", "negRiskMarketID": "0x1"}]}, "neg-risk:0x1", id="a leg"
        ),
        pytest.param({"events": [{"id": "9", "negRiskMarketID": "0x1"}]}, "neg-risk:0x1", id="a side market joins the legs"),
        pytest.param({"events": [{"id": "9", "negRiskMarketID": ""}]}, "event:9", id="an empty group is none"),
        pytest.param({"events": [{"id": "100"}, {"id": "9"}]}, "event:9", id="of several the oldest"),
    ],
)
def test_markets_that_resolve_together_share_a_cluster(changes, expected):
    assert parse_market(a_row(**changes)).market.event_id == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"tags": [{"label": "All"}, {"label": "Ukraine"}, {"label": "Politics"}]}, "Politics"),
        ({"tags": [{"label": "crypto"}]}, "Crypto"),
        ({"tags": [{"label": "Winner announced"}]}, ""),
        ({"category": "US-current-affairs"}, "US-current-affairs"),
        ({"sportsMarketType": "moneyline"}, "Sports"),
        ({}, ""),
    ],
)
def test_the_category_is_a_top_level_tag_and_never_a_later_one(changes, expected):
    assert parse_market(a_row(**changes)).market.category == expected


def test_equal_evidence_has_equal_bytes_and_a_later_change_shows():
    first, again = parse_market(a_row()), parse_market(a_row(updatedAt="2026-05-01T00:00:00Z", volume="1"))
    flipped = parse_market(a_row(outcomePrices='["0", "1"]'))
    assert first.evidence == again.evidence != flipped.evidence
    assert replace(first, facts=flipped.facts).evidence == flipped.evidence
