"""Every market that closed in a window, page by page, with a statement of how complete the list is.

**The strategy.** Gamma filters by no closing time (`closed_time_min` is accepted and ignored), and `end_date_min/max` filter
the nominal deadline, which lies up to years from the closing. So no date filter is sent. The keyset list of closed markets
is read in the order of closing, newest first, until a page reaches back beyond the window: every market of the window
stands before that point, *if the list is in that order*, and each page is held against it (`walk`). A server that does
not sort so is an error, and `order="id"` reads all closed markets instead: complete in any case, slower by far.
`order=closedTime` is known from users' reports (ascending fails on large lists, so it is not used), `id` is documented.

The only filter sent is `volume_num_min`; each row is held against it again, as an unknown parameter is ignored in silence.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from coordeval.market_data.errors import DataError
from coordeval.market_data.http import HttpClient, Service
from coordeval.market_data.polymarket.completeness import Completeness, Query
from coordeval.market_data.polymarket.fields import SchemaChange, keep_aside, unfit
from coordeval.market_data.polymarket.parse import Listed, Refused, parse_market, parse_markets
from coordeval.market_data.polymarket.walk import followed

PAGE_SIZE = 100
"""Gamma clamps a larger limit to this without a word."""
_SAME_FAULT = 10
"""A page of at least so many rows of which not one can be read is a changed schema, not so many bad rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a listing: the rows of the window, those that could not be read, and the statement up to here."""

    listed: tuple[Listed, ...]
    refused: tuple[Refused, ...]
    so_far: Completeness
    passed: tuple[Listed, ...] = ()
    """Rows that were read and lie outside the window; a market known from an earlier pull may have moved there."""


async def resolved_markets(
    client: HttpClient,
    gamma: Service,
    query: Query,
    *,
    resume: Completeness | None = None,
    aside: Path | None = None,
    strict: bool = False,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> AsyncIterator[Page]:
    """The pages of the listing, from its start or from where `resume` stopped. Never ends early without an error.

    A market that closed is listed whatever its outcome: 50-50, disputed and contradictory ones are kept under their status.
    Rows that cannot be read are refused and kept in `aside`; `strict` raises their SchemaChange instead. Raises FetchError,
    DataError.
    """
    so_far = resume.going_on(query) if resume else Completeness(query=query, started_at=clock())
    while not so_far.ended:
        check = partial(_page, so_far=so_far, aside=aside, strict=strict)
        page = await client.get_json(gamma, "/markets/keyset", _parameters(so_far), check=check)
        so_far = page.so_far
        yield page


def _parameters(so_far: Completeness) -> list[tuple[str, str]]:
    query = so_far.query
    sent = [("closed", "true"), ("limit", str(PAGE_SIZE)), ("include_tag", "true")]
    if query.order == "closed_time":
        sent += [("order", "closedTime"), ("ascending", "false")]
    if query.min_volume > 0:
        sent.append(("volume_num_min", f"{query.min_volume:g}" if query.min_volume % 1 else f"{query.min_volume:.0f}"))
    if so_far.next_cursor is not None:
        sent.append(("after_cursor", so_far.next_cursor))
    return sent


def _page(payload: Any, *, so_far: Completeness, aside: Path | None, strict: bool) -> Page:
    rows, next_cursor = page_of(payload, "markets", aside)
    read = [parse_market(row, aside) for row in rows] if strict else parse_markets(rows, aside)
    listed = [row for row in read if isinstance(row, Listed)]
    refused = tuple(row for row in read if isinstance(row, Refused))
    if len(rows) >= _SAME_FAULT and not listed:
        raise DataError(f"not one of {len(rows)} markets of a page can be read; the first: {refused[0].detail}")
    if still_open := [row.market.id for row in listed if not row.facts.closed]:
        raise DataError(
            f"asked for closed markets, got {len(still_open)} open ones, the first is {still_open[0]}; "
            "the service ignores `closed`, so its list cannot be trusted: check the base URL"
        )
    changes = followed(so_far, [(row.facts.closed_at, row.facts.gamma_id) for row in listed], next_cursor)
    kept, passed_over = _of_window(listed, so_far.query)
    inside = {row.market.id for row in kept}
    return Page(
        listed=tuple(kept),
        refused=refused,
        passed=tuple(row for row in listed if row.market.id not in inside),
        so_far=so_far.extended(
            pages=1,
            rows=len(rows),
            kept=len(kept),
            passed_over=passed_over,
            refused=_counts(row.reason for row in refused),
            statuses=_counts(row.outcome.status for row in kept),
            ended=_ended(listed, so_far.query, next_cursor),
            **changes,
        ),
    )


def page_of(payload: Any, name: str, aside: Path | None) -> tuple[list[Any], str | None]:
    """(rows, next cursor) of a keyset page. Raises SchemaChange."""
    problem = None
    if not isinstance(payload, dict):
        problem = ("(itself)", "an object", payload)
    elif not isinstance(payload.get(name), list):
        problem = (name, "a list", payload.get(name))
    elif not (payload.get("next_cursor") is None or _is_cursor(payload["next_cursor"])):
        problem = ("next_cursor", "text that is not empty, or absent on the last page", payload["next_cursor"])
    if problem:
        raise SchemaChange("Gamma keyset page", *problem, keep_aside(payload, aside))
    return payload[name], payload.get("next_cursor")


def _is_cursor(value: Any) -> bool:
    return isinstance(value, str) and value != "" and not unfit(value)


def _of_window(listed: list[Listed], query: Query) -> tuple[list[Listed], dict[str, int]]:
    kept: list[Listed] = []
    passed_over: list[str] = []
    for row in listed:
        closed, volume = row.facts.ended_at, row.facts.volume
        if closed is None:
            passed_over.append("no closing time")
        elif closed < query.after:
            passed_over.append("closed before the window")
        elif closed >= query.before:
            passed_over.append("closed after the window")
        elif query.min_volume > 0 and (volume is None or volume < query.min_volume):
            passed_over.append("volume not stated" if volume is None else "volume below the minimum")
        else:
            kept.append(row)
    return kept, _counts(passed_over)


def _ended(listed: list[Listed], query: Query, next_cursor: str | None) -> str:
    if query.order == "closed_time" and any(
        r.facts.closed_at is not None and r.facts.closed_at < query.after for r in listed
    ):
        return "past the window"
    return "last page" if next_cursor is None else ""


def _counts(reasons: Iterable[str]) -> dict[str, int]:
    return dict(Counter(reasons))
