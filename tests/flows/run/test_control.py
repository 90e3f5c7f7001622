"""Information control: one request that differs from the others is found, and named with its configurations."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rich.console import Console

from coordeval.agents.messages import canonical
from coordeval.analysis.control import Control
from coordeval.flows.certificate.terminal import print_control
from coordeval.flows.markets.importing import import_dataset
from coordeval.flows.run.control import FIELDS, control
from coordeval.flows.study.study import PROBE
from coordeval.ledger import LedgerError, read
from coordeval.market_data.traces100 import NAME
from tests.flows.conftest import SMALL
from tests.flows.run.test_run import run


@pytest.fixture(scope="module")
def untouched(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("control")
    (directory / "small.toml").write_text(SMALL.replace("count = 6", "count = 3"))
    run(directory / "small.toml", directory / "ledger.duckdb")
    return directory / "ledger.duckdb"


@pytest.fixture
def path(untouched, tmp_path: Path) -> Path:
    return shutil.copy(untouched, tmp_path / "ledger.duckdb")


def statuses(made: Control) -> dict[str, str]:
    return {field.name: field.status for field in made.fields}


def change(path: Path, **changes: Any) -> dict[str, Any]:
    """Changes fields of one request that only the debate made; returns its row of `draws`."""
    sql = """SELECT d.* FROM draws d JOIN calls c USING (draw_id) JOIN forecasts f USING (forecast_id)
        GROUP BY ALL HAVING list(DISTINCT f.configuration) = ['peer_critique_debate'] ORDER BY draw_id LIMIT 1"""
    [draw] = read(path).query(sql).to_dicts()
    body = {**json.loads(draw["request"]), **changes}
    with duckdb.connect(str(path)) as con:
        con.execute("UPDATE draws SET request = ? WHERE draw_id = ?", [canonical(body).decode(), draw["draw_id"]])
    return draw


def first_message(old: str, new: str, path: Path) -> dict[str, Any]:
    messages = json.loads(change(path)["request"])["messages"]
    assert old in messages[0]["content"]
    messages[0]["content"] = messages[0]["content"].replace(old, new, 1)
    return {"messages": messages}


def test_the_embedded_study_holds_everything_but_coordination_fixed(untouched):
    made = control(read(untouched), "small")
    assert made.held is True
    assert statuses(made) == dict.fromkeys(FIELDS, "same")
    assert made.baselines == ("market_price",)
    assert made.unasked == made.probes == ()
    assert set(made.draws) == {"single_agent", "independent_ensemble", "peer_critique_debate", "consensus_alignment"}
    [cap] = next(field for field in made.fields if field.name == "output cap").values
    assert (cap.value, cap.draws) == ("4000", made.draws)
    assert "3 markets" in next(field for field in made.fields if field.name == "market block").detail


@pytest.mark.parametrize(
    ("field", "changes", "value"),
    [
        ("output cap", {"max_tokens": 8000}, "8000"),  # what the published study did
        ("model", {"model": "a-better-one"}, "a-better-one"),
        ("sampling", {"temperature": 0.2}, '{"temperature":0.2}'),
        ("system prompt", {"system": "Think step by step."}, "Think step by step."),
        ("tools", {"tools": []}, "[]"),
    ],
)
def test_one_request_that_differs_is_found(path, field, changes, value):
    draw = change(path, **changes)
    made = control(read(path), "small")
    assert made.held is False
    [difference] = made.differences
    assert difference.name == field
    usual, odd = difference.values
    assert (odd.value, odd.draws, odd.example) == (value, {"peer_critique_debate": 1}, draw["draw_id"])
    assert usual.draws == {**made.draws, "peer_critique_debate": made.draws["peer_critique_debate"] - 1}


def test_a_long_text_is_shown_where_it_differs(path):
    system = json.loads(change(path)["request"])["system"]
    change(path, system=system.replace("what the evidence is worth", "what your gut says"))
    [difference] = control(read(path), "small").differences
    usual, odd = difference.values
    assert "what the evidence is worth" in usual.value
    assert "what your gut says" in odd.value
    assert max(len(usual.value), len(odd.value)) < 130 < len(system)


def test_another_market_block_names_the_market(path):
    draw = change(path)
    change(path, **first_message("Simulated market", "A market", path))
    [difference] = control(read(path), "small").differences
    assert difference.name == "market block"
    assert f"it differs in 1 of 3 markets, the first is {draw['market_id']}" in difference.detail
    assert [value.draws for value in difference.values][1] == {"peer_critique_debate": 1}


def test_a_hidden_price_is_a_difference_of_block_and_visibility(path):
    change(path, **first_message("Market price of YES: ", "Odds: ", path))
    made = control(read(path), "small")
    assert [field.name for field in made.differences] == ["market block", "price visibility"]
    assert [value.value for value in made.differences[1].values] == ["shown", "not shown"]


def test_another_model_that_answered_is_found(path):
    with duckdb.connect(str(path)) as con:
        con.execute("UPDATE draws SET served_model = 'a-cheaper-one' WHERE draw_id = (SELECT min(draw_id) FROM draws)")
    made = control(read(path), "small")
    assert [field.name for field in made.differences] == ["served model"]
    assert "and a-cheaper-one (1 of " in made.substituted


@pytest.mark.parametrize(
    ("served", "named", "alarm"),
    [
        ("simulated-forecaster-1", False, False),
        ("simulated-forecaster-1-20260101", True, False),
        ("another-model", True, True),
    ],
)
def test_a_model_that_answers_every_call_in_place_of_the_asked_one_is_named(path, served, named, alarm):
    with duckdb.connect(str(path)) as con:
        con.execute("UPDATE draws SET served_model = ?", [served])
    made = control(read(path), "small")
    field = next(field for field in made.fields if field.name == "served model")
    assert field.status == "same", "it is the same in every configuration"
    assert (f"{served} answered" in field.detail) is named
    assert ("another model than the one asked" in field.detail) is alarm
    assert (made.substituted is not None) is alarm
    assert {one.served for one in made.answered} == {served}


def test_a_request_that_cannot_be_read_is_no_pass(path):
    draw = change(path)
    with duckdb.connect(str(path)) as con:
        con.execute("UPDATE draws SET request = request[2:] WHERE draw_id = ?", [draw["draw_id"]])
    made = control(read(path), "small")
    assert made.held is False
    cap = next(field for field in made.differences if field.name == "output cap")
    assert [value.value for value in cap.values] == ["4000", "(not in the request)"]


def test_a_configuration_that_should_have_asked_is_no_baseline(path):
    with duckdb.connect(str(path)) as con:
        con.execute("DELETE FROM calls WHERE forecast_id IN (SELECT forecast_id FROM forecasts WHERE configuration = ?)",
            ["single_agent"])  # fmt: skip
    made = control(read(path), "small")
    assert made.unasked == ("single_agent",)
    assert made.baselines == ("market_price",)
    assert made.held is None, "nothing differs, but nothing is known of one configuration"


def test_the_memorisation_probe_is_named_as_a_probe_and_not_compared(study_file, tmp_path):
    path = tmp_path / "ledger.duckdb"
    run(study_file(("count = 6", "count = 2"), ("[markets]", "[agents]\nmemorisation_probe = true\n[markets]")), path)
    made = control(read(path), "small")
    assert made.held is True, "the probe, which has no tools and sees no price, is left out"
    assert made.probes == (PROBE,)
    assert PROBE not in {*made.draws, *made.baselines, *made.unasked}
    assert PROBE not in {name for field in made.fields for value in field.values for name in value.draws}
    assert f"a probe, not compared {PROBE}" in " ".join(shown_at_80(made).split())


def shown_at_80(made: Control) -> str:
    console = Console(file=io.StringIO(), width=80)
    print_control(made, console)
    printed: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, printed.splitlines())) <= 80
    return printed


def test_the_printed_certificate_says_what_differs_and_is_json_too(path):
    assert "Information control: held [SIMULATED]" in shown_at_80(control(read(path), "small"))
    change(path, system="[bold]Shout[/bold]")
    made = control(read(path), "small")
    printed = shown_at_80(made)
    assert "Information control: not held" in printed
    assert "[bold]Shout[/bold]" in printed, "text from data is no markup"
    assert json.loads(json.dumps(made.as_json()))["held"] is False


def test_an_unknown_study_is_answered_with_those_that_exist(untouched):
    with pytest.raises(LedgerError, match=r"no study 'nope'.*small"):
        control(read(untouched), "nope")


def test_of_the_published_study_it_is_said_what_was_not_recorded(tmp_path: Path, published):
    import_dataset(NAME, published, tmp_path / "ledger.duckdb")
    made = control(read(tmp_path / "ledger.duckdb"), NAME)
    assert made.held is None, "its prompts agree but for roles; what was sent beside them was not recorded"
    assert statuses(made) == {
        **dict.fromkeys(("model", "served model", "sampling", "output cap", "tools"), "not recorded"),
        **dict.fromkeys(("system prompt", "market block", "price visibility"), "same"),
    }
    prompt = next(field for field in made.fields if field.name == "system prompt")
    [value] = prompt.values
    assert "but for the role's text and the form of the answer" in prompt.detail
    assert sum(value.draws.values()) == sum(made.draws.values()) == 1082
    assert "not recorded" in shown_at_80(made)
