"""What talking did: estimates by round, movement, gain and influence. Who speaks to whom is in `figures.topology`."""

from collections.abc import Mapping, Sequence
from typing import Any

from coordeval.analysis.base.numerals import number
from coordeval.analysis.figures.axes import padded, score_ticks
from coordeval.analysis.figures.style import INK, Look, Picture, canvas, marker, plain, short


def by_round(
    rows: Sequence[Mapping[str, Any]], look: Mapping[str, Look], *, simulated: bool, caption: str
) -> Picture | None:
    """The mean squared error of the single estimates of each round. `rows`: configuration, round, brier, low, high, n."""
    known = [row for row in rows if row["brier"] is not None]
    if not known:
        return None
    figure = canvas("Estimates by round", "squared error of single estimates; bars: 95%", simulated=simulated, height=420)
    names = list(dict.fromkeys(row["configuration"] for row in known))
    for i, name in enumerate(names):
        mine = sorted((row for row in known if row["configuration"] == name), key=lambda row: row["round"])
        shift = (i - (len(names) - 1) / 2) * 0.06
        figure.add_scatter(
            x=[row["round"] + shift for row in mine],
            y=[row["brier"] for row in mine],
            mode="lines+markers",
            name=short(name),
            line={"color": look[name].color, "width": 1.5},
            marker=marker(look[name], size=10),
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [0 if row["high"] is None else row["high"] - row["brier"] for row in mine],
                "arrayminus": [0 if row["low"] is None else row["brier"] - row["low"] for row in mine],
                "color": look[name].color,
                "thickness": 1.2,
            },
            text=[
                f"<b>{plain(name)}</b>, round {row['round']}<br>{number(row['brier'])} "
                f"{plain(_ends(row))}<br>{row['n']:,} estimates"
                for row in mine
            ],
            hovertemplate="%{text}<extra></extra>",
        )
    ends = [row[key] for row in known for key in ("brier", "low", "high") if row[key] is not None]
    last = max(row["round"] for row in known)
    figure.update_yaxes(**score_ticks(*padded(ends, 0.08)), title={"text": "mean squared error"})
    figure.update_xaxes(tickvals=list(range(last + 1)), range=(-0.5, last + 0.5), title={"text": "round"})
    alt = "Squared error by round. " + "; ".join(
        f"{row['configuration']} round {row['round']}: {number(row['brier'])} {_ends(row)}" for row in known
    )
    return Picture("by-round", "Estimates by round", figure.figure(), caption, alt)


def dots(
    rows: Sequence[Mapping[str, Any]],
    look: Mapping[str, Look],
    *,
    name: str,
    title: str,
    subtitle: str,
    axis: str,
    simulated: bool,
    caption: str,
) -> Picture | None:
    """A dot and its interval per row. `rows`, in order: label, configuration, estimate, low, high, n_markets, reason"""
    known = [row for row in rows if row["estimate"] is not None]
    if not known:
        return None
    figure = canvas(title, subtitle, simulated=simulated, height=150 + 28 * len(known))
    figure.update_layout(showlegend=False)
    figure.add_vline(x=0, line={"color": INK, "width": 1})
    places = list(range(len(known)))[::-1]
    for at, row in zip(places, known, strict=True):
        own = look[row["configuration"]]
        if row["low"] is not None:
            figure.add_scatter(
                x=[row["low"], row["high"]],
                y=[at, at],
                mode="lines",
                line={"color": own.color, "width": 1.6},
                hoverinfo="skip",
            )
        figure.add_scatter(
            x=[row["estimate"]],
            y=[at],
            mode="markers",
            marker=marker(own, size=10, hollow=row["low"] is None),
            text=[
                f"<b>{plain(row['label'])}</b><br>{number(row['estimate'])} {plain(_ends(row))}<br>"
                f"{row['n_markets'] or 0:,} markets"
            ],
            hovertemplate="%{text}<extra></extra>",
        )
    values = [row[key] for row in known for key in ("estimate", "low", "high") if row[key] is not None]
    figure.update_xaxes(**score_ticks(*padded([*values, 0.0], 0.07)), title={"text": axis})
    labels = [short(row["label"], 60) for row in known]
    figure.update_yaxes(tickvals=places, ticktext=labels, range=(-0.7, len(known) - 0.3), ticks="")
    alt = f"{title}. " + "; ".join(f"{row['label']}: {number(row['estimate'])} {_ends(row)}" for row in known)
    return Picture(name, title, figure.figure(), caption, alt)


def _ends(row: Mapping[str, Any]) -> str:
    if row["low"] is None:
        return f"(no interval: {row.get('reason') or 'not known'})"
    return f"[{number(row['low'])}, {number(row['high'])}]"
