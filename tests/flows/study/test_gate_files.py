"""A file that a configuration's parameter names lies beside the study, and what is in it is part of the study."""

import shutil
from datetime import UTC, datetime

import pytest

from coordeval.flows.run.known import numbers
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.study.evaluation import Evaluation
from coordeval.flows.study.study import StudyError, load_study
from coordeval.ledger import Ledger
from coordeval.market_data.simulated import SimulatedWorld
from tests.configurations.test_tool_gate import gate
from tests.flows.run.harness import Model

STUDY = """
name = "gated"
replicates = 1
[markets]
source = "simulated"
count = 4
[model]
provider = "simulated"
[[configurations]]
name = "tool_gate"
gate = "gate.json"
"""


@pytest.fixture
def study(tmp_path):
    gate(tmp_path)
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


def test_its_hash_is_part_of_the_studys_and_its_folder_is_not(study, tmp_path):
    first = load_study(study)
    shutil.copytree(tmp_path, moved := tmp_path / "moved", ignore=shutil.ignore_patterns("moved"))
    assert load_study(moved / "study.toml").id == first.id
    assert list(first.content["files"]) == ["gate.json"]
    assert first.files()["gate.json"] == (tmp_path / "gate.json").read_bytes()
    gate(tmp_path, intercept=0.5)
    assert load_study(study).id != first.id


def test_a_study_that_names_no_file_keeps_its_hash(study):
    study.write_text(STUDY.replace('gate = "gate.json"\n', ""))
    assert "files" not in load_study(study).content


def test_a_gate_that_knows_the_outcomes_is_refused_before_anybody_is_asked(study, tmp_path):
    known = [market.id for market in SimulatedWorld(count=4, seed=1).markets()]
    gate(tmp_path, markets=known[:3])
    with Ledger.open(tmp_path / "ledger.duckdb", purpose="test") as ledger:
        evaluation = Evaluation.start(load_study(study), tmp_path / "ledger.duckdb", ledger, Model())
        markets = pull(evaluation)
        with pytest.raises(StudyError, match="was fitted on 3 of the 4 markets of this study"):
            plan(evaluation, markets)


def test_facts_are_those_known_at_opening():
    at = datetime(2026, 3, 1, tzinfo=UTC)
    facts = {"question": "Will it?", "description": "", "category": "", "scheduled_close": "2026-03-11T12:00:00+00:00"}
    assert numbers(facts, at, 5) == {
        **{"horizon_days": 10.5, "question_characters": 8, "description_characters": 0, "documents": 5}
    }
