"""Arms of models that cost money: live and in batches, one budget for all, and each model's replies are its own."""

import pytest

from coordeval.agents.standin import Faults, Running, StandIn
from coordeval.agents.standin.app import KEY
from coordeval.flows.costs.consent import Door, agreed
from coordeval.flows.costs.quote import quote
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.study.evaluation import open_evaluation
from coordeval.flows.study.reading import StudyError
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, read
from tests.flows.run.test_batches import CALLS, FORECASTS, run

STUDY = """
name = "paid"
replicates = 1
budget_usd = {budget}
configurations = ["single_agent", "independent_ensemble"]
[markets]
source = "simulated"
count = 2
[model]
provider = "anthropic"
id = "claude-opus-4-6"
max_tokens = 500
base_url = "{url}"
[models.small]
provider = "anthropic"
id = "{small}"
max_tokens = 400
base_url = "{url}"
[[arms]]
name = "small"
model = "small"
[[arms]]
name = "bare"
tools = "none"
[run]
batch = {batch}
"""


@pytest.fixture
def standin(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    with Running(StandIn(Faults(), sampled=False)) as running:
        yield running


def study(folder, url, *, batch=False, budget=40, small="claude-haiku-4-5"):
    (folder / "paid.toml").write_text(STUDY.format(url=url, batch=str(batch).lower(), budget=budget, small=small))
    return folder / "paid.toml"


def test_two_models_in_batches_make_the_forecasts_of_a_live_run_and_each_is_asked_by_its_own_name(tmp_path, standin):
    batched, live = tmp_path / "b.duckdb", tmp_path / "l.duckdb"
    run(study(tmp_path, standin.url, batch=True), batched)
    assert not standin.standin.seen, "no call went out by itself"
    file = study(tmp_path, standin.url)
    run(file, live)
    for query in (FORECASTS, CALLS):
        assert read(batched).query(query).equals(read(live).query(query)), "a batch changes no reply"
    asked = """SELECT DISTINCT arm, d.model, json_extract(request, '$.max_tokens')::INT
        FROM cells JOIN calls USING (forecast_id) JOIN draws d USING (draw_id) ORDER BY ALL"""
    haiku, opus = ("claude-haiku-4-5", 400), ("claude-opus-4-6", 500)
    assert read(live).query(asked).rows() == [("bare", *opus), ("main", *opus), ("small", *haiku)]
    assert read(batched).query("SELECT count(*) FROM draws WHERE batch_id IS NULL").item() == 0
    with Ledger.open(live, purpose="test") as ledger:
        evaluation = open_evaluation(load_study(file), live, ledger)
        assert plan(evaluation, pull(evaluation)).to_run == 0
    found = quote(load_study(study(tmp_path, standin.url)), tmp_path / "none.duckdb")
    assert {part.arm for part in found.parts} == {"main", "small", "bare"}
    usd = {arm: sum(part.usd.mean for part in found.parts if part.arm == arm) for arm in ("main", "small")}
    assert usd["small"] < usd["main"] / 2, "each arm at the prices of its own model"


def test_all_arms_spend_from_one_budget(tmp_path, standin):
    path = tmp_path / "l.duckdb"
    run(study(tmp_path, standin.url, budget="0.20"), path)
    assert read(path).query("SELECT sum(micro_usd) FROM draws").item() <= 200_000
    reasons = set(read(path).query("SELECT DISTINCT reason FROM forecasts WHERE status = 'failed'")["reason"])
    assert reasons
    assert all("the budget of $0.2000 is exhausted" in reason for reason in reasons)


def test_a_budget_needs_the_price_of_every_model_and_batches_ids_that_differ(tmp_path, standin):
    with (
        pytest.raises(StudyError, match=r"models\.small: a budget is set, but the price of 'who-knows' is not known"),
        Ledger.open(tmp_path / "l.duckdb", purpose="test") as ledger,
    ):
        open_evaluation(load_study(study(tmp_path, standin.url, small="who-knows")), tmp_path / "l.duckdb", ledger)


def test_every_model_is_said_not_to_be_examined_and_each_can_be_by_its_arm(tmp_path, standin):
    loaded = load_study(study(tmp_path, standin.url))
    said: list[str] = []

    class Console:
        def print(self, text, **how):
            said.append(text)

    agreed(loaded, tmp_path / "none.duckdb", Console(), Door(how="", yes=True))
    assert "claude-opus-4-6, claude-haiku-4-5 were not examined" in said[0]
    assert loaded.alone("small").study.model_name == "claude-haiku-4-5"
    with pytest.raises(StudyError, match=r"'smal'.*small"):
        loaded.alone("smal")
