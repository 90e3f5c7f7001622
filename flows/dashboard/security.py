"""Who may ask, and what a page may do: the app answers this machine's own browser only, and runs its own scripts only."""

from typing import Final
from urllib.parse import urlsplit

from dash import Dash
from flask import Flask, Response, abort, request

HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names under which this machine is itself. Any other name in the Host header was made to point here (DNS rebinding)."""


def secure(app: Dash) -> None:
    """Call it when every callback is there: the hashes of Dash's own inline scripts are taken now."""
    scripts = " ".join(["'self'", *app.csp_hashes()])
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {scripts}",
            "style-src 'self' 'unsafe-inline'",  # Plotly and the grid set styles; scripts they may not
            "img-src 'self' data: blob:",  # a figure becomes a PNG by way of an image
            "font-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )
    server: Flask = app.server

    @server.before_request
    def own_machine_only() -> None:
        origin = request.headers.get("Origin")
        if _name(f"//{request.host}") not in HOSTS or (origin is not None and _name(origin) not in HOSTS):
            abort(403, "this dashboard answers to localhost, 127.0.0.1 and [::1] only")

    @server.after_request
    def strict(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return response


def _name(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
