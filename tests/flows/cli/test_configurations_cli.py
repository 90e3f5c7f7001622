"""`coordeval configurations`: to begin one, to try one, and to see one drawn."""

import json
from pathlib import Path

import pytest

from coordeval.flows.run import conformance
from coordeval.flows.run.conformance import Finding

GOOD = Finding(configuration="mine", rule="loads", status="passed", says="from mine.py")
BAD = Finding(
    configuration="mine", rule="is deterministic", status="failed", says="0.1 and then 0.2", mend="take out chance"
)


def test_a_package_is_begun_where_one_is(coordeval, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = coordeval("configurations", "new", "third_opinion")
    assert ended.status == 0
    assert "next: coordeval configurations check third_opinion/third_opinion/__init__.py" in ended.out
    assert (tmp_path / "third_opinion" / "third_opinion" / "roles" / "third_opinion.md").is_file()
    again = coordeval("configurations", "new", "third_opinion")
    assert again.status != 0
    assert "is not overwritten" in again.err


@pytest.mark.parametrize(("found", "status"), [([GOOD], 0), ([GOOD, BAD], 1)])
def test_the_check_ends_with_a_status_and_says_how_to_mend_it(coordeval, monkeypatch, found, status):
    monkeypatch.setattr(conformance, "check", lambda target: found)
    ended = coordeval("configurations", "check", "single_agent")
    assert ended.status == status
    assert ("mend: take out chance" in ended.out) == bool(status)
    told = json.loads(coordeval("configurations", "check", "single_agent", "--json").out)
    assert (told["passed"], len(told["findings"])) == (status == 0, len(found))


def test_a_file_that_is_not_there_is_named(coordeval):
    assert "there is no file nowhere.py" in coordeval("configurations", "check", "nowhere.py").err


def test_one_is_drawn(coordeval):
    lines = [line.strip() for line in coordeval("configurations", "show", "peer_critique_debate").out.splitlines()]
    at = lines.index("[ forecaster: estimate ]")
    assert lines[at + 1 : at + 4] == ["│", "▼", "[ critic: estimate ] ⟲"]


def test_what_is_no_command_says_what_there_is(coordeval):
    ended = coordeval("configurations", "try", "single_agent")
    assert "`new NAME` or `check NAME|FILE`" in ended.err
    assert not Path("try").exists()
