"""Words that tell how a question ended, and dates later than as-of: what a text must not hold that was known at as-of."""

import re
from collections.abc import Collection
from datetime import date, datetime

from coordeval.market_data.dates import dates_in

_QUOTE = "[\"'“”‘’*]{0,2}"
_SAID = re.compile(
    rf"\b(?:resolves?|resolved|resolving)\s+(?:(?:to|as|in favou?r of)\s+)?(?:a\s+)?{_QUOTE}(?:yes|no)\b"
    r"|\b(?:has|have|had|was|were|been|is now)\s+(?:been\s+)?(?:officially\s+|now\s+)?(?:resolved|settled)\b"
    r"|\bresolved\s+(?:to|as)\b"
    rf"|\bthe\s+(?:final\s+)?(?:outcome|result|resolution)\s+(?:was|is)\s+{_QUOTE}\w+"
    r"|\bfinal\s+(?:outcome|resolution)\s*[:=]",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"\b(?:if|when|whether|unless|until|otherwise|should|would|will|may|can|could|shall|must|only|once|upon|in case|"
    r"in the event|as soon as|provided|who|which|that (?:has|have|was|were)|any|not)\b",
    re.IGNORECASE,
)
"""A rule speaks of what may come; what has come is told without such words."""
_SENTENCE = re.compile(r"[^.!?\n;]+(?:[.!?](?!\s|$)[^.!?\n;]*)*")


def resolution_language(text: str) -> list[str]:
    """The pieces of sentences that state a resolution, such as "the vote passed, resolves YES"; rules do not count."""
    found = []
    for sentence in _SENTENCE.finditer(text):
        said = sentence[0]
        found += [match[0] for match in _SAID.finditer(said) if not _CONDITION.search(said)]
    return found


def later_dates(text: str, as_of: datetime, allowed: Collection[date] = ()) -> list[str]:
    """Dates in any common form, whose earliest reading is later than as-of's day and that are not among `allowed`."""
    day = as_of.date()
    return [w.text for w in dates_in(text) if w.first > day and not {w.first, w.last} & set(allowed)]
