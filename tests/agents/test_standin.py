"""The Messages API stand-in by the official SDK: it answers sensibly, refuses what the types refuse, goes wrong as told."""

import anthropic
import pytest

from coordeval.agents.scaffold import ANSWER_TOOLS
from coordeval.agents.standin import FAULTS, Faults, Running, StandIn
from coordeval.agents.standin.app import KEY
from coordeval.agents.standin.faults import ITEM_FAULTS
from coordeval.agents.toolbox import TOOLS
from coordeval.market_data.errors import CoordevalError

ASK = (
    "<market>\nQuestion: Will it rain?\nAs of: 2026-01-01\nMarket price of YES: 0.300 (x, y)\n</market>\n\n"
    '<role name="forecaster">\nYou forecast.\n</role>\n\nAnswer by calling `submit_estimate`.'
)
PARAMS = {
    "model": "claude-opus-4-6",
    "max_tokens": 500,
    "messages": [{"role": "user", "content": ASK}],
    "tools": list(ANSWER_TOOLS),
}


@pytest.fixture(scope="module")
def running():
    with Running(StandIn()) as running:
        yield running


@pytest.fixture
def client(running):
    running.standin.faults.rates = {}
    return anthropic.Anthropic(base_url=running.url, api_key=KEY, max_retries=0)


def test_a_valid_ask_gets_an_estimate_and_the_same_ask_another_draw(client):
    first, second = (client.messages.create(**PARAMS) for _ in range(2))
    assert [block.name for block in first.content] == ["submit_estimate"]
    assert 0 < first.content[0].input["probability"] < 1
    assert first.content[0].input != second.content[0].input
    assert (first.stop_reason, first.model) == ("tool_use", "claude-opus-4-6")


def test_tools_that_are_offered_are_called(client):
    tools = [*(tool.spec for tool in TOOLS.values()), *ANSWER_TOOLS]
    called = [client.messages.create(**{**PARAMS, "tools": tools}).content[0].name for _ in range(4)]
    assert set(called) & set(TOOLS)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"extra_body": {"max_tokens": "many"}}, "max_tokens"),
        ({"extra_body": {"depth": 3}}, "unknown fields"),
        ({"extra_body": {"temperature": 0.3}}, "temperature"),  # without the version header under which it is taken
    ],
)
def test_what_the_types_or_the_api_refuse_is_refused(client, changes, says):
    with pytest.raises(anthropic.BadRequestError, match=says):
        client.messages.create(**{**PARAMS, **changes})


def test_any_other_key_is_refused(running):
    with pytest.raises(anthropic.AuthenticationError):
        anthropic.Anthropic(base_url=running.url, api_key="somebody's", max_retries=0).messages.create(**PARAMS)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_no_answer_or_another_one(client, running, fault):
    running.standin.faults.rates = {fault: 1.0}
    try:
        answer = client.messages.with_raw_response.create(**PARAMS).text()
    except anthropic.APIError:
        answer = ""
    running.standin.faults.rates = {}
    sound = client.messages.create(**PARAMS)
    assert running.standin.faults.injected[fault]
    assert '"rationale"' not in answer or not answer.endswith(f'{sound.content[0].input["rationale"]}"')


def test_a_batch_has_its_results_in_any_order_and_items_that_ended_otherwise(client, running):
    running.standin.faults.rates = {"expired": 0.2, "errored": 0.2, "canceled": 0.2}
    items = [{"custom_id": f"item-{i}", "params": PARAMS} for i in range(30)]
    batch = client.messages.batches.create(requests=items)
    assert client.messages.batches.retrieve(batch.id).processing_status == "ended"
    results = list(client.messages.batches.results(batch.id))
    assert {one.custom_id for one in results} == {item["custom_id"] for item in items}
    assert [one.custom_id for one in results] != [item["custom_id"] for item in items]
    assert {one.result.type for one in results} == {"succeeded", *ITEM_FAULTS}
    assert [one.id for one in client.messages.batches.list()] == [batch.id]


def test_a_batch_that_is_cancelled_has_no_answers(client, running):
    running.standin.faults.batch_seconds = 1000
    batch = client.messages.batches.create(requests=[{"custom_id": "one", "params": PARAMS}])
    assert client.messages.batches.retrieve(batch.id).processing_status == "in_progress"
    client.messages.batches.cancel(batch.id)
    running.standin.faults.batch_seconds = 0
    assert [one.result.type for one in client.messages.batches.results(batch.id)] == ["canceled"]


def test_tokens_are_counted_and_models_are_known(client):
    asked = {name: value for name, value in PARAMS.items() if name != "max_tokens"}
    assert client.messages.count_tokens(**asked).input_tokens > 100
    assert client.models.retrieve("claude-opus-4-6").id == "claude-opus-4-6"


@pytest.mark.parametrize(
    ("rates", "says"), [({"429s": 0.1}, "429"), ({"429": 1.5}, "from 0 to 1"), ({"429": 0.6, "500": 0.6}, "must not exceed")]
)
def test_faults_that_make_no_sense_are_refused(rates, says):
    with pytest.raises(CoordevalError, match=says):
        Faults(rates)
