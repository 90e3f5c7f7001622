"""`coordeval audit` and `diagnose`: what failed in silence, and why was this forecast bad?"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from coordeval.flows.cli.options import DEFAULT_LEDGER, JsonOption, LedgerOption
from coordeval.flows.terminal import Terminal, print_result

console = Terminal()


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
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """Look for silent failures in what is stored: groups of one, tools that never work, later facts, stand-ins for failures.

    Exit status: 1 where something as grave as --fail-on is found, else 0.
    """
    from coordeval.flows.audit.looking import audited_ledger
    from coordeval.flows.audit.terminal import print_audit, print_rows
    from coordeval.flows.run.auditing import audit_study

    with audited_ledger(study, folder, ledger) as (reader, name):
        found = audit_study(reader, name)
    if rows is not None:
        if as_json:
            kept: list[dict[str, Any]] = [one.as_json() for one in found.findings if one.rule == rows]
            print_result(kept)
        else:
            print_rows(found, rows, console)
    elif as_json:
        print_result(found.as_json())
    else:
        print_audit(found, console)
    if fail_on is not FailOn.never and found.reaches(fail_on.value):  # type: ignore[arg-type]
        raise typer.Exit(1)


def diagnose(
    forecast: Annotated[
        str, typer.Argument(help="A forecast's id, or the start of it; `coordeval forecasts STUDY` lists them.")
    ],
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """Why this forecast was bad: what the audit's rules have about it, ranked, the most probable first cause at the top."""
    from coordeval.flows.audit.diagnosis import diagnosed, print_diagnosis
    from coordeval.ledger import read

    found = diagnosed(read(ledger), forecast)
    if as_json:
        print_result(found.as_json())
    else:
        print_diagnosis(found, console)
