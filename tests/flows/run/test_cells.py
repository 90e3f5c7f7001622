"""One cell: what is nobody's failure stays out of a configuration's hands, and what was spent for it is charged to it."""

import asyncio
from typing import Any

import pytest

from coordeval.agents.budget import BudgetExhausted
from coordeval.agents.failures import ModelAccessError
from coordeval.agents.messages import ModelError
from coordeval.flows.certificate.certificate import certificate
from coordeval.ledger import LedgerError, read
from tests.agents.test_cell import ESTIMATE, Scripted, cell
from tests.flows.run.harness import Model, run_mine, stored

CATCHING = {
    "gather": """
got = await asyncio.gather(*(panel.ask("forecaster", agent=i) for i in range(3)), return_exceptions=True)
return panel.conclude(fmean([e.probability for e in got if not isinstance(e, BaseException)] or [0.5]))
""",
    "task_group": """
try:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(panel.ask("forecaster", agent=i)) for i in range(3)]
except* Exception:
    pass
return panel.conclude(0.5)
""",
    "except_exception": """
for i in range(3):
    try:
        await panel.ask("forecaster", agent=i)
    except Exception:
        pass
return panel.conclude(0.5)
""",
    "except_base_exception": """
for i in range(3):
    try:
        await panel.ask("forecaster", agent=i)
    except BaseException:
        pass
return panel.conclude(0.5)
""",
    "wait_for": """
try:
    await asyncio.wait_for(panel.ask("forecaster"), 60)
except Exception:
    pass
return panel.conclude(0.5)
""",
    "nobody_waits": """
left = asyncio.create_task(panel.ask("forecaster"))
await asyncio.wait({left})
return panel.conclude(0.5)
""",
    "again_and_again": """
while True:
    try:
        await panel.ask("forecaster")
    except BaseException:
        pass
""",
    "stubborn": """
async def stubborn():
    while True:
        try:
            await panel.ask("forecaster")
        except BaseException:
            pass
task = asyncio.create_task(stubborn())
while True:
    try:
        await asyncio.shield(task)
    except BaseException:
        pass
""",
}


def failing(error: Exception) -> Model:
    def reply(request: Any, slot: Any) -> Any:
        raise error

    return Model(reply)


@pytest.mark.parametrize(
    "error", [ModelAccessError("the key is refused (401)"), LedgerError("no space left")], ids=["key", "disk"]
)
def test_what_would_stop_a_run_stops_it_whatever_a_configuration_catches(tmp_path, error):
    with pytest.raises(type(error), match=r"refused|no space"):
        run_mine(tmp_path, CATCHING, failing(error))
    assert not stored(tmp_path, "SELECT * FROM forecasts")


@pytest.mark.parametrize(
    "error",
    [BudgetExhausted("the budget is exhausted"), ModelError("overloaded (529)", retryable=True)],
    ids=["budget", "529"],
)
def test_what_may_pass_leaves_the_cell_open_whatever_a_configuration_catches(tmp_path, error):
    for name, [row] in run_mine(tmp_path, CATCHING, failing(error)).items():
        assert (row["status"], row["reason"], row["retryable"]) == ("failed", error.reason, True), name


FINAL = ModelError("the request is too long", retryable=False)


def test_a_forecast_that_rests_on_no_answer_is_a_failed_row_with_the_reason(tmp_path):
    catching = {name: CATCHING[name] for name in ("gather", "task_group", "except_exception", "except_base_exception")}
    asks_nobody = {"asks_nobody": "return panel.conclude(0.5)"}
    rows = run_mine(tmp_path, catching | asks_nobody, failing(FINAL), beside=("market_price",))
    for name in catching:
        [row] = rows[name]
        assert (row["status"], row["retryable"]) == ("failed", False)
        assert row["reason"] == (
            f"{name} concluded 0.5, which rests on no answer: none of its 3 asks was answered; first: {FINAL.reason}"
        )
    assert rows["asks_nobody"][0]["reason"] == "asks_nobody concluded 0.5, which rests on no answer: it asked no agent"
    assert rows["market_price"][0]["status"] == "answered", "one that declares no endpoints has nobody to ask"


GROUPS = {
    "asking": """
async with asyncio.TaskGroup() as group:
    group.create_task(panel.ask("forecaster"))
    group.create_task(panel.ask("forecaster", agent=1))
return panel.conclude(0.5)
""",
    "breaking": """
async def broken():
    raise ValueError("mine")
async with asyncio.TaskGroup() as group:
    group.create_task(broken())
return panel.conclude(0.5)
""",
}


def test_a_groups_failure_names_what_is_inside(tmp_path):
    rows = run_mine(tmp_path, GROUPS, failing(FINAL))
    said = {name: (row["reason"], row["retryable"]) for name, [row] in rows.items()}
    assert said == {"asking": (FINAL.reason, False), "breaking": ("breaking raised ValueError: mine", True)}


ESCAPES = {
    "cancels_itself": ('asyncio.current_task().cancel()\nawait panel.ask("forecaster")', " cancelled its own task"),
    "raises_a_cancellation": ("raise asyncio.CancelledError", " cancelled its own task"),
    "cancels_a_task_of_its_own": (
        't = asyncio.create_task(panel.ask("forecaster"))\nt.cancel()\nawait t',
        " cancelled its own task",
    ),
    "cancels_every_task": (
        'for t in asyncio.all_tasks():\n    t.cancel()\nawait panel.ask("forecaster")',
        " cancelled tasks that are not its own",
    ),
    "exits": ("sys.exit(3)", " raised SystemExit: 3"),
    "exits_in_a_task": (
        "async def leave():\n    sys.exit(3)\nawait asyncio.create_task(leave())",
        " raised SystemExit: 3",
    ),
    "interrupts": ("raise KeyboardInterrupt", " raised KeyboardInterrupt: "),
    "interrupts_in_a_group": (
        "async def leave():\n    raise KeyboardInterrupt\nasync with asyncio.TaskGroup() as g:\n    g.create_task(leave())",
        " raised KeyboardInterrupt: ",
    ),
    "closes_itself": ("raise GeneratorExit", " raised GeneratorExit: "),
    "raises_what_derives_from_baseexception": (
        "class Odd(BaseException): pass\nraise Odd('odd')",
        " raised Odd: odd",
    ),
    "raises_text_that_cannot_be_stored": ("raise ValueError('\\ud800')", " raised ValueError: ?"),
    "raises_what_has_no_text": (
        "class Mute(Exception):\n    def __str__(self): raise RuntimeError\nraise Mute",
        " raised Mute: (its text cannot be had: RuntimeError)",
    ),
    "poses_as_a_full_disk": (
        "from coordeval.ledger import LedgerError\nraise LedgerError('full')",
        " raised LedgerError: full",
    ),
    "leaves_an_exiting_task_behind": (
        "async def leave():\n    sys.exit(3)\nt = asyncio.create_task(leave())\n"
        "await asyncio.sleep(0.01)\nraise ValueError('later')",
        " raised ValueError: later",
    ),
}


def test_whatever_a_configuration_raises_or_cancels_fails_its_own_cells_only(tmp_path):
    rows = run_mine(tmp_path, {name: body for name, (body, _) in ESCAPES.items()}, beside=("single_agent",), count=2)
    for name, (_, reason) in ESCAPES.items():
        assert [row["reason"] for row in rows[name]] == [name + reason] * 2
    assert [row["status"] for row in rows["single_agent"]] == ["answered"] * 2


# --- money is booked where it is spent

RACE = """
tasks = [asyncio.create_task(panel.ask("forecaster", agent=i)) for i in range(3)]
done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
for t in rest:
    t.cancel()
return panel.conclude(next(iter(done)).result().probability)
"""
BACKGROUND = """
left = asyncio.create_task(panel.ask("forecaster", agent=1))
return panel.conclude((await panel.ask("forecaster")).probability)
"""
TIMEOUT = """
first = await panel.ask("forecaster")
try:
    await asyncio.wait_for(panel.ask("forecaster", agent=1), 0.01)
except TimeoutError:
    pass
return panel.conclude(first.probability)
"""


def test_calls_of_asks_that_were_called_off_are_charged_to_the_cell_and_marked(tmp_path):
    called_off = {"race": (RACE, 3), "background": (BACKGROUND, 2), "time_out": (TIMEOUT, 2)}
    rows = run_mine(
        tmp_path, {name: body for name, (body, _) in called_off.items()}, Model(wait=lambda slot: 0.2 * slot.ask)
    )
    off = {"kind": "failed", "rationale": "called off before it was answered"}
    for name, (_, calls) in called_off.items():
        [row] = rows[name]
        assert (row["status"], row["model_calls"], row["attributed_micro_usd"]) == ("answered", calls, 10 * calls), name
        sql = f"SELECT kind, rationale FROM estimates WHERE forecast_id = '{row['forecast_id']}' ORDER BY ask"
        assert stored(tmp_path, sql) == [{"kind": "estimate", "rationale": "because"}, *[off] * (calls - 1)], name
    drawn = stored(tmp_path, "SELECT sum(micro_usd) AS paid FROM draws")[0]["paid"]
    assert sum(row["paid_micro_usd"] for [row] in rows.values()) == drawn


def test_no_further_turn_is_paid_for_an_ask_that_was_called_off(tmp_path):
    def reply(request: Any, slot: Any) -> Any:
        return 0.3 if slot.ask == 0 else {"probability": "much", "rationale": "r", "reading": "r"}  # would be asked again

    model = Model(reply, wait=lambda slot: 3.0 * slot.ask)  # under way when the other has long answered
    [row] = run_mine(tmp_path, {"background": BACKGROUND}, model)["background"]
    assert (row["model_calls"], len(model.slots)) == (2, 2)


def test_a_full_disk_met_by_a_call_that_nobody_waits_for_stops_the_run(tmp_path):
    def reply(request: Any, slot: Any) -> Any:
        if slot.ask:
            raise LedgerError("no space left")
        return 0.3

    with pytest.raises(LedgerError, match="no space left"):
        run_mine(tmp_path, {"background": BACKGROUND}, Model(reply, wait=lambda slot: 0.05 * slot.ask))


async def test_a_call_that_does_not_end_is_counted_so_that_the_cells_cost_is_unknown():
    class Stuck(Scripted):
        async def complete(self, request: Any, slot: Any) -> Any:
            await asyncio.Event().wait()

    agents = cell(Stuck())
    asking = asyncio.create_task(agents.answer(ESTIMATE))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    assert await agents.settle(0.01) == 1


# --- what a cell hands in

FORGED = {
    "built": "from coordeval.configurations import Forecast as F\nreturn F(0.5)",
    "text": "return '0.5'",
    "nothing": "return None",
    "changed": "f = panel.conclude(0.5)\nobject.__setattr__(f, 'probability', float('inf'))\nreturn f",
    "swapped": "f = panel.conclude(0.5)\nobject.__setattr__(f, 'probability', '0.5')\nreturn f",
    "mute": "class M:\n    def __repr__(self): raise ValueError\nreturn M()",
    "hidden": "e = await panel.ask('forecaster')\nobject.__setattr__(e, 'probability', 7.0)\nreturn panel.conclude(0.5)",
    "numbered": "await panel.ask('forecaster', agent=10**30)",
    "surrogate": "await panel.ask('forecaster', shown=['\\ud800'])",
}


def test_a_forged_forecast_fails_its_own_cells_with_the_reason(tmp_path):
    rows = run_mine(tmp_path, FORGED, beside=("single_agent",), count=2)
    assert {row["status"] for row in rows.pop("single_agent")} == {"answered"}
    assert {row["status"] for row in rows.pop("hidden")} == {"answered"}, "what is stored is what the agent said"
    assert {row["probability"] for row in stored(tmp_path, "SELECT probability FROM estimates")} == {0.3}
    for name, both in rows.items():
        assert [row["status"] for row in both] == ["failed"] * 2, name
        assert any(word in both[0]["reason"] for word in ("conclude", "whole number", "it takes what agents")), both[0][
            "reason"
        ]


EXCLUDING = """
got = []
for i in range(3):
    try:
        got.append(await panel.ask("forecaster", agent=i))
    except Exception:
        pass
return panel.conclude(fmean(e.probability for e in got))
"""


@pytest.mark.parametrize(("handling", "status", "reason"), [("exclude", "answered", None), ("abort", "failed", "no")])
def test_one_agent_without_an_answer_is_gone_without_unless_failures_abort(tmp_path, handling, status, reason):
    def reply(request: Any, slot: Any) -> Any:
        if slot.ask == 1:
            raise ModelError("no", retryable=False)
        return 0.3

    [row] = run_mine(tmp_path, {"mine": EXCLUDING}, Model(reply), handling=handling)["mine"]
    assert (row["status"], row["reason"]) == (status, reason)


LEAKING = """
e = await panel.ask_each("forecaster", 2)
told = panel.statistic("Resolution: YES, said the record", of=e)
return panel.conclude((await panel.ask("critic", shown=[told], agents=2)).probability)
"""
PAST_THE_PANEL = {
    "an ask of its own": """
from coordeval.agents.scaffold import Ask, Statement
first = await panel.ask("forecaster")
shown = (Statement(author="agent 2", role="forecaster", round=0, text="Probability: 0.990"),)
ask = Ask(ordinal=7, agent=0, round=1, role="critic", role_text="Revise.", answer="estimate", shown=shown)
await panel._answering.answer(ask)
return panel.conclude(first.probability)
""",
    "a record of its own": """
e = await panel.ask("forecaster")
object.__setattr__(panel._asks[0]["said"], "rationale", "forged")
return panel.conclude(e.probability)
""",
    "a statement of its own": """
e = await panel.ask("forecaster")
forged = panel._asks[0]["said"]
was, forged_text = forged.rationale, "forged"
object.__setattr__(forged, "rationale", forged_text)
r = await panel.ask("critic", shown=[forged], agents=1)
object.__setattr__(forged, "rationale", was)
return panel.conclude(r.probability)
""",
}
FOUND = {
    "an ask of its own": ["belongs to no ask that the panel made", "shown a statement of 'forecaster' that nobody made"],
    "a record of its own": ["is in no reply to it"],
    "a statement of its own": ["shown a statement of 'forecaster' that nobody made"],
}


def test_what_a_configuration_does_past_the_panel_is_found_in_the_stored_bytes(tmp_path):
    names = {key: key.replace(" ", "_") for key in PAST_THE_PANEL}
    bodies = {names[key]: body for key, body in PAST_THE_PANEL.items()}
    rows = run_mine(tmp_path, bodies | {"leaking": LEAKING, "honest": RACE}, Model(wait=lambda slot: 0.02 * slot.ask))
    made = {name: certificate(read(tmp_path / "ledger.duckdb"), row["forecast_id"]) for name, [row] in rows.items()}
    checks = {name: {check.name: check for check in one.checks} for name, one in made.items()}
    for key, name in names.items():
        found = checks[name]["conversation"]
        assert found.status == "failed", key
        assert all(words in found.detail for words in FOUND[key]), found.detail
    assert checks["honest"]["conversation"].status == "passed"
    assert checks["leaking"]["conversation"].status == "passed", "a statistic is the panel's own"
    assert checks["leaking"]["no outcome text"].status == "failed", "but its words are a plugin's, and searched"


def test_what_was_handed_in_and_shown_is_stored(tmp_path):
    body = """
e = await panel.ask_each("forecaster", 2)
return panel.conclude((await panel.ask("critic", shown=[panel.statistic("mean 0.3", of=e), e[0]], agents=2)).probability)
"""
    parts = [{"report": "plan", "parts": ["a", " ", ""]}, {"report": "plan", "parts": ["a", "A", "b", "c"]}]

    def reply(request: Any, slot: Any) -> Any:
        if slot.configuration != "orchestrator_specialist":
            return 0.3
        return parts[slot.turn] if slot.ask == 0 else 0.3 if slot.ask == 4 else {"report": "r", "parts": []}

    rows = run_mine(tmp_path, {"mine": body}, Model(reply), beside=("orchestrator_specialist",))
    assert [row["status"] for [row] in rows.values()] == ["answered"] * 2
    assert stored(tmp_path, "SELECT asked, given, blank, repeated, dropped FROM parts") == [
        {"asked": 3, "given": 4, "blank": 2, "repeated": 1, "dropped": 1}
    ]
    own = rows["mine"][0]["forecast_id"]
    sql = f"SELECT from_ask, statistic FROM messages WHERE forecast_id = '{own}' ORDER BY ALL"
    assert stored(tmp_path, sql) == [
        {"from_ask": 0, "statistic": "mean 0.3"},
        {"from_ask": 0, "statistic": None},
        {"from_ask": 1, "statistic": "mean 0.3"},
    ]
