"""A trace says who saw what, whom a movement is credited to, and whether agreement in words is agreement in numbers."""

import io
from math import log
from typing import Any

import pytest

from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.talk.credit import agreement_said, credit
from coordeval.flows.certificate.acted import commitment_lines
from coordeval.flows.certificate.conversation import Ask, Conversation
from coordeval.flows.certificate.trace import Trace, traced
from coordeval.flows.certificate.trace_terminal import print_trace
from coordeval.flows.terminal import Terminal

DEBATE = {
    "endpoints": [{"role": "forecaster", "answers": "estimate"}, {"role": "critic", "answers": "estimate"}],
    "topology": [["forecaster", "critic"], ["critic", "critic"]],
    "aggregation": "median",
}
FORECAST = {
    "forecast_id": "f" * 64, "configuration": "debate", "replicate": 0, "market_id": "m", "question": "Will it?",
    "status": "answered", "probability": 0.6, "reason": None, "outcome": 1, "market_price": 0.5, "simulated": True,
}  # fmt: skip


def x(p: float) -> float:
    return log(p / (1 - p))


def ask(number: int, agent: int, p: float | None, shown: tuple[int, ...] = (), why: str = "", **other: Any) -> Ask:
    kind = other.pop("kind", "estimate" if p is not None else "failed")
    role = other.pop("role", "critic" if shown else "forecaster")
    answer = {"kind": kind, "probability": p, "rationale": why, "reading": ""}
    return Ask(number, agent, 1 if shown else 0, role, list(shown), "", answer, **other)


def made(*asks: Ask, elements: dict[str, Any] | None = None, acts: Any = (), **other: Any) -> Trace:
    return traced(Conversation(FORECAST | other, "", list(asks), list(acts)), DEBATE if elements is None else elements)


def of_two(p: float, why: str = "") -> Trace:
    """Agent 0 at 0.5 reads agents 1 and 2 at 0.7 and 0.8, and says p."""
    return made(ask(0, 0, 0.5), ask(1, 1, 0.7), ask(2, 2, 0.8), ask(3, 0, p, (0, 1, 2), why))


def test_a_movement_is_shared_by_those_who_stand_where_it_went():
    step = of_two(0.6).steps[3]
    assert (step.own, step.others, step.before) == ((0,), (1, 2), 0.5)
    assert step.moved == pytest.approx(x(0.6))
    near, far = x(0.7), x(0.8)
    assert step.moved_by == pytest.approx({1: x(0.6) * near / (near + far), 2: x(0.6) * far / (near + far)})
    assert step.alone == 0.0
    assert of_two(0.6).pulls() == pytest.approx({(1, 0): step.moved_by[1], (2, 0): step.moved_by[2]})


@pytest.mark.parametrize("p", [0.4, 0.5])
def test_a_movement_to_where_nobody_stands_is_its_own(p: float):
    step = of_two(p).steps[3]
    assert step.moved_by == {}
    assert step.alone == pytest.approx(x(p))


def test_parts_of_a_movement_add_up_to_it_and_bad_estimates_are_named():
    found = credit(0.2, 0.9, {1: 0.3, 2: 1.0, 3: 0.1})
    assert sum(found.of.values()) + found.own == pytest.approx(found.moved)
    assert 3 not in found.of
    with pytest.raises(AnalysisError, match=r"1\.2: it must lie in \[0, 1\]"):
        credit(0.2, 1.2, {})


@pytest.mark.parametrize(
    ("p", "why", "kept"),
    [
        (0.74, "I agree with the others, the poll is right.", True),  # the median shown is 0.75
        (0.55, "I agree with the others, the poll is right.", False),  # referential binding: words, and another number
        (0.55, "We now concur. The date is near.", False),
        (0.74, "I do not agree with agent 2, the poll is old.", None),
        (0.74, "I disagree with agent 2.", None),
        (0.74, "The poll is right.", None),
    ],
)
def test_agreement_in_words_is_held_against_the_numbers(p: float, why: str, kept: bool | None):
    assert of_two(p, why).steps[3].kept is kept


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("I fully agree with my peers.", "I fully agree"),
        ("This is in line with the group.", "in line with the"),
        ("The consensus is 0.7.", "consensus is"),
        ("If I agree with agent 2, the base rate must be wrong.", None),
        ("Nobody agrees on dates; the agreement between both states holds.", None),
        ("", None),
    ],
)
def test_only_plain_agreement_counts_as_said(text: str, says: str | None):
    assert agreement_said(text) == says


def test_a_group_agrees_where_its_last_estimates_are_within_the_tolerance():
    found = made(ask(0, 0, 0.5), ask(1, 1, 0.7), ask(2, 0, 0.66, (0, 1)))
    assert [one.agreed for one in found.rounds] == [False, True]
    assert made(ask(0, 0, 0.5)).rounds[0].agreed is None, "one agent agrees with nobody"


def test_what_was_shown_is_held_against_the_declared_topology():
    backwards = ask(2, 1, 0.6, (1,), role="forecaster")
    found = made(ask(0, 0, 0.5), ask(1, 0, 0.7, (0,)), backwards)
    assert [(flow.speaker, flow.hearer, flow.shown) for flow in found.undeclared] == [("critic", "forecaster", 1)]
    assert [(flow.speaker, flow.hearer) for flow in found.unused] == [("critic", "critic")]
    unknown = made(ask(0, 0, 0.5), ask(1, 0, 0.7, (0,)), elements={"aggregation": "words"})
    assert [flow.declared for flow in unknown.flows] == [None]


def test_numbers_of_another_role_are_no_revision():
    """A planner and an integrator are both number 0; neither goes on from the other."""
    plan = ask(0, 0, None, kind="report", role="planner")
    step = made(plan, ask(1, 0, 0.6, (0,), role="integrator")).steps[1]
    assert (step.own, step.others, step.before, step.moved) == ((), (0,), None, None)


def test_a_failed_ask_moves_nobody():
    found = made(ask(0, 0, 0.5), ask(1, 1, None), ask(2, 0, 0.6, (0, 1)))
    assert found.steps[2].moved_by == {}
    assert found.steps[2].alone == pytest.approx(x(0.6))


def shown(found: Trace) -> str:
    out = io.StringIO()
    print_trace(found, Terminal(file=out, width=120))
    return out.getvalue()


def test_the_terminal_draws_who_saw_what():
    said = shown(of_two(0.55, "I agree with them."))
    assert "critic 1      3  = x x o" in said
    assert "says 'I agree': NOT kept" in said
    assert "Agreement was said 1 times and kept 0 times, to 0.05; not kept in ask 3." in said
    assert "[SIMULATED]" in said


def test_a_terminal_is_told_what_is_not_there():
    assert "Nobody was asked, or nothing of it is stored." in shown(made())
    lone = shown(made(ask(0, 0, 0.5), probability=None, reason="no answer", outcome=None))
    assert "failed, no answer; not resolved" in lone
    assert "Nobody says in words" not in lone
    assert "AGAINST THE DECLARED TOPOLOGY: critic to forecaster (1 times)." in shown(
        made(ask(0, 0, 0.7, role="critic"), ask(1, 1, 0.6, (0,), role="forecaster"))
    )
    assert "60 asks are too many for a graph here" in shown(made(*(ask(n, n, 0.5) for n in range(60))))


def test_words_of_agents_steer_no_terminal():
    found = made(ask(0, 0, 0.5), ask(1, 1, 0.7), ask(2, 0, 0.7, (0, 1), "I \x1b[31m agree"), question="\x1b[2J [bold]Will")
    assert "\x1b" not in shown(found)


def test_the_shared_record_and_drift_are_told():
    clean = of_two(0.6)
    assert clean.record is not None
    assert f"head {clean.record[:16]}" in shown(clean)
    assert "No drift" in shown(clean)
    assert "DRIFT in ask 3 (reference): it names agent 9, of whom it was shown nothing." in shown(
        of_two(0.6, "Agent 9 knows.")
    )
    assert of_two(0.6, "Agent 9 knows.").record != clean.record


# --- commitments


def act(number: int, agent: int, verb: str, proposal: int | None, p: float | None = 0.5) -> dict[str, Any]:
    row = {"forecast_id": "f", "ask": number, "position": 0, "agent": agent, "round": number, "verb": verb}
    return row | {"proposal": proposal, "probability": p, "within": 0.05, "said": f"{verb} {proposal}"}


def bargained(*acts: dict[str, Any]) -> Trace:
    """Agents 0, 1 and 2 at 0.5, 0.4 and 0.9; after the acts, in asks 3 to 8, they say 0.52, 0.7 and 0.9."""
    first = [ask(agent, agent, p) for agent, p in enumerate((0.5, 0.4, 0.9))]
    return made(*first, *(ask(9 + agent, agent, p) for agent, p in enumerate((0.52, 0.7, 0.9))), acts=acts)


OFFER = act(3, 0, "propose", 1)


@pytest.mark.parametrize(
    ("acts", "agreed", "acknowledged", "rejected", "bound", "says"),
    [
        ([], (0,), (), (), [(0, 0.52, True)], "agreed: agent 1. It bound agent 1, who then said 0.520: kept."),
        ([act(4, 1, "agree", 1)], (0, 1), (), (), [(0, 0.52, True), (1, 0.7, False)], "who then said 0.700: BROKEN"),
        ([act(4, 1, "acknowledge", 1)], (0,), (1,), (), [(0, 0.52, True)], "acknowledged, not agreed: agent 2"),
        ([act(4, 2, "reject", 1)], (0,), (), (2,), [(0, 0.52, True)], "rejected: agent 3"),
        ([act(4, 1, "agree", 1), act(5, 1, "withdraw", 1)], (0,), (), (), [(0, 0.52, True)], "agreed: agent 1."),
        ([act(4, 1, "agree", 1), act(5, 0, "withdraw", 1)], (), (), (), [], "withdrawn. It binds nobody."),
        ([act(10, 1, "agree", 1)], (0, 1), (), (), [(0, 0.52, True), (1, None, None)], "agent 2, who estimated no more"),
        ([act(4, 1, "agree", 7)], (0,), (), (), [(0, 0.52, True)], "agreed: agent 1."),
    ],
)
def test_who_stands_where_and_what_bound_whom(acts, agreed, acknowledged, rejected, bound, says):
    found = bargained(OFFER, *acts)
    [one] = found.commitments.proposals
    assert (one.agreed, one.acknowledged, one.rejected) == (agreed, acknowledged, rejected)
    assert [(b.agent, b.estimate, b.kept) for b in one.bound] == bound
    assert any(says in line for line in commitment_lines(found.commitments)), commitment_lines(found.commitments)
    assert len(found.as_json()["commitments"]["acts"]) == 1 + len(acts)


def test_the_acts_stand_in_the_terminal_in_the_order_in_which_they_were_done():
    shown = io.StringIO()
    odd = act(5, 2, "unreadable", None, None)
    print_trace(bargained(OFFER, act(4, 1, "acknowledge", 1), odd), Terminal(file=shown, width=120))
    text = shown.getvalue()
    places = [text.index(said) for said in ("proposes 1: 0.500 within 0.05", "acknowledges 1", "hands in what is no act")]
    assert places == sorted(places)
    assert "1 parts could not be read as acts" in text


def test_where_nobody_commits_nothing_is_said_of_it():
    assert bargained().commitments.acts == ()
    shown = io.StringIO()
    print_trace(bargained(), Terminal(file=shown, width=120))
    assert "Commitments" not in shown.getvalue()
