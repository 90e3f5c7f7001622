"""The same in sentences."""

from coordeval.analysis.words.answers import Answer, answers
from coordeval.analysis.words.verdicts import Verdict, judge

__all__ = [
    "Answer",
    "Verdict",
    "answers",
    "judge",
]
