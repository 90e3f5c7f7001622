"""`coordeval audit` and `diagnose`: what failed in silence, and why was this forecast bad?"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from coordeval.flows.cli.options import DEFAULT_LEDGER, EveryArm, JsonOption, LedgerOption
from coordeval.flows.terminal import Terminal, print_result
from coordeval.market_data.errors import CoordevalError

console = Terminal()
errors = Terminal(stderr=True)


class FailOn(StrEnum):
    """The mildest severity that makes the exit status 1."""

    error = "error"
    warning = "warning"
    note = "note"
    never = "never"


def audit(
    study: Annotated[
        str | None,
        typer.Argument(
            help="A study file, a name, the start of a hash, or a dataset that `import` knows; else the one used last."
        ),
    ] = None,
    folder: Annotated[Path | None, typer.Argument(help="With a dataset: the folder that holds it.")] = None,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help="Exit status 1 where something of this severity, or a graver one, is found.")
    ] = FailOn.error,
    rows: Annotated[
        str | None, typer.Option("--rows", metavar="RULE", help="List every row behind a rule's findings.")
    ] = None,
    arm: EveryArm = None,
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """Look for silent failures in what is stored: groups of one, tools that never work, later facts, stand-ins for failures.

    Exit status: 1 where something as grave as --fail-on is found, else 0.
    """
    from coordeval.flows.audit.looking import audited_ledger
    from coordeval.flows.audit.terminal import print_audit, print_rows
    from coordeval.flows.grounding.stored import games_meant
    from coordeval.flows.grounding.told import audit_games
    from coordeval.flows.run.auditing import audit_study
    from coordeval.flows.study.in_arms import arms_of
    from coordeval.ledger import read

    several = False
    if folder is None and ledger.is_file() and (games := games_meant(read(ledger), study)):
        found = audit_games(read(ledger), games)
    else:
        with audited_ledger(study, folder, ledger) as (reader, name):
            found = audit_study(reader, name, arm=arm)
            several = len(arms_of(reader, name)) > 1
    if rows is not None:
        if as_json:
            kept: list[dict[str, Any]] = [one.as_json() for one in found.findings if one.rule == rows]
            print_result(kept)
        else:
            print_rows(found, rows, console)
    elif as_json:
        print_result(found.as_json())
    else:
        print_audit(found, console, several=several)
    if fail_on is not FailOn.never and found.reaches(fail_on.value):  # type: ignore[arg-type]
        raise typer.Exit(1)


def diagnose(
    forecast: Annotated[
        str, typer.Argument(help="A forecast's id, or the start of it; `coordeval forecasts STUDY` lists them.")
    ],
    search: Annotated[
        bool, typer.Option("--search", help="A model looks through its trace, by a reflection-guided tree search.")
    ] = False,
    one_pass: Annotated[bool, typer.Option("--one-pass", help="A model reads all of the trace at once instead.")] = False,
    model: Annotated[
        Path | None,
        typer.Option("--model", metavar="STUDY", help="A study file whose model looks; else the forecast's own, simulated."),
    ] = None,
    tokens: Annotated[int, typer.Option(min=1, help="All that its asks may take, read and written.")] = 60_000,
    max_usd: Annotated[
        str | None, typer.Option("--max-usd", metavar="USD", help="Nothing is asked where --tokens may cost more.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Whatever it costs.")] = False,
    yes_up_to: Annotated[str | None, typer.Option("--yes-up-to", metavar="USD", help="Up to so many US dollars.")] = None,
    unchecked: Annotated[bool, typer.Option("--unchecked", help="Also a model that failed its exam.")] = False,
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """Why this forecast was bad: what the audit's rules have about it, ranked, the most probable first cause at the top.

    With --search, --one-pass or --model a model names the first cause among the rules' faults and MAST's modes, with the
    rows it rests on. Exit status 1: the model answered nothing.
    """
    from coordeval.analysis.audit import diagnose as by_rules
    from coordeval.analysis.audit.registry import load
    from coordeval.flows.audit.asking import ask, kept, model_of
    from coordeval.flows.audit.diagnosis import evidence_of, print_asked, print_diagnosis
    from coordeval.flows.cli.costs import amount, terminal
    from coordeval.ledger import read

    if search and one_pass:
        raise CoordevalError("--search and --one-pass are two ways to look: give one of them")
    reader = read(ledger)
    known, forecast_id = evidence_of(reader, forecast)
    found = by_rules(known, forecast_id, load().made())
    made = None
    if search or one_pass or model is not None:
        loaded = model_of(reader, forecast_id, str(known.study["study_id"]), model)
        door, most = terminal(yes_up_to, yes=yes, unchecked=unchecked), amount("--max-usd", max_usd)
        with errors.status("a model looks") as status:
            made = ask(
                ledger, known, forecast_id, loaded, door, errors,
                tokens=tokens, max_usd=most, alone=one_pass, told=status.update,
            )  # fmt: skip
    asked = [made.as_json()] if made is not None else kept(reader, forecast_id)
    if as_json:
        print_result(found.as_json() | {"asked": asked})
    else:
        print_diagnosis(found, console)
        for one in asked:
            print_asked(one, console, None if found.first is None else found.first.rule)
        if not asked:
            console.print("a model looks through its trace with --search; `coordeval diagnose --help`", style="dim")
    if made is not None and not made.found.nodes:
        raise typer.Exit(1)
