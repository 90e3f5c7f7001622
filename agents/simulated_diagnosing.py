"""How the simulated model looks for the cause of a bad forecast: it reads the rows that it is shown, and misses some.

An investigator notices what a row shows with probability min(NOTICES, SPAN / rows before it), so that the more it reads at
once the more it misses; with probability INVENTS it names some other cause. Of what it noticed it names what stands first in
the list of causes. A reviewer reads the cited rows alone, and errs with probability ERRS. Nothing of this is about a real
model: these are the numbers of a test bench.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any, Final

NOTICES: Final = 0.95
SPAN: Final = 14
INVENTS: Final = 0.1
ERRS: Final = 0.05
OPENS: Final = 8
_ROW: Final = re.compile(r"^\[(\d+)\] (.*)$", re.MULTILINE)
_CAUSE: Final = re.compile(r"^- ([\w.]+): ", re.MULTILINE)
_NUMBER: Final = r"(\d+\.\d+)"


@dataclass(frozen=True, slots=True)
class _Page:
    """What the text of an ask holds."""

    head: Mapping[str, str]
    causes: Sequence[str]
    rows: Mapping[int, str]
    """Title and words of those that are opened."""
    titles: Sequence[int]
    """Numbers of all that there are."""


def answer(text: str, seed: str) -> tuple[str, dict[str, Any]] | None:
    """(the tool, what is handed in) of an investigator or a reviewer; None: the ask is another. `seed`: which draw it is."""
    if text.startswith('<role name="investigator">'):
        return "submit_hypothesis", _hypothesis(_read(text), seed)
    if text.startswith('<role name="reviewer">'):
        return "submit_review", _review(_read(text), text, seed)
    return None


def _hypothesis(page: _Page, seed: str) -> dict[str, Any]:
    chance = min(NOTICES, SPAN / max(1, len(page.rows)))
    seen: dict[str, list[int]] = {}
    for number, words in page.rows.items():
        if _uniform(seed, "notice", number) < chance:
            for cause in _signs(words, page.head):
                seen.setdefault(cause, []).append(number)
    known = [cause for cause in page.causes if cause in seen]
    cause, rows = (known[0], seen[known[0]]) if known else ("none", [])
    if _uniform(seed, "invent", 0) < INVENTS and page.causes and page.rows:
        cause = page.causes[int(_uniform(seed, "which", 0) * len(page.causes))]
        rows = [sorted(page.rows)[int(_uniform(seed, "where", 0) * len(page.rows))]]
    closed = [number for number in page.titles if number not in page.rows]
    begin = int(_uniform(seed, "open", 0) * len(closed)) if closed else 0
    why = f"Rows {', '.join(map(str, rows))} show it." if rows else "No row that I was shown explains it."
    return {"cause": cause, "rows": rows[:OPENS], "why": why, "open": [*closed[begin:], *closed[:begin]][:OPENS]}


def _review(page: _Page, text: str, seed: str) -> dict[str, Any]:
    stated = re.search(r"^Cause: ([\w.]+)$", text, re.MULTILINE)
    read = re.search(r"^Rows opened so far: (\d+) of (\d+)$", text, re.MULTILINE)
    shows = stated is not None and any(stated[1] in _signs(words, page.head) for words in page.rows.values())
    if _uniform(seed, "err", 0) < ERRS:
        shows = not shows
    complete = round(10 * int(read[1]) / int(read[2])) if read else 0
    says = "The rows show it." if shows else "The rows do not show it; look elsewhere."
    scores = {"evidence": 9 if shows else 2, "completeness": complete, "consistency": 8 if shows else 4}
    return {**scores, "solved": shows and complete >= 8, "says": says}


def _read(text: str) -> _Page:
    lines = (line.partition(": ") for line in _part(text, "forecast").splitlines())
    opened = _part(text, "opened")
    starts = [*_ROW.finditer(opened)]
    ends = [*(start.start() for start in starts[1:]), len(opened)]  # of no row there is one end too many
    rows = {int(start[1]): opened[start.start(2) : end].strip() for start, end in zip(starts, ends, strict=False)}
    titles = [int(found[1]) for found in _ROW.finditer(_part(text, "rows"))]
    return _Page({name: value for name, _, value in lines}, _CAUSE.findall(_part(text, "causes")), rows, titles)


def _part(text: str, tag: str) -> str:
    _, _, rest = text.partition(f"<{tag}>\n")
    return unescape(rest.partition(f"\n</{tag}>")[0])


def _uniform(seed: str, what: str, number: int) -> float:
    digest = hashlib.blake2b(f"{seed}|{what}|{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64


def _signs(words: str, head: Mapping[str, str]) -> list[str]:
    """The causes that a row shows, by the names of the audit's rules."""
    return [cause for cause, shows in _SIGNS.items() if shows(words, head)]


def _floats(pattern: str, words: str) -> tuple[float, ...] | None:
    found = re.search(pattern, words)
    return None if found is None else tuple(map(float, found.groups()))


def _moved(words: str) -> tuple[float, ...] | None:
    return _floats(rf"mean went from {_NUMBER} to {_NUMBER}, their spread from {_NUMBER} to {_NUMBER}", words)


def _other_market(words: str, head: Mapping[str, str]) -> bool:
    about = re.search(r'about the question "(.*)"', words)
    return about is not None and about[1] != head.get("Question")


def _later(words: str, head: Mapping[str, str]) -> bool:
    day = re.search(r"The latest day in it: (\S{10})", words)
    return day is not None and day[1] > head.get("As of", "9") and day[1] != head.get("Scheduled close")


def _misread(words: str, head: Mapping[str, str]) -> bool:
    reading = re.search(r"^Its reading of the question: (.*)$", words, re.MULTILINE)
    return reading is not None and bool(
        {*re.findall(r"\d{2,}", reading[1])} - {*re.findall(r"\d+", head.get("Question", ""))}
    )


def _unsupported(words: str, head: Mapping[str, str]) -> bool:
    report, _, seen = words.partition("All that it saw:")
    return "It reports:" in report and any(one not in seen for one in re.findall(r"[$€£]\s?(\d[\d,.]*\d)", report))


def _alone(words: str, head: Mapping[str, str]) -> bool:
    return re.search(r"^It was shown ask \d+ \(its own, \d\.\d+\)\.$", words, re.MULTILINE) is not None


def _quick(words: str, head: Mapping[str, str]) -> bool:
    moved = _moved(words)
    return moved is not None and moved[2] >= 0.05 and moved[3] <= 0.1 * moved[2]


def _led(words: str, head: Mapping[str, str]) -> bool:
    found = _floats(rf"the forecast {_NUMBER} began agent 1, at {_NUMBER}; the first estimates were {_NUMBER} apart", words)
    return found is not None and abs(found[0] - found[1]) <= 0.02 * found[2]


def _astray(words: str, head: Mapping[str, str]) -> bool:
    moved, y = _moved(words), {"YES": 1, "NO": 0}.get(head.get("It ended", ""))
    return moved is not None and y is not None and abs(moved[1] - y) > abs(moved[0] - y)


def _broken(words: str, head: Mapping[str, str]) -> bool:
    found = _floats(rf"It agreed proposal \d+, {_NUMBER} within ([\d.]+); then it estimated {_NUMBER}", words)
    return found is not None and abs(found[2] - found[0]) > found[1] + 1e-9


def _drifted(words: str, head: Mapping[str, str]) -> bool:
    heard = {agent: float(p) for agent, p in re.findall(rf"\(agent (\d+), {_NUMBER}\)", words)}
    for agent, said in re.findall(r"\bAgent (\d+) (?:says|is at) (\d+%|[01]?\.\d+)", words):
        p = float(said[:-1]) / 100 if said.endswith("%") else float(said)
        if agent not in heard or abs(heard[agent] - p) > 0.02:
            return True
    return "Not all were shown the same" in words


def _copied(words: str, head: Mapping[str, str]) -> bool:
    found = _floats(rf"The forecast is {_NUMBER};[\s\S]*price of YES that was shown is {_NUMBER}", words)
    return found is not None and found[0] == found[1]


def _pooled(words: str, head: Mapping[str, str]) -> bool:
    found = _floats(rf"The forecast is {_NUMBER};[\s\S]*the median {_NUMBER} and the mean {_NUMBER}", words)
    declared = re.search(r"Declared is: (median|mean)", words)
    return found is not None and declared is not None and abs(found[0] - found[1 + (declared[1] == "mean")]) > 0.0006


def _has(text: str) -> Callable[[str, Mapping[str, str]], bool]:
    return lambda words, head: text in words


_SIGNS: Final[Mapping[str, Callable[[str, Mapping[str, str]], bool]]] = {
    "tool_failed": _has("It ended in an error."),
    "tool_empty": _has("It gave 0 results."),
    "tool_repeated": _has("had been given this very result before"),
    "tool_other_market": _other_market,
    "later_facts": _later,
    "misreading": _misread,
    "unsupported_claim": _unsupported,
    "empty_peers": _alone,
    "early_convergence": _quick,
    "first_mover": _led,
    "moves_away": _astray,
    "commitment_broken": _broken,
    "drift": _drifted,
    "truncated_replies": _has("The reply ended by max_tokens."),
    "repeats_price": _copied,
    "silent_fallback": lambda words, head: "status is answered" in words and "Nobody was asked" in words,
    "scores_disagree": _pooled,
    "broken_record": lambda words, head: "of which nothing is recorded" in words or "Nothing is recorded of it" in words,
}
