"""How long a server asks to wait, from its headers, whatever they hold."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_SECONDS = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds from `now`, at least 0; None where the headers say nothing that can be understood (RFC 9110, 10.2.3).

    `retry-after-ms` goes before `retry-after`, which is seconds or a date; a date that has passed is 0.
    """
    if _SECONDS.fullmatch(milliseconds := headers.get("retry-after-ms", "").strip()):
        return float(milliseconds) / 1000
    if _SECONDS.fullmatch(given := headers.get("retry-after", "").strip()):
        return float(given)
    try:
        at = parsedate_to_datetime(given)
        return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
