"""One market: its price over time, the as-of line, and beside that line what every configuration said."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from coordeval.analysis.base.numerals import number
from coordeval.analysis.figures.style import INK, MUTED, Look, Picture, canvas, marker, plain, short

_POINTS = 600


def price_path(
    prices: pl.DataFrame,
    forecasts: Sequence[Mapping[str, Any]],
    as_of: datetime | None,
    look: Mapping[str, Look],
    *,
    outcome: int | None,
    simulated: bool,
) -> Picture:
    """`prices`: knowable_at, price. `forecasts`: configuration, replicate, probability (null where it failed), link.

    Prices after as-of are drawn faint: no agent saw them. Of more than 600 points the last of each equal step is kept.
    """
    points = _thinned(prices.drop_nulls().sort("knowable_at"))
    figure = canvas(
        "Price and forecasts", "probability of YES; right of the line: forecasts", simulated=simulated, height=420
    )
    start = points["knowable_at"][0] if points.height else as_of
    end = points["knowable_at"][-1] if points.height else as_of
    if as_of is not None:
        end = max(end, as_of) if end is not None else as_of
    span = (end - start) if start is not None and end is not None and end > start else timedelta(days=1)
    for seen, part in (
        (True, points.filter(pl.col("knowable_at") <= as_of) if as_of is not None else points),
        (False, points.filter(pl.col("knowable_at") > as_of) if as_of is not None else points.clear()),
    ):
        if part.height:
            figure.add_scatter(
                x=part["knowable_at"].to_list(),
                y=part["price"].to_list(),
                mode="lines" if part.height > 1 else "markers",
                line={
                    "color": INK if seen else MUTED,
                    "width": 1.6 if seen else 1,
                    "shape": "hv",
                    "dash": None if seen else "dot",
                },
                marker={"color": INK if seen else MUTED},
                name="market price" if seen else "market price, later than as-of",
                hovertemplate="%{x|%Y-%m-%d %H:%M}: %{y:.3f}<extra></extra>",
            )
    names = list(dict.fromkeys(str(row["configuration"]) for row in forecasts))
    said = []
    for i, name in enumerate(names):
        mine = [row for row in forecasts if row["configuration"] == name and row["probability"] is not None]
        if not mine or as_of is None:
            continue
        at = as_of + span * 0.03 * (i + 1)
        figure.add_scatter(
            x=[at] * len(mine),
            y=[row["probability"] for row in mine],
            mode="markers",
            name=short(name),
            marker=marker(look[name], size=11),
            customdata=[row.get("link", "") for row in mine],
            text=[f"<b>{plain(name)}</b><br>replicate {row['replicate']}: {row['probability']:.3f}" for row in mine],
            hovertemplate="%{text}<extra></extra>",
        )
        said.append(f"{name} " + ", ".join(number(row["probability"], 3) for row in mine))
    if as_of is not None:
        figure.add_vline(x=as_of, line={"color": MUTED, "width": 1.2, "dash": "dash"})
        figure.add_annotation(
            text="as of", x=as_of, y=1, yref="paper", yanchor="bottom", showarrow=False, font={"color": MUTED, "size": 12}
        )
        right = max(end, as_of + span * 0.03 * (len(names) + 1)) if end is not None else as_of
        figure.update_xaxes(range=[start, right + span * 0.02], type="date")
    figure.update_yaxes(range=(-0.03, 1.03), tickvals=[0, 0.25, 0.5, 0.75, 1], title={"text": "probability of YES"})
    ended = "not resolved" if outcome is None else f"resolved {'YES' if outcome else 'NO'}"
    caption = (
        f"The market {ended}. Line: the price as it was known; agents could see it up to the dashed line. Right of it each "
        "column is a configuration, each mark a replicate; a click leads to its conversation."
    )
    if not points.height:
        caption += " No price history is stored for this market."
    first, last = (points["price"][0], points["price"][-1]) if points.height else (None, None)
    alt = f"Price from {number(first, 3)} to {number(last, 3)}; {ended}. Forecasts: {'; '.join(said) or 'none'}."
    return Picture("price-path", "Price and forecasts", figure.figure(), caption, alt)


def _thinned(prices: pl.DataFrame) -> pl.DataFrame:
    if prices.height <= _POINTS:
        return prices
    step = prices.height / _POINTS
    return (
        prices.with_row_index("i")
        .group_by((pl.col("i") / step).floor().alias("g"), maintain_order=True)
        .last()
        .drop("g", "i")
    )
