"""`coordeval grounding`: agents that solve a task alone and fail it together: played, counted, looked at one by one."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from coordeval.flows.cli.costs import agreed_to_games, print_quoted
from coordeval.flows.cli.ending import errors
from coordeval.flows.cli.options import DEFAULT_LEDGER, JsonOption, LedgerOption, whole_numbers
from coordeval.flows.terminal import Terminal, print_result
from coordeval.market_data.errors import CoordevalError

app = typer.Typer(no_args_is_help=True, help="The grounding game: two agents who have to solve a task together.")
console = Terminal()

StudyOption = Annotated[
    str | None, typer.Argument(help="A study file, a name, or the start of a hash; else the games played last.")
]


@app.command()
def run(
    study: Annotated[Path, typer.Argument(help="A study file of games, such as studies/grounding.toml.")],
    ledger: LedgerOption = DEFAULT_LEDGER,
    batch: Annotated[
        bool, typer.Option("--batch", help="Calls go out as batches, a wave at a time: cheaper, and slower.")
    ] = False,
    max_usd: Annotated[
        str | None, typer.Option(help="What the study may cost in all, in dollars, in place of its budget_usd.")
    ] = None,
    yes_up_to: Annotated[str | None, typer.Option(help="USD that it may cost without a question.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="No quote and no question: it may cost any amount.")] = False,
) -> None:
    """Play a study's games, and say what they tell. What is stored is not played again, and not paid for again."""
    import asyncio

    from coordeval.flows.grounding.running import run_games
    from coordeval.flows.grounding.study import load_games
    from coordeval.flows.run import guard
    from coordeval.flows.run.stopping import Stop

    changes = ({"run.batch": True} if batch else {}) | ({"budget_usd": max_usd} if max_usd is not None else {})
    loaded = load_games(study, changes=changes)
    quoted = agreed_to_games(loaded, ledger, yes_up_to, yes=yes)
    again = (" --batch" if batch else "") + ("" if max_usd is None else f" --max-usd {max_usd}")
    stop = Stop()
    try:
        with stop.caught():
            command = f"coordeval grounding run {study} --ledger {ledger}{again}"
            end = guard.run(run_games(loaded, ledger, console, stop=stop, command=command))
    except (KeyboardInterrupt, asyncio.CancelledError) as error:
        if stop.signal is None:
            raise CoordevalError(f"{type(error).__name__} was raised, and no signal came: it is a plugin's") from error
        errors.print(f"stopped by {stop.by}: what was answered is stored; the same command goes on where it was")
        raise typer.Exit(stop.exit_status) from None
    if end.cells.answered:
        from coordeval.flows.grounding.reporting import published

        published(ledger, loaded.id, console)
    if quoted:
        print_quoted(ledger, loaded.id)
    if end.exit_status:
        errors.print(end.summary(), style="yellow", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(end.exit_status)


@app.command()
def report(
    study: StudyOption = None,
    ledger: LedgerOption = DEFAULT_LEDGER,
    out: Annotated[Path | None, typer.Option(help="The folder to write to; else one beside the ledger.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Print what every pair loses to what, too.")] = False,
    from_: Annotated[Path | None, typer.Option("--from", help="A folder written by `coordeval export`; no ledger.")] = None,
    as_json: JsonOption = False,
) -> None:
    """What is got of the optimum, what is lost to what, and which repair helps: in words first, then as a page."""
    from coordeval.flows.grounding.reporting import published, report_of
    from coordeval.flows.grounding.stored import games_study
    from coordeval.flows.run.waiting import so_far, told
    from coordeval.ledger import read

    with told(so_far("the report to be computed"), errors.print), ExitStack() as stack:
        if from_ is not None:
            from coordeval.flows.exports.bundle import restored

            if study is not None:
                raise CoordevalError(f"{study!r} beside --from {from_}: the folder holds one study, so name none")
            ledger, study = stack.enter_context(restored(from_, games=True))
            out = out or from_ / "report"
        reader = read(ledger)
        study_id = games_study(reader, study)
        if as_json:
            print_result(report_of(reader, study_id).results())
            return
        published(ledger, study_id, console, full=full, out=out)


@app.command()
def replay(
    game: Annotated[str, typer.Argument(help="A game's id, or the start of it; `coordeval grounding games` lists them.")],
    html: Annotated[Path | None, typer.Option(help="Write it as a page to this file, complete in itself.")] = None,
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """One game, round by round: what was said, agreed, bound and submitted, and what it lost to what."""
    from coordeval.flows.grounding.replaying import print_replay, replayed
    from coordeval.ledger import read
    from coordeval.market_data.files import write_whole

    found = replayed(read(ledger), game)
    if html is not None:
        write_whole(html, found.html())
        console.print(f"wrote {html}", soft_wrap=True)
    elif as_json:
        print_result(found.as_json())
    else:
        print_replay(found, console)


@app.command()
def games(study: StudyOption = None, ledger: LedgerOption = DEFAULT_LEDGER, as_json: JsonOption = False) -> None:
    """List a study's games: who played, what they got of the optimum, and the id by which `replay` shows one."""
    from coordeval.flows.grounding.listing import print_games_of
    from coordeval.flows.grounding.stored import games_study
    from coordeval.ledger import read

    reader = read(ledger)
    print_games_of(reader, games_study(reader, study), console, as_json=as_json)


@app.command()
def plan(
    study: Annotated[Path, typer.Argument(help="A study file of games, which may not have run yet.")],
    ledger: LedgerOption = DEFAULT_LEDGER,
    difference: Annotated[float, typer.Option(help="A true difference to tell, as a share of the optimum.")] = 0.05,
    instances: Annotated[str, typer.Option(help="Numbers of instances, separated by commas.")] = "12,48,192",
    replicates: Annotated[str, typer.Option(help="Numbers of replicates, separated by commas.")] = "1,2,4",
    power: Annotated[float, typer.Option(help="With which probability it is to be told.")] = 0.8,
    alpha: Annotated[float, typer.Option(help="Of the test, shared out among the arms.")] = 0.05,
    as_json: JsonOption = False,
) -> None:
    """How many instances tell pairs apart, and what they cost: from stored games, else from simulated players."""
    from coordeval.flows.grounding.listing import print_plan
    from coordeval.flows.grounding.power import power_of
    from coordeval.flows.grounding.study import load_games
    from coordeval.flows.run.waiting import so_far, told

    sizes = whole_numbers("instances", instances), whole_numbers("replicates", replicates)
    with told(so_far("the plan to be computed"), errors.print):
        found = power_of(
            load_games(study),
            ledger,
            difference=difference,
            instances=sizes[0],
            replicates=sizes[1],
            power=power,
            alpha=alpha,
        )
    if as_json:
        print_result(found.as_json())
        return
    print_plan(found, console)


@app.command()
def repairs(as_json: JsonOption = False) -> None:
    """List the repairs that a study of games can name, and those that could not be loaded."""
    from coordeval.flows.terminal import table, words
    from coordeval.grounding.registry import load

    found = load()
    rows = [{"name": name, "about": cls.about} for name, cls in found.classes.items()]
    if as_json:
        print_result({"repairs": rows, "quarantined": dict(found.quarantined)})
        return
    made = table("repair", "what it does")
    for row in rows:
        made.add_row(words(row["name"], "bold"), words(row["about"]))
    console.print(made)
    for name, reason in found.quarantined.items():
        console.print(f"{name} could not be loaded: {reason}", style="red", soft_wrap=True)
