"""`coordeval import`: forecasts that were made elsewhere, of one's own or published, become a study of the ledger."""

from pathlib import Path
from typing import Annotated

import typer

from coordeval.flows.cli.options import DEFAULT_LEDGER, JsonOption, LedgerOption
from coordeval.flows.study.names import named_after
from coordeval.flows.terminal import Terminal, print_result, table

app = typer.Typer(no_args_is_help=True, help="Forecasts that were made elsewhere: your own, or a published dataset.")
console = Terminal()
TRACES = "coordination-traces-100"


def named_for(file: str) -> str:
    """What a study is called whose first file, or pattern, is that: its name up to the first point."""
    return named_after(Path(Path(file).name.split(".")[0]))


@app.command(TRACES)
def dataset(
    path: Annotated[Path | None, typer.Argument(help="A folder that holds it; else it is downloaded.")] = None,
    ledger: LedgerOption = DEFAULT_LEDGER,
) -> None:
    """The published dataset: its markets, forecasts, calls, costs and tool results."""
    from coordeval.flows.markets.importing import import_dataset

    study = import_dataset(TRACES, path, ledger)
    console.print(f"imported {TRACES} as study {study}; `coordeval report {study}` prints its leaderboard")


@app.command()
def forms(as_json: JsonOption = False) -> None:
    """The published forms of forecasts that can be read as they are, and what each reader was held against."""
    from coordeval.market_data.forecasts import load

    found = load()
    rows = [
        {"name": name, "reads": cls.reads, "checked_against": cls.checked_against} for name, cls in found.classes.items()
    ]
    if as_json:
        print_result({"forms": rows, "quarantined": found.quarantined})
        return
    shown = table("form", "reads", "held against")
    for row in rows:
        shown.add_row(*row.values())
    console.print(shown)
    for name, why in found.quarantined.items():
        console.print(f"{name} could not be loaded: {why}", style="red", soft_wrap=True)


@app.command()
def forecasts(
    files: Annotated[
        list[str], typer.Argument(help="CSV, TSV, JSON lines, JSON or Parquet, also gzipped; or 'logs/*.csv'.")
    ],
    name: Annotated[str | None, typer.Option(help="What the study is called; else as the first file.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="FIELD=COLUMN, where a column is not found by its name: probability=p_yes. FIELD= leaves it out."),
    ] = None,
    wide: Annotated[
        str | None, typer.Option(help="Columns of one forecaster each, with commas between; '*': all that are nothing else.")
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(help="fraction or percent; else percent only where the column's name or every value says so."),
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(help="Of times without a zone, such as UTC; else these are refused.")
    ] = None,
    duplicates: Annotated[
        str, typer.Option(help="Several forecasts of one forecaster for one question: refuse, first, last or replicates.")
    ] = "refuse",
    by_date: Annotated[bool, typer.Option("--by-date", help="Each day of a question is a market of its own.")] = False,
    price: Annotated[str, typer.Option(help="Several market prices of one question: refuse, first or last.")] = "refuse",
    decimal_comma: Annotated[bool, typer.Option("--decimal-comma", help="Numbers are written 0,55.")] = False,
    encoding: Annotated[str | None, typer.Option(help="Of files that are not UTF-8, such as cp1252.")] = None,
    questions: Annotated[
        str | None, typer.Option(help="A name for the set of questions; imports that share it are about the same ones.")
    ] = None,
    forecaster: Annotated[str | None, typer.Option(help="Who made all of them, where no column says.")] = None,
    format: Annotated[str | None, typer.Option(help="A named form, see `coordeval import forms`; else by the file.")] = None,
    skip_refused: Annotated[bool, typer.Option("--skip-refused", help="Set refused rows aside, take the others.")] = False,
    simulated: Annotated[bool, typer.Option("--simulated", help="They are made up: every result then says so.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what was understood, and store nothing.")] = False,
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """Forecasts of your own: report, compare, plan and dashboard then work on them as on any study."""
    from coordeval.flows.imports.reading import understood
    from coordeval.flows.imports.storing import import_forecasts
    from coordeval.flows.imports.terminal import print_imported, print_understood
    from coordeval.flows.imports.wanted import Wanted, mapped

    wanted = Wanted(
        name=name or named_for(files[0]),
        columns=mapped(column or []),
        wide=tuple(part.strip() for part in wide.split(",")) if wide else (),
        scale=scale,  # type: ignore[arg-type]  # checked there, by name
        timezone=timezone,
        duplicates=duplicates,  # type: ignore[arg-type]
        by_date=by_date,
        one_price=price,  # type: ignore[arg-type]
        decimal_comma=decimal_comma,
        encoding=encoding,
        questions=questions,
        forecaster=forecaster,
        format=format,
        skip_refused=skip_refused,
        simulated=simulated,
    )
    if dry_run:
        with understood(files, wanted) as (what, _, _):
            if as_json:
                print_result(what.as_json())
            else:
                print_understood(what, wanted.name, console)
            if what.refusal():
                raise typer.Exit(1)
        return
    done = import_forecasts(files, wanted, ledger)
    if as_json:
        print_result(done.as_json())
    else:
        print_imported(done, console)
