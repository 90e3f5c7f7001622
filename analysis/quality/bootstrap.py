"""The paired cluster bootstrap: every measure of a study, with the same resamples of events for every configuration.

How resamples are drawn and intervals made of them is in `analysis.base.resampling`.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, Final, Literal, get_args

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import Floats, Ints, chosen
from coordeval.analysis.base.few import thin
from coordeval.analysis.base.frames import Policy, Scored
from coordeval.analysis.base.grid import PRICE, Grid, grid, units_of
from coordeval.analysis.base.numerals import counted, distinct
from coordeval.analysis.base.one_thread import one_thread
from coordeval.analysis.base.resampling import (
    APART,
    PLAIN,
    UNIT,
    Bounds,
    Draws,
    Interval,
    Measure,
    Method,
    Resamples,
    bounded,
    interval,
    measured,
    needs_left_out,
    no_interval,
    ratio,
)
from coordeval.analysis.quality.corp import explained
from coordeval.analysis.quality.decomposition import Edges, bin_index

Family = Literal["brier", "market", "binned", "corp"]

MEASURES: Final[Mapping[Family, tuple[str, ...]]] = {
    "brier": ("brier",),
    "market": ("alpha", "skill_market", "skill_base"),
    "binned": ("rel", "res", "unc", "wbv", "wbc", "rel_corrected", "res_corrected", "unc_corrected"),
    "corp": ("mcb", "dsc"),
}
METHODS: Final[Mapping[str, Method]] = {
    **dict.fromkeys(("brier", "alpha", "skill_market", "skill_base", "wbc"), PLAIN),
    **dict.fromkeys(("unc", "unc_corrected"), "share"),
    **dict.fromkeys(("rel", "rel_corrected"), "centred"),
    **dict.fromkeys(("res", "res_corrected"), "centred+student"),
    "wbv": "reflected+student",
    "mcb": "reflected",
    "dsc": "centred+reflected",
}
"""Measure -> the interval method whose coverage came nearest to nominal, or safely above it, in simulated worlds.

Those of REL, RES and DSC reach further than that, see `REACHING`, and all of which outcomes are part where a study is
`base.few.thin`, so what was attained holds for them at least.
"""
REACHING: Final[Mapping[str, Method]] = {
    **dict.fromkeys(("rel", "rel_corrected"), "centred+reflected"),
    **dict.fromkeys(("res", "res_corrected"), "centred+student+turned"),
    "dsc": "centred+reflected+turned",
}
"""Measure -> the method that is used: that of METHODS, and what worlds shaped like markets ask for beyond it."""
_THIN: Final[Mapping[Method, Method]] = {
    "bca+student": "bca+student+turned",
    "centred+reflected": "centred+reflected+turned",
    "reflected": "reflected+turned",
}
_MOST_TURNED: Final = 2_000
"""Events, beyond which one that turns out otherwise changes nothing that could be seen."""
FEWEST_WITHIN: Final = 80
"""Events that the interval of WBV needs: with fewer, bins hold too few forecasts to tell how they vary in them."""


def _attained() -> Mapping[str, Mapping[int, float]]:
    stored = json.loads(files("coordeval.analysis").joinpath("data/coverage.json").read_text(encoding="utf-8"))
    return {name: {int(n): share for n, share in sizes.items()} for name, sizes in stored["coverage"].items()}


COVERAGE: Final[Mapping[str, Mapping[int, float]]] = _attained()
"""Measure -> markets -> how often, in %, its 95% interval held the true value in simulated worlds of that many markets.

The lowest of any forecaster in any world of `coordeval selftest statistics`, which writes analysis/data/coverage.json
with its seed and date. REL, MCB and WBV are conservative: they sit on their boundary, 0, or near it.
"""
# The interval of a true value rests on its unbiased estimate.
_FROM: Final = {"rel": "rel_corrected", "res": "res_corrected"}
_BASE_RATE = 8  # its place in what `binned_terms` gives, after MEASURES["binned"]: the interval of UNC rests on it
# Why a measure is undefined where it is.
_WHY: Final = {
    "alpha": "no market price is known",
    "skill_market": "no market price is known, or it is perfect",
    "skill_base": "one class only: the base rate is perfect",
    **dict.fromkeys(("rel_corrected", "res_corrected"), "no bin holds two forecasts of a replicate: the bias is unknown"),
    "unc_corrected": "one forecast in a replicate: a variance needs two",
}
BOUNDS: Final[Mapping[str, Bounds]] = {
    **{"brier": UNIT, "alpha": APART, "skill_market": (-np.inf, 1.0), "skill_base": (-np.inf, 1.0)},
    **{"rel": UNIT, "rel_corrected": UNIT, "mcb": UNIT, "wbc": APART},
    **dict.fromkeys(("res", "res_corrected", "unc", "unc_corrected", "wbv", "dsc"), (0.0, 0.25)),
}
"""Measure -> what its true value lies between."""
_WIDENED: Final = ("rel", "res", "wbv", "mcb", "dsc")  # to hold the plain estimate, which is biased
_COLUMNS = 10_000_000  # numbers held at a time of the right side of a product


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """Every measure of every configuration and of the market price, with its interval."""

    table: pl.DataFrame
    """configuration, measure, estimate, low, high, sd, method, n_markets, reason (of every null)."""
    configurations: tuple[str, ...]
    """The last axis of `draws`, the market price last."""
    draws: Mapping[str, Floats]
    """Measure -> its value in each resample, (n, configurations): paired across configurations and measures."""
    left_out: Mapping[str, Floats]
    """Measure -> its value without each event, (events, configurations), of the families with a method that needs it."""
    n_markets: int
    n_events: int
    policy: Policy
    n: int
    seed: int
    level: float


@asked
def bootstrap(
    scored: Scored,
    *,
    families: Collection[Family] = ("brier", "market", "binned", "corp"),
    bins: int = 10,
    edges: Edges = "decimal",
    n: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
    methods: Mapping[str, Method] | None = None,
) -> Bootstrap:
    """The measures of the families (`MEASURES`), each with an interval for its true value.

    Inside every resample a measure is computed per replicate and averaged over a configuration's replicates; the bins stay
    those of the sample. The intervals of REL and RES are those of the corrected REL and RES, widened to hold the plain
    estimate, and none goes beyond `BOUNDS`. That of UNC = ȳ(1 − ȳ) is its range over the interval of the base rate ȳ, a
    share: the quantiles of UNC itself fall short where ȳ is near 1/2. `methods` replaces some methods.

    Source: Efron & Tibshirani (1993); Field & Welsh (2007) for clusters.

    Raises:
        AnalysisError: nothing is scored, an option is unknown, or `level` is not strictly between 0 and 1.

    >>> import polars as pl
    >>> from coordeval.analysis import bootstrap, example, scored
    >>> found = bootstrap(scored(example()), families=["brier"], n=500)
    >>> found.table.select("configuration", pl.col("estimate", "low", "high").round(2), "method").rows()[0]
    ('independent_ensemble', 0.19, 0.11, 0.3, 'bca+student+turned')
    >>> d = found.draws["brier"][:, 0] - found.draws["brier"][:, -1]  # paired: the ensemble and the market price
    >>> round(float((d < 0).mean()), 1)
    1.0
    """
    for family in families:
        chosen("family", family, get_args(Family))
    for measure in methods or {}:
        chosen("measure", measure, tuple(METHODS))
    return of_grid(
        grid(scored), scored.policy, families=families, bins=bins, edges=edges, n=n, seed=seed, level=level, methods=methods
    )


def of_grid(
    sample: Grid,
    policy: Policy,
    *,
    families: Collection[Family],
    bins: int = 10,
    edges: Edges = "decimal",
    n: int,
    seed: int,
    level: float = 0.95,
    methods: Mapping[str, Method] | None = None,
) -> Bootstrap:
    """`bootstrap` of forecasts that are arrays already, its options checked."""
    by = {**METHODS, **REACHING, **(methods or {})}
    resamples = Resamples(events=len(sample.events), n=n, seed=seed)
    there = [~np.isnan(mine).all(axis=1) for mine in np.moveaxis(sample.p, 1, 0)]
    own = [np.unique(sample.event[mine]).size for mine in there]
    sparse = [
        thin(sample.y[mine], sample.event[mine], np.nanmean(p[mine], axis=1)) is not None
        for mine, p in zip(there, np.moveaxis(sample.p, 1, 0), strict=True)
    ]
    rows: list[tuple[Any, ...]] = []
    draws: dict[str, Floats] = {}
    left_out: dict[str, Floats] = {}
    for family in families:
        names = MEASURES[family]
        jackknife = any(needs_left_out(by[name]) for name in names)
        turned = len(sample.events) <= _MOST_TURNED and (family in ("binned", "corp") or any(sparse))
        drawn = _family(sample, family, resamples, bins=bins, edges=edges, left_out=jackknife, turned=turned)
        for m, measure in enumerate(names):
            draws[measure] = drawn.resampled[:, m]
            if drawn.left_out is not None:
                left_out[measure] = drawn.left_out[:, m]
            source = names.index(_FROM.get(measure, measure))
            for c, name in enumerate(sample.configurations):
                if name == PRICE and measure in ("alpha", "skill_market"):
                    continue
                value = float(drawn.estimate[m, c])
                method = by[measure]
                if turned and sparse[c] and measure not in (methods or {}):
                    method = _THIN.get(method, method)
                options: dict[str, Any] = {"method": method, "events": own[c], "level": level}
                if measure in ("unc", "unc_corrected"):
                    found = _uncertainty(interval(drawn, _BASE_RATE, c, **options), drawn.resampled[:, m, c], value)
                else:
                    found = interval(drawn, source, c, **options, bounds=BOUNDS[measure])
                if measure == "wbv" and own[c] < FEWEST_WITHIN and found.reason is None:
                    found = no_interval(f"{counted(own[c], 'event')}: an interval of WBV needs {FEWEST_WITHIN}")
                if measure in _WIDENED:
                    found = bounded(found, value, BOUNDS[measure])
                reason = _WHY[names[source]] if np.isnan(drawn.estimate[source, c]) else found.reason
                ends = (None if np.isnan(value) else value, found.low, found.high, found.sd)
                rows.append((name, measure, *ends, method, int(there[c].sum()), reason))
    numbers = dict.fromkeys(("estimate", "low", "high", "sd"), pl.Float64)
    schema: dict[str, Any] = {"configuration": pl.String, "measure": pl.String, **numbers}
    schema |= {"method": pl.String, "n_markets": pl.Int64, "reason": pl.String}
    return Bootstrap(
        table=pl.DataFrame(rows, schema=schema, orient="row"),
        configurations=sample.configurations,
        draws=draws,
        left_out=left_out,
        n_markets=len(sample.markets),
        n_events=len(sample.events),
        policy=policy,
        n=n,
        seed=seed,
        level=level,
    )


def _uncertainty(base: Interval, draws: Floats, estimate: float) -> Interval:
    """The range of ȳ(1 − ȳ) over the interval of the base rate, widened to hold the estimate."""
    if base.low is None or base.high is None:
        return base
    ends = [end * (1 - end) for end in (base.low, base.high)]
    high = max([*ends, estimate, *[0.25] * (base.low <= 0.5 <= base.high)])
    return replace(base, low=min(*ends, estimate), high=high, sd=float(np.nanstd(draws, ddof=1)))


def _family(
    sample: Grid,
    family: Family,
    resamples: Resamples,
    *,
    bins: int,
    edges: Edges,
    left_out: bool,
    turned: bool = False,
) -> Draws:
    """The measures of a family in every resample, averaged from replicates to configurations."""
    other = replace(sample, y=1 - sample.y)
    owner, units = units_of(sample, together=family in ("brier", "market"))
    parts: list[Draws] = []
    if family == "corp":
        parts = [_corp(sample, unit[:, 0], resamples, left_out=left_out, turned=turned) for unit in units]
    else:
        measure: Measure = {"brier": _brier, "market": _market, "binned": binned_terms}[family]
        index = [_bins(unit[:, 0], bins=bins, edges=edges) for unit in units] if family == "binned" else []
        kinds = 3 * (1 + max(k.max() for k in index)) + 2 if index else 2 if family == "brier" else 6
        together = max(1, _COLUMNS // (resamples.events * kinds))
        for i in range(0, len(units), together):
            chunk = range(i, min(i + together, len(units)))
            both = np.empty((1 + turned, resamples.events, kinds, len(chunk)))
            for columns, of in zip(both, (sample, other), strict=False):
                for k, u in enumerate(chunk):
                    columns[:, :, k] = (
                        _bin_sums(of, units[u][:, 0], index[u], width=kinds // 3)
                        if index
                        else _score_sums(of, units[u])[:, :kinds]
                    )
            parts.append(measured(both[0], measure, resamples, left_out=left_out, turned=both[1] if turned else None))
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    replicates = np.bincount(owner)

    def averaged(name: str) -> Floats:
        each = [getattr(part, name) for part in parts]
        values = each[0] if len(each) == 1 else np.concatenate(each, axis=-1)
        if replicates.max() == 1:
            return np.asarray(values, np.float64)
        return np.asarray(np.add.reduceat(values, starts, axis=-1) / replicates, np.float64)

    return Draws(
        estimate=averaged("estimate"),
        resampled=averaged("resampled"),
        left_out=averaged("left_out") if left_out else None,
        turned=averaged("turned") if turned else None,
    )


def _score_sums(sample: Grid, p: Floats) -> Floats:
    """Per event: forecasts, errors, outcomes; and where a price is known: forecasts, errors, the price's errors."""
    there = ~np.isnan(p).any(axis=1)
    priced = there & ~np.isnan(sample.price)
    error = np.where(there, np.mean((p - sample.y[:, None]) ** 2, axis=1), 0)
    theirs = np.where(priced, (sample.price - sample.y) ** 2, 0)
    return sample.by_event(np.stack([there, error, there * sample.y, priced, priced * error, theirs], axis=1))


def _brier(sums: Floats) -> Floats:
    return ratio(sums[:, 1:2], sums[:, 0:1])


def _market(sums: Floats) -> Floats:
    """alpha, skill_market, skill_base"""
    n, error, hits, priced, error_priced, theirs = np.moveaxis(sums, 1, 0)
    base = ratio(hits, n)
    return np.stack(
        [
            ratio(theirs - error_priced, priced),
            1 - ratio(error_priced, theirs),
            1 - ratio(ratio(error, n), base * (1 - base)),
        ],
        axis=1,
    )


def _bins(p: Floats, *, bins: int, edges: Edges) -> Ints:
    index = np.zeros(p.size, np.int64)
    there = ~np.isnan(p)
    index[there] = np.unique(bin_index(p[there], bins=bins, edges=edges), return_inverse=True)[1]
    return index


def _bin_sums(sample: Grid, p: Floats, index: Ints, *, width: int) -> Floats:
    """Per event: in each of `width` bins the forecasts, their sum and the hits; then Σp² and Σpy."""
    there = ~np.isnan(p)
    p, y = np.where(there, p, 0), np.where(there, sample.y, 0)
    cell, size = sample.event * width + index, len(sample.events) * width
    binned = [np.bincount(cell, values, minlength=size).reshape(-1, width) for values in (there, p, y)]
    return np.concatenate([*binned, sample.by_event(np.stack([p * p, p * y], axis=1))], axis=1)


def binned_terms(sums: Floats) -> Floats:
    """The five terms, the corrected three as `analysis.quality.decomposition.decompose` has them, and the base rate."""
    width = sums.shape[1] // 3
    n, p, y = (sums[:, i * width : (i + 1) * width] for i in range(3))
    total, hits = np.einsum("rku->ru", n), np.einsum("rku->ru", y)  # of whole numbers, so in any order the same
    inverse = 1 / np.maximum(n, 1)
    means = (p * inverse, y * inverse)
    pp, py, yy = (np.einsum("rku,rku->ru", a, b) for a, b in ((means[0], p), (means[0], y), (means[1], y)))
    base = ratio(hits, total)
    unc = base * (1 - base)
    rel, res = ratio(pp - 2 * py + yy, total), ratio(yy, total) - base**2
    wbv, wbc = ratio(sums[:, -2] - pp, total), 2 * ratio(sums[:, -1] - py, total)
    bias = ratio(np.einsum("rku,rku->ru", y - means[1] * y, 1 / np.maximum(n - 1, 1)), total)
    if (total <= width).any():  # else some bin holds two
        bias[np.all(n <= 1, axis=1)] = np.nan
    one_less = ratio(unc, total - 1)
    return np.stack([rel, res, unc, wbv, wbc, rel - bias, res - bias + one_less, one_less * total, base], axis=1)


def _corp(sample: Grid, p: Floats, resamples: Resamples, *, left_out: bool, turned: bool = False) -> Draws:
    """MCB and DSC of one unit."""
    order = np.argsort(p, kind="stable")[: int(np.sum(~np.isnan(p)))]
    x, place = distinct(p[order])
    starts = np.searchsorted(place, np.arange(x.size))
    event, y = sample.event[order], sample.y[order]

    def of(weights: Floats, outcomes: Floats = y) -> Floats:
        drawn = weights[:, event]
        n, hits = np.add.reduceat(drawn, starts, axis=1), np.add.reduceat(drawn * outcomes, starts, axis=1)
        total, yes = n.sum(axis=1), hits.sum(axis=1)
        base, best = ratio(yes, total), ratio(yes - explained(hits, n), total)
        score = ratio(n @ x**2 - 2 * hits @ x + yes, total)
        return np.stack([score - best, base * (1 - base) - best], axis=1)[:, :, None]

    events = resamples.events
    with one_thread():
        resampled = np.concatenate([of(weights) for weights in resamples.weights()])
    return Draws(
        estimate=of(np.ones((1, events)))[0],
        resampled=resampled,
        left_out=np.concatenate([of(1.0 - (np.arange(events) == g)[None]) for g in range(events)]) if left_out else None,
        turned=_in_blocks(lambda g: of(np.ones((g.size, events)), np.where(event == g[:, None], 1 - y, y)), events)
        if turned
        else None,
    )


def _in_blocks(of: Callable[[Ints], Floats], events: int, *, rows: int = 256) -> Floats:
    return np.concatenate([of(np.arange(i, min(i + rows, events))) for i in range(0, events, rows)])
