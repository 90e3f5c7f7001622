"""Is it worth its price: the frontier and the curve of plain sampling at the same cost."""

from coordeval.analysis.cost.compute_matched import ComputeMatched, Curve, compute_matched, moments, plain_sampling
from coordeval.analysis.cost.frontier import Frontier, frontier, hypervolume
from coordeval.analysis.cost.pareto import Placement, pareto_frontier

__all__ = [
    "ComputeMatched",
    "Curve",
    "Frontier",
    "Placement",
    "compute_matched",
    "frontier",
    "hypervolume",
    "moments",
    "pareto_frontier",
    "plain_sampling",
]
