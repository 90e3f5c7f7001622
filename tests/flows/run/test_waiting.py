"""Nobody looks at a still terminal: a wait says what it waits for, and failures are counted by kind while a run goes on."""

import io
import threading
from pathlib import Path

import pytest

from coordeval.flows.run import guard
from coordeval.flows.run.reasons import Reasons
from coordeval.flows.run.run import Steps, run_steps
from coordeval.flows.run.waiting import told
from coordeval.flows.study.study import load_study
from coordeval.flows.terminal import Terminal
from tests.flows.run.plugins import plugin


def test_a_wait_says_what_it_waits_for_also_while_the_thread_that_waits_is_held_up():
    said, twice = [], threading.Event()

    def say(line):
        said.append(line)
        if len(said) == 2:
            twice.set()

    with told(lambda: f"waiting for 3 of {len(said) + 5}", say, first=0.01, every=0.01):
        assert twice.wait(20)
    assert said[:2] == ["waiting for 3 of 5", "waiting for 3 of 6"]
    assert not [thread for thread in threading.enumerate() if thread.name == "what is waited for"]


def ran(study: Path, path: Path, **terminal) -> str:
    console = Terminal(file=io.StringIO(), width=250, **terminal)
    loaded = load_study(study)
    guard.run(run_steps(loaded, path, console, Steps(loaded.study.name)))
    return console.file.getvalue()


@pytest.fixture
def failing(study_file, tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(plugin("raise ValueError(f'row {id(panel)} of 40')"))
    return study_file(('"single_agent"', '"mine"'), ("replicates = 2", 'replicates = 2\nplugins = ["mine.py"]'))


@pytest.mark.parametrize("terminal", [{}, {"force_terminal": True}], ids=["without a terminal", "on a terminal"])
def test_a_run_names_each_of_its_waits_and_counts_failures_by_kind(failing, tmp_path: Path, monkeypatch, terminal):
    monkeypatch.setitem(told.__wrapped__.__kwdefaults__, "first", 0.0)
    said = ran(failing, tmp_path / "l.duckdb", **terminal)
    for what in (
        "l.duckdb and the model to be opened",
        "the study's markets to be read",
        "the forecasts to be planned",
        "the report to be computed",
        "its page to be written",
    ):
        assert f"{what} (0 s so far)" in said
    assert said.count("failed, the first of its kind: mine on market sim-") == 1
    assert "12 failed" in said
    assert "12 × mine raised ValueError: row " in said


def test_reasons_that_differ_in_numbers_are_one_kind_and_a_line_holds_the_most_frequent():
    reasons = Reasons()
    assert [reasons.add(reason) for reason in ("row 1 of 3", "row 2 of 3", "no price", "budget", "a\nlong one")] == [
        True,
        False,
        True,
        True,
        True,
    ]
    assert reasons.shown() == {"row 1 of 3": 2, "no price": 1, "budget": 1, "a\nlong one": 1}
    assert reasons.in_short(2, 6) == "2 × row 1…; 1 × no pr…; 2 of 2 other kinds"
    assert Reasons().in_short(2, 6) == ""
