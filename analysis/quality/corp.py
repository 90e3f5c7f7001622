"""CORP: the decomposition and the reliability diagram that need no bins.

Source: Dimitriadis, Gneiting & Jordan (2021), "Stable reliability diagrams for probabilistic classifiers", PNAS 118(8).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats, Ints, at_least, outcomes, probabilities
from coordeval.analysis.base.numerals import SAME, distinct
from coordeval.analysis.base.scipy_parts import optimize

_BLOCK = 4_000_000  # simulated numbers held at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Corp:
    """BS = MCB − DSC + UNC, and the recalibrated curve. Curve arrays have the shape (n_distinct,), by increasing `x`."""

    n: int
    brier: float
    mcb: float
    """Miscalibration, BS − BS of the recalibrated forecasts; 0 is calibrated."""
    dsc: float
    """Discrimination, UNC − BS of the recalibrated forecasts; 0 is none."""
    unc: float
    """Uncertainty, ȳ(1 − ȳ)."""
    x: Floats
    """The distinct forecasts, see `base.numerals.distinct`: equal ones are recalibrated together."""
    recalibrated: Floats
    """The recalibrated probability at each: nondecreasing, in [0, 1]."""
    counts: Ints
    """Forecasts at each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consistency:
    """Where the curve of a calibrated forecaster with the same forecasts lies. Arrays: (points,), by increasing `x`."""

    x: Floats
    low: Floats
    high: Floats
    level: float
    """Pointwise share of the draws in [low, high]."""
    p_value: float
    """Of calibration, (1 + #{MCB* ≥ MCB}) / (1 + n): in [1/(1 + n), 1]."""
    n: int
    seed: int


@asked
def corp(p: ArrayLike, y: ArrayLike) -> Corp:
    """Recalibrates by isotonic regression (pool adjacent violators) and splits the Brier score. `p`, `y`: (n_obs,).

    Raises AnalysisError where a forecast lies outside [0, 1], an outcome is not 0 or 1, or the shapes differ.

    >>> from coordeval.analysis import corp
    >>> found = corp([0.1, 0.4, 0.6, 0.8], [0, 1, 0, 1])
    >>> found.recalibrated.tolist(), round(found.mcb, 4), found.dsc, found.unc
    ([0.0, 0.5, 0.5, 1.0], 0.0675, 0.125, 0.25)
    """
    p = probabilities(p)
    y = outcomes(y, like=p)
    x, counts, hits = _grouped(p, y)
    curve = pool(hits / counts, counts)
    score, best = float(np.mean((p - y) ** 2)), _score(curve, counts, hits)
    base = float(np.mean(y))
    unc = base * (1 - base)
    return Corp(
        n=p.size,
        brier=score,
        mcb=score - best,
        dsc=unc - best,
        unc=unc,
        x=x,
        recalibrated=curve,
        counts=counts,
    )


@asked
def consistency(
    p: ArrayLike, y: ArrayLike, *, n: int = 1000, level: float = 0.9, seed: int = 0, points: int | None = None
) -> Consistency:
    """Consistency band and p-value of calibration from `n` draws y* ~ Bernoulli(p), whatever the order of the forecasts.

    The band is at every distinct forecast, or at `points` of them (at most), evenly spaced by rank, which changes nothing at
    those. It holds n · points numbers; `calibration_p_value` gives the same p-value without them.

    `p`, `y`: (n_obs,).

    Raises:
        AnalysisError: unless 0 < level < 1 (a fraction, not a percentage), n ≥ 1 and points ≥ 2.

    >>> from coordeval.analysis import consistency
    >>> found = consistency([0.1] * 20 + [0.9] * 20, [0] * 16 + [1] * 24, n=999)
    >>> found.low.tolist(), found.high.tolist(), found.p_value
    ([0.0, 0.8], [0.2, 1.0], 0.124)
    """
    if not 0 < level < 1:
        raise AnalysisError(f"level is {level!r}: it must lie strictly between 0 and 1, such as 0.9 for 90%")
    p = probabilities(p)
    x, counts, hits = _grouped(p, outcomes(y, like=p))
    at_least("points", points or x.size + 1, 2)
    at = np.unique(np.linspace(0, x.size - 1, min(points or x.size, x.size)).round().astype(np.int64))
    blocks = [(curves[:, at], mcb) for curves, mcb in _calibrated(x, counts, n=n, seed=seed)]
    low, high = np.quantile(np.concatenate([curves for curves, _ in blocks]), ((1 - level) / 2, (1 + level) / 2), axis=0)
    p_value = _p_value(np.concatenate([mcb for _, mcb in blocks]), x, counts, hits)
    return Consistency(x=x[at], low=low, high=high, level=level, p_value=p_value, n=n, seed=seed)


@asked
def calibration_p_value(p: ArrayLike, y: ArrayLike, *, n: int = 1000, seed: int = 0) -> float:
    """(1 + #{MCB* ≥ MCB}) / (1 + n) over `n` draws y* ~ Bernoulli(p): small where the forecasts are not calibrated.

    `p`, `y`: (n_obs,). Raises AnalysisError as `corp` does, or where `n` is less than 1.

    >>> from coordeval.analysis import calibration_p_value
    >>> calibration_p_value([0.1] * 20 + [0.9] * 20, [0] * 16 + [1] * 24, n=999)
    0.124
    """
    p = probabilities(p)
    x, counts, hits = _grouped(p, outcomes(y, like=p))
    return _p_value(np.concatenate([mcb for _, mcb in _calibrated(x, counts, n=n, seed=seed)]), x, counts, hits)


def _calibrated(x: Floats, counts: Ints, *, n: int, seed: int) -> Iterator[tuple[Floats, Floats]]:
    """Blocks of draws of a calibrated forecaster: recalibrated curves (block, n_distinct) and their MCB (block,)."""
    at_least("n", n, 1)
    rng = np.random.default_rng(seed)
    rows = max(1, _BLOCK // x.size)
    for start in range(0, n, rows):
        hits = rng.binomial(counts, x, (min(rows, n - start), x.size))
        curves = pool_rows(hits, counts)
        yield curves, _miscalibration(x, curves, counts, hits)


def pool(observed: Floats, counts: Ints) -> Floats:
    """Pool adjacent violators: the nondecreasing curve nearest to `observed` (n_distinct,), weighted by `counts`."""
    return np.asarray(optimize.isotonic_regression(observed, weights=counts.astype(np.float64)).x)


def pool_rows(hits: Floats | Ints, counts: Floats | Ints) -> Floats:
    """The recalibrated curve of each row, (rows, n_distinct). `counts` (n_distinct,) or as `hits`; none is 0."""
    n: Floats = np.broadcast_to(np.asarray(counts, np.float64), hits.shape)
    means = []
    for rows in _in_chunks(hits):
        row, starts, yes, total = _blocks(hits[rows], n[rows])
        means.append(np.repeat(yes / total, np.diff(np.append(starts, row.size))))
    return np.concatenate(means).reshape(hits.shape)


def explained(hits: Floats | Ints, counts: Floats | Ints) -> Floats:
    """Σ n q² of each row's recalibrated curve q, (rows,): Σ hits less this is what isotonic regression leaves of Σ (q − y)².

    `counts` (n_distinct,) or as `hits`; a forecast that a row did not draw counts 0 and has no part in its curve.
    """
    n: Floats = np.broadcast_to(np.asarray(counts, np.float64), hits.shape)
    parts = []
    for rows in _in_chunks(hits):
        row, starts, yes, total = _blocks(hits[rows], n[rows])
        parts.append(np.bincount(row[starts], yes * yes / total, minlength=len(hits[rows])))
    return np.concatenate(parts)


def _in_chunks(hits: Floats | Ints) -> Iterator[slice]:
    rows = max(1, _BLOCK // 2 // max(1, hits.shape[1]))
    return (slice(start, start + rows) for start in range(0, len(hits), rows))


def _blocks(hits: Floats | Ints, counts: Floats | Ints) -> tuple[Ints, Ints, Floats, Floats]:
    """The row of each drawn forecast, where each pooled block begins among them, and the block's hits and count.

    One regression for all rows: each row lies above the one before, so nothing is pooled across them. The shift costs the
    last digits of a value, so it only decides what is pooled; means come from the whole numbers.
    """
    drawn = counts > 0
    row, yes, total = np.nonzero(drawn)[0], hits[drawn].astype(np.float64), counts[drawn].astype(np.float64)
    starts = np.asarray(optimize.isotonic_regression(yes / total + 2.0 * row, weights=total).blocks[:-1])
    return row, starts, np.add.reduceat(yes, starts), np.add.reduceat(total, starts)


def _p_value(drawn: Floats, x: Floats, counts: Ints, hits: Floats) -> float:
    observed = _miscalibration(x, pool(hits / counts, counts), counts, hits)
    return float((1 + np.sum(drawn >= observed - SAME)) / (1 + drawn.size))


def _grouped(p: Floats, y: Floats) -> tuple[Floats, Ints, Floats]:
    """Distinct forecasts, how many of each, and how many of those resolved YES."""
    x, place = distinct(p)
    return x, np.bincount(place).astype(np.int64), np.bincount(place, y).astype(np.float64)


def _score(q: Floats, counts: Ints, hits: Floats) -> float:
    return float(np.sum(hits * (1 - q) ** 2 + (counts - hits) * q**2) / counts.sum())


def _miscalibration(x: Floats, curve: Floats, counts: Ints, hits: Floats | Ints) -> Floats:
    """BS(x) − BS(curve), over the last axis."""
    return np.asarray(np.sum(counts * (x**2 - curve**2) - 2 * hits * (x - curve), axis=-1) / counts.sum())
