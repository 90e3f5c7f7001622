"""One small panel per arm, configurations in one order everywhere; and the parts of the variance as bars."""

from collections.abc import Mapping
from typing import Final

import polars as pl

from coordeval.analysis.base.numerals import number
from coordeval.analysis.figures.style import HUES, MUTED, Look, Picture, canvas, marker, plain, short

_ROOM: Final = 0.06
CAPTION: Final = (
    "Mean Brier score of each configuration in each arm, with its interval by events; lower is better. The order is that of "
    "the mean over all arms, the same in every panel: where a panel is in another order, the ranking does not hold there."
)
_KINDS: Final = {"effect": HUES[0], "market": MUTED, "sampling": HUES[1]}


def arm_panels(means: pl.DataFrame, look: Mapping[str, Look], *, simulated: bool, missing: str) -> tuple[Picture, ...]:
    """`means`: arm, configuration, brier, low, high, as `Separable.means` has them. All panels have the same axis."""
    ends = [x for name in ("brier", "low", "high") for x in means[name].drop_nulls().to_list()]
    if not ends:
        return ()
    least, most = min(ends), max(ends)
    room = _ROOM * max(most - least, 0.01)
    names = list(dict.fromkeys(means["configuration"].to_list()))
    pictures: list[Picture] = []
    for (arm,), part in means.group_by("arm", maintain_order=True):
        rows = {row["configuration"]: row for row in part.to_dicts()}
        figure = canvas(short(str(arm), 26), "Brier score", simulated=simulated, height=140 + 26 * len(names))
        figure.update_layout(showlegend=False)
        for at, name in enumerate(reversed(names)):
            row, own = rows[name], look.get(name, Look(0, "circle"))
            if row["low"] is not None and row["high"] is not None:
                figure.add_scatter(
                    x=[row["low"], row["high"]],
                    y=[at, at],
                    mode="lines",
                    line={"color": own.color, "width": 2},
                    hoverinfo="skip",
                )
            told = "" if row["low"] is None else f"<br>{number(row['low'])} to {number(row['high'])}"
            figure.add_scatter(
                x=[row["brier"]],
                y=[at],
                mode="markers",
                marker=marker(own, size=10),
                text=[f"<b>{plain(name)}</b><br>{number(row['brier'])}{told}"],
                hovertemplate="%{text}<extra></extra>",
            )
        figure.update_xaxes(range=(least - room, most + room))
        figure.update_yaxes(
            tickvals=list(range(len(names))),
            ticktext=[short(name, 20) for name in reversed(names)],
            range=(-0.7, len(names) - 0.3),
            ticks="",
        )
        alt = f"Arm {arm}. " + "; ".join(f"{name}: {number(rows[name]['brier'])}" for name in names)
        pictures.append(Picture(f"arm-{len(pictures)}", f"Arm {arm}", figure.figure(), f"{CAPTION} {missing}", alt))
    return tuple(pictures)


def split_bars(components: pl.DataFrame, *, simulated: bool, missing: str) -> Picture | None:
    """`components`: component, kind, share, as `Separable.components` has them: each as a share of all variance."""
    rows = components.filter(pl.col("share").is_not_null()).to_dicts()
    if not rows:
        return None
    names = [row["component"] for row in rows][::-1]
    figure = canvas("Where squared errors vary", "share of all variance", simulated=simulated, height=150 + 26 * len(rows))
    for kind, color in _KINDS.items():
        mine = [row for row in rows if row["kind"] == kind]
        figure.add_bar(
            y=[row["component"] for row in mine],
            x=[row["share"] for row in mine],
            orientation="h",
            name={"effect": "effect of what was chosen", "market": "market by market", "sampling": "sampling again"}[kind],
            marker={"color": color, "line": {"width": 0}},
            hovertemplate="%{y}<br>%{x:.1%}<extra></extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.3)
    figure.update_yaxes(categoryorder="array", categoryarray=names, ticks="")
    figure.update_xaxes(tickformat=".0%", rangemode="tozero")
    alt = "Bars. " + "; ".join(f"{row['component']}: {row['share']:.1%}" for row in rows)
    caption = f"The parts of the variance of one forecast's squared error; they add up to 1. {missing}"
    return Picture("split", "Where squared errors vary", figure.figure(), caption, alt)
