"""What a Brier score is made of, beside the plane: the stack, the nulls, paired differences."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from coordeval.analysis.base.numerals import number
from coordeval.analysis.figures.axes import padded, score_ticks
from coordeval.analysis.figures.plane import READINGS, terms
from coordeval.analysis.figures.style import BAND, INK, MUTED, Look, Picture, canvas, marker, plain, short


def stacked(rows: Sequence[Mapping[str, Any]], *, kind: str, simulated: bool, caption: str) -> Picture | None:
    """Brier = (UNC − discrimination) + miscalibration, as two parts of one bar; the dashed line is UNC."""
    reading = READINGS[kind]
    known = [(row, found) for row in rows if (found := terms(row, reading)) is not None]
    if not known:
        return None
    known.sort(key=lambda one: -one[0]["brier"])
    names = [short(row["configuration"]) for row, _ in known]
    figure = canvas(
        "What each score is made of", "the whole bar is the Brier score", simulated=simulated, height=190 + 34 * len(known)
    )
    left = [u - y for _, (_, y, u) in known]
    wrong = [x for _, (x, _, _) in known]
    for label, values, color in (
        ("what discrimination leaves of the uncertainty", left, MUTED),
        ("miscalibration", wrong, "#e0680a"),
    ):
        figure.add_bar(
            y=names,
            x=values,
            orientation="h",
            name=label,
            marker={"color": color, "line": {"width": 0}},
            opacity=0.85,
            customdata=[[row["brier"], u] for row, (_, _, u) in known],
            hovertemplate="%{y}<br>"
            + label
            + " %{x:.4f}<br>Brier %{customdata[0]:.4f}<br>UNC %{customdata[1]:.4f}<extra></extra>",
        )
    unc = float(np.median([u for _, (_, _, u) in known]))
    figure.add_vline(x=unc, line={"color": INK, "width": 1.2, "dash": "dash"})
    figure.add_annotation(
        text=f"UNC {unc:.4f}", x=unc, y=1, yref="paper", yanchor="bottom", showarrow=False, font={"size": 12, "color": INK}
    )
    high = max(unc, *(a + b for a, b in zip(left, wrong, strict=True))) * 1.08
    figure.update_layout(barmode="relative", bargap=0.35)
    figure.update_xaxes(**score_ticks(min(0.0, *left, *wrong), high), title={"text": "Brier points"})
    alt = "Stacked bars. " + "; ".join(
        f"{row['configuration']}: {number(u - y)} + {number(x)} = {number(row['brier'])}"
        for row, (x, y, u) in reversed(known)
    )
    return Picture("stacked", "What each score is made of", figure.figure(), caption, alt)


def forest(
    pairs: Sequence[Mapping[str, Any]],
    *,
    noise_floor: float | None,
    simulated: bool,
    title: str,
    caption: str,
    name: str = "forest",
) -> Picture | None:
    """Paired differences with their intervals, first − second: left of 0 the first is better. `pairs` in drawing order."""
    known = [pair for pair in pairs if pair.get("delta") is not None]
    if not known:
        return None
    figure = canvas(title, "left of 0: the first is better", simulated=simulated, height=150 + 30 * len(known))
    figure.update_layout(showlegend=False, margin={"l": 20})
    if noise_floor is not None:
        figure.add_vrect(x0=-noise_floor, x1=noise_floor, fillcolor=BAND, line={"width": 0}, layer="below", opacity=0.8)
    figure.add_vline(x=0, line={"color": INK, "width": 1})
    places = list(range(len(known)))[::-1]
    for at, pair in zip(places, known, strict=True):
        ends = pair.get("low") is not None
        figure.add_scatter(
            x=[pair["low"], pair["high"]] if ends else [pair["delta"]],
            y=[at] * (2 if ends else 1),
            mode="lines",
            line={"color": INK, "width": 1.6},
            hoverinfo="skip",
        )
        interval = (
            f"[{number(pair['low'])}, {number(pair['high'])}]"
            if ends
            else f"no interval: {pair.get('reason') or 'not known'}"
        )
        said = f"<b>{plain(pair['first'])} − {plain(pair['second'])}</b><br>{number(pair['delta'])} {plain(interval)}"
        if pair.get("n_markets"):
            said += f"<br>{pair['n_markets']:,} markets"
        if pair.get("p_whole") is not None:
            said += f"<br>p {number(pair['p_whole'], 3)} after correction"
        figure.add_scatter(
            x=[pair["delta"]],
            y=[at],
            mode="markers",
            marker={"color": INK, "size": 9, "symbol": "circle" if ends else "circle-open"},
            text=[said],
            hovertemplate="%{text}<extra></extra>",
        )
    values = [pair[key] for pair in known for key in ("delta", "low", "high") if pair.get(key) is not None]
    figure.update_xaxes(
        **score_ticks(*padded([*values, 0.0], 0.06), about=4), title={"text": "difference in Brier score"}, tickangle=0
    )
    labels = [f"{short(pair['first'], 20)} − {short(pair['second'], 20)}" for pair in known]
    figure.update_yaxes(tickvals=places, ticktext=labels, range=(-0.7, len(known) - 0.3), ticks="")
    alt = "Forest plot of differences. " + "; ".join(
        f"{pair['first']} − {pair['second']}: {number(pair['delta'])}"
        + (f" [{number(pair['low'])}, {number(pair['high'])}]" if pair.get("low") is not None else " (no interval)")
        for pair in known
    )
    return Picture(name, title, figure.figure(), caption, alt)


def beside_null(table: pl.DataFrame, measure: str, look: Mapping[str, Look], *, simulated: bool) -> Picture | None:
    """One component of every configuration beside what a perfectly calibrated forecaster would show (`quality.nulls`)."""
    rows = table.filter(
        (pl.col("measure") == measure) & pl.col("seen").is_not_null() & pl.col("low").is_not_null()
    ).to_dicts()
    if not rows:
        return None
    title = measure.replace("_corrected", ", bias-corrected").upper().replace("BIAS-CORRECTED", "bias-corrected")
    figure = canvas(
        f"{title} beside its null", "grey: 95% of calibrated forecasters", simulated=simulated, height=150 + 34 * len(rows)
    )
    figure.update_layout(showlegend=False)
    places = list(range(len(rows)))[::-1]
    for at, row in zip(places, rows, strict=True):
        name = row["configuration"]
        figure.add_shape(
            type="rect",
            x0=row["low"],
            x1=row["high"],
            y0=at - 0.28,
            y1=at + 0.28,
            fillcolor=BAND,
            line={"width": 0},
            layer="below",
        )
        p = f"<br>p {number(row['p_value'], 3)}" if row["p_value"] is not None else ""
        figure.add_scatter(
            x=[row["seen"]],
            y=[at],
            mode="markers",
            marker=marker(look[name], size=12),
            text=[
                f"<b>{plain(name)}</b><br>seen {number(row['seen'])}<br>null {number(row['mean'])} "
                f"[{number(row['low'])}, {number(row['high'])}]{p}<br>{row['n_markets']:,} markets"
            ],
            hovertemplate="%{text}<extra></extra>",
        )
    values = [row[key] for row in rows for key in ("seen", "low", "high")]
    figure.update_xaxes(**score_ticks(*padded(values, 0.08), about=4), title={"text": title})
    figure.update_yaxes(
        tickvals=places, ticktext=[short(row["configuration"]) for row in rows], ticks="", range=(-0.7, len(rows) - 0.3)
    )
    alt = f"{title} and its null. " + "; ".join(
        f"{row['configuration']}: {number(row['seen'])}, null [{number(row['low'])}, {number(row['high'])}]" for row in rows
    )
    caption = (
        "Outside its grey bar a component differs from what chance alone gives a calibrated forecaster with these forecasts."
    )
    return Picture(f"null-{measure}", f"{title} beside its null", figure.figure(), caption, alt)
