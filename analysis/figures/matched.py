"""The picture of coordination against plain sampling: the expected score of k forecasts, and what the same money bought."""

from collections.abc import Mapping

import polars as pl

from coordeval.analysis.base.numerals import counted, number, usd
from coordeval.analysis.cost.compute_matched import ComputeMatched
from coordeval.analysis.figures.axes import money_axis, padded, score_ticks
from coordeval.analysis.figures.style import INK, Look, Picture, canvas, marker, plain, short


def matched_curve(
    found: ComputeMatched,
    look: Mapping[str, Look],
    *,
    simulated: bool,
    missing: str,
    price: float | None = None,
) -> Picture | None:
    """E_k over its cost, and each configuration at its own cost with the paired interval of its premium.

    `price`: the Brier score of the market price, drawn as a dashed line.
    None where there is nothing to draw: no draws by one agent, or no known price.
    """
    rows = [row for row in found.table.iter_rows(named=True) if row["premium"] is not None]
    curve = found.curve.filter(pl.col("cost").is_not_null() & pl.col("brier").is_not_null()).sort("k").to_dicts()
    if not rows or not curve or found.exact is None or found.cost is None:
        return None
    dearest = max([row["cost"] for row in rows])
    if dearest > curve[-1]["cost"]:  # the line goes on to what was spent
        k = dearest / found.cost
        curve.append({"k": k, "cost": dearest, "brier": found.exact.brier(k)})
    scale = money_axis([*(row["cost"] for row in rows), *(point["cost"] for point in curve)])
    place = scale["place"]
    figure = canvas("Against plain sampling", "line: the mean of k forecasts by one agent each", simulated=simulated)
    figure.add_scatter(
        x=[place(point["cost"]) for point in curve],
        y=[point["brier"] for point in curve],
        mode="lines+markers",
        line={"color": INK, "width": 1.5},
        marker={"color": INK, "size": 4},
        name="plain sampling",
        text=[f"k = {point['k']:.3g}: Brier {point['brier']:.4f}, {usd(point['cost'])}" for point in curve],
        hovertemplate="%{text}<extra></extra>",
    )
    if price is not None:
        figure.add_scatter(
            x=[scale["start"], scale["end"]],
            y=[price, price],
            mode="lines",
            line={"color": INK, "width": 1.2, "dash": "dash"},
            name=f"market price {price:.4f}",
            hoverinfo="skip",
        )
    for row in rows:
        name, at = row["configuration"], place(row["cost"])
        if row["low"] is not None:
            figure.add_scatter(
                x=[at, at],
                y=[row["matched"] - row["high"], row["matched"] - row["low"]],
                mode="lines",
                line={"color": look[name].color, "width": 1.5},
                hoverinfo="skip",
                showlegend=False,
            )
        ends = "" if row["low"] is None else f"<br>[{number(row['low'])}, {number(row['high'])}]"
        figure.add_scatter(
            x=[at],
            y=[row["brier"]],
            mode="markers",
            name=short(name),
            marker=marker(look[name]),
            text=[f"<b>{plain(name)}</b><br>Brier {row['brier']:.4f}<br>premium {number(row['premium'])}{ends}"],
            hovertemplate="%{text}<extra></extra>",
            cliponaxis=False,
        )
    scores = [row["brier"] for row in rows] + ([] if price is None else [price]) + [point["brier"] for point in curve]
    scores += [row["matched"] - row[end] for row in rows for end in ("low", "high") if row[end] is not None]
    figure.update_yaxes(**score_ticks(*padded(scores, 0.08)), title={"text": "Brier score (less is better)"})
    figure.update_xaxes(title={"text": "USD per market (full price)"}, **scale["axis"])
    caption = (
        f"The line is E(k) = V/k + C(1 − 1/k), the expected Brier score of the mean of k independent forecasts, over "
        f"{counted(found.exact.n_markets, 'market')} at {usd(found.cost)} each. A configuration below the line did "
        f"better than plain sampling for the same money, by its premium. The bar is the interval of the premium "
        f"({found.level:.0%}; {found.n:,} resamples of events), paired with the line: where it crosses the line, the two "
        "are not told apart."
    )
    alt = f"Curve from {curve[0]['brier']:.4f} at {usd(curve[0]['cost'])} to {curve[-1]['brier']:.4f}. " + "; ".join(
        f"{row['configuration']}: {usd(row['cost'])}, Brier {row['brier']:.4f}, premium {number(row['premium'])}"
        for row in rows
    )
    return Picture("matched", "Against plain sampling", figure.figure(), f"{caption} {missing}", alt)
