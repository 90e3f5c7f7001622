"""A day of `serve` in virtual time under faults: nothing is lost, doubled or paid twice (`benchmarks.simulate_serve`)."""

from unittest.mock import patch

import pytest

from benchmarks import simulate_serve
from coordeval.flows.schedule import days
from coordeval.ledger.journal import Journal


def test_a_day_of_serve_under_faults_loses_and_doubles_nothing():
    outcome = simulate_serve.simulate(1, hours=24, studies=1)
    assert outcome.broken == []
    assert outcome.kills > 0, "something has to go wrong"
    assert outcome.faults["full disk"] + outcome.tried_again > 0


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(2, 22))
def test_three_days_of_two_studies_lose_and_double_nothing(seed):
    assert simulate_serve.simulate(seed, hours=72, studies=2).broken == []


PLANTED = {
    "a put that has returned before it is on disk": (Journal, "put_many", lambda own, entries: None),
    "a day that is done without being claimed": (days, "OVER", ()),
}


@pytest.mark.proof
@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_fault_is_seen(what):
    place, name, broken = PLANTED[what]
    with patch.object(place, name, broken):
        assert simulate_serve.simulate(1, hours=24, studies=1).broken
