"""Does a model that sees nothing but the question know the answer by heart?"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats
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
    needed,
    nothing,
    outcome_array,
    points,
    rest_rate,
    squared_error,
)
from coordeval.analysis.leaks.training_cutoff import boundary


@dataclass(frozen=True, slots=True, kw_only=True)
class Memorisation(Probe):
    """`value` is the Brier gain over the base rate on markets resolved until the cutoff, of a probe that saw nothing.

    Positive means that it knows; general knowledge does too, so `after`, where nothing can be remembered, is the control.
    """

    cutoff: date | None
    brier: Estimate
    """Of the probe, until the cutoff."""
    over_chance: Estimate
    """0.25 − `brier`: the gain over 0.5 for all."""
    after: Estimate
    """The gain over the base rate on markets resolved later."""
    beyond_control: Estimate
    """`value` − `after`."""


@asked
def memorisation(
    frame_probe: pl.DataFrame,
    frame: pl.DataFrame,
    *,
    cutoff: date | None,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> Memorisation:
    """Does a model that sees no tools, no price and no evidence beat the base rate where it may remember the outcome?

    `frame_probe`: one row per forecast of the probe arm: market_id, probability. `frame` holds the study's markets:
    market_id, event_id, outcome, resolved_at. The base rate is that of the other events on the same side of the cutoff.

    Gains are in Brier points, (ȳ − y)² − (p − y)² on average.

    Raises:
        AnalysisError: the probe answered a market that `frame` does not have, or what all probes raise.

    >>> from datetime import date
    >>> from coordeval.analysis import example, memorisation
    >>> probe = example().filter(configuration="single_agent").select("market_id", "probability")
    >>> found = memorisation(probe, example(), cutoff=date(2026, 4, 10), resamples=500)
    >>> found.n, round(found.value, 3), round(found.after.value, 3), round(found.beyond_control.value, 3)
    (16, 0.121, -0.016, 0.136)
    """
    draw = Draw(n=resamples, seed=seed, level=level)
    markets = market_frame(frame, ("event_id", "outcome", "resolved_at"))
    asked = needed(frame_probe, ("market_id", "probability"))
    if (stray := asked.join(markets, on="market_id", how="anti")).height:
        raise AnalysisError(
            f"market {stray['market_id'][0]}: the probe answered it, and the study's frame does not have it; "
            "give the frame of the study that the probe belongs to"
        )
    facts = asked.join(markets.select("market_id", "outcome"), on="market_id", how="left")
    left, covered = keep(
        markets.join(squared_error(facts), on="market_id", how="left"),
        ("unresolved", pl.col("outcome").is_not_null()),
        ("not answered by the probe", pl.col("squared").is_not_null()),
        ("when it resolved is not known", pl.col("resolved_at").is_not_null()),
    )
    later = covered.select(after=pl.col("resolved_at") >= boundary(cutoff))["after"].cast(pl.Float64).to_numpy()
    y, squared = outcome_array(covered), covered["squared"].to_numpy()
    gain = (rest_rate(y, later, covered["event_id"], alike=True) - y) ** 2 - squared
    unknown = np.isnan(gain)  # the only event on its side: there is no base rate of others
    gain = np.where(unknown, 0, gain)
    early = 1 - later
    columns = np.stack([early, squared * early, gain * early, early * ~unknown, gain * later, later * ~unknown], axis=1)
    value, after, beyond, brier, chance = estimates(columns, covered["event_id"], _remembered, 5, draw)
    n = int(np.sum(later == 0))
    reason = first(
        (cutoff is None, "the training cutoff is not known"),
        (not y.size, nothing(left, markets.height, "market")),
        (n == 0, f"no market that the probe answered resolved until {cutoff}"),
        (value.value is None, "all of them are one event: there is no base rate of others"),
    )
    if reason:
        verdict = f"Whether the model remembers outcomes is not known: {reason}."
    else:
        verdict = (
            f"Without tools, price or evidence the model's Brier gain over the base rate is {points(value)} on "
            f"{counted(n, 'market')} that resolved until {cutoff}, and {points(after)} on later ones."
        )
    undefined = Estimate(value=None, reason=reason)
    return Memorisation(
        **because(value, reason),
        n=0 if cutoff is None else n,
        n_events=0 if cutoff is None else covered.filter(pl.Series(later == 0))["event_id"].n_unique(),
        left_out=left,
        says=verdict,
        cutoff=cutoff,
        brier=undefined if reason else brier,
        over_chance=undefined if reason else chance,
        after=undefined if cutoff is None else after,
        beyond_control=undefined if reason else beyond,
    )


def _remembered(sums: Floats) -> Floats:
    n, squared, gain, known, late_gain, late_known = (sums[:, i] for i in range(6))
    value, after, brier = ratio(gain, known), ratio(late_gain, late_known), ratio(squared, n)
    return np.stack([value, after, value - after, brier, 0.25 - brier], axis=1)
