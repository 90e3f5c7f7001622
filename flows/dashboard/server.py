"""Serving the app: one process on this machine's own address, until it is interrupted."""

import webbrowser
from pathlib import Path

from waitress.server import create_server

from coordeval.flows.dashboard.app import create
from coordeval.flows.terminal import Terminal
from coordeval.market_data.errors import CoordevalError

HOST = "127.0.0.1"


def serve(ledger: Path, *, port: int, browser: bool, command: str) -> None:
    """Prints the address and answers there. Raises CoordevalError where the port is taken."""
    app, facts = create(ledger, command=command)
    try:
        server = create_server(app.server, host=HOST, port=port, threads=8, ident="coordeval")
    except OSError as error:
        raise CoordevalError(
            f"port {port} of {HOST} cannot be used ({error.strerror}); give another with --port, or --port 0 for a free one"
        ) from error
    address = f"http://{HOST}:{server.effective_port}/"
    Terminal().print(f"dashboard of {ledger} at {address} (Ctrl-C stops it)", soft_wrap=True)
    if browser:
        webbrowser.open(address)
    try:
        server.run()
    except KeyboardInterrupt:
        pass
    finally:
        server.close()
        facts.close()
