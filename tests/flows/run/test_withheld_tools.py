"""Tools that a configuration withholds: in no byte of those asks, and known to every check."""

import orjson
import pytest

from coordeval.flows.certificate.certificate import certificate
from coordeval.flows.run.control import control
from coordeval.ledger import Reader, read
from tests.flows.run.harness import Model, run_mine

GATED = """
alone = await panel.ask_each("forecaster", 2, without_tools=True)
said = await panel.ask("forecaster", agent=0)
return panel.conclude(fmean([*(one.probability for one in alone), said.probability]))
"""


class Calling(Model):
    """Calls a tool first, whether or not it has any."""

    async def complete(self, request, slot):
        answer = await super().complete(request, slot)
        if len(request.messages) == 1:
            use = [{"type": "tool_use", "id": "t", "name": "market_details", "input": {}}]
            object.__setattr__(answer, "content", use)
        return answer


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Reader:
    folder = tmp_path_factory.mktemp("withheld")
    more = ', tools="optional"'
    run_mine(folder, {"gated": GATED}, Calling(), beside=("single_agent",), count=2, forecaster=more)
    return read(folder / "ledger.duckdb")


def test_withheld_tools_are_in_no_request_of_that_ask_and_the_others_have_them(reader):
    sql = """SELECT c.ask, d.request FROM calls c JOIN draws d USING (draw_id) JOIN forecasts f USING (forecast_id)
        WHERE f.configuration = 'gated'"""
    names = {}
    for ask, request in reader.query(sql).rows():
        names.setdefault(ask, set()).add(tuple(tool["name"] for tool in orjson.loads(request)["tools"]))
    bare = ("submit_estimate", "submit_report")
    assert names[0] == names[1] == {bare}
    assert names[2] == {("market_details", "price_history", "search_evidence", *bare)}


def test_what_is_called_all_the_same_is_answered_with_an_error(reader):
    sql = "SELECT ask, error FROM tool_calls JOIN forecasts f USING (forecast_id) WHERE f.configuration = 'gated'"
    assert set(reader.query(sql).rows()) == {(0, True), (1, True), (2, False)}


def test_asks_with_tools_are_the_draws_of_whoever_else_asks_so(reader):
    used = """SELECT draw_id FROM calls JOIN forecasts f USING (forecast_id) WHERE f.configuration = '{}'"""
    sql = f"{used.format('gated')} AND draw_id IN ({used.format('single_agent')})"
    assert reader.query(sql).height == 4, "two markets, the ask with tools has two turns"


def test_control_holds_and_says_from_whom_they_are_withheld(reader):
    found = control(reader, "mine")
    assert found.held is True
    [tools] = [field for field in found.fields if field.name == "tools"]
    assert "withheld from 'forecaster' (some asks) of gated, as declared" in tools.detail


@pytest.mark.parametrize(
    ("declared", "value", "why"),
    [
        ({}, '[{"', "what is not declared is a difference of the tools"),
        ({"forecaster": "withheld"}, "tools given to a role that declares to have none", "never means never"),
    ],
)
def test_what_is_not_as_declared_is_a_difference(reader, monkeypatch, declared, value, why):
    def said(elements):
        return declared if len(elements["endpoints"]) > 1 else {}

    monkeypatch.setattr("coordeval.flows.run.control.roles_without_tools", said)
    found = control(reader, "mine")
    assert [field.name for field in found.differences] == ["tools"], why
    assert any(one.value.startswith(value) for one in found.differences[0].values), why


def test_the_certificate_answers_tools_as_each_ask_had_them(reader, monkeypatch):
    ids = [one for (one,) in reader.query("SELECT forecast_id FROM forecasts WHERE configuration = 'gated'").rows()]
    checks = {one.name: one for one in certificate(reader, ids[0]).checks}
    assert [one for one in checks.values() if one.status == "failed"] == []
    monkeypatch.setattr("coordeval.flows.certificate.stored.roles_without_tools", lambda elements: {})
    assert {one.name: one.status for one in certificate(reader, ids[0]).checks}["tool results"] == "failed"


def test_an_ask_that_withholds_what_it_does_not_declare_is_a_failed_row(tmp_path):
    [row] = run_mine(tmp_path, {"gated": GATED})["gated"]
    assert "was asked without tools, which its endpoint does not declare" in row["reason"]
    assert 'Endpoint("forecaster", "estimate", tools="optional")' in row["reason"].replace("'", '"')


def test_an_isolated_plugin_withholds_them_alike(tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "apart").mkdir()
    more = ', tools="optional"'
    [here] = run_mine(tmp_path / "here", {"gated": GATED}, Calling(), forecaster=more)["gated"]
    [apart] = run_mine(tmp_path / "apart", {"gated": GATED}, Calling(), forecaster=more, extra="[run]\nisolate = true")[
        "gated"
    ]
    assert apart["isolation"] is not None
    assert (here["probability"], here["call_graph"]) == (apart["probability"], apart["call_graph"])
