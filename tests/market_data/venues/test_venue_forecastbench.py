"""ForecastBench: what the two recorded rounds hold, and what a damaged or unusual one is told."""

import hashlib
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from coordeval.market_data.errors import DataError
from coordeval.market_data.gate import MarketView
from coordeval.market_data.types import MarketSource
from coordeval.market_data.venues.forecastbench import COMBINED, DATASET, Round, rounds

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "forecastbench"
needs_recordings = pytest.mark.skipif(not DATA.is_dir(), reason=f"the recorded data are not here: {DATA}")
DUE = "2026-03-01"


def question(**changes):
    return {
        "id": "7",
        "source": "manifold",
        "question": "Will it?",
        "background": "N/A",
        "market_info_open_datetime": "2025-05-01T00:00:00+00:00",
        "market_info_close_datetime": "2026-12-31T00:00:00+00:00",
        "market_info_resolution_criteria": "N/A",
        "url": "https://manifold.markets/A/will-it",
        "freeze_datetime": "2026-02-19T00:00:00+00:00",
        "freeze_datetime_value": "0.42",
        "resolution_dates": "N/A",
    } | changes


def resolution(**changes):
    return {
        "id": "7",
        "source": "manifold",
        "direction": None,
        "resolution_date": "2026-04-01",
        "resolved_to": 0.0,
        "resolved": True,
    } | changes


def round_of(folder, questions, resolutions, **heads):
    """A round of these rows, with `question_heads` or `resolution_heads` changed."""
    head = {"forecast_due_date": DUE, "question_set": f"{DUE}-llm.json"}
    for name, rows in (("question", questions), ("resolution", resolutions)):
        path = folder / f"{name}_sets" / (f"{DUE}-llm.json" if name == "question" else f"{DUE}_resolution_set.json")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(orjson.dumps(head | heads.get(f"{name}_heads", {}) | {f"{name}s": rows}))
    return Round(folder, DUE)


# --- the recorded rounds


@needs_recordings
def test_the_recorded_rounds_hold_what_was_counted():
    assert rounds(DATA) == ["2025-10-26", "2026-03-01"]
    first, second = (Round(DATA, due) for due in rounds(DATA))
    assert first.counts() == {
        "refused": {DATASET: 250},
        "markets": {"manifold": 77, "metaculus": 76, "infer": 21, "polymarket": 76},
        "outcomes": {"resolved": 112, "unresolved": 138},
        "unscored": {
            "not resolved when the resolution set was made": 119,
            "no row in the resolution set: nullified, or its source went silent": 19,
        },
    }
    assert second.counts() == {
        "refused": {DATASET: 250},
        "markets": {"manifold": 72, "metaculus": 72, "infer": 35, "polymarket": 71},
        "outcomes": {"resolved": 131, "unresolved": 118, "contradictory": 1},
        "unscored": {
            "not resolved when the resolution set was made": 76,
            "no row in the resolution set: nullified, or its source went silent": 42,
            "resolved, but on a day after the resolution set was made": 1,
        },
    }


@needs_recordings
def test_each_market_has_its_frozen_price_and_may_be_forecast_at_its_as_of():
    for due in rounds(DATA):
        source: MarketSource = Round(DATA, due)
        prices = {point.market_id: point for point in source.prices()}
        for market in source.markets():
            view = MarketView(market, market.reference_time, [prices[market.id]], [])
            assert view.price.kind == "unstated"
            assert 0 < view.price.price < 1
        outcomes = source.outcomes()
        assert {outcome.market_id for outcome in outcomes} == {market.id for market in source.markets()}
        assert Counter(outcome.value for outcome in outcomes if outcome.status == "resolved")[1] > 15


@needs_recordings
def test_a_market_of_both_rounds_is_frozen_twice_and_one_event():
    first, second = (Round(DATA, due) for due in rounds(DATA))
    both = first.questions.keys() & second.questions.keys()
    assert len(both) == 17
    for key in both:
        a, b = first.questions[key].market, second.questions[key].market
        assert a.id != b.id
        assert a.event_id == b.event_id
        assert a.reference_time < b.reference_time


@needs_recordings
def test_the_files_that_were_read_are_named_by_their_checksums():
    read = Round(DATA, DUE)
    assert set(read.checksums) == {f"question_sets/{DUE}-llm.json", f"resolution_sets/{DUE}_resolution_set.json"}
    for name, digest in read.checksums.items():
        assert hashlib.sha256((DATA / name).read_bytes()).hexdigest() == digest


# --- questions


def test_a_question_becomes_a_market_at_its_freeze(tmp_path):
    read = round_of(tmp_path, [question(background="Because.", market_info_resolution_criteria="If so.")], [resolution()])
    [market], [price], [outcome] = read.markets(), read.prices(), read.outcomes()
    assert (market.id, market.event_id, market.source) == (f"{DUE}:manifold:7", "manifold:7", "forecastbench")
    assert market.description == "Because.\n\nIf so."
    assert market.reference_time == price.knowable_at == datetime(2026, 2, 19, tzinfo=UTC)
    assert price.price == 0.42
    assert (outcome.value, outcome.resolved_at) == (0, datetime(2026, 4, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"id": ["7", "8"]}, COMBINED, id="two ids"),
        pytest.param({"combination_of": [{}, {}]}, COMBINED, id="older rounds name its parts"),
        pytest.param({"source": "acled", "resolution_dates": ["2026-03-08"]}, DATASET, id="a data series"),
        pytest.param({"source": "oracle"}, "unknown source 'oracle'", id="a source that nobody classified"),
        pytest.param(
            {"freeze_datetime": "N/A"}, "field 'freeze_datetime' is not a time in ISO 8601 with a zone", id="no as-of"
        ),
        pytest.param(
            {"freeze_datetime_value": "42"},
            "field 'freeze_datetime_value' is not a number in [0, 1]",
            id="a price in percent",
        ),
        pytest.param(
            {"freeze_datetime_value": "high"}, "field 'freeze_datetime_value' is not a number as text", id="no number"
        ),
        pytest.param({"question": ""}, "field 'question' is not text that is not empty", id="no question"),
    ],
)
def test_what_is_no_market_is_refused_by_reason(tmp_path, changes, reason):
    read = round_of(tmp_path, [question(**changes)], [])
    assert read.markets() == read.prices() == read.outcomes() == []
    assert [refusal.reason for refusal in read.refused] == [reason]


def test_a_question_that_stands_twice_counts_once(tmp_path):
    read = round_of(tmp_path, [question(), question(question="Will it not?")], [])
    assert [market.question for market in read.markets()] == ["Will it?"]
    assert [refusal.reason for refusal in read.refused] == ["listed twice"]


def test_the_same_number_at_two_sources_is_two_markets(tmp_path):
    read = round_of(
        tmp_path,
        [question(source="metaculus"), question(source="infer")],
        [resolution(source="infer", resolved_to=1.0), resolution(source="metaculus")],
    )
    assert {outcome.market_id: outcome.value for outcome in read.outcomes()} == {
        f"{DUE}:metaculus:7": 0,
        f"{DUE}:infer:7": 1,
    }


def test_no_price_is_no_price(tmp_path):
    assert round_of(tmp_path, [question(freeze_datetime_value="N/A")], []).prices() == []


def test_an_opening_that_is_a_date_is_its_first_moment(tmp_path):
    [market] = round_of(tmp_path, [question(market_info_open_datetime="2025-05-01")], []).markets()
    assert market.opened_at == datetime(2025, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("source", "url", "event"),
    [
        pytest.param(
            "kalshi",
            "https://kalshi.com/markets/kxhegsethout/x/kxhegsethout-26apr",
            "kalshi:KXHEGSETHOUT-26APR",
            id="Kalshi's address ends with the event",
        ),
        pytest.param(
            "polymarket", "https://polymarket.com/event/fed-chair/will-x", "polymarket:fed-chair", id="an event page"
        ),
        pytest.param("polymarket", "https://polymarket.com/market/will-x", "polymarket:7", id="a market page names none"),
        pytest.param("infer", "https://www.randforecastinginitiative.org/questions/7", "infer:7", id="its own event"),
    ],
)
def test_events_where_the_address_names_them(tmp_path, source, url, event):
    [market] = round_of(tmp_path, [question(source=source, url=url)], []).markets()
    assert market.event_id == event


def test_events_that_are_known_from_elsewhere_are_taken(tmp_path):
    round_of(tmp_path, [question()], [])
    [market] = Round(tmp_path, DUE, events={("manifold", "7"): "neg-risk:0x1"}).markets()
    assert market.event_id == "neg-risk:0x1"


# --- resolutions


@pytest.mark.parametrize(
    ("rows", "status", "value", "why"),
    [
        pytest.param([{"resolved_to": 1.0}], "resolved", 1, "", id="yes"),
        pytest.param([{"resolved_to": 0.0}], "resolved", 0, "", id="no"),
        pytest.param([], "unresolved", None, "no row", id="nullified questions have no row"),
        pytest.param([{"resolved": False, "resolved_to": 0.98}], "unresolved", None, "not resolved", id="0.98 is a price"),
        pytest.param(
            [{"resolved": False, "resolved_to": 1.0}],
            "unresolved",
            None,
            "not resolved",
            id="1.0 is a price as long as it is open",
        ),
        pytest.param([{"resolved_to": 0.5}], "fifty_fifty", None, "fraction", id="a half"),
        pytest.param([{"resolved_to": 0.98}], "not_yes_no", None, "fraction", id="never rounded"),
        pytest.param([{"resolved_to": None}], "voided", None, "nullified", id="null"),
        pytest.param([{"resolution_date": "2026-03-01"}], "voided", None, "due date", id="by the due date"),
        pytest.param(
            [{"resolution_date": "2026-12-31"}],
            "contradictory",
            None,
            "after the resolution set was made",
            id="from the future",
        ),
        pytest.param([{"resolved_to": 1.0}, {"resolved_to": 0.0}], "contradictory", None, "disagree", id="two answers"),
        pytest.param([{}, {}], "resolved", 0, "", id="the same answer for several dates"),
    ],
)
def test_outcomes(tmp_path, rows, status, value, why):
    other = resolution(id="8", resolved=False, resolved_to=0.3, resolution_date="2026-08-20")  # dates the set
    read = round_of(tmp_path, [question(), question(id="8")], [*(resolution(**row) for row in rows), other])
    outcome = next(outcome for outcome in read.outcomes() if outcome.market_id.endswith(":7"))
    assert (outcome.status, outcome.value) == (status, value)
    assert why in outcome.reason
    assert (outcome.resolved_at is not None) == (status == "resolved")


def test_rows_of_data_series_and_combinations_are_not_looked_at(tmp_path):
    rows = [resolution(source="fred", id="DPRIME"), resolution(id=["7", "8"], direction=[1, -1]), resolution()]
    assert [outcome.status for outcome in round_of(tmp_path, [question()], rows).outcomes()] == ["resolved"]


@pytest.mark.parametrize(
    ("rows", "heads", "why"),
    [
        pytest.param([resolution(id="99")], {}, r"resolve no market question .*'99'", id="resolves what was not asked"),
        pytest.param(
            [], {"resolution_heads": {"question_set": "2025-10-26-llm.json"}}, "another round", id="another round's"
        ),
        pytest.param([], {"question_heads": {"forecast_due_date": "2025-10-26"}}, "another round", id="renamed"),
    ],
)
def test_files_that_do_not_belong_together_are_an_error(tmp_path, rows, heads, why):
    with pytest.raises(DataError, match=why):
        round_of(tmp_path, [question()], rows, **heads)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(resolution(resolved="yes"), id="resolved is text"),
        pytest.param(resolution(resolution_date="soon"), id="no date"),
        pytest.param(resolution(resolved_to="0.5"), id="a value that is text"),
    ],
)
def test_a_resolution_that_cannot_be_read_is_refused_and_its_neighbours_stay(tmp_path, row):
    made = round_of(tmp_path, [question(), question(id="8")], [row, resolution(id="8")])
    assert [(outcome.status, outcome.reason) for outcome in made.outcomes()] == [
        ("unresolved", "its row in the resolution set cannot be read"),
        ("resolved", ""),
    ]
    assert ["manifold:7" in refused.item for refused in made.refused] == [True]


@pytest.mark.parametrize(
    "row",
    [
        pytest.param("a text", id="no object"),
        pytest.param(question(source=["manifold"]), id="a source that is a list"),
        pytest.param(question(question="Will it? \ud83d".encode("utf-8", "surrogatepass")), id="half an emoji"),
        pytest.param(question(freeze_datetime="0001-01-01T00:00:00+14:00"), id="a time before all times"),
        pytest.param(question(question=1), id="a question that is a number"),
    ],
)
def test_a_question_that_cannot_be_read_is_refused_and_its_neighbours_stay(tmp_path, row):
    round_of(tmp_path, [question(), question(id="8")], [resolution(), resolution(id="8")])
    path = tmp_path / "question_sets" / f"{DUE}-llm.json"
    head = {"forecast_due_date": DUE, "question_set": f"{DUE}-llm.json"}
    if isinstance(row, dict) and isinstance(row["question"], bytes):
        row["question"] = row["question"].decode("utf-8", "surrogatepass")
    rows = [row, question(id="8"), *([] if isinstance(row, dict) and row["source"] == "manifold" else [question()])]
    path.write_text(json.dumps(head | {"questions": rows}))
    made = Round(tmp_path, DUE)
    assert "2026-03-01:manifold:8" in [market.id for market in made.markets()]
    assert len(made.refused) == 1


def test_a_git_lfs_pointer_says_what_it_is(tmp_path):
    round_of(tmp_path, [question()], [])
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    (tmp_path / "question_sets" / f"{DUE}-llm.json").write_bytes(pointer)
    with pytest.raises(DataError, match=r"Git LFS pointer.*git lfs pull"):
        Round(tmp_path, DUE)


def test_a_round_that_is_not_there_names_those_that_are(tmp_path):
    round_of(tmp_path, [question()], [])
    with pytest.raises(DataError, match=f"rounds here: {DUE}"):
        Round(tmp_path, "2020-01-01")


def test_a_damaged_file_is_named(tmp_path):
    round_of(tmp_path, [question()], [])
    path = tmp_path / "question_sets" / f"{DUE}-llm.json"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match=f"{path} is not JSON"):
        Round(tmp_path, DUE)
