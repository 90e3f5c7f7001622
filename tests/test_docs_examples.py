"""What the documentation shows is run, page by page, from top to bottom, in one folder and this process.

A block below `<!-- runs -->` is run: a command line as `coordeval` would, Python by Python; one whose first line is a
comment with a file's name is written to that file. What `<!-- prints -->` shows stood in what the block before it said.
"""

import re
from pathlib import Path

import pytest

from coordeval.ledger import read
from docs.examples import MARKED, Example, examples
from docs.newcomer import follow
from tests.flows.cli.conftest import run

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {path.relative_to(DOCS).as_posix(): path.read_text() for path in sorted(DOCS.rglob("*.md"))}
RUN = [page for page, text in PAGES.items() if MARKED.search(text)]


def do(block: Example, folder: Path) -> None:
    if block.file:
        (folder / block.file).write_text(block.text)
    elif block.language == "python":
        exec(compile(block.text, "docs", "exec"), {})
    else:
        assert block.language == "sh"
        for command in block.commands():
            assert command[0] == "coordeval", command
            assert run(*command[1:]) == 0, command


@pytest.mark.parametrize("page", RUN)
def test_every_marked_block_runs_and_says_what_is_shown(page: str, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COORDEVAL_LEDGER", raising=False)
    said = ""
    for block in examples(PAGES[page]):
        if block.shown:
            assert block.not_said(said) == [], f"{page} shows what was not said: {said[:2000]}"
        else:
            do(block, tmp_path)
            captured = capsys.readouterr()
            said = captured.out + captured.err
    if page == "tutorial.md":
        answered = "SELECT count(*) FROM forecasts WHERE configuration = 'second_look' AND status = 'answered'"
        assert read(tmp_path / "results" / "coordeval.duckdb").query(answered).item() == 40


def test_every_block_of_python_is_run_by_some_test():
    """Those that are not marked have a test of their own, which names the page."""
    tests = [file.read_text() for file in Path(__file__).parent.rglob("test_*.py") if file != Path(__file__)]
    for page, text in PAGES.items():
        if "```python" in MARKED.sub("", text):
            named = any(re.search(rf"[\"/]{re.escape(page)}", test) for test in tests)
            assert named, f"{page} shows Python that no test runs: write <!-- runs --> above it"


@pytest.mark.parametrize(
    ("page", "words"),
    [
        pytest.param("<!-- runs -->\n```sh\ncoordeval no\n```", "status 1 of", id="a command that fails"),
        pytest.param(
            "<!-- runs -->\n```sh\ncoordeval yes\n```\n<!-- prints -->\n```text\nhello\n```",
            "shows what was not said: 'hello'",
            id="what is not said",
        ),
    ],
)
def test_a_newcomer_stops_where_the_tutorial_is_not_true(page: str, words: str, tmp_path: Path):
    command = tmp_path / "coordeval"
    command.write_text('#!/bin/sh\necho "said $1"\n[ "$1" = yes ]\n')
    command.chmod(0o755)
    with pytest.raises(SystemExit, match=words):
        follow(examples(page), tmp_path / "work", command)
