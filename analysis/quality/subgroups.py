"""Results by category and by decile of the market price, each cell drawn towards the others by how little it knows."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import Floats, Ints, at_least, chosen
from coordeval.analysis.base.events import clustered_error
from coordeval.analysis.base.frames import Scored
from coordeval.analysis.base.grid import PRICE, Grid, grid
from coordeval.analysis.base.numerals import SAME
from coordeval.analysis.base.resampling import ratio
from coordeval.analysis.quality.decomposition import Edges, bin_index
from coordeval.analysis.quality.shrinkage import FEWEST, shrink

MEASURES: Final = ("brier", "delta_market", "bias")
FEWEST_EVENTS: Final = 5
"""Events that a cell needs: with fewer its standard error is a guess from four numbers."""
_NUMBERS: Final = ("mean", "sem", "estimate", "low", "high", "p_value")
_SCHEMA: Final[dict[str, Any]] = {
    **dict.fromkeys(("configuration", "measure", "by", "cell"), pl.String),
    **dict.fromkeys(("n_markets", "n_events"), pl.Int64),
    **dict.fromkeys(_NUMBERS, pl.Float64),
    "reason": pl.String,
}
_SPREADS: Final[dict[str, Any]] = {
    **dict.fromkeys(("configuration", "measure", "by"), pl.String),
    **dict.fromkeys(("cells", "pooled"), pl.Int64),
    **dict.fromkeys(("mean", "mean_sem", "tau2", "q", "p_value"), pl.Float64),
    "reason": pl.String,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgroups:
    """Every cell of every configuration and of the market price, and how far the cells differ beyond chance."""

    table: pl.DataFrame
    """configuration, measure (MEASURES), by, cell, n_markets, n_events, mean, sem, estimate, low, high, p_value, reason.

    `by`: `category`, or `price` with cells named by the least and the greatest price in them. Measures: `brier`;
    `delta_market`, Brier − Brier of the market price on the same markets; `bias`, mean p − y. `mean`, `sem`: of the cell
    by itself, clustered by event. `estimate`, `low`, `high`, `p_value` (that it is 0, not corrected): after pooling, see
    `quality.shrinkage.shrink`. `reason`: of every null.
    """
    spreads: pl.DataFrame
    """configuration, measure, by, cells, pooled, mean, mean_sem, tau2, q, p_value (that all cells are one), reason.

    `pooled` of the `cells` have a number; `tau2` is the variance of their true values.
    """
    left_out: dict[str, int]
    """`by` -> markets that are in none of its cells, because their category or price is not known."""
    fewest_events: int
    level: float


@asked
def subgroups(
    scored: Scored,
    *,
    deciles: int = 10,
    edges: Edges = "quantile",
    fewest_events: int = FEWEST_EVENTS,
    level: float = 0.95,
    measures: Collection[str] = MEASURES,
) -> Subgroups:
    """Cell means with partial pooling; a market is the mean of its replicates. `edges`: how prices are cut into `deciles`.

    The standard error of a cell's mean and its degrees of freedom: `base.events.clustered_error`. Cells count as
    independent, although an event may have markets in two deciles. A cell has a reason instead of numbers where it has
    fewer than `fewest_events` events, where all its outcomes are one (the standard error would not know what one
    surprise does), and where its values are all the same. Fewer than three cells are not pooled.

    Raises:
        AnalysisError: nothing is scored, or an option is out of its range.

    >>> import polars as pl
    >>> from coordeval.analysis import SCHEMA, scored, subgroups
    >>> n = 30
    >>> frame = pl.DataFrame({"market_id": [f"m{i:02}" for i in range(n)], "outcome": [int(i % 4 == 0) for i in range(n)]})
    >>> frame = frame.with_columns(probability=pl.Series([0.1 + 0.02 * i for i in range(n)]), event_id="market_id")
    >>> frame = frame.with_columns(category=pl.Series([("sport", "politics", "weather")[i % 3] for i in range(n)]))
    >>> frame = frame.with_columns(configuration=pl.lit("a"), status=pl.lit("answered"), replicate=0, simulated=True)
    >>> frame = frame.with_columns(pl.lit(None).alias(name) for name in SCHEMA if name not in frame.columns)
    >>> found = subgroups(scored(frame)).table.filter(measure="bias", by="category")
    >>> found.select("cell", "n_events", pl.col("mean", "estimate").round(2)).rows()
    [('politics', 10, 0.09, 0.11), ('sport', 10, 0.07, 0.1), ('weather', 10, 0.21, 0.17)]
    """
    for measure in measures:
        chosen("measure", measure, MEASURES)
    at_least("deciles", deciles, 1)
    at_least("fewest_events", fewest_events, 2)
    sample = grid(scored)
    cells = _cells(sample, scored, deciles=deciles, edges=edges)
    rows: list[dict[str, Any]] = []
    spreads: list[dict[str, Any]] = []
    for c, name in enumerate(sample.configurations):
        for measure, values in ((m, v) for m, v in _values(sample, c).items() if m in measures):
            for by, (labels, index) in cells.items():
                head = {"configuration": name, "measure": measure, "by": by}
                mine = [
                    head | {"cell": label} | _cell(sample, values, np.flatnonzero(index == k), fewest_events)
                    for k, label in enumerate(labels)
                ]
                spreads.append(head | _pool(mine, level=level))
                rows += mine
    return Subgroups(
        table=pl.DataFrame([{column: row.get(column) for column in _SCHEMA} for row in rows], schema=_SCHEMA),
        spreads=pl.DataFrame([{column: row.get(column) for column in _SPREADS} for row in spreads], schema=_SPREADS),
        left_out={by: int(np.sum(index < 0)) for by, (_, index) in cells.items()},
        fewest_events=fewest_events,
        level=level,
    )


def _cells(sample: Grid, scored: Scored, *, deciles: int, edges: Edges) -> dict[str, tuple[list[str], Ints]]:
    """What the markets are grouped by -> names of the cells, and the cell of each market, −1 where there is none."""
    categories = dict(scored.frame.select("market_id", "category").unique().iter_rows())
    of = [categories[market] for market in sample.markets]
    names = sorted({name for name in of if name is not None})
    place = {name: k for k, name in enumerate(names)} | {None: -1}
    known = np.flatnonzero(~np.isnan(sample.price))
    price = np.full(len(sample.markets), -1, np.int64)
    labels = []
    if known.size:
        paid = sample.price[known]
        _, price[known] = np.unique(bin_index(paid, bins=deciles, edges=edges), return_inverse=True)
        labels = [
            f"{paid[price[known] == k].min():.3g} to {paid[price[known] == k].max():.3g}" for k in range(price.max() + 1)
        ]
    return {"category": (names, np.array([place[name] for name in of], np.int64)), "price": (labels, price)}


def _values(sample: Grid, c: int) -> dict[str, Floats]:
    """Measure -> what each market adds to it, NaN where it is not known."""
    p = sample.p[:, c]
    answers = np.sum(~np.isnan(p), axis=1)
    error = ratio(np.nansum((p - sample.y[:, None]) ** 2, axis=1), answers)
    found = {"brier": error, "bias": ratio(np.nansum(p, axis=1), answers) - sample.y}
    if sample.configurations[c] == PRICE:
        return found
    return {"brier": error, "delta_market": error - (sample.price - sample.y) ** 2, "bias": found["bias"]}


def _cell(sample: Grid, values: Floats, markets: Ints, fewest: int) -> dict[str, Any]:
    """The counts of a cell, and its mean and standard error or the reason why there are none."""
    markets = markets[~np.isnan(values[markets])]
    d, y = values[markets], sample.y[markets]
    event = np.unique(sample.event[markets], return_inverse=True)[1]
    events = int(event.max(initial=-1)) + 1
    row: dict[str, Any] = {"n_markets": d.size, "n_events": events}
    if events < fewest:
        return row | {"reason": f"too little data: {events} event{'s' * (events != 1)}, a cell needs {fewest}"}
    if np.ptp(y) == 0:
        said = "YES" if y[0] else "NO"
        return row | {"reason": f"all {d.size} markets resolved {said}: what one surprise would do is not known"}
    sem, df = clustered_error(d, event)
    if sem <= SAME:
        return row | {"reason": "it is the same on every market: a standard error cannot be estimated"}
    return row | {"mean": float(d.mean()), "sem": sem, "df": df}


def _pool(cells: list[dict[str, Any]], *, level: float) -> dict[str, Any]:
    """Adds the pooled estimates to the cells that have a mean; how far these differ."""
    known = [cell for cell in cells if "mean" in cell]
    counts = {"cells": len(cells), "pooled": len(known)}
    if len(known) < FEWEST:
        reason = f"{len(known)} cell{'s' * (len(known) != 1)} with enough data, pooling needs {FEWEST}"
        for cell in known:
            cell["reason"] = f"estimate, low, high, p_value: {reason}"
        return counts | {"reason": reason}
    found = shrink(
        [cell["mean"] for cell in known],
        [cell["sem"] ** 2 for cell in known],
        df=[cell["df"] for cell in known],
        level=level,
    )
    for k, cell in enumerate(known):
        cell |= {"estimate": float(found.estimate[k]), "low": float(found.low[k]), "high": float(found.high[k])}
        cell["p_value"] = float(found.p_zero[k])
    spread = {"mean": found.mean, "mean_sem": found.mean_sem, "tau2": found.tau2}
    return counts | spread | {"q": found.q, "p_value": found.p_value}
