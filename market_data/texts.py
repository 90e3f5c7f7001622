"""A market's own text has a moment too: when it was first seen here. What was seen only later may know the answer.

A venue serves its text of today. It may be that of the opening, or somebody has written "the vote passed" under it since.
So a text counts as known from `Market.text_known_at` on. Where that is later than as-of, or not known, the study says what
is shown of it (`UndatedText`), and whatever is shown is marked: no certificate says that it passed. Additions that venues
and creators append with a date are cut at as-of whatever the study says.
"""

import re
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from coordeval.market_data.dates import dates_in
from coordeval.market_data.errors import DataError
from coordeval.market_data.types import Market

UndatedText = Literal["show", "cut", "refuse"]
"""Of a text that is not shown to have been known at as-of: show it, show the question alone, or refuse the market."""
TEXTS = ("question", "description", "category")
_DATED = r"(?:added|amended|corrected|revised|updated|edited)"
_MARK = re.compile(
    r"(?:^|(?<=[\n.!?:;)\]*\[(>#_|]))[ \t*_#>\[(|-]*"
    r"(?P<word>additional context|(?:market |rules? |resolution )?clarifications?"
    r"|(?:context |market |rules? |resolution )?updates?|updated|edit(?:ed|s)?|addend(?:um|a)|corrections?"
    r"|resolution note|creator(?:'s|’s)? (?:comments?|notes?)"
    rf"|(?:note|text|context|paragraph|comment) {_DATED}|{_DATED}(?= (?:on )?\W*(?:\d|[A-Z][a-z]{{2,8}}\.? \d)))\b"
    r"(?P<head>[^\n:]{0,90}?)(?P<stop>:|[)\]](?=\s|$)|[–—](?=\s)| -(?=\s)|$)",
    re.IGNORECASE | re.MULTILINE,
)
"""How additions begin: "Additional context (Jan 5, 2026):", "Update (Jan 5, 2026)", "EDIT:", "Note added 5 January"."""
_NEAR = 4
"""A date right after the mark's colon belongs to it; one further on is part of what is told."""


def known_by(market: Market, as_of: datetime) -> bool:
    """True where the text as it stands was seen by as-of."""
    return market.text_known_at is not None and market.text_known_at <= as_of


def without_additions(text: str, as_of: datetime) -> tuple[str, str]:
    """(the text up to its first addition not shown to be older than as-of's day, why the rest is cut, or "").

    Everything after that mark goes, whatever further marks say. Cutting twice is cutting once.
    """
    for mark in _MARK.finditer(text):
        head = text[mark.end("word") : mark.end("head")]
        rest = text[mark.end() : mark.end() + 40]
        near = [w for w in dates_in(rest) if w.start <= _NEAR][:1]
        dates = dates_in(head) or near
        if not dates and not mark["stop"] and not re.search(rf"\b{_DATED}$", mark["word"], re.IGNORECASE):
            continue  # "Update the list daily": a sentence, and no heading
        if not dates:
            return text[: mark.start()].rstrip(), "an addition without a date that can be read"
        if (latest := max(w.last for w in dates)) >= as_of.date():
            return text[: mark.start()].rstrip(), f"an addition dated {latest.isoformat()}, not earlier than as-of"
    return text, ""


def admitted(market: Market, as_of: datetime, undated: UndatedText) -> tuple[Market, list[tuple[str, str]]]:
    """The market as it may be shown at as-of, and (what was held back, why).

    Raises DataError where the study refuses a market whose text is not shown to have been known.
    """
    if known_by(market, as_of):
        return market, []
    at = market.text_known_at
    seen = "first seen at no recorded time" if at is None else f"first seen on {at:%Y-%m-%d %H:%M} UTC"
    if undated == "refuse":
        raise DataError(
            f"market {market.id} ({market.question!r:.80}): its text was {seen}, so it is not shown to have been known "
            f'at the as-of time {as_of:%Y-%m-%d %H:%M} UTC, and the study says undated_text = "refuse"; leave the market '
            'out, choose a later as_of, or say "cut" (the question alone) or "show"'
        )
    changes, held = dict[str, Any](), list[tuple[str, str]]()
    for name in TEXTS:
        text = getattr(market, name)
        if not text:
            continue
        if undated == "cut" and name != "question":
            changes[name] = ""
            held.append((f"{name} of {market.id}", f"not shown to have been known at as-of: {seen}"))
            continue
        kept, why = without_additions(text, as_of)
        if why and (kept or name != "question"):
            changes[name] = kept
            held.append((f"{name} of {market.id}, {len(text) - len(kept)} characters", why))
    return replace(market, **changes) if changes else market, held
