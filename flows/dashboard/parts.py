"""What pages are made of. Text from data only ever becomes a text node: nothing here reads it as markup."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from coordeval.analysis.base.numerals import number
from coordeval.analysis.figures.style import Look, Picture
from coordeval.analysis.figures.topology import image, topology
from coordeval.flows.dashboard.tags import Component, dcc, html
from coordeval.flows.dashboard.theme import drawn
from coordeval.market_data.files import csv_of

Shown = Component | str | None
GRAPH: Final = {"displayModeBar": False, "responsive": True, "doubleClick": False, "showTips": False}
_MARKS: Final = {
    "circle": "●",
    "square": "■",
    "diamond": "◆",
    "triangle-up": "▲",
    "cross": "✚",
    "triangle-down": "▼",
    "x": "✖",
    "pentagon": "⬟",
    "star": "★",
}


@dataclass(frozen=True, slots=True)
class Table:
    """A table and its data as CSV. `rows` hold text, components or None (said as a dash)."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Shown]]
    data: pl.DataFrame | None = None
    """What its CSV holds, where that is more than what is shown; else it holds the text of its cells."""
    numeric: frozenset[int] = frozenset()
    """Positions of columns of numbers, which stand to the right."""


def section(title: str, *content: Any, about: str = "", id: str | None = None) -> Component:
    """`about`: what the terms of this part mean, in a line or two."""
    head: list[Any] = [html.H2(title)]
    if about:
        head.append(html.P(about, className="about"))
    return html.Section([*head, *[c for c in content if c is not None]], **({"id": id} if id else {}))


def figure(picture: Picture, *, dark: bool, data: pl.DataFrame | None = None, hover: str = "") -> Component:
    """A picture with its caption, its text alternative, and its downloads. `hover`: N, policy and definition."""
    return html.Figure(
        [
            html.Div(
                dcc.Graph(
                    id={"type": "figure", "name": picture.name},
                    figure=drawn(picture.figure, dark=dark),
                    config=GRAPH,
                    className="plot",
                ),
                role="img",
                tabIndex="0",  # on a phone it scrolls sideways
                title=hover,
                className="drawn labelled" if _labelled(picture) else "drawn",
                **{"aria-label": picture.alt},
            ),
            html.Figcaption(
                [
                    picture.caption,
                    html.Div(
                        [
                            *[
                                html.Button(
                                    kind.upper(), className="small", **{"data-image": kind, "data-name": picture.name}
                                )
                                for kind in ("png", "svg")
                            ],
                            csv_button(picture.name, data) if data is not None else None,
                            html.Details([html.Summary("as text"), html.P(picture.alt)]),
                        ],
                        className="tools",
                    ),
                ]
            ),
        ],
        className="card",
    )


def _labelled(picture: Picture) -> bool:
    """Whether names stand at the left: such a figure needs more room than a phone has, and scrolls there."""
    return bool(picture.figure.layout.yaxis.ticktext) or any(
        t.type == "bar" and t.orientation == "h" for t in picture.figure.data
    )


def drawing(name: str, elements: Mapping[str, Any] | None, *, dark: bool) -> Component:
    """A configuration as a graph of who is shown what whom says, in a sentence too, with its downloads."""
    drawn_of = topology(elements)
    if drawn_of is None:
        words = [(key, value) for key, value in (elements or {}).items() if isinstance(value, str) and value]
        why = note("No roles are declared, so there is nothing to draw.")
        return html.Figure([html.H3(name), facts(words) if words else why], className="card")
    source = image(drawn_of, label=name, dark=dark)
    tools = [
        html.Button(kind.upper(), className="small", **{"data-drawing": kind, "data-name": name}) for kind in ("png", "svg")
    ]
    told = pl.DataFrame(drawn_of.arrows, schema=["who speaks", "is shown to"], orient="row")
    tools.append(csv_button(f"{name}-topology", told))
    seen = html.Div(html.Img(src=source, alt=drawn_of.words, title=drawn_of.words), className="graph")
    said = html.Figcaption([drawn_of.words[:1].upper() + drawn_of.words[1:], html.Div(tools, className="tools")])
    return html.Figure([html.H3(name), seen, said], className="card")


def csv_button(name: str, data: pl.DataFrame) -> Component:
    return html.Button(
        "CSV", className="small", **{"data-csv": as_csv(data), "data-name": name, "aria-label": f"{name} as CSV"}
    )


def as_csv(data: pl.DataFrame) -> str:
    """CSV in which no cell is a formula: a spreadsheet would run what a market's text says."""
    lists = [name for name, kind in data.schema.items() if isinstance(kind, pl.List)]
    return csv_of(data.with_columns(pl.col(name).cast(pl.List(pl.String)).list.join("; ") for name in lists))


def table(made: Table, *, note: str = "") -> Component:
    """Scrolls inside itself where it is wider than the page; its edge shows that it goes on."""
    head = html.Thead(html.Tr([html.Th(name, scope="col", className=_side(made, i)) for i, name in enumerate(made.columns)]))
    body = html.Tbody(
        [
            html.Tr(
                [
                    (html.Th if i == 0 else html.Td)(
                        "–" if cell is None else cell,
                        className=_side(made, i),
                        **({"scope": "row"} if i == 0 else {}),
                    )
                    for i, cell in enumerate(row)
                ]
            )
            for row in made.rows
        ]
    )
    tools = [csv_button(made.name, written(made) if made.data is None else made.data)]
    return html.Div(
        [
            html.Div(
                html.Table([head, body]),
                className="wide",
                tabIndex="0",
                role="region",
                **{"aria-label": f"table: {made.name}"},
            ),
            html.Div([html.Span(note), *tools], className="tools"),
        ]
    )


def written(made: Table) -> pl.DataFrame:
    """A table as it is shown, every cell its text; a column that holds numbers alone is one of numbers."""
    rows = [[None if cell is None else said(cell) for cell in row] for row in made.rows]
    texts = pl.DataFrame(rows, schema=dict.fromkeys(made.columns, pl.String), orient="row")
    return texts.select(_numbers(column) for column in texts)


def _numbers(texts: pl.Series) -> pl.Series:
    for kind in (pl.Int64, pl.Float64):
        found = texts.str.replace_all(",", "").cast(kind, strict=False)
        if found.null_count() == texts.null_count():
            return found
    return texts


def said(shown: Any) -> str:
    """The text that is read in a cell, whatever it is made of."""
    if isinstance(shown, list | tuple):
        return " ".join(filter(None, map(said, shown)))
    if isinstance(shown, str | int | float):
        return re.sub(r"−(?=[\d.])", "-", str(shown))  # a spreadsheet knows one minus
    return "" if shown is None else said(getattr(shown, "children", None))


def _side(made: Table, column: int) -> str:
    return "number" if column in made.numeric else ""


def named(name: str, look: Mapping[str, Look], href: str | None = None, *, dark: bool) -> Component:
    """A configuration with its colour and mark, as in the figures."""
    own = look.get(name)
    content: list[Any] = []
    if own is not None:
        content.append(html.Span(_MARKS[own.symbol], className=f"mark hue-{own.hue}", **{"aria-hidden": "true"}))
    for i, part in enumerate(name.split("_")):  # a narrow column breaks a name where its words end
        content += ["_", html.Wbr(), part] if i else [part]
    return html.Span(dcc.Link(content, href=href) if href else content, className="named")


def interval(
    value: float | None, low: float | None, high: float | None, *, digits: int = 4, reason: str | None = ""
) -> Shown:
    """A number with its interval below it, or with why there is none."""
    if value is None:
        return html.Span(["not known", html.Small(reason or "")], className="value")
    below = html.Small(f"no interval: {_of_ends(reason or 'not known')}")
    if low is not None:
        below = html.Small(f"[{number(low, digits)}, {number(high, digits)}]", className="ends")
    return html.Span([number(value, digits), below], className="value")


def _of_ends(reason: str) -> str:
    """Of reasons such as `low, high: why; ratio: why`, that of an interval's ends, without names of fields."""
    for said in reason.split("; "):
        fields, colon, why = said.partition(": ")
        if colon and "low" in fields.split(", "):
            return why
    return reason


def note(*content: Any, kind: str = "note") -> Component:
    """`kind`: note, warning, or banner for what must stand over everything."""
    return html.P(list(content), className=kind, role="status" if kind == "note" else "note")


def term(word: str, meaning: str) -> Component:
    return html.Div([html.Dt(word), html.Dd(meaning)])


def terms(pairs: Iterable[tuple[str, str]]) -> Component:
    return html.Details(
        [html.Summary("What the words mean"), html.Dl([term(word, meaning) for word, meaning in pairs])], className="terms"
    )


def facts(pairs: Iterable[tuple[str, Any]]) -> Component:
    """Name and value, one below the other."""
    return html.Dl([html.Div([html.Dt(name), html.Dd(value)]) for name, value in pairs], className="facts")


def choice(label: str, field: str, options: Sequence[tuple[str, str]], value: str) -> Component:
    """A native select: it works by keyboard, by finger and by screen reader; the script puts its value into the address."""
    return html.Label(
        [
            html.Span(label),
            html.Select(
                [
                    html.Option(text, value=key, **({"selected": "selected"} if key == value else {}))
                    for key, text in options
                ],
                id=f"choose-{field}",
                **{"data-field": field, "data-value": value},
            ),
        ]
    )


def words(label: str, field: str, value: str) -> Component:
    """A text to look for; Enter, or leaving it, puts it into the address."""
    box = dcc.Input(id=f"choose-{field}", type="search", value=value, debounce=True, maxLength=200, name=field)
    return html.Label([html.Span(label), box], htmlFor=f"choose-{field}")


def grid(*content: Any) -> Component:
    return html.Div([c for c in content if c is not None], className="grid")
