"""`coordeval trace`: what coordination did on the way to one forecast."""

from typing import Annotated

import typer

from coordeval.flows.cli.options import DEFAULT_LEDGER, JsonOption, LedgerOption
from coordeval.flows.terminal import Terminal, print_result

console = Terminal()


def trace(
    forecast: Annotated[
        str, typer.Argument(help="A forecast's id, or the start of it; `coordeval forecasts STUDY` lists them.")
    ],
    tolerance: Annotated[float, typer.Option(help="How far apart estimates agree.")] = 0.05,
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """Who saw what, who moved whom, where agreement was said and where it was kept, from what is stored of one forecast.

    Exit status 1 where something was shown against the declared topology.
    """
    from coordeval.flows.certificate.trace import trace as trace_of
    from coordeval.flows.certificate.trace_terminal import print_trace
    from coordeval.ledger import read
    from coordeval.market_data.errors import CoordevalError

    if not 0 <= tolerance <= 1:
        raise CoordevalError(f"--tolerance {tolerance}: it is a difference of probabilities, from 0 to 1, such as 0.05")
    found = trace_of(read(ledger), forecast, tolerance=tolerance)
    if as_json:
        print_result(found.as_json())
    else:
        print_trace(found, console)
    if found.undeclared:
        raise typer.Exit(1)
