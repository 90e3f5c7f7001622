"""All of it for one study: the record, the leaderboard, the findings, the diagnostics."""

from coordeval.analysis.study.diagnostics import Diagnostics, diagnose
from coordeval.analysis.study.findings import Findings, find, resamples_for
from coordeval.analysis.study.leaderboard import Leaderboard, leaderboard
from coordeval.analysis.study.record import Record

__all__ = [
    "Diagnostics",
    "Findings",
    "Leaderboard",
    "Record",
    "diagnose",
    "find",
    "leaderboard",
    "resamples_for",
]
