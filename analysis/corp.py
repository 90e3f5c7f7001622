"""CORP: the decomposition and the reliability diagram that need no bins.

Source: Dimitriadis, Gneiting & Jordan (2021), "Stable reliability diagrams for probabilistic classifiers", PNAS 118(8).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression

from analysis.checks import AnalysisError, Floats, Ints, at_least, outcomes, probabilities

_BLOCK = 4_000_000  # simulated numbers held at a time
_TIE = 1e-12  # rounding of a Brier score


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
    """The distinct forecasts."""
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


def corp(p: ArrayLike, y: ArrayLike) -> Corp:
    """Recalibrates by isotonic regression (pool adjacent violators) and splits the Brier score. `p`, `y`: (n_obs,).

    Raises AnalysisError where a forecast lies outside [0, 1], an outcome is not 0 or 1, or the shapes differ.

    >>> from analysis import corp
    >>> found = corp([0.1, 0.4, 0.6, 0.8], [0, 1, 0, 1])
    >>> found.recalibrated.tolist(), round(found.mcb, 4), found.dsc, found.unc
    ([0.0, 0.5, 0.5, 1.0], 0.0675, 0.125, 0.25)
    """
    p = probabilities(p)
    y = outcomes(y, like=p)
    x, counts, hits = _grouped(p, y)
    curve = pool(hits / counts, counts)
    score, best = _score(x, counts, hits), _score(curve, counts, hits)
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


def consistency(
    p: ArrayLike, y: ArrayLike, *, n: int = 1000, level: float = 0.9, seed: int = 0, points: int | None = None
) -> Consistency:
    """Consistency band and p-value of calibration from `n` draws y* ~ Bernoulli(p), whatever the order of the forecasts.

    The band is at every distinct forecast, or at `points` of them (at most), evenly spaced by rank, which changes nothing at
    those. It holds n · points numbers; `calibration_p_value` gives the same p-value without them.

    `p`, `y`: (n_obs,).

    Raises:
        AnalysisError: unless 0 < level < 1 (a fraction, not a percentage), n ≥ 1 and points ≥ 2.

    >>> from analysis import consistency
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


def calibration_p_value(p: ArrayLike, y: ArrayLike, *, n: int = 1000, seed: int = 0) -> float:
    """(1 + #{MCB* ≥ MCB}) / (1 + n) over `n` draws y* ~ Bernoulli(p): small where the forecasts are not calibrated.

    `p`, `y`: (n_obs,). Raises AnalysisError as `corp` does, or where `n` is less than 1.

    >>> from analysis import calibration_p_value
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
        curves = np.array([pool(observed, counts) for observed in hits / counts])
        yield curves, _miscalibration(x, curves, counts, hits)


def pool(observed: Floats, counts: Ints) -> Floats:
    """Pool adjacent violators: the nondecreasing curve nearest to `observed` (n_distinct,), weighted by `counts`."""
    return np.asarray(isotonic_regression(observed, weights=counts.astype(np.float64)).x)


def _p_value(drawn: Floats, x: Floats, counts: Ints, hits: Floats) -> float:
    observed = _miscalibration(x, pool(hits / counts, counts), counts, hits)
    return float((1 + np.sum(drawn >= observed - _TIE)) / (1 + drawn.size))


def _grouped(p: Floats, y: Floats) -> tuple[Floats, Ints, Floats]:
    """Distinct forecasts, how many of each, and how many of those resolved YES."""
    x, inverse, counts = np.unique(p, return_inverse=True, return_counts=True)
    return x, counts.astype(np.int64), np.bincount(inverse, y).astype(np.float64)


def _score(q: Floats, counts: Ints, hits: Floats) -> float:
    return float(np.sum(hits * (1 - q) ** 2 + (counts - hits) * q**2) / counts.sum())


def _miscalibration(x: Floats, curve: Floats, counts: Ints, hits: Floats | Ints) -> Floats:
    """BS(x) − BS(curve), over the last axis."""
    return np.asarray(np.sum(counts * (x**2 - curve**2) - 2 * hits * (x - curve), axis=-1) / counts.sum())
