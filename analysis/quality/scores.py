"""Scores of probability forecasts: Brier, logarithmic, excess over the market price, skill."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats, outcomes, probabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class LogScore:
    """The logarithmic score, with what clipping did to it."""

    nats: float
    clipped: int
    """Forecasts outside [epsilon, 1 − epsilon]."""
    epsilon: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """1 − BS/BS_ref: 1 is perfect, 0 no better than the reference."""

    value: float | None
    n: int
    """Forecasts whose reference is known: the skill is over these."""
    reason: str | None
    """Why `value` is None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alpha:
    """Mean excess over the market price, in Brier points; positive is better than the market."""

    n: int
    """Forecasts with a known market price: alpha is over these."""
    mean: float | None
    sem: float | None
    """Standard error over markets."""
    sem_clustered: float | None
    """Standard error over events: markets that resolve together are one observation."""
    reasons: Mapping[str, str]
    """Field -> why it is None."""


@asked
def brier(p: ArrayLike, y: ArrayLike) -> float:
    """Brier score: mean (p − y)², in [0, 1], 0 is perfect. `p`, `y`: (n_obs,). Source: Brier (1950).

    Raises AnalysisError where a forecast lies outside [0, 1], an outcome is not 0 or 1, or the shapes differ.

    >>> from coordeval.analysis import brier
    >>> brier([0.5, 0.0], [1, 0])
    0.125
    """
    p = probabilities(p)
    return float(np.mean((p - outcomes(y, like=p)) ** 2))


@asked
def log_score(p: ArrayLike, y: ArrayLike, *, epsilon: float = 1e-3) -> LogScore:
    """Logarithmic score: −mean[y ln p + (1 − y) ln(1 − p)] with p clipped to [ε, 1 − ε], in nats, 0 is perfect.

    Source: Good (1952). Raises AnalysisError unless 0 < ε < 0.5.
    `p`, `y`: (n_obs,). Raises AnalysisError as `brier` does.

    >>> from coordeval.analysis import log_score
    >>> found = log_score([0.8, 0.0], [1, 0])
    >>> round(found.nats, 4), found.clipped
    (0.1121, 1)
    """
    if not 0 < epsilon < 0.5:
        raise AnalysisError(f"epsilon is {epsilon!r}: it must lie strictly between 0 and 0.5; the default is 0.001")
    p = probabilities(p)
    y = outcomes(y, like=p)
    held = np.clip(p, epsilon, 1 - epsilon)
    return LogScore(
        nats=float(-np.mean(np.log(np.where(y == 1, held, 1 - held)))), clipped=int(np.sum(held != p)), epsilon=epsilon
    )


@asked
def base_rate(y: ArrayLike) -> float:
    """ȳ, the share of markets that resolved YES. `y`: (n_obs,).

    Raises AnalysisError where an outcome is not 0 or 1.

    >>> from coordeval.analysis import base_rate
    >>> base_rate([1, 0, 0, 0])
    0.25
    """
    y = np.asarray(y, dtype=np.float64)
    return float(np.mean(outcomes(y, like=probabilities(y, name="outcome"))))


@asked
def skill(p: ArrayLike, y: ArrayLike, *, reference: ArrayLike) -> Skill:
    """1 − BS(p)/BS(reference), in (−∞, 1]. Source: Murphy (1973).

    `reference` is one forecast for all (the base rate) or one each, shape (n_obs,); NaN where none is known, and that
    forecast is left out of both scores. None where no reference is known, and where the reference is perfect.
    `p`, `y`: (n_obs,). Raises AnalysisError as `brier` does.

    >>> from coordeval.analysis import skill
    >>> round(skill([0.9, 0.2], [1, 0], reference=0.5).value, 3)
    0.9
    >>> skill([0.9, 0.2], [1, 0], reference=[float("nan"), 0.4])
    Skill(value=0.75, n=1, reason=None)
    """
    p = probabilities(p)
    y = outcomes(y, like=p)
    known, other = _known(reference, like=p, name="reference")
    if not other.size:
        return Skill(value=None, n=0, reason="no reference forecast is known")
    if (score := brier(other, y[known])) == 0:
        return Skill(value=None, n=other.size, reason="the reference is perfect: its Brier score is 0")
    return Skill(value=1 - brier(p[known], y[known]) / score, n=other.size, reason=None)


@asked
def alpha(
    p: ArrayLike,
    y: ArrayLike,
    price: ArrayLike,
    *,
    markets: ArrayLike | None = None,
    events: ArrayLike | None = None,
    replicates: ArrayLike | None = None,
) -> Alpha:
    """Mean of d = (m − y)² − (p − y)², with its standard error over markets and over events.

    All arrays have the shape (n_obs,). `price` m is NaN where none is known; that forecast is left out. With several
    replicates each counts the same. With weights w that sum to 1 and G clusters g,

        SE² = G/(G − 1) Σ_g (Σ_{i∈g} w_i (d_i − alpha))²;

    with clusters of one forecast this is the usual SEM with ddof = 1. Without `markets` each forecast is a market of its
    own, without `events` each market an event. Source: Liang & Zeger (1986). Raises AnalysisError as `brier` does.

    >>> from coordeval.analysis import alpha
    >>> found = alpha([0.9, 0.2, 0.7], [1, 0, 1], [0.7, 0.3, 0.6], events=["a", "a", "b"])
    >>> found.n, round(found.mean, 4), round(found.sem, 4), round(found.sem_clustered, 4)
    (3, 0.0667, 0.0088, 0.0022)
    """
    p = probabilities(p)
    y = outcomes(y, like=p)
    known, m = _known(price, like=p, name="price")
    if not m.size:
        reason = "no market price is known"
        return Alpha(
            n=0, mean=None, sem=None, sem_clustered=None, reasons=dict.fromkeys(("mean", "sem", "sem_clustered"), reason)
        )
    d = (m - y[known]) ** 2 - (p[known] - y[known]) ** 2
    market = _ids(markets, default=np.arange(p.size))[known]
    event = _ids(events, default=_ids(markets, default=np.arange(p.size)))[known]
    replicate = _ids(replicates, default=np.zeros(p.size))[known]
    _, inverse, counts = np.unique(replicate, return_inverse=True, return_counts=True)
    weight = 1 / (counts.size * counts[inverse])
    mean = float(weight @ d)
    sem, sem_clustered = (_standard_error(weight * (d - mean), clusters) for clusters in (market, event))
    reasons = {
        name: f"one {unit}: a standard error needs two"
        for name, value, unit in (("sem", sem, "market"), ("sem_clustered", sem_clustered, "event"))
        if value is None
    }
    return Alpha(n=m.size, mean=mean, sem=sem, sem_clustered=sem_clustered, reasons=reasons)


def _known(reference: ArrayLike, *, like: Floats, name: str) -> tuple[np.ndarray, Floats]:
    """Where the reference forecast is known, shape (n_obs,), and its values there."""
    values = np.asarray(reference, dtype=np.float64)
    if values.shape not in ((), like.shape):
        raise AnalysisError(f"{name} has the shape {values.shape}, the forecasts {like.shape}: give one for all or one each")
    values = np.broadcast_to(values, like.shape)
    known = ~np.isnan(values)
    return known, probabilities(values[known], name=name) if known.any() else values[known]


def _ids(ids: ArrayLike | None, *, default: np.ndarray) -> np.ndarray:
    values = default if ids is None else np.asarray(ids)
    if values.shape != default.shape:
        raise AnalysisError(
            f"an id array has the shape {values.shape}, the forecasts {default.shape}: give one id per forecast"
        )
    return values


def _standard_error(residuals: Floats, clusters: np.ndarray) -> float | None:
    _, inverse = np.unique(clusters, return_inverse=True)
    sums = np.bincount(inverse, residuals)
    return float(np.sqrt(sums.size / (sums.size - 1) * np.sum(sums**2))) if sums.size > 1 else None
