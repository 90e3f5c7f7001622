"""What is known of each case after noise is allowed for: one draw's utility is mostly noise.

A case's mean over replicates is its true value and noise whose variance is that within cases, pooled; the true values are
normal about their mean. Source of the shrinkage: `quality.shrinkage`, where it has a flat prior on the spread between cases.
"""

from dataclasses import dataclass

import numpy as np

from coordeval.analysis.base.checks import Floats
from coordeval.analysis.base.numerals import SAME
from coordeval.analysis.base.scipy_parts import special
from coordeval.analysis.tools.answers import mean_of_rows

ONE = "one replicate: one draw's utility is mostly noise, and how much is not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """Normal, of each case: (cases,)."""

    mean: Floats
    sd: Floats
    spread: float
    """Standard deviation of the true values between cases."""

    def above(self, bar: float = 0.0) -> Floats:
        """The probability that the true value is more than `bar`."""
        far = np.where(self.mean > bar, np.inf, np.where(self.mean < bar, -np.inf, 0.0))
        z = np.divide(self.mean - bar, self.sd, out=far, where=self.sd > 0)
        return np.asarray(special.ndtr(z), np.float64)


def variance_within(values: Floats) -> float | None:
    """The variance of one draw, pooled over cases with two; None where no case has."""
    count = np.sum(~np.isnan(values), axis=1)
    twice = count > 1
    if not twice.any():
        return None
    apart = values[twice] - np.nanmean(values[twice], axis=1, keepdims=True)
    return float(np.nansum(apart**2) / np.sum(count[twice] - 1))


def posterior(seen: Floats, noise: Floats) -> Posterior:
    """Of cases seen with these variances of noise, (cases,) each; moments give the mean and the spread of the true ones."""
    spread2 = float(max(np.var(seen, ddof=1) - noise.mean(), 0.0)) if seen.size > 1 else 0.0
    weight = 1 / np.maximum(noise + spread2, SAME**2)
    centre = float(weight @ seen / weight.sum())
    kept = np.divide(spread2, spread2 + noise, out=np.ones_like(noise), where=spread2 + noise > SAME**2)
    about = (1 - kept) ** 2 / weight.sum()
    return Posterior(mean=centre + kept * (seen - centre), sd=np.sqrt(kept * noise + about), spread=float(np.sqrt(spread2)))


def of_utility(without: Floats, used: Floats) -> Posterior | None:
    """Of score without minus score with a call, of cases that have both; None where no case has two draws of either."""
    one, other = variance_within(without), variance_within(used)
    if one is None or other is None:
        return None
    noise = one / np.sum(~np.isnan(without), axis=1) + other / np.sum(~np.isnan(used), axis=1)
    return posterior(mean_of_rows(without) - mean_of_rows(used), noise)


def of_score(values: Floats) -> Posterior | None:
    """Of the mean squared error; None where no case has two replicates."""
    one = variance_within(values)
    if one is None:
        return None
    return posterior(mean_of_rows(values), one / np.sum(~np.isnan(values), axis=1))
