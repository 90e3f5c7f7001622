"""How much of the outcome does "it closed early" give away?"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

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
    outcome_array,
    percent,
    rest_rate,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyClosing(Probe):
    """`value` is the share of the outcome's variance that early closing explains, in [0, 1]."""

    n_early: int
    rate_early: Estimate
    """Share of YES among the markets that closed early."""
    rate_on_time: Estimate
    correlation: Estimate
    """Point-biserial, in [−1, 1]; `value` is its square."""
    auc: Estimate
    """Probability that a YES market closed early and a NO market did not, ties counting half."""
    brier: Estimate
    """Of the forecaster who knows only whether the market closed early."""
    brier_base: Estimate
    """Of the forecaster who knows only the base rate."""
    gain: Estimate
    """`brier_base` − `brier`."""


@asked
def early_closing(
    frame: pl.DataFrame,
    *,
    by: timedelta = timedelta(days=1),
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> EarlyClosing:
    """How much of the outcome "it closed early" gives away: whoever sees the actual end of a market sees this.

    `frame`: market_id, event_id, outcome, scheduled_close, closed_at, resolved_at. A market closed early where closed_at, or
    else resolved_at, is at least `by` before scheduled_close. Among n markets with e early, Σy = s and Σy over early = t,
    the share of variance is (n t − e s)²/(e (n − e) s (n − s)), the squared point-biserial correlation. Both Brier scores
    are out of sample: a market is forecast with the rates of all other events.
    Times are timezone-aware. Raises AnalysisError where a column is absent or a market has two values of a fact.

    >>> from coordeval.analysis import early_closing, example
    >>> found = early_closing(example(), resamples=500)
    >>> found.n, found.n_early, round(found.value, 2), found.rate_early.value, round(found.rate_on_time.value, 2)
    (40, 10, 0.41, 1.0, 0.27)
    """
    draw = Draw(n=resamples, seed=seed, level=level)
    markets = market_frame(frame, ("event_id", "outcome", "scheduled_close", "closed_at", "resolved_at"))
    ended = pl.coalesce("closed_at", "resolved_at")
    left, covered = keep(
        markets,
        ("unresolved", pl.col("outcome").is_not_null()),
        ("no scheduled close is known", pl.col("scheduled_close").is_not_null()),
        ("when it closed is not known", ended.is_not_null()),
    )
    covered = covered.with_columns(early=ended <= pl.col("scheduled_close") - by)
    y, early = outcome_array(covered), covered["early"].cast(pl.Float64).to_numpy()
    base = rest_rate(y, np.zeros_like(y), covered["event_id"])
    known = rest_rate(y, early, covered["event_id"])
    columns = np.stack([np.ones_like(y), early, y, early * y, (known - y) ** 2, (base - y) ** 2], axis=1)
    found = estimates(columns, covered["event_id"], _closing, 8, draw, share=0)
    n_early, yes = int(early.sum()), int(y.sum())
    reason = first(
        (not y.size, nothing(left, markets.height, "market")),
        (n_early == 0, f"none of the {y.size} markets closed early"),
        (n_early == y.size, f"all {y.size} markets closed early"),
        (yes in (0, y.size), f"all {y.size} markets resolved {'YES' if yes else 'NO'}"),
    )
    share, correlation, auc, rate_early, rate_on_time, brier, brier_base, gain = found
    says = (
        f"What share of the outcome early closing explains is not known: {reason}."
        if reason
        else f"Early closing explains {percent(share)} of the outcome's variance over {counted(y.size, 'market')}: "
        f"{percent(rate_early)} of the {n_early} early ones resolved YES, {percent(rate_on_time)} of the others."
    )
    return EarlyClosing(
        **because(share, reason),
        n=y.size,
        n_events=covered["event_id"].n_unique(),
        left_out=left,
        says=says,
        n_early=n_early,
        rate_early=rate_early,
        rate_on_time=rate_on_time,
        correlation=correlation,
        auc=auc,
        brier=brier,
        brier_base=brier_base,
        gain=gain,
    )


def _closing(sums: Floats) -> Floats:
    n, early, yes, both, known, base = (sums[:, i] for i in range(6))
    covariance, variance = n * both - early * yes, early * (n - early) * yes * (n - yes)
    auc = (1 + ratio(both, yes) - ratio(early - both, n - yes)) / 2
    rates = ratio(both, early), ratio(yes - both, n - early)
    scores = ratio(known, n), ratio(base, n), ratio(base - known, n)
    return np.stack([ratio(covariance**2, variance), ratio(covariance, np.sqrt(variance)), auc, *rates, *scores], axis=1)
