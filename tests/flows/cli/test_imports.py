"""A command imports what it needs and nothing else: what is heavy is imported where it is used. Names, not seconds."""

import subprocess
import sys
from pathlib import Path

import pytest

from coordeval.ledger import read
from tests.flows.run.harness import run_mine
from tests.thinned import first_of

ASKING = {"anthropic", "prefect", "httpx", "httpx2", "uvicorn"}
COUNTING = {"scipy", "sklearn"}
SHOWING = {"plotly", "jinja2", "dash", "kaleido"}
READING = {"polars", "duckdb", "numpy", "pyarrow", "stamina", "asyncio"}

HELP = (["--help"], ["markets", "pull", "--help"])
READ = (["markets", "list"], ["studies"], ["forecasts", "mine"], ["control", "mine"], ["certificate", "ID"])


def imported(arguments: list[str]) -> set[str]:
    """The packages that a command has imported when it ends, by its own interpreter's account."""
    code = "import sys\nfrom coordeval.flows.cli.main import app\ntry:\n    app(sys.argv[1:])\nexcept BaseException as e:\n"
    code += "    print(type(e).__name__, e, file=sys.stderr)\nprint('\\nimported:', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120, check=True)
    assert "Usage:" in done.stdout or "SystemExit" in done.stderr or "Error" in done.stderr
    return {name.partition(".")[0] for name in done.stdout.rpartition("imported:")[2].split()}


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It holds a study "mine" of one forecast."""
    folder = tmp_path_factory.mktemp("ledger")
    run_mine(folder, {"one": "return panel.conclude((await panel.ask('forecaster')).probability)"})
    return folder / "ledger.duckdb"


@pytest.mark.parametrize("arguments", HELP, ids=" ".join)
def test_help_imports_nothing_that_is_heavy(arguments):
    assert not imported(arguments) & (ASKING | COUNTING | SHOWING | READING)


@pytest.mark.parametrize("arguments", first_of(READ, 2, ids=" ".join))
def test_a_command_that_reads_the_ledger_neither_asks_counts_nor_draws(arguments, ledger):
    one = str(read(ledger).query("SELECT forecast_id FROM forecasts").item())
    found = imported([one if argument == "ID" else argument for argument in arguments] + ["--ledger", str(ledger)])
    assert "duckdb" in found
    assert not found & (ASKING | COUNTING | SHOWING)
