"""Every market of the study: search, sort and filter, served a block of rows at a time."""

import hashlib
from typing import Any

from dash import MATCH, Dash, Input, Output, State
from dash_ag_grid import AgGrid
from flask import Response, request

from coordeval.analysis.base.numerals import number
from coordeval.flows.dashboard import parts
from coordeval.flows.dashboard.facts import Facts
from coordeval.flows.dashboard.market_rows import BLOCK, every_market, market_count, market_rows
from coordeval.flows.dashboard.pages.page import Asked, Page
from coordeval.flows.dashboard.tags import Component, html
from coordeval.flows.dashboard.view import View, parsed
from coordeval.market_data.errors import CoordevalError

_TERMS = (
    ("forecast", "mean over the replicates of the chosen configuration; of all configurations where none is chosen"),
    ("squared error", "(forecast − outcome)²; the Brier score is its mean"),
    ("against price", "squared error minus that of the market price: below 0 the forecast was nearer to the truth"),
    ("apart", "how far the configurations' forecasts lie apart: where this is small they had nothing to disagree on"),
)
FILE = "/markets.csv"
"""The address of every row that the view lets through, as CSV."""
_OUTCOME = {None: "open", 1: "YES", 0: "NO"}


def layout(asked: Asked) -> list[Component]:
    view, facts = asked.view, asked.facts
    study = facts.study(view.study)
    names = facts.per_state(
        "names", study.study_id, lambda: sorted(map(str, facts.cells(study.study_id)["configuration"].unique().to_list()))
    )
    chosen = view.chosen[0] if view.chosen else ""
    count = market_count(facts, view)
    found: list[Component] = [
        html.H1("Markets"),
        html.Div(
            [
                parts.words("Words in the question", "q", view.q),
                parts.choice(
                    "Forecasts of", "configuration", [("", "all configurations"), *((n, n) for n in names)], chosen
                ),
            ],
            className="picks",
        ),
        html.P(f"{count:,} markets. A row's question leads to the market.", id="market-count", role="status"),
    ]
    if count:
        found.append(html.Div(_grid(asked, chosen), className="market-grid"))
        every = html.A("CSV of all of them", href=view.href(FILE), download="markets.csv", className="small")
        found.append(html.Div(every, className="tools"))
    elif facts.cells(study.study_id).is_empty():
        found.append(parts.note("This study has no market yet: nothing was planned.", kind="warning"))
    else:
        found.append(parts.note("No market has all of these words and passes the filters: take one off.", kind="warning"))
    found.append(parts.terms(_TERMS))
    return found


def _grid(asked: Asked, chosen: str) -> Component:
    view = asked.view
    cells = asked.facts.cells(asked.facts.study(view.study).study_id)
    progress = int((cells["status"] != "pending").sum()) * 20 // max(1, cells.height)  # while a run goes on, now and then
    key = hashlib.sha256(f"{view.href('')} {progress}".encode()).hexdigest()[:16]
    number_column = {"type": "rightAligned", "width": 98, "sortingOrder": ["asc", "desc", None]}
    columns = [
        {"field": "question", "headerName": "Question", "cellRenderer": "Linked", "flex": 1, "minWidth": 240},
        {"field": "category", "headerName": "Category", "width": 118},
        {"field": "outcome", "headerName": "Outcome", "width": 96},
        {"field": "price", "headerName": "Market price", **number_column, "width": 130},
        {"field": "mean", "headerName": "Forecast", **number_column},
        {"field": "loss", "headerName": "Squared error", **number_column, "width": 134},
        {"field": "ahead", "headerName": "Against price", **number_column, "width": 124},
        {"field": "apart", "headerName": "Apart", **number_column, "width": 82},
        {"field": "failed", "headerName": "Failed", **number_column, "width": 84},
    ]
    made: Component = AgGrid(
        id={"type": "markets", "view": key},
        rowModelType="infinite",
        columnDefs=columns,
        defaultColDef={"sortable": True, "resizable": True, "suppressHeaderMenuButton": True},
        dashGridOptions={
            "cacheBlockSize": BLOCK,
            "maxBlocksInCache": 20,
            "infiniteInitialRowCount": 1,
            "suppressFieldDotNotation": True,
            "ensureDomOrder": True,
        },
        className="rows",
        style={"height": "620px", "width": "100%"},
    )
    return made


def callbacks(app: Dash, facts: Facts) -> None:
    def file() -> Response:
        view, _ = parsed(f"?{request.query_string.decode()}")
        try:
            text = parts.as_csv(every_market(facts, view))
        except CoordevalError as error:
            return Response(f"{error}\n", status=404, mimetype="text/plain")
        return Response(text, mimetype="text/csv")

    app.server.add_url_rule(FILE, "markets-as-csv", file)

    @app.callback(
        Output({"type": "markets", "view": MATCH}, "getRowsResponse"),
        Input({"type": "markets", "view": MATCH}, "getRowsRequest"),
        State("address", "search"),
        prevent_initial_call=True,
    )
    def rows(request: dict[str, Any] | None, search: str | None) -> dict[str, Any]:
        view, _ = parsed(search)
        if not request:
            return {"rowData": [], "rowCount": 0}
        start, end = int(request.get("startRow") or 0), int(request.get("endRow") or BLOCK)
        try:
            found = market_rows(facts, view, start=start, end=end, sort=request.get("sortModel") or [])
            return {"rowData": [_row(row, view) for row in found.to_dicts()], "rowCount": market_count(facts, view)}
        except CoordevalError:
            return {"rowData": [], "rowCount": 0}


def _row(row: dict[str, Any], view: View) -> dict[str, Any]:
    return {
        "href": view.href("/market", market=row["market_id"]),
        "question": row["question"] or row["market_id"],
        "category": row["category"],
        "outcome": _OUTCOME[row["outcome"]],
        **{name: "–" if row[name] is None else number(row[name], 3) for name in ("price", "mean", "loss", "ahead", "apart")},
        "failed": f"{row['failed'] or 0:,}",
    }


PAGE = Page(
    path="/markets", title="Markets", layout=layout, callbacks=callbacks, filters=("category", "decile", "replicate")
)
