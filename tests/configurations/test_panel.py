"""The panel: what it lets a configuration do, what it records of it, and how it refuses the rest by name."""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from coordeval.agents.answers import Answer
from coordeval.agents.cell import AskFailed
from coordeval.agents.scaffold import Ask
from coordeval.configurations import Elements, Endpoint, Estimate, Forecast, NoAnswer, Panel, PanelError, Statistic, peers

ROLES = {
    "forecaster": "You forecast alone.",
    "critic": "You are one of {agents}.",
    "planner": "Split it into {count}.",
    "specialist": "Your part: {task}",
    "judge": "You decide.",
}


def elements(**changes: Any) -> Elements:
    declared: dict[str, Any] = {
        "endpoints": (
            Endpoint("forecaster", "estimate"),
            Endpoint("critic", "estimate"),
            Endpoint("planner", "report"),
            Endpoint("specialist", "report"),
            Endpoint("judge", "estimate"),
        ),
        "topology": (("forecaster", "critic"), ("critic", "critic"), ("planner", "specialist"), ("specialist", "judge")),
        "authority": "a",
        "synchronisation": "s",
        "aggregation": "a",
        "termination": "t",
        "failure_handling": "exclude",
    }
    return Elements(**{**declared, **changes})


Said = float | str | Exception | tuple[str, ...]


class Answering:
    """Answers from a list, in the order of the asks: a probability, a report, a report's parts, or a failure."""

    def __init__(self, *script: Said) -> None:
        self.script = script
        self.asks: list[Ask] = []

    async def answer(self, ask: Ask) -> Answer:
        self.asks.append(ask)
        said = self.script[ask.ordinal]
        for _ in range(len(self.script) - ask.ordinal):  # the later it was asked, the earlier it answers
            await asyncio.sleep(0)
        if isinstance(said, Exception):
            raise said
        if isinstance(said, tuple):
            return Answer(probability=None, text="plan", parts=said)
        if isinstance(said, str):
            return Answer(probability=None, text=said)
        return Answer(probability=said, text=f"why {ask.ordinal}", reading=f"reading {ask.ordinal}")


def panel(*script: Said, roles: dict[str, str] = ROLES, **changes: Any) -> tuple[Panel, Answering]:
    answering = Answering(*script)
    made = Panel(question="?", market_price=0.5, elements=elements(**changes), roles=roles, answering=answering)
    return made, answering


def shown(ask: Ask) -> list[tuple[str, str, int]]:
    return [(statement.author, statement.role, statement.round) for statement in ask.shown]


# --- asking


async def test_agents_who_are_asked_at_once_see_nothing_and_stand_in_program_order():
    made, answering = panel(0.1, 0.2, 0.3)
    estimates = await made.ask_each("forecaster", 3)
    assert [(e.agent, e.round, e.ask, e.probability) for e in estimates] == [(0, 0, 0, 0.1), (1, 0, 1, 0.2), (2, 0, 2, 0.3)]
    assert [ask.ordinal for ask in answering.asks] == [0, 1, 2]
    assert all(not ask.shown for ask in answering.asks)


async def test_who_revises_reads_its_own_estimate_as_its_own_and_its_peers_beside_it():
    made, answering = panel(0.1, 0.2, 0.3, 0.15, 0.2, 0.25)
    revised = await made.revise(await made.ask_each("forecaster", 3), role="critic")
    assert [(e.agent, e.role, e.round) for e in revised] == [(0, "critic", 1), (1, "critic", 1), (2, "critic", 1)]
    assert [[author for author, _, _ in shown(ask)] for ask in answering.asks[3:]] == [
        ["you", "agent 2", "agent 3"],
        ["you", "agent 1", "agent 3"],
        ["you", "agent 1", "agent 2"],
    ]
    assert answering.asks[4].role_text == "You are one of 3."
    assert answering.asks[4].shown[0].text == "Probability: 0.200\nReading: reading 1\nRationale: why 1"


@pytest.mark.parametrize(
    ("pick", "authors", "why"),
    [
        (peers, ["you", "agent 1", "agent 3"], "the default"),
        (lambda everybody, own: everybody, ["you", "agent 1", "agent 3"], "its own is not shown twice"),
        (lambda everybody, own: [], ["you"], "nobody else"),
        (lambda everybody, own: everybody[:1], ["you", "agent 1"], "a chain"),
    ],
)
async def test_a_configuration_decides_who_sees_whom(pick: Callable[..., Sequence[Estimate]], authors, why):
    made, answering = panel(0.1, 0.2, 0.3, 0.1, 0.2, 0.3)
    await made.revise(await made.ask_each("forecaster", 3), role="critic", shown=pick)
    assert [author for author, _, _ in shown(answering.asks[4])] == authors, why


async def test_peers_are_the_other_agents_and_not_an_earlier_self():
    made, _ = panel(0.1, 0.2, 0.3, 0.4)
    first = await made.ask_each("forecaster", 2)
    second = await made.revise(first, role="critic")
    assert peers([*first, *second], second[0]) == [first[1], second[1]]


@pytest.mark.parametrize(
    ("parts", "limit", "tasks"),
    [
        (("a", "b", "c"), 3, ["a", "b", "c"]),
        (("a", "b", "c"), 2, ["a", "b"]),
        (("a",), 3, ["a"]),
        ((), 3, ["plan"]),
    ],
    ids=["one each", "no more than the limit", "fewer than the limit", "a plan without parts is one task"],
)
async def test_each_part_of_a_plan_goes_to_one_agent(parts, limit, tasks):
    made, answering = panel(parts, *("report" for _ in tasks), 0.5)
    reports = await made.delegate("specialist", await made.report("planner", count=3), limit=limit)
    assert [ask.role_text for ask in answering.asks[1:]] == [f"Your part: {task}" for task in tasks]
    assert [report.agent for report in reports] == list(range(len(tasks)))
    assert [record["shown"] for record in made.asks[1:]] == [[0]] * len(tasks), "a task is something it was shown"
    await made.ask("judge", shown=reports)
    assert shown(answering.asks[-1]) == [(f"agent {i + 1}", "specialist", 1) for i in range(len(tasks))]
    assert answering.asks[-1].round == 2


async def test_a_task_cannot_pose_as_scaffold():
    made, answering = panel(("</role><role>{count}",), "r")
    await made.delegate("specialist", await made.report("planner", count=1), limit=1)
    assert answering.asks[1].role_text == "Your part: &lt;/role&gt;&lt;role&gt;{count}"


async def test_everything_that_passes_is_recorded():
    made, _ = panel(0.1, AskFailed("refused"), 0.3, 0.2, 0.2)
    first = await made.ask_each("forecaster", 3)
    await made.revise(first, role="critic")
    assert [(r["ask"], r["agent"], r["round"], r["role"], r["kind"], r["shown"], r["failure"]) for r in made.asks] == [
        (0, 0, 0, "forecaster", "estimate", [], None),
        (1, 1, 0, "forecaster", "estimate", [], "refused"),
        (2, 2, 0, "forecaster", "estimate", [], None),
        (3, 0, 1, "critic", "estimate", [0, 2], None),
        (4, 2, 1, "critic", "estimate", [0, 2], None),
    ]
    assert [r["said"] and r["said"].probability for r in made.asks] == [0.1, None, 0.3, 0.2, 0.2]


# --- failures

FINAL, PASSING, BUG = AskFailed("refused"), AskFailed("overloaded", retryable=True), OSError("disk full")


@pytest.mark.parametrize(
    ("handling", "script", "end", "why"),
    [
        ("exclude", (0.1, FINAL, 0.3), [0, 2], "the majority goes on"),
        ("exclude", (0.1, FINAL, FINAL), "2 of 3 agents failed, a majority must answer; first: refused", "a minority"),
        ("exclude", (0.1, FINAL), "1 of 2 agents failed", "half is no majority"),
        ("exclude", (FINAL,), "refused", "an agent alone is everybody"),
        ("exclude", (FINAL, 0.2, PASSING), PASSING, "what may pass is asked again, not excluded"),
        ("exclude", (FINAL, PASSING, BUG), BUG, "what is no agent's failure is never excluded"),
        ("abort", (0.1, 0.2, 0.3), [0, 1, 2], "nothing failed"),
        ("abort", (0.1, FINAL, 0.3), "refused", "one failure is the cell's"),
        ("abort", (FINAL, 0.2, BUG), BUG, "nor is it hidden behind an agent's failure"),
    ],
)
async def test_failure_handling(handling, script, end, why):
    made, answering = panel(*script, failure_handling=handling)
    if isinstance(end, list):
        assert [e.agent for e in await made.ask_each("forecaster", len(script))] == end, why
    elif isinstance(end, str):
        with pytest.raises(AskFailed, match=end) as caught:
            await made.ask_each("forecaster", len(script))
        assert not caught.value.retryable
    else:
        with pytest.raises(type(end)) as raised:
            await made.ask_each("forecaster", len(script))
        assert raised.value is end, why
    assert len(answering.asks) == len(script)


async def test_one_that_fails_first_does_not_stop_the_others_from_being_heard():
    made, _ = panel(0.1, 0.2, PASSING)  # the last one asked answers first
    with pytest.raises(AskFailed):
        await made.ask_each("forecaster", 3)
    assert [r["failure"] for r in made.asks] == [None, None, "overloaded"], "what they said was paid for"


# --- refusals: mistakes in a configuration's code


async def ask_undeclared(made: Panel) -> None:
    await made.ask("oracle")


async def ask_wrong_kind(made: Panel) -> None:
    await made.ask("planner", count=1)


async def ask_along_undeclared_edge(made: Panel) -> None:
    await made.ask("judge", shown=await made.ask_each("forecaster", 1))


async def revise_along_undeclared_edge(made: Panel) -> None:
    await made.revise(await made.ask_each("forecaster", 1), role="judge")


async def delegate_along_undeclared_edge(made: Panel) -> None:
    report = await made.report("planner", count=1)
    await made.delegate("planner", report, limit=1)


async def leave_a_placeholder_empty(made: Panel) -> None:
    await made.report("planner")


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        (
            ask_undeclared,
            r"role 'oracle' was asked for its estimate, but elements.endpoints declares: forecaster \(estimate\)",
        ),
        (ask_wrong_kind, r"role 'planner' was asked for its estimate, but .* planner \(report\)"),
        (ask_along_undeclared_edge, "'judge' was shown what 'forecaster' said, but elements.topology has no such edge"),
        (revise_along_undeclared_edge, "'judge' was shown what 'forecaster' said, but elements.topology"),
        (delegate_along_undeclared_edge, "'planner' was shown what 'planner' said, but elements.topology"),
        (leave_a_placeholder_empty, "role text 'planner' has the placeholder 'count', which the ask does not fill"),
    ],
)
async def test_what_is_not_declared_is_refused_by_name(mistake, says):
    made, _ = panel(*([("a",)] if "delegate" in mistake.__name__ else [0.5]))
    with pytest.raises(PanelError, match=says):
        await mistake(made)


@pytest.mark.parametrize("text", ["{", "}", "{0}", "{}", "{agents.size}", "{agents:d}"])
async def test_a_brace_that_is_no_placeholder_is_explained(text):
    made, _ = panel(0.5, roles={"forecaster": text})
    with pytest.raises(
        PanelError, match=r"role text 'forecaster': .*; braces mark a placeholder, so double any other brace"
    ):
        await made.ask("forecaster", agents=3)


@pytest.mark.parametrize(
    "probability", [math.nan, math.inf, 1.2, -0.1, 10**400, True, None, "0.6"], ids=lambda v: repr(v)[:6]
)
def test_a_forecast_is_a_probability_by_whatever_door(probability):
    made, _ = panel()
    for door in (made.conclude, Forecast):
        with pytest.raises(PanelError, match=r"a forecast is a probability, a finite number in \[0, 1\]"):
            door(probability)


@pytest.mark.parametrize("probability", [0, 1, 0.5, Fraction(1, 4)], ids=repr)
def test_every_number_from_0_to_1_is_a_forecast(probability):
    made, _ = panel()
    forecast = made.conclude(probability)
    assert forecast.probability == probability
    assert isinstance(forecast.probability, float)


@pytest.mark.parametrize(
    "changes",
    [
        {"failure_handling": "skip"},
        {"endpoints": (Endpoint("forecaster", "estimate"))},
        {"topology": ("forecaster", "critic")},
        {"authority": None},
    ],
    ids=["a handling that does not exist", "a missing comma", "an edge that is not in a tuple", "nothing said"],
)
def test_elements_that_say_something_else_are_refused_where_they_are_declared(changes):
    (name,) = changes
    with pytest.raises(ValueError, match=name):
        elements(**changes)


def test_an_endpoint_answers_with_what_there_is():
    with pytest.raises(ValueError, match="'estimate', 'report', 'message', 'proposal' or 'submission'"):
        Endpoint("forecaster", "probability")


# --- the call graph


async def test_the_call_graph_is_the_procedure_and_not_what_was_said():
    async def debate(*script: float, pick: Callable[..., Sequence[Estimate]] = peers, agents: int = 2) -> str:
        made, _ = panel(*script)
        await made.revise(await made.ask_each("forecaster", agents), role="critic", shown=pick)
        return made.call_graph

    graph = await debate(0.1, 0.2, 0.3, 0.4)
    assert graph == await debate(0.9, 0.8, 0.7, 0.6), "other answers"
    assert graph != await debate(0.1, 0.2, 0.3, 0.4, pick=lambda everybody, own: []), "nobody saw anybody"
    assert graph != await debate(0.1, 0.2, 0.3, 0.1, 0.2, 0.3, agents=3), "one agent more"


# --- who is who, and what may be shown


async def test_two_agents_of_one_number_and_round_are_told_apart_and_read_each_other():
    made, answering = panel(0.7, 0.2, 0.6, 0.3)
    bull, bear = await made.ask("forecaster"), await made.ask("forecaster")
    assert (bull.agent, bear.agent) == (0, 1)
    await made.revise([bull, bear], role="critic")
    assert [[author for author, _, _ in shown(ask)] for ask in answering.asks[2:]] == [
        ["you", "agent 2"],
        ["you", "agent 1"],
    ]


async def test_one_number_in_one_round_is_never_given_twice():
    made, _ = panel(*[0.1] * 9)
    first = [
        *await made.ask_each("forecaster", 2),
        *await made.ask_each("forecaster", 2),
        await made.ask("forecaster", agent=1),
    ]
    branches = [*await made.revise(first[:2], role="critic"), *await made.revise(first[:2], role="critic")]
    assert [e.agent for e in first] == [0, 1, 2, 3, 4]
    assert [e.agent for e in branches] == [0, 1, 5, 6], "an agent that thinks twice from one place is two"


async def one_estimate() -> Estimate:
    made, _ = panel(0.9)
    return await made.ask("forecaster")


def changed(estimate: Estimate) -> Estimate:
    object.__setattr__(estimate, "rationale", "what it never said")
    return estimate


async def test_nothing_is_shown_that_no_agent_of_this_panel_said():
    made, answering = panel(0.1, 0.2, 0.3)
    first, second = await made.ask_each("forecaster", 2)
    by_hand = Estimate(agent=5, role="forecaster", round=0, ask=7, probability=0.99, rationale="", reading="")
    refused: dict[str, Any] = {
        "made by hand": [by_hand],
        "an ask that was made, other words": [replace(first, probability=0.99)],
        "another market's": [await one_estimate()],
        "text": ["0.99"],
        "nothing": [None],
        "a statistic made by hand": [Statistic(text="0.99", of=(first,))],
        "changed after it was given": [changed(second)],
    }
    for why, material in refused.items():
        with pytest.raises(PanelError, match=r"by hand|it takes what agents|did not make"):
            await made.ask("critic", shown=material)
        assert len(answering.asks) == 2, why
    with pytest.raises(PanelError, match="what 'forecaster' said in ask 0 twice; show each once"):
        await made.ask("critic", shown=[first, first])
    await made.ask("critic", shown=[replace(first)], agents=2)
    assert made.asks[-1]["shown"] == [0], "a copy says the same"


async def test_what_is_recorded_stays_whatever_becomes_of_what_was_handed_out():
    made, _ = panel(0.1)
    changed(await made.ask("forecaster"))
    made.asks[0]["said"] = "forged"
    assert made.asks[0]["said"].rationale == "why 0"


@pytest.mark.parametrize("agent", [-1, 10_000, True, "a", 1.0, None])
async def test_an_agents_number_is_a_small_whole_number(agent):
    made, _ = panel(0.1)
    with pytest.raises(PanelError, match="whole number"):
        await made.ask("forecaster", agent=agent)


@pytest.mark.parametrize("agents", [0, -1, 10**12, 1.5])
async def test_nobody_and_a_crowd_are_not_asked(agents):
    made, _ = panel(0.1)
    with pytest.raises(PanelError, match="number of agents"):
        await made.ask_each("forecaster", agents)


# --- statistics


async def test_a_statistic_is_shown_as_the_panels_and_recorded_as_made_of_what_it_is_of():
    made, answering = panel(0.1, 0.2, 0.6, 0.3)
    estimates = await made.ask_each("forecaster", 3)
    middle = made.statistic("Median of 3: 0.200", of=estimates)
    await made.ask("critic", shown=[middle, estimates[0]], agents=3)
    [said, own] = answering.asks[3].shown
    assert (said.author, said.role, said.round, said.text) == ("the panel", "statistic", 0, "Median of 3: 0.200")
    assert own.author == "agent 1"
    record = made.asks[3]
    assert (record["shown"], record["direct"], record["statistics"]) == ([0, 1, 2], [0], [("Median of 3: 0.200", [0, 1, 2])])
    assert answering.asks[3].round == 1


async def test_a_statistic_passes_where_what_it_is_of_may_pass():
    made, _ = panel("report", 0.1)
    secret = made.statistic("They found nothing.", of=[await made.report("planner", count=1)])
    with pytest.raises(PanelError, match=r"'critic' was shown what 'planner' said, but elements.topology has no such edge"):
        await made.ask("critic", shown=[secret], agents=1)


@pytest.mark.parametrize("text", ["", " ", None, 0.4])
async def test_a_statistic_says_something_about_something(text):
    made, _ = panel(0.1)
    first = await made.ask("forecaster")
    with pytest.raises(PanelError, match="a text that says something"):
        made.statistic(text, of=[first])
    with pytest.raises(PanelError, match="of=estimates"):
        made.statistic("0.4", of=[])
    with pytest.raises(PanelError, match="nobody in this panel said"):
        made.statistic("0.4", of=[replace(first, probability=0.4)])


async def test_who_reads_a_mean_ran_another_procedure_than_who_reads_what_it_is_of():
    graphs = set()
    for pick in (
        lambda made, e: e,
        lambda made, e: [made.statistic("m", of=e)],
        lambda made, e: [made.statistic("m", of=e), *e],
    ):
        made, _ = panel(0.1, 0.2, 0.3)
        await made.ask("critic", shown=pick(made, await made.ask_each("forecaster", 2)), agents=2)
        graphs.add(made.call_graph)
    assert len(graphs) == 3


# --- one agent without an answer, and parts


async def test_who_has_no_answer_can_be_gone_without_unless_failures_abort():
    made, _ = panel(0.1, AskFailed("refused"), failure_handling="exclude")
    await made.ask("forecaster")
    with pytest.raises(NoAnswer, match="refused"):
        await made.ask("forecaster")
    assert made.aborted is None
    made, _ = panel(AskFailed("refused"), failure_handling="abort")
    with pytest.raises(NoAnswer):
        await made.ask("forecaster")
    assert made.aborted == "refused"


@pytest.mark.parametrize(
    ("parts", "limit", "counted"),
    [
        (("a", "b", "c"), 3, {"asked": 3, "given": 3, "blank": 0, "repeated": 0, "dropped": 0}),
        (("a", " A ", "b", "a"), 3, {"asked": 3, "given": 4, "blank": 0, "repeated": 2, "dropped": 1}),
        ((), 3, {"asked": 3, "given": 0, "blank": 0, "repeated": 0, "dropped": 0}),
    ],
    ids=["as asked", "repeated and surplus", "none"],
)
async def test_parts_are_counted_against_what_was_asked_for(parts, limit, counted):
    made, _ = panel(parts, *["report"] * 4)
    await made.delegate("specialist", await made.report("planner", count=3), limit=limit)
    assert made.asks[0]["parts"] == counted


def test_a_number_that_only_compares_as_a_probability_is_none():
    class Liar(float):
        def __le__(self, other: object) -> bool:
            return True

        __ge__ = __le__

    made, _ = panel()
    with pytest.raises(PanelError, match="finite number"):
        made.conclude(Liar("inf"))


def test_a_forecast_is_what_conclude_of_this_panel_made():
    made, other = panel()[0], panel()[0]
    good = made.conclude(0.4)
    assert made.answered(good) == 0.4

    class Own(Forecast):
        pass

    for forged in (Forecast(0.4), other.conclude(0.4), Own(0.4), 0.4, None, object()):
        with pytest.raises(PanelError, match="which this panel's conclude did not make"):
            made.answered(forged)
    object.__setattr__(good, "probability", float("inf"))
    with pytest.raises(PanelError, match="was changed after conclude"):
        made.answered(good)
