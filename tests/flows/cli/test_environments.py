"""Environments that people have: no home, a home that is a file, closed streams, a terminal that knows no width."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from coordeval.flows.orchestration import server
from coordeval.flows.terminal import Terminal
from coordeval.market_data.home import own_folder
from tests.flows.cli.conftest import STUDY

FOLDERS = ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "COORDEVAL_PRICES")


@pytest.fixture(params=["none", "file"])
def homeless(request, monkeypatch, tmp_path: Path) -> Path:
    """A user whom no list of users knows, or whose home is no folder."""
    for name in FOLDERS:
        monkeypatch.delenv(name, raising=False)
    if request.param == "none":

        def unknown() -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(Path, "home", unknown)
    else:
        (tmp_path / "home").write_text("a file")
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.toml").write_text(STUDY.format(name="s", cap=4000).replace("count = 8", "count = 2"))
    return tmp_path


def test_a_user_without_a_home_is_no_fault(homeless: Path, coordeval):
    for command in ("quote s.toml", "run s.toml --dry", "models", "ctl"):
        done = coordeval(*command.split())
        assert (done.status, "fault of coordeval" in done.err) == (0, False), done


def test_prefect_borrows_a_home_where_there_is_none(homeless: Path, monkeypatch):
    monkeypatch.setattr("os.environ", dict(os.environ))
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    monkeypatch.setattr(server.tempfile, "tempdir", str(homeless))
    server.quiet_prefect()
    assert Path(os.environ["HOME"]).parent == homeless
    assert Path(os.environ["HOME"]).is_dir()


def test_a_folder_that_is_named_needs_no_home(homeless: Path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere")
    assert own_folder("XDG_STATE_HOME", ".local/state") == Path("/somewhere")
    assert own_folder("XDG_CACHE_HOME", ".cache") is None


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_fault(tmp_path: Path, closed: str):
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m coordeval ctl {closed}"], cwd=tmp_path, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_terminal_that_says_0_columns_is_shown_the_words(monkeypatch):
    monkeypatch.setenv("COLUMNS", "0")
    out = io.StringIO()
    Terminal(file=out).print("words")
    assert out.getvalue() == "words\n"
