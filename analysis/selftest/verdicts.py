"""From counts to verdicts: what a figure must be, and whether Monte Carlo error could explain that it is not."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy.stats import binom

from coordeval.analysis.base.few import FEW
from coordeval.analysis.quality.bootstrap import FEWEST_WITHIN
from coordeval.analysis.selftest.arms import EFFECTS
from coordeval.analysis.selftest.benches import Check, Kind
from coordeval.analysis.selftest.recorded import attained, fell
from coordeval.analysis.selftest.regimes import MILD

Verdict = Literal["nominal", "conservative", "as planned", "holds", "withheld", "outside its assumption", "FAILED"]

TOLERANCE: Final[Mapping[Kind, tuple[float, float]]] = {
    "interval": (93.5, 96.5),
    "test": (3.5, 6.5),
    "anytime": (0.0, 5.0),
    "power": (-3.0, 3.0),
}
"""What the figure, in %, may be; of power: how far from the plan, in points."""
CHANCE: Final = 0.01
"""Probability that any row of a self-test fails beyond Monte Carlo error although all are just within tolerance."""
ASSUMES: Final[Mapping[tuple[str, str], str]] = {
    (
        "paired t, as if independent",
        "exchangeable",
    ): "markets of an event are correlated here, and it counts them as independent",
    ("paired t, as if independent", "same score, other errors"): "the same",
    ("null REL", "correlated markets"): "it lets all markets of an event resolve together, and here only some do",
}
"""(measure, of) -> the assumption of it that this world breaks on purpose."""
_TWO: Final = "from the lower end of two intervals to the higher: either alone falls short where events are few"
WITHHELD: Final[Mapping[str, str]] = {
    "wbv": f"with fewer than {FEWEST_WITHIN} events bins hold too few forecasts to tell how they vary in them",
    **dict.fromkeys(("res", "res_corrected", "dsc", "wbc"), "where all resolve one way it is the same in every resample"),
    "skill_base": "where all resolve one way the base rate is perfect, and so it is in too many resamples",
    "group: divided": "where no group ends divided it is 0 in every resample",
    "group: flips": f"where fewer than {FEW} events have an agent that changes sides, and three in four none",
}
"""Measure -> why it may have no interval in any world of a kind; of all others that is a failure."""
_FEW: Final = "where few events tell, it allows for one that turns out otherwise"
_MILD: Final = tuple(where.name for where in MILD)
_WHY: Final[Mapping[str, str]] = {
    **dict.fromkeys(("mcb", "rel", "rel_corrected"), "its boundary, 0, is where a calibrated forecaster is"),
    "variance: configuration": "its boundary, 0, is near, and noise alone moves it up",
    **{
        f"split: {effect}": "an effect that is small beside its noise has an interval that begins at 0" for effect in EFFECTS
    },
    **dict.fromkeys(("unc", "unc_corrected"), "the base rate's interval reaches 1/2, where UNC has its maximum, 1/4"),
    **dict.fromkeys(
        ("null REL", "calibration p-value"), "it lets all markets of an event resolve together, as seldom they do"
    ),
    "wbv": "moved by twice the bias of resamples, which repeat forecasts",
    "near": "a share: enough for every share, so wider than needed for most",
    "TOST": "the standard error is not small beside the margin",
    **dict.fromkeys(
        ("any of 10 pairs, Holm", "any of 10 pairs, Bonferroni"), "ten pairs of five configurations are correlated"
    ),
    **{
        f"prediction on {m}, either way": "it inverts an interval that is conservative" for m in ("rel", "res", "mcb", "dsc")
    },
}
"""Measure -> why it is conservative where it is; any other interval: `_TWO`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One check in all its worlds."""

    check: Check
    right: int
    """Worlds in which the interval held the truth, or the test rejected."""
    worlds: int
    undefined: int
    """Worlds without an interval or a p-value; not part of `worlds`."""
    planned: float | None
    """Of a power, in %."""

    @property
    def figure(self) -> float | None:
        """In %; None where no world counts."""
        return 100 * self.right / self.worlds if self.worlds else None

    @property
    def error(self) -> float | None:
        """Monte Carlo standard error of the figure, in points; of 0% and 100%, as if one world had come out otherwise."""
        if not self.worlds:
            return None
        share = (min(max(self.right, 1), max(self.worlds - 1, 1))) / self.worlds
        return float(100 * np.sqrt(share * (1 - share) / self.worlds)) if self.worlds > 1 else None

    @property
    def allowed(self) -> tuple[float, float]:
        """The figures within tolerance, in %."""
        low, high = TOLERANCE[self.check.kind]
        if self.check.kind == "interval":
            return low, 100.0
        if self.check.kind == "power":
            plan = self.planned or 0.0
            return plan + low, plan + high
        return 0.0, high

    @property
    def assumes(self) -> str | None:
        return ASSUMES.get((self.check.measure, self.check.of))

    @property
    def verdict(self) -> Verdict:
        """Of the figure as it stands, whatever its Monte Carlo error."""
        figure, kind = self.figure, self.check.kind
        if figure is None:
            return "withheld" if self.undefined and self.check.measure in WITHHELD else "FAILED"
        low, high = self.allowed
        if not low <= figure <= high:
            return "outside its assumption" if self.assumes else "FAILED"
        if kind == "power":
            return "as planned"
        if kind == "anytime":
            return "holds"
        inner_low, inner_high = TOLERANCE[kind]
        return "nominal" if inner_low <= figure <= inner_high else "conservative"

    @property
    def reason(self) -> str | None:
        """Of every verdict but nominal ones."""
        if self.verdict == "withheld":
            return WITHHELD[self.check.measure]
        if self.verdict == "outside its assumption":
            return self.assumes
        if self.verdict == "conservative":
            if self.check.kind == "interval" and (self.check.world not in _MILD or self.check.markets < 100):
                return _FEW
            return _WHY.get(self.check.measure, _TWO if self.check.kind == "interval" else None)
        return None

    def fails(self, level: float) -> bool:
        """Whether a figure within tolerance would be this far off with a probability below `level`: exact, binomial."""
        if self.verdict != "FAILED":
            return False
        if not self.worlds:
            return True
        low, high = (side / 100 for side in self.allowed)
        below = binom.cdf(self.right, self.worlds, low) if low > 0 else 1.0
        above = binom.sf(self.right - 1, self.worlds, min(high, 1.0)) if high < 1 else 1.0
        return bool(min(below, above) < level)

    def fell(self, level: float) -> bool:
        """Whether it is worse than when it was recorded, by what chance does with a probability below `level`."""
        return bool(self.worlds) and fell(self.check, self.right, self.worlds) < level


def wanted(row: Row) -> str:
    """What the figure of a failure must be, in words."""
    low, high = row.allowed
    if row.verdict == "FAILED" or row.check not in attained():
        return f"it must lie in {low:.1f}% to {high:.1f}%"
    right, worlds = attained()[row.check]
    return f"it was {100 * right / worlds:.1f}% in {worlds} worlds when it was recorded, and chance does not explain it"


def failures(rows: Iterable[Row]) -> list[Row]:
    """The rows outside tolerance, or fallen from what was recorded, beyond Monte Carlo error, at `CHANCE` over all rows.

    Each has the share of it that it has of the worlds: what was tried most often is to be told most surely.
    """
    every = list(rows)
    worlds = max(sum(row.worlds for row in every), 1)
    return [row for row in every if row.fails(CHANCE * row.worlds / worlds) or row.fell(CHANCE * row.worlds / worlds)]
