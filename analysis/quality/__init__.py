"""How good is one forecaster: scores, decompositions, calibration, their bootstrap and their nulls."""

from coordeval.analysis.quality.adjusted import Adjusted, adjusted
from coordeval.analysis.quality.binning import BIN_CHOICES, Binning, binning
from coordeval.analysis.quality.bootstrap import COVERAGE, MEASURES, METHODS, Bootstrap, bootstrap
from coordeval.analysis.quality.corp import Consistency, Corp, calibration_p_value, consistency, corp
from coordeval.analysis.quality.decomposition import (
    Decomposition,
    Edges,
    NullReliability,
    bin_index,
    decompose,
    null_reliability,
)
from coordeval.analysis.quality.nulls import Nulls, nulls
from coordeval.analysis.quality.scores import Alpha, LogScore, Skill, alpha, base_rate, brier, log_score, skill
from coordeval.analysis.quality.second_split import SecondSplit, ThreeTerms, second_split, smooth_ce, three_terms
from coordeval.analysis.quality.shrinkage import Shrunk, shrink
from coordeval.analysis.quality.subgroups import Subgroups, subgroups
from coordeval.analysis.quality.tracking import Tracking, tracking

__all__ = [
    "BIN_CHOICES",
    "COVERAGE",
    "MEASURES",
    "METHODS",
    "Adjusted",
    "Alpha",
    "Binning",
    "Bootstrap",
    "Consistency",
    "Corp",
    "Decomposition",
    "Edges",
    "LogScore",
    "NullReliability",
    "Nulls",
    "SecondSplit",
    "Shrunk",
    "Skill",
    "Subgroups",
    "ThreeTerms",
    "Tracking",
    "adjusted",
    "alpha",
    "base_rate",
    "bin_index",
    "binning",
    "bootstrap",
    "brier",
    "calibration_p_value",
    "consistency",
    "corp",
    "decompose",
    "log_score",
    "null_reliability",
    "nulls",
    "second_split",
    "shrink",
    "skill",
    "smooth_ce",
    "subgroups",
    "three_terms",
    "tracking",
]
