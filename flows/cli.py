"""The command line. Errors that a user can mend are printed as one message, without a traceback; exit status 1."""

import asyncio
import atexit
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import stamina
import typer
from rich.console import Console

from flows.cli_markets import DEFAULT_LEDGER, LedgerOption
from flows.cli_markets import app as markets_app
from flows.cli_selftest import app as selftest_app
from market_data.errors import CoordevalError

ABOUT = "Measures what coordinating LLM agents does to a forecast, and whether it is worth its cost."

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=ABOUT)
study_app = typer.Typer(no_args_is_help=True, help="Study files.")
app.add_typer(study_app, name="study")
app.add_typer(markets_app, name="markets")
app.add_typer(selftest_app, name="selftest")

console = Console()
errors = Console(stderr=True)


class Policy(StrEnum):
    """What is done about missing forecasts: see the glossary in the report."""

    common = "common"
    available = "available"
    fallback_half = "fallback_half"
    fallback_market = "fallback_market"


@app.command()
def run(
    study: Annotated[Path, typer.Argument(help="A study file, such as studies/embedded.toml.")],
    ledger: LedgerOption = DEFAULT_LEDGER,
    inline: Annotated[bool, typer.Option("--inline", help="Without Prefect: the same steps in plain Python.")] = False,
) -> None:
    """Run a study, or go on with it: what is stored is not asked or paid for again. Prints the leaderboard."""
    from flows.study import load_study

    loaded = load_study(study)  # checked before Prefect starts, so that a typo costs no wait
    try:
        if inline:
            from flows.run import Steps, run_steps

            asyncio.run(run_steps(loaded, ledger, console, Steps(loaded.study.name)))
        else:
            from flows.server import prefect_api

            with prefect_api(console):
                from flows.evaluate import evaluate

                asyncio.run(evaluate(str(study), str(ledger)))
    except KeyboardInterrupt:
        errors.print("interrupted: what was answered is stored; the same command goes on where it was")
        raise typer.Exit(130) from None


@app.command("import")
def import_(
    dataset: Annotated[str, typer.Argument(help="coordination-traces-100")],
    path: Annotated[Path | None, typer.Argument(help="A folder that holds it; else it is downloaded.")] = None,
    ledger: LedgerOption = DEFAULT_LEDGER,
) -> None:
    """Load a published dataset: its markets, forecasts, calls, costs and tool results."""
    from flows.importing import import_dataset

    study = import_dataset(dataset, path, ledger)
    console.print(f"imported {dataset} as study {study}; `coordeval report {study}` prints its leaderboard")


@app.command()
def report(
    study: Annotated[str | None, typer.Argument(help="A study's name or the start of its hash; else the newest.")] = None,
    ledger: LedgerOption = DEFAULT_LEDGER,
    policy: Annotated[Policy, typer.Option(help="What is done about missing forecasts.")] = Policy.common,
) -> None:
    """Print a study's leaderboard from what is stored, and write its HTML report and results.json."""
    from flows.run import publish
    from flows.scoring import score

    publish(ledger, score(ledger, study, policy=policy.value), console)


@app.command("plan")
def plan_(
    study: Annotated[str, typer.Argument(help="A stored study's name or hash, or a study file that may not have run yet.")],
    ledger: LedgerOption = DEFAULT_LEDGER,
    markets: Annotated[str, typer.Option(help="Numbers of markets, separated by commas.")] = "100,200,400,800",
    replicates: Annotated[str, typer.Option(help="Numbers of replicates, separated by commas.")] = "1,2,4",
    configurations: Annotated[int | None, typer.Option(help="How many call a model; else those of the study.")] = None,
    delta: Annotated[float, typer.Option(help="The true difference to see, in Brier points.")] = 0.005,
    budget: Annotated[float | None, typer.Option(help="US dollars to spend.")] = None,
    available_markets: Annotated[int | None, typer.Option(help="How many markets there are at most.")] = None,
    alpha: Annotated[float, typer.Option(help="Level of all pairs together.")] = 0.05,
    power: Annotated[float, typer.Option(help="The probability of seeing it that is wanted.")] = 0.8,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of words and a table.")] = False,
) -> None:
    """What a second study would see and cost, from a stored first one or, for a file that has not run, the simulator."""
    from analysis.results import strict_json
    from flows.first_study import first_study
    from flows.power_plan import Wanted, power_plan
    from flows.power_plan_terminal import print_plan

    wanted = Wanted(
        markets=_numbers("markets", markets),
        replicates=_numbers("replicates", replicates),
        configurations=configurations,
        delta=delta,
        budget_usd=budget,
        available_markets=available_markets,
        alpha=alpha,
        power=power,
    )
    found = power_plan(first_study(study, ledger), wanted)
    if as_json:
        typer.echo(strict_json(found.as_json()), nl=False)
    else:
        print_plan(found, console)


def _numbers(option: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise CoordevalError(f"--{option} {text!r}: give whole numbers separated by commas, such as 100,200,400") from error


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="A study's name or the start of its hash.")],
    second: Annotated[str, typer.Argument(help="Another one.")],
    ledger: LedgerOption = DEFAULT_LEDGER,
    policy: Annotated[Policy, typer.Option(help="What is done about missing forecasts.")] = Policy.common,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of words and a table.")] = False,
) -> None:
    """Compare two studies on the markets that both forecast as of the same moment, saying what that overlap is."""
    from analysis.results import strict_json
    from flows.comparing import compare as compared
    from flows.comparing_terminal import print_compared
    from ledger import read

    found = compared(read(ledger), first, second, policy=policy.value)
    if as_json:
        typer.echo(strict_json(found.as_json()), nl=False)
    else:
        print_compared(found, console)


@app.command()
def certificate(
    forecast: Annotated[str, typer.Argument(help="A forecast's id, or the start of it (4 characters or more).")],
    ledger: LedgerOption = DEFAULT_LEDGER,
) -> None:
    """What the agents of one forecast could see, what was held back, and a re-check of both from stored bytes."""
    from flows.certificate import certificate as certificate_of
    from flows.certificate_terminal import print_certificate
    from ledger import read

    found = certificate_of(read(ledger), forecast)
    print_certificate(found, console)
    if found.verdict == "failed":
        raise typer.Exit(1)


@app.command()
def control(
    study: Annotated[str, typer.Argument(help="A study's name or the start of its hash.")],
    ledger: LedgerOption = DEFAULT_LEDGER,
) -> None:
    """Whether all configurations of a study were given the same model, settings, tools and facts, from stored bytes."""
    from flows.certificate_terminal import print_control
    from flows.control import control as control_of
    from ledger import read

    found = control_of(read(ledger), study)
    print_control(found, console)
    if found.held is False:
        raise typer.Exit(1)


@app.command()
def leaks(
    study: Annotated[str, typer.Argument(help="A study's name or the start of its hash.")],
    ledger: LedgerOption = DEFAULT_LEDGER,
) -> None:
    """Probe a study's data for side doors to the answer: early closing, siblings, copied prices, training cutoff."""
    from flows.leaks import details
    from flows.leaks import leaks as probes
    from ledger import read

    for title, probe in probes(read(ledger), study):
        console.print(f"{title}. {probe.says}", markup=False, highlight=False)
        for line in details(probe):
            console.print(f"    {line}", markup=False, highlight=False, style="dim", soft_wrap=True)


@app.command()
def configurations() -> None:
    """List the configurations that can be used, with their parameters, and plugins that could not be loaded."""
    from configurations import load

    registry = load()
    for name, cls in sorted(registry.classes.items()):
        parameters = ", ".join(f"{key}={field.default!r}" for key, field in cls.model_fields.items())
        console.print(f"[bold]{name}[/bold]  {parameters}\n    {(cls.__doc__ or '').strip().splitlines()[0]}")
    for name, reason in registry.quarantined.items():
        console.print(f"[bold red]{name}[/bold red] could not be loaded: {reason}")


@study_app.command("new")
def study_new(
    path: Annotated[Path, typer.Argument(help="Where to write it, such as my-study.toml.")],
) -> None:
    """Write a commented study file to start from. Never overwrites one."""
    from importlib.resources import files

    if path.exists():
        raise CoordevalError(f"{path} exists already; choose another name")
    template = files("flows").joinpath("templates/study.toml").read_text(encoding="utf-8")
    path.write_text(template.replace("{name}", path.stem.lower().replace(" ", "-")), encoding="utf-8")
    console.print(f"wrote {path}; `coordeval run {path}` runs it")


def main() -> None:
    """Entry point of the `coordeval` command."""
    status = 0

    def leave() -> None:
        # Registered first, so it runs last: DuckDB's bindings print pages about leaks when Prefect's threads outlive them
        # in the interpreter's own teardown, and nothing is left to tear down by then.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

    atexit.register(leave)
    stamina.instrumentation.set_on_retry_hooks([])  # a retry that helped is no news, one that did not ends in an error
    try:
        app()
    except CoordevalError as error:
        errors.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        status = 1
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else 0
    except BaseException:
        status = 1
        raise
