"""Drift in a conversation: views that differ where they should not, words about what was never said, readings that diverge.

Each rule is a comparison of stored text, and says what it found: no model is asked.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal["view", "reference", "reading"]
QUOTED: Final = 0.02
"""A number that is said of another agent is its estimate where it is no further from it: people and models round."""
ALIKE: Final = 0.1
"""Readings that share a smaller part of their words than this are of two events; words by their first letters."""
_LETTERS: Final = 5
_AGENT: Final = re.compile(r"\bagent (\d{1,4})\b", re.IGNORECASE)
_QUOTE: Final = re.compile(
    r"\bagent (\d{1,4})(?:'s)?"
    r"(?: (?:says?|said|stands? at|estimates?|estimated|is at|put it at|puts it at|estimate of|gives?))"
    r"\s+(?:YES at |about |around )?(\d{1,3}(?:\.\d+)?\s?%|0?\.\d+|[01]\.\d+)",
    re.IGNORECASE,
)
_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        ("january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
         "september sep sept", "october oct", "november nov", "december dec"), 1)
    for name in names.split()
}  # fmt: skip
_ISO: Final = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_WORDED: Final = re.compile(
    r"\b([A-Za-z]{3,9})\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})\b|\b(\d{1,2}) ([A-Za-z]{3,9}) (\d{4})\b"
)
_WORD: Final = re.compile(r"[^\W\d_]{4,}")
_NEGATED: Final = re.compile(r"\b(?:not|never|no|fails? to|without)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Drift:
    """One finding: in which ask, of which kind, and what was compared."""

    ask: int
    kind: Kind
    says: str


def drift(rows: Sequence[Mapping[str, Any]]) -> list[Drift]:
    """Findings of one conversation, in the order of asking; rows as in `configurations.record.shared_record`.

    - view: of three or more agents of one role in one round a majority was shown the same entries, and this one was not.
    - reference: its reasons name an agent that it was not shown, or a number of one that is further than QUOTED from what
      that one said.
    - reading: its reading names other dates than those of most, or denies what they do not, or shares less than ALIKE of
      their words.

    >>> from coordeval.analysis.talk.drift import drift
    >>> row = {"agent": 0, "round": 0, "role": "r", "kind": "estimate", "probability": 0.4, "shown": [], "statistics": []}
    >>> says = ["It happens by 2026-03-01.", "It happens by March 1, 2026.", "It happens by 2026-04-01."]
    >>> rows = [row | {"ask": i, "agent": i, "rationale": "", "reading": text} for i, text in enumerate(says)]
    >>> [(one.ask, one.kind) for one in drift(rows)]
    [(2, 'reading')]
    """
    found = [*_views(rows), *_references(rows), *_readings(rows)]
    return sorted(found, key=lambda one: (one.ask, one.kind))


def _views(rows: Sequence[Mapping[str, Any]]) -> Iterator[Drift]:
    groups: dict[tuple[int, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["round"], row["role"]].append(row)
    for group in groups.values():
        views = {row["ask"]: (tuple(sorted(row["shown"])), tuple(sorted(row["statistics"]))) for row in group}
        [(usual, count)] = Counter(views.values()).most_common(1)
        if len(group) < 3 or 2 * count <= len(group):
            continue
        for ask, view in views.items():
            if view != usual:
                lacks, more = sorted({*usual[0]} - {*view[0]}), sorted({*view[0]} - {*usual[0]})
                said = [f"without {lacks}"] * bool(lacks) + [f"and {more}"] * bool(more)
                yield Drift(
                    ask, "view", f"{count} others were shown {list(usual[0])}, it {' '.join(said) or 'other statistics'}"
                )


def _references(rows: Sequence[Mapping[str, Any]]) -> Iterator[Drift]:
    by_ask = {row["ask"]: row for row in rows}
    for row in rows:
        heard: dict[int, list[float]] = defaultdict(list)
        for source in row["shown"]:
            if source in by_ask:
                told = by_ask[source]["probability"]
                heard[by_ask[source]["agent"]] += [] if told is None else [told]
        text = str(row["rationale"]) if row["kind"] != "failed" else ""
        known = {*heard, row["agent"]}
        for number in dict.fromkeys(int(n) for n in _AGENT.findall(text)):
            if number - 1 not in known:
                yield Drift(row["ask"], "reference", f"it names agent {number}, of whom it was shown nothing")
        for number, said in dict.fromkeys(_QUOTE.findall(text)):
            told = heard.get(int(number) - 1)
            p = float(said.rstrip("% ")) / 100 if said.endswith("%") else float(said)
            if told and min(abs(p - one) for one in told) > QUOTED + 1e-9:
                yield Drift(row["ask"], "reference", f"it has agent {number} at {said}, who said {told[-1]:g}")


def _readings(rows: Sequence[Mapping[str, Any]]) -> Iterator[Drift]:
    read = {row["ask"]: str(row["reading"]) for row in rows if row["kind"] == "estimate" and str(row["reading"]).strip()}
    if len(read) < 3:
        return
    dates = {ask: dates_in(text) for ask, text in read.items()}
    usual = _most([one for one in dates.values() if one])
    denied = {ask: bool(_NEGATED.search(text)) for ask, text in read.items()}
    denies = _most(list(denied.values()))
    words = {ask: {word.casefold()[:_LETTERS] for word in _WORD.findall(text)} for ask, text in read.items()}
    for ask in read:
        if usual and dates[ask] and not dates[ask] & usual:
            yield Drift(ask, "reading", f"it reads {', '.join(sorted(dates[ask]))}; most read {', '.join(sorted(usual))}")
        elif denies is not None and denied[ask] != denies:
            yield Drift(
                ask, "reading", f"it {'denies' if denied[ask] else 'affirms'} what most {'deny' if denies else 'affirm'}"
            )
        else:
            shared = [_jaccard(words[ask], words[other]) for other in read if other != ask]
            if sum(one < ALIKE for one in shared) > len(shared) / 2:
                yield Drift(ask, "reading", f"it shares {max(shared):.0%} of its words with any other at most")


def dates_in(text: str) -> frozenset[str]:
    """Dates that a text names, as YYYY-MM-DD.

    >>> from coordeval.analysis.talk.drift import dates_in
    >>> sorted(dates_in("by 2026-03-01, not 4 April 2026 or May 5th, 2026"))
    ['2026-03-01', '2026-04-04', '2026-05-05']
    """
    found = {"-".join(parts) for parts in _ISO.findall(text)}
    for month, day, year, day_before, month_after, year_after in _WORDED.findall(text):
        number = _MONTHS.get((month or month_after).casefold())
        if number:
            found.add(f"{year or year_after}-{number:02}-{int(day or day_before):02}")
    return frozenset(found)


def _most(values: list[Any]) -> Any:
    """What more than half of the values are; None where there is no such."""
    if not values:
        return None
    [(value, count)] = Counter(values).most_common(1)
    return value if 2 * count > len(values) else None


def _jaccard(a: set[str], b: set[str]) -> float:
    return len(a & b) / len(a | b) if a | b else 1.0
