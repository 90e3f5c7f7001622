"""Venues other than Polymarket are pulled in the same way, and their rows are stored in the same tables."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from coordeval.flows.markets.pulling import pull_files
from coordeval.ledger import Ledger, read
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.http import FetchError
from coordeval.market_data.standin import Faults
from coordeval.market_data.venues import Query
from coordeval.market_data.venues.standin import TOKEN, venues_app
from coordeval.market_data.venues.standin_world import GeneratedVenues
from tests.flows.conftest import ROOT
from tests.flows.pulling_world import BASE, count, pulled, same_rows, stored, told
from tests.thinned import first_of


@pytest.mark.parametrize("venue", first_of(["metaculus", "kalshi", "manifold"]))
def test_other_venues_are_pulled_the_same_way(paths, venue, monkeypatch):
    monkeypatch.setenv("METACULUS_TOKEN", TOKEN)
    query = Query(after=datetime(2026, 1, 1, tzinfo=UTC), before=datetime(2026, 6, 1, tzinfo=UTC))
    options = {"query": query, "venue": venue, "base": f"{BASE}/{venue}", "days": 60.0}
    whole, _ = pulled(paths[0], app=venues_app(GeneratedVenues(60, page_limit=20)), **options)
    assert whole.kept == count(paths[0], "markets") == count(paths[0], "outcomes") > 20
    assert whole.rows == whole.kept + sum(whole.passed_over.values()) + sum(whole.refused.values())
    assert set(stored(paths[0], "markets")["source"]) == {venue}
    assert count(paths[0], "price_fetches") == whole.kept
    assert count(paths[0], "prices") > 100
    late = "SELECT count(*) FROM prices JOIN price_fetches USING (market_id) WHERE knowable_at > until"
    assert read(paths[0]).query(late).item() == 0
    stopped, _ = pulled(paths[1], app=venues_app(GeneratedVenues(60, page_limit=20)), cut_after=15, **options)
    assert isinstance(stopped, FetchError)
    faults = Faults(0.02, seed=3, kinds=("429", "500", "cut body", "error with 200", "html with 200"))
    resumed, _ = pulled(paths[1], app=venues_app(GeneratedVenues(60, page_limit=20), faults), **options)
    assert told(resumed) == told(whole)
    same_rows(*paths)
    _, asked = pulled(paths[0], app=venues_app(GeneratedVenues(60, page_limit=20)), **options)
    assert asked == []


def test_metaculus_without_a_token_says_where_to_get_one(paths, monkeypatch):
    monkeypatch.delenv("METACULUS_TOKEN", raising=False)
    error, asked = pulled(paths[0], venue="metaculus", app=venues_app())
    assert "METACULUS_TOKEN" in str(error)
    assert asked == []


FORECASTBENCH = ROOT.parent / "shared" / "data" / "forecastbench"


@pytest.mark.skipif(not FORECASTBENCH.is_dir(), reason=f"the recorded rounds are not here: {FORECASTBENCH}")
def test_forecastbench_rounds_come_from_their_files_and_a_second_time_nothing_changes(paths):
    with Ledger.open(paths[0], purpose="test") as ledger:
        words = pull_files(ledger, "forecastbench", FORECASTBENCH)
        first = {table: stored(paths[0], table) for table in ("markets", "outcomes", "prices", "market_edits")}
        again = pull_files(ledger, "forecastbench", FORECASTBENCH)
    assert "2025-10-26" in words
    assert "2026-03-01" in words
    assert all(", 0 new markets" in line for line in again.splitlines() if "new markets" in line)
    assert first["markets"].height == first["markets"]["market_id"].n_unique() > 100
    for table, rows in first.items():
        assert stored(paths[0], table).equals(rows), table
    assert set(read(paths[0]).query("SELECT DISTINCT value FROM outcomes WHERE status = 'resolved'")["value"]) == {0, 1}


@pytest.mark.parametrize("path", [None, "absent", "."], ids=["no path", "no folder", "a folder without rounds"])
def test_a_folder_that_holds_no_rounds_is_refused_with_what_it_must_hold(paths, tmp_path: Path, path):
    with Ledger.open(paths[0], purpose="test") as ledger, pytest.raises(CoordevalError, match="question_sets/"):
        pull_files(ledger, "forecastbench", tmp_path / path if path else None)
