"""Options and arguments that several commands share, so that each means the same everywhere."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

DEFAULT_LEDGER = Path("results/coordeval.duckdb")


def _no_stranger(path: Path) -> Path:
    if path.is_file():
        from coordeval.ledger.damage import refuse_stranger

        refuse_stranger(path)
    return path


LedgerOption = Annotated[
    Path,
    typer.Option(
        "--ledger", envvar="COORDEVAL_LEDGER", help="The DuckDB file that holds everything.", callback=_no_stranger
    ),
]
LedgerPath = Annotated[
    Path, typer.Option("--ledger", envvar="COORDEVAL_LEDGER", help="The DuckDB file, whatever is left of it.")
]
StudyArgument = Annotated[
    str, typer.Argument(help="A study file, a study's name, or the start of its hash; `coordeval studies` lists them.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of words and tables.")]


class Policy(StrEnum):
    """What is done about missing forecasts: see the glossary in the report."""

    common = "common"
    available = "available"
    fallback_half = "fallback_half"
    fallback_market = "fallback_market"
