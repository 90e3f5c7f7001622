"""How far one cell may go, and what says so."""

import asyncio
import contextlib
import subprocess
import sys
import time

import pytest

from coordeval.agents.bounds import Bounds
from coordeval.agents.cell import Settings
from coordeval.flows.run import guard
from coordeval.flows.run.watching import watching
from coordeval.flows.study.study import StudyError, load_study
from tests.flows.conftest import ROOT
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


CUT_OFF = (
    "did not end when it was called off: a task of it went on 3 times and had to be cut off. "
    "Let asyncio.CancelledError through, in `except BaseException` and around `asyncio.shield` too"
)


def test_a_cell_that_goes_on_without_end_fails_and_names_the_bound(tmp_path, record_property):
    bounds = "[bounds]\nasks = 20\ntokens = 5000\nseconds = 0.2"
    bodies = {"endless": ENDLESS, "hoarding": HOARDING, "idle": IDLE}
    record_property("tried", len(bodies))
    rows = run_mine(tmp_path, bodies, beside=("single_agent",), extra=bounds)
    said = {name: (row["reason"], row["retryable"]) for name, [row] in rows.items()}
    too_many = ("it made more than 20 asks, which is what [bounds] asks allows one cell", False)
    too_long = (
        "the configuration took more than 0.2 s of its own, the time its agents needed not counted, which is what [bounds] "
        "seconds allows one cell",
        True,
    )
    cut_off = (f"{too_many[0]}; and hoarding {CUT_OFF}", False)
    assert said == {"endless": too_many, "hoarding": cut_off, "idle": too_long, "single_agent": (None, False)}
    assert rows["endless"][0]["model_calls"] <= 20
    assert stored(tmp_path, "SELECT count(*) AS n FROM estimates")[0]["n"] >= 40


SWALLOWING = {
    "swallows": """
await panel.ask("forecaster")
while True:
    try:
        await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        pass
""",
    "shields": """
await panel.ask("forecaster")
async def on():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass
task = asyncio.create_task(on())
while True:
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        pass
""",
    "begins_anew": """
await panel.ask("forecaster")
async def on():
    try:
        await asyncio.sleep(3600)
    finally:
        asyncio.create_task(on())
await on()
""",
    "leaves_one_behind": """
async def on():
    while True:
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            pass
task = asyncio.create_task(on())
return panel.conclude((await panel.ask("forecaster")).probability)
""",
}


ANSWERS_ALL_THE_SAME = """
try:
    await asyncio.sleep(3600)
except asyncio.CancelledError:
    return panel.conclude(0.5)
"""


def test_one_that_swallows_being_called_off_is_cut_off_and_named_and_its_neighbours_go_on(tmp_path, record_property):
    bodies = SWALLOWING | {"answers_all_the_same": ANSWERS_ALL_THE_SAME}
    record_property("tried", len(bodies))
    rows = run_mine(tmp_path, bodies, beside=("single_agent",), extra="[bounds]\nseconds = 0.2")
    assert rows.pop("single_agent")[0]["status"] == "answered"
    [late] = rows.pop("answers_all_the_same")
    assert (late["status"], late["probability"], late["retryable"]) == ("failed", None, True), "it did end"
    time_is_up = "the configuration took more than 0.2 s of its own"
    for name, [row] in rows.items():
        assert (row["status"], row["retryable"]) == ("failed", False), name
        assert row["reason"].startswith(time_is_up) == (name != "leaves_one_behind"), name
        assert f"{name} did not end when it was called off" in row["reason"], name
        assert "Let asyncio.CancelledError through" in row["reason"], name


def test_what_was_cut_off_takes_no_further_step():
    steps: list[int] = []

    async def on() -> None:
        while True:
            steps.append(len(steps))
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)

    async def main() -> tuple[int, int]:
        owner = guard.Owner("endless")
        task = asyncio.create_task(on(), context=guard.context_of(owner))
        await asyncio.sleep(0)
        await guard.release(owner)
        await asyncio.wait({task})
        before = len(steps)
        for _ in range(10):
            await asyncio.sleep(0)
        return owner.stubborn, len(steps) - before

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(guard, "RELEASE_SECONDS", 0.01)
        assert guard.run(main()) == (1, 0)


CUT_OFF_AT_THE_END = """
import asyncio
from coordeval.flows.run import guard
guard.RELEASE_SECONDS = 0.01
async def on():
    while True:
        try:
            await asyncio.sleep(3600)
        except BaseException:
            pass
async def main():
    owner = guard.Owner("endless")
    task = asyncio.create_task(on(), context=guard.context_of(owner))
    await asyncio.sleep(0)
    await guard.release(owner)
    print(owner.stubborn)
guard.run(main())
"""


def test_a_process_in_which_something_was_cut_off_ends_and_says_nothing_more():
    command = [sys.executable, "-c", CUT_OFF_AT_THE_END]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_a_cell_that_uses_too_many_tokens_makes_no_further_call(tmp_path):
    [row] = run_mine(tmp_path, {"hoarding": HOARDING}, extra="[bounds]\ntokens = 250")["hoarding"]
    assert row["reason"] == f"its calls used 300 tokens, and [bounds] tokens allows one cell 250; and hoarding {CUT_OFF}"
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
    assert own.study.settings().bounds == Bounds(asks=50)


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
