"""A run of several arms: what it asks, what it shares and pays once, and that going on asks nothing."""

import pytest

from coordeval.flows.run.planning import plan, pull
from coordeval.flows.study.evaluation import open_evaluation
from coordeval.flows.study.in_arms import in_arm
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, Reader, read
from coordeval.market_data.errors import CoordevalError
from tests.flows.run.test_run import run

STUDY = """
name = "arms"
replicates = 1
configurations = ["market_price", "single_agent", "independent_ensemble"]
[markets]
source = "simulated"
count = 3
[model]
provider = "simulated"
[models.noisy]
provider = "simulated"
parameters = { private_noise = 1.0 }
[[arms]]
name = "bare"
tools = "none"
[[arms]]
name = "patient"
max_turns = 20
[[arms]]
name = "noisy"
model = "noisy"
"""


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Reader:
    folder = tmp_path_factory.mktemp("arms")
    (folder / "arms.toml").write_text(STUDY)
    run(folder / "arms.toml", folder / "ledger.duckdb")
    return read(folder / "ledger.duckdb")


def draws(reader: Reader, arm: str) -> set[str]:
    sql = "SELECT DISTINCT draw_id FROM calls JOIN cells USING (forecast_id) WHERE arm = ?"
    return {draw for (draw,) in reader.query(sql, [arm]).rows()}


def test_every_configuration_has_a_forecast_in_every_arm(reader):
    frame = reader.forecast_frame("arms")
    assert frame.columns[0] == "arm"
    assert frame.group_by("arm", "configuration").len()["len"].to_list() == [3] * 12
    assert frame["status"].unique().to_list() == ["answered"]


def test_what_is_the_same_between_arms_is_one_draw_and_paid_once(reader):
    assert draws(reader, "patient") == draws(reader, "main"), "more turns change no request where none is used up"
    assert not draws(reader, "noisy") & draws(reader, "main"), "another model's reply is another draw"
    assert not draws(reader, "bare") & draws(reader, "main"), "no tools are other bytes"
    paid = "SELECT sum(paid_micro_usd) FROM calls JOIN cells USING (forecast_id) WHERE arm IN ('main', 'patient')"
    once = "SELECT sum(micro_usd) FROM draws WHERE draw_id IN (SELECT unnest(?::VARCHAR[]))"
    assert reader.query(paid).item() == reader.query(once, [sorted(draws(reader, "main"))]).item()


def test_tools_are_in_no_request_of_an_arm_without_them(reader):
    sql = """SELECT count(*) FROM draws JOIN calls USING (draw_id) JOIN cells USING (forecast_id)
        WHERE arm = ? AND contains(request, 'search_evidence')"""
    assert reader.query(sql, ["bare"]).item() == 0
    assert reader.query(sql, ["main"]).item() > 0


def test_going_on_asks_for_nothing(reader):
    loaded = load_study(reader.path.parent / "arms.toml")
    with Ledger.open(reader.path, purpose="test") as ledger:
        evaluation = open_evaluation(loaded, reader.path, ledger)
        assert plan(evaluation, pull(evaluation)).to_run == 0


def test_a_reader_of_one_arm_sees_that_arm_alone(reader):
    with in_arm(reader, "arms", "bare") as held:
        assert set(held.forecast_frame("arms")["arm"]) == {"bare"}
    with in_arm(reader, "arms", "main") as held:
        assert set(held.query("SELECT arm FROM cells")["arm"]) == {"main"}
    assert reader.query("SELECT count(DISTINCT arm) FROM cells").item() == 4, "and it ends with it"
    with pytest.raises(CoordevalError, match=r"'bear'.*bare"), in_arm(reader, "arms", "bear"):
        pass
