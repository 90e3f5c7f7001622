"""Has a signal changed? Evidence from ranks alone, valid however often, and whenever, one looks.

While nothing changes, periods could have come in any order. So the rank of the newest among all so far is uniform, whatever
the signal's unit, spread or shape, and independent of the ranks before it: that is all that is assumed, and the baseline's
true mean need not be known. A bet on the rank is an e-value. Sums over the period in which a change may have begun
(Shiryaev-Roberts) are an e-detector.

Sources: Vovk, Nouretdinov & Gammerman (2003) and Vovk (2021) for test martingales from ranks; Shin, Ramdas & Rinaldo
(2023), E-detectors, for the sum over beginnings and what it promises.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from coordeval.analysis.base.checks import AnalysisError, Floats, Ints
from coordeval.analysis.base.scipy_parts import special

SHIFTS: Final = (-3.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 3.0)
"""What is bet on: that periods have moved by so many of their own standard deviations. The capital is spread evenly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The e-detector after each value, and where the change that it speaks for most began."""

    value: Floats
    """(n,): expected to be at most the number of values since `baseline`, at every stopping time, if nothing changed."""
    since: Ints
    """(n,): position of the first value after the likeliest change; −1 within the baseline."""
    shift: Floats
    """(n,): which of SHIFTS it speaks for most; NaN within the baseline."""

    def first(self, needed: float) -> int | None:
        """Position of the first value at which the evidence reaches `needed`; None if it never does."""
        found = np.flatnonzero(self.value >= needed)
        return int(found[0]) if found.size else None


def ranks(x: ArrayLike, ties: ArrayLike) -> Ints:
    """Rank of each value among those up to it, 1 to its position; equal values stand in the order of `ties`.

    `x`, `ties`: (n,); `ties` uniform random numbers of their own, so that ranks are independent and uniform also for a
    signal that hardly varies.

    >>> from coordeval.analysis.monitor import ranks
    >>> ranks([3.0, 1.0, 2.0, 3.0], [0.5, 0.1, 0.9, 0.4]).tolist()
    [1, 1, 2, 3]
    """
    values, keys = np.asarray(x, np.float64), np.asarray(ties, np.float64)
    if values.ndim != 1 or values.shape != keys.shape:
        raise AnalysisError(
            f"x has the shape {values.shape}, ties {keys.shape}: give two one-dimensional arrays of a length"
        )
    if (wrong := np.flatnonzero(~np.isfinite(values))).size:
        raise AnalysisError(
            f"x[{wrong[0]}] is {values[wrong[0]]}: it must be a finite number; leave periods without one out"
        )
    order = np.argsort(np.lexsort((keys, values)))  # the place of each among all
    below = np.tril(order[None, :] <= order[:, None])
    return np.asarray(below.sum(axis=1), np.int64)


def e_values(rank: Ints, *, shifts: tuple[float, ...] = SHIFTS) -> Floats:
    """(n, shifts): what a bet of 1 on each shift δ is worth after the t-th rank r, 1 to t.

    e = t [Φ(Φ⁻¹(r/t) − δ) − Φ(Φ⁻¹((r − 1)/t) − δ)], the mean of the likelihood ratio exp(δz − δ²/2) over the rank's share
    of the unit interval. Over r = 1 … t its mean is exactly 1.

    >>> import numpy as np
    >>> from coordeval.analysis.monitor import e_values
    >>> e = [e_values(np.array([1, 1, 1, r]))[3] for r in (1, 2, 3, 4)]
    >>> np.mean(e, axis=0).round(12).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    t = np.arange(1, rank.size + 1)
    delta = np.asarray(shifts, np.float64)
    high, low = (special.ndtri(np.clip((rank - k) / t, 0.0, 1.0))[:, None] - delta for k in (0, 1))
    return np.asarray(t[:, None] * (special.ndtr(high) - special.ndtr(low)), np.float64)


def evidence(x: ArrayLike, ties: ArrayLike, *, baseline: int) -> Evidence:
    """The e-detector over `x`, (n,), of which the first `baseline` are only compared with: nothing is bet on them.

    Rₜ = mean over δ of Rₜ(δ), Rₜ(δ) = (1 + Rₜ₋₁(δ)) eₜ(δ), and R = 0 at the end of the baseline. As long as values are
    exchangeable, Rₜ − (t − baseline) is a martingale in the ranks. So an alarm at R ≥ A comes within n values with
    probability at most n/A, and n values bring at most n/A false alarms in expectation, whenever one looks and however often
    one begins anew.

    Raises:
        AnalysisError: arrays of other shapes, a value that is no finite number, or a baseline of less than 2.

    >>> import numpy as np
    >>> from coordeval.analysis.monitor import evidence
    >>> rng = np.random.default_rng(1)
    >>> x = rng.normal(0.30, 0.05, 120) + np.where(np.arange(120) < 80, 0.0, 0.10)
    >>> found = evidence(x, rng.random(120), baseline=28)
    >>> at = found.first(100_000)
    >>> at, int(found.since[at]), float(found.shift[at])
    (88, 80, 2.0)
    """
    if isinstance(baseline, bool) or not isinstance(baseline, int) or baseline < 2:
        raise AnalysisError(f"baseline is {baseline!r}: it must be a whole number of periods, 2 or more")
    bets = np.log(np.maximum(e_values(ranks(x, ties))[baseline:], 1e-300))
    n, left = baseline + len(bets), len(bets)
    value, since, shift = np.zeros(n), np.full(n, -1), np.full(n, np.nan)
    if left:
        gained = np.cumsum(bets, axis=0)
        before = gained - bets  # ln of the product up to the value before
        sums = gained + np.logaddexp.accumulate(-before, axis=0)
        value[baseline:] = np.exp(np.minimum(np.logaddexp.reduce(sums, axis=1) - np.log(len(SHIFTS)), 690.0))
        least = np.minimum.accumulate(before, axis=0)
        began = np.maximum.accumulate(np.where(before <= least, np.arange(left)[:, None], 0), axis=0)
        lead = np.argmax(gained - least, axis=1)
        since[baseline:] = baseline + began[np.arange(left), lead]
        shift[baseline:] = np.asarray(SHIFTS)[lead]
    return Evidence(value=value, since=since, shift=shift)
