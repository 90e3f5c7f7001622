"""Prefect's server as `serve` and `run` start it: it answers this machine's own programs and its own page, and nobody else.

Prefect 3.8.8 answers every name that points to it, and lets pages of every site ask: any page that is open in a browser
here could start a deployed run with parameters of its own, by a request across sites or by a name that is made to point
here (DNS rebinding). `python -m coordeval.flows.orchestration.own_machine server start` is `prefect server start` that
does not.
"""

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit

HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
REFUSED: Final = b"this server answers to localhost, 127.0.0.1 and [::1] only"


class OwnMachineOnly:
    """ASGI middleware: 403 (a websocket is closed) for another Host, or for a page of another origin."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket") or is_own(scope["headers"]):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(REFUSED)).encode())]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": REFUSED})


def is_own(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request was sent to this machine by its own name, and by no page or by a page of this machine."""
    hosts = [value for name, value in headers if name == b"host"]
    origins = [value for name, value in headers if name == b"origin"]
    return len(hosts) == 1 and _name(b"//" + hosts[0]) in HOSTS and all(_name(one) in HOSTS for one in origins)


def _name(address: bytes) -> str | None:
    try:
        return urlsplit(address.decode("latin-1")).hostname
    except ValueError:
        return None


def create_app(*given: Any, **options: Any) -> Any:
    """Prefect's own, behind OwnMachineOnly."""
    from prefect.server.api import server

    make = getattr(server.create_app, "prefects", server.create_app)
    app = make(*given, **options)
    if OwnMachineOnly not in [one.cls for one in app.user_middleware]:
        app.add_middleware(OwnMachineOnly)
    return app


def main() -> None:
    from prefect.cli import app
    from prefect.server.api import server

    create_app.prefects = server.create_app  # type: ignore[attr-defined]
    server.create_app = create_app
    app()


if __name__ == "__main__":
    main()
