"""Where the squared error varies: market, configuration, their interaction, sampling again; and what a study can see."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats, at_least
from coordeval.analysis.base.frames import Scored
from coordeval.analysis.base.grid import Grid, grid
from coordeval.analysis.base.numerals import SAME, without_rounding
from coordeval.analysis.base.resampling import AMOUNT, Interval, Method, Resamples, interval, measured, no_interval, ratio
from coordeval.analysis.base.scipy_parts import special
from coordeval.analysis.differences.replicates import spread
from coordeval.analysis.plan.studies import Shape, shape_of

COMPONENTS: Final = ("market", "configuration", "market × configuration", "replicate")
_METHODS: Final[tuple[Method, ...]] = ("bca+student", "centred+student", "bca+student", "bca+student")
# Mean squares are skewed where events are few; the configurations' own rises by noise alone, and is moved back by it.


@dataclass(frozen=True, slots=True, kw_only=True)
class Variance:
    """Variance components and the noise of sampling again, of the configurations that call a model."""

    components: pl.DataFrame
    """component, variance, low, high, estimate, reason: of the squared error, see `variance`.

    `estimate` may be negative; `variance` is then 0 and the reason says so.
    """
    forecasts: pl.DataFrame
    """configuration, n_markets, replicates, variance (mean over markets of the variance of p over replicates), reason."""
    noise: pl.DataFrame
    """configuration, first, second (replicates), n_markets, delta: |Δ Brier| between two replicates of a configuration."""
    noise_floor: float | None
    """What two replicates differ by on average: that of `replicates.spread`; None with one replicate."""
    noise_low: float | None
    noise_high: float | None
    """Its interval."""
    n_markets: int
    """Markets with every configuration: the components are over these."""
    replicates: float
    """Harmonic mean over their cells."""
    difference: float | None
    """Half the variance of one market's difference between two configurations, mean over the pairs."""
    difference_low: float | None
    """Its interval; None where `difference` is, or where there are too few events for one."""
    difference_high: float | None
    design_effect: float | None
    """By how much the correlation of markets of one event multiplies the variance of a mean difference."""
    shape: Shape | None
    """What the differences look like, event by event, of the pairs that have a spread; None where none has."""
    n: int
    seed: int
    level: float


@asked
def variance(scored: Scored, *, n: int = 10_000, seed: int = 0, level: float = 0.95) -> Variance:
    """Components of e = m_i + c_j + (mc)_ij + r by the method of moments on cell means; `n` resamples of events from `seed`.

    With a markets, b configurations, R replicates (the harmonic mean where cells differ), MS_r the mean square within cells
    and the other mean squares those of the cell means:

        σ²_r = MS_r;  σ²_mc = MS_mc − MS_r/R;  σ²_m = (MS_m − MS_mc)/b;  σ²_c = (MS_c − MS_mc)/a.

    Shared draws make replicates of different configurations alike; that part counts as market. Source: Searle, Casella &
    McCulloch (1992), unweighted means.

    Variances are in Brier points squared.

    Raises:
        AnalysisError: nothing is scored.

    >>> import polars as pl
    >>> from coordeval.analysis import example, scored, variance
    >>> found = variance(scored(example()), n=500)
    >>> found.components.select("component", pl.col("variance").round(4)).rows()
    [('market', 0.0389), ('configuration', 0.0001), ('market × configuration', 0.0), ('replicate', 0.0061)]
    >>> round(found.noise_floor, 3), round(found.design_effect, 1)
    (0.014, 1.0)
    """
    sample = grid(scored)
    between = spread(scored, level=level)
    sampled = [name for name, asked in between.table.select("configuration", "sampled").iter_rows() if asked]
    picked = [c for c, name in enumerate(sample.configurations) if name in sampled]
    errors = (sample.p[:, picked] - sample.y[:, None, None]) ** 2
    noise = _noise(sampled, sample.replicates, errors)
    whole = ~np.any(np.all(np.isnan(errors), axis=2), axis=1) if picked else np.zeros(len(sample.markets), dtype=bool)
    counts = np.sum(~np.isnan(errors), axis=2)
    rows, half, ends, design, shape = _components(sample, errors, whole, n=n, seed=seed, level=level)
    return Variance(
        components=pl.DataFrame(rows, schema=_schema("component", ("variance", "low", "high", "estimate"))),
        forecasts=_forecasts(sampled, sample.p[:, picked]),
        noise=noise,
        noise_floor=between.noise_floor,
        noise_low=between.noise_low,
        noise_high=between.noise_high,
        n_markets=int(whole.sum()),
        replicates=float(1 / np.mean(1 / counts[whole])) if whole.any() else 0.0,
        difference=half,
        difference_low=ends.low,
        difference_high=ends.high,
        design_effect=design,
        shape=shape,
        n=n,
        seed=seed,
        level=level,
    )


@asked
def detectable(
    found: Variance,
    *,
    markets: Sequence[int],
    replicates: Sequence[int],
    alpha: float = 0.05,
    power: float = 0.8,
) -> pl.DataFrame:
    """markets, replicates, delta, reason: the smallest true |Δ Brier| that a study of that size sees, in Brier points.

    Δ = (z₁₋ₐ⸝₂ + z_power) √(2 D (σ²_mc + σ²_r/R)/N), the mean over pairs; D is the design effect of events.
    Source: Cohen (1988). Raises AnalysisError where an option is out of its range.

    >>> import polars as pl
    >>> from coordeval.analysis import detectable, example, scored, variance
    >>> found = variance(scored(example()), n=500)
    >>> detectable(found, markets=[40, 400], replicates=[2]).select("markets", pl.col("delta").round(3)).rows()
    [(40, 0.034), (400, 0.011)]
    """
    if not (0 < alpha < 1 and 0 < power < 1):
        raise AnalysisError(f"alpha {alpha!r} and power {power!r} must lie strictly between 0 and 1")
    parts = dict(found.components.select("component", "variance").iter_rows())
    interaction, resampling = parts.get("market × configuration"), parts.get("replicate")
    z = -float(special.ndtri(alpha / 2) + special.ndtri(1 - power))
    rows: list[tuple[int, int, float | None, str | None]] = []
    for a in markets:
        for r in replicates:
            at_least("markets", a, 2)
            at_least("replicates", r, 1)
            half = found.difference if r == found.replicates else None
            if interaction is not None and resampling is not None:
                half = interaction + resampling / r
            if half is None or found.design_effect is None:
                why = (
                    "two configurations are needed"
                    if found.difference is None
                    else "sampling noise is unknown: one replicate"
                )
                rows.append((a, r, None, why))
            else:
                rows.append((a, r, z * sqrt(2 * found.design_effect * half / a), None))
    schema: dict[str, Any] = {"markets": pl.Int64, "replicates": pl.Int64, "delta": pl.Float64, "reason": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _components(
    sample: Grid, errors: Floats, whole: Any, *, n: int, seed: int, level: float
) -> tuple[list[dict[str, Any]], float | None, Interval, float | None, Shape | None]:
    """The rows of `Variance.components`, half the variance of a difference, its interval, design effect and shape."""
    if not whole.any():
        reason = (
            "no configuration that calls a model is scored" if not errors.shape[1] else "no market has every configuration"
        )
        return [{"component": name, "reason": reason} for name in COMPONENTS], None, no_interval(reason), None, None
    b = errors.shape[1]
    there = ~np.isnan(errors)
    count = there.sum(axis=2)
    x = ratio(np.where(there, errors, 0).sum(axis=2), count)
    x, inverse = np.where(whole[:, None], x, 0), np.where(whole[:, None], 1 / np.maximum(count, 1), 0)
    within = np.where(there & whole[:, None, None], (errors - x[:, :, None]) ** 2, 0).sum(axis=(1, 2))
    freedom = np.where(whole, (count - 1).sum(axis=1), 0)
    mean = x.mean(axis=1)
    columns = np.stack([whole, (x**2).sum(axis=1), mean**2, within, freedom, inverse.sum(axis=1), *x.T], axis=1)

    def parts(sums: Floats) -> Floats:
        a, squares, means, inside, df, inverses = (sums[:, i] for i in range(6))
        per = ratio(sums[:, 6:], a[:, None])
        grand = per.mean(axis=1)
        between = b * (means - a * grand**2)
        sides = a * np.sum((per - grand[:, None]) ** 2, axis=1)
        ms_mc = ratio(squares - a * b * grand**2 - between - sides, (a - 1) * (b - 1))
        ms_r = ratio(inside, df)
        return np.stack(
            [
                (ratio(between, a - 1) - ms_mc) / b,
                ratio(sides / max(b - 1, 1) - ms_mc, a),
                ms_mc - ms_r * ratio(inverses, a * b),
                ms_r,
                ms_mc,
            ],
            axis=1,
        )

    grouped = sample.by_event(columns)[:, :, None]
    drawn = measured(grouped, parts, Resamples(events=len(sample.events), n=n, seed=seed), left_out=True)
    events = int(np.unique(sample.event[whole]).size)
    rows: list[dict[str, Any]] = []
    for k, name in enumerate(COMPONENTS):
        estimate = float(drawn.estimate[k, 0])
        if np.isnan(estimate):
            why = "one replicate: it cannot be told from sampling noise" if b > 1 and whole.sum() > 1 else None
            rows.append({"component": name, "reason": why or "two markets and two configurations are needed"})
            continue
        found = interval(drawn, k, 0, method=_METHODS[k], events=events, level=level, bounds=AMOUNT)
        reasons = [f"the estimate is negative, {estimate:.2g}: taken as 0"] if estimate < 0 else []
        if found.reason:
            reasons.append(f"low, high: {found.reason}")
        rows.append(
            {"component": name, "variance": max(estimate, 0.0), "low": found.low, "high": found.high}
            | {"estimate": estimate, "reason": "; ".join(reasons) or None}
        )
    half = float(drawn.estimate[4, 0])
    ends = interval(drawn, 4, 0, method="bca+student", events=events, level=level, bounds=AMOUNT)
    if np.isnan(half):
        return rows, None, ends, None, None
    d = np.stack([x[:, i] - x[:, j] for i, j in combinations(range(b), 2)], axis=1)
    mean = d[whole].mean(axis=0)
    apart = np.where(whole[:, None], d - mean, 0)
    together = sample.by_event(apart)
    alone, second = np.sum(apart**2), np.sum(together**2, axis=0)
    if events < 2 or not np.sum(second) > SAME**2:  # one event, or between events nothing varies
        return rows, half, ends, None, None
    design = np.sum(second) * events / (events - 1) / (alone * whole.sum() / (whole.sum() - 1))
    varied = second > SAME**2
    unit = np.sqrt(second[varied] * events / (events - 1) / (design * whole.sum()))  # one market's standard deviation
    towards = np.where(mean[varied] < 0, -1.0, 1.0)
    counted = sample.by_event(whole.astype(np.float64))
    seen = counted > 0
    shape = shape_of(counted[seen], towards * together[seen][:, varied] / unit)
    return rows, half, ends, float(design), shape


def _forecasts(names: Sequence[str], p: Floats) -> pl.DataFrame:
    rows = []
    for c, name in enumerate(names):
        mine = p[(~np.isnan(p[:, c])).sum(axis=1) > 1, c]
        row: dict[str, Any] = {"configuration": name, "n_markets": mine.shape[0]}
        if mine.size:
            row["replicates"] = float(np.mean(np.sum(~np.isnan(mine), axis=1)))
            row["variance"] = float(np.mean(np.nanvar(mine, axis=1, ddof=1)))
        rows.append(row | {"reason": None if mine.size else "no market has two replicates"})
    schema = {"configuration": pl.String, "n_markets": pl.Int64, "replicates": pl.Float64, "variance": pl.Float64}
    return pl.DataFrame(rows, schema=schema | {"reason": pl.String})


def _noise(names: Sequence[str], replicates: Sequence[int], errors: Floats) -> pl.DataFrame:
    rows = [
        (name, replicates[i], replicates[j], d.size, abs(float(d.mean())))
        for c, name in enumerate(names)
        for i, j in combinations(range(errors.shape[2]), 2)
        if (d := without_rounding((errors[:, c, i] - errors[:, c, j])[~np.isnan(errors[:, c, i] + errors[:, c, j])])).size
    ]
    schema: dict[str, Any] = {"configuration": pl.String, **dict.fromkeys(("first", "second", "n_markets"), pl.Int64)}
    return pl.DataFrame(rows, schema=schema | {"delta": pl.Float64}, orient="row")


def _schema(key: str, numbers: Sequence[str]) -> dict[str, Any]:
    return {key: pl.String, **dict.fromkeys(numbers, pl.Float64), "reason": pl.String}
