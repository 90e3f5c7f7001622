"""The simulator obeys no role text: a study with texts of its own says so at its start and over every number."""

from pathlib import Path

from coordeval.flows.run.scoring import score
from coordeval.flows.study.study import load_study
from tests.flows.run.harness import run_mine

BODY = "return panel.conclude((await panel.ask('forecaster')).probability)"
SAID = "simulated model does not read role texts: 'forecaster' (mine) is a plain forecaster to it"


def test_a_role_text_that_the_simulator_does_not_read_is_named_at_the_start_and_over_the_report(tmp_path: Path):
    roles = tmp_path / "roles"
    roles.mkdir()
    (roles / "forecaster.md").write_text("Say what a goat would say.")
    run_mine(tmp_path, {"mine": BODY}, beside=("single_agent",))
    assert any(SAID in warning for warning in load_study(tmp_path / "mine.toml").warnings)
    report = score(tmp_path / "ledger.duckdb")
    assert "ROLE TEXTS NOT READ" in report.html()
    assert [mark.label for mark in report.standing.marks if SAID in mark.sentence] == ["ROLE TEXTS NOT READ"]


def test_a_study_of_the_projects_own_texts_says_nothing_of_them(tmp_path: Path):
    run_mine(tmp_path, {"mine": BODY}, beside=("single_agent",))
    assert not load_study(tmp_path / "mine.toml").warnings
    assert "ROLE TEXTS NOT READ" not in score(tmp_path / "ledger.duckdb").html()
