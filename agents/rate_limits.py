"""What a server's rate limit still takes, from the headers of a reply, whatever they hold."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from coordeval.agents.messages import Room

_WHOLE = re.compile(r"[0-9]{1,15}")
_DURATION = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m(?!s))?(?:(\d{1,9}(?:\.\d{1,9})?)s)?(?:(\d{1,9})ms)?")
_FAMILIES = (
    ("anthropic-ratelimit-{}-remaining", "anthropic-ratelimit-{}-reset"),
    (
        "x-ratelimit-remaining-{}",
        "x-ratelimit-reset-{}",
    ),
)
"""Of the Messages API (a date), and of OpenAI-compatible endpoints (a duration such as 6m0s)."""


def room(headers: Mapping[str, str], now: datetime) -> Room | None:
    """The tightest of the limits that the headers name; None where they name none that can be understood.

    Of tokens only the end of them counts: how many calls they are is not known.
    """
    found: list[Room] = []
    for remaining, reset in _FAMILIES:
        for kind in ("requests", "tokens", "input-tokens", "output-tokens"):
            left, until = headers.get(remaining.format(kind), "").strip(), headers.get(reset.format(kind), "").strip()
            if _WHOLE.fullmatch(left) and (kind == "requests" or int(left) == 0):
                seconds = _seconds(until, now)
                if seconds is not None:
                    found.append(Room(int(left), seconds))
    return min(found, key=lambda one: (one.calls, -one.seconds), default=None)


def _seconds(until: str, now: datetime) -> float | None:
    if until and (spelled := _DURATION.fullmatch(until)):
        hours, minutes, seconds, milliseconds = (float(part or 0) for part in spelled.groups())
        return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000
    try:
        at = datetime.fromisoformat(until)
    except ValueError:
        return None
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())
