"""The published replies, replayed: each answered cell gives the published probability, and nothing is made up."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from coordeval.agents.answers import Answer
from coordeval.agents.cell import AskFailed, CellAgents, Settings
from coordeval.agents.draws import CommonDraws
from coordeval.agents.messages import ModelError, Request, Slot, Usage
from coordeval.agents.recorded import RecordedCall, RecordedCell, RecordedModel, published_recording
from coordeval.agents.scaffold import Ask
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.gate import MarketView
from coordeval.market_data.traces100 import CONFIGURATIONS, CoordinationTraces, published_cells
from coordeval.market_data.types import Market

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "coordination-traces-100"
recorded = pytest.mark.skipif(not DATA.is_dir(), reason=f"the recorded data are not here: {DATA}")

ROLES = {
    "consensus_alignment": ["estimate"],
    "independent_ensemble": ["estimate"],
    "orchestrator_specialist": ["report", "report", "estimate"],
    "peer_critique_debate": ["estimate", "estimate", "estimate"],
    "sequential_pipeline": ["report", "report", "estimate"],
}
"""What each recorded ask answers with, in the order of the recording."""
REQUEST = Request(model="m", system="", messages=[], tools=[], max_tokens=1, sampling={})


class Nowhere:
    """A store for replies that nobody reads back."""

    async def put(self, table: str, row: dict[str, object]) -> None:
        return None


def slot(configuration: str = "debate", market_id: str = "m1", ask: int = 0, turn: int = 0) -> Slot:
    return Slot(replicate=0, k=0, forecast_id="f", market_id=market_id, configuration=configuration, ask=ask, turn=turn)


def recording(*texts: str, failure: str | None = None) -> RecordedModel:
    usage = Usage(input_tokens=10, output_tokens=5)
    calls = [RecordedCall(text=text, tool_calls=[], usage=usage, micro_usd=3, seconds=1.0) for text in texts]
    return RecordedModel("test", {("debate", "m1"): RecordedCell(calls=calls, failure=failure)}, model="m")


async def answer(model, configuration: str, view: MarketView, ordinal: int, kind: str) -> tuple[Answer, CellAgents]:
    agents = CellAgents(
        model=model,
        settings=Settings(model="claude-opus-4-6", max_tokens=4096),
        view=view,
        forecast_id="f",
        configuration=configuration,
        replicate=0,
    )
    return await agents.answer(Ask(ordinal=ordinal, agent=0, round=0, role="r", role_text="R.", answer=kind)), agents


# --- the published data


@pytest.fixture(scope="module")
def published():
    return published_recording(DATA)


@pytest.fixture(scope="module")
def views():
    source = CoordinationTraces(DATA)
    prices = {point.market_id: point for point in source.prices()}
    return {m.id: MarketView(m, m.reference_time, [prices[m.id]], []) for m in source.markets()}


@recorded
async def test_every_answered_cell_gives_the_published_probability_through_our_own_tool_loop(published, views):
    model = CommonDraws(published, Nowhere(), {}, by_configuration=True)
    answered, tools, errors = Counter(), Counter(), 0
    for configuration, market_id, row in published_cells(DATA):
        if row.get("_failure"):
            continue
        kinds = ROLES[configuration]
        assert len(row["trace"]["calls"]) == len(kinds)
        last = None
        for i, kind in enumerate(kinds):
            last, agents = await answer(model, configuration, views[market_id], i, kind)
            (call,) = agents.calls
            raw = row["trace"]["calls"][i]
            assert call["input_tokens"] + call["output_tokens"] == raw["usage"]["totalTokens"]
            assert call["attributed_micro_usd"] == pytest.approx(raw["costUsd"] * 1e6, abs=0.5)
            assert len(agents.tool_calls) == len(raw["response"]["toolCalls"])
            tools.update(tool["tool"] for tool in agents.tool_calls)
            errors += sum(tool["error"] for tool in agents.tool_calls)
        assert last.probability == row["probability"], (configuration, market_id)
        answered[configuration] += 1
    assert answered == Counter({name: 98 if len(kinds) > 1 else 100 for name, kinds in ROLES.items()})
    assert answered.total() == 494
    assert tools == {"search_evidence": 8552, "market_details": 1139, "price_history": 981}
    assert errors == 0, "our own tools take the recorded arguments"


@recorded
async def test_a_recorded_failure_carries_the_recorded_reason(published, views):
    failures = {(c, m): row["_failure"] for c, m, row in published_cells(DATA) if row.get("_failure")}
    assert len(failures) == 6
    for (configuration, market_id), reason in failures.items():
        with pytest.raises(AskFailed) as caught:
            await answer(published, configuration, views[market_id], 0, ROLES[configuration][0])
        assert (caught.value.reason, caught.value.retryable) == (reason, False)
        assert "Anthropic API call failed" in reason


@recorded
async def test_the_planners_three_sub_questions_are_its_parts(published, views):
    for configuration, market_id, row in published_cells(DATA):
        if configuration == "orchestrator_specialist" and not row.get("_failure"):
            plan, _ = await answer(published, configuration, views[market_id], 0, "report")
            assert len(plan.parts) == 3
            specialist = row["trace"]["calls"][1]["request"]["userPrompt"]
            assert plan.parts[0].strip("* ")[:40] in specialist, "the published specialist was given the first"


@recorded
async def test_every_recorded_call_has_ids_of_its_own(published):
    ids: set[str] = set()
    uses = 0
    for configuration, market_id, row in published_cells(DATA):
        for i in range(len(row["trace"]["calls"])):
            reply = await published.complete(REQUEST, slot(configuration, market_id, i))
            ids.update(block["id"] for block in reply.content)
            uses += len(reply.content)
    assert len(ids) == uses
    assert max(map(len, ids)) <= 64


@recorded
def test_the_published_configurations_are_what_can_be_replayed(published):
    assert published.configurations == sorted(CONFIGURATIONS)
    published.require(CONFIGURATIONS)
    with pytest.raises(CoordevalError) as caught:
        published.require(["independent_ensemble", "tree_search"])
    assert "unknown configuration 'tree_search'" in str(caught.value)
    assert all(name in str(caught.value) for name in CONFIGURATIONS)


# --- what was not recorded


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (slot(ask=2), "debate, market m1: ask 3, turn 1 was asked, 2 asks of one turn were recorded"),
        (slot(ask=1, turn=1), "debate, market m1: ask 2, turn 2 was asked, 2 asks of one turn were recorded"),
        (slot(market_id="m2"), "recording test, debate, market m2: nothing was recorded"),
        (slot(configuration="ensemble"), "recording test, ensemble, market m1: nothing was recorded"),
    ],
    ids=["one ask too many", "a second turn", "another market", "another configuration"],
)
async def test_what_was_not_recorded_is_a_final_error_that_names_it(asked, says):
    with pytest.raises(ModelError) as caught:
        await recording("FINAL_PROBABILITY: 0.1", "FINAL_PROBABILITY: 0.2").complete(REQUEST, asked)
    assert says in caught.value.reason
    assert not caught.value.retryable


async def test_a_recorded_probability_that_is_none_fails_and_does_not_become_one():
    view = MarketView(
        Market(id="m1", source="s", event_id="e", simulated=False, question="?"), datetime(2025, 3, 1, tzinfo=UTC), [], []
    )
    with pytest.raises(AskFailed, match="ask 1, turn 2 was asked"):
        await answer(recording("FINAL_PROBABILITY: 42"), "debate", view, 0, "estimate")


# --- translation


@pytest.mark.parametrize(
    ("text", "probability", "why"),
    [
        ("So.\nFINAL_PROBABILITY: 0.42", 0.42, "the published form"),
        ("FINAL_PROBABILITY: 0.1\nOn reflection:\nFINAL_PROBABILITY: 0.3", 0.3, "the last trailer counts"),
        ("**FINAL_PROBABILITY: 0.25**", 0.25, "set in bold"),
        ("FINAL_PROBABILITY:0.0005", 0.0005, "no space, small"),
        ("FINAL_PROBABILITY: 1", 1.0, "a whole number"),
        ("FINAL_PROBABILITY: 0.42.", 0.42, "the end of a sentence"),
    ],
)
async def test_the_trailer_becomes_the_estimate(text, probability, why):
    (block,) = (await recording(text).complete(REQUEST, slot())).content
    assert block["name"] == "submit_estimate"
    assert block["input"]["probability"] == probability, why
    assert "FINAL_PROBABILITY" not in block["input"]["rationale"]


@pytest.mark.parametrize(
    ("text", "parts", "why"),
    [
        ("Plan:\n1. One?\n2. Two?\n  3) Three?", ["One?", "Two?", "Three?"], "numbered items, with a dot or a bracket"),
        ("Growth was 1.5 in 2024. Done.", [], "numbers in a sentence are no items"),
        ("No list at all.", [], "a report without items"),
    ],
)
async def test_a_text_without_a_trailer_is_a_report(text, parts, why):
    (block,) = (await recording(text).complete(REQUEST, slot())).content
    assert (block["name"], block["input"]) == ("submit_report", {"report": text, "parts": parts}), why


async def test_a_replay_is_the_same_every_time():
    model = recording("FINAL_PROBABILITY: 0.42")
    first, second = await model.complete(REQUEST, slot()), await model.complete(REQUEST, slot())
    assert first == second
    assert (first.micro_usd, first.seconds, first.usage) == (3, 1.0, Usage(input_tokens=10, output_tokens=5))
