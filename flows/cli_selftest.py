"""`coordeval selftest`: what the project claims about itself, measured now."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

app = typer.Typer(no_args_is_help=True, help="What the project claims about itself, measured now.")
console = Console()


@app.callback()
def _commands() -> None:
    """Keeps `statistics` a command of its own while it is the only one."""


@app.command()
def statistics(
    quick: Annotated[bool, typer.Option("--quick", help="A minute, to find gross faults.")] = False,
    seed: Annotated[int, typer.Option(help="Of all worlds.")] = 0,
    resamples: Annotated[int, typer.Option(help="In each interval.")] = 500,
    scale: Annotated[float, typer.Option(help="Times the worlds of the plan.")] = 1.0,
    cores: Annotated[int | None, typer.Option(help="Processes; else one per core.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write every row as JSON.")] = None,
    docs: Annotated[Path | None, typer.Option(help="Write docs/statistics-selftest.md.")] = None,
    coverage: Annotated[
        Path | None, typer.Option(help="Write the coverage that the library tells, analysis/data/coverage.json.")
    ] = None,
) -> None:
    """Hold every interval and test against simulated worlds whose truth is known. Exit status 1 where one is off."""
    from analysis.selftest import FULL, QUICK, grouped, page, record, selftest
    from analysis.selftest import coverage as coverage_of

    command = shlex.join(["coordeval", *sys.argv[1:]])
    plan = {
        bench: {markets: max(1, round(worlds * scale)) for markets, worlds in sizes.items()}
        for bench, sizes in (QUICK if quick else FULL).items()
    }
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("simulated worlds", total=None)
        found = selftest(
            plan,
            seed=seed,
            resamples=resamples,
            cores=cores,
            told=lambda done, worlds: progress.update(task, completed=done, total=worlds),
        )
    for title, (header, *lines) in grouped(found.rows):
        table = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
        for k, name in enumerate(header[:-1]):
            table.add_column(name, justify="left" if k in (0, len(header) - 2) else "right")
        for line in lines:
            table.add_row(*line[:-1], style="red" if line[-2] == "FAILED" else None)
        console.print(table)

    def stored(content: Any) -> bytes:
        return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    written: list[tuple[Path | None, Callable[[], bytes]]] = [
        (out, lambda: stored(record(found, command))),
        (docs, lambda: page(found, command).encode()),
        (coverage, lambda: stored(coverage_of(found, command))),
    ]
    for path, content in written:
        if path is not None:
            path.write_bytes(content())
            console.print(f"wrote {path}")
    for row in found.failures:
        low, high = row.allowed
        console.print(
            f"FAILED: {row.check.measure}, {row.check.of}, {row.check.world}, {row.check.markets} markets: "
            f"{'undefined' if row.figure is None else f'{row.figure:.1f}%'} in {row.worlds} worlds; "
            f"it must lie in {low:.1f}% to {high:.1f}%",
            style="bold red",
            markup=False,
            highlight=False,
        )
    console.print(f"{len(found.rows)} rows, {len(found.failures)} off beyond Monte Carlo error, {found.seconds:.0f} s")
    if found.failures:
        raise typer.Exit(1)
