"""Drift that is planted is found where it is; what only looks like it is not."""

from typing import Any

import pytest

from coordeval.analysis.selftest.drift import PLANTS, rates
from coordeval.analysis.talk.drift import dates_in, drift

SAYS = "It resolves YES if the bank acts by 2026-03-01."


def row(ask: int, *, shown: tuple[int, ...] = (), why: str = "", reading: str = SAYS, **other: Any) -> dict[str, Any]:
    own = {"ask": ask, "agent": ask % 3, "round": ask // 3, "role": "r", "kind": "estimate", "probability": 0.4}
    return own | {"rationale": why, "reading": reading, "shown": list(shown), "statistics": []} | other


def found(*rows: dict[str, Any]) -> list[tuple[int, str]]:
    return [(one.ask, one.kind) for one in drift(list(rows))]


FIRST = (row(0), row(1), row(2, probability=0.8))
ALL = (0, 1, 2)


@pytest.mark.parametrize(
    ("why", "drifts"),
    [
        ("Agent 3 says 0.80.", False),
        ("Agent 3 says 81%, agent 2 stands at 0.40.", False),  # rounded
        ("Agent 3 says 0.60.", True),
        ("agent 2 estimates 80 %", True),  # agent 3 did
        ("Agent 7 has a point.", True),  # there is none
        ("Agent 1 thought so before.", False),  # itself
        ("Agents 2 and 3 differ; 0.60 lies between.", False),
    ],
)
def test_references_are_held_against_what_was_said(why: str, drifts: bool):
    assert found(*FIRST, row(3, shown=ALL, why=why), row(4, shown=ALL), row(5, shown=ALL)) == [(3, "reference")] * drifts


@pytest.mark.parametrize(
    ("reading", "drifts"),
    [
        ("The bank must act by March 1, 2026 for it to resolve YES.", False),  # the same date in words
        ("It resolves YES if the bank acts by 2026-04-01.", True),
        ("It resolves YES if the bank does not act by 2026-03-01.", True),
        ("Rainfall near Umbra exceeds every autumn measured before.", True),
        ("", False),  # nothing is said, so nothing diverges
    ],
)
def test_readings_are_held_against_those_of_most(reading: str, drifts: bool):
    assert found(row(0), row(1), row(2, reading=reading)) == [(2, "reading")] * drifts


def test_two_readings_have_no_majority():
    assert found(row(0), row(1, reading="Rainfall near Umbra by 2031-01-01.")) == []


def test_a_view_differs_where_most_have_another():
    assert found(*FIRST, row(3, shown=ALL), row(4, shown=(0, 1)), row(5, shown=ALL)) == [(4, "view")]
    ring = [row(3, shown=(0, 1)), row(4, shown=(1, 2)), row(5, shown=(2, 0))]
    assert found(*FIRST, *ring) == [], "a ring shows each another pair: there is no view that all should have"


def test_a_failed_ask_refers_to_nothing_and_unknown_sources_are_no_crash():
    assert found(*FIRST, row(3, kind="failed", probability=None, why="agent 9 was cut off", shown=(0, 77))) == []


def test_dates_that_are_none_are_not_read():
    assert dates_in("12 Monkeys 2026, Foo 12, 2026 and 1.5.2026") == frozenset()


def test_planted_drift_is_found_and_clean_debates_do_not_alarm():
    told = rates(40, seed=5)
    assert {rate.planted for rate in told.planted} == set(PLANTS)
    assert all(rate.share >= 0.95 for rate in told.planted), told
    assert told.false_alarms == 0
    assert rates(5, seed=5) == rates(5, seed=5)
