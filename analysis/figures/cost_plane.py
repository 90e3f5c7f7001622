"""Cost against quality with its uncertainty: bars at each configuration, a band about the frontier, a way in for a click."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from coordeval.analysis.base.checks import Floats
from coordeval.analysis.base.numerals import counted, number, usd
from coordeval.analysis.figures.axes import money_axis, padded, score_ticks
from coordeval.analysis.figures.canvas import Canvas
from coordeval.analysis.figures.style import BAND, INK, MUTED, Look, Picture, canvas, marker, plain, short
from coordeval.analysis.study.findings import Findings
from coordeval.analysis.study.leaderboard import REFERENCE

_ENDS = (2.5, 97.5)


def cost_plane(
    rows: Sequence[Mapping[str, Any]],
    look: Mapping[str, Look],
    *,
    simulated: bool,
    against: Mapping[str, Mapping[str, Any]],
    draws: Mapping[str, Floats] | None = None,
    caption: str = "",
    links: Mapping[str, str] | None = None,
) -> Picture | None:
    """Dollars per market across, Brier score up; better is down and to the left.

    `rows`: configuration, brier, low, high, cost, cost_low, cost_high, n_markets; on_frontier, dominated_by and probability
    (of being on it) where they are known. A hollow mark: another one costs no more and scores no worse. `against`:
    configuration -> delta, low, high against the market price; the upright bars are these intervals, since that of the score
    itself holds how hard the markets are, which is the same for all. `draws`: configuration -> Brier score in each resample
    of events, the market price's too: they give the frontier its band. `links`: where a click on a configuration leads, as
    `customdata`. None where no configuration has both a score and a known cost.
    """
    scored = [row for row in rows if row.get("brier") is not None]
    placed = [row for row in scored if row.get("cost") is not None and row["configuration"] != REFERENCE]
    if not placed:
        return None
    market = next((row for row in scored if row["configuration"] == REFERENCE), None)
    bars = {name: bar for name, bar in against.items() if bar.get("low") is not None}
    told = "bars: 95% of the difference from the market price" if bars else "filled: on the frontier; hollow: dominated"
    figure = canvas("Cost against quality", told, simulated=simulated, height=440)
    steps = _frontier(placed)
    band = _band(steps, placed, market, draws)
    shown = placed + ([market] if market else [])
    ends = [row["brier"] for row in shown] + [end for pair in band for end in pair]
    for row in placed:
        if bar := bars.get(row["configuration"]):
            ends += [row["brier"] + bar[end] - bar["delta"] for end in ("low", "high")]
    low, high = padded(ends, 0.08)
    scale = money_axis([row["cost"] for row in placed])
    figure.update_yaxes(**score_ticks(max(0.0, low), high), title={"text": "Brier score (less is better)"})
    figure.update_xaxes(title={"text": "USD per market (full price)"}, **scale["axis"])
    if scale["gap"] is not None:
        figure.add_vline(x=scale["gap"], line={"color": MUTED, "width": 1, "dash": "dot"}, layer="below")
    _steps(figure, steps, band, scale)
    if market is not None:
        figure.add_scatter(
            x=[scale["start"], scale["end"]],
            y=[market["brier"]] * 2,
            mode="lines",
            line={"color": INK, "width": 1.2, "dash": "dash"},
            name=f"market price {market['brier']:.4f}",
            text=[_said(market)] * 2,
            hovertemplate="%{text}<extra></extra>",
        )
    for row in placed:
        name, at = row["configuration"], scale["place"](row["cost"])
        bar = bars.get(name)
        figure.add_scatter(
            x=[at],
            y=[row["brier"]],
            mode="markers",
            name=short(name),
            marker=marker(look[name], hollow=row.get("on_frontier") is False),
            text=[_said(row, bar)],
            customdata=[(links or {}).get(name, "")],
            hovertemplate="%{text}<extra></extra>",
            cliponaxis=False,
            **_bars(row, bar, scale, look[name]),
        )
    words = [
        *(
            ["A bar that does not reach the dashed line differs from the market price, before any correction."]
            if bars
            else []
        ),
        "The step line is the frontier: no other configuration costs no more and scores no worse. Hollow: not on it.",
        "Grey: where it lies in 95% of resamples of events, at these costs, as seen from the market price."
        if band
        else "It ignores noise, so a small difference in Brier score can decide it.",
        "Cost is attributed: the full price of everything a forecast used, also where a draw was shared and paid once.",
    ]
    if missing := [r["configuration"] for r in scored if r not in placed and r["configuration"] != REFERENCE]:
        words.append(f"Not placed, because the price of what they used is not known: {', '.join(missing)}.")
    alt = "Scatter of USD per market and Brier score with intervals. " + "; ".join(
        f"{row['configuration']}: {usd(row.get('cost'))}, Brier {_ends(row)}{_place(row)}" for row in shown
    )
    return Picture("cost", "Cost against quality", figure.figure(), " ".join([*words, caption]).strip(), alt)


def brier_draws(findings: Findings) -> dict[str, Floats] | None:
    """Configuration -> Brier score in each resample of events; None where they were not made, or events are too few."""
    part = findings.measures
    if part is None or part.table.filter(pl.col("low").is_not_null() & (pl.col("measure") == "brier")).is_empty():
        return None
    return {name: part.draws["brier"][:, i] for i, name in enumerate(part.configurations)}


def _frontier(placed: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """(cost, Brier score) of the corners, by increasing cost."""
    best, steps = float("inf"), []
    for cost, score in sorted((row["cost"], row["brier"]) for row in placed):
        if score < best:
            steps.append((cost, score))
            best = score
    return steps


def _band(
    steps: Sequence[tuple[float, float]],
    placed: Sequence[Mapping[str, Any]],
    market: Mapping[str, Any] | None,
    draws: Mapping[str, Floats] | None,
) -> list[tuple[float, float]]:
    """At each corner, where the best score that its cost buys lies in 95% of the resamples; empty where none were made.

    Each resample is shifted to the market price of the sample: how hard the drawn markets are is the same for all.
    """
    names = [row["configuration"] for row in placed if draws and row["configuration"] in draws]
    if not draws or len(names) < len(placed):
        return []
    shift = market["brier"] - draws[REFERENCE] if market is not None and REFERENCE in draws else 0.0
    cost = {row["configuration"]: row["cost"] for row in placed}
    found = []
    for at, _ in steps:
        best = np.min([draws[name] for name in names if cost[name] <= at], axis=0) + shift
        low, high = np.nanpercentile(best, _ENDS)
        found.append((float(low), float(high)))
    return found


def _steps(
    figure: Canvas, steps: Sequence[tuple[float, float]], band: Sequence[tuple[float, float]], scale: Mapping[str, Any]
) -> None:
    xs = [*(scale["place"](cost) for cost, _ in steps), scale["end"]]

    def line(ys: Sequence[float], **how: Any) -> None:
        figure.add_scatter(x=xs, y=[*ys, ys[-1]], mode="lines", hoverinfo="skip", **how)

    if band:
        edge = {"width": 0, "shape": "hv", "color": BAND}
        line([low for low, _ in band], line=edge, showlegend=False, name="band, lower end")
        line([high for _, high in band], line=edge, fill="tonexty", fillcolor=BAND, name="95% of the frontier")
    line([score for _, score in steps], line={"color": MUTED, "width": 1.5, "shape": "hv"}, name="frontier")


def _bars(
    row: Mapping[str, Any], bar: Mapping[str, Any] | None, scale: Mapping[str, Any], look: Look
) -> dict[str, dict[str, Any]]:
    """The upright bar of the difference from the market price, and the level one of the cost."""
    found = {}
    if bar is not None:
        found["error_y"] = _bar(0.0, bar["low"] - bar["delta"], bar["high"] - bar["delta"], look)
    if row.get("cost_low") is not None and row["cost"] > 0:
        ends = (scale["place"](max(row["cost_low"], 1e-9)), scale["place"](row["cost_high"]))
        found["error_x"] = _bar(scale["place"](row["cost"]), *ends, look)
    return found


def _bar(at: float, low: float, high: float, look: Look) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [max(0.0, high - at)],
        "arrayminus": [max(0.0, at - low)],
        "color": look.color,
        "thickness": 1.2,
        "width": 4,
    }


def _ends(row: Mapping[str, Any]) -> str:
    if row.get("low") is None:
        return f"{number(row['brier'])} (no interval: {row.get('reason') or 'not known'})"
    return f"{number(row['brier'])} [{number(row['low'])}, {number(row['high'])}]"


def _place(row: Mapping[str, Any]) -> str:
    where = {True: ", on the frontier", False: ", dominated"}.get(row.get("on_frontier"), "")  # type: ignore[arg-type]
    return where + (f" (in {row['probability']:.0%} of resamples)" if row.get("probability") is not None else "")


def _said(row: Mapping[str, Any], bar: Mapping[str, Any] | None = None) -> str:
    lines = [f"<b>{plain(row['configuration'])}</b>", f"Brier {plain(_ends(row))}"]
    if row["configuration"] != REFERENCE:
        cost = usd(row.get("cost"))
        if row.get("cost_low") is not None:
            cost += f" [{usd(row['cost_low'])}, {usd(row['cost_high'])}]"
        lines.append(f"{cost} per market")
        if row.get("dominated_by"):
            lines.append(f"dominated by {plain(', '.join(row['dominated_by']))}")
        if row.get("probability") is not None:
            lines.append(f"on the frontier in {row['probability']:.0%} of resamples")
    if bar is not None:
        word = "better" if bar["delta"] < 0 else "worse"
        span = f"[{number(bar['low'])}, {number(bar['high'])}]"
        lines.append(f"minus the market price: {number(bar['delta'])} {span}, so {word}")
    lines.append(counted(row.get("n_markets") or 0, "market"))
    return "<br>".join(lines)
