"""`coordeval ctl`: running studies, seen and steered from a second terminal."""

from typing import Annotated, Any

import typer

from coordeval.flows.cli.options import JsonOption
from coordeval.flows.terminal import Terminal, print_result, table

console = Terminal()
app = typer.Typer(
    invoke_without_command=True, help="Running studies: list them, pause, resume, change limits, ask again, stop."
)
RunArgument = Annotated[
    str | None, typer.Argument(help="A study's name, or the start of a run's id; may be left out where one runs.")
]


@app.callback()
def ctl(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the studies that run now, as this user, on this machine."""
    if context.invoked_subcommand is None:
        list_(as_json)


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List the studies that run now; so does `coordeval ctl` alone."""
    from coordeval.flows.run.helm.socket import running

    found = running()
    if as_json:
        print_result(found)
        return
    if not found:
        console.print("no study runs now")
        return
    rows = table("run", "study", "state", "made", "of", "open", "paid", "limit", numbers=(3, 4, 5, 6, 7))
    for row in found:
        rows.add_row(row["run_id"][:8], row["study"], _state(row), *map(_count, (row["made"], row["to_make"])),
                     _count(row["failed_open"]), f"${row['paid_usd']:.2f}", _usd(row["max_usd"]))  # fmt: skip
    console.print(rows)


@app.command()
def status(run: RunArgument = None, as_json: JsonOption = False) -> None:
    """Everything about one run."""
    _told(run, {"do": "status"}, as_json)


@app.command()
def pause(run: RunArgument = None, as_json: JsonOption = False) -> None:
    """Start no more calls; those under way are stored."""
    _told(run, {"do": "pause"}, as_json)


@app.command()
def resume(run: RunArgument = None, as_json: JsonOption = False) -> None:
    """Go on after a pause."""
    _told(run, {"do": "resume"}, as_json)


@app.command("set")
def set_(
    run: RunArgument = None,
    concurrent_calls: Annotated[int | None, typer.Option(help="Calls at once.")] = None,
    requests_per_minute: Annotated[float | None, typer.Option(help="Calls that start in a minute.")] = None,
    tokens_per_minute: Annotated[float | None, typer.Option(help="Tokens that start in a minute.")] = None,
    max_usd: Annotated[float | None, typer.Option(help="What the study may cost in all.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Change the pace or the budget of a run, for as long as it runs."""
    asked = {
        "concurrent_calls": concurrent_calls,
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
        "max_usd": max_usd,
    }
    _told(run, {"do": "change", **asked}, as_json)


@app.command()
def again(run: RunArgument = None, as_json: JsonOption = False) -> None:
    """Ask for the forecasts again that this run left open, such as for want of money."""
    _told(run, {"do": "again"}, as_json)


@app.command()
def stop(run: RunArgument = None, as_json: JsonOption = False) -> None:
    """Stop a run as Ctrl-C does: replies under way are stored, and the same command goes on."""
    _told(run, {"do": "stop"}, as_json)


def _told(run: str | None, question: dict[str, Any], as_json: bool) -> None:
    from coordeval.flows.run.helm.socket import ask

    answer = ask(_chosen(run), question)
    if as_json:
        print_result(answer)
        return
    for name, value in answer.items():
        if value is not None:
            console.print(f"{name.replace('_', ' ')}: {value}", markup=False, highlight=False, soft_wrap=True)


def _chosen(run: str | None) -> Any:
    from pathlib import Path

    from coordeval.flows.run.helm.place import HelmError
    from coordeval.flows.run.helm.socket import running

    found = running()
    fitting = [row for row in found if run is None or row["study"] == run or row["run_id"].startswith(run)]
    if len(fitting) == 1:
        return Path(fitting[0]["socket"])
    known = ", ".join(f"{row['run_id'][:8]} ({row['study']})" for row in found) or "none"
    which = "no study runs now" if not found else f"{'which run?' if run is None else f'{run!r} is not one run'}"
    raise HelmError(f"{which}; running: {known}")


def _state(row: dict[str, Any]) -> str:
    return f"waiting until {row['waits_until'][11:16]}" if row["state"] == "waiting" else str(row["state"])


def _count(value: Any) -> str:
    return "–" if value is None else str(value)


def _usd(value: Any) -> str:
    return "–" if value is None else f"${value:,.2f}"
