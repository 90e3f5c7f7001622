"""The gate in front of tools: estimates without tools first, and the file decides whether anybody asks again with them."""

import json

import pytest

from coordeval.configurations import base, load
from coordeval.configurations.gates import FORMAT, VERSION, Gate, GateError
from tests.configurations.test_references import Rounds, run

TIGHT, WIDE = [0.30, 0.31, 0.32], [0.1, 0.5, 0.9]
WITH = [0.6, 0.7, 0.8]


def gate(tmp_path, name="gate.json", **changes):
    """Opens where the spread of the first estimates is over its mean."""
    file = {"format": FORMAT, "version": VERSION, "draws": 3, "least": 0.0, "intercept": 0.0, "categories": {"sport": -9.0}}
    file |= {"features": [{"name": "spread", "mean": 0.5, "scale": 1.0, "weight": 0.1}], "markets": ["m1", "m2"]}
    path = tmp_path / name
    path.write_text(json.dumps(file | changes))
    return str(path)


def made(**parameters):
    return load().create("tool_gate", parameters)


@pytest.mark.parametrize(
    ("first", "changes", "forecast", "without", "why"),
    [
        (TIGHT, {}, 0.31, [True] * 3, "they agree: the median without tools"),
        (WIDE, {}, 0.7, [True] * 3 + [False] * 3, "they do not: the median of those with tools"),
        (WIDE, {"least": 0.2}, 0.5, [True] * 3, "tools gain too little to be used"),
        (TIGHT, {"intercept": 1.0}, 0.7, [True] * 3 + [False] * 3, "tools always gain"),
    ],
)
async def test_the_file_decides_whether_tools_are_used(tmp_path, first, changes, forecast, without, why):
    answering = Rounds([*first, *WITH])
    probability, _ = await run(made(gate=gate(tmp_path, **changes)), answering)
    assert probability == pytest.approx(forecast), why
    assert [ask.without_tools for ask in answering.asks] == without, why


@pytest.mark.parametrize(("first", "asks"), [(TIGHT, 3), (WIDE, 6)])
async def test_without_a_file_the_spread_of_the_first_estimates_decides(first, asks):
    answering = Rounds([*first, *WITH])
    await run(made(), answering)
    assert len(answering.asks) == asks


def test_what_is_in_the_file_is_part_of_its_identity_and_not_where_it_lies(tmp_path):
    one, moved = made(gate=gate(tmp_path)), made(gate=gate(tmp_path, "moved.json"))
    other = made(gate=gate(tmp_path, "other.json", intercept=0.1))
    assert one.identity() == moved.identity()
    assert one.identity() != other.identity()
    assert str(tmp_path) not in json.dumps(one.identity())


def test_the_code_that_decides_is_part_of_its_identity(monkeypatch):
    """It stands in another module, which reads the file's numbers: the same file under other code is another forecast."""
    made = load().create("tool_gate", {})
    before, code = made.identity(), base._code
    monkeypatch.setattr(base, "_code", lambda cls: code(cls).replace("total +=", "total -=") if cls is Gate else code(cls))
    assert made.identity()["decides"] != before["decides"]
    assert {**made.identity(), "decides": ""} == {**before, "decides": ""}


def test_a_gate_does_not_judge_the_markets_that_it_was_fitted_on(tmp_path):
    found = made(gate=gate(tmp_path))
    assert "was fitted on 2 of the 3 markets of this study, such as m1" in found.refuses(["m0", "m1", "m2"])
    assert found.refuses(["m0"]) is None
    assert made().refuses(["m1"]) is None


@pytest.mark.parametrize(
    ("changes", "parameters", "says"),
    [
        ({"version": 7}, {}, "has version 7, this coordeval reads version 1"),
        ({}, {"agents": 5}, "was fitted on 3 first estimates, tool_gate asks 5: say agents = 3"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, changes, parameters, says):
    with pytest.raises(GateError, match=says):
        made(gate=gate(tmp_path, **changes), **parameters)
