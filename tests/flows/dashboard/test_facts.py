"""What is kept in memory, and what is left to the report."""

import json
import threading

import polars as pl
from plotly.utils import PlotlyJSONEncoder

from coordeval.analysis.figures.pairs import MOST, grid, side_by_side
from coordeval.flows.dashboard import facts as module
from coordeval.flows.dashboard.app import rendered
from coordeval.flows.dashboard.facts import Facts, size
from coordeval.flows.dashboard.view import View


def test_frames_that_are_kept_are_bounded_in_bytes_and_the_newest_stays(facts, monkeypatch):
    monkeypatch.setattr(module, "_KEPT_BYTES", 3_000_000)
    for turn in range(9):
        facts.once(("frame", turn), lambda: (pl.DataFrame({"x": [0.0] * 125_000}), "one million bytes"))
    assert sum(map(size, facts._memo.values())) <= 3_000_000
    assert size(facts._memo["frame", 8]) == 1_000_000
    facts.once(("frame", 9), lambda: pl.DataFrame({"x": [0.0] * 500_000}))
    assert list(facts._memo) == [("frame", 9)], "what is larger than the bound is kept alone"


def test_no_filter_of_a_large_study_asks_for_its_report(facts, monkeypatch):
    monkeypatch.setattr(module, "MOST_CELLS", 100)
    found = facts.deeper(View(study="seen", decile=3))
    assert (found.report, found.waiting) == (None, False)
    assert "of a study of 300 forecasts" in found.note


def test_what_is_being_computed_is_not_said_to_be_missing(ledger):
    facts, enough = Facts(ledger), threading.Event()
    facts._worker.submit(enough.wait)  # the report waits behind this
    try:
        table, overview = (
            str(rendered(path, "?study=seen", facts, dark=False, command="")) for path in ("/components", "/")
        )
    finally:
        facts.close()
        enough.set()
    assert "no interval: being computed" in table
    assert "This takes resampling: being computed." in overview
    assert "not there" not in table + overview


def test_a_page_does_not_hold_every_market_of_a_large_study():
    n = MOST + 1
    rows = pl.DataFrame({"first": [k / n for k in range(n)], "second": [0.5] * n, "outcome": [k % 2 for k in range(n)]})
    rows = rows.with_columns(market_id=pl.int_range(n).cast(pl.String), question=pl.lit("Will it?"))
    assert grid(rows)["markets"].sum() == n
    picture = side_by_side(rows, ("a", "b"), simulated=False, caption="", link=str)
    assert sum(len(trace.x) for trace in picture.figure.data) == grid(rows).height <= 80
    every = side_by_side(rows.head(5), ("a", "b"), simulated=False, caption="", link=lambda market: f"/to/{market}")
    assert {link for trace in every.figure.data for link in trace.customdata} == {f"/to/{k}" for k in range(5)}


def test_compare_of_a_small_study_leads_from_each_mark_to_its_market(facts):
    page = json.dumps(rendered("/compare", "?study=seen", facts, dark=False, command=""), cls=PlotlyJSONEncoder)
    assert "/market?study=seen&market=" in page
    assert "A click on a mark leads to its market" in page
