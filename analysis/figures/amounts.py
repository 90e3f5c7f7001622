"""Amounts as pictures: dollars and calls by part, and how they grew over time. Sums are exact, so they have no interval."""

from collections.abc import Mapping, Sequence
from typing import Any

from coordeval.analysis.base.numerals import usd
from coordeval.analysis.figures.style import HUES, INK, MUTED, Look, Picture, canvas, marker, plain, short

_LOOKS = (HUES[0], HUES[1], HUES[2], HUES[3], HUES[6], HUES[5], HUES[4], MUTED)


def split(
    rows: Sequence[Mapping[str, Any]],
    *,
    by: str,
    name: str,
    title: str,
    axis: str,
    dollars: bool,
    simulated: bool,
    caption: str,
) -> Picture | None:
    """Stacked bars, one per configuration. `rows`: configuration, `by`, amount (null: not known), n."""
    known = [row for row in rows if row["amount"] is not None]
    if not known:
        return None
    names = sorted({row["configuration"] for row in rows}, reverse=True)
    parts = list(dict.fromkeys(str(row[by]) for row in sorted(known, key=lambda row: str(row[by]))))
    figure = canvas(title, f"by {by}", simulated=simulated, height=200 + 32 * len(names))
    for i, part in enumerate(parts):
        mine = {row["configuration"]: row for row in known if str(row[by]) == part}
        figure.add_bar(
            y=[short(n) for n in names],
            x=[mine[n]["amount"] if n in mine else 0 for n in names],
            orientation="h",
            name=short(part, 28),
            marker={
                "color": _LOOKS[i % len(_LOOKS)],
                "line": {"width": 0},
                "pattern": {"shape": "/" if i >= len(_LOOKS) else ""},
            },
            text=[f"{plain(part)}: {_said(mine[n], dollars)}" if n in mine else "" for n in names],
            textposition="none",
            hovertemplate="%{y}<br>%{text}<extra></extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.35, legend={"traceorder": "normal"})
    figure.update_xaxes(title={"text": axis}, tickprefix="$" if dollars else "", rangemode="tozero")
    alt = f"{title} by {by}. " + "; ".join(f"{row['configuration']}, {row[by]}: {_said(row, dollars)}" for row in known)
    return Picture(name, title, figure.figure(), caption, alt)


def _said(row: Mapping[str, Any], dollars: bool) -> str:
    amount = usd(row["amount"]) if dollars else f"{row['amount']:,}"
    return f"{amount} in {row['n']:,} calls" if row.get("n") is not None else amount


def paid_and_attributed(
    rows: Sequence[Mapping[str, Any]], look: Mapping[str, Look], *, simulated: bool, caption: str
) -> Picture | None:
    """Both sums of each configuration. `rows`: configuration, attributed, paid; null where a price is not known."""
    known = [row for row in rows if row["attributed"] is not None and row["paid"] is not None]
    if not known:
        return None
    names = [row["configuration"] for row in known][::-1]
    figure = canvas(
        "Paid against attributed", "hollow: paid; filled: full price", simulated=simulated, height=170 + 34 * len(names)
    )
    figure.update_layout(showlegend=False)
    for at, row in enumerate(known[::-1]):
        own = look[row["configuration"]]
        figure.add_scatter(
            x=[row["paid"], row["attributed"]],
            y=[at, at],
            mode="lines",
            line={"color": own.color, "width": 1.5},
            hoverinfo="skip",
        )
        for key, hollow in (("paid", True), ("attributed", False)):
            figure.add_scatter(
                x=[row[key]],
                y=[at],
                mode="markers",
                marker=marker(own, hollow=hollow, size=11),
                text=[f"<b>{plain(row['configuration'])}</b><br>{key} {usd(row[key])}"],
                hovertemplate="%{text}<extra></extra>",
            )
    figure.update_yaxes(
        tickvals=list(range(len(names))), ticktext=[short(n) for n in names], range=(-0.7, len(names) - 0.3), ticks=""
    )
    figure.update_xaxes(title={"text": "USD, all forecasts together"}, tickprefix="$", rangemode="tozero")
    alt = "Dots. " + "; ".join(
        f"{r['configuration']}: paid {usd(r['paid'])}, attributed {usd(r['attributed'])}" for r in known
    )
    return Picture("paid", "Paid against attributed", figure.figure(), caption, alt)


def over_time(
    rows: Sequence[Mapping[str, Any]],
    *,
    name: str,
    title: str,
    axis: str,
    lines: Mapping[str, str],
    simulated: bool,
    caption: str,
) -> Picture | None:
    """Cumulated amounts; None where all came at one time.

    `rows`: at (a time) and the columns of `lines` (column -> label), in order of time.
    """
    if len(rows) < 2:
        return None
    figure = canvas(title, "cumulated, UTC", simulated=simulated, height=360)
    for i, (column, label) in enumerate(lines.items()):
        figure.add_scatter(
            x=[row["at"] for row in rows],
            y=[row[column] for row in rows],
            mode="lines+markers" if len(rows) < 40 else "lines",
            line={"color": (INK, HUES[1], HUES[2])[i % 3], "width": 2, "dash": (None, "dash", "dot")[i % 3], "shape": "hv"},
            marker={"size": 6},
            name=label,
            hovertemplate="%{x|%Y-%m-%d %H:%M:%S}: %{y:,.6g}<extra>" + plain(label) + "</extra>",
        )
    figure.update_yaxes(title={"text": axis}, rangemode="tozero")
    figure.update_xaxes(type="date")
    last = rows[-1]
    alt = f"{title}: at {last['at']:%Y-%m-%d %H:%M} UTC " + ", ".join(
        f"{label} {last[c]:,.6g}" for c, label in lines.items()
    )
    return Picture(name, title, figure.figure(), caption, alt)
