"""Are two told apart: paired comparisons, structure, first requests, sequences, influence, predictions."""

from coordeval.analysis.differences.comparisons import (
    Comparisons,
    Design,
    comparisons,
    holm,
    markets_needed,
    retrodesign,
)
from coordeval.analysis.differences.influence import Influence, influence, missing_bounds
from coordeval.analysis.differences.openings import Openings, openings
from coordeval.analysis.differences.predictions import Prediction, Stated, Verdicts, stated, verdicts
from coordeval.analysis.differences.replicates import Spread, compare, spread
from coordeval.analysis.differences.sequential import ConfidenceSequence, Sequences, confidence_sequence, e_values, sequences
from coordeval.analysis.differences.sign_flips import sign_flip
from coordeval.analysis.differences.structure import Structure, structure

__all__ = [
    "Comparisons",
    "ConfidenceSequence",
    "Design",
    "Influence",
    "Openings",
    "Prediction",
    "Sequences",
    "Spread",
    "Stated",
    "Structure",
    "Verdicts",
    "compare",
    "comparisons",
    "confidence_sequence",
    "e_values",
    "holm",
    "influence",
    "markets_needed",
    "missing_bounds",
    "openings",
    "retrodesign",
    "sequences",
    "sign_flip",
    "spread",
    "stated",
    "structure",
    "verdicts",
]
