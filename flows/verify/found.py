"""What a look at a ledger came to: for each part how much was looked at, what is wrong, and what could not be looked at."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

import orjson

MOST: Final = 100
"""Faults of one part that are named; of more only the number is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is not as it was stored."""

    where: str
    """The row or file, by its key."""
    says: str
    at: datetime | None = None
    """When what it stands in was stored; None: not known."""


@dataclass(slots=True, kw_only=True)
class Part:
    """One kind of look. `looked` things were held against the rule; `wrong` of them break it."""

    name: str
    rule: str
    looked: int = 0
    wrong: int = 0
    faults: list[Fault] = field(default_factory=list)
    """The oldest ones, at most MOST."""
    not_looked: Counter[str] = field(default_factory=Counter)
    """Why something could not be looked at -> how many."""

    def add(self, faults: Iterable[Fault]) -> None:
        for fault in faults:
            self.wrong += 1
            self.faults.append(fault)
            if len(self.faults) > 2 * MOST:
                self._shorten()

    def finished(self) -> "Part":
        self._shorten()
        return self

    def _shorten(self) -> None:
        self.faults.sort(key=_age)
        del self.faults[MOST:]


def _age(fault: Fault) -> tuple[bool, float, str]:
    return fault.at is None, 0.0 if fault.at is None else fault.at.timestamp(), fault.where


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """All of it, for one ledger or one study of it."""

    ledger: str
    study: str | None
    """Its name; None: all that the ledger holds."""
    simulated: bool
    parts: tuple[Part, ...]

    @property
    def verdict(self) -> Literal["whole", "broken"]:
        return "broken" if any(part.wrong for part in self.parts) else "whole"

    @property
    def began(self) -> tuple[Part, Fault] | None:
        """The oldest fault, with its part; of those of one moment the first in the order of the looks, which build on each
        other. None where nothing is wrong."""
        found = [(part, fault) for part in self.parts for fault in part.faults]
        return min(found, key=lambda one: _age(one[1])[:2]) if found else None

    @property
    def says(self) -> str:
        """One sentence."""
        looked = sum(part.looked for part in self.parts)
        wrong = sum(part.wrong for part in self.parts)
        of = f"study {self.study}" if self.study is not None else self.ledger
        if wrong:
            parts = ", ".join(part.name for part in self.parts if part.wrong)
            return f"{of} is not as it was stored: {wrong:,} of {looked:,} looks found a fault ({parts})"
        missed = sum(sum(part.not_looked.values()) for part in self.parts)
        rest = f"; {missed:,} could not be looked at" if missed else ""
        return f"{of} is as it was stored: {looked:,} looks, no fault{rest}"

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values, times as ISO text."""
        values: dict[str, Any] = orjson.loads(orjson.dumps(self, default=dict))
        began = self.began
        first = None if began is None else {"part": began[0].name, **orjson.loads(orjson.dumps(began[1]))}
        return {"verdict": self.verdict, "says": self.says, "began": first, **values}
