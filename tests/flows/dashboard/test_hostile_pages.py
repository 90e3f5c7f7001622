"""The table of hostile texts on the pages of the dashboard: a text stays the text of the same elements, whatever it says."""

import json
import shutil
from itertools import chain

import duckdb
import pytest
from plotly.utils import PlotlyJSONEncoder

from coordeval.flows.dashboard.app import rendered
from coordeval.flows.dashboard.facts import Facts
from tests.flows.verify.test_hostile_text import WITHOUT_HALVES

pytestmark = pytest.mark.proof  # the short form, with scripts and markup, is test_planted_scripts_do_not_run_anywhere


@pytest.fixture(scope="module")
def planted(ledger, hostile, tmp_path_factory):
    """Puts a text into whatever others write on a market's and a forecast's page; gives both pages as they are sent."""
    path = tmp_path_factory.mktemp("hostile") / "l.duckdb"

    def pages(text):
        shutil.copy(ledger, path)
        with duckdb.connect(path) as con:
            con.execute("UPDATE markets SET question = $1, category = $1 WHERE market_id = $2", [text, hostile["market"]])
            for table, column in (("estimates", "rationale"), ("tool_calls", "tool")):
                con.execute(f"UPDATE {table} SET {column} = $1 WHERE forecast_id = $2", [text, hostile["forecast"]])
            result = [json.dumps({"text": text}), hostile["forecast"]]
            con.execute("UPDATE tool_calls SET result = $1 WHERE forecast_id = $2", result)
        facts = Facts(path)
        try:
            made = [
                rendered(f"/{kind}", f"?study=seen&{kind}={hostile[kind]}", facts, dark=False, command="coordeval dashboard")
                for kind in ("market", "forecast")
            ]
        finally:
            facts.close()
        return json.loads(json.dumps(made, cls=PlotlyJSONEncoder))

    return pages


@pytest.fixture(scope="module")
def tame(planted):
    """What the same pages are made of where the text is harmless."""
    return set(elements(planted("Will it rain?")))


def elements(node):
    """(kind, properties, where it leads) of each component."""
    if isinstance(node, dict) and "namespace" in node:
        own = node["props"]
        yield node["type"], tuple(sorted(own)), tuple(str(own.get(name))[:1] for name in ("href", "src"))
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    yield from chain.from_iterable(map(elements, inner))


def texts(node):
    if isinstance(node, str):
        yield node
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    yield from chain.from_iterable(map(texts, inner))


@pytest.mark.parametrize("text", WITHOUT_HALVES.values(), ids=WITHOUT_HALVES)
def test_a_page_is_made_of_the_same_elements_whatever_a_text_says(planted, tame, text):
    pages = planted(text)
    assert any(text[:20] in one for one in texts(pages)), "it is there"
    assert set(elements(pages)) <= tame
    assert not {kind for kind, *_ in tame} & {"Markdown", "DangerouslySetInnerHTML", "Script", "Iframe", "ObjectEl", "Embed"}
