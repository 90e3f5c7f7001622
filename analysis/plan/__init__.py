"""What would it take to know: variance components and the power of a second study."""

from coordeval.analysis.plan.power import Best, best, power
from coordeval.analysis.plan.variance import Variance, detectable, variance

__all__ = [
    "Best",
    "Variance",
    "best",
    "detectable",
    "power",
    "variance",
]
