"""Options and arguments that several commands share, so that each means the same everywhere."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from coordeval.market_data.errors import CoordevalError

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
OneArm = Annotated[str | None, typer.Option("--arm", metavar="ARM", help="Of a study with arms: which; else its first.")]
EveryArm = Annotated[str | None, typer.Option("--arm", metavar="ARM", help="Of a study with arms: only this; else all.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of words and tables.")]


class Policy(StrEnum):
    """What is done about missing forecasts: see the glossary in the report."""

    common = "common"
    available = "available"
    fallback_half = "fallback_half"
    fallback_market = "fallback_market"


def whole_numbers(option: str, text: str) -> tuple[int, ...]:
    """What an option with numbers separated by commas says. Raises CoordevalError for anything else."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise CoordevalError(f"--{option} {text!r}: give whole numbers separated by commas, such as 100,200,400") from error
