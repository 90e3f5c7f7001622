"""Nothing that others wrote reaches a terminal as a command, whatever command of ours shows it."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn
from rich.table import Table
from rich.text import Text

from coordeval.flows.certificate.terminal import _pairs
from coordeval.flows.terminal import Terminal, words
from tests.flows.cli.conftest import store

HOSTILE = "\x1b]0;title\x07[/bold] [red]x[/red] [link=http://a]b[/link] :smile: \u202ecod\x9b2J\u200b\x08 Will it?"
STYLES = re.compile(r"\x1b\[[0-9;]*m")


def obeyed(output: str) -> list[str]:
    """What is left in an output that a terminal would obey, its styles aside."""
    return [c for c in STYLES.sub("", output) if not c.isprintable() and c != "\n"]


@pytest.mark.parametrize(
    "renderable",
    [HOSTILE, Text(HOSTILE), Text.assemble("a ", (HOSTILE, "bold")), [HOSTILE], {HOSTILE: 1}, RuntimeError(HOSTILE)],
    ids=["str", "Text", "assembled", "list", "dict", "error"],
)
def test_the_terminal_cleans_what_a_caller_forgot_to(renderable):
    out = io.StringIO()
    Terminal(file=out, force_terminal=True, width=60, color_system="truecolor").print(renderable, style="red")
    assert obeyed(out.getvalue()) == []
    assert "\x1b[" in out.getvalue(), "a style that we chose stays"


def test_a_table_of_hostile_cells_keeps_its_lines():
    out = io.StringIO()
    table = Table(title=HOSTILE, caption=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    Terminal(file=out, width=120).print(table)
    assert obeyed(out.getvalue()) == []
    assert {len(line) for line in out.getvalue().splitlines() if line.startswith(("│", "┃"))} == {len(HOSTILE) + 4}


def test_markup_of_others_is_text():
    out = io.StringIO()
    Terminal(file=out, width=200).print("[/bold] [red]x[/red] :smile:")
    assert out.getvalue() == "[/bold] [red]x[/red] :smile:\n"


def test_a_progress_bar_still_moves_and_its_words_are_clean():
    out = io.StringIO()
    terminal = Terminal(file=out, force_terminal=True, width=100)
    with Progress(TextColumn("{task.description}", markup=False), console=terminal) as bar:
        bar.add_task(HOSTILE)
    assert "\x1b[?25l" in out.getvalue(), "rich hides the cursor meanwhile: its own commands pass"
    assert "\x1b]0" not in out.getvalue()
    assert "\x9b" not in out.getvalue()


def test_words_are_clean_for_any_console():
    out = io.StringIO()
    _pairs(Console(file=out, width=200), {"market": HOSTILE})
    Console(file=out, width=200).print(words(HOSTILE, "bold"))
    assert obeyed(out.getvalue()) == []


@pytest.fixture(scope="module")
def hostile_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two studies of which every text that may come from outside is hostile."""
    path = store(tmp_path_factory.mktemp("hostile"), ("small", 4000), ("other", 3000))
    with duckdb.connect(str(path)) as con:
        con.execute("UPDATE markets SET question = $1 || question, category = $1", [HOSTILE])
        con.execute("UPDATE outcomes SET reason = $1", [HOSTILE])
        con.execute("UPDATE studies SET model = $1, source = $1", [HOSTILE])
        con.execute("UPDATE estimates SET rationale = $1", [HOSTILE])
        con.execute(
            "UPDATE forecasts SET reason = $1, status = 'failed', probability = NULL WHERE configuration = 'single_agent' "
            "AND market_id = (SELECT min(market_id) FROM markets)",
            [HOSTILE],
        )
    return path


@pytest.fixture
def ids(hostile_ledger: Path) -> dict[str, str]:
    with duckdb.connect(str(hostile_ledger), read_only=True) as con:
        answered = "SELECT forecast_id FROM forecasts WHERE status = 'answered' AND model_calls > 0 ORDER BY 1 LIMIT 1"
        [(forecast,)] = con.execute(answered).fetchall()
        [(market,)] = con.execute("SELECT min(market_id) FROM markets").fetchall()
    return {"FORECAST": forecast, "MARKET": market, "HOSTILE": HOSTILE}


@pytest.mark.parametrize(
    "command",
    [
        "report small",
        "certificate FORECAST",
        "control small",
        "leaks small",
        "compare small other",
        "studies",
        "studies --json",
        "forecasts small",
        "forecasts small --json",
        "forecasts HOSTILE",
        "forecasts small --market HOSTILE",
        "report small --json",
        "certificate FORECAST --json",
        "control small --json",
        "markets list --json",
        "markets show MARKET --json",
        "markets audit --json",
        "compare small other --json",
        "plan small",
        "plan small --json",
        "markets list",
        "markets show MARKET",
        "markets sources",
        "markets audit",
        "markets sample",
        "markets sample --json",
        "markets list --category HOSTILE",
        "markets list --source HOSTILE",
        "markets show HOSTILE",
        "markets pull --source HOSTILE",
        "report HOSTILE",
        "certificate HOSTILE",
        "control HOSTILE",
        "plan HOSTILE",
        "run HOSTILE",
        "import HOSTILE",
        "study new /proc/absent/HOSTILE",
        "HOSTILE",
        "report small HOSTILE",
        "report small --policy HOSTILE",
        "report --ledger HOSTILE",
    ],
)
def test_no_command_shows_what_a_terminal_would_obey(command, hostile_ledger, ids, monkeypatch, coordeval):
    monkeypatch.setenv("COORDEVAL_LEDGER", str(hostile_ledger))
    arguments = [" ".join(ids.get(part, part.replace("HOSTILE", HOSTILE)) for part in [word]) for word in command.split()]
    done = coordeval(*arguments)
    assert done.status in (0, 1, 2)
    assert done.out + done.err
    assert obeyed(done.out + done.err) == []
    assert "fault of coordeval" not in done.err


WAITED = re.compile(rb"waiting for the report to be computed \(\d+ s so far\)\r?\n")
"""Said on a busy machine."""


def started(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "coordeval", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, cwd=cwd, env={**os.environ, **environment}, timeout=300, check=False)


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"PYTHONIOENCODING": "cp1252"}, id="cp1252", marks=pytest.mark.proof),
        pytest.param({"PYTHONIOENCODING": "ascii"}, id="ascii", marks=pytest.mark.proof),
        pytest.param({"LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, id="C"),
    ],
)
def test_a_terminal_that_is_not_utf_8_gets_the_whole_report(environment, hostile_ledger, tmp_path):
    done = started("report", "small", "--ledger", hostile_ledger, cwd=tmp_path, **environment)
    assert (done.returncode, WAITED.sub(b"", done.stderr)) == (0, b"")
    assert b"report.html" in done.stdout
    assert b"-0." in done.stdout, "a minus sign is one everywhere"


def test_a_reader_who_goes_away_is_no_error(hostile_ledger, tmp_path):
    command = f"set -o pipefail; {sys.executable} -m coordeval report small --out out --ledger {hostile_ledger} | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, cwd=tmp_path, timeout=300, check=False)
    assert (done.returncode, WAITED.sub(b"", done.stderr)) == (0, b"")
    assert (tmp_path / "out" / "report.html").exists(), "the work was done"
