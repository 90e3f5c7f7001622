"""One wrong estimate goes as far as the topology lets it, which the weights alone foretell."""

import numpy as np
import pytest

from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.selftest.cascade import TOPOLOGIES, cascade, weights


def test_an_error_shifts_the_others_as_the_weights_foretell():
    found = {one.topology: one for one in cascade(800, seed=2)}
    assert set(found) == set(TOPOLOGIES)
    for one in found.values():
        assert one.shift == pytest.approx(one.expected, abs=0.01), one
        assert 0 <= one.infected <= 1


def test_nobody_who_hears_nobody_is_caught_and_a_hub_spreads_most():
    found = {one.topology: one.infected for one in cascade(800, seed=2)}
    assert found["alone"] == 0
    assert found["star, the hub errs"] == max(found.values())
    assert found["star, a leaf errs"] < found["everybody hears all"] + 0.05


def test_further_rounds_carry_it_down_a_chain():
    one, many = (next(c for c in cascade(400, rounds=r, seed=1) if c.topology == "chain").shift for r in (1, 4))
    assert many > 2 * one


def test_weights_of_an_agent_add_up_to_one():
    heard = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 0]], float)
    assert weights(heard, 0.4).tolist() == [[0.6, 0.2, 0.2], [0.4, 0.6, 0.0], [0.0, 0.0, 1.0]]


def test_a_seed_gives_one_result_and_too_few_are_refused():
    assert cascade(50, seed=3) == cascade(50, seed=3)
    with pytest.raises(AnalysisError, match="2 agents, 50 markets, 2 rounds: give 3 agents"):
        cascade(50, agents=2)
