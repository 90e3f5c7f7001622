"""Differences, counts and names as words: what the sentences of a report are made of."""

from collections.abc import Sequence
from typing import Any

from coordeval.analysis.base.numerals import counted, number
from coordeval.analysis.cost.compute_matched import LONE
from coordeval.analysis.study.findings import Findings

__all__ = [
    "against_baseline",
    "ahead",
    "called",
    "counted",
    "ends",
    "listed",
    "no_baseline",
    "nothing",
    "pairs_of",
    "size",
    "turned",
    "twins",
    "who",
]


def nothing(found: Findings, part: str) -> str:
    return f"Nothing is known of it: {found.reasons[part]}."


def pairs_of(found: Findings, family: str = "configurations") -> list[dict[str, Any]]:
    return found.comparisons.table.filter(family=family).to_dicts() if found.comparisons else []


def twins(row: dict[str, Any]) -> bool:
    """Whether the two score the same on every market, to rounding."""
    return row["delta"] == 0 and row["t"] is None


def against_baseline(found: Findings) -> list[dict[str, Any]]:
    """Every pair with the baseline, which is its second."""
    rows = [turned(row, str(found.baseline)) for row in pairs_of(found) if found.baseline in (row["first"], row["second"])]
    return [row for row in rows if row["delta"] is not None]


def called(found: Findings) -> str:
    """The baseline in a sentence."""
    return "one agent alone" if found.baseline in (None, LONE) else str(found.baseline)


def no_baseline(found: Findings) -> str:
    """Why there is none, and how to have one."""
    return f"{LONE} is not among the configurations and no other is named as the baseline"


def turned(row: dict[str, Any], second: str) -> dict[str, Any]:
    """The pair with `second` as its second."""
    if row["second"] == second:
        return row
    turned = row | {"first": row["second"], "second": row["first"]}
    turned |= {"brier_first": row["brier_second"], "brier_second": row["brier_first"]}
    for name, value in (("delta", row["delta"]), ("low", row["high"]), ("high", row["low"])):
        turned[name] = None if value is None else -value
    return turned


def size(row: dict[str, Any]) -> str:
    """|Δ| with its interval turned to the same sign."""
    low, high = row["low"], row["high"]
    if low is None or high is None:
        return f"{number(abs(row['delta']))} (no interval)"
    ends = (low, high) if row["delta"] >= 0 else (-high, -low)
    return f"{number(abs(row['delta']))} [{number(ends[0])}, {number(ends[1])}]"


def ends(row: dict[str, Any]) -> str:
    return "without an interval" if row["low"] is None else f"[{number(row['low'])}, {number(row['high'])}]"


def who(row: dict[str, Any]) -> str:
    better, worse = (row["first"], row["second"]) if row["delta"] < 0 else (row["second"], row["first"])
    return f"{better} is better than {worse}"


def ahead(row: dict[str, Any]) -> str:
    better, worse = (row["first"], row["second"]) if row["delta"] < 0 else (row["second"], row["first"])
    return f"{better} ahead of {worse}"


def listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
