"""What everything is computed on: frames, the grid of cells, resampling, checks and how numbers are written."""

from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.base.estimates import ESTIMATES
from coordeval.analysis.base.frames import SCHEMA, Policy, Scored, scored, validated
from coordeval.analysis.base.grid import PRICE
from coordeval.analysis.base.resampling import Bounds, Draws, Interval, Resamples, interval, measured, ratio

__all__ = [
    "ESTIMATES",
    "PRICE",
    "SCHEMA",
    "AnalysisError",
    "Bounds",
    "Draws",
    "Interval",
    "Policy",
    "Resamples",
    "Scored",
    "interval",
    "measured",
    "ratio",
    "scored",
    "validated",
]
