"""CORP reliability diagrams: one small panel per configuration, all on the same axes, to be set side by side."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from coordeval.analysis.base.checks import Floats, Ints
from coordeval.analysis.base.numerals import counted, number
from coordeval.analysis.figures.style import BAND, GRID, INK, MUTED, Look, Picture, canvas, short
from coordeval.analysis.quality.corp import consistency, corp

_BARS = 20
_POINTS = 400
"""Distinct forecasts beyond which a panel is drawn with fewer points, as its caption says."""


def reliability(
    forecasts: pl.DataFrame,
    row: Mapping[str, Any],
    look: Look,
    *,
    simulated: bool,
    resamples: int = 1000,
    seed: int = 0,
) -> Picture:
    """One configuration's diagram: forecast probability across, recalibrated probability (isotonic regression) up.

    On the diagonal the forecasts mean what they say; below it they are too high, above it too low. There is one line per
    replicate, so the noise of sampling is seen. The grey band holds, at each forecast, 90% of the curves that a calibrated
    forecaster with the forecasts of the first replicate would show: a curve inside it is no evidence of miscalibration.
    The bars along the foot count forecasts in 20 equal steps.

    `forecasts` has the columns replicate, probability, outcome, none of them null; `row` is this configuration's row of
    the leaderboard, whose MCB, DSC and calibration p-value are printed.
    """
    name = row["configuration"]
    parts = [part for _, part in forecasts.sort("replicate").group_by("replicate", maintain_order=True)]
    figure = canvas(short(name, 26), _terms(row), simulated=simulated, height=316)
    band = consistency(*_columns(parts[0]), n=resamples, seed=seed, points=_POINTS)
    edge = {"mode": "lines", "line": {"width": 0, "shape": "linear"}, "hoverinfo": "skip", "showlegend": False}
    figure.add_scatter(x=band.x.tolist(), y=band.low.tolist(), name="band, low", **edge)
    figure.add_scatter(x=band.x.tolist(), y=band.high.tolist(), name="band, high", fill="tonexty", fillcolor=BAND, **edge)
    figure.add_shape(type="line", x0=0, y0=0, x1=1, y1=1, line={"color": MUTED, "width": 1, "dash": "dot"})
    for k, part in enumerate(parts):
        curve = corp(*_columns(part))
        drawn = _ends(curve.recalibrated)
        figure.add_scatter(
            x=curve.x[drawn].tolist(),
            y=curve.recalibrated[drawn].tolist(),
            mode="lines",
            line={"color": look.color, "width": 2.5 if k == 0 else 1.25},
            name=f"replicate {part['replicate'][0]}",
            customdata=curve.counts[drawn].tolist(),
            hovertemplate="forecast %{x:.2f}<br>recalibrated %{y:.2f}<br>%{customdata} made<extra>%{fullData.name}</extra>",
        )
    counts, edges = np.histogram(forecasts["probability"].to_numpy(), bins=_BARS, range=(0, 1))
    figure.add_bar(
        x=((edges[:-1] + edges[1:]) / 2).tolist(),
        y=counts.tolist(),
        width=0.8 / _BARS,
        marker={"color": look.color, "opacity": 0.35, "line": {"width": 0}},
        yaxis="y2",
        name="forecasts",
        hovertemplate="%{y} forecasts near %{x:.3f}<extra></extra>",
    )
    axis = {"range": (0, 1), "tickvals": [0, 0.25, 0.5, 0.75, 1], "gridcolor": GRID}
    figure.update_layout(
        showlegend=False,
        title={"font": {"size": 13}, "subtitle": {"font": {"size": 12, "color": INK}}},
        margin={"l": 46, "r": 14, "t": 66, "b": 44},
        xaxis={**axis, "title": {"text": "forecast", "standoff": 4}},
        yaxis={**axis, "title": {"text": "recalibrated", "standoff": 4}},
        yaxis2={"overlaying": "y", "range": (0, max(1, int(counts.max())) * 6), "visible": False, "fixedrange": True},
    )
    # The lower right of a reliability diagram is the emptiest place of so small a panel.
    figure.update_annotations(named="simulated", x=0.97, y=0.24, xshift=0, yshift=0, font={"size": 12})
    alt = f"Reliability diagram of {name}, {counted(len(parts), 'replicate')}: {_terms(row)}."
    return Picture(f"reliability-{name}", name, figure.figure(), "", alt)


CAPTION = (
    "CORP reliability diagrams: forecasts across, their recalibrated value up, one line per replicate (the first is thick). "
    "On the dotted diagonal forecasts mean what they say. Grey: where 90% of calibrated forecasters with the same forecasts "
    "(those of the first replicate) would lie. Bars: how many forecasts were made where. MCB: miscalibration, less is "
    "better; DSC: discrimination, more is better; p: how often a calibrated forecaster looks this miscalibrated by chance. "
    "Of more than "
    f"{_POINTS} distinct forecasts the grey is at {_POINTS}, evenly spaced by rank, and a line's points are the ends of its "
    "level stretches, which leaves the line as it is."
)


def _terms(row: Mapping[str, Any]) -> str:
    return f"MCB {number(row['mcb'])}   DSC {number(row['dsc'])}   p {number(row['calibration_p'], 3)}"


def _ends(curve: Floats) -> Ints:
    """The points that a line needs: all of them if they are few, else the ends of every level stretch."""
    if curve.size <= _POINTS:
        return np.arange(curve.size)
    step = np.diff(curve) != 0
    return np.flatnonzero(np.append(True, step) | np.append(step, True))


def _columns(part: pl.DataFrame) -> tuple[Floats, Floats]:
    return part["probability"].to_numpy(), part["outcome"].cast(pl.Float64).to_numpy()
