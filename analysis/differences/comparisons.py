"""Every pair of configurations, and each against the market price: what differs, how surely, what it takes to know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import ceil, exp, inf, pi, sqrt
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats
from coordeval.analysis.base.events import clustered_error
from coordeval.analysis.base.few import thin
from coordeval.analysis.base.frames import Scored
from coordeval.analysis.base.grid import PRICE, Grid, grid
from coordeval.analysis.base.numerals import without_rounding
from coordeval.analysis.base.resampling import APART, Draws, Method, Resamples, interval, measured, ratio
from coordeval.analysis.base.scipy_parts import special
from coordeval.analysis.differences.replicates import spread
from coordeval.analysis.differences.sign_flips import sign_flip

_TIE = 1e-12  # rounding of a sum of errors, relative to its largest term

METHOD: Final[Method] = "bca+student+turned"
"""Of the interval of a difference; outcomes that were not seen are part of it where the study is `base.few.thin`."""
_TEXT: Final = ("first", "second", "family", "reason")
_WHOLE: Final = ("n_markets", "n_events", "n_needed", "n_needed_clustered")
COLUMNS: Final = (
    *("first", "second", "family", "n_markets", "n_events", "brier_first", "brier_second", "delta", "low", "high"),
    *(
        "sem",
        "t",
        "p_t",
        "sem_clustered",
        "t_clustered",
        "p_clustered",
        "p_value",
        "exact",
        "p_holm",
        "p_bonferroni",
        "p_whole",
    ),
    *("p_tost", "power", "type_s", "type_m", "n_needed", "n_needed_clustered", "noise_floor", "ratio", "reason"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparisons:
    """Differences in Brier score, on the markets that both sides of a pair have; negative: the first is better."""

    table: pl.DataFrame
    """One row per pair; see COLUMNS.

    `family` is `configurations` or `market` (against the market price); p-values are adjusted within it. `low`, `high`:
    interval of the cluster bootstrap. `sem`, `t`, `p_t`: paired t over markets as if independent; `_clustered`: over
    events, with the degrees of freedom that their sizes leave, see `base.events.clustered_error`. `p_value`: sign flips
    of events, `exact` if all were tried; `p_holm`, `p_bonferroni`: of it; `p_whole`: `p_holm`, or what `tests` make of
    it: below `alpha` the difference is stated. `p_tost`: of |Δ| ≥ `margin`, the larger of two one-sided
    clustered t tests, by Holm over its family; small means equivalent.
    `power`, `type_s`, `type_m`: at a true difference of `effect`,
    see `retrodesign`. `n_needed`: markets for `wanted_power` at `alpha` divided by the tests, if the true
    difference is the one seen; `_clustered`: with the markets of an event correlated as they are here. `ratio`: |Δ| /
    noise floor. `reason`: of every null.
    """
    noise_floor: float | None
    noise_low: float | None
    noise_high: float | None
    """The interval of the noise floor, where it is that of replicates: `replicates.Spread`."""
    margin: float
    effect: float
    alpha: float
    wanted_power: float
    n: int
    seed: int
    level: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What significance means in a study of this precision, if the true difference is the stated one."""

    power: float
    """Probability of a significant result."""
    type_s: float
    """Probability that a significant result has the wrong sign."""
    type_m: float
    """Expected |significant result| / true difference: by how much it exaggerates."""


@asked
def comparisons(
    scored: Scored,
    *,
    n: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
    margin: float = 0.005,
    effect: float | None = None,
    alpha: float = 0.05,
    wanted_power: float = 0.8,
    control: float | None = None,
    groups: Mapping[str, str] | None = None,
    tests: float | None = None,
) -> Comparisons:
    """All pairs, each market the mean of its replicates. `n` resamples and sign flips, the same for every pair, from `seed`.

    `margin` is in Brier points; `effect` is the true difference at which Type S and Type M are told: if not given, the
    margin, which is the smallest that matters, and never the one that was seen. `control` is the noise floor where nothing
    was sampled twice, such as `differences.structure.Structure.noise_floor`. `groups` (configuration -> group): only pairs
    across two groups are compared and corrected for, such as those of two studies; not the market price, which is in none.
    `tests`: as one of so many each is corrected, such as `study.family.factor` of all that a report asks; if not given, by
    Holm within its family.

    Sources: Fisher (1935) for sign flips; Schuirmann (1987) for equivalence; those of `retrodesign` and `holm`.

    Raises:
        AnalysisError: nothing is scored, or an option is out of its range.

    >>> import polars as pl
    >>> from coordeval.analysis import comparisons, example, scored
    >>> found = comparisons(scored(example()), n=500)
    >>> columns = ("delta", "low", "high", "p_value", "p_holm", "noise_floor", "ratio")
    >>> found.table.filter(first="independent_ensemble").select("second", pl.col(columns).round(2)).row(1)
    ('single_agent', -0.02, -0.05, 0.01, 0.14, 0.28, 0.01, 1.46)
    """
    effect = margin if effect is None else effect
    for option, value in (("margin", margin), ("effect", effect)):
        if not 0 < value < inf:
            raise AnalysisError(f"{option} is {value!r}: it must be a positive number of Brier points, such as 0.005")
    for option, value in (("alpha", alpha), ("wanted_power", wanted_power)):
        if not 0 < value < 1:
            raise AnalysisError(f"{option} is {value!r}: it must lie strictly between 0 and 1")
    sample = grid(scored)
    names, errors = sample.configurations, sample.errors()
    pairs = list(combinations(range(len(names)), 2))
    if groups is not None:
        of = [groups.get(name) for name in names]
        pairs = [(i, j) for i, j in pairs if None not in (of[i], of[j]) and of[i] != of[j]]
    replicated = spread(scored, level=level)
    floor = control if replicated.noise_floor is None else replicated.noise_floor
    rows: list[dict[str, Any]] = []
    if pairs:
        d = without_rounding(np.stack([errors[:, i] - errors[:, j] for i, j in pairs], axis=1))
        other = replace(sample, y=1 - sample.y).errors() if thin(sample.y, sample.event) else None
        drawn = paired(
            sample,
            d,
            Resamples(events=len(sample.events), n=n, seed=seed),
            turned=None if other is None else np.stack([other[:, i] - other[:, j] for i, j in pairs], axis=1),
        )
        sums = sample.by_event(np.nan_to_num(d))
        signs, differ = sign_flip(sums, n=n, seed=seed), np.any(without_rounding(sums), axis=0)
    for k, (i, j) in enumerate(pairs):
        there = ~np.isnan(d[:, k])
        family = "market" if names[j] == PRICE else "configurations"
        row: dict[str, Any] = {"first": names[i], "second": names[j], "family": family, "n_markets": int(there.sum())}
        row |= {"n_events": int(np.unique(sample.event[there]).size), "noise_floor": floor}
        if not there.any():
            rows.append(row | {"reason": "no market was scored for both"})
            continue
        found = interval(drawn, 0, k, method=METHOD, events=row["n_events"], level=level, bounds=APART)
        row |= {"brier_first": float(errors[there, i].mean()), "brier_second": float(errors[there, j].mean())}
        row |= {"low": found.low, "high": found.high, "p_value": signs[k][0], "exact": signs[k][1]}
        reasons = [f"low, high: {found.reason}"] if found.reason else []
        row["differ"] = bool(differ[k])
        row |= _tests(d[there, k], sample.event[there], margin=margin, effect=effect, alpha=alpha, reasons=reasons)
        if floor:
            row["ratio"] = abs(row["delta"]) / floor
        else:
            unknown = f"noise_floor, ratio: {replicated.reason}"
            reasons.append("ratio: the noise floor is 0" if floor == 0 else unknown)
        rows.append(row | {"reason": "; ".join(reasons) or None})
    _adjust(rows, alpha=alpha, power=wanted_power, tests=tests)
    types: dict[str, Any] = {c: pl.String if c in _TEXT else pl.Int64 if c in _WHOLE else pl.Float64 for c in COLUMNS}
    return Comparisons(
        table=pl.DataFrame([{c: r.get(c) for c in COLUMNS} for r in rows], schema=types | {"exact": pl.Boolean}),
        noise_floor=floor,
        noise_low=replicated.noise_low,
        noise_high=replicated.noise_high,
        margin=margin,
        effect=effect,
        alpha=alpha,
        wanted_power=wanted_power,
        n=n,
        seed=seed,
        level=level,
    )


def paired(sample: Grid, d: Floats, resamples: Resamples, *, turned: Floats | None = None) -> Draws:
    """The mean of each column of `d`, (markets, pairs), NaN where a side is missing: measure 0 of `pairs` units.

    `turned`: what `d` would be if every market had resolved the other way, for an interval that allows for it.
    """
    columns, other = (
        None if x is None else sample.by_event(np.stack([~np.isnan(x), np.nan_to_num(x)], axis=1)) for x in (d, turned)
    )
    assert columns is not None
    return measured(columns, lambda sums: ratio(sums[:, 1:], sums[:, :1]), resamples, left_out=True, turned=other)


@asked
def retrodesign(effect: float, sem: float, *, df: float = inf, alpha: float = 0.05) -> Design:
    """Power, Type S and Type M of a two-sided t test with standard error `sem` at the true difference `effect` > 0.

    With λ = effect/sem, c the critical value, f and S the density and upper tail of t: power = S(c − λ) + S(c + λ),
    type_s = S(c + λ)/power, and with h(x) = f(x)(df + x²)/(df − 1)
    type_m = (λ(S(c − λ) − S(c + λ)) + h(c − λ) + h(c + λ)) / (λ power).
    Sources: Gelman & Carlin (2014), who simulate Type M; Lu, Qiu & Deng (2019). Raises AnalysisError unless df > 1.

    >>> from coordeval.analysis import retrodesign
    >>> found = retrodesign(0.005, 0.01, df=60)
    >>> round(found.power, 2), round(found.type_s, 2), round(found.type_m, 1)
    (0.08, 0.1, 4.9)
    """
    if not (effect > 0 and sem > 0 and df > 1):
        raise AnalysisError(f"effect {effect!r}, sem {sem!r}, df {df!r}: effect and sem must be positive, df above 1")
    size = effect / sem
    critical = -float(special.ndtri(alpha / 2) if df == inf else special.stdtrit(df, alpha / 2))
    near, far = critical - size, critical + size
    right, wrong = (float(special.ndtr(-x) if df == inf else special.stdtr(df, -x)) for x in (near, far))
    beyond = _excess(near, df) + _excess(far, df)
    power = right + wrong
    return Design(
        power=float(power),
        type_s=float(wrong / power),
        type_m=float((size * (right - wrong) + beyond) / (size * power)),
    )


def _excess(x: float, df: float) -> float:
    """h(x) = E[t; t > x]: f(x) (df + x²)/(df − 1) of Student's t, f(x) of the normal law."""
    if df == inf:
        return exp(-x * x / 2) / sqrt(2 * pi)
    return float((1 + x * x / df) ** (-(df + 1) / 2) / (sqrt(df) * special.beta(0.5, df / 2)) * (df + x * x) / (df - 1))


@asked
def markets_needed(delta: float, sd: float, *, alpha: float, power: float = 0.8) -> int:
    """⌈(z₁₋ₐ⸝₂ + z_power)² sd²/Δ²⌉: independent markets whose differences have the standard deviation `sd`.

    `delta` and `sd` are in Brier points. Source: Cohen (1988). Raises AnalysisError where `delta` is 0 or not finite: no
    number of markets shows a difference that is not there.

    >>> from coordeval.analysis import markets_needed
    >>> markets_needed(0.02, 0.12, alpha=0.05 / 10)
    480
    """
    for option, share in (("alpha", alpha), ("power", power)):
        if not 0 < share < 1:
            raise AnalysisError(f"{option} is {share!r}: it must lie strictly between 0 and 1, such as 0.8 for 80%")
    if not 0 < sd < inf:
        raise AnalysisError(f"sd is {sd!r}: it must be a positive number of Brier points")
    if not 0 < abs(delta) < inf:
        raise AnalysisError(f"delta is {delta!r}: it must be a difference other than 0, in Brier points, such as 0.02")
    z = -float(special.ndtri(alpha / 2) + special.ndtri(1 - power))
    return ceil((z * sd / delta) ** 2)


@asked
def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjusted p-values, in the order given; None stays None and is not counted. Source: Holm (1979).

    Raises AnalysisError where one is NaN or lies outside [0, 1].

    >>> from coordeval.analysis import holm
    >>> holm([0.01, None, 0.04, 0.03])
    [0.03, None, 0.06, 0.06]
    """
    for i, p in enumerate(p_values):
        if p is not None and not 0 <= p <= 1:
            raise AnalysisError(f"p_values[{i}] is {p!r}: it must lie in [0, 1], or be None where there is no test")
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    running = 0.0
    for rank, (p, i) in enumerate(known):
        running = max(running, min(1.0, (len(known) - rank) * p))
        adjusted[i] = running
    return adjusted


def _tests(
    d: Floats, event: Any, *, margin: float, effect: float, alpha: float, reasons: list[str]
) -> dict[str, float | None]:
    """t tests over markets and over events, equivalence and design of one pair; appends the reason of every null."""
    delta = float(without_rounding(d.mean()))
    row: dict[str, float | None] = {"delta": delta}
    tiny = _TIE * float(np.abs(d).max(initial=0))
    for suffix, of in (("", np.arange(d.size)), ("_clustered", event)):
        sem, df = clustered_error(d, of)
        if not df:
            reasons.append(
                f"sem{suffix} and what needs it: one {'event' if suffix else 'market'}, a standard error needs two"
            )
            continue
        if sem <= tiny:
            reasons.append(f"sem{suffix} and what needs it: the difference does not vary")
            continue
        row |= {f"sem{suffix}": sem, f"t{suffix}": delta / sem}
        row["p_clustered" if suffix else "p_t"] = float(2 * special.stdtr(df, -abs(delta) / sem))
        if not suffix:
            continue
        row["p_tost"] = float(special.stdtr(df, (abs(delta) - margin) / sem))
        if df > 1 + 1e-9:
            design = retrodesign(effect, sem, df=df, alpha=alpha)
            row |= {"power": design.power, "type_s": design.type_s, "type_m": design.type_m}
        else:
            reasons.append("power, type_s, type_m: two events, or two that carry all, they need three")
    return row


def _adjust(rows: list[dict[str, Any]], *, alpha: float, power: float, tests: float | None) -> None:
    """Adds adjusted p-values, and the markets needed at the adjusted level, within each family or as one of `tests`."""
    for name in ("configurations", "market"):
        family = [row for row in rows if row["family"] == name and row["n_markets"]]
        can_differ = [row.pop("differ") for row in family]
        tested = sum(can_differ)
        known = [row["p_value"] if differ else None for row, differ in zip(family, can_differ, strict=True)]
        alike = holm([row.get("p_tost") for row in family])
        for row, adjusted, same in zip(family, holm(known), alike, strict=True):
            reasons = [row["reason"]]
            row["p_tost"] = same
            row["p_holm"] = 1.0 if adjusted is None else adjusted  # of twins nothing is tested, so nothing is corrected for
            row["p_bonferroni"] = min(1.0, max(1, tested) * row["p_value"])
            row["p_whole"] = row["p_holm"] if tests is None else min(1.0, tests * row["p_value"])
            for suffix in ("", "_clustered"):
                sd = float((row.get(f"sem{suffix}") or 0) * np.sqrt(row["n_markets"]))
                if row["delta"] and sd > 0:
                    row[f"n_needed{suffix}"] = markets_needed(
                        row["delta"], sd, alpha=alpha / (tests or max(1, tested)), power=power
                    )
                else:
                    reasons.append(f"n_needed{suffix}: no difference, or no standard error")
            row["reason"] = "; ".join(filter(None, reasons)) or None
