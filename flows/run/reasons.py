"""Why forecasts failed, by kind: reasons that differ in numbers and ids only are one, shown as it was first met."""

import re
from collections import Counter

_VARYING = re.compile(r"\(req_\w+\)|\d+(\.\d+)?")


class Reasons:
    """Counts reasons by what they have in common."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._example: dict[str, str] = {}

    def add(self, reason: str, count: int = 1) -> bool:
        """Returns whether it is the first of its kind."""
        kind = _VARYING.sub("#", reason)
        new = kind not in self.counts
        self.counts[kind] += count
        self._example.setdefault(kind, reason)
        return new

    def shown(self) -> dict[str, int]:
        """The first reason of each kind and how many there are of it, the most frequent first."""
        return {self._example[kind]: count for kind, count in self.counts.most_common()}

    def in_short(self, kinds: int, characters: int) -> str:
        """The most frequent `kinds` in one line, each cut to `characters`: "3 × the market price is not known; 1 × ..."."""
        shown = list(self.shown().items())
        told = [f"{count} × {_cut(reason, characters)}" for reason, count in shown[:kinds]]
        if rest := sum(count for _, count in shown[kinds:]):
            told.append(f"{rest} of {len(shown) - kinds} other kinds")
        return "; ".join(told)


def _cut(reason: str, characters: int) -> str:
    line = " ".join(reason.split())
    return line if len(line) <= characters else line[: characters - 1].rstrip() + "…"
