"""The app: one address, one page at a time, made anew from the ledger whenever the address or the ledger changes."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dash import ALL, Dash, Input, Output, State, ctx, no_update
from dash.dependencies import ClientsideFunction
from plotly.io.json import to_json_plotly

from coordeval.flows.dashboard import parts
from coordeval.flows.dashboard.chrome import filters, footer, labels, menu
from coordeval.flows.dashboard.facts import Facts
from coordeval.flows.dashboard.menu import PAGES
from coordeval.flows.dashboard.pages.page import Asked, Page
from coordeval.flows.dashboard.security import secure
from coordeval.flows.dashboard.tags import Component, dcc, html
from coordeval.flows.dashboard.view import parsed
from coordeval.market_data.errors import CoordevalError

LOOK_EVERY_MS = 1500
log = logging.getLogger(__name__)


def create(ledger: Path, *, command: str, look_every: int = LOOK_EVERY_MS) -> tuple[Dash, Facts]:
    """The app over a ledger, which need not exist yet. Serve `app.server`; close the facts when done."""
    facts = Facts(ledger)
    app = Dash(
        "coordeval.flows.dashboard",
        assets_folder=str(Path(__file__).parent / "assets"),
        serve_locally=True,
        suppress_callback_exceptions=True,  # a page's components are there only while it is shown
        update_title="",
        title="coordeval",
        enable_mcp=False,
        add_log_handler=False,
    )
    app.layout = html.Div(
        [
            dcc.Location(id="address", refresh=False),
            dcc.Store(id="theme"),
            dcc.Store(id="state"),
            dcc.Store(id="shown"),
            dcc.Store(id="title"),
            dcc.Interval(id="tick", interval=look_every),
            html.Div(id="title-sink", hidden=True),
            html.Div(id="follow-sink", hidden=True),
            html.A("Skip to the page", href="#page", className="skip"),
            html.Header(
                [
                    html.Div(
                        [
                            html.Strong("coordeval", className="brand"),
                            html.Button("light / dark", id="theme-switch", className="small"),
                        ],
                        className="top",
                    ),
                    html.Nav(id="menu", **{"aria-label": "pages"}),
                    html.Div(id="filters", role="search", **{"aria-label": "filters"}),
                ]
            ),
            html.Main(id="page", tabIndex="-1"),
            html.Footer(id="footer"),
        ],
        id="app",
    )

    @app.callback(Output("state", "data"), Input("tick", "n_intervals"), State("state", "data"))
    def look(_: int | None, known: str | None) -> Any:
        state = f"{facts.stamp()} {facts.finished}"
        return no_update if state == known else state

    @app.callback(
        Output("page", "children"),
        Output("menu", "children"),
        Output("filters", "children"),
        Output("footer", "children"),
        Output("title", "data"),
        Output("page", "data-address"),
        Output("page", "data-colours"),
        Output("shown", "data"),
        Input("address", "pathname"),
        Input("address", "search"),
        Input("theme", "data"),
        Input("state", "data"),
        State("shown", "data"),
    )
    def show(
        path: str | None, search: str | None, theme: str | None, state: str | None, shown: str | None
    ) -> tuple[Any, ...]:
        if theme is None or state is None:  # the browser has not said yet which colours it wants
            return (no_update,) * 8
        made = rendered(path or "/", search, facts, dark=theme == "dark", command=command)
        address = (path or "/") + (search or "")
        now = hashlib.sha256(f"{address} {theme} {to_json_plotly(made)}".encode()).hexdigest()
        if now == shown and list(ctx.triggered_prop_ids) == ["state.data"]:
            return (no_update,) * 8  # the page would be the same: what somebody types or has opened there stays
        return (*made, address, theme, now)

    own: Any = app  # Dash leaves this method untyped
    own.clientside_callback(
        ClientsideFunction("dashboard", "theme"), Output("theme", "data"), Input("theme-switch", "n_clicks")
    )
    own.clientside_callback(
        ClientsideFunction("dashboard", "title"), Output("title-sink", "children"), Input("title", "data")
    )
    own.clientside_callback(
        ClientsideFunction("dashboard", "follow"),
        Output("follow-sink", "children"),
        Input({"type": "figure", "name": ALL}, "clickData"),
        prevent_initial_call=True,
    )
    for page in PAGES:
        page.callbacks(app, facts)
    secure(app)
    return app, facts


def rendered(path: str, search: str | None, facts: Facts, *, dark: bool, command: str) -> tuple[Any, ...]:
    """Page, menu, filters, footer and title for an address. What goes wrong is said on the page, with what to do."""
    view, odd = parsed(search)
    page = next((page for page in PAGES if page.path == path), None)
    shown: Sequence[Component]
    over: list[Component] = []
    bar: list[Any] = []
    try:
        if page is None:
            shown = [html.H1("No such page"), html.P(f"There is no page {path}; the menu has those that there are.")]
        else:
            facts = facts if page.games else facts.in_arm(view)
            bar = filters(page, view, facts)
            over = (
                [parts.note(f"Not understood in the address, and left out: {', '.join(odd)}.", kind="warning")]
                if odd
                else []
            )
            over += labels(page, view, facts)
            shown = [*over, *page.layout(Asked(view, facts, dark))]
    except CoordevalError as error:
        shown = [*over, html.H1(page.title if page else "coordeval"), parts.note(str(error), kind="warning")]
    except Exception:
        log.exception("page %s", path)
        shown = [
            html.H1("This page failed"),
            parts.note("The terminal in which the dashboard runs shows why. The other pages go on working.", kind="warning"),
        ]
    return list(shown), menu(page, view), bar, footer(facts, command), f"{_title(page)} · coordeval"


def _title(page: Page | None) -> str:
    return page.title if page else "no such page"
