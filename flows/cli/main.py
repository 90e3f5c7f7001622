"""The command line. Errors that a user can mend are printed as one message, without a traceback; exit status 1."""

import atexit
import logging
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coordeval.flows.cli.audit import audit, diagnose
from coordeval.flows.cli.checks import certificate, control, leaks
from coordeval.flows.cli.costs import agreed_to, check_model, costs, explain, listed, print_quoted, quote
from coordeval.flows.cli.ctl import app as ctl_app
from coordeval.flows.cli.dashboard import dashboard
from coordeval.flows.cli.docs import docs
from coordeval.flows.cli.ending import DEBUG, errors, status_of
from coordeval.flows.cli.exports import export
from coordeval.flows.cli.grounding import app as grounding_app
from coordeval.flows.cli.groups import arrange
from coordeval.flows.cli.imports import app as imports_app
from coordeval.flows.cli.markets import app as markets_app
from coordeval.flows.cli.models import models
from coordeval.flows.cli.monitor import monitor
from coordeval.flows.cli.notebook import notebook
from coordeval.flows.cli.options import (
    DEFAULT_LEDGER,
    JsonOption,
    LedgerOption,
    OneArm,
    Policy,
    StudyArgument,
    whole_numbers,
)
from coordeval.flows.cli.prospective import commitment, forecast_open, resolve
from coordeval.flows.cli.runs import runs
from coordeval.flows.cli.selftest import app as selftest_app
from coordeval.flows.cli.serve import deploy, serve
from coordeval.flows.cli.studies import forecasts, studies
from coordeval.flows.cli.tools import app as tools_app
from coordeval.flows.cli.trace import telemetry, trace
from coordeval.flows.cli.verify import backup, recover, verify
from coordeval.flows.cli.wake import wake
from coordeval.flows.terminal import Terminal, plain_streams, print_json, print_result, silence
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.secrets import remember_environment
from coordeval.market_data.text import one_line

ABOUT = "Measures what coordinating LLM agents does to a forecast, and whether it is worth its cost."

if TYPE_CHECKING:
    from coordeval.flows.run.workers.dispatch import On

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help=ABOUT,
    context_settings={"help_option_names": ["-h", "--help"]},
)
study_app = typer.Typer(no_args_is_help=True, help="Study files.")
app.add_typer(study_app, name="study")
app.add_typer(imports_app, name="import")
app.add_typer(markets_app, name="markets")
app.add_typer(selftest_app, name="selftest")
app.add_typer(ctl_app, name="ctl")
app.add_typer(grounding_app, name="grounding")
app.command()(runs)
app.command()(studies)
app.command()(forecasts)
app.command()(export)
app.command()(dashboard)
app.command()(docs)
app.command()(models)
app.command()(quote)
app.command()(costs)
app.command("check-model")(check_model)
app.command()(explain)
app.command()(audit)
app.command()(diagnose)
app.command()(monitor)
app.command()(notebook)
app.command()(forecast_open)
app.command()(resolve)
app.command()(commitment)
app.command()(serve)
app.command()(deploy)
app.command()(wake)
app.command()(verify)
app.command()(recover)
app.command()(backup)
app.add_typer(tools_app, name="tools")

console = Terminal()


def _version(wanted: bool) -> None:
    if wanted:
        import coordeval

        typer.echo(f"coordeval {coordeval.__version__}")
        raise typer.Exit()


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version this is.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", envvar=DEBUG, help="Print the traceback of a fault.")] = False,
) -> None:
    os.environ[DEBUG] = "1" if debug else ""
    remember_environment()


@app.command()
def run(
    study: Annotated[Path, typer.Argument(help="A study file, such as studies/embedded.toml.")],
    ledger: LedgerOption = DEFAULT_LEDGER,
    inline: Annotated[bool, typer.Option("--inline", help="Without Prefect: the same steps in plain Python.")] = False,
    on: Annotated[
        str | None, typer.Option("--on", help="Several worker processes: dask:N here, dask://host:port, or work-pool:NAME.")
    ] = None,
    shards: Annotated[
        str | None, typer.Option(help="With --on: where workers store, such as s3://bucket/path; else beside the ledger.")
    ] = None,
    batch: Annotated[
        bool, typer.Option("--batch", help="Calls go out as batches, a wave at a time: cheaper, and slower.")
    ] = False,
    max_usd: Annotated[
        str | None, typer.Option(help="What the study may cost in all, in dollars, in place of its budget_usd.")
    ] = None,
    yes_up_to: Annotated[str | None, typer.Option(help="USD that it may cost without a question; see `quote`.")] = None,
    dry: Annotated[bool, typer.Option("--dry", help="Only list what would be asked, and why.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --dry: as JSON.")] = False,
    unchecked: Annotated[bool, typer.Option("--unchecked", help="Also with a model that failed `check-model`.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="No quote and no question: it may cost any amount.")] = False,
) -> None:
    """Run a study, or go on with it: what is stored is not asked or paid for again. Prints how it ended and the leaderboard.

    Of a study that spends money it first shows a quote, and asks before it may cost more than --yes-up-to.

    Exit status: 0 complete; 3 incomplete (cells are open); 4 every forecast failed for good; 1 an error; 130 or 143 stopped.
    """
    import asyncio

    from coordeval.flows.run import guard
    from coordeval.flows.run.stopping import Stop
    from coordeval.flows.study.study import load_study

    changes = ({"run.batch": True} if batch else {}) | ({"budget_usd": max_usd} if max_usd is not None else {})
    loaded = load_study(study, changes=changes)  # checked before Prefect starts, so that a typo costs no wait
    loaded.study.check_backtest(str(study))
    stop = Stop()
    workers = None if on is None else _workers(on, shards, ledger)
    if shards is not None and on is None:
        raise CoordevalError(f"--shards {shards} is where workers store what they make: it goes with --on")
    if on is not None and loaded.study.run.batch:
        raise CoordevalError(f"--on {on} with batches: a wave is of cells in one process, so run it without --on")
    if on is not None and loaded.study.budget.given:
        raise CoordevalError(f"--on {on} with [budget]: limits of parts are kept in one process, so run it without --on")
    if listed(loaded, ledger, dry=dry, as_json=as_json):
        return
    quoted = agreed_to(loaded, ledger, yes_up_to, yes=yes, unchecked=unchecked)
    again = "" if on is None else f" --on {on}" + ("" if shards is None else f" --shards {shards}")
    again += (" --batch" if batch else "") + ("" if max_usd is None else f" --max-usd {max_usd}")
    try:
        with stop.caught():
            if inline:
                from coordeval.flows.run.run import Steps, run_steps

                command = f"coordeval run {study} --inline --ledger {ledger}{again}"
                steps = Steps(loaded.study.name)
                end = guard.run(run_steps(loaded, ledger, console, steps, stop=stop, command=command, on=workers))
            else:
                from coordeval.flows.orchestration.server import prefect_api

                with prefect_api(console, stop):
                    from coordeval.flows.orchestration.evaluate import run_as_flow

                    end = guard.run(run_as_flow(study, ledger, console, stop, workers, again, changes))
    except (KeyboardInterrupt, asyncio.CancelledError) as error:
        if stop.signal is None:
            raise CoordevalError(f"{type(error).__name__} was raised, and no signal came: it is a plugin's") from error
        errors.print(f"stopped by {stop.by}: what was answered is stored; the same command goes on where it was")
        raise typer.Exit(stop.exit_status) from None
    except SystemExit as error:
        raise CoordevalError(f"SystemExit({error.code!r}) was raised within the run: it is a plugin's") from error
    if quoted:
        print_quoted(ledger, loaded.id)
    if end.exit_status:
        errors.print(end.summary(), style="yellow", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(end.exit_status)


def _workers(on: str, shards: str | None, ledger: Path) -> "On":
    from coordeval.flows.run.run import shards_beside
    from coordeval.flows.run.workers.cluster import Where
    from coordeval.flows.run.workers.dispatch import On
    from coordeval.flows.run.workers.places import place

    where, shards = Where.of(on), shards or str(shards_beside(ledger).absolute())
    place(shards)  # what is none is found before anything is done
    if not where.pool:
        return On(where, shards)
    from coordeval.flows.orchestration.pool import address_for, pool

    address_for(where)  # nor is anything done where there is no server that could have it
    return On(where, shards, connect=pool)


@app.command()
def report(
    study: Annotated[
        str | None, typer.Argument(help="A study file, a name, or the start of a hash; else the study used last.")
    ] = None,
    ledger: LedgerOption = DEFAULT_LEDGER,
    policy: Annotated[Policy, typer.Option(help="What is done about missing forecasts.")] = Policy.common,
    out: Annotated[Path | None, typer.Option(help="The folder to write to; else one beside the ledger.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Print every answer and table, not only the first screen.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write the page to this one file, complete in itself.")] = None,
    md: Annotated[Path | None, typer.Option(help="Write a summary to paste to this file; - prints it.")] = None,
    png: Annotated[Path | None, typer.Option(help="Write each figure as PNG into this folder (needs a Chromium).")] = None,
    svg: Annotated[Path | None, typer.Option(help="Write each figure as SVG into this folder (needs a Chromium).")] = None,
    baseline: Annotated[
        str | None, typer.Option(help="The configuration to beat; else the study's, else single_agent.")
    ] = None,
    arm: OneArm = None,
    from_: Annotated[Path | None, typer.Option("--from", help="A folder written by `coordeval export`; no ledger.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print what a study says, from what is stored, and write its page and files; or only what is asked for."""
    from coordeval.flows.run.run import publish
    from coordeval.flows.run.scoring import report_directory, score
    from coordeval.flows.run.waiting import so_far, told
    from coordeval.flows.study.stored import SHORT, chosen
    from coordeval.ledger import read

    with told(so_far("the report to be computed"), errors.print):
        if from_ is not None:
            from coordeval.flows.exports.bundle import restored

            if study is not None:
                raise CoordevalError(f"{study!r} beside --from {from_}: the folder holds one study, so name none")
            with restored(from_) as (path, study_id):
                found = score(path, study_id, policy=policy.value, baseline=baseline, arm=arm)
            out = out or from_ / f"report-{policy.value}"
        else:
            found = score(ledger, chosen(read(ledger), study), policy=policy.value, baseline=baseline, arm=arm)
    if html or md or png or svg:
        from coordeval.analysis.report.exports import Wanted, export

        export(found, Wanted(html=html, md=md, png=png, svg=svg, as_json=as_json), lambda said: print_json(f"{said}\n"))
        return
    if as_json:
        page = found.write(out or report_directory(ledger, found)).absolute()
        print_result(found.results() | {"page": str(page)})
        return
    if study is None and from_ is None:
        console.print(f"of the study used last, {found.study['name']} ({found.study['study_id'][:SHORT]})", soft_wrap=True)
    publish(ledger, found, console, full=full, out=out)


@app.command("plan")
def plan_(
    study: Annotated[str, typer.Argument(help="A study file, which may not have run yet, a name, or the start of a hash.")],
    arm: OneArm = None,
    ledger: LedgerOption = DEFAULT_LEDGER,
    markets: Annotated[str, typer.Option(help="Numbers of markets, separated by commas.")] = "100,200,400,800",
    replicates: Annotated[str, typer.Option(help="Numbers of replicates, separated by commas.")] = "1,2,4",
    configurations: Annotated[int | None, typer.Option(help="How many call a model; else those of the study.")] = None,
    delta: Annotated[float, typer.Option(help="The true difference to see, in Brier points.")] = 0.005,
    budget: Annotated[float | None, typer.Option(help="US dollars to spend.")] = None,
    available_markets: Annotated[int | None, typer.Option(help="How many markets there are at most.")] = None,
    alpha: Annotated[float, typer.Option(help="Level of all that a report states.")] = 0.05,
    power: Annotated[float, typer.Option(help="The probability of seeing it that is wanted.")] = 0.8,
    as_json: JsonOption = False,
) -> None:
    """What a second study would see and cost, from a stored first one or, for a file that has not run, the simulator."""
    from coordeval.analysis.report.results import strict_json
    from coordeval.flows.plan.first_study import first_study
    from coordeval.flows.plan.power_plan import Wanted, power_plan
    from coordeval.flows.plan.terminal import print_plan
    from coordeval.flows.run.waiting import so_far, told

    wanted = Wanted(
        markets=whole_numbers("markets", markets),
        replicates=whole_numbers("replicates", replicates),
        configurations=configurations,
        delta=delta,
        budget_usd=budget,
        available_markets=available_markets,
        alpha=alpha,
        power=power,
    )
    with told(so_far("the plan to be computed"), errors.print):
        found = power_plan(first_study(study, ledger, arm=arm), wanted)
    if as_json:
        print_json(strict_json(found.as_json()))
    else:
        print_plan(found, console)


def _two(option: str, text: str) -> tuple[str, str]:
    names = [part.strip() for part in text.split(",")]
    if len(names) != 2 or not all(names):
        raise CoordevalError(f"--{option} {text!r}: give two names with a comma between, such as main,bare")
    return names[0], names[1]


@app.command()
def compare(
    first: StudyArgument,
    second: Annotated[
        str | None, typer.Argument(help="Another, in the same words; not given: --arms names two arms of the first.")
    ] = None,
    arm: Annotated[str | None, typer.Option(metavar="ARM", help="Of both: in which arm; else the first of each.")] = None,
    arms: Annotated[
        str | None, typer.Option(metavar="ARM,ARM", help="In which arm the first, and in which the second.")
    ] = None,
    ledger: LedgerOption = DEFAULT_LEDGER,
    policy: Annotated[Policy, typer.Option(help="What is done about missing forecasts.")] = Policy.common,
    full: Annotated[bool, typer.Option("--full", help="Print every pair and all that differs.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare two studies on the markets that both forecast as of the same moment, saying what that overlap is.

    Or two arms of one study: `coordeval compare STUDY --arms main,bare`, where exactly one factor tells them apart.

    A backtest and a prospective study share none: each is held against its own market price, and what differs is said.
    """
    from coordeval.analysis.report.results import strict_json
    from coordeval.flows.compare.beside import beside, prospective
    from coordeval.flows.compare.comparing import compare as compared
    from coordeval.flows.compare.terminal import print_beside, print_compared
    from coordeval.flows.run.waiting import so_far, told
    from coordeval.flows.study.stored import chosen
    from coordeval.ledger import read

    if second is None and arms is None:
        raise CoordevalError("give a second study, or with --arms two arms of this one, such as --arms main,bare")
    if arm is not None and arms is not None:
        raise CoordevalError(f"--arm {arm!r} is the arm of both, --arms {arms!r} one of each: give one of the two")
    pair: tuple[str | None, str | None] = (arm, arm) if arms is None else _two("arms", arms)
    reader = read(ledger)
    with reader.moment() as held:
        ids = chosen(held, first), chosen(held, first if second is None else second)
        kinds = {prospective(held.study(one)) for one in ids}
    if len(kinds) > 1:  # a backtest and forecasts made ahead share no market
        print_beside(beside(reader, *ids, arms=pair), console, as_json=as_json)
        return
    with told(so_far("the comparison to be computed"), errors.print):
        found = compared(reader, *ids, arms=pair, policy=policy.value)
    if as_json:
        print_json(strict_json(found.as_json()))
    else:
        print_compared(found, console, full=full)


app.command()(certificate)
app.command()(control)
app.command()(leaks)
app.command()(trace)
app.command()(telemetry)


@app.command()
def configurations(
    what: Annotated[
        list[str] | None,
        typer.Argument(help="show NAME: one in full; new NAME: a package to begin with; check NAME|FILE: try it."),
    ] = None,
    plugin: Annotated[list[Path] | None, typer.Option(help="A Python file of your own to load too.")] = None,
    isolate: Annotated[bool, typer.Option("--isolate", help="Load such files in worker processes only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of words.")] = False,
) -> None:
    """List the configurations that can be used and plugins that could not be loaded; show one, begin one, try one."""
    from rich.text import Text

    from coordeval.analysis.report.results import strict_json
    from coordeval.configurations import load
    from coordeval.flows.cli.configurations import described, in_full, new_one, summary, tried, why_not

    words = what or []
    if len(words) == 2 and words[0] in ("new", "check"):
        if not (new_one if words[0] == "new" else tried)(words[1], console, as_json=as_json):
            raise typer.Exit(1)
        return
    if len(words) > 2 or (len(words) == 2 and words[0] != "show"):
        raise CoordevalError(
            f"configurations {' '.join(words)}: write `coordeval configurations show NAME`, `new NAME` or `check NAME|FILE`"
        )
    show = words[-1] if words else None
    files = tuple(plugin or ())
    registry = load(files, files if isolate else ())
    found = described(registry)
    if show is not None and show in registry.quarantined:
        why_not(registry, show, console, as_json=as_json)
        raise typer.Exit(1)
    if show is not None:
        registry.of(show)  # raises for a name that there is not, naming those that there are
        found["configurations"] = [row for row in found["configurations"] if row["name"] == show]
    if as_json:
        print_json(strict_json(found))
        return
    for row in found["configurations"]:
        if show is not None:
            console.print(Text(one_line(row["name"]), "bold"))
            for line in in_full(row):
                console.print(Text(f"    {one_line(line)}"), soft_wrap=True)
            continue
        parameters, about = summary(row)
        console.print(Text.assemble((one_line(row["name"]), "bold"), f"  {one_line(parameters)}\n    {one_line(about)}"))
    for name, reason in found["quarantined"].items() if show is None else ():
        more = f"\n    its traceback: coordeval configurations show {one_line(name)}" * (name in registry.tracebacks)
        console.print(Text.assemble((one_line(name), "bold red"), f" could not be loaded: {one_line(reason)}{more}"))


@study_app.command("new")
def study_new(
    path: Annotated[Path, typer.Argument(help="Where to write it, such as my-study.toml.")],
    ahead: Annotated[bool, typer.Option("--open", help="Of open markets, forecast before their outcomes.")] = False,
) -> None:
    """Write a commented study file to start from. Never overwrites one."""
    from importlib.resources import files

    from coordeval.flows.study.names import named_after
    from coordeval.market_data.files import write_whole

    if os.path.lexists(path):
        raise CoordevalError(f"{path} exists already; choose another name")
    template = (
        files("coordeval.flows").joinpath(f"study/templates/{'open' if ahead else 'study'}.toml").read_text(encoding="utf-8")
    )
    write_whole(path, template.replace("{name}", named_after(path)))
    console.print(
        f"wrote {path}; `coordeval {'forecast-open' if ahead else 'run'} {shlex.quote(str(path))}` runs it", soft_wrap=True
    )


arrange(app)


def main() -> None:
    """Entry point of the `coordeval` command."""
    status = 0
    plain_streams()

    def leave() -> None:
        # Registered first, so it runs last: DuckDB's bindings print pages about leaks when Prefect's threads outlive them
        # in the interpreter's own teardown, and nothing is left to tear down by then.
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):  # nobody reads it any more, or its disk is full
                silence(stream)
        os._exit(status)

    atexit.register(leave)
    logging.getLogger("stamina").setLevel(logging.ERROR)  # a retry that helped is no news, one that did not is an error
    try:
        status = status_of(lambda: app(standalone_mode=False, prog_name="coordeval"))
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        status = 1
        raise
