"""`coordeval tools` and `tools fit`: what a user reads first, and what is refused."""

import json

import pytest

from coordeval.flows.tools.fitting import rows_of
from coordeval.ledger import read
from tests.flows.cli.conftest import run, store

STUDY = """
name = "armed"
replicates = 2
configurations = ["market_price", "single_agent", { name = "independent_ensemble", agents = 2 }]
[markets]
source = "simulated"
count = 45
[model]
provider = "simulated"
parameters = { tool_rate = 0.7, malformed_rate = 0.0, refusal_rate = 0.0, truncation_rate = 0.0 }
[[arms]]
name = "bare"
tools = "none"
"""


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    folder = tmp_path_factory.mktemp("armed")
    (folder / "armed.toml").write_text(STUDY)
    path = folder / "ledger.duckdb"
    assert run("run", folder / "armed.toml", "--inline", "--ledger", path) == 0
    return path


def test_tools_says_in_words_what_they_were_worth(coordeval, ledger):
    done = coordeval("tools", "armed", "--ledger", ledger)
    assert done.status == 0, done.err
    assert done.out.startswith("armed: 90 cases answered both ways (main with tools, bare without).")
    for words in (
        "Where a tool was called the Brier score is better",
        "needed tools",
        "Perceived against true",
        "best possible",
    ):
        assert words in done.out


def test_tools_as_json_has_every_case_with_its_uncertainty(coordeval, ledger):
    told = json.loads(coordeval("tools", "armed", "--json", "--ledger", ledger).out)
    assert len(told["need"]["cases"]) == 90
    known = [row for row in told["need"]["cases"] if row["reason"] is None]
    assert all(row["utility_low"] < row["utility"] < row["utility_high"] for row in known)
    points = {row["policy"]: row for row in told["policies"]["points"]}
    assert set(points) == {"never", "always", "own choice", "estimator"}
    assert points["never"]["brier"] > points["always"]["brier"], "simulated agents know nothing without their evidence"
    assert points["never"]["calls"] == 0 < points["own choice"]["calls"] < points["always"]["calls"]
    assert {row["tool"] for row in told["wasted"]} >= {"search_evidence"}


def test_a_gate_is_fitted_and_says_how_it_does_on_events_that_it_has_not_seen(coordeval, ledger, tmp_path):
    out = tmp_path / "gate.json"
    done = coordeval("tools", "fit", "armed", "--configuration", "independent_ensemble", "--out", out, "--ledger", ledger)
    assert done.status == 0, done.err
    assert "On events that it was not fitted on, the gate gains" in done.out
    file = json.loads(out.read_text())
    assert (file["version"], file["draws"], len(file["markets"])) == (1, 2, 45)
    used = {row["name"] for row in file["features"]}
    assert {"price", "spread", "from_price", "horizon", "description", "documents"} <= used | {"documents", "description"}
    mixed = coordeval("tools", "fit", "armed", "--out", out, "--ledger", ledger)
    assert mixed.status == 1
    assert "rest on 1, 2 first estimates" in mixed.err


def test_a_gate_does_not_judge_what_it_was_fitted_on_and_does_judge_other_markets(coordeval, ledger, tmp_path):
    gate = tmp_path / "gate.json"
    coordeval("tools", "fit", "armed", "--configuration", "independent_ensemble", "--out", gate, "--ledger", ledger)
    text = STUDY.replace('name = "armed"', 'name = "gated"').replace("count = 45", "count = 5\nseed = SEED")
    text = text.replace('"market_price", "single_agent",', '{ name = "tool_gate", gate = "gate.json", agents = 2 },')
    file = tmp_path / "gated.toml"
    file.write_text(text.replace("SEED", "1"))
    refused = coordeval("run", file, "--inline", "--ledger", tmp_path / "same.duckdb")
    assert refused.status == 1
    assert "was fitted on 5 of the 5 markets of this study" in refused.err
    file.write_text(text.replace("SEED", "2"))
    assert coordeval("run", file, "--inline", "--ledger", tmp_path / "other.duckdb").status == 0
    frame = read(tmp_path / "other.duckdb").forecast_frame("gated").filter(configuration="tool_gate", arm="main")
    assert frame["status"].unique().to_list() == ["answered"]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return store(tmp_path_factory.mktemp("small"), ("small", 1000))


def test_a_study_without_such_arms_says_what_to_add(coordeval, small):
    done = coordeval("tools", "small", "--ledger", small)
    assert done.status == 1
    assert "no two arms of this study differ in tools alone" in done.err
    assert 'tools = "none"' in done.err


@pytest.mark.proof
def test_the_price_is_a_feature_where_the_arm_shows_it(tmp_path):
    file, path = tmp_path / "blind.toml", tmp_path / "ledger.duckdb"
    text = STUDY.replace("count = 45", "count = 2").replace('"market_price", "single_agent", ', "").split("[[arms]]")[0]
    arms = ('name = "bare"\ntools = "none"', 'name = "blind"\nshow_price = false')
    arms += ('name = "neither"\nshow_price = false\ntools = "none"',)
    file.write_text(text + "".join(f"[[arms]]\n{arm}\n" for arm in arms))
    assert run("run", file, "--inline", "--ledger", path) == 0
    rows = rows_of(read(path), read(path).study("armed").study_id)
    unknown = {case: part["price"].is_null().all() for (case,), part in rows.group_by("case")}
    assert unknown == {"independent_ensemble, main": False, "independent_ensemble, blind": True}
