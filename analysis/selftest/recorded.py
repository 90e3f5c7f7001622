"""What the headline measures attained when they were last recorded: a fall from it is a fault also where an interval that is
conservative stays within tolerance, as those that allow for few events do.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from scipy.stats import hypergeom

from coordeval.analysis.selftest.benches import Check

Attained = tuple[int, int]
"""Worlds in which it came out right (the interval held the truth, the test rejected), of how many."""


@cache
def attained() -> Mapping[Check, Attained]:
    """Of analysis/data/headline.json; whoever changes an interval on purpose records it anew, and says so."""
    stored = json.loads(files("coordeval.analysis").joinpath("data/headline.json").read_text(encoding="utf-8"))
    return {
        Check(kind=row["kind"], measure=row["measure"], of=row["of"], world="balanced", markets=100): (
            row["right"],
            row["worlds"],
        )
        for row in stored["rows"]
    }


def fell(check: Check, right: int, worlds: int) -> float:
    """Probability that so few intervals hold the truth (or so many tests reject) if nothing has changed; 1 where nothing is
    recorded. Exact, one-sided (Fisher 1935).

    >>> from coordeval.analysis.selftest.recorded import attained, fell
    >>> brier = next(check for check in attained() if check.measure == "brier" and check.of == "noisy")
    >>> fell(brier, 2890, 3000) > 0.1, fell(brier, 2770, 3000) < 1e-6
    (True, True)
    """
    if check not in attained():
        return 1.0
    before, of = attained()[check]
    law = hypergeom(of + worlds, before + right, worlds)
    return float(law.sf(right - 1) if check.kind == "test" else law.cdf(right))
