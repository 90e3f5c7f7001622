"""Each column of the telemetry is what its definition says, on conversations small enough to be counted by hand."""

from typing import Any

import polars as pl
import pytest

from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.talk.telemetry import STORED, TELEMETRY, telemetry

CELL = {"forecast_id": "f", "configuration": "debate", "market_id": "m", "event_id": "e", "replicate": 0}


def frames(**rows: list[dict[str, Any]]) -> dict[str, pl.DataFrame]:
    rows.setdefault("cells", [CELL])
    return {
        name: pl.DataFrame([{"forecast_id": "f"} | row for row in rows.get(name, [])], schema=own)
        for name, own in STORED.items()
    }


def ask(number: int, agent: int, round_: int, p: float | None, kind: str = "estimate") -> dict[str, Any]:
    return {"ask": number, "agent": agent, "round": round_, "kind": kind, "probability": p}


def shown(*edges: tuple[int, int]) -> list[dict[str, Any]]:
    return [{"from_ask": a, "to_ask": b} for a, b in edges]


def tool(asked: int, told: int, *, items: int = 1, error: bool = False) -> dict[str, Any]:
    return {"ask": asked, "error": error, "items": items, "told": told}


def call(asked: int, round_: int, micro_usd: int | None = 5) -> dict[str, Any]:
    own = {"input_tokens": 100, "output_tokens": 10, "seconds": 0.5, "micro_usd": micro_usd}
    return {"ask": asked, "round": round_} | own


DEBATE = frames(
    said=[
        ask(0, 0, 0, 0.4), ask(1, 1, 0, 0.8), ask(2, 2, 0, None, "failed"),
        ask(3, 0, 1, 0.6), ask(4, 1, 1, 0.61),
    ],
    shown=shown((0, 3), (1, 3), (0, 4), (1, 4)),
    tools=[
        tool(0, 7), tool(0, 7), tool(0, 8), tool(0, 9, items=0), tool(0, 10, error=True),  # 7 again, empty, error: useless
        tool(1, 7),  # another ask's: news to it
    ],
    calls=[call(0, 0), call(0, 0), call(1, 0, None), call(3, 1), call(4, 1)],
)  # fmt: skip


@pytest.mark.parametrize(
    ("column", "first", "second"),
    [
        ("rounds", 2, 2),
        ("asks", 3, 2),
        ("failed_asks", 1, 0),
        ("estimates", 2, 2),
        ("messages", 0, 2),  # each was shown one other; its own word is no message
        ("spread", 0.4, 0.01),
        ("agreement", 0.0, 1.0),
        ("contradictions", 1, 0),
        ("movement", None, (0.2 + 0.19) / 2),
        ("flips", None, 1),
        ("moved", None, (0.4 - 0.2) + (0.4 - 0.21)),
        ("apart", None, 0.8),
        ("influence", None, 0.39 / 0.8),
        ("tool_calls", 6, 0),
        ("useless_tool_calls", 3, 0),
        ("calls", 3, 2),
        ("input_tokens", 300, 200),
        ("output_tokens", 30, 20),
        ("seconds", 1.5, 1.0),
        ("micro_usd", None, 10),  # a sum with an unknown part is unknown
    ],
)
def test_a_debate_by_hand(column: str, first: Any, second: Any):
    found = telemetry(DEBATE)[column].to_list()
    assert found == [first if first is None else pytest.approx(first), pytest.approx(second)]


def test_the_columns_are_those_that_are_documented_and_every_null_has_its_reason():
    found = telemetry(DEBATE)
    assert dict(found.schema) == dict(TELEMETRY)
    for row in found.iter_rows(named=True):
        for column, value in row.items():
            if value is None and column != "reason":
                assert f"{column}: " in row["reason"], column


def test_the_order_of_stored_rows_does_not_matter():
    other = {name: frame.sample(fraction=1, shuffle=True, seed=3) for name, frame in DEBATE.items()}
    assert telemetry(other).equals(telemetry(DEBATE))


def test_roles_that_are_numbered_anew_do_not_revise_each_other():
    """A planner's report is shown to specialist 0; no estimate of its own is."""
    said = [ask(0, 0, 0, None, "report"), ask(1, 0, 1, None, "report"), ask(2, 0, 2, 0.7)]
    found = telemetry(frames(said=said, shown=shown((0, 1), (1, 2))))
    assert found["messages"].to_list() == [0, 1, 1]
    assert found["movement"].to_list() == [None, None, None]


def test_an_agent_on_its_own_moves_and_is_moved_by_nobody():
    found = telemetry(frames(said=[ask(0, 0, 0, 0.4), ask(1, 0, 1, 0.7)], shown=shown((0, 1)))).row(1, named=True)
    assert (found["movement"], found["flips"], found["messages"]) == (pytest.approx(0.3), 1, 0)
    assert found["influence"] is None
    assert "influence: nobody who revises was shown another estimate than its own" in found["reason"]


def test_who_was_not_asked_has_no_row_and_what_is_absent_is_named():
    assert telemetry(frames()).is_empty()
    with pytest.raises(AnalysisError, match="the frame 'calls': there is none"):
        telemetry({name: frame for name, frame in DEBATE.items() if name != "calls"})
    with pytest.raises(AnalysisError, match="the frame 'said': it lacks probability"):
        telemetry({**DEBATE, "said": DEBATE["said"].drop("probability")})


def test_asks_of_a_published_trace_that_name_what_is_not_there_are_left_out():
    odd = frames(said=[ask(0, 0, 0, 0.4)], shown=shown((7, 0), (0, 9)), tools=[tool(5, 1)], calls=[])
    assert telemetry(odd).select("messages", "tool_calls", "calls").rows() == [(0, 0, None)]
