"""Answers that go wrong at a stated rate, the same ones for the same seed and order of requests."""

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from coordeval.market_data.errors import DataError

FAULTS = (
    "429",
    "429 with Retry-After",
    "500",
    "error with 200",
    "html with 200",
    "cut body",
    "slow",
    "repeated page",
    "late point",
)
"""The last two change only pages and price histories; other answers then come out right."""


@dataclass(slots=True)
class Faults:
    """Each of `kinds` befalls a share `rate` of the answers, never two at once."""

    rate: float
    seed: int
    kinds: tuple[str, ...] = FAULTS
    seconds: float = 0.01
    """How long a slow answer takes."""
    injected: Counter[str] = field(default_factory=Counter)
    _random: Random = field(init=False)

    def __post_init__(self) -> None:
        if unknown := set(self.kinds) - set(FAULTS):
            raise DataError(f"faults: unknown kinds {', '.join(sorted(unknown))}; there are {', '.join(FAULTS)}")
        if not 0 <= self.rate * len(self.kinds) <= 1:
            raise DataError(f"faults: rate {self.rate} of {len(self.kinds)} kinds each; together they must not exceed 1")
        self._random = Random(self.seed)

    def draw(self) -> str:
        """What befalls the next answer: "" for most."""
        position = self._random.random() / self.rate if self.rate else float("inf")
        kind = self.kinds[int(position)] if position < len(self.kinds) else ""
        if kind:
            self.injected[kind] += 1
        return kind
