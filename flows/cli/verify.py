"""`coordeval verify`: is what is stored still what was stored?"""

from typing import Annotated

import typer

from coordeval.flows.cli.options import DEFAULT_LEDGER, JsonOption, LedgerOption
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

    Changes nothing and asks nobody. Exit status: 1 where something is wrong, else 0.
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
