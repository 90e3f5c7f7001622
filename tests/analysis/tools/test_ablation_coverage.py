"""The interval of what single calls are worth, against planted truth."""

import numpy as np
import pytest

from coordeval.analysis import AnalysisError
from coordeval.analysis.selftest.ablations import ablations, calls_of, true_values
from coordeval.analysis.tools.ablation import EVERY, ablation


def test_true_values_are_what_a_large_world_has():
    found = ablation(calls_of(40_000, np.random.default_rng(3)), n=50).totals
    told = {(row["tool"], row["measure"]): row["estimate"] for row in found.to_dicts()}
    assert told == pytest.approx(dict(true_values()), abs=0.006)


def test_a_tool_that_tells_nothing_is_worth_nothing_and_one_that_does_is_worth_something():
    true = true_values()
    assert true["details", "utility"] == pytest.approx(0, abs=1e-9)
    assert true["details", "helpful"] == pytest.approx(0.5, abs=1e-6)
    assert true["search", "utility"] > 0.02
    assert true[EVERY, "utility"] == pytest.approx(true["search", "utility"] / 2)


@pytest.mark.proof
def test_intervals_hold_what_they_should():
    """Found on 2026-11-30: see docs/tools.md."""
    assert [row.failure for row in ablations(1000) if row.failure] == []


def test_a_gross_fault_of_the_interval_would_be_seen():
    rows = ablations(12, resamples=100)
    assert len(rows) == 24
    assert all(row.coverage > 60 for row in rows)
    wrong = [row.__class__(**{**{n: getattr(row, n) for n in row.__slots__}, "coverage": 80.0}) for row in rows]
    assert all(row.failure for row in wrong if row.sem < 5)


def test_two_worlds_are_the_least():
    with pytest.raises(AnalysisError, match="worlds"):
        ablations(1)
