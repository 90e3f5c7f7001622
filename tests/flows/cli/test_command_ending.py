"""How a command ends: one message for each way, and a fault of ours is called one."""

import errno
import re
from pathlib import Path

import pytest
import typer

from coordeval.flows.cli.ending import DEBUG, status_of
from coordeval.market_data.errors import CoordevalError

ROOT = Path(__file__).parents[3]
HOSTILE = "\x1b]0;title\x07[/bold]"


def raising(error: BaseException):
    def command() -> None:
        raise error

    return command


def grouped(*errors: Exception) -> ExceptionGroup:
    return ExceptionGroup("unhandled errors in a TaskGroup", list(errors))


ENDS = [
    (CoordevalError("give another"), 1, "error: give another\n"),
    (grouped(CoordevalError("one"), grouped(CoordevalError("two"))), 1, "error: one\nerror: two\n"),
    (grouped(CoordevalError("the same"), CoordevalError("the same")), 1, "error: the same\n"),
    (OSError(errno.ENOSPC, "No space left on device", "/data/f"), 1, "error: /data/f: No space left on device; free space"),
    (PermissionError(errno.EACCES, "Permission denied", "/f"), 1, "error: /f: Permission denied; you have no permission"),
    (OSError(errno.EROFS, "Read-only file system"), 1, "error: Read-only file system; the disk is mounted read-only"),
    (MemoryError(), 1, "error: this machine has not enough memory"),
    (KeyboardInterrupt(), 130, "interrupted\n"),
    (typer.Abort(), 130, "interrupted\n"),
    (typer.BadParameter(HOSTILE), 2, "error: Invalid value: \ufffd]0;title\ufffd[/bold]\n"),
]


@pytest.mark.parametrize(("error", "status", "said"), ENDS, ids=[type(row[0]).__name__ for row in ENDS])
def test_each_end_has_its_status_and_one_message(error, status, said, capsys):
    assert status_of(raising(error)) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(said), err
    assert "Traceback" not in err


@pytest.mark.parametrize(("command", "status"), [(lambda: None, 0), (lambda: 3, 3), (lambda: "text", 0)])
def test_what_ends_well_says_nothing(command, status, capsys):
    assert status_of(command) == status
    assert capsys.readouterr() == ("", "")


def test_a_fault_is_called_one_and_keeps_its_traceback_in_a_file(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv(DEBUG, "")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert status_of(raising(ZeroDivisionError(HOSTILE))) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: this is a fault of coordeval: ZeroDivisionError: \ufffd]0;title\ufffd[/bold] (details in ")
    [kept] = tmp_path.iterdir()
    assert str(kept) in err
    assert "Traceback (most recent call last)" in kept.read_text()
    assert "raise error" in kept.read_text()


def test_a_fault_prints_its_traceback_where_that_is_wanted(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv(DEBUG, "1")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert status_of(raising(ZeroDivisionError("x"))) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_fault_without_a_place_for_its_traceback_says_how_to_see_it(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv(DEBUG, "")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    assert status_of(raising(ZeroDivisionError("x"))) == 1
    assert f"({DEBUG}=1 prints its traceback)" in capsys.readouterr().err


def test_there_is_one_door_to_the_terminal():
    door = re.compile(r"\bConsole\(|(?<![\w.])print\(|from_markup|markup=True")
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("flows", "analysis", "ledger", "agents", "configurations")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "standin" not in path.parts  # a program of its own, which says nothing but its own words
        for line in path.read_text().splitlines()
        if door.search(line) and path.name != "terminal.py" and ">>>" not in line and not line.strip().startswith("def ")
    ]
    assert found == [], "print through flows.terminal.Terminal"
