"""What a perfectly calibrated forecaster with the same forecasts would show, for every component of the Brier score."""

from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats, Ints, at_least, chosen
from coordeval.analysis.base.frames import Policy, Scored
from coordeval.analysis.base.grid import Grid, grid, units_of
from coordeval.analysis.base.numerals import SAME, distinct
from coordeval.analysis.base.one_thread import one_thread
from coordeval.analysis.base.scipy_parts import special
from coordeval.analysis.quality.bootstrap import MEASURES, binned_terms
from coordeval.analysis.quality.corp import explained
from coordeval.analysis.quality.decomposition import Edges, bin_index

WithinEvents = Literal["together", "independent"]

COMPONENTS: Final = ("brier", *MEASURES["binned"], "mcb", "dsc")
ONE_SIDED: Final = ("rel", "rel_corrected", "mcb")
"""Only a high value of these speaks against calibration; of the others a low one does too."""
_BLOCK = 2_000_000  # drawn outcomes held at a time
_COUNTED: Final = 10  # with fewer draws as high than this, their share says little
_LEAST_SKEW: Final = 0.05  # a law this near the normal one is taken as that
_SCHEMA: Final[dict[str, Any]] = {
    **{"configuration": pl.String, "measure": pl.String},
    **dict.fromkeys(("seen", "mean", "low", "high", "p_below", "p_above", "p_value"), pl.Float64),
    **{"n_markets": pl.Int64, "reason": pl.String},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Nulls:
    """Every component of every configuration and of the market price, beside its null."""

    table: pl.DataFrame
    """configuration, measure (COMPONENTS), seen, mean, low, high, p_below, p_above, p_value, n_markets, reason.

    `seen`: as in the leaderboard. `mean`, `low`, `high`: of the draws of a calibrated forecaster, `level` of them
    between the last two. `p_below`, `p_above`: (1 + draws no higher, no lower than `seen`)/(1 + n); the latter of
    ONE_SIDED: `upper_tail`. `p_value`: `p_above` where only a high value speaks against calibration (ONE_SIDED), else
    twice the smaller one, 1 at most. `reason`: of every null.
    """
    within_events: WithinEvents
    policy: Policy
    bins: int
    edges: Edges
    n: int
    seed: int
    level: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unit:
    """The forecasts of one replicate, in increasing order."""

    place: Ints
    """(markets,): of each forecast's market."""
    p: Floats
    x: Floats
    """(distinct,)"""
    counts: Ints
    first: Ints
    """(distinct,): where each distinct forecast begins."""
    bins: Ints
    """(occupied bins,): the distinct forecast that begins each."""

    def measure(self, hit: Any) -> Floats:
        """COMPONENTS of outcomes (rows, markets): (rows, components)."""
        hits = np.add.reduceat(hit, self.first, axis=1, dtype=np.float64)
        n = self.counts.astype(np.float64)
        fixed = [np.add.reduceat(part, self.bins) for part in (n, n * self.x)]
        per_bin = [np.broadcast_to(part, (len(hits), part.size)) for part in fixed]
        squares, products = np.full(len(hits), n @ self.x**2), hits @ self.x
        sums = [*per_bin, np.add.reduceat(hits, self.bins, axis=1), squares[:, None], products[:, None]]
        total = hits.sum(axis=1)
        brier = (squares - 2 * products + total) / self.p.size
        best = (total - explained(hits, self.counts)) / self.p.size
        base = total / self.p.size
        terms = binned_terms(np.concatenate(sums, axis=1)[:, :, None])[:, :-1, 0]
        return np.column_stack([brier, terms, brier - best, base * (1 - base) - best])


@asked
def nulls(
    scored: Scored,
    *,
    bins: int = 10,
    edges: Edges = "decimal",
    within_events: WithinEvents = "together",
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Nulls:
    """Measures `n` draws of outcomes y* = 1{u < p}, u uniform, as the real ones are: same forecasts, same bins.

    Every forecast is calibrated, P(y* = 1) = p, whatever u is shared with. It is shared by all configurations and
    replicates of a market, as its outcome is, and by default (`together`) by all markets of an event. So the markets of an
    event are as dependent as they can be: it is how a ladder of deadlines resolves, and it widens the null of what sums
    over markets, so that calibration is doubted too seldom rather than too often. Of legs that exclude each other it is the
    pessimistic side: they vary less than independent ones, which is what `independent` assumes of all markets.

    WBV does not depend on outcomes, so it has no null. `n` · markets · configurations · replicates outcomes are drawn, in
    blocks. Sources: Bröcker & Smith (2007) for REL; Dimitriadis, Gneiting & Jordan (2021) for MCB.

    Raises:
        AnalysisError: nothing is scored, or an option is unknown or out of its range.

    >>> import polars as pl
    >>> from coordeval.analysis import SCHEMA, nulls, scored
    >>> frame = pl.DataFrame({"market_id": list("wxyz"), "probability": [0.1, 0.1, 0.9, 0.9], "outcome": [1, 1, 0, 0]})
    >>> frame = frame.with_columns(configuration=pl.lit("contrary"), event_id="market_id", replicate=0)
    >>> frame = frame.with_columns(status=pl.lit("answered"), simulated=True)
    >>> frame = frame.with_columns(pl.lit(None).alias(name) for name in SCHEMA if name not in frame.columns)
    >>> found = nulls(scored(frame), n=999).table.filter(measure="rel")
    >>> found.select(pl.col("seen", "low", "high", "p_value").round(2)).rows()
    [(0.81, 0.01, 0.16, 0.0)]
    """
    chosen("within_events", within_events, get_args(WithinEvents))
    at_least("n", n, 1)
    if not 0 < level < 1:
        raise AnalysisError(f"level is {level!r}: it must lie strictly between 0 and 1, such as 0.95 for 95%")
    sample = grid(scored)
    owner, columns = units_of(sample, together=False)
    units = [_unit(column[:, 0], bins=bins, edges=edges) for column in columns]
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    replicates = np.bincount(owner)

    def of(hits: Any) -> Floats:
        """(rows, components, configurations): a configuration is the mean of its replicates."""
        values = np.stack([unit.measure(hits(unit)) for unit in units], axis=-1)
        return np.asarray(np.add.reduceat(values, first, axis=-1) / replicates, np.float64)

    seen = of(lambda unit: sample.y[None, unit.place])[0]
    with one_thread():
        drawn = np.concatenate([of(hits) for hits in _outcomes(sample, within_events, n=n, seed=seed)])
    markets = (~np.isnan(sample.p).all(axis=2)).sum(axis=0)
    rows = [
        {"configuration": name, "measure": measure, "n_markets": int(markets[c])}
        | _beside(measure, float(seen[m, c]), drawn[:, m, c], level=level)
        for c, name in enumerate(sample.configurations)
        for m, measure in enumerate(COMPONENTS)
    ]
    return Nulls(
        table=pl.DataFrame([{column: row.get(column) for column in _SCHEMA} for row in rows], schema=_SCHEMA),
        within_events=within_events,
        policy=scored.policy,
        bins=bins,
        edges=edges,
        n=n,
        seed=seed,
        level=level,
    )


def _unit(p: Floats, *, bins: int, edges: Edges) -> _Unit:
    place = np.argsort(p, kind="stable")[: int(np.sum(~np.isnan(p)))]
    ordered = p[place]
    x, group = distinct(ordered)
    counts, first = np.bincount(group), np.searchsorted(group, np.arange(x.size))
    index = bin_index(ordered, bins=bins, edges=edges)[first]
    starts = np.flatnonzero(np.diff(index, prepend=-1))
    return _Unit(place=place, p=ordered, x=x, counts=counts, first=first, bins=starts)


def _outcomes(sample: Grid, within_events: WithinEvents, *, n: int, seed: int) -> Any:
    """Blocks of draws, each a function from a unit to its outcomes (rows, markets)."""
    rng = np.random.default_rng(seed)
    together = within_events == "together"
    width = len(sample.events if together else sample.markets)
    rows = max(1, _BLOCK // len(sample.markets))
    for done in range(0, n, rows):
        u = rng.random((min(rows, n - done), width))
        yield lambda unit, u=u: u[:, sample.event[unit.place] if together else unit.place] < unit.p


def upper_tail(drawn: Floats, seen: float) -> float:
    """P(draw ≥ seen): (1 + #{…})/(1 + n), and twice a fitted tail where fewer than 10 draws are as high and that is less.

    A share of n draws cannot fall under 1/(1 + n), so with few draws nothing would survive a correction for many
    configurations. The tail is that of Pearson's type III, a shifted gamma law, with the draws' mean, standard deviation
    and skewness g: Γ(4/g², 4/g² + 2z/g) for z standard deviations; twice, because from few draws it is low by up to half.
    Source: Pearson (1895).

    >>> import numpy as np
    >>> from coordeval.analysis.quality.nulls import upper_tail
    >>> drawn = np.random.default_rng(0).gamma(4, size=200)
    >>> round(upper_tail(drawn, 4.0), 2), round(upper_tail(drawn, 14.0), 3)  # the true ones: 0.43 and 0.0005
    (0.4, 0.001)
    """
    high = int(np.sum(drawn >= seen - SAME))
    share = (1 + high) / (1 + drawn.size)
    spread = float(drawn.std(ddof=1)) if drawn.size > 1 else 0.0
    if high >= _COUNTED or spread <= SAME:
        return share
    apart = (drawn - drawn.mean()) / spread
    skewness = max(float(np.mean(apart**3)), _LEAST_SKEW)
    shape = 4 / skewness**2
    z = (seen - float(drawn.mean())) / spread
    fitted = 2 * float(special.gammaincc(shape, max(shape + 2 * z / skewness, 0.0)))
    return min(share, max(fitted, np.finfo(np.float64).tiny))


def _beside(measure: str, seen: float, drawn: Floats, *, level: float) -> dict[str, Any]:
    if np.isnan(seen):
        scarce = "one forecast in a replicate" if measure == "unc_corrected" else "no bin holds two forecasts of a replicate"
        return {"reason": f"{scarce}: the correction is unknown"}
    mean, (low, high) = float(drawn.mean()), np.quantile(drawn, ((1 - level) / 2, (1 + level) / 2), method="weibull")
    row = {"seen": seen, "mean": mean, "low": float(low), "high": float(high)}
    if np.ptp(drawn) <= SAME and abs(seen - mean) <= SAME:
        why = "it depends on the forecasts only" if measure == "wbv" else "every draw shows the same"
        return row | {"reason": f"p_below, p_above, p_value: {why}"}
    below = (1 + np.sum(drawn <= seen + SAME)) / (1 + drawn.size)
    above = upper_tail(drawn, seen) if measure in ONE_SIDED else (1 + np.sum(drawn >= seen - SAME)) / (1 + drawn.size)
    p_value = above if measure in ONE_SIDED else min(1.0, 2 * min(below, above))
    return row | {"p_below": float(below), "p_above": float(above), "p_value": float(p_value)}
