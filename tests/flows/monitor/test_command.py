"""`coordeval monitor` on a stored study: what it prints, and what it refuses."""

import json
from pathlib import Path

import pytest

from tests.flows.cli.conftest import Ended, coordeval, store

__all__ = ["coordeval"]  # the fixture


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return store(tmp_path_factory.mktemp("monitor"), ("s", 4000))


@pytest.fixture
def monitor(coordeval, ledger, monkeypatch):
    monkeypatch.setattr("coordeval.flows.cli.monitor.console.width", 200)

    def ended(*arguments: object) -> Ended:
        return coordeval("monitor", *arguments, "--ledger", ledger)

    return ended


def test_a_study_with_too_few_markets_says_what_it_waits_for(monitor):
    done = monitor("s")
    assert done.status == 0
    assert "s: 0 open alarms in 0 signals, up to 8 blocks of each; 44 signals not watched" in done.out
    assert "8 periods so far, and the baseline takes 28 before the first that is judged" in done.out
    assert "SIMULATED" in done.out


def test_json_has_every_signal_with_a_state_or_a_reason(monitor):
    found = json.loads(monitor("--json").out)
    assert (found["study"], found["periods"], found["markets_in_a_block"], found["baseline"]) == ("s", "block", 1, 28)
    assert len(found["signals"]) == 44
    assert all((row["state"] is None) == (row["reason"] is not None) for row in found["signals"])
    assert {row["configuration"] for row in found["signals"]} == {"single_agent", "independent_ensemble"}
