"""`coordeval dashboard`: what is in a ledger, in a browser on this machine."""

import sys
from typing import Annotated

import typer

from coordeval.flows.cli.options import DEFAULT_LEDGER, LedgerOption


def dashboard(
    ledger: LedgerOption = DEFAULT_LEDGER,
    port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0 takes a free one.")] = 8050,
    browser: Annotated[bool, typer.Option(help="Open a browser, where this is a terminal.")] = True,
) -> None:
    """Look at studies in a browser, also while a run writes: answers, figures, every market and every conversation."""
    from coordeval.flows.dashboard.server import serve

    command = f"coordeval dashboard --ledger {ledger}"
    serve(ledger, port=port, browser=browser and sys.stdout.isatty(), command=command)
