"""Partial pooling: estimates of several groups, each drawn towards their common mean as far as the data ask for it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats
from coordeval.analysis.base.scipy_parts import optimize, special

FEWEST: Final = 3
"""Groups that pooling needs: with two, any spread between them is as plausible as any other."""
_POINTS = 64  # values of τ that are averaged over
_HALVINGS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk:
    """Group means θ_k ~ N(μ, τ²), seen as y_k with variances v_k. Arrays have the shape (groups,)."""

    mean: float
    """μ at the τ² below, weights 1/(v_k + τ²)."""
    mean_sem: float
    tau2: float
    """Variance between groups, by Paule & Mandel (1982): Q(τ²) = K − 1, or 0 where Q(0) is less."""
    q: float
    """Cochran's Q, Σ (y_k − μ)²/v_k at τ² = 0."""
    p_value: float
    """Of τ² = 0. Q against χ²(K − 1) where the v_k are known; where they are estimates, Welch's F (1951)."""
    estimate: Floats
    """Posterior means of θ_k."""
    low: Floats
    high: Floats
    p_zero: Floats
    """Twice the smaller of the posterior probabilities that θ_k is under or over 0."""


@asked
def shrink(y: ArrayLike, variance: ArrayLike, *, df: ArrayLike | None = None, level: float = 0.95) -> Shrunk:
    """Averages over every τ that the data allow, with a flat prior on τ and μ, so that intervals know that τ is a guess.

    At one τ, θ_k has the mean (1 − B)y_k + Bμ and the variance (1 − B)v_k + B²/Σ 1/(v_j + τ²), B = v_k/(v_k + τ²). `df`:
    degrees of freedom of each v_k; θ_k is then Student's t around that mean, and where it is not given, normal. In simulated
    worlds with 3 to 10 groups, 95% intervals held θ_k in 94 to 97% of the cases, and in 98 to 99% where τ = 0.
    Sources: Gelman et al. (2013), Bayesian Data Analysis, section 5.4, for the posterior; Gelman (2006) for the prior.

    Raises:
        AnalysisError: fewer than three groups, shapes that differ, or a variance that is not positive and finite.

    >>> from coordeval.analysis import shrink
    >>> found = shrink([0.30, 0.10, 0.20, 0.20], [0.01] * 4)
    >>> found.tau2, found.estimate.round(2).tolist()
    (0.0, [0.24, 0.16, 0.2, 0.2])
    """
    y, v = np.asarray(y, np.float64), np.asarray(variance, np.float64)
    free = np.full(y.shape, np.inf) if df is None else np.asarray(df, np.float64)
    if not (y.ndim == 1 and y.shape == v.shape == free.shape and y.size >= FEWEST):
        raise AnalysisError(f"estimates {y.shape}, variances {v.shape}, df {free.shape}: give {FEWEST} or more, one of each")
    if (wrong := np.flatnonzero(~(np.isfinite(y) & np.isfinite(v) & (v > 0) & (free > 0)))).size:
        k = wrong[0]
        raise AnalysisError(
            f"group {k}: estimate {y[k]}, variance {v[k]}, df {free[k]}: they must be finite, the last two > 0"
        )
    if not 0 < level < 1:
        raise AnalysisError(f"level is {level!r}: it must lie strictly between 0 and 1, such as 0.95 for 95%")
    tau2 = _paule_mandel(y, v)
    mean, sem = _centre(y, v, np.array([tau2]))
    m, s, weight = _conditional(y, v, tau2)
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    low, high = _quantiles(m, s, weight, free, tails)
    below = np.einsum("p,pk->k", weight, special.stdtr(np.where(np.isinf(free), 1e10, free), -m / s))
    return Shrunk(
        mean=float(mean[0]),
        mean_sem=float(sem[0]),
        tau2=tau2,
        q=_q(y, v, 0.0),
        p_value=_welch(y, v, free),
        estimate=weight @ m,
        low=low,
        high=high,
        p_zero=np.asarray(2 * np.minimum(below, 1 - below), np.float64),
    )


def _centre(y: Floats, v: Floats, tau2: Floats) -> tuple[Floats, Floats]:
    """μ and its standard error at each τ²."""
    w = 1 / (v + tau2[:, None])
    return w @ y / w.sum(axis=1), 1 / np.sqrt(w.sum(axis=1))


def _q(y: Floats, v: Floats, tau2: float) -> float:
    mean, _ = _centre(y, v, np.array([tau2]))
    return float(np.sum((y - mean) ** 2 / (v + tau2)))


def _paule_mandel(y: Floats, v: Floats) -> float:
    if _q(y, v, 0.0) <= y.size - 1:
        return 0.0
    upper = float(np.var(y, ddof=1))
    while _q(y, v, upper) > y.size - 1:
        upper *= 2
    return float(optimize.brentq(lambda tau2: _q(y, v, tau2) - (y.size - 1), 0, upper, xtol=1e-15 * upper, rtol=1e-12))


def _welch(y: Floats, v: Floats, df: Floats) -> float:
    """Welch's test that all means are one; with infinite df it is that of Cochran's Q."""
    k, share = y.size, (1 / v) / np.sum(1 / v)
    slack = float(np.sum((1 - share) ** 2 / df))
    if slack == 0:
        return float(special.chdtrc(k - 1, _q(y, v, 0.0)))
    f = _q(y, v, 0.0) / (k - 1) / (1 + 2 * (k - 2) * slack / (k * k - 1))
    return float(special.fdtrc(k - 1, (k * k - 1) / (3 * slack), f))


def _conditional(y: Floats, v: Floats, tau2: float) -> tuple[Floats, Floats, Floats]:
    """Mean and standard deviation of each θ_k at each τ, (points, groups), and the posterior weights of the τ."""
    scale = np.sqrt(np.median(v) + tau2)
    x = (np.arange(_POINTS) + 0.5) / _POINTS
    t = (scale * x / (1 - x)) ** 2
    mean, sem = _centre(y, v, t)
    total = v + t[:, None]
    log = np.log(sem) - 0.5 * np.sum(np.log(total) + (y - mean[:, None]) ** 2 / total, axis=1) - 2 * np.log(1 - x)
    weight = np.exp(log - log.max())
    b = v / total
    spread = np.sqrt((1 - b) * v + (b * sem[:, None]) ** 2)
    return (1 - b) * y + b * mean[:, None], spread, weight / weight.sum()


def _quantiles(m: Floats, s: Floats, weight: Floats, df: Floats, tails: Floats) -> Floats:
    """Quantiles of the mixtures, (tails, groups), by bisection."""
    law = np.where(np.isinf(df), 1e10, df)  # neither takes infinity
    reach = np.max(np.abs(special.stdtrit(law[:, None], tails)), axis=1) * s.max(axis=0)
    low = np.tile(m.min(axis=0) - reach, (tails.size, 1))
    high = np.tile(m.max(axis=0) + reach, (tails.size, 1))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = np.einsum("p,ptk->tk", weight, special.stdtr(law, (middle - m[:, None]) / s[:, None])) < tails[:, None]
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray((low + high) / 2, np.float64)
