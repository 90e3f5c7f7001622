"""The page Schedule: what the ledger says of its jobs' days, whoever wrote the reasons."""

import json
from datetime import UTC, datetime, timedelta

import duckdb
from plotly.utils import PlotlyJSONEncoder

from coordeval.flows.dashboard.app import rendered
from coordeval.flows.dashboard.facts import Facts
from coordeval.flows.schedule.days import claim, miss
from coordeval.ledger import Ledger

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def said(path):
    facts = Facts(path)
    try:
        return json.dumps(
            rendered("/schedule", "", facts, dark=False, command="c"), cls=PlotlyJSONEncoder, ensure_ascii=False
        )
    finally:
        facts.close()


def test_the_days_of_every_job_are_shown_with_their_reasons(tmp_path):
    path = tmp_path / "l.duckdb"
    with Ledger.open(path, purpose="a test") as ledger:
        with duckdb.connect(path) as con:
            con.execute(
                "INSERT INTO studies (study_id, name, content, source, model, simulated, elements, created_at) "
                "VALUES ('a1b2c3', 'mine', '{}', 'simulated', 'm', true, '{}', now())"
            )
        assert "No scheduled job has done a day on this ledger yet" in said(path)
        with claim(ledger, "report", "a1b2c3", NOON.date(), now=NOON) as mine:
            mine.said = "done with <b>care</b>"
        later = NOON + timedelta(days=2)
        miss(ledger, "report", "a1b2c3", [NOON.date() + timedelta(days=1)], now=later, why="nothing woke it")
        try:
            with claim(ledger, "pull-markets", "kalshi", later.date(), now=later):
                raise OSError("the venue is down")
        except OSError:
            pass
    page = said(path)
    for part in ("■·", "✕", "mine", "kalshi", "OSError: the venue is down", "nothing woke it", "done with <b>care</b>"):
        assert part in page
    assert "05:15" in page, "when pull-markets wakes next"
