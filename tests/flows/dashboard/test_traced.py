"""The page of a forecast says who proposed, acknowledged, agreed and rejected, whom that bound, and who kept to it."""

from coordeval.flows.certificate.conversation import Conversation
from coordeval.flows.dashboard.traced import trace_section
from tests.flows.certificate.test_trace import FORECAST, OFFER, act, ask


def section(*acts: dict) -> str:
    asks = [ask(agent, agent, p) for agent, p in enumerate((0.5, 0.4, 0.9))] + [ask(9, 1, 0.7)]
    return str(trace_section(Conversation(FORECAST, "", asks, list(acts)), None, dark=False))


def test_commitments_stand_on_the_page_with_what_they_bound():
    page = section(OFFER, act(4, 1, "agree", 1), act(5, 2, "acknowledge", 1))
    for words in (
        "Commitments",
        "proposes 1: 0.500 within 0.05",
        "agrees to 1",
        "acknowledges 1",
        "acknowledged, not agreed: agent 3",
        "agent 2, who then said 0.700: BROKEN",
    ):
        assert words in page, words


def test_a_conversation_without_any_has_no_such_part():
    assert "Commitments" not in section()
