"""Brier score against calls: what each rule of calling scores, and what the best cases first would have."""

from typing import Final

import polars as pl

from coordeval.analysis.base.numerals import number
from coordeval.analysis.figures.style import HUES, INK, MUTED, SYMBOLS, Picture, canvas, plain
from coordeval.analysis.tools.policies import BEST, CHANCE, ESTIMATOR, SPLIT, Policies

CAPTION: Final = (
    "Mean Brier score against mean calls per forecast; lower is better. Dots are rules of calling, intervals by events; "
    "lines give tools to so many cases and no more, the best cases first: at random, by an estimator that has not seen the "
    "event, by one half of the draws, and by all that the noise allows to know."
)
_LINES: Final = {CHANCE: (MUTED, "dot"), ESTIMATOR: (HUES[0], "solid"), SPLIT: (HUES[1], "dash"), BEST: (HUES[2], "dashdot")}


def brier_against_calls(found: Policies, *, simulated: bool) -> Picture:
    """The lines of `Policies.curve`, and the dots of `Policies.points`."""
    figure = canvas("Brier score against calls", "lower is better", simulated=simulated, height=460)
    for name in found.curve["policy"].unique(maintain_order=True):
        mine = found.curve.filter(policy=name)
        color, dash = _LINES[name]
        figure.add_scatter(
            x=mine["calls"].to_list(),
            y=mine["brier"].to_list(),
            mode="lines",
            line={"color": color, "width": 2, "dash": dash},
            name=name,
            text=[f"{share:.0%} given tools" for share in mine["share"]],
            hovertemplate="%{text}: %{y:.4f} at %{x:.2f} calls<extra>" + plain(name) + "</extra>",
        )
    points = found.points.to_dicts()
    for at, row in enumerate(points):
        known = row["low"] is not None and row["high"] is not None
        ends = {"array": [row["high"] - row["brier"]], "arrayminus": [row["brier"] - row["low"]]} if known else None
        told = f"<br>{number(row['low'])} to {number(row['high'])}" if known else ""
        figure.add_scatter(
            x=[row["calls"]],
            y=[row["brier"]],
            mode="markers",
            marker={"symbol": SYMBOLS[at % len(SYMBOLS)], "color": INK, "size": 11},
            error_y=None if ends is None else {"type": "data", "symmetric": False, "color": INK, "thickness": 1.2, **ends},
            name=row["policy"] if row["policy"] not in _LINES else f"{row['policy']}, by its own bar",
            text=[f"<b>{plain(row['policy'])}</b><br>{number(row['brier'])} at {row['calls']:.2f} calls{told}"],
            hovertemplate="%{text}<extra></extra>",
        )
    figure.update_xaxes(title={"text": "tool calls per forecast"}, rangemode="tozero")
    figure.update_yaxes(title={"text": "Brier score"})
    alt = "Brier score against calls. " + "; ".join(
        f"{row['policy']}: {number(row['brier'])} at {row['calls']:.2f} calls" for row in points
    )
    missing = "; ".join(f"{name}: not known, {why}" for name, why in found.reasons.items())
    return Picture("tool-calls", "Brier score against calls", figure.figure(), f"{CAPTION} {missing}".strip(), alt)


def calls_as_rows(found: Policies) -> pl.DataFrame:
    """Dots and lines in one frame, for whoever takes the figure's data along."""
    dots = found.points.select(pl.lit("rule").alias("kind"), "policy", "share", "calls", "brier", "low", "high")
    return pl.concat(
        [dots, found.curve.select(pl.lit("line").alias("kind"), "policy", "share", "calls", "brier")], how="diagonal"
    )
