"""What a person is shown of a prospective study: commands, report, certificate, comparison with a backtest, dashboard."""

import json
import shutil
from dataclasses import replace

import polars as pl
import pytest

from coordeval.agents.degraded import USUAL, Degraded
from coordeval.analysis.words.standing import ONE_LOOK
from coordeval.flows.certificate.certificate import certificate
from coordeval.flows.cli.ending import status_of
from coordeval.flows.cli.main import app
from coordeval.flows.compare.beside import beside
from coordeval.flows.dashboard import cells
from coordeval.flows.dashboard.facts import Facts
from coordeval.flows.dashboard.pages import compare, overview
from coordeval.flows.dashboard.pages.ahead import PAGE
from coordeval.flows.dashboard.pages.page import Asked
from coordeval.flows.dashboard.view import View
from coordeval.flows.monitor.record import record
from coordeval.flows.prospective.forecasting import forecast_open
from coordeval.flows.prospective.planted import Fault, Planted, Told, findings, model_of, planted
from coordeval.flows.prospective.resolving import resolve_and_score
from coordeval.flows.prospective.year import year
from coordeval.flows.run.scoring import score
from coordeval.ledger import Reader, read
from coordeval.ledger.database import connected
from coordeval.ledger.estimates import estimates_frame, openings_frame
from tests.flows.prospective.conftest import STUDY, day


@pytest.fixture
def coordeval(capsys, monkeypatch):
    for name in ("prospective.console", "prospective.errors", "main.console", "ending.errors"):
        monkeypatch.setattr(f"coordeval.flows.cli.{name}.width", 240)

    def ended(*arguments):
        capsys.readouterr()
        status = status_of(lambda: app([*map(str, arguments)], standalone_mode=False))
        return status, *capsys.readouterr()

    return ended


def test_the_first_minutes_as_the_docs_have_them(tmp_path, coordeval, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COORDEVAL_LEDGER", "l.duckdb")
    assert "coordeval forecast-open ahead.toml" in coordeval("study", "new", "ahead.toml", "--open")[1]
    text = (
        (tmp_path / "ahead.toml")
        .read_text()
        .replace("per_day = 5", "per_day = 1")
        .replace("replicates = 2", "replicates = 1")
    )
    (tmp_path / "ahead.toml").write_text(text)
    status, out, _ = coordeval("forecast-open", "ahead.toml", "--now", "2026-01-01", "--json")
    made = json.loads(out)
    assert (status, made["status"], made["picked"], made["simulated"]) == (0, "complete", 1, True)
    status, out, _ = coordeval("forecast-open", "ahead.toml", "--now", "2026-01-01T18:00Z")
    assert status == 0
    assert f"done before, 1 markets; root {made['root']}" in out
    status, out, _ = coordeval("resolve", "ahead.toml", "--now", "2026-03-01")
    assert status == 0
    assert "SIMULATED: 2026-03-01: of 1 markets 1 resolved and scored" in out
    assert "single_agent: Brier score 0." in out
    assert made["root"] in coordeval("commitment", "ahead")[1]
    [forecast] = read("l.duckdb").query("SELECT forecast_id FROM forecasts LIMIT 1")["forecast_id"]
    (tmp_path / "proof.json").write_text(coordeval("commitment", forecast, "--json")[1])
    assert "the proof holds" in coordeval("commitment", "verify", "proof.json", "--root", made["root"])[1]
    status, _, err = coordeval("commitment", "verify", "proof.json", "--root", "0" * 64)
    assert (status, "of another tree" in err) == (1, True)
    proof = json.loads((tmp_path / "proof.json").read_text())
    (tmp_path / "proof.json").write_text(json.dumps(proof | {"leaf": proof["leaf"].replace("answered", "Answered")}))
    status, _, err = coordeval("commitment", "verify", "proof.json")
    assert (status, "one of them was altered" in err) == (1, True)
    assert {"complete", "done"} <= {row["status"] for row in json.loads(coordeval("runs", "--json")[1])}  # run, and days


def test_a_row_that_says_otherwise_than_its_leaf_ends_the_command_with_an_error(study, ledger, coordeval):
    forecast_open(study, ledger, now=day(0))
    with connected(ledger) as con:
        con.execute("UPDATE forecasts SET probability = 0.999 WHERE configuration = 'single_agent'")
    status, _, err = coordeval("commitment", "ahead", "--ledger", ledger)
    assert (status, "2 forecasts say otherwise than what was committed to" in err) == (1, True)


def test_the_report_says_prospective_and_gives_the_intervals_that_hold_at_any_time(fortnight):
    path, ledger = fortnight
    resolve_and_score(path, ledger, now=day(23))
    report = score(ledger, "ahead")
    [mark] = [mark for mark in report.standing.marks if mark.name == "prospective"]
    assert mark.label == "PROSPECTIVE"
    assert "on 14 days from 2026-01-01 to 2026-01-15" in mark.sentence
    assert "hold at any time" in mark.sentence
    assert mark.sentence.endswith(ONE_LOOK), "the intervals of the tables are of another kind, and that is said"
    row = report.diagnostics.sequences.table.filter(first="market price", second="single_agent")
    row = row if row.height else report.diagnostics.sequences.table.filter(second="market price")
    assert f"{row['n_events'][0]} events" in mark.sentence
    assert mark.sentence in report.html().replace("&#39;", "'")
    assert report.results()["study"]["ahead"]["days"] == 14


def test_a_certificate_says_which_root_and_whether_it_was_there_before_the_outcome(study, ledger):
    forecast_open(study, ledger, now=day(0))
    reader = read(ledger)
    [forecast] = reader.query("SELECT forecast_id FROM forecasts WHERE configuration = 'single_agent' LIMIT 1")[
        "forecast_id"
    ]
    found = certificate(reader, forecast)
    assert (found.commitment.day, found.commitment.committed_at) == ("2026-01-01", day(0))
    assert "no outcome is known yet" in found.checks[-1].detail
    resolve_and_score(study, ledger, now=day(60))
    found = certificate(reader, forecast)
    assert found.commitment.committed_at < found.commitment.outcome_known_at
    assert found.checks[-1].status == "passed"
    with connected(ledger) as con:
        con.execute("UPDATE forecasts SET probability = 0.5 WHERE forecast_id = ?", [forecast])
    assert certificate(reader, forecast).checks[-1].status == "failed"


@pytest.mark.proof
def test_a_backtest_stands_beside_forecasts_made_ahead_with_what_differs(fortnight, tmp_path, coordeval):
    path, shared = fortnight
    ledger = tmp_path / shared.name
    shutil.copy(shared, ledger)
    resolve_and_score(path, ledger, now=day(23))
    back = tmp_path / "back.toml"
    text = STUDY.replace('"ahead"', '"back"').replace('"open"', '"simulated"\ncount = 20')
    back.write_text(text.replace('venue = "simulated"\nper_day = 2\n', ""))
    assert coordeval("run", back, "--inline", "--ledger", ledger)[0] == 0
    found = beside(read(ledger), "ahead", "back")
    [row] = found.rows
    assert (row.configuration, found.backtest, found.ahead) == ("single_agent", "back", "ahead")
    assert row.gap == pytest.approx(row.ahead - row.backtest)
    assert row.gap_low <= row.gap <= row.gap_high
    assert any(said.startswith("when: ") for said in found.differs)
    status, out, _ = coordeval("compare", "back", "ahead", "--ledger", ledger)
    assert status == 0
    assert "back (backtest) / ahead (before the outcomes)" in out
    assert json.loads(coordeval("compare", "ahead", "back", "--json", "--ledger", ledger)[1])["rows"][0]["gap"] == row.gap
    facts = Facts(ledger)
    try:
        shown = str(compare.PAGE.layout(Asked(View(study="ahead", other=found.study_ids[0]), facts, dark=False)))
    finally:
        facts.close()
    for words in ("back (backtest) beside ahead (before the outcomes)", found.answer, *found.differs, "SIMULATED"):
        assert words in shown


def test_the_dashboard_lists_days_roots_and_what_waits(fortnight):
    _, ledger = fortnight
    facts = Facts(ledger)
    try:
        shown = str(PAGE.layout(Asked(View(study="ahead"), facts, dark=False)))
        first = str(overview.PAGE.layout(Asked(View(study="ahead"), facts, dark=False)))
    finally:
        facts.close()
    root = read(ledger).query("SELECT arg_max(root, day) FROM forecast_days").item()
    for words in (root, "2026-01-15", "Awaiting their outcome", "1 missed", "missed day"):
        assert words in shown
    assert ONE_LOOK in first


def test_the_monitor_scores_only_what_was_committed_to_before_the_outcome(fortnight, tmp_path):
    path, shared = fortnight
    ledger = tmp_path / shared.name
    shutil.copy(shared, ledger)
    resolve_and_score(path, ledger, now=day(40))

    def scored():
        reader = read(ledger)
        frame = record(reader, reader.study("ahead"), now=day(41)).frame
        return frame.filter(pl.col("brier").is_not_null())["forecast_id"].to_list()

    before = scored()
    late = read(ledger).query("SELECT forecast_id FROM commitment_leaves WHERE day = '2026-01-02'")["forecast_id"].to_list()
    assert set(late) & set(before)
    with connected(ledger) as con:
        con.execute("UPDATE forecast_days SET committed_at = TIMESTAMPTZ '2026-03-01 00:00+00' WHERE day = '2026-01-02'")
    assert scored() == [one for one in before if one not in late]
    markets = read(ledger).query("SELECT market_id FROM picks WHERE day = '2026-01-02'")["market_id"].to_list()
    for frame in (estimates_frame, openings_frame, Reader.forecast_frame):
        known = frame(read(ledger), "ahead").filter(pl.col("outcome").is_not_null())["market_id"].unique().to_list()
        assert known
        assert not set(known) & set(markets), frame.__name__
    study = read(ledger).study("ahead").study_id
    assert cells.load(read(ledger), study)["outcome"].is_not_null().sum() == 2 * len(scored()), "and the market's own price"


@pytest.mark.proof
def test_days_one_after_the_other_lose_and_double_nothing(tmp_path):
    found = year(tmp_path, days=10, missed=(4,))
    assert found.problems == ()
    assert (found.forecast, found.missed, found.picked, found.roots) == (9, 1, 18, 9)
    assert found.picked == found.scored + found.awaiting + sum(found.not_scored.values())
    assert found.forecasts == 18 * 4
    assert found.alarms == ()


@pytest.mark.proof  # by simulated signals it is in test_years
def test_two_months_in_which_agents_degrade_half_way_and_the_monitor_says_since_when(tmp_path):
    copying = replace(USUAL, herding=1.0, conformity=0.0, revision_noise=0.0)
    worse = Fault(
        name="copies, by another model",
        model=Degraded(copying, served="simulated-forecaster-2"),
        shows=frozenset({"other_model"}),
    )
    found = year(tmp_path, days=54, plan=[Planted(fault=worse, first=36, last=53)])
    assert found.problems == ()
    told = {(one.configuration, one.signal): one for one in found.alarms}
    asking = ("single_agent", "peer_critique_debate", "consensus_alignment")
    assert {(name, "other_model") for name in asking} <= set(told), "each of them is told of"
    assert ("peer_critique_debate", "influence") in told, "copying is in no single agent's output"
    assert all(one.raised >= 36 for one in told.values()), "before that nothing was wrong, and it was silent"
    assert max(abs(told[name, "other_model"].since - 36) for name in asking) <= 5, "since when, within days"
    assert found.found[0].delay <= 14


def test_what_the_monitor_says_is_held_against_what_was_planted():
    plan = planted(200)
    assert [(one.first, one.last) for one in plan] == [(60, 99), (120, 159)]
    assert [model_of(plan, day) is None for day in (59, 60, 99, 100, 120)] == [True, False, False, True, False]

    def alarm(signal, since, raised):
        return Told(configuration="debate", signal=signal, kind="leaf", since=since, raised=raised, state="open")

    told = [alarm("length", 30, 40), alarm("empty_results", 55, 66), alarm("spread", 62, 64), alarm("length", 59, 110)]
    found, unexplained = findings(plan, told)
    assert [one.delay for one in found] == [7, None], "the signal that has to show it, from the first bad day on"
    assert [len(one.told) for one in found] == [3, 0]
    assert unexplained == (told[0],)
    assert "NOT FOUND" in found[1].line()
