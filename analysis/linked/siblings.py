"""Questions that give each other away: the same one with another deadline, or in almost the same words.

Source of the search for similar ones: Bayardo, Ma & Srikant (2007).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import combinations
from typing import Any, Final

_ROUNDING: Final = 1e-9
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH: Final = rf"(?P<month>{'|'.join(_MONTHS)})(?:uary|ruary|ch|il|e|y|ust|t|tember|ober|ember)?"
_DEADLINE: Final = re.compile(
    r"\b(?:by|before) (?:the )?(?:end of )?"
    rf"(?:(?P<iso>20\d\d-\d\d-\d\d)|{_MONTH}\.?(?: (?P<day>\d\d?)(?:st|nd|rd|th)?)?(?:,? (?P<year>20\d\d))?"
    r"|(?P<only>20\d\d))\b"
)
_TOKEN: Final = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A market's question, taken apart; `read` makes it of a row with what `analysis.leaks.sibling_reveals` needs."""

    id: str
    event: str
    outcome: int | None
    resolved_at: datetime | None
    as_of: datetime | None
    exclusive: bool
    words: tuple[str, ...]
    fixed: tuple[str, ...]
    """Numbers and months: questions that differ in them are different questions."""
    template: tuple[str, ...] | None
    """The words without the deadline; None where there is none."""
    deadline: date | None

    @staticmethod
    def read(row: Mapping[str, Any]) -> "Question":
        text = " ".join(row["question"].lower().split())
        found = _DEADLINE.search(text)
        words = tuple(_TOKEN.findall(text))
        return Question(
            id=row["market_id"],
            event=row["event_id"],
            outcome=row["outcome"],
            resolved_at=row["resolved_at"],
            as_of=row["as_of"],
            exclusive=bool(row.get("exclusive")),
            words=words,
            fixed=tuple(word for word in words if word[0].isdigit() or _is_month(word)),
            template=tuple(_TOKEN.findall(f"{text[: found.start()]} {text[found.end() :]}")) if found else None,
            deadline=_deadline(found, row["as_of"]) if found else None,
        )


@lru_cache(maxsize=4096)
def _is_month(word: str) -> bool:
    return re.fullmatch(_MONTH, word) is not None


def _deadline(found: re.Match[str], as_of: datetime | None) -> date | None:
    """The last day; None where the year is not given and cannot be told, and for a day that does not exist."""
    try:
        if found["iso"]:
            return date.fromisoformat(found["iso"])
        if found["only"]:
            return date(int(found["only"]), 12, 31)
        month = _MONTHS.index(found["month"]) + 1
        if found["year"]:
            return _day(int(found["year"]), month, found["day"])
        if as_of is None:
            return None
        first = as_of.date() - timedelta(days=7)
        return min(day for year in (first.year, first.year + 1) if (day := _day(year, month, found["day"])) >= first)
    except ValueError:
        return None


def _day(year: int, month: int, day: str | None) -> date:
    return date(year, month, int(day)) if day else date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)


def siblings(questions: Sequence[Question], similarity: float) -> set[tuple[int, int]]:
    """Positions of the pairs that are worth a look."""
    groups = defaultdict[object, list[int]](list)
    for i, question in enumerate(questions):
        groups["event", question.event].append(i)
        if question.template is not None:
            groups["ladder", question.template].append(i)
    return {pair for group in groups.values() for pair in combinations(group, 2)} | set(_similar(questions, similarity))


def _similar(questions: Sequence[Question], least: float) -> Iterator[tuple[int, int]]:
    """Pairs whose sets of words overlap enough: they must share one of their rarest words, so only those are compared."""
    sets = [frozenset(question.words) for question in questions]
    frequency = Counter(word for words in sets for word in words)
    index = defaultdict[object, list[int]](list)
    for i, words in enumerate(sets):
        rare = sorted(words, key=lambda word: (frequency[word], word))
        keys = [(questions[i].fixed, word) for word in rare[: int(len(rare) * (1 - least) + _ROUNDING) + 1]]
        for j in {j for key in keys for j in index[key]}:
            if len(words & sets[j]) >= least * len(words | sets[j]) - _ROUNDING:
                yield j, i
        for key in keys:
            index[key].append(i)


def reveals(market: Question, sibling: Question) -> tuple[str, int | None] | None:
    """Why the sibling's resolution tells something about the market, and the answer where it follows."""
    resolved, yes = sibling.resolved_at, sibling.outcome == 1
    if resolved is None or sibling.outcome is None or market.as_of is None or resolved > market.as_of:
        return None
    said, related = f"had resolved {'YES' if yes else 'NO'}", market.event == sibling.event
    if market.words == sibling.words:  # in another event it may be another occasion
        return f"the same question {said}", sibling.outcome if related else None
    if market.template is not None and market.template == sibling.template:
        kind, implies = _ladder(market.deadline, sibling.deadline, yes=yes, resolved=resolved)
        return f"the same question with {kind} deadline {said}", implies
    if related:
        exclusive = market.exclusive and sibling.exclusive
        return (f"another market of its {'exclusive ' * exclusive}event {said}", 0 if exclusive else None) if yes else None
    return f"an almost identical question {said}", None


def _ladder(ours: date | None, theirs: date | None, *, yes: bool, resolved: datetime) -> tuple[str, int | None]:
    """What a deadline that resolved says about another: which of the two it is, and the answer where it follows."""
    if ours is None or theirs is None or ours == theirs:
        return "another", None
    if theirs < ours:
        return "an earlier", 1 if yes else None
    if yes:
        return "a later", 1 if resolved.date() <= ours else None
    return "a later", 0
