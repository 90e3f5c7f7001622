"""Are forecasts better on what the model's training can have seen? With the dated table of training cutoffs."""

import tomllib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.agents.capabilities import base_id
from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import Floats
from coordeval.analysis.base.numerals import counted
from coordeval.analysis.base.resampling import ratio
from coordeval.analysis.leaks.probes import (
    Draw,
    Estimate,
    Probe,
    because,
    estimates,
    first,
    keep,
    market_frame,
    nothing,
    points,
    squared_error,
)

_WHICH: Final = {"resolved_at": "that resolved", "as_of": "whose as-of is"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Split(Probe):
    """`value` is `after` − `before`: positive where forecasts are worse on what training cannot have seen."""

    n_before: int
    n_after: int
    before: Estimate
    after: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingCutoff(Split):
    """Mean squared error (Brier) before and after the cutoff, by the time of resolution."""

    cutoff: date | None
    by_as_of: Split
    """The same by as-of: what was forecast for a time that training covers is before, however late it resolved."""
    against_price: Split
    """By resolution, of (p − y)² − (m − y)²: the market had to face the same questions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutoff:
    """Until when a model's training data reach; None with a reason where that is not known."""

    model: str
    cutoff: date | None
    source: str
    reason: str | None


@asked
def training_cutoff(
    frame: pl.DataFrame, cutoff: date | None, *, resamples: int = 10_000, seed: int = 0, level: float = 0.95
) -> TrainingCutoff:
    """Scores before and after the model's training cutoff, the whole day of `cutoff` (UTC) being before.

    `frame`: one row per forecast of one model: market_id, event_id, probability, outcome, market_price, resolved_at, as_of.
    A market counts once, with the mean over its forecasts. Other questions are asked later, so `value` alone is no proof:
    `against_price` takes out what was harder for the market too.
    Scores are in Brier points. Raises AnalysisError where a column is absent or a market has two values of a fact.

    >>> from datetime import date
    >>> from coordeval.analysis import example, training_cutoff
    >>> found = training_cutoff(example().filter(configuration="single_agent"), date(2026, 4, 10), resamples=500)
    >>> found.n_before, found.n_after, round(found.before.value, 3), round(found.after.value, 3), round(found.value, 3)
    (16, 24, 0.162, 0.249, 0.087)
    """
    draw = Draw(n=resamples, seed=seed, level=level)
    facts = ("event_id", "outcome", "market_price", "resolved_at", "as_of")
    markets = market_frame(frame, facts).join(squared_error(frame), on="market_id", how="left")
    squared = pl.col("squared")
    excess = squared - (pl.col("market_price") - pl.col("outcome")) ** 2
    headline = _split(markets, "resolved_at", squared, "Brier score", cutoff, draw)
    return TrainingCutoff(
        **{name: getattr(headline, name) for name in Split.__dataclass_fields__},
        cutoff=cutoff,
        by_as_of=_split(markets, "as_of", squared, "Brier score", cutoff, draw),
        against_price=_split(markets, "resolved_at", excess, "Brier score less the market price's", cutoff, draw),
    )


def _split(markets: pl.DataFrame, column: str, score: pl.Expr, name: str, cutoff: date | None, draw: Draw) -> Split:
    left, covered = keep(
        markets.with_columns(score=score),
        ("unresolved", pl.col("outcome").is_not_null()),
        ("no forecast, or no price to compare it with", pl.col("score").is_not_null()),
        (f"{column} is not known", pl.col(column).is_not_null()),
    )
    after = covered.select(after=pl.col(column) >= boundary(cutoff))["after"].cast(pl.Float64).to_numpy()
    columns = np.stack([1 - after, after, *(covered["score"].to_numpy() * part for part in (1 - after, after))], axis=1)
    change, early, late = estimates(columns, covered["event_id"], _change, 3, draw)
    n_after = int(after.sum())
    n_before = covered.height - n_after
    reason = first(
        (cutoff is None, "the training cutoff is not known"),
        (covered.is_empty(), nothing(left, markets.height, "market")),
        (n_before == 0, f"{column} is later than {cutoff} for every market"),
        (n_after == 0, f"{column} is not later than {cutoff} for any market"),
    )
    undefined = Estimate(value=None, reason=reason)
    return Split(
        **because(change, reason),
        n=covered.height,
        n_events=covered["event_id"].n_unique(),
        left_out=left,
        says=f"How the {name} changes with the training cutoff is not known: {reason}."
        if reason
        else f"The {name} is {early.value:.3f} on {counted(n_before, 'market')} {_WHICH[column]} until {cutoff} "
        f"and {late.value:.3f} on {n_after} later ones, a change of {points(change)}.",
        n_before=n_before if cutoff else 0,
        n_after=n_after,
        before=early if cutoff else undefined,
        after=late if cutoff else undefined,
    )


def _change(sums: Floats) -> Floats:
    early, late = (ratio(sums[:, 2 + i], sums[:, i]) for i in range(2))
    return np.stack([late - early, early, late], axis=1)


@asked
def cutoff_of(model: str) -> Cutoff:
    """The last day of the training data of `model`, from the dated table `analysis/data/cutoffs.toml`.

    >>> from coordeval.analysis import cutoff_of
    >>> cutoff_of("a-model-of-mine").reason
    'a-model-of-mine is not in the table of training cutoffs'
    """
    entry = _cutoffs().get(base_id(model))
    if entry is None:
        return Cutoff(model=model, cutoff=None, source="", reason=f"{model} is not in the table of training cutoffs")
    return Cutoff(model=model, cutoff=entry.get("cutoff"), source=entry.get("source", ""), reason=entry.get("reason"))


@cache
def _cutoffs() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files("coordeval.analysis").joinpath("data/cutoffs.toml").read_text(encoding="utf-8"))


def boundary(cutoff: date | None) -> datetime:
    """The first moment after the cutoff day."""
    day = date.max if cutoff is None else cutoff + timedelta(days=1)
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
