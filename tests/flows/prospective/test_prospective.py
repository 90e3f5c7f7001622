"""Forecasts made before the outcome: committed to, never changed, scored once; a clock that runs back stops everything."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import polars as pl
import pytest

from coordeval.agents.simulated import SimulatedModel
from coordeval.flows.prospective import ground, resolving
from coordeval.flows.prospective.committing import changed_since
from coordeval.flows.prospective.forecasting import forecast_open, missed_days
from coordeval.flows.prospective.ground import ProspectiveError
from coordeval.flows.prospective.resolving import resolve_and_score
from coordeval.flows.run.scoring import score
from coordeval.flows.study.reading import StudyError
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, read
from coordeval.ledger.commitments import day_proof, day_roots, proof_of, verify
from coordeval.ledger.database import connected
from coordeval.ledger.reader import TOO_LATE
from coordeval.market_data.open_world import SimulatedVenue
from coordeval.market_data.opening import Ending, SimulatedOpen
from coordeval.market_data.types import Outcome
from tests.flows.prospective.conftest import STUDY, day, written


def changed(venue, **answers):
    """The simulated venue, with other endings for some markets; a callable of (market id, moment)."""

    class Other(SimulatedOpen):
        async def endings(self, facts, at):
            found = await super().endings(facts, at)
            return {one: answers["of"](one, at) or ending for one, ending in found.items()}

    return Other(venue)


@pytest.fixture
def endings(monkeypatch):
    """Set `.of` to say otherwise than the venue how a market stands."""

    class Said:
        of = staticmethod(lambda market_id, at: None)

    said = Said()
    monkeypatch.setattr(ground, "SimulatedOpen", lambda venue: changed(venue, of=said.of))
    return said


def findings(ledger):
    return read(ledger).query("SELECT kind, detail FROM findings ORDER BY created_at, kind")


def test_a_day_is_forecast_committed_to_and_the_same_again_asks_nothing(study, ledger, monkeypatch):
    first = forecast_open(study, ledger, now=day(0))
    assert (first.status, first.picked, first.answered, first.made, first.simulated) == ("complete", 2, 4, 4, True)
    stored = read(ledger).query("FROM forecasts ORDER BY forecast_id")
    monkeypatch.setattr(SimulatedModel, "complete", None)  # asking anything would fail
    again = forecast_open(study, ledger, now=day(0, hours=3))
    assert (again.status, again.made, again.root) == ("done before", 0, first.root)
    assert read(ledger).query("FROM forecasts ORDER BY forecast_id").equals(stored)


def test_nothing_later_than_the_moment_of_asking_is_seen_and_no_outcome_is_there(study, ledger):
    forecast_open(study, ledger, now=day(0))
    reader = read(ledger)
    cells = reader.query("SELECT DISTINCT as_of FROM cells")["as_of"].to_list()
    assert cells == [day(0)]
    assert reader.query("SELECT max(knowable_at) FROM prices").item() <= day(0)
    assert reader.query("SELECT DISTINCT status FROM outcomes").item() == "unresolved"
    assert reader.query("SELECT DISTINCT created_at FROM forecasts").item() == day(0)  # the world's clock


def test_each_market_and_event_is_forecast_once_and_every_other_market_is_accounted_for(fortnight):
    _, ledger = fortnight
    reader = read(ledger)
    late = "SELECT count(*), count(*) FILTER (knowable_at > as_of) FROM documents JOIN picks USING (market_id)"
    shown, later = reader.query(late).row(0)
    assert (shown > 50, later) == (True, 0)
    picks = reader.query("SELECT * FROM picks JOIN markets USING (market_id)")
    assert picks["event_id"].n_unique() == picks.height == 2 * 14
    assert (picks["closes_at"] - picks["as_of"]).min() >= timedelta(days=7)
    assert (picks["closes_at"] - picks["as_of"]).max() < timedelta(days=30)
    for row in day_roots(reader, load_study(fortnight[0]).id):
        assert row["listed"] == row["picked"] + sum(row["left_out"].values())


def test_every_forecast_has_a_proof_and_every_root_holds_the_one_before(fortnight):
    path, ledger = fortnight
    reader, study_id = read(ledger), load_study(path).id
    days = day_roots(reader, study_id)
    previous = None
    for row in days:
        head = verify(day_proof(reader, study_id, row["day"]))
        assert (head["previous"], head["day"], head["cells"]) == (previous, row["day"], row["size"] - 1)
        previous = row["root"]
    for stored in reader.query("FROM forecasts ORDER BY forecast_id LIMIT 5").to_dicts():
        proof = proof_of(reader, stored["forecast_id"])
        assert proof["root"] in {row["root"] for row in days}
        assert verify(orjson.loads(orjson.dumps(proof)))["probability"] == stored["probability"]
    assert not changed_since(reader, study_id)


def test_what_has_resolved_is_scored_and_the_rest_awaits_its_outcome(fortnight):
    path, ledger = fortnight
    found = resolve_and_score(path, ledger, now=day(23))
    assert found.picked == found.scored + found.awaiting + sum(found.not_scored.values())
    assert found.scored > 5
    assert not found.not_scored
    frame = read(ledger).forecast_frame("ahead")
    resolved = frame.filter(frame["outcome"].is_not_null())
    venue = SimulatedVenue(1)
    for market_id, outcome in resolved.select("market_id", "outcome").iter_rows():
        assert venue.outcome(market_id, day(24)).value == outcome
    own = resolved.filter(resolved["configuration"] == "single_agent")
    assert found.brier["single_agent"] == pytest.approx(((own["probability"] - own["outcome"]) ** 2).mean())
    report = score(ledger, "ahead")
    assert report.study["source"] == "open"


def test_a_missed_day_is_stated_and_never_forecast_afterwards(fortnight):
    path, ledger = fortnight
    days = [row["day"] for row in day_roots(read(ledger), load_study(path).id)]
    assert missed_days(days, "2026-01-16") == ("2026-01-04",)
    assert (
        read(ledger).query("SELECT status FROM days WHERE job = 'forecast-open' AND day = '2026-01-04'").item() == "missed"
    )
    about = findings(ledger).filter(pl.col("detail").str.contains("2026-01-04", literal=True))
    assert about["kind"].to_list() == ["missed day"], "it is told once, not as a day of the study and as a day of the job"
    assert findings(ledger)["kind"].str.contains("day missed").sum() == 0, "other days made up for those of the other step"
    with pytest.raises(ProspectiveError, match="a clock runs back"):
        forecast_open(path, ledger, now=day(3))
    assert "clocks disagree" in findings(ledger)["kind"]
    assert [row["day"] for row in day_roots(read(ledger), load_study(path).id)] == days


def test_a_step_that_broke_goes_on_with_the_same_markets_as_of_the_same_moment(study, ledger, monkeypatch):
    whole = SimulatedModel.complete
    calls = 0

    async def breaks(self, request, slot):
        nonlocal calls
        calls += 1
        if calls > 2:
            raise OSError(28, "No space left on device")
        return await whole(self, request, slot)

    monkeypatch.setattr(SimulatedModel, "complete", breaks)
    first = forecast_open(study, ledger, now=day(0))
    assert (first.status, first.root) == ("incomplete", None)
    assert first.open + first.failed > 0
    picked = read(ledger).query("FROM picks ORDER BY market_id")
    monkeypatch.setattr(SimulatedModel, "complete", whole)
    second = forecast_open(study, ledger, now=day(0, hours=5))
    assert (second.status, second.answered) == ("complete", 4)
    assert read(ledger).query("FROM picks ORDER BY market_id").equals(picked)
    assert second.committed_at == day(0, hours=5)


def test_what_a_day_left_open_is_committed_to_as_open_with_the_next_day_and_stays_so(study, ledger, monkeypatch):
    whole = SimulatedModel.complete

    async def down(self, request, slot):
        raise OSError("the model is down")

    monkeypatch.setattr(SimulatedModel, "complete", down)
    forecast_open(study, ledger, now=day(0))
    monkeypatch.setattr(SimulatedModel, "complete", whole)
    second = forecast_open(study, ledger, now=day(1))
    assert second.status == "complete"
    assert "committed late" in findings(ledger)["kind"]
    [first, _] = day_roots(read(ledger), second.study_id)
    assert first["committed_at"] == day(1)
    assert first["root"] is not None
    failed = read(ledger).query("SELECT forecast_id FROM forecasts WHERE status = 'failed'")["forecast_id"].to_list()
    assert len(failed) == 2
    with Ledger.open(ledger, purpose="a test") as opened:  # nobody asks for them again
        assert opened.known_forecasts(failed) == dict.fromkeys(failed, ("failed", False))


@pytest.mark.parametrize(
    ("ending", "kind", "words"),
    [
        (Outcome(market_id="m", status="voided", value=None, resolved_at=day(9), reason="cancelled"), None, "voided"),
        (
            Outcome(market_id="m", status="resolved", value=1, resolved_at=day(-1)),
            "resolved during the forecast",
            "before they",
        ),
        (
            Outcome(market_id="m", status="resolved", value=1, resolved_at=day(0)),
            "resolved during the forecast",
            "before they",
        ),
        (Outcome(market_id="m", status="resolved", value=1, resolved_at=day(99)), "clocks disagree", ""),
    ],
    ids=["voided", "resolved before it was forecast", "in the same second", "resolved in the future"],
)
def test_an_odd_ending_has_a_clear_state_and_a_finding(study, ledger, endings, ending, kind, words):
    forecast_open(study, ledger, now=day(0))
    endings.of = lambda one, at: Ending(outcome=replace(ending, market_id=one))
    found = resolve_and_score(study, ledger, now=day(10))
    if words:
        assert [(words in reason, count) for reason, count in found.not_scored.items()] == [(True, 2)]
        assert (found.scored, found.brier) == (0, {})
        frame = read(ledger).forecast_frame("ahead")
        assert frame["outcome"].is_null().all()
        assert set(frame["outcome_status"]) == {TOO_LATE if kind else "voided"}
    if kind:
        assert findings(ledger)["kind"].to_list() == [kind] * 2
    assert resolve_and_score(study, ledger, now=day(10)).notes == ()  # told once
    assert read(ledger).query("SELECT count(*) FROM outcomes").item() == 4


def test_a_market_that_is_unresolved_again_or_deleted_is_no_longer_scored_and_nothing_is_lost(study, ledger, endings):
    forecast_open(study, ledger, now=day(0))
    [first, second] = read(ledger).query("SELECT market_id FROM picks ORDER BY 1")["market_id"].to_list()
    resolved = {one: Outcome(market_id=one, status="resolved", value=1, resolved_at=day(9)) for one in (first, second)}
    endings.of = lambda one, at: Ending(outcome=resolved[one])
    assert resolve_and_score(study, ledger, now=day(10)).scored == 2
    back = {one: Outcome(market_id=one, status="unresolved", value=None, resolved_at=None, reason="r") for one in resolved}
    endings.of = lambda one, at: Ending(outcome=back[one], gone=one == second)
    found = resolve_and_score(study, ledger, now=day(11))
    assert (found.scored, found.awaiting, len(found.notes)) == (0, 2, 2)
    assert sorted(findings(ledger)["kind"]) == ["deleted", "un-resolved"]
    assert read(ledger).query("SELECT count(*) FROM forecasts WHERE status = 'answered'").item() == 4
    endings.of = lambda one, at: Ending(outcome=replace(resolved[one], value=0))
    again = resolve_and_score(study, ledger, now=day(12))
    assert (again.scored, again.awaiting) == (2, 0)
    assert read(ledger).query("SELECT count(*) FROM outcomes WHERE market_id = ?", [first]).item() == 4  # each is dated


def test_a_resolution_is_asked_for_again_for_two_weeks_and_then_rests(study, ledger, endings):
    forecast_open(study, ledger, now=day(0))
    endings.of = lambda one, at: Ending(outcome=Outcome(market_id=one, status="resolved", value=1, resolved_at=day(9)))
    assert [resolve_and_score(study, ledger, now=day(n)).asked for n in (10, 20, 25)] == [2, 2, 0]


def test_a_market_without_an_outcome_long_after_its_deadline_is_a_finding(study, ledger, endings):
    forecast_open(study, ledger, now=day(0))
    endings.of = lambda one, at: Ending(
        outcome=Outcome(market_id=one, status="disputed", value=None, resolved_at=None, reason="disputed")
    )
    assert resolve_and_score(study, ledger, now=day(20)).overdue == 0
    assert resolve_and_score(study, ledger, now=day(90)).overdue == 2
    assert findings(ledger)["kind"].to_list() == ["overdue"] * 2


def test_a_hand_in_the_file_is_found(study, ledger):
    found = forecast_open(study, ledger, now=day(0))
    with connected(ledger) as con:
        con.execute("UPDATE forecasts SET probability = 0.999 WHERE configuration = 'single_agent'")
    rows = changed_since(read(ledger), found.study_id)
    assert [row["probability"] for row in rows] == [0.999] * 2


def test_a_forecast_that_was_committed_to_stays_whatever_is_stored_later(study, ledger):
    forecast_open(study, ledger, now=day(0))
    row = read(ledger).query("FROM forecasts LIMIT 1").to_dicts()[0]
    import asyncio

    from coordeval.ledger import CellRows

    with Ledger.open(ledger, purpose="a test") as opened:
        asyncio.run(opened.put_cell(CellRows(forecast=row | {"probability": 0.123})))
    kept = read(ledger).query("SELECT probability FROM forecasts WHERE forecast_id = ?", [row["forecast_id"]]).item()
    assert kept == row["probability"]


def test_a_day_without_an_eligible_market_is_committed_to_as_empty(tmp_path, ledger):
    path = written(tmp_path, STUDY.replace("per_day = 2", "min_volume = 1"))
    found = forecast_open(path, ledger, now=day(0))
    assert (found.status, found.picked, next(iter(found.left_out))) == ("nothing to forecast", 0, "volume not stated")
    assert verify(day_proof(read(ledger), found.study_id, found.day))["cells"] == 0


@pytest.mark.proof
def test_the_same_days_have_the_same_roots_in_another_ledger(study, tmp_path):
    roots = [forecast_open(study, tmp_path / name / "l.duckdb", now=day(0)).root for name in ("a", "b")]
    assert roots[0] == roots[1] is not None


def test_a_study_of_open_markets_is_not_run_as_a_backtest(study):
    with pytest.raises(StudyError, match="coordeval forecast-open"):
        load_study(study).study.check_backtest()


def test_a_real_venue_is_forecast_as_of_the_present_and_no_other_time(tmp_path):
    path = written(tmp_path, STUDY.replace('venue = "simulated"', 'venue = "polymarket"'))
    for now in (datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(days=1)):
        with pytest.raises(ProspectiveError, match="as of the present and of no other time"):
            forecast_open(path, tmp_path / "l.duckdb", now=now)
        with pytest.raises(ProspectiveError, match="as of the present and of no other time"):
            resolve_and_score(path, tmp_path / "l.duckdb", now=now)
    assert not (tmp_path / "l.duckdb").exists()


def test_recheck_is_what_the_docs_say():
    assert (timedelta(days=14), timedelta(days=30)) == (resolving.RECHECK, resolving.OVERDUE)
