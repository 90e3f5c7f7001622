"""One revision taken apart: how far an agent moved, and whose words stand on the side to which it went."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Final

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.base.events import EPSILON

TOLERANCE: Final = 0.05
"""Estimates that are no further apart agree: the tolerance of `consensus_alignment`."""
_LEAST: Final = 1e-9
"""Logits below which nobody moved."""
_NO: Final = re.compile(r"\b(?:not|never|cannot|can't|don't|doesn't|hardly|neither|nor|if)\b[^.;]{0,25}$", re.IGNORECASE)
_AGREES: Final = re.compile(
    r"\b(?:i|we)\s+(?:\w+\s+){0,2}(?:agree|concur)\b"
    r"|\b(?:agree|agreeing|concur|align|aligned|in agreement|in line)\s+with\s+(?:agent|my|the|both|all|each|their)\b"
    r"|\b(?:agreed|consensus)\s+(?:at|on|of|is|estimate|value)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Credit:
    """In logits. `own` is what nobody who was shown stands for: it went to where none of them was."""

    moved: float
    of: Mapping[int, float]
    """Source -> its part of `moved`, with the same sign; those that stand where the agent did not go have none."""
    own: float


@asked
def credit(own: float, new: float, shown: Mapping[int, float]) -> Credit:
    """Who moved an agent from `own` to `new`, shown estimates of others (source -> probability); all in [0, 1].

    With m = x_new − x_own and d_j = x_j − x_own in logits, those whose d_j has the sign of m share it in proportion to d_j:
    m_j = m · d_j / Σ d_k. Where there is none, m is the agent's own. The parts and `own` add up to `moved`. It says whose
    word the movement agrees with, not what caused it: that takes arms of a study that differ in one thing.

    Raises AnalysisError for a probability outside [0, 1].

    >>> from coordeval.analysis.talk.credit import credit
    >>> found = credit(0.5, 0.6, {1: 0.8, 2: 0.3, 3: 0.9})
    >>> round(found.moved, 2), {who: round(part, 2) for who, part in found.of.items()}, found.own
    (0.41, {1: 0.16, 3: 0.25}, 0.0)
    """
    at, to = _x(own), _x(new)
    moved = to - at
    if abs(moved) < _LEAST:
        return Credit(0.0, {}, 0.0)
    away = {who: _x(p) - at for who, p in shown.items()}
    ahead = {who: d for who, d in away.items() if d * moved > 0}
    if not ahead:
        return Credit(moved, {}, moved)
    total = sum(ahead.values())
    return Credit(moved, {who: moved * d / total for who, d in ahead.items()}, 0.0)


def agreement_said(text: str) -> str | None:
    """The words by which a rationale says that its author agrees with others, or None.

    It is a list of English turns, with what stands before them looked at for a "not": it finds what is said plainly.

    >>> from coordeval.analysis.talk.credit import agreement_said
    >>> agreement_said("The poll is old, so I now agree with agent 2."), agreement_said("I cannot agree with agent 2.")
    ('I now agree', None)
    """
    for found in _AGREES.finditer(text):
        if not _NO.search(text[: found.start()]) and not re.search(r"\b(?:not|cannot|never)\b", found[0], re.IGNORECASE):
            return found[0]
    return None


def _x(p: float) -> float:
    if not 0 <= p <= 1:
        raise AnalysisError(f"an estimate is {p!r}: it must lie in [0, 1]")
    held = min(max(p, EPSILON), 1 - EPSILON)
    return log(held / (1 - held))
