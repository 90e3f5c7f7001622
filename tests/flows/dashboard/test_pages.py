"""What pages say of studies that are empty, partial, failed or anchored on hindsight, and of ledgers that are not there."""

import json
import re
from datetime import UTC, datetime

import duckdb
import pytest
from plotly.utils import PlotlyJSONEncoder

from coordeval.flows.dashboard.app import rendered
from coordeval.flows.dashboard.facts import Facts
from coordeval.flows.dashboard.menu import PAGES
from coordeval.ledger import Ledger

MENU = [page.path for page in PAGES if page.in_menu and not page.games]
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def said(facts, path, search=""):
    """All text of a page, as it is sent."""
    page = rendered(path, search, facts, dark=False, command="coordeval dashboard")
    return json.dumps(page, cls=PlotlyJSONEncoder, ensure_ascii=False)


@pytest.fixture(scope="module")
def facts(ledger, checked_figures):
    """One for all of these tests: each would have the same reports computed."""
    found = Facts(ledger)
    yield found
    found.close()


@pytest.fixture
def facts_of():
    made = []

    def of(path):
        made.append(Facts(path))
        return made[-1]

    yield of
    for facts in made:
        facts.close()


@pytest.mark.parametrize("path", MENU)
def test_a_ledger_that_is_not_there_says_how_to_make_one(facts_of, tmp_path, path):
    assert "make one with `coordeval run STUDY.toml`" in said(facts_of(tmp_path / "none.duckdb"), path)


@pytest.mark.parametrize("path", MENU)
def test_a_ledger_without_a_study_says_so(facts_of, tmp_path, path):
    with Ledger.open(tmp_path / "l.duckdb", purpose="test"):
        pass
    assert "holds no study yet" in said(facts_of(tmp_path / "l.duckdb"), path)


@pytest.fixture
def planned(tmp_path):
    """A real, hindsight-anchored study of one market of which nothing is made yet."""
    path = tmp_path / "l.duckdb"
    with Ledger.open(path, purpose="test"):
        pass
    with duckdb.connect(path) as con:
        con.execute(
            "INSERT INTO studies (study_id, name, content, source, model, simulated, elements, created_at, hindsight) "
            "VALUES (?, 'planned', '{}', 'polymarket', 'a-model', false, '{\"debate\": {}}', ?, true)",
            ["ab" * 32, NOW],
        )
        con.execute(
            "INSERT INTO cells (study_id, market_id, configuration, replicate, as_of, forecast_id, identity) "
            "VALUES (?, 'm', 'debate', 0, ?, 'f', '{}')",
            ["ab" * 32, NOW],
        )
    return path


@pytest.mark.parametrize("path", MENU)
def test_a_study_of_which_nothing_is_made_is_shown_as_such(facts_of, planned, path):
    page = said(facts_of(planned), path)
    assert "Not finished: 1 of 1 forecasts are still to be made" in page
    assert "HINDSIGHT-ANCHORED" in page
    assert "SIMULATED" not in page
    assert "This page failed" not in page


@pytest.mark.parametrize("path", MENU)
@pytest.mark.parametrize("study", ["seen", "half"])
@pytest.mark.parametrize("search", ["", "&category=none such", "&decile=9&replicate=1", "&policy=fallback_half&kind=corp"])
def test_no_filter_breaks_a_page(facts, path, study, search):
    page = said(facts, path, f"?study={study}{search}")
    assert "This page failed" not in page
    assert "SIMULATED" in page


def test_a_configuration_has_one_colour_and_mark_on_every_page(facts):
    marked = re.compile(r'"children": "(.)", "className": "mark (hue-\w+)".{1,90}?"dash_html_components"}, "([a-z]+)"')
    looks: dict[str, set[tuple[str, str]]] = {}
    for path in MENU:
        for mark, hue, name in marked.findall(said(facts, path, "?study=seen")):
            looks.setdefault(name, set()).add((mark, hue))
    assert {"single", "independent", "peer", "sequential"} <= set(looks), "the first word of each name"
    assert {name: len(found) for name, found in looks.items()} == dict.fromkeys(looks, 1)


def test_what_is_not_known_is_said_with_what_to_do(facts):
    assert "no such page" in said(facts, "/nowhere").lower()
    assert "there is no study" in said(facts, "/", "?study=nobody")
    assert "holds no market" in said(facts, "/market", "?study=seen&market=nothing")
    assert "there is no forecast" in said(facts, "/forecast", "?study=seen&forecast=nothing")
    assert "Not understood in the address, and left out: decile" in said(facts, "/", "?study=seen&decile=99")


def test_the_bill_is_shown_with_what_cache_and_batches_took_off(facts):
    page = said(facts, "/costs", "?study=seen")
    for words in ("The bill", "List price", "Off by cache", "Off by batch", "All together"):
        assert words in page
    assert "what came" not in page, "no run of it began with a quote"


def test_a_fault_of_one_page_is_said_there_and_logged(facts, monkeypatch, caplog):
    broken = next(page for page in PAGES if page.path == "/costs")
    monkeypatch.setattr("coordeval.flows.dashboard.pages.costs._load", lambda *_: 1 / 0)
    assert broken.layout is not None
    assert "This page failed" in said(facts, "/costs", "?study=seen")
    assert "ZeroDivisionError" in caplog.text


def test_the_page_of_a_forecast_says_who_moved_whom_and_holds_topologies_against_each_other(facts, hostile):
    page = said(facts, "/forecast", f"?study=seen&forecast={hostile['forecast']}")
    for words in (
        "Who saw what, and who moved whom",
        "moves agent 1",
        "Declared and recorded topology",
        "Shown as declared",
    ):
        assert words in page, words
    assert "do not agree" in page or "estimates agree" in page
