"""The table of markets: sorted, searched and filtered by the database, with nothing of the request in its text."""

import csv
import json
import re
from pathlib import Path

import pytest
from plotly.utils import PlotlyJSONEncoder

from coordeval.flows.dashboard import parts
from coordeval.flows.dashboard.app import create, rendered
from coordeval.flows.dashboard.market_rows import COLUMNS, market_count, market_rows
from coordeval.flows.dashboard.menu import PAGES
from coordeval.flows.dashboard.tags import html
from coordeval.flows.dashboard.view import View
from coordeval.ledger import read
from tests.flows.dashboard.conftest import HOSTILE

SEEN = View(study="seen")


def rows(facts, view=SEEN, *, start=0, end=100, sort=()):
    return market_rows(facts, view, start=start, end=end, sort=list(sort))


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("way", ["asc", "desc"])
def test_every_column_sorts_with_what_is_not_known_last(facts, column, way):
    values = rows(facts, sort=[{"colId": column, "sort": way}])[column].to_list()
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=way == "desc")
    assert values[: len(known)] == known


@pytest.mark.parametrize(
    "sort",
    [
        {"colId": "question; DROP TABLE cells", "sort": "asc"},
        {"colId": "1, (SELECT content FROM studies)", "sort": "asc"},
        {"colId": "loss", "sort": "desc; SELECT 1"},
        {"sort": "asc"},
    ],
)
def test_what_is_not_a_column_does_not_reach_the_database(facts, sort):
    assert rows(facts, sort=[sort]).height == market_count(facts, SEEN) == 30


def test_blocks_follow_each_other_without_gap_or_overlap(facts):
    everything = rows(facts, sort=[{"colId": "category", "sort": "asc"}])["market_id"].to_list()
    blocks = [
        rows(facts, start=i, end=i + 7, sort=[{"colId": "category", "sort": "asc"}])["market_id"] for i in range(0, 30, 7)
    ]
    assert [one for block in blocks for one in block] == everything
    assert rows(facts, start=-5, end=10**9).height == 30


WORDS = [
    ("merge a", 1, "both words, in any order and case"),
    ("MERGE nothing-like-it", 0, "one word that is not there"),
    ("'; DROP TABLE markets; --", 0, "quotes are letters like others"),
    ("%", None, "no wildcard"),
    ("<script>", 1, "markup is text"),
]


@pytest.mark.parametrize(("text", "count", "why"), WORDS)
def test_words_are_looked_for_as_they_are(facts, text, count, why):
    view = View(study="seen", q=text)
    found = rows(facts, view)
    assert found.height == market_count(facts, view)
    if count is None:
        assert all("%" in question for question in found["question"])
    else:
        assert found["question"].to_list() == [HOSTILE] * count, why


def test_the_forecast_is_the_chosen_configurations(facts):
    price = rows(facts, View(study="seen", configuration="market_price"))
    assert price["mean"].to_list() == pytest.approx(price["price"].to_list())
    assert price["ahead"].drop_nulls().to_list() == pytest.approx([0] * price["ahead"].drop_nulls().len())
    assert rows(facts, View(study="seen", configuration="no such one"))["mean"].null_count() == 30


@pytest.mark.parametrize("view", [View(study="seen", decile=k) for k in range(10)] + [View(study="seen", replicate=1)])
def test_the_filters_are_those_of_every_other_page(facts, view):
    assert market_count(facts, view) == facts.within(view)["market"].n_unique()


def test_every_table_of_every_page_is_a_file_too(ledger: Path, facts):
    [row] = (
        read(ledger)
        .query("SELECT market_id, forecast_id FROM cells WHERE configuration = 'single_agent' LIMIT 1")
        .to_dicts()
    )
    search = {
        "/market": f"&market={row['market_id']}",
        "/forecast": f"&forecast={row['forecast_id']}",
        "/compare": "&second=blind",
    }
    tables = 0
    for page in PAGES:
        made = rendered(page.path, f"?study=seen{search.get(page.path, '')}", facts, dark=False, command="x")
        page_said = json.dumps(made, cls=PlotlyJSONEncoder, ensure_ascii=False)
        assert "This page failed" not in page_said, page.path
        shown = re.findall(r'"aria-label": "table: ([^"]+)"', page_said)
        files = re.findall(r'"aria-label": "([^"]+) as CSV"', page_said)
        assert [name for name in shown if name not in files] == [], page.path
        assert page_said.count('"type": "Table"') == len(shown), page.path
        tables += len(shown)
    assert tables > 15


def test_the_markets_are_a_file_of_all_that_the_view_lets_through(ledger: Path):
    app, facts = create(ledger, command="x")
    try:
        got = app.server.test_client().get("/markets.csv?study=seen&q=merge", headers={"Host": "127.0.0.1"})
        nothing = app.server.test_client().get("/markets.csv?study=absent", headers={"Host": "127.0.0.1"})
        elsewhere = app.server.test_client().get("/markets.csv", headers={"Host": "example.org"})
    finally:
        facts.close()
    lines = list(csv.DictReader(got.text.splitlines()))
    assert (got.mimetype, len(lines)) == ("text/csv", 1)
    assert lines[0]["question"].endswith('Will "A & B" merge?')
    assert (nothing.status_code, elsewhere.status_code) == (404, 403)


def test_a_table_without_data_of_its_own_is_written_as_it_is_shown():
    span = html.Span(["−0.1 ", html.Small("−0.2 to 0.0")])
    shown = parts.Table(
        "t", ("Name", "Value", "N", "Δ"), [[html.A("a", href="/x"), span, "1,234", "−0.5"], ["b"] + [None] * 3]
    )
    assert parts.written(shown).rows() == [("a", "-0.1  -0.2 to 0.0", 1234, -0.5), ("b", None, None, None)]
