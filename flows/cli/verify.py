"""`coordeval verify`, `recover` and `backup`: is what is stored still what was stored, and what is whole of it?"""

from pathlib import Path
from typing import Annotated

import typer

from coordeval.flows.cli.options import DEFAULT_LEDGER, JsonOption, LedgerOption, LedgerPath
from coordeval.flows.terminal import Terminal, print_result

console = Terminal()


def verify(
    study: Annotated[
        str | None,
        typer.Argument(help="A study file (its plugins are then loaded), a name, or the start of a hash; else all of them."),
    ] = None,
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """Hold a ledger against what it says of itself: bytes, keys, sums, hashes, and every request, made again from replies.

    Changes nothing and asks nobody; `coordeval recover` saves what is whole.

    Exit status: 1 where something is wrong, else 0.
    """
    from coordeval.flows.verify.terminal import print_verified
    from coordeval.flows.verify.verifying import verify as verified
    from coordeval.ledger import read

    found = verified(read(ledger), study)
    if as_json:
        print_result(found.as_json())
    else:
        print_verified(found, console)
    if found.verdict == "broken":
        raise typer.Exit(1)


def recover(
    new: Annotated[Path, typer.Argument(help="The file to make; it may not exist yet.")],
    ledger: LedgerPath = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """Save what is whole of a damaged ledger, its journal and its shards to a new file, and name what is lost.

    The damaged files stay as they are. Exit status: 0 where nothing is lost, 3 where something is, 1 an error.
    """
    from coordeval.flows.verify.recovering import print_recovered
    from coordeval.flows.verify.recovering import recover as recovered
    from coordeval.ledger.salvage import as_json as plain

    found = recovered(ledger, new)
    if as_json:
        print_result(plain(found))
    else:
        print_recovered(found, console)
    if not found.whole:
        raise typer.Exit(3)


def backup(
    new: Annotated[Path, typer.Argument(help="The file to make; it may not exist yet.")],
    ledger: LedgerOption = DEFAULT_LEDGER,
) -> None:
    """Copy a ledger to one file, as of one moment and with all that waits in its journal, also while a run writes to it."""
    from coordeval.ledger.backup import backup as made

    console.print(f"all that {ledger} held a moment ago stands in {made(ledger, new)}", soft_wrap=True)
