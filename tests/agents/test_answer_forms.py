"""Answer forms as data: what each takes, what it sends back and why; a forecast knows nothing of the others."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from coordeval.agents.cell import AskFailed, CellAgents, Settings
from coordeval.agents.forms import FORECASTING, MESSAGE, PROPOSAL, SUBMISSION, WORDS, Form, Scaffold
from coordeval.agents.messages import Reply, Request, Slot, Usage
from coordeval.agents.scaffold import Ask
from coordeval.market_data.gate import MarketView
from coordeval.market_data.types import Market

PLAN = [{"who": "you", "resource": "wood", "units": 3}]
GAME = Scaffold(instructions="You trade.", forms=(MESSAGE, PROPOSAL, SUBMISSION))


@pytest.mark.parametrize(
    ("form", "given", "content"),
    [
        (MESSAGE, {"text": "hi", "plan": []}, {"text": "hi", "plan": []}),
        (MESSAGE, {"text": "take three", "plan": PLAN}, {"text": "take three", "plan": PLAN}),
        (WORDS, {"text": "take three", "done": True}, {"text": "take three", "done": True}),
        (PROPOSAL, {"text": "hm", "acts": []}, {"text": "hm", "acts": []}),
        (
            PROPOSAL,
            {"text": "both", "acts": [{"verb": "agree", "proposal": 1, "plan": []}, {"verb": "agree", "proposal": 2}]},
            {  # agreeing to two things is sound in form: that it breaks a rule is the game's to say
                "text": "both",
                "acts": [{"verb": "agree", "proposal": 1, "plan": []}, {"verb": "agree", "proposal": 2, "plan": []}],
            },
        ),
        (SUBMISSION, {"purchases": []}, {"purchases": []}),
        (
            SUBMISSION,
            {"purchases": [{"resource": "wood", "units": 2}]},
            {"purchases": [{"resource": "wood", "units": 2}]},
        ),
    ],
)
def test_a_sound_answer_is_kept_as_it_was_given(form, given, content):
    answer, problem = form.read(given)
    expected = content if form is SUBMISSION else {"done": False} | content  # who does not say it has more to say
    assert (answer.content, answer.probability, problem) == (expected, None, "")


@pytest.mark.parametrize(
    ("form", "given", "problem"),
    [
        (MESSAGE, {"plan": []}, "text is None"),
        (WORDS, {"text": "x", "done": "yes"}, "done is 'yes'"),
        (MESSAGE, {"text": " \u200b"}, "must say something"),
        (MESSAGE, {"text": "x", "plan": "3 wood"}, "plan is '3 wood', it must be a list"),
        (MESSAGE, {"text": "x", "plan": [{"who": "us", "resource": "wood", "units": 1}]}, "who is 'us'"),
        (PROPOSAL, {"text": "x", "acts": [{"verb": "promise", "proposal": 1}]}, "verb is 'promise'"),
        (PROPOSAL, {"text": "x", "acts": [{"verb": "agree", "proposal": None}]}, "needs the number of a proposal"),
        (PROPOSAL, {"text": "x", "acts": [{"verb": "propose", "proposal": None, "plan": []}]}, "needs a plan"),
        (SUBMISSION, {}, "purchases is missing"),
        (SUBMISSION, {"purchases": [{"resource": "wood", "units": -1}]}, "units of wood is -1"),
        (SUBMISSION, {"purchases": [{"resource": "wood", "units": 1.5}]}, "units of wood is 1.5"),
        (SUBMISSION, {"purchases": [{"resource": "wood", "units": True}]}, "units of wood is True"),
        (SUBMISSION, {"purchases": [{"resource": "", "units": 1}]}, "must be the name of a resource"),
        (SUBMISSION, {"purchases": [{"resource": "wood", "units": 1}] * 2}, "names wood twice"),
    ],
)
def test_a_malformed_answer_says_what_is_wrong_and_is_never_mended(form, given, problem):
    answer, said = form.read(given)
    assert answer is None
    assert problem in said


class Saying:
    """A model that hands in a list of answers, one a call."""

    def __init__(self, *answers: tuple[str, Mapping[str, Any]]) -> None:
        self.identity = {"provider": "saying"}
        self.answers, self.requests = list(answers), list[Request]()

    async def complete(self, request: Request, slot: Slot) -> Reply:
        self.requests.append(request)
        name, given = self.answers.pop(0)
        content = [{"type": "tool_use", "id": f"toolu_{len(self.requests)}", "name": f"submit_{name}", "input": given}]
        usage = Usage(input_tokens=1, output_tokens=1)
        return Reply(content=content, stop_reason="tool_use", model="m", usage=usage, micro_usd=1, seconds=0.1)


def agents(model: Saying, **changes: Any) -> CellAgents:
    market = Market(id="g", source="game", event_id="g", simulated=True, question="A game")
    view = MarketView(market, datetime(2000, 1, 1, tzinfo=UTC), [], [])
    settings = Settings(model="m", max_tokens=100, tools=(), **changes)
    return CellAgents(model=model, settings=settings, view=view, forecast_id="f", configuration="c", replicate=0)


ASK = Ask(ordinal=0, agent=0, round=0, role="player", role_text="Submit.", answer="submission")
GOOD = ("submission", {"purchases": [{"resource": "wood", "units": 2}]})
BAD = ("submission", {"purchases": [{"resource": "wood", "units": 99}]})


def within(content: Mapping[str, Any]) -> str:
    over = [row["units"] for row in content["purchases"] if row["units"] > 10]
    return f"{over[0]} units are over the supply of 10" if over else ""


async def test_a_cell_of_another_scaffold_shows_its_own_instructions_and_tools_and_no_market():
    model = Saying(GOOD)
    answer = await agents(model, scaffold=GAME).answer(ASK)
    (request,) = model.requests
    assert answer.content == GOOD[1]
    assert request.system == "You trade."
    assert [tool["name"] for tool in request.tools] == ["submit_message", "submit_proposal", "submit_submission"]
    assert request.messages[0]["content"] == (
        '<role name="player">\nSubmit.\n</role>\n\nAnswer by calling `submit_submission`.'
    )


async def test_an_answer_that_breaks_the_asks_own_rule_is_sent_back_once_and_it_is_noted():
    model = Saying(BAD, GOOD)
    answer = await agents(model, scaffold=GAME).answer(replace(ASK, rule=within))
    assert answer.sent_back == "99 units are over the supply of 10"
    assert "99 units are over the supply of 10" in str(model.requests[1].messages[-1])
    model = Saying(BAD, BAD)
    with pytest.raises(AskFailed, match="also after a corrective re-ask: 99 units") as failed:
        await agents(model, scaffold=GAME).answer(replace(ASK, rule=within))
    assert failed.value.given == [BAD[1]]
    assert not failed.value.retryable


async def test_an_answer_in_another_form_than_was_asked_for_is_sent_back():
    model = Saying(("message", {"text": "hello", "plan": []}), GOOD)
    answer = await agents(model, scaffold=GAME).answer(ASK)
    assert answer.sent_back == "submit_message was called where submit_submission is wanted"


def test_a_scaffold_is_part_of_what_cells_are_identified_by_and_its_absence_is_not():
    plain = Settings(model="m", max_tokens=1)
    assert plain.forms == FORECASTING
    assert plain.identity() == Settings(model="m", max_tokens=1, scaffold=None).identity()
    ids = [replace(plain, scaffold=scaffold).identity() for scaffold in (None, GAME, replace(GAME, instructions="Else."))]
    assert len({one["scaffold"] for one in ids}) == 3
    assert len({one["tool_specs"] for one in ids}) == 2


def test_a_form_whose_tool_has_another_name_is_refused():
    with pytest.raises(ValueError, match="submit_bid"):
        Form(name="bid", tool=MESSAGE.tool, read=MESSAGE.read)
