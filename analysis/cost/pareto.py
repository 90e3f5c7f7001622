"""The strict Pareto frontier over cost and Brier score, both minimised."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.base.numerals import SAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where one configuration stands."""

    configuration: str
    on_frontier: bool | None
    """None: it could not be placed."""
    dominated_by: tuple[str, ...]
    """Everyone that costs no more, scores no worse, and is better in one of the two; in the order given."""
    reason: str | None
    """Why it could not be placed."""


@asked
def pareto_frontier(
    configurations: Sequence[str], *, cost: Sequence[float | None], brier: Sequence[float | None]
) -> tuple[Placement, ...]:
    """One placement per configuration, in the order given. `cost` is in any one currency or unit.

    Configurations that are equal in both, see `base.numerals.SAME`, stand or fall together. One whose cost or score is None
    is not placed and dominates nobody.

    Raises:
        AnalysisError: lengths differ, or a number is not finite.

    >>> from coordeval.analysis import pareto_frontier
    >>> placed = pareto_frontier(["one", "three", "talk"], cost=[1, 3, 6], brier=[0.20, 0.17, 0.18])
    >>> [(place.configuration, place.on_frontier, place.dominated_by) for place in placed]
    [('one', True, ()), ('three', True, ()), ('talk', False, ('three',))]
    """
    if not len(configurations) == len(cost) == len(brier):
        raise AnalysisError(
            f"{len(configurations)} configurations, {len(cost)} costs, {len(brier)} scores: give one of each"
        )
    points: dict[str, tuple[float, float]] = {}
    for name, *point in zip(configurations, cost, brier, strict=True):
        c, b = point
        if c is not None and b is not None:
            if not (math.isfinite(c) and math.isfinite(b)):
                raise AnalysisError(
                    f"configuration {name}: cost {c} and Brier score {b} must be finite; an unknown one is None"
                )
            points[name] = (c, b)
    return tuple(
        _placed(name, points)
        if name in points
        else Placement(
            configuration=name,
            on_frontier=None,
            dominated_by=(),
            reason="its cost is unknown" if c is None else "it has no Brier score",
        )
        for name, c in zip(configurations, cost, strict=True)
    )


def _placed(name: str, points: dict[str, tuple[float, float]]) -> Placement:
    cost, score = points[name]
    better = tuple(
        other
        for other, (c, b) in points.items()
        if c <= cost + SAME and b <= score + SAME and (c < cost - SAME or b < score - SAME)
    )
    return Placement(configuration=name, on_frontier=not better, dominated_by=better, reason=None)
