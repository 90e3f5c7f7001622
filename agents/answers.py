"""What an agent hands in, held against what its role asked for: which answers to a forecast's asks are valid.

One of the two answer tools is called, once, with an object (`agents.forms` has those of other asks):

- `submit_estimate`: `probability` is a JSON number from 0 to 1, both included. Text ("0.7", "70%"), a truth value, 70 for
  70 %, NaN and null are malformed: what was meant would be a guess. `rationale` and `reading` are text, and not blank.
- `submit_report`: `report` is text, and not blank; `parts` is a list of text, none of it blank; left out, it is empty.

Blank is what holds nothing but white space and characters without a shape. A malformed answer is sent back once with what is
wrong with it. Repeated parts, and more or fewer than were asked for, are no malformed answer: the panel counts them.
"""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from coordeval.agents.messages import Block
from coordeval.agents.scaffold import Ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A valid answer to an ask. An estimate has a probability in [0, 1]; no other form has one."""

    probability: float | None
    text: str
    """The rationale of an estimate, the report, or what was said or done in words."""
    reading: str = ""
    parts: tuple[str, ...] = ()
    blank: int = 0
    """Blank parts in an answer that was sent back for them."""
    content: Mapping[str, Any] = field(default_factory=dict)
    """Of a form other than a forecast's: what was handed in, checked. See `agents.forms`."""
    sent_back: str = field(default="", compare=False)
    """What was wrong with it when it was first handed in; "": nothing was."""


def read(
    submissions: list[Block], ask: Ask, form: Callable[[Mapping[str, Any]], tuple[Answer | None, str]]
) -> tuple[Answer | None, str]:
    """The answer in a reply, or what is wrong with it ("" where the agent is still working with its tools).

    `form` reads what was handed in; what is sound in form is held against the ask's own rule.
    """
    if len(submissions) > 1:
        return None, f"{len(submissions)} answers were submitted at once, exactly one is wanted"
    if not submissions:
        return None, ""
    given = submissions[0]["input"]
    if submissions[0]["name"] != f"submit_{ask.answer}":
        return None, f"{submissions[0]['name']} was called where submit_{ask.answer} is wanted"
    if not isinstance(given, Mapping):
        return None, f"the input {given!r} is not an object"
    answer, problem = form(given)
    if answer is not None and ask.rule is not None and (problem := ask.rule(answer.content)):
        return None, problem
    return answer, problem


def read_estimate(given: Mapping[str, Any]) -> tuple[Answer | None, str]:
    value = given.get("probability")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:  # refuses NaN too
        return None, f"probability is {value!r}, it must be a number from 0 to 1"
    rationale, reading = given.get("rationale"), given.get("reading")
    if not isinstance(rationale, str) or not isinstance(reading, str):
        return None, "rationale and reading must both be given, as text"
    if missing := [name for name, text in (("rationale", rationale), ("reading", reading)) if is_blank(text)]:
        return None, f"{' and '.join(missing)} must say something, and {'are' if len(missing) > 1 else 'is'} blank"
    return Answer(probability=float(value), text=rationale, reading=reading), ""


def read_report(given: Mapping[str, Any]) -> tuple[Answer | None, str]:
    report, parts = given.get("report"), given.get("parts", [])
    if not isinstance(report, str) or is_blank(report):
        return None, "report is empty"
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        return None, f"parts is {parts!r}, it must be a list of strings"
    if blank := [i for i, part in enumerate(parts, start=1) if is_blank(part)]:
        which = ", ".join(map(str, blank))
        return None, f"of {len(parts)} parts {which} {'are' if len(blank) > 1 else 'is'} blank; each must say something"
    return Answer(probability=None, text=report, parts=tuple(parts)), ""


def blank_parts(submissions: list[Block]) -> int:
    """How many blank parts were handed in."""
    given = submissions[0]["input"] if len(submissions) == 1 else None
    parts = given.get("parts") if isinstance(given, Mapping) else None
    return sum(isinstance(part, str) and is_blank(part) for part in parts) if isinstance(parts, list) else 0


def is_blank(text: str) -> bool:
    """Whether nothing in it has a shape: white space, control and format characters (zero-width ones, a byte-order mark)."""
    return all(character.isspace() or unicodedata.category(character) in ("Cc", "Cf") for character in text)
