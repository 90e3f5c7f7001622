"""Floor 5: what the forecasts are worth. Frames in, typed results out; nothing here asks a model or reads a database."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from analysis.answers import Answer, answers
from analysis.binning import BIN_CHOICES, Binning, binning
from analysis.bootstrap import COVERAGE, MEASURES, METHODS, Bootstrap, bootstrap
from analysis.checks import AnalysisError
from analysis.coherence import Coherence, coherence, project_exclusive, project_ladder
from analysis.comparisons import Comparisons, Design, comparisons, holm, markets_needed, retrodesign, sign_flip
from analysis.compute_matched import ComputeMatched, Curve, compute_matched, moments, plain_sampling
from analysis.coordination import AGGREGATIONS, Coordination, aggregations, anchoring, coordination
from analysis.corp import Consistency, Corp, calibration_p_value, consistency, corp
from analysis.decomposition import Decomposition, Edges, NullReliability, bin_index, decompose, null_reliability
from analysis.diagnostics import Diagnostics, diagnose
from analysis.early_closing import EarlyClosing, early_closing
from analysis.example import example, example_estimates
from analysis.findings import Findings, find, resamples_for
from analysis.frames import SCHEMA, Policy, Scored, scored, validated
from analysis.frontier import Frontier, frontier, hypervolume
from analysis.grid import PRICE
from analysis.influence import Influence, influence, missing_bounds
from analysis.leaderboard import Leaderboard, leaderboard
from analysis.links import Links, propose_links
from analysis.memorisation import Memorisation, memorisation
from analysis.nulls import Nulls, nulls
from analysis.openings import Openings, openings
from analysis.pareto import Placement, pareto_frontier
from analysis.planning_power import Best, best, power
from analysis.pooling import ESTIMATES, Pooling, pooled, pooling
from analysis.predictions import Prediction, Stated, Verdicts, stated, verdicts
from analysis.price_copying import PriceCopying, price_copying
from analysis.probes import Estimate, Probe
from analysis.record import Record
from analysis.replicates import Spread, compare, spread
from analysis.resampling import Draws, Interval, Resamples, interval, measured, ratio
from analysis.scores import Alpha, LogScore, Skill, alpha, base_rate, brier, log_score, skill
from analysis.sequential import ConfidenceSequence, Sequences, confidence_sequence, e_values, sequences
from analysis.shrinkage import Shrunk, shrink
from analysis.sibling_reveals import SiblingReveals, sibling_reveals
from analysis.structure import Structure, structure
from analysis.subgroups import Subgroups, subgroups
from analysis.tracking import Tracking, tracking
from analysis.training_cutoff import Cutoff, Split, TrainingCutoff, cutoff_of, training_cutoff
from analysis.variance import Variance, detectable, variance

if TYPE_CHECKING:
    from analysis.report import Report, build_report

__all__ = [
    "AGGREGATIONS",
    "BIN_CHOICES",
    "COVERAGE",
    "ESTIMATES",
    "MEASURES",
    "METHODS",
    "PRICE",
    "SCHEMA",
    "Alpha",
    "AnalysisError",
    "Answer",
    "Best",
    "Binning",
    "Bootstrap",
    "Coherence",
    "Comparisons",
    "ComputeMatched",
    "ConfidenceSequence",
    "Consistency",
    "Coordination",
    "Corp",
    "Curve",
    "Cutoff",
    "Decomposition",
    "Design",
    "Diagnostics",
    "Draws",
    "EarlyClosing",
    "Edges",
    "Estimate",
    "Findings",
    "Frontier",
    "Influence",
    "Interval",
    "Leaderboard",
    "Links",
    "LogScore",
    "Memorisation",
    "NullReliability",
    "Nulls",
    "Openings",
    "Placement",
    "Policy",
    "Pooling",
    "Prediction",
    "PriceCopying",
    "Probe",
    "Record",
    "Report",
    "Resamples",
    "Scored",
    "Sequences",
    "Shrunk",
    "SiblingReveals",
    "Skill",
    "Split",
    "Spread",
    "Stated",
    "Structure",
    "Subgroups",
    "Tracking",
    "TrainingCutoff",
    "Variance",
    "Verdicts",
    "aggregations",
    "alpha",
    "anchoring",
    "answers",
    "base_rate",
    "best",
    "bin_index",
    "binning",
    "bootstrap",
    "brier",
    "build_report",
    "calibration_p_value",
    "coherence",
    "compare",
    "comparisons",
    "compute_matched",
    "confidence_sequence",
    "consistency",
    "coordination",
    "corp",
    "cutoff_of",
    "decompose",
    "detectable",
    "diagnose",
    "e_values",
    "early_closing",
    "example",
    "example_estimates",
    "find",
    "frontier",
    "holm",
    "hypervolume",
    "influence",
    "interval",
    "leaderboard",
    "log_score",
    "markets_needed",
    "measured",
    "memorisation",
    "missing_bounds",
    "moments",
    "null_reliability",
    "nulls",
    "openings",
    "pareto_frontier",
    "plain_sampling",
    "pooled",
    "pooling",
    "power",
    "price_copying",
    "project_exclusive",
    "project_ladder",
    "propose_links",
    "ratio",
    "resamples_for",
    "retrodesign",
    "scored",
    "sequences",
    "shrink",
    "sibling_reveals",
    "sign_flip",
    "skill",
    "spread",
    "stated",
    "structure",
    "subgroups",
    "tracking",
    "training_cutoff",
    "validated",
    "variance",
    "verdicts",
]


def __getattr__(name: str) -> Any:
    """The report is imported when it is asked for: it brings the figures with it, which take a second to load."""
    if name in ("Report", "build_report"):
        return getattr(import_module("analysis.report"), name)
    raise AttributeError(f"module 'analysis' has no attribute {name!r}")
