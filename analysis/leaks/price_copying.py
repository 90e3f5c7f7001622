"""What share of the forecasts repeats the price that was shown?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import probabilities
from coordeval.analysis.base.numerals import SAME, counted
from coordeval.analysis.leaks.probes import (
    Draw,
    Estimate,
    Probe,
    because,
    estimates,
    first,
    keep,
    mean,
    needed,
    nothing,
    percent,
)

COPIED: Final = 0.005
"""A forecast this near to the price shown counts as a copy of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceCopying(Probe):
    """`value` is the share of forecasts within `COPIED` of the price shown."""

    by_configuration: Mapping[str, Estimate]


@asked
def price_copying(frame: pl.DataFrame, *, resamples: int = 10_000, seed: int = 0, level: float = 0.95) -> PriceCopying:
    """Share of forecasts with |p − m| ≤ 0.005, m the price shown: a copy, whatever the rationale says.

    `frame`: one row per forecast: configuration, market_id, event_id, probability, market_price.
    Raises AnalysisError where a column is absent, or a forecast or a price lies outside [0, 1].

    >>> from coordeval.analysis import example, price_copying
    >>> found = price_copying(example(), resamples=500)
    >>> found.n, found.left_out, round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (239, {'no forecast': 1}, 0.029, 0.008, 0.057)
    """
    draw = Draw(n=resamples, seed=seed, level=level)
    rows = needed(frame, ("configuration", "market_id", "event_id", "probability", "market_price"))
    left, covered = keep(
        rows,
        ("no forecast", pl.col("probability").is_not_null()),
        ("no price was shown", pl.col("market_price").is_not_null()),
    )
    for name in ("probability", "market_price") if covered.height else ():
        probabilities(covered[name].to_numpy(), name=name)
    copied = (pl.col("probability") - pl.col("market_price")).abs() <= COPIED + SAME
    covered = covered.with_columns(copied=copied.cast(pl.Float64))

    def share(part: pl.DataFrame) -> Estimate:
        columns = np.stack([np.ones(part.height), part["copied"].to_numpy()], axis=1)
        return estimates(columns, part["event_id"], mean, 1, draw)[0]

    reason = first((covered.is_empty(), nothing(left, rows.height, "forecast")))
    found = share(covered)
    return PriceCopying(
        **because(found, reason),
        n=covered.height,
        n_events=covered["event_id"].n_unique(),
        left_out=left,
        says=f"What share of the forecasts repeats the price is not known: {reason}."
        if reason
        else f"{percent(found)} of {counted(covered.height, 'forecast')} lie within {COPIED} of the price shown.",
        by_configuration={
            str(name): share(part) for (name,), part in sorted(covered.partition_by("configuration", as_dict=True).items())
        },
    )
