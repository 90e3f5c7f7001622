"""A study that is planned, half made, all failed, not resolved, of one market or anchored on hindsight is shown as such.

By the report (terminal, page, JSON, summary, figures) and by every page of the dashboard.
"""

import json
import shutil
import time
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import duckdb
import pytest
from plotly.utils import PlotlyJSONEncoder
from rich.console import Console

from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.report.exports import Wanted, export
from coordeval.analysis.report.summary import summary
from coordeval.analysis.report.terminal import print_report
from coordeval.flows.dashboard.app import rendered
from coordeval.flows.dashboard.facts import Facts
from coordeval.flows.dashboard.menu import PAGES
from coordeval.flows.dashboard.view import View
from coordeval.flows.run.scoring import score
from tests.flows.dashboard.conftest import store
from tests.thinned import first_of

GONE = tuple(f"DELETE FROM {table}" for table in ("forecasts", "estimates", "calls", "tool_calls", "messages"))
FAILED = "UPDATE forecasts SET status = 'failed', probability = NULL, reason = 'the model refused', retryable = false"


@dataclass(frozen=True, kw_only=True)
class Kind:
    name: str
    sql: tuple[str, ...]
    """What makes it of a study that is whole."""
    amount: str
    """The first sentence of the report."""
    draws: bool
    everywhere: str = ""
    """On every page of the dashboard."""
    pages: dict[str, str] = field(default_factory=dict)
    """And on single ones."""


KINDS = (
    Kind(
        name="planned",
        sql=GONE,
        amount="In this simulation, no forecast is made yet: 30 forecasts are still to be made.",
        draws=False,
        everywhere="Not finished: 30 of 30 forecasts are still to be made.",
        pages={
            "/": "No forecast is stored yet. This page shows them as they come in.",
            "/costs": "nothing is made yet",
            "/calibration": "Nothing is scored here yet.",
        },
    ),
    Kind(
        name="half made",
        sql=(f"{GONE[0]} WHERE configuration IN ('market_price', 'single_agent')",),
        amount="In this simulation, 18 of 30 forecasts are made (60%): nothing below is final.",
        draws=True,
        everywhere="Not finished: 12 of 30 forecasts are still to be made.",
    ),
    Kind(
        name="all failed",
        sql=(FAILED,),
        amount="In this simulation, all 30 forecasts failed: nothing is scored.",
        draws=False,
        everywhere="30 forecasts failed",
        pages={"/": "Nothing is scored: all 30 forecasts that were made failed.", "/live": "the model refused"},
    ),
    Kind(
        name="not resolved",
        sql=("DELETE FROM outcomes",),
        amount="In this simulation, all 30 forecasts are made; 0 of 6 markets can be scored.",
        draws=False,
        pages={"/": "Nothing is scored yet: no resolved market was answered by every configuration in every replicate."},
    ),
    Kind(
        name="one market",
        sql=("DELETE FROM cells WHERE market_id <> (SELECT min(market_id) FROM cells)",),
        amount="In this simulation, all 5 forecasts are made; 1 of 1 market can be scored.",
        draws=True,
        pages={"/": "no interval", "/components": "no interval"},
    ),
    Kind(
        name="hindsight",
        sql=("UPDATE studies SET hindsight = true",),
        amount="In this simulation, all 30 forecasts are made; 6 of 6 markets can be scored.",
        draws=True,
        everywhere="HINDSIGHT-ANCHORED",
    ),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kinds")
    store(folder / "l.duckdb", folder, name="small", count=6, replicates=1)
    return folder / "l.duckdb"


@pytest.fixture(params=first_of(KINDS, 2, ids=lambda kind: kind.name))
def kind(request, whole, tmp_path):
    shutil.copy(whole, tmp_path / "l.duckdb")
    with duckdb.connect(tmp_path / "l.duckdb") as con:
        for statement in request.param.sql:
            con.execute(statement)
    return request.param, tmp_path / "l.duckdb"


def test_report_and_pages_say_what_kind_of_study_it_is(kind, tmp_path):
    kind, path = kind
    report = score(path, "small")
    out = StringIO()
    print_report(report, Console(file=out, width=80))
    printed = " ".join(out.getvalue().split())
    for said in (printed, summary(report), report.html(), report.results()["standing"]["amount"]):
        assert kind.amount in said.replace("\\", "")
    assert bool(report.pictures) is kind.draws
    assert all(picture.figure.data for picture in report.pictures), "an empty figure"
    if not kind.draws:
        assert "Nothing is drawn" in report.html()
        with pytest.raises(AnalysisError, match="small has nothing to draw"):
            export(report, Wanted(svg=tmp_path / "svg"), print)

    facts = Facts(path)
    try:
        while facts.deeper(View()).waiting:  # kept beside the ledger by the score above
            time.sleep(0.02)
        for page in (page for page in PAGES if page.in_menu and not page.games):
            shown = json.dumps(
                rendered(page.path, "", facts, dark=False, command="")[0], cls=PlotlyJSONEncoder, ensure_ascii=False
            )
            assert "This page failed" not in shown, page.path
            assert "SIMULATED" in shown, page.path
            assert kind.everywhere in shown, page.path
            assert kind.pages.get(page.path, "") in shown, page.path
    finally:
        facts.close()


def test_a_study_of_which_nothing_was_planned_has_no_report_and_says_why(whole, tmp_path):
    shutil.copy(whole, tmp_path / "l.duckdb")
    with duckdb.connect(tmp_path / "l.duckdb") as con:
        con.execute("DELETE FROM cells")
    with pytest.raises(AnalysisError, match="small has no cell yet: nothing was planned"):
        score(tmp_path / "l.duckdb", "small")
    facts = Facts(tmp_path / "l.duckdb")
    for page in (page for page in PAGES if page.in_menu and not page.games):
        assert "This page failed" not in str(rendered(page.path, "", facts, dark=False, command="")[0]), page.path
    facts.close()
