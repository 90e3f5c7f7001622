"""What stands behind a headline: what talking did, nulls, bins, pools, groups of markets, single and missing ones, time."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.frames import Scored, nothing_scored, scored
from coordeval.analysis.base.grid import PRICE
from coordeval.analysis.cost.compute_matched import LONE
from coordeval.analysis.differences.influence import Influence, influence, missing_bounds
from coordeval.analysis.differences.openings import Openings, openings
from coordeval.analysis.differences.sequential import Sequences, sequences
from coordeval.analysis.linked.coherence import Coherence, coherence
from coordeval.analysis.quality.adjusted import Adjusted, adjusted
from coordeval.analysis.quality.binning import Binning, binning
from coordeval.analysis.quality.second_split import SecondSplit, second_split
from coordeval.analysis.quality.subgroups import Subgroups, subgroups
from coordeval.analysis.quality.tracking import Tracking, tracking
from coordeval.analysis.study.record import Record
from coordeval.analysis.talk.coordination import AGGREGATIONS, Coordination, coordination
from coordeval.analysis.talk.groups import Groups, apart, groups_of
from coordeval.analysis.talk.pooling import Pooling, pooling

RESAMPLES: Final = 2000
"""Resamples of events of these measures at most: the headline's comparisons have more."""
_KEPT: Final = 1000
"""Markets of each pair whose influence is kept: the strongest. Nobody is shown more, and all of a large study take long."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics:
    """A part is None where `reasons` says why."""

    coordination: Coordination | None
    groups: Groups | None
    pooling: Pooling | None
    tracking: Tracking | None
    influence: Influence | None
    bounds: pl.DataFrame | None
    """See `analysis.differences.influence.missing_bounds`."""
    sequences: Sequences | None
    openings: Openings | None
    second_split: SecondSplit | None
    adjusted: Adjusted | None
    """Of all that each answered, whatever the policy."""
    subgroups: Subgroups | None
    binning: Binning | None
    coherence: Coherence | None
    parts: pl.DataFrame | None
    """What became of the parts that reports were asked for: `Record.parts`."""
    resamples: int
    seed: int
    reasons: dict[str, str]
    """Part -> why it is None."""


@asked
def diagnose(
    cells: pl.DataFrame, kept: Scored, record: Record, *, baseline: str = LONE, n: int = RESAMPLES, seed: int = 0
) -> Diagnostics:
    """The measures of `cells`, of which `kept` are scored, with what `record` adds; `n` resamples of events from `seed`.

    `baseline`: the configuration of one agent that the scaling of groups is set against.

    Where `record.control` is not held, what sets configurations against each other is left out; how they begin is not: there
    they were given the same bytes.

    Raises:
        AnalysisError: a frame breaks a rule.

    >>> from coordeval.analysis import Record, diagnose, example, example_estimates, scored
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

    unscored = "" if kept.n_markets else nothing_scored(kept.policy)
    unresolved = "" if cells["outcome"].null_count() < cells.height else "no market is resolved"
    answered = cells.filter(pl.col("outcome").is_not_null() & pl.col("probability").is_not_null()).height
    unanswered = "" if answered else "no forecast of a resolved market was answered"
    said = record.estimates
    unsaid = unresolved or ("what agents said on the way was not recorded" if said is None or said.is_empty() else "")
    how: dict[str, Any] = {"n": n, "seed": seed}
    estimates = pl.DataFrame() if said is None else said
    found = Diagnostics(
        coordination=part(
            "coordination",
            unsaid,
            lambda: coordination(estimates, aggregation={**AGGREGATIONS, **record.aggregation}, **how),
        ),
        groups=part(
            "groups",
            unsaid,
            lambda: groups_of(estimates, cells, record.talked, baseline=baseline, **how),
        ),
        pooling=part("pooling", unsaid, lambda: pooling(estimates, **how)),
        tracking=part("tracking", unscored, lambda: tracking(kept, **how)),
        influence=part("influence", unscored, lambda: _strongest(influence(kept, **how))),
        bounds=part("bounds", unresolved, lambda: missing_bounds(cells)),
        sequences=part("sequences", unscored, lambda: sequences(kept, order=record.order)),
        openings=part(
            "openings",
            unresolved or ("first requests were not recorded" if record.openings is None else ""),
            lambda: openings(pl.DataFrame() if record.openings is None else record.openings, **how),
        ),
        second_split=part("second_split", unscored, lambda: second_split(kept, **how)),
        adjusted=part(
            "adjusted",
            unresolved or unanswered,
            lambda: adjusted(scored(cells, policy="available"), **how),
        ),
        subgroups=part("subgroups", unscored, lambda: subgroups(kept)),
        binning=part("binning", unscored, lambda: binning(kept)),
        coherence=part("coherence", unresolved or _unlinked(cells, record), lambda: _linked(cells, record, **how)),
        parts=part("parts", "what agents handed in was not recorded" if record.parts is None else "", lambda: record.parts),
        resamples=n,
        seed=seed,
        reasons=reasons,
    )
    why = record.control.incomparable if record.control is not None else None
    return _withheld(found, why) if why else found


def _strongest(found: Influence) -> Influence:
    return replace(found, markets=found.markets.group_by("first", "second", maintain_order=True).head(_KEPT))


def _withheld(found: Diagnostics, why: str) -> Diagnostics:
    """Without the pairs of configurations; each of them against the market price stays."""
    against_price = pl.col("second") == PRICE
    influential, looked, bounds, binned = found.influence, found.sequences, found.bounds, found.binning
    return replace(
        found,
        groups=found.groups and apart(found.groups, why),
        influence=influential
        and replace(
            influential,
            markets=influential.markets.filter(against_price),
            restated=influential.restated.filter(against_price),
            headline=f"Who leads is not said: {why}.",
        ),
        sequences=looked and replace(looked, table=looked.table.filter(against_price)),
        bounds=None if bounds is None else bounds.filter(pl.col("than").is_null()),
        binning=binned and replace(binned, pairs=binned.pairs.clear(), rankings=binned.rankings.clear()),
    )


def _unlinked(cells: pl.DataFrame, record: Record) -> str:
    """Why coherence cannot be looked at; empty where it can."""
    if record.links is None or "as_of" not in cells.columns:
        return "which markets are linked was not looked at"
    return "" if record.links.table.height else "no two markets are linked: no ladder of dates or numbers, no exclusive legs"


def _linked(cells: pl.DataFrame, record: Record, *, n: int, seed: int) -> Coherence:
    """Coherence on the links whose markets are all there."""
    assert record.links is not None
    return coherence(cells, record.links.table, n=n, seed=seed)
