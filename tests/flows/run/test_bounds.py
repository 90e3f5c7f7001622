"""How far one cell may go, and what says so."""

import asyncio
import time

import pytest

from coordeval.agents.bounds import Bounds
from coordeval.agents.cell import Settings
from coordeval.flows.run import guard
from coordeval.flows.run.watching import watching
from coordeval.flows.study.study import StudyError, load_study
from tests.flows.run.harness import Model, run_mine, stored

ENDLESS = """
said = await panel.ask_each("forecaster", 3)
while True:
    said = await panel.revise(said, role="critic")
"""
HOARDING = """
for i in range(1000):
    try:
        await panel.ask("forecaster", agent=i)
    except BaseException:
        pass
return panel.conclude(0.5)
"""
IDLE = """
await panel.ask("forecaster")
await asyncio.sleep(3600)
"""


def test_a_cell_that_goes_on_without_end_fails_and_names_the_bound(tmp_path):
    bounds = "[bounds]\nasks = 20\ntokens = 5000\nseconds = 0.2"
    bodies = {"endless": ENDLESS, "hoarding": HOARDING, "idle": IDLE}
    rows = run_mine(tmp_path, bodies, beside=("single_agent",), extra=bounds)
    said = {name: (row["reason"], row["retryable"]) for name, [row] in rows.items()}
    too_many = ("it made more than 20 asks, which is what [bounds] asks allows one cell", False)
    too_long = (
        "the configuration took more than 0.2 s of its own, the time its agents needed not counted, which is what [bounds] "
        "seconds allows one cell",
        True,
    )
    assert said == {"endless": too_many, "hoarding": too_many, "idle": too_long, "single_agent": (None, False)}
    assert rows["endless"][0]["model_calls"] <= 20
    assert stored(tmp_path, "SELECT count(*) AS n FROM estimates")[0]["n"] >= 40


def test_a_cell_that_uses_too_many_tokens_makes_no_further_call(tmp_path):
    [row] = run_mine(tmp_path, {"hoarding": HOARDING}, extra="[bounds]\ntokens = 250")["hoarding"]
    assert row["reason"] == "its calls used 300 tokens, and [bounds] tokens allows one cell 250"
    assert (row["model_calls"], row["retryable"]) == (3, False)


def test_the_clock_stands_while_an_answer_is_waited_for(tmp_path):
    body = "return panel.conclude((await panel.ask('forecaster')).probability)"
    model = Model(wait=lambda slot: 1.5)
    [row] = run_mine(tmp_path, {"waits": body}, model, extra="[bounds]\nseconds = 1.0")["waits"]
    assert row["status"] == "answered"


def test_only_a_bound_that_is_not_the_usual_one_is_part_of_identity(study_file):
    plain = load_study(study_file())
    usual = load_study(study_file(("[markets]", "[bounds]\nasks = 500\n[markets]")))
    own = load_study(study_file(("[markets]", "[bounds]\nasks = 50\n[markets]")))
    assert plain.id == usual.id != own.id
    before = Settings(model="m", max_tokens=1)
    assert "bounds" not in before.identity()
    assert Settings(model="m", max_tokens=1, bounds=Bounds(asks=50)).identity()["bounds"] == {"asks": 50}
    assert own.study.probe_settings().bounds == Bounds(asks=50)


@pytest.mark.parametrize("line", ["asks = 0", "tokens = -1", "seconds = 0", "seconds = inf", "turns = 3"])
def test_a_bound_that_is_none_is_refused(study_file, line):
    with pytest.raises(StudyError, match=r"bounds\."):
        load_study(study_file(("[markets]", f"[bounds]\n{line}\n[markets]")))


def test_a_configuration_that_blocks_the_loop_is_named_while_it_does():
    said: list[str] = []

    async def blocks() -> None:
        while not said:  # until the watch has seen it
            time.sleep(0.01)  # noqa: ASYNC251 - it is to block

    async def main() -> None:
        with watching(asyncio.get_running_loop(), seconds=0.2, say=said.append):
            context = guard.context_of(guard.Owner("sleepy, market m1, replicate 1"))
            await asyncio.create_task(blocks(), context=context)

    guard.run(main())
    assert "sleepy, market m1, replicate 1 has held up all cells" in said[0]
    assert "test_bounds.py" in said[0]
