"""Runs a command in this process as `coordeval` does, and a ledger that holds small studies."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from coordeval.flows.cli.ending import status_of
from coordeval.flows.cli.main import app

STUDY = """
name = "{name}"
replicates = 1
configurations = ["single_agent", "market_price", "independent_ensemble"]
[markets]
source = "simulated"
count = 8
[model]
provider = "simulated"
max_tokens = {cap}
"""


@dataclass(frozen=True)
class Ended:
    status: int
    out: str
    err: str


def run(*arguments: object) -> int:
    return status_of(lambda: app([*map(str, arguments)], standalone_mode=False))


@pytest.fixture
def coordeval(monkeypatch, capsys) -> Callable[..., Ended]:
    """`coordeval("report", "small")`: its exit status and what it said, on lines of 200 columns."""
    consoles = ("main", "audit", "checks", "markets", "studies", "monitor", "trace", "verify", "grounding", "tools")
    for name in (*(f"{module}.console" for module in consoles), "ending.errors"):
        monkeypatch.setattr(f"coordeval.flows.cli.{name}.width", 200)

    def ended(*arguments: object) -> Ended:
        capsys.readouterr()
        return Ended(run(*arguments), *capsys.readouterr())

    return ended


def store(folder: Path, *studies: tuple[str, int]) -> Path:
    """A ledger with studies of these names and output caps; another cap makes another study. `NAME-CAP.toml` is its file."""
    path = folder / "ledger.duckdb"
    for name, cap in studies:
        file = folder / f"{name}-{cap}.toml"
        file.write_text(STUDY.format(name=name, cap=cap))
        assert run("run", file, "--inline", "--ledger", path) == 0
    return path
