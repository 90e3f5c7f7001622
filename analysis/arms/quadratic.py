"""How large is an effect of several means, and is there one? Its size squared, corrected for noise, with an interval.

The means z of an effect, in an orthonormal basis of its subspace, are normal about μ with the covariance S/… that events
show. |z|² is then a sum of noncentral χ², taken as g χ²_ν(|μ|²/g) with the mean and the variance that it has (Box 1954);
with the estimated covariance it is a noncentral F. Its limits: Steiger (2004). At μ = 0 it is the F test of a repeated
measures analysis of variance with Greenhouse & Geisser's (1959) correction.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from coordeval.analysis.base.checks import Floats
from coordeval.analysis.base.numerals import SAME
from coordeval.analysis.base.resampling import Interval, no_interval, scarce
from coordeval.analysis.base.scipy_parts import optimize, special

_FAR: Final = 400.0
"""|z|² over what noise gives, beyond which its root is as good as normal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quadratic:
    """|z|² and what noise makes of it."""

    z: Floats
    """(df,)"""
    covariance: Floats
    """(df, df) of z: by events."""
    events: int
    freedom: float
    """Degrees of freedom of its trace."""

    @property
    def noise(self) -> float:
        """What |z|² is on average where there is no effect."""
        return float(np.trace(self.covariance))

    @property
    def estimate(self) -> float:
        """|μ|² without bias; may be negative."""
        return float(self.z @ self.z) - self.noise

    def test(self) -> tuple[float, float] | None:
        """F, and its numerator's degrees of freedom after correction; None where nothing varies."""
        if self.noise <= SAME**2:
            return None
        df = self.noise**2 / float(np.sum(self.covariance**2))
        f = float(self.z @ self.z) / self.noise
        return f, df

    def interval(self, level: float) -> Interval:
        """Of |μ|². An effect that is smaller than noise makes it has the upper limit of one as large as noise."""
        if too_few := scarce(self.events, level):
            return no_interval(too_few)
        if self.noise <= SAME**2:
            return no_interval("the same on every event")
        seen, tail = float(self.z @ self.z), (1 - level) / 2
        low = self._limit(seen, 1 - tail)
        high = self._limit(max(seen, self.noise), tail)
        return Interval(low=low, high=high, sd=None, reason=None)

    def _limit(self, seen: float, share: float) -> float:
        """The |μ|² at which `seen` or less comes in this share of samples; 0 where it comes less often at 0 already."""
        along = self.z / max(float(np.linalg.norm(self.z)), SAME)
        spread = float(along @ self.covariance @ along)
        if seen > _FAR * self.noise:
            reach = float(special.stdtrit(self.freedom, share)) * np.sqrt(max(spread, SAME**2))
            return float(max(np.sqrt(max(seen - self.noise + spread, 0.0)) - reach, 0.0) ** 2)
        squares = float(np.sum(self.covariance**2))

        def off(size: float) -> float:
            g = (squares + 2 * size * spread) / (self.noise + 2 * size)
            df = self.noise / g
            return float(special.ncfdtr(df, self.freedom, size / g, seen / self.noise)) - share

        if off(0.0) <= 0:
            return 0.0
        end = 4 * seen + 4 * self.noise
        while off(end) > 0:
            end *= 4
        return float(optimize.brentq(off, 0.0, end, xtol=1e-6 * self.noise))


def quadratic(sums: Floats, counts: Floats, basis: Floats) -> Quadratic:
    """Of the means of cells. `sums`: (events, cells), over the markets of an event; `counts`: (events,) markets of each.

    The covariance is that of a ratio by events, G/(G − 1) Σ r rᵀ/N² with r = sum − count · mean.
    """
    events, markets = len(counts), float(counts.sum())
    own = sums @ basis
    z = own.sum(axis=0) / markets
    apart = (own - counts[:, None] * z) / markets * np.sqrt(events / max(events - 1, 1))
    covariance = apart.T @ apart
    size = np.sum(apart**2, axis=1)
    trace, squares = float(size.sum()), float(np.sum(covariance**2))
    most = (events - 1) * (trace**2 / squares if squares > 0 else 1.0)
    varied = float(np.sum(size**2)) - trace**2 / events
    known = 2 * trace**2 / varied if varied > 0 else np.inf
    return Quadratic(z=z, covariance=covariance, events=events, freedom=float(max(1.0, min(most, known))))
