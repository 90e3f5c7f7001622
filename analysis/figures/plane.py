"""The plane of miscalibration and discrimination: one point per configuration with its 95% ellipse.

Three readings of the same identity, Brier = UNC + miscalibration − discrimination: with bins, with bins and corrected for
their bias, and without bins (CORP). Each point lies exactly on the line of its own Brier score in all of them. With bins
discrimination is RES − WBV + WBC (Stephenson, Coelho & Jolliffe 2008): with RES alone the lines would be off by up to a few
thousandths, which is as much as configurations differ by.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.base.checks import Floats
from coordeval.analysis.base.numerals import number
from coordeval.analysis.figures.axes import Box, decimals, equal_brier, padded, score_ticks
from coordeval.analysis.figures.canvas import Canvas
from coordeval.analysis.figures.style import MUTED, Look, Picture, canvas, marker, plain, short
from coordeval.analysis.study.findings import Findings
from coordeval.analysis.study.leaderboard import REFERENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Names of the columns and what they are called."""

    miscalibration: str
    discrimination: str
    uncertainty: str
    x: str
    y: str
    states: str
    """The identity, in words."""
    within: bool
    """Whether the within-bin terms WBV and WBC belong to discrimination."""


READINGS: Final[Mapping[str, Reading]] = {
    "binned": Reading(
        miscalibration="rel",
        discrimination="res",
        uncertainty="unc",
        x="miscalibration: REL (less is better)",
        y="discrimination: RES − WBV + WBC (more is better)",
        states="Brier = UNC + REL − (RES − WBV + WBC), exactly.",
        within=True,
    ),
    "corrected": Reading(
        miscalibration="rel_corrected",
        discrimination="res_corrected",
        uncertainty="unc_corrected",
        x="miscalibration: REL, bias-corrected",
        y="discrimination: RES − WBV + WBC, bias-corrected",
        states="Brier = UNC + REL − (RES − WBV + WBC), with each of the three corrected for its bias, exactly.",
        within=True,
    ),
    "corp": Reading(
        miscalibration="mcb",
        discrimination="dsc",
        uncertainty="unc",
        x="miscalibration: MCB (less is better)",
        y="discrimination: DSC (more is better)",
        states="Brier = UNC + MCB − DSC, exactly.",
        within=False,
    ),
}
_ABOUT_ELLIPSES: Final = (
    "Ellipses: 95% of resamples of events, about the estimate. They hold how hard the drawn markets are, the same for "
    "all: two that overlap may still be told apart, by their paired difference."
)
_EDGE: Final = math.sqrt(5.991)  # of a 95% ellipse of two normal variables, in standard deviations


def terms(row: Mapping[str, Any], reading: Reading) -> tuple[float, float, float] | None:
    """Miscalibration, discrimination, UNC; None where one is not known."""
    found = [row.get(name) for name in (reading.miscalibration, reading.discrimination, reading.uncertainty)]
    inner = [row.get("wbv"), row.get("wbc")] if reading.within else [0.0, 0.0]
    if any(value is None for value in (*found, *inner)):
        return None
    return found[0], found[1] - inner[0] + inner[1], found[2]  # type: ignore[operator,return-value]


def resampled(findings: Findings, kind: str) -> dict[str, tuple[Floats, Floats]] | None:
    """Configuration -> miscalibration and discrimination in each resample of events; None where they were not made.

    A configuration that has too few events for an interval has none here either.
    """
    reading = READINGS[kind]
    part = findings.corp if kind == "corp" else findings.measures
    if part is None or reading.miscalibration not in part.draws:
        return None
    y = part.draws[reading.discrimination]
    if reading.within:
        y = y - part.draws["wbv"] + part.draws["wbc"]
    x = part.draws[reading.miscalibration]
    enough = set(
        part.table.filter(pl.col("low").is_not_null() & (pl.col("measure") == reading.miscalibration))["configuration"]
    )
    return {name: (x[:, i], y[:, i]) for i, name in enumerate(part.configurations) if name in enough} or None


def component_plane(
    rows: Sequence[Mapping[str, Any]],
    look: Mapping[str, Look],
    *,
    kind: str,
    draws: Mapping[str, tuple[Floats, Floats]] | None,
    simulated: bool,
    missing: str = "",
    why_no_draws: str = "nothing was resampled",
    links: Mapping[str, str] | None = None,
) -> Picture | None:
    """Better is up and to the left. None where nothing is known.

    `rows`: configuration, brier, n_markets and the components; null_rel_low and null_rel_high where they are known. `draws`:
    see `resampled`; None: no ellipses, and the caption says `why_no_draws`.
    """
    reading = READINGS[kind]
    known = [(row, found) for row in rows if (found := terms(row, reading)) is not None]
    if not known:
        return None
    figure = canvas(
        "Calibration plane",
        "ellipses: 95%; dotted: equal Brier score" if draws else "dotted: equal Brier score; better is up and left",
        simulated=simulated,
        height=520,
    )
    floor = -math.inf if kind == "corrected" else 0.0
    edges = {name: _ellipse(x, y, (draws or {}).get(name), floor=floor) for name, (x, y) in _points(known).items()}
    xs = [x for _, (x, _, _) in known] + [v for edge in edges.values() if edge for v in edge[0]]
    ys = [y for _, (_, y, _) in known] + [v for edge in edges.values() if edge for v in edge[1]]
    (x0, x1), (y0, y1) = padded(xs, 0.08), padded(ys, 0.08)
    box = (x0, x1, y0, y1)
    units = [u for _, (_, _, u) in known]
    unc = float(np.median(units))
    figure.update_xaxes(**score_ticks(x0, x1, about=4), title={"text": reading.x}, showgrid=False)
    figure.update_yaxes(**score_ticks(y0, y1), title={"text": reading.y}, showgrid=False)
    _lines(figure, box, unc)
    for name, edge in edges.items():
        if edge:
            where: dict[str, Any] = {"x": edge[0], "y": edge[1], "mode": "lines", "hoverinfo": "skip", "showlegend": False}
            line = {"color": look[name].color, "width": 1.5}
            figure.add_scatter(**where, line={"width": 0}, fill="toself", fillcolor=look[name].color, opacity=0.05)
            figure.add_scatter(**where, line=line, opacity=0.6)
    for row, (x, y, u) in sorted(known, key=lambda one: one[0]["configuration"] == REFERENCE):
        name = row["configuration"]
        figure.add_scatter(
            x=[x],
            y=[y],
            mode="markers",
            name=short(name),
            marker=marker(look[name]),
            customdata=[(links or {}).get(name, "")],
            text=[
                f"<b>{plain(name)}</b><br>Brier {number(row['brier'])}<br>miscalibration {number(x)}<br>"
                f"discrimination {number(y)}<br>uncertainty {number(u)}<br>{row.get('n_markets') or 0:,} markets"
            ],
            hovertemplate="%{text}<extra></extra>",
            cliponaxis=False,
        )
    _better(figure, box, [(x, y) for _, (x, y, _) in known])
    figure.update_layout(margin={"r": 52})
    said = [
        reading.states,
        "Every point lies on the dotted line of its own Brier score.",
        _ABOUT_ELLIPSES if draws else f"No ellipses: {why_no_draws}.",
    ]
    if kind == "binned" and (chance := _by_chance([row for row, _ in known])):
        said.append(chance)
    if max(units) - min(units) > 1e-9:
        said.append(f"They are scored on different markets, so UNC differs: the lines hold only near UNC = {unc:.4f}.")
    alt = "Scatter of miscalibration and discrimination. " + "; ".join(
        f"{row['configuration']}: {number(x)} and {number(y)}, Brier {number(row['brier'])}" for row, (x, y, _) in known
    )
    return Picture("plane", "Calibration plane", figure.figure(), " ".join([*said, missing]).strip(), alt)


def _points(known: Sequence[tuple[Mapping[str, Any], tuple[float, float, float]]]) -> dict[str, tuple[float, float]]:
    return {row["configuration"]: (x, y) for row, (x, y, _) in known}


def _lines(figure: Canvas, box: Box, unc: float) -> None:
    lines = equal_brier(box, unc)
    places = decimals(lines[1][0] - lines[0][0]) if len(lines) > 1 else 3
    for level, start, end in lines:
        dotted = {"color": MUTED, "width": 1, "dash": "dot"}
        figure.add_shape(type="line", x0=start[0], y0=start[1], x1=end[0], y1=end[1], layer="below", line=dotted)
        top = end[1] > box[3] - 1e-9 * (box[3] - box[2])
        figure.add_annotation(
            text=f"{level:.{places}f}",
            x=end[0],
            y=end[1],
            showarrow=False,
            xanchor="center" if top else "left",
            yanchor="bottom" if top else "middle",
            font={"color": MUTED, "size": 12},
        )


def _by_chance(rows: Sequence[Mapping[str, Any]]) -> str:
    rows = [row for row in rows if row.get("null_rel_low") is not None]
    if not rows:
        return ""
    inside = [r["configuration"] for r in rows if r["rel"] <= r["null_rel_high"]]
    low, high = min(r["null_rel_low"] for r in rows), max(r["null_rel_high"] for r in rows)
    who = "every point" if len(inside) == len(rows) else f"{len(inside)} of {len(rows)} points" if inside else "no point"
    return (
        f"Perfectly calibrated forecasters with these forecasts show REL from {number(low)} to {number(high)} by chance; "
        f"{who} {'lie' if 1 < len(inside) < len(rows) else 'lies'} within the range of its own forecasts."
    )


def _better(figure: Canvas, box: Box, points: Sequence[tuple[float, float]]) -> None:
    """An arrow to the upper left, in the corner that is farthest from every point."""
    x0, x1, y0, y1 = box
    scaled = [((x - x0) / (x1 - x0), (y - y0) / (y1 - y0)) for x, y in points]
    corners = ((0.1, 0.2), (0.9, 0.2), (0.9, 0.9), (0.1, 0.9))
    at = max(corners, key=lambda c: min(math.dist(c, point) for point in scaled))
    figure.add_annotation(
        text="better",
        x=at[0] - 0.03,
        y=at[1] + 0.05,
        xref="paper",
        yref="paper",
        ax=34,
        ay=30,
        showarrow=True,
        arrowhead=2,
        arrowcolor=MUTED,
        font={"color": MUTED, "size": 12},
    )


def _ellipse(
    x: float, y: float, drawn: tuple[Floats, Floats] | None, *, floor: float
) -> tuple[list[float], list[float]] | None:
    """The edge of the 95% ellipse of the resamples, about the estimate; cut at `floor`, below which no value can be."""
    if drawn is None:
        return None
    both = np.column_stack(drawn)
    both = both[~np.isnan(both).any(axis=1)]
    if len(both) < 20:
        return None
    values, vectors = np.linalg.eigh(np.cov(both.T))
    turn = np.linspace(0, 2 * np.pi, 73)
    circle = np.stack([np.cos(turn), np.sin(turn)])
    edge = vectors @ (np.sqrt(np.maximum(values, 0))[:, None] * circle) * _EDGE
    return np.maximum(edge[0] + x, floor).tolist(), (edge[1] + y).tolist()
