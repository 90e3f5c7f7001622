"""What a gate in front of tools knows, and how it decides: a linear estimate of what tools would gain, from a file.

The file is JSON with a version, no code: `coordeval tools fit` writes it (`analysis.tools.gate`), `tool_gate` reads it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, log, log1p
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any, Final

from coordeval.market_data.errors import CoordevalError

FORMAT: Final = "coordeval-tool-gate"
VERSION: Final = 1
NUMBERS: Final = (
    "price",
    "price_sure",
    "estimate_sure",
    "spread",
    "from_price",
    "horizon",
    "question",
    "description",
    "documents",
    "rationale",
)
"""What any endpoint gives, see `features`; beside them the market's category."""
_HELD: Final = 0.005
Features = Mapping[str, float | None]


class GateError(CoordevalError):
    """A gate file that is none, of another version, or not to be used here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One fitted gate. The estimate is `intercept` + Σ weight (x − mean)/scale + the category's own; unknown x count 0."""

    draws: int
    """First estimates without tools that it was fitted on."""
    intercept: float
    weights: Mapping[str, tuple[float, float, float]]
    """Feature -> mean, scale, weight in Brier points."""
    categories: Mapping[str, float]
    least: float
    """Tools are worth it where the estimate is over this many Brier points."""
    markets: frozenset[str]
    """Those that it was fitted on, which it may not judge."""
    sha256: str

    def estimate(self, known: Features, category: str | None) -> float:
        """Of score without minus score with tools, in Brier points."""
        total = self.intercept + self.categories.get(category or "", 0.0)
        for name, (mean, scale, weight) in self.weights.items():
            if (x := known.get(name)) is not None:
                total += weight * (x - mean) / scale
        return total

    def opens(self, known: Features, category: str | None) -> bool:
        return self.estimate(known, category) > self.least


def features(first: Sequence[float], *, price: float | None, facts: Mapping[str, Any], rationale: float | None) -> Features:
    """Of the first estimates and what is known of the market; None where it is not known.

    price: its logit; price_sure, estimate_sure: how far the price, and the mean estimate, are from even odds in logits;
    spread: standard deviation of the first estimates in logits; from_price: how far their mean is from the price; horizon:
    ln of days to the scheduled close + 1; question, description, rationale: ln of characters + 1; documents: ln of how
    many + 1.
    """
    said = [_logit(p) for p in first]
    at = None if price is None else _logit(price)
    centre = fmean(said) if said else None
    days = facts.get("horizon_days")
    return {
        "price": at,
        "price_sure": None if at is None else abs(at),
        "estimate_sure": None if centre is None else abs(centre),
        "spread": pstdev(said) if len(said) > 1 else None,
        "from_price": None if at is None or centre is None else abs(centre - at),
        "horizon": None if days is None else log1p(max(float(days), 0.0)),
        **{
            name: None if (size := facts.get(key)) is None else log1p(float(size))
            for name, key in (
                ("question", "question_characters"),
                ("description", "description_characters"),
                ("documents", "documents"),
            )
        },
        "rationale": None if rationale is None else log1p(rationale),
    }


def read_gate(path: Path) -> Gate:
    """Raises GateError naming the file, what is wrong with it, and what to do."""
    fix = "`coordeval tools fit STUDY --out gate.json` writes one"
    try:
        content = path.read_bytes()
        told = json.loads(content)
    except (OSError, ValueError) as error:
        raise GateError(f"gate file {path}: it cannot be read ({error}); {fix}") from error
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise GateError(f"gate file {path}: it is no gate (format is not {FORMAT!r}); {fix}")
    if told.get("version") != VERSION:
        raise GateError(
            f"gate file {path} has version {told.get('version')!r}, this coordeval reads version {VERSION}; "
            f"fit it again: {fix}"
        )
    try:
        weights = {row["name"]: (row["mean"], row["scale"], row["weight"]) for row in told["features"]}
        made = Gate(
            draws=told["draws"],
            intercept=float(told["intercept"]),
            weights={name: (float(a), float(b), float(c)) for name, (a, b, c) in weights.items()},
            categories={str(name): float(value) for name, value in told["categories"].items()},
            least=float(told["least"]),
            markets=frozenset(map(str, told["markets"])),
            sha256=hashlib.sha256(content).hexdigest(),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise GateError(f"gate file {path}: {error!r} is missing or no number; {fix}") from error
    numbers = [made.intercept, made.least, *made.categories.values(), *(x for row in made.weights.values() for x in row)]
    if unknown := sorted(set(made.weights) - set(NUMBERS)):
        raise GateError(f"gate file {path}: unknown feature {unknown[0]!r}; known: {', '.join(NUMBERS)}; {fix}")
    if not all(map(isfinite, numbers)) or any(scale <= 0 for _, scale, _ in made.weights.values()):
        raise GateError(f"gate file {path}: a number is not finite, or a scale is not over 0; {fix}")
    if not isinstance(made.draws, int) or isinstance(made.draws, bool) or made.draws < 1:
        raise GateError(f"gate file {path}: draws is {made.draws!r}, which is no number of estimates; {fix}")
    return made


def _logit(p: float) -> float:
    held = min(max(p, _HELD), 1 - _HELD)
    return log(held / (1 - held))
