"""Agents degrade in a planted way, in real runs on the simulated model: the monitor says what, and only that."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from plotly.utils import PlotlyJSONEncoder

from coordeval.agents.messages import Reply, Request, Slot
from coordeval.agents.simulated import SimulatedModel, SimulatedParameters
from coordeval.analysis.monitor import BY_NAME
from coordeval.flows.dashboard.app import rendered
from coordeval.flows.dashboard.facts import Facts
from coordeval.flows.monitor import acknowledge, look, watch
from coordeval.flows.run import guard
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import Evaluation
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, LedgerLocked, read
from coordeval.market_data.errors import CoordevalError

STUDY = """
name = "live"
replicates = 1
configurations = [
    { name = "peer_critique_debate", agents = 2, rounds = 1 },
    { name = "consensus_alignment", agents = 2, rounds = 6 },
]
[markets]
source = "simulated"
count = 75
[model]
provider = "simulated"
"""
WELL = 50
"""Markets that are forecast before anything degrades."""
NOW = datetime(2027, 1, 1, tzinfo=UTC)
USUAL = SimulatedParameters()


class Degraded:
    """The simulated model, whose agents, tools or endpoint have changed without a word: its identity is the same."""

    def __init__(self, parameters: SimulatedParameters = USUAL, served: str | None = None, blind: bool = False) -> None:
        self.model, self.served, self.blind = SimulatedModel(parameters), served, blind

    @property
    def identity(self) -> Mapping[str, Any]:
        return SimulatedModel(USUAL).identity

    async def complete(self, request: Request, slot: Slot) -> Reply:
        reply = await self.model.complete(request, slot)
        content = list(reply.content)
        if self.blind:  # what it searches for is found nowhere: the tool answers, and returns nothing
            content = [
                block | {"input": {"query": "zzzz"}} if block.get("name") == "search_evidence" else block
                for block in content
            ]
        return replace(reply, content=content, model=self.served or reply.model)


DEGRADED = {
    "nothing": Degraded(),
    "a tool that returns nothing": Degraded(blind=True),
    "agents that copy": Degraded(replace(USUAL, herding=1.0, conformity=0.0, revision_noise=0.0)),
    "another model": Degraded(served="simulated-forecaster-2"),
    "longer paths": Degraded(replace(USUAL, herding=0.05, conformity=0.0, private_noise=2.5)),
}


def carry_on(folder: Path, model: Any, markets: int | None) -> Path:
    """Runs the study, or what is left of it, on its first `markets`."""
    (folder / "live.toml").write_text(STUDY)
    loaded, path = load_study(folder / "live.toml"), folder / "ledger.duckdb"
    with Ledger.open(path, purpose="test") as ledger:
        evaluation = Evaluation.start(loaded, path, ledger, model)
        made = plan(evaluation, pull(evaluation))
        wanted = sorted({cell.view.market.id for cell in made.cells})[:markets]
        cells = [cell for chunk in made.chunks for cell in chunk if cell.view.market.id in wanted]
        guard.run(run_chunks(evaluation, [cells]))
        ledger.write("runs", [evaluation.run_row("complete")])
    return path


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory) -> dict[str, Path]:
    well = tmp_path_factory.mktemp("well")
    carry_on(well, Degraded(), WELL)
    made = {}
    for how, model in DEGRADED.items():
        folder = tmp_path_factory.mktemp("degraded")
        shutil.copy(well / "ledger.duckdb", folder)
        made[how] = carry_on(folder, model, None)
    return made


SHOWN = {  # configuration and signal that must be told
    "a tool that returns nothing": {("peer_critique_debate", "empty_results"), ("consensus_alignment", "empty_results")},
    "agents that copy": {("peer_critique_debate", "influence")},
    "another model": {("peer_critique_debate", "other_model"), ("consensus_alignment", "other_model")},
    "longer paths": {("consensus_alignment", "path"), ("consensus_alignment", "rounds")},
}


def told(ledger: Path, **options: Any) -> tuple[list[str], Any]:
    lines: list[str] = []
    (seen,) = watch(ledger, study="live", now=NOW, say=lines.append, **options)
    return lines, seen


@pytest.mark.proof  # a steady year is silent in test_years
def test_a_study_that_does_not_degrade_is_silent(ledgers):
    lines, seen = told(ledgers["nothing"])
    assert lines == ["live: 0 open alarms in 44 signals, up to 75 blocks of each"]
    assert seen.events() == []


@pytest.mark.parametrize("how", SHOWN)
def test_what_degrades_is_told_with_the_block_in_which_it_began(ledgers, how):
    _, seen = told(ledgers[how])
    alarms = {(kept.alarm.configuration, kept.alarm.signal): kept.alarm for kept in seen.alarms}
    assert SHOWN[how] <= set(alarms)
    for key in SHOWN[how]:
        assert abs(alarms[key].since - WELL) <= 3
    assert all(alarm.since >= WELL - 5 for alarm in alarms.values()), "nothing was wrong before"


def test_copying_is_seen_in_no_single_agent(ledgers):
    lines, seen = told(ledgers["agents that copy"], baseline=30)
    assert all(kept.alarm.kind == "joint" and kept.alarm.alone for kept in seen.alarms)
    assert any("No signal of a single agent's output showed it" in line for line in lines) or not seen.new


@pytest.fixture
def copied(ledgers, tmp_path) -> Path:
    """A ledger of its own in which agents copy, not looked at yet."""
    path = tmp_path / "ledger.duckdb"
    shutil.copy(ledgers["agents that copy"], path)
    with duckdb.connect(path) as con:
        con.execute("DELETE FROM findings")
    return path


def findings(path: Path) -> list[dict[str, Any]]:
    return read(path).query("SELECT * FROM findings").to_dicts()


def test_an_alarm_is_a_finding_with_its_rows_and_an_event_and_is_told_once(copied):
    lines, seen = told(copied)
    [row] = findings(copied)
    detail = json.loads(row["detail"])
    assert (row["kind"], row["severity"], row["created_at"]) == ("monitor_alarm", "alarm", NOW)
    assert lines[0].startswith(
        f"ALARM {row['finding_id'][:8]}: peer_critique_debate: share of the way that agents move to peers"
    )
    known = read(copied).query("SELECT forecast_id FROM forecasts WHERE configuration = 'peer_critique_debate'")
    assert set(detail["forecasts"]) <= set(known["forecast_id"])
    assert detail["forecasts"]
    [event] = seen.events()
    assert event["event"] == "coordeval.monitor.alarm"
    assert event["payload"]["finding_id"] == row["finding_id"]
    assert set(event) == {"event", "resource", "payload"}

    again, seen = told(copied)
    assert again == ["live: 1 open alarm in 44 signals, up to 75 blocks of each"]
    assert (seen.events(), findings(copied)) == ([], [row])
    longer, _ = told(copied, baseline=30)  # another way to look at the same change
    assert len(longer) == 1


def test_the_dashboard_marks_the_alarm_and_leads_to_the_forecasts_behind_it(copied):
    _, seen = told(copied)
    [kept] = seen.alarms
    facts = Facts(copied)
    page = rendered("/monitor", "", facts, dark=False, command="coordeval dashboard")
    facts.close()
    text = json.dumps(page, cls=PlotlyJSONEncoder, ensure_ascii=False)
    assert "What no single agent's output showed: peer_critique_debate (influence)." in text
    assert f"/forecast?forecast={kept.alarm.forecasts[0]}" in text
    assert [name for name in BY_NAME if f'"monitor-{name}"' in text] == list(BY_NAME)
    assert text.count('"symbol": "x"') == 1, "one mark, on the chart of its signal"


def test_an_acknowledged_alarm_is_open_no_more_and_its_signal_starts_over(copied):
    told(copied)
    [row] = findings(copied)
    kept = acknowledge(copied, row["finding_id"][:8], note="the prompt of critics was changed on purpose")
    assert (kept.alarm.state, findings(copied)[0]["severity"]) == ("acknowledged", "note")
    lines, seen = told(copied)
    assert lines == ["live: 0 open alarms in 43 signals, up to 75 blocks of each; 1 signal not watched"]
    assert [found.note for found in seen.alarms] == ["the prompt of critics was changed on purpose"]
    with pytest.raises(CoordevalError, match="is acknowledged already"):
        acknowledge(copied, row["finding_id"])


@pytest.mark.parametrize("finding", ["", "ffffffff", "%"])
def test_an_alarm_that_there_is_not_is_not_acknowledged(copied, finding):
    with pytest.raises(CoordevalError, match="there is no such alarm"):
        acknowledge(copied, finding)


def test_while_a_run_writes_nothing_is_stored_and_the_next_look_finds_the_same(copied):
    with Ledger.open(copied, purpose="a run"), pytest.raises(LedgerLocked):
        told(copied)
    assert findings(copied) == []
    assert len(told(copied)[1].new) == 1


def test_an_alarm_whose_signal_came_back_is_said_to_be_over_once(copied):
    told(copied)
    with duckdb.connect(copied) as con:  # a longer study: the blocks from before it began come again at its end
        con.execute(
            "CREATE TEMP TABLE more AS SELECT *, 'again-' || forecast_id AS id FROM cells "
            "WHERE configuration = 'peer_critique_debate' ORDER BY market_id LIMIT 40"
        )
        for table in ("forecasts", "calls", "estimates", "tool_calls"):
            more = f"SELECT t.* REPLACE (m.id AS forecast_id) FROM {table} t JOIN more m USING (forecast_id)"
            con.execute(f"INSERT INTO {table} BY NAME {more}")
        more = "SELECT * EXCLUDE (id) REPLACE ('x' || market_id AS market_id, id AS forecast_id) FROM more"
        con.execute(f"INSERT INTO cells BY NAME {more}")
    lines, _ = told(copied)
    assert [line.partition(" ")[0] for line in lines if "peer_critique_debate: share of the way" in line] == ["over"]
    assert "it was back after block" in lines[0]
    assert {row["severity"] for row in findings(copied) if "influence" in row["detail"]} == {"note"}
    assert not [line for line in told(copied)[0] if line.startswith("over")]


def test_a_cell_that_is_not_made_ends_what_is_judged_so_that_slow_markets_are_not_left_out(copied):
    one = read(copied).query(
        "SELECT forecast_id FROM cells WHERE configuration = 'peer_critique_debate' ORDER BY rowid LIMIT 1 OFFSET 59"
    ).item()  # fmt: skip
    with duckdb.connect(copied) as con:
        con.execute("DELETE FROM forecasts WHERE forecast_id = ?", [one])
    streams = told(copied)[1].found.streams
    assert streams.filter(configuration="peer_critique_debate", signal="path")["periods"].to_list() == [59]
    assert streams.filter(configuration="consensus_alignment", signal="path")["periods"].to_list() == [75]


@pytest.fixture(scope="module")
def daily(ledgers, tmp_path_factory) -> Path:
    """The same as if one market had been forecast on each day from 2026-01-01 on, each resolved ten days later."""
    path = tmp_path_factory.mktemp("daily") / "ledger.duckdb"
    shutil.copy(ledgers["another model"], path)
    with duckdb.connect(path) as con:
        con.execute("DELETE FROM findings")
        con.execute(
            "CREATE TEMP TABLE day AS SELECT market_id, row_number() OVER (ORDER BY market_id) - 1 AS n FROM markets"
        )
        for table, column, first in (("cells", "as_of", "2026-01-01"), ("outcomes", "resolved_at", "2026-01-11")):
            con.execute(
                f"UPDATE {table} SET {column} = TIMESTAMPTZ '{first} 12:00+00' + to_days(n) FROM day "
                f"WHERE day.market_id = {table}.market_id"
            )
    return path


def test_days_are_judged_once_they_are_over_and_scores_once_outcomes_are_there(daily):
    def periods(now: datetime) -> dict[str, int]:
        seen = look(read(daily), read(daily).studies()["study_id"][0], now=now, by="day")
        rows = seen.found.streams.filter(configuration="peer_critique_debate")
        return {row["signal"]: row["periods"] for row in rows.to_dicts() if row["signal"] in ("path", "brier")}

    assert periods(datetime(2026, 2, 20, 23, 59, tzinfo=UTC)) == {"path": 50, "brier": 40}
    assert periods(datetime(2026, 2, 21, 0, 1, tzinfo=UTC)) == {"path": 51, "brier": 41}
    assert periods(NOW) == {"path": 75, "brier": 74}  # of one day the only forecast failed


def test_an_alarm_of_days_names_the_day(daily):
    _, seen = told(daily, by="day")
    assert {kept.as_json()["since_period"] for kept in seen.alarms if kept.alarm.signal == "other_model"} == {"2026-02-20"}


LAST = (date(2026, 3, 16) - date(1970, 1, 1)).days


@pytest.mark.parametrize(
    ("by", "baseline", "words"),
    [
        ("block", 75, "a baseline of 75 blocks leaves nothing to watch: the study has 75 complete blocks"),
        ("day", 400, "the study has 75 complete days (2026-01-01 to 2026-03-16); give a shorter one"),
        ("day", 3, "a baseline of 3 days is too short: give 8 or more"),
        ("block", (LAST - 30, LAST), "for days"),
        ("day", (LAST - 9, LAST - 20), "ends before it begins"),
        ("day", (LAST - 4000, LAST - 3900), "holds 0 days of it"),
        ("day", (LAST - 40, LAST), "leaves nothing to watch"),
        ("day", (LAST - 40, LAST + 500), "leaves nothing to watch"),
    ],
)
def test_a_baseline_that_leaves_nothing_to_compare_is_refused(daily, by, baseline, words):
    with pytest.raises(CoordevalError) as refused:
        told(daily, by=by, baseline=baseline)
    assert words in str(refused.value)
