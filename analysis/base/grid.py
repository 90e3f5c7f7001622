"""The scored forecasts of a study as arrays: what every resampled measure begins with."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from coordeval.analysis.base.checks import AnalysisError, Floats, Ints
from coordeval.analysis.base.frames import Scored
from coordeval.analysis.base.resampling import ratio

PRICE: Final = "market price"
"""The market price, measured as if it were a configuration: the name of its row in the leaderboard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The scored forecasts as arrays. Markets are sorted by event, so an event is a run of rows."""

    configurations: tuple[str, ...]
    """In alphabetical order, then the market price if one is known."""
    markets: tuple[str, ...]
    events: tuple[str, ...]
    replicates: tuple[int, ...]
    event: Ints
    """(markets,): the position of each market's event, nondecreasing."""
    y: Floats
    """(markets,): 0 or 1."""
    p: Floats
    """(markets, configurations, replicates); NaN where there is no forecast. A price stands in the first replicate."""
    price: Floats
    """(markets,); NaN where none is known."""

    def by_event(self, values: Floats) -> Floats:
        """Sums over the markets of each event: (markets, ...) -> (events, ...)."""
        return np.asarray(np.add.reduceat(values, np.flatnonzero(np.diff(self.event, prepend=-1)), axis=0), np.float64)

    def errors(self) -> Floats:
        """Squared errors, the mean over what replicates there are: (markets, configurations); NaN where there is none."""
        total = np.nan_to_num((self.p - self.y[:, None, None]) ** 2).sum(axis=2)
        return ratio(total, np.sum(~np.isnan(self.p), axis=2))


def grid(scored: Scored) -> Grid:
    """The scored forecasts, and the market price as one more configuration where a price is known.

    Raises:
        AnalysisError: nothing is scored, or a configuration has the name of the market price's row.
    """
    frame = scored.frame
    if frame.is_empty():
        raise AnalysisError(f"nothing is scored under the policy {scored.policy}: there must be one resolved, answered cell")
    names = frame["configuration"].unique().sort()
    if PRICE in names:
        raise AnalysisError(f"a configuration is called {PRICE!r}: that is the reference row; name it otherwise")
    markets = frame.unique("market_id").sort("event_id", "market_id")
    replicates = frame["replicate"].unique().sort()
    places = [
        frame[column].replace_strict(values, np.arange(len(values)), return_dtype=pl.Int64).to_numpy()
        for column, values in (
            ("market_id", markets["market_id"]),
            ("configuration", names),
            ("replicate", replicates),
        )
    ]
    price = markets["market_price"].fill_null(np.nan).to_numpy()
    priced = not np.isnan(price).all()
    p = np.full((markets.height, len(names) + priced, len(replicates)), np.nan)
    p[tuple(places)] = frame["probability"].to_numpy()
    if priced:
        p[:, -1, 0] = price
    return Grid(
        configurations=(*names, PRICE) if priced else tuple(names),
        markets=tuple(markets["market_id"].to_list()),
        events=tuple(markets["event_id"].unique(maintain_order=True).to_list()),
        replicates=tuple(replicates),
        event=markets["event_id"].rle_id().cast(pl.Int64).to_numpy(),
        y=markets["outcome"].cast(pl.Float64).to_numpy(),
        p=p,
        price=price,
    )


def units_of(sample: Grid, *, together: bool) -> tuple[Ints, list[Floats]]:
    """What is measured on its own, (markets, replicates), and whose it is: a replicate, or all of them where a mean of
    errors is wanted and no forecast is missing, which is the same and costs less."""
    owner, units = [], []
    for c in range(len(sample.configurations)):
        p = sample.p[:, c, ~np.isnan(sample.p[:, c]).all(axis=0)]
        mine = [p] if together and not np.isnan(p).any() else [p[:, [r]] for r in range(p.shape[1])]
        units += mine
        owner += [c] * len(mine)
    return np.array(owner), units
