"""The paired cluster bootstrap: every measure of a study, with the same resamples of events for every configuration.

How resamples are drawn and intervals made of them is in `analysis.resampling`.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, Final, Literal, get_args

import numpy as np
import polars as pl
from scipy.optimize import isotonic_regression

from analysis.checks import Floats, Ints, chosen
from analysis.decomposition import Edges, bin_index
from analysis.frames import Policy, Scored
from analysis.grid import PRICE, Grid, grid, units_of
from analysis.resampling import (
    PLAIN,
    ROUNDING,
    Draws,
    Interval,
    Measure,
    Method,
    Resamples,
    interval,
    measured,
    needs_left_out,
    no_interval,
    ratio,
)

Family = Literal["brier", "market", "binned", "corp"]

MEASURES: Final[Mapping[Family, tuple[str, ...]]] = {
    "brier": ("brier",),
    "market": ("alpha", "skill_market", "skill_base"),
    "binned": ("rel", "res", "unc", "wbv", "wbc", "rel_corrected", "res_corrected", "unc_corrected"),
    "corp": ("mcb", "dsc"),
}
METHODS: Final[Mapping[str, Method]] = {
    **dict.fromkeys(("brier", "alpha", "skill_market", "skill_base", "unc", "unc_corrected", "wbc"), PLAIN),
    **dict.fromkeys(("rel", "rel_corrected"), "centred"),
    **dict.fromkeys(("res", "res_corrected"), "centred+student"),
    "wbv": "reflected+student",
    "mcb": "reflected",
    "dsc": "centred+reflected",
}
"""Measure -> the interval method whose coverage came nearest to nominal, or safely above it, in simulated worlds."""


def _attained() -> Mapping[str, Mapping[int, float]]:
    stored = json.loads(files("analysis").joinpath("data/coverage.json").read_text(encoding="utf-8"))
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
FLOOR: Final = ("rel", "res", "wbv", "mcb", "dsc")
"""Measures that cannot be negative."""
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
    estimate, and none of a component that cannot be negative goes below 0. That of UNC = ȳ(1 − ȳ) is its range over the
    interval of the base rate ȳ: the quantiles of UNC itself fall short where ȳ is near 1/2. `methods` replaces some methods.

    Source: Efron & Tibshirani (1993); Field & Welsh (2007) for clusters.

    Raises:
        AnalysisError: nothing is scored, an option is unknown, or `level` is not strictly between 0 and 1.

    >>> import polars as pl
    >>> from analysis import bootstrap, example, scored
    >>> found = bootstrap(scored(example()), families=["brier"], n=500)
    >>> found.table.select("configuration", pl.col("estimate", "low", "high").round(2), "method").rows()[0]
    ('independent_ensemble', 0.19, 0.11, 0.28, 'bca+student')
    >>> d = found.draws["brier"][:, 0] - found.draws["brier"][:, -1]  # paired: the ensemble and the market price
    >>> round(float((d < 0).mean()), 1)
    1.0
    """
    for family in families:
        chosen("family", family, get_args(Family))
    by = {**METHODS, **(methods or {})}
    sample = grid(scored)
    resamples = Resamples(events=len(sample.events), n=n, seed=seed)
    there = [~np.isnan(mine).all(axis=1) for mine in np.moveaxis(sample.p, 1, 0)]
    own = [np.unique(sample.event[mine]).size for mine in there]
    rows: list[tuple[Any, ...]] = []
    draws: dict[str, Floats] = {}
    left_out: dict[str, Floats] = {}
    for family in families:
        names = MEASURES[family]
        jackknife = any(needs_left_out(by[name]) for name in names)
        drawn = _family(sample, family, resamples, bins=bins, edges=edges, left_out=jackknife)
        for m, measure in enumerate(names):
            draws[measure] = drawn.resampled[:, m]
            if drawn.left_out is not None:
                left_out[measure] = drawn.left_out[:, m]
            method, source = by[measure], names.index(_FROM.get(measure, measure))
            for c, name in enumerate(sample.configurations):
                if name == PRICE and measure in ("alpha", "skill_market"):
                    continue
                value = float(drawn.estimate[m, c])
                found = interval(drawn, source, c, method=method, events=own[c], level=level)
                if measure in ("unc", "unc_corrected"):
                    base = interval(drawn, _BASE_RATE, c, method=method, events=own[c], level=level)
                    found = _uncertainty(base, found, value)
                if measure in FLOOR:
                    found = _above_zero(found, value)
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
        policy=scored.policy,
        n=n,
        seed=seed,
        level=level,
    )


def _uncertainty(base: Interval, found: Interval, estimate: float) -> Interval:
    """The range of ȳ(1 − ȳ) over the interval of the base rate, widened to hold the estimate."""
    if base.low is None or base.high is None or found.low is None:
        return found
    ends = [end * (1 - end) for end in (base.low, base.high)] + [estimate]
    return replace(found, low=min(ends), high=max(ends + [0.25] * (base.low <= 0.5 <= base.high)))


def _above_zero(found: Interval, estimate: float) -> Interval:
    """The interval of what cannot be negative, widened to hold the estimate."""
    if found.low is None or found.high is None:
        return found
    low, high = max(0.0, min(found.low, estimate)), max(found.high, estimate)
    return replace(found, low=low, high=high) if high - low > ROUNDING else no_interval("nothing of it is above 0")


def _family(sample: Grid, family: Family, resamples: Resamples, *, bins: int, edges: Edges, left_out: bool) -> Draws:
    """The measures of a family in every resample, averaged from replicates to configurations."""
    owner, units = units_of(sample, together=family in ("brier", "market"))
    parts: list[Draws] = []
    if family == "corp":
        parts = [_corp(sample, unit[:, 0], resamples, left_out=left_out) for unit in units]
    else:
        measure: Measure = {"brier": _brier, "market": _market, "binned": binned_terms}[family]
        index = [_bins(unit[:, 0], bins=bins, edges=edges) for unit in units] if family == "binned" else []
        kinds = 3 * (1 + max(k.max() for k in index)) + 2 if index else 2 if family == "brier" else 6
        together = max(1, _COLUMNS // (resamples.events * kinds))
        for i in range(0, len(units), together):
            chunk = range(i, min(i + together, len(units)))
            columns = np.empty((resamples.events, kinds, len(chunk)))
            for k, u in enumerate(chunk):
                columns[:, :, k] = (
                    _bin_sums(sample, units[u][:, 0], index[u], width=kinds // 3)
                    if index
                    else _score_sums(sample, units[u])[:, :kinds]
                )
            parts.append(measured(columns, measure, resamples, left_out=left_out))
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
    """The five terms, the corrected three as `analysis.decomposition.decompose` has them, and the base rate."""
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


def _corp(sample: Grid, p: Floats, resamples: Resamples, *, left_out: bool) -> Draws:
    """MCB and DSC of one unit."""
    order = np.argsort(p, kind="stable")[: int(np.sum(~np.isnan(p)))]
    x, starts = np.unique(p[order], return_index=True)
    event, y = sample.event[order], sample.y[order]

    def of(weights: Floats) -> Floats:
        drawn = weights[:, event]
        n, hits = np.add.reduceat(drawn, starts, axis=1), np.add.reduceat(drawn * y, starts, axis=1)
        total, yes = n.sum(axis=1), hits.sum(axis=1)
        base, best = ratio(yes, total), ratio(np.array([_pooled(*row) for row in zip(n, hits, strict=True)]), total)
        score = ratio(n @ x**2 - 2 * hits @ x + yes, total)
        return np.stack([score - best, base * (1 - base) - best], axis=1)[:, :, None]

    events = resamples.events
    return Draws(
        estimate=of(np.ones((1, events)))[0],
        resampled=np.concatenate([of(weights) for weights in resamples.weights()]),
        left_out=np.concatenate([of(1.0 - (np.arange(events) == g)[None]) for g in range(events)]) if left_out else None,
    )


def _pooled(n: Floats, hits: Floats) -> float:
    """Σ (q − y)² of the isotonic regression q, from counts and hits at each distinct forecast, (distinct,)."""
    drawn = n > 0
    n, hits = n[drawn], hits[drawn]
    curve = isotonic_regression(hits / n, weights=n).x
    return float(hits.sum() - n @ curve**2)
