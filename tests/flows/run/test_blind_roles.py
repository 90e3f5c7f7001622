"""Roles that do not see the price: it is in no byte that they are sent, and certificate and control know and say it."""

import re

import orjson
import pytest

from coordeval.flows.certificate.certificate import certificate
from coordeval.flows.run.control import control
from coordeval.ledger import Reader, read
from tests.flows.run.harness import Model, run_mine

LEAKY = """
said = await panel.ask("forecaster")
return panel.conclude(said.probability)
"""


class Looking(Model):
    async def complete(self, request, slot):
        answer = await super().complete(request, slot)
        if len(request.messages) > 1:
            return answer
        uses = [
            {"type": "tool_use", "id": f"t{i}", "name": name, "input": {}}
            for i, name in enumerate(("market_details", "price_history"))
        ]
        object.__setattr__(answer, "content", uses)
        return answer


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Reader:
    folder = tmp_path_factory.mktemp("blind")
    run_mine(folder, {"leaky": LEAKY}, Looking(), beside=("blind_then_price", "single_agent"), count=2)
    return read(folder / "ledger.duckdb")


def sent(reader: Reader, role: str) -> list[str]:
    """Every request to this role of blind_then_price."""
    sql = """
        SELECT d.request FROM calls c JOIN draws d USING (draw_id) JOIN forecasts f USING (forecast_id)
        WHERE f.configuration = 'blind_then_price' AND c.role = ?
    """
    return [request for (request,) in reader.query(sql, [role]).rows()]


def test_the_price_is_in_no_byte_before_and_in_each_request_after(reader):
    prices = [row[0] for row in reader.query("SELECT DISTINCT market_price FROM cells").rows()]
    before, after = sent(reader, "forecaster"), sent(reader, "price_reader")
    assert len(before) == len(after) == 12
    for request in before:
        bodies = orjson.loads(request)["messages"]
        assert "Market price of YES" not in str(bodies)
        assert not re.search(r'"price_of_yes"|"price"', str(bodies))
        assert not any(f"{price:.3f}" in str(bodies) for price in prices)
    assert all("Market price of YES: 0." in request for request in after)


def test_control_holds_and_says_who_does_not_see_it(reader):
    found = control(reader, "mine")
    assert found.held is True
    [visibility] = [field for field in found.fields if field.name == "price visibility"]
    assert "not shown to 'forecaster' of blind_then_price, as declared" in visibility.detail


def test_a_request_that_shows_it_all_the_same_is_a_difference(reader, monkeypatch):
    def liar(elements):
        return {"forecaster"} if len(elements["endpoints"]) == 1 else set()

    monkeypatch.setattr("coordeval.flows.run.control.blind_roles", liar)
    found = control(reader, "mine")
    assert found.held is False
    [visibility] = [field for field in found.fields if field.name == "price visibility"]
    assert "shown to a role that declares not to see it" in [value.value for value in visibility.values]
    [block] = [field for field in found.fields if field.name == "market block"]
    assert block.status == "differs", "and what is not declared is a difference of the facts"


def test_the_certificate_makes_both_views_again(reader):
    for (forecast_id,) in reader.query("SELECT forecast_id FROM forecasts WHERE configuration = 'blind_then_price'").rows():
        checks = {check.name: check for check in certificate(reader, forecast_id).checks}
        assert [c for c in checks.values() if c.status == "failed"] == []
        assert "6 of them without the price, as their roles declare" in checks["market block"].detail


def test_a_view_that_was_not_declared_does_not_pass(reader, monkeypatch):
    monkeypatch.setattr("coordeval.flows.certificate.stored.blind_roles", lambda elements: set())
    sql = "SELECT forecast_id FROM forecasts WHERE configuration = 'blind_then_price' LIMIT 1"
    [(forecast_id,)] = reader.query(sql).rows()
    checks = {check.name: check.status for check in certificate(reader, forecast_id).checks}
    assert (checks["market block"], checks["tool results"]) == ("failed", "failed")
