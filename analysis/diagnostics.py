"""What stands behind a headline: what talking did, other pools, the price, single markets, missing forecasts, time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import polars as pl

from analysis.coordination import AGGREGATIONS, Coordination, coordination
from analysis.frames import Scored
from analysis.influence import Influence, influence, missing_bounds
from analysis.pooling import Pooling, pooling
from analysis.record import Record
from analysis.sequential import Sequences, sequences
from analysis.tracking import Tracking, tracking

RESAMPLES: Final = 2000
"""Resamples of events of these measures at most: the headline's comparisons have more."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics:
    """A part is None where `reasons` says why."""

    coordination: Coordination | None
    pooling: Pooling | None
    tracking: Tracking | None
    influence: Influence | None
    bounds: pl.DataFrame | None
    """See `analysis.influence.missing_bounds`."""
    sequences: Sequences | None
    resamples: int
    seed: int
    reasons: dict[str, str]
    """Part -> why it is None."""


def diagnose(cells: pl.DataFrame, kept: Scored, record: Record, *, n: int = RESAMPLES, seed: int = 0) -> Diagnostics:
    """The measures of `cells`, of which `kept` are scored, with what `record` adds; `n` resamples of events from `seed`.

    Raises:
        AnalysisError: a frame breaks a rule.

    >>> from analysis import Record, diagnose, example, example_estimates, scored
    >>> found = diagnose(example(), scored(example()), Record(estimates=example_estimates()), n=200)
    >>> round(found.coordination.gain.filter(configuration="peer_critique_debate", measure="gain")["estimate"][0], 3)
    -0.001
    >>> diagnose(example(), scored(example()), Record(), n=200).reasons["coordination"]
    'what agents said on the way was not recorded'
    """
    reasons: dict[str, str] = {}

    def part(name: str, why: str, make: Callable[[], T]) -> T | None:
        if why:
            reasons[name] = why
            return None
        return make()

    unscored = "" if kept.n_markets else f"no resolved market passes the policy {kept.policy}"
    unresolved = "" if cells["outcome"].null_count() < cells.height else "no market is resolved"
    said = record.estimates
    unsaid = unresolved or ("what agents said on the way was not recorded" if said is None or said.is_empty() else "")
    how: dict[str, Any] = {"n": n, "seed": seed}
    estimates = pl.DataFrame() if said is None else said
    return Diagnostics(
        coordination=part(
            "coordination",
            unsaid,
            lambda: coordination(estimates, aggregation={**AGGREGATIONS, **record.aggregation}, **how),
        ),
        pooling=part("pooling", unsaid, lambda: pooling(estimates, **how)),
        tracking=part("tracking", unscored, lambda: tracking(kept, **how)),
        influence=part("influence", unscored, lambda: influence(kept, **how)),
        bounds=part("bounds", unresolved, lambda: missing_bounds(cells)),
        sequences=part("sequences", unscored, lambda: sequences(kept, order=record.order)),
        resamples=n,
        seed=seed,
        reasons=reasons,
    )
