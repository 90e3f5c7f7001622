"""One look for every picture: colours, marker shapes, the template, and the SIMULATED mark.

A configuration has one colour and one marker shape, the same in every figure and in the tables beside them. The hues
stay apart under protanopia, deuteranopia and tritanopia, and the shape differs too, so colour is never the only sign.
Figures are drawn in the light colours; `DARK` says what each of them becomes on a dark page.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

import plotly.graph_objects as go
import polars as pl

from coordeval.analysis.figures.canvas import Canvas
from coordeval.analysis.study.leaderboard import REFERENCE

INK, MUTED, GRID, PAPER, BAND, WARN = "#1c2127", "#5c6670", "#e4e7ea", "#ffffff", "#dfe3e7", "#b3261e"
HUES = ("#0d5ea6", "#e0680a", "#0a9a74", "#c96fa3", "#5a1846", "#5aa9e6", "#6f5a00")
DARK_HUES = ("#3d8fd6", "#f0803c", "#22b48c", "#eba6cf", "#b44f92", "#a6dafc", "#e6cf55")
DARK = dict(zip(HUES, DARK_HUES, strict=True)) | {
    INK: "#eceff1",
    MUTED: "#a3adb6",
    GRID: "#2c333a",
    PAPER: "#14181c",
    BAND: "#333c44",
    WARN: "#ff8a80",
}
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "x", "pentagon")
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


@dataclass(frozen=True)
class Look:
    """How one configuration is drawn everywhere: `hue` is its position in `HUES`, or None for the market price."""

    hue: int | None
    symbol: str

    @property
    def color(self) -> str:
        return INK if self.hue is None else HUES[self.hue]


@dataclass(frozen=True)
class Picture:
    """A figure with the words it must not be shown without: what is drawn, what is missing, and the same as text."""

    name: str
    title: str
    figure: go.Figure
    caption: str
    alt: str


def looks(configurations: Iterable[str]) -> dict[str, Look]:
    """Configuration -> look, by alphabetical position: the order of rows never changes a colour. 56 pairs are distinct."""
    names = sorted(set(configurations) - {REFERENCE})
    found = {name: Look(i % len(HUES), SYMBOLS[i % len(SYMBOLS)]) for i, name in enumerate(names)}
    return {**found, REFERENCE: Look(None, "star")}


def plain(text: object) -> str:
    """Text from data, safe where Plotly would read it as markup."""
    return escape(str(text), quote=False)


def short(name: str, most: int = 24) -> str:
    """A name for a label in a figure, as text. A long one loses its middle there; tables and descriptions have it whole."""
    if len(name) > most:
        name = f"{name[: most // 2]}…{name[-(most - most // 2 - 1) :]}"
    return plain(name)


def is_simulated(frame: pl.DataFrame) -> bool:
    """Whether any row came from a simulated market or a simulated model: one is enough to mark the picture."""
    return bool(frame["simulated"].any())


def failures(frame: pl.DataFrame) -> str:
    """The sentence that keeps failed and unfinished forecasts from being silently missing in a picture."""
    parts = []
    for status, word in (("failed", "failed"), ("pending", "not made yet")):
        rows = frame.filter(pl.col("status") == status).group_by("configuration").len().sort("configuration")
        if rows.height:
            counts = ", ".join(f"{name} {count}" for name, count in rows.iter_rows())
            parts.append(f"Forecasts {word}, by configuration: {counts}.")
    return " ".join(parts) or "No forecast failed."


def canvas(title: str, subtitle: str, *, simulated: bool, height: int = 480) -> Canvas:
    """An empty figure in the house style. Axes are fixed, so that a finger on a phone scrolls the page.

    `title` is text that Plotly may read: a name from data comes through `short`.
    """
    axis = {
        "gridcolor": GRID,
        "linecolor": MUTED,
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": MUTED,
        "ticklen": 4,
        "fixedrange": True,
        "title": {"standoff": 12, "font": {"size": 12}},
        "automargin": True,
    }
    figure = Canvas(
        font={"family": FONT, "size": 12, "color": INK},
        title={
            "text": f"<b>{title}</b>",
            "font": {"size": 15},
            "x": 0,
            "xref": "container",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": 10, "l": 6},
            "subtitle": {"text": subtitle, "font": {"size": 12, "color": MUTED}},
        },
        paper_bgcolor=PAPER,
        plot_bgcolor=PAPER,
        height=height,
        margin={"l": 60, "r": 24, "t": 76, "b": 56},
        legend={"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom", "xref": "container"},
        hoverlabel={"bgcolor": PAPER, "bordercolor": MUTED, "font": {"color": INK, "family": FONT}, "align": "left"},
        dragmode=False,
        xaxis=axis,
        yaxis=axis,
    )
    if simulated:
        figure.add_annotation(
            text="<b>SIMULATED</b>",
            name="simulated",
            x=1,
            y=1,
            xref="paper",
            yref="paper",
            xanchor="right",
            yanchor="bottom",
            xshift=16,
            yshift=52,
            showarrow=False,
            font={"color": WARN, "size": 12},
            bordercolor=WARN,
            borderwidth=1.5,
            borderpad=2,
            bgcolor=PAPER,
        )
    return figure


def marker(look: Look, *, hollow: bool = False, size: int = 13) -> dict[str, object]:
    """A configuration's marker; `hollow` is the outline of the same shape in the same colour."""
    size += 3 if look.symbol in ("star", "triangle-up", "triangle-down") else 0  # the same area to the eye
    if hollow:
        return {
            "symbol": f"{look.symbol}-open",
            "color": look.color,
            "size": size,
            "line": {"width": 2, "color": look.color},
        }
    return {"symbol": look.symbol, "color": look.color, "size": size, "line": {"width": 1, "color": PAPER}}
