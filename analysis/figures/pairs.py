"""Two forecasters market by market: where they agree, where they do not, and who was nearer to the truth."""

from collections.abc import Callable

import polars as pl

from coordeval.analysis.base.numerals import number
from coordeval.analysis.figures.style import HUES, MUTED, Picture, canvas, plain, short

MOST = 2000
"""Markets of which each has a mark of its own."""
_GRID = 40


def side_by_side(
    rows: pl.DataFrame,
    names: tuple[str, str],
    *,
    simulated: bool,
    caption: str,
    link: Callable[[str], str] | None = None,
) -> Picture | None:
    """`rows`: market_id, question, first, second (forecasts), outcome (0 or 1). On the diagonal both said the same.

    Of more than `MOST` markets a mark is a cell of `grid`, the larger the more markets it holds. `link`: where a click on
    the mark of a market leads.
    """
    known = rows.drop_nulls(["first", "second", "outcome"])
    if known.is_empty():
        return None
    gridded = known.height > MOST
    figure = canvas("Market by market", "shaded quarters: they stand on different sides", simulated=simulated, height=520)
    for x0, y0 in ((0.0, 0.5), (0.5, 0.0)):
        figure.add_shape(
            type="rect",
            x0=x0,
            x1=x0 + 0.5,
            y0=y0,
            y1=y0 + 0.5,
            fillcolor=MUTED,
            opacity=0.07,
            line={"width": 0},
            layer="below",
        )
    figure.add_shape(type="line", x0=0, y0=0, x1=1, y1=1, line={"color": MUTED, "width": 1, "dash": "dot"})
    counted = grid(known) if gridded else known
    for outcome, word, color, symbol in ((1, "YES", HUES[0], "circle"), (0, "NO", HUES[1], "x")):
        part = counted.filter(pl.col("outcome") == outcome)
        if part.is_empty():
            continue
        size, text, follow = 8.0, [], []
        if gridded:
            sizes = (4 + 14 * (part["markets"].to_numpy() / part["markets"].max()) ** 0.5).tolist()
            text = [f"{n:,} markets, ended {word}" for n in part["markets"]]
        else:
            sizes = size
            text = [
                f"<b>{plain(q[:90])}</b><br>{plain(names[0])} {a:.3f}<br>{plain(names[1])} {b:.3f}<br>ended {word}"
                for q, a, b in part.select("question", "first", "second").iter_rows()
            ]
            follow = [link(market) for market in part["market_id"]] if link else []
        figure.add_scatter(
            x=part["first"].to_list(),
            y=part["second"].to_list(),
            mode="markers",
            name=f"ended {word}",
            marker={"color": color, "symbol": symbol, "size": sizes, "opacity": 0.75},
            text=text,
            customdata=follow or None,
            hovertemplate="%{text}<extra></extra>",
        )
    axis = {"range": (-0.03, 1.03), "tickvals": [0, 0.25, 0.5, 0.75, 1]}
    figure.update_xaxes(**axis, title={"text": short(names[0], 44)})
    figure.update_yaxes(**axis, title={"text": short(names[1], 44)})
    crossed = known.filter((pl.col("first") - 0.5) * (pl.col("second") - 0.5) < 0).height
    mean = known.select(
        ((pl.col("first") - pl.col("outcome")) ** 2 - (pl.col("second") - pl.col("outcome")) ** 2).mean()
    ).item()
    alt = (
        f"Scatter of {known.height:,} markets, {names[0]} across and {names[1]} up. On {crossed:,} they stand on different "
        f"sides of 0.5. Mean difference of squared errors {number(mean)}."
    )
    return Picture("side-by-side", "Market by market", figure.figure(), caption, alt)


def grid(rows: pl.DataFrame) -> pl.DataFrame:
    """first, second (the middle of a cell of a 40 by 40 grid), outcome, markets: how many of `rows` lie in each cell."""
    cell = [((pl.col(c) * _GRID).floor().clip(0, _GRID - 1) + 0.5) / _GRID for c in ("first", "second")]
    known = rows.drop_nulls(["first", "second", "outcome"]).with_columns(cell)
    return known.group_by("first", "second", "outcome").agg(markets=pl.len()).sort("outcome", "first", "second")
