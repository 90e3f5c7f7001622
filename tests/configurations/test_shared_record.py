"""The shared record is one chain for the panel and for stored rows, and nothing in it can be changed unseen."""

from typing import Any

import pytest

from coordeval.agents.answers import Answer
from coordeval.agents.scaffold import Ask
from coordeval.configurations import Panel
from coordeval.configurations.consensus_alignment import ConsensusAlignment
from coordeval.configurations.orchestrator_specialist import OrchestratorSpecialist
from coordeval.configurations.peer_critique_debate import PeerCritiqueDebate
from coordeval.configurations.record import of_panel, shared_record


class Answering:
    async def answer(self, ask: Ask) -> Answer:
        if ask.answer == "report":
            return Answer(probability=None, text=f"A report by {ask.role}.", parts=("one", "two"))
        return Answer(probability=0.2 + 0.2 * ask.agent, text=f"Because, {ask.ordinal}.", reading="By then.")


async def asks(kind: type) -> list[dict[str, Any]]:
    configuration = kind()
    panel = Panel("Will it?", 0.5, configuration.elements, configuration.roles(), Answering())
    await configuration.forecast(panel)
    return panel.asks


def stored(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As the ledger has them: estimates, and who was shown what."""
    rows = []
    for one in records:
        said = one["said"]
        estimate = hasattr(said, "probability")
        rows.append(
            {name: one[name] for name in ("ask", "agent", "round", "role", "shown")}
            | {"kind": "estimate" if estimate else "report", "statistics": []}
            | {"probability": said.probability if estimate else None, "reading": said.reading if estimate else ""}
            | {"rationale": said.rationale if estimate else said.text}
        )
    return rows


@pytest.mark.parametrize("kind", [PeerCritiqueDebate, ConsensusAlignment, OrchestratorSpecialist])
async def test_the_panel_and_stored_rows_have_one_head(kind: type):
    records = await asks(kind)
    chain = of_panel(records)
    assert chain == shared_record(reversed(stored(records))), "in whatever order rows come"
    assert len({entry.digest for entry in chain}) == len(records)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("probability", 0.21), ("rationale", "Because."), ("reading", "By later."), ("role", "other"), ("agent", 7),
        ("kind", "failed"), ("round", 9), ("shown", [1]), ("statistics", ["The median is 0.4"]),
    ],
)  # fmt: skip
async def test_what_is_changed_changes_every_entry_from_there_on(column: str, value: Any):
    rows = stored(await asks(PeerCritiqueDebate))
    whole = shared_record(rows)
    rows[4] = rows[4] | {column: value}
    other = shared_record(rows)
    assert [a.digest == b.digest for a, b in zip(whole, other, strict=True)] == [True] * 4 + [False] * 5


async def test_a_row_that_is_dropped_or_added_changes_the_head():
    rows = stored(await asks(PeerCritiqueDebate))
    head = shared_record(rows)[-1].digest
    assert head not in {shared_record(rows[:8])[-1].digest, shared_record(rows[1:])[-1].digest}
    assert shared_record([*rows, rows[-1] | {"ask": 9}])[-1].digest != head
    assert shared_record(rows[:5])[4] == shared_record(rows)[4], "what was said stays as it is when more is said"


async def test_agents_who_are_shown_the_same_have_one_view_and_a_view_knows_what_was_said():
    rows = stored(await asks(PeerCritiqueDebate))
    views = [entry.view for entry in shared_record(rows)]
    assert len({*views[:3]}) == len({*views[3:6]}) == 1
    rows[0] = rows[0] | {"probability": 0.9}
    assert shared_record(rows)[3].view != views[3]


def test_nothing_said_is_no_record():
    assert shared_record([]) == ()
