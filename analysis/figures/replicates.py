"""What sampling again changes: the score of every replicate of every configuration."""

from collections.abc import Mapping, Sequence

import polars as pl

from coordeval.analysis.figures.axes import padded, score_ticks
from coordeval.analysis.figures.style import INK, Look, Picture, canvas, marker, plain, short
from coordeval.analysis.study.leaderboard import REFERENCE


def replicates(
    table: pl.DataFrame, scores: Mapping[str, Sequence[float]], look: Mapping[str, Look], *, simulated: bool, missing: str
) -> Picture:
    """The Brier score of every replicate, one row per configuration: dots of one row differ by sampling noise alone.

    `scores` is configuration -> Brier score per replicate. Configurations whose dots overlap are not told apart here.
    """
    scored = table.filter(pl.col("brier").is_not_null()).to_dicts()
    rows = [r for r in scored if scores.get(r["configuration"]) and r["configuration"] != REFERENCE]
    market = next((r["brier"] for r in scored if r["configuration"] == REFERENCE), None)
    rows.sort(key=lambda r: (-r["brier"], r["configuration"]))
    figure = canvas(
        "Brier score of each replicate",
        "a dot for each replicate; less is better",
        simulated=simulated,
        height=150 + 42 * len(rows),
    )
    figure.update_layout(showlegend=False)
    names = [r["configuration"] for r in rows]
    for at, name in enumerate(names):
        values = list(scores[name])
        figure.add_scatter(
            x=[min(values), max(values)],
            y=[at, at],
            mode="lines",
            line={"color": look[name].color, "width": 2},
            hoverinfo="skip",
        )
        figure.add_scatter(
            x=values,
            y=[at] * len(values),
            mode="markers",
            marker=marker(look[name], size=11) | {"opacity": 0.85},
            name=short(name),
            text=[f"<b>{plain(name)}</b><br>replicate {k}: Brier {value:.4f}" for k, value in enumerate(values)],
            hovertemplate="%{text}<extra></extra>",
        )
    low, high = padded([v for name in names for v in scores[name]] + ([market] if market is not None else []), 0.1)
    if market is not None:
        figure.add_vline(x=market, line={"color": INK, "width": 1.2, "dash": "dash"}, layer="below")
        at = (market - low) / (high - low)
        figure.add_annotation(
            text=f"market price {market:.4f}",
            x=market,
            y=1,
            yref="paper",
            xanchor="left" if at < 0.3 else "right" if at > 0.7 else "center",
            yanchor="bottom",
            showarrow=False,
            font={"color": INK, "size": 12},
        )
    figure.update_xaxes(**score_ticks(low, high, about=4), title={"text": "Brier score"})
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[short(n) for n in names],
        range=(-0.7, len(names) - 0.3),
        ticks="",
        showgrid=True,
    )
    once = [name for name in names if len(scores[name]) < 2]
    caption = [
        "Nothing but sampling differs between the dots of one row: differences between rows of that size are not evidence."
    ]
    if once:
        caption.append(f"One replicate only, so the noise is not known: {', '.join(once)}.")
    alt = "Dot plot of Brier scores. " + "; ".join(
        f"{n}: {', '.join(f'{v:.4f}' for v in scores[n])}" for n in reversed(names)
    )
    return Picture("replicates", "What sampling again changes", figure.figure(), " ".join([*caption, missing]), alt)
