"""From a page as served to a page as counted; and is it a new page at all?

Three of the venues page without a documented order, so a page cannot be held against one. It is held against the page
before it (a row may not come twice in a row) and against one earlier page, whose digest is renewed at page 1, 2, 4, 8, …
By Brent's argument (BIT 20, 1980) any cycle of pages is then found out, in the memory of one page however long it is.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from coordeval.market_data.errors import CoordevalError, DataError
from coordeval.market_data.http import BadAnswer
from coordeval.market_data.polymarket.completeness import Query
from coordeval.market_data.polymarket.fields import SchemaChange, keep_aside, name_of, unfit
from coordeval.market_data.polymarket.parse import UNREADABLE, Refused, refused_row
from coordeval.market_data.venues.listing import Completeness, F, Listed, Page

_SAME_FAULT = 10
"""A page of at least so many rows of which not one can be read is a changed schema, not so many bad rows."""
Parse = Callable[[Mapping[str, Any]], "Listed[F] | str"]
"""A row as served -> the market, or why the query passes it over. Raises SchemaChange."""


def next_page(
    so_far: Completeness,
    rows: Sequence[Any],
    parse: "Parse[F]",
    *,
    id_field: str,
    aside: Path | None,
    **state: Any,
) -> "Page[F]":
    """The page of `rows` after `so_far`; `state` is what else changes there (cursor, ended).

    Raises BadAnswer for a page that came before and DataError where not one row can be read.
    """
    ids = tuple(id_of(row, id_field) for row in rows)
    anchor = _new(so_far, ids)
    listed: list[Listed[F]] = []
    passed: list[Listed[F]] = []
    refused: list[Refused] = []
    passed_over: Counter[str] = Counter()
    for row in rows:
        try:
            if not isinstance(row, Mapping):
                raise SchemaChange(f"a row of a {so_far.venue} list", "(itself)", "an object", row)
            read = parse(row)
        except SchemaChange as change:
            refused.append(refused_row(row, change, aside))
            continue
        except CoordevalError:
            raise  # of the whole list
        except UNREADABLE as error:
            refused.append(refused_row(row, error, aside, name=f"{so_far.venue} {name_of(row, id_field)}"))
            continue
        if reason := read if isinstance(read, str) else outside(read, so_far.query):
            passed_over[reason] += 1
            if isinstance(read, Listed):
                passed.append(read)
        elif isinstance(read, Listed):
            listed.append(read)
    if len(rows) >= _SAME_FAULT and len(refused) == len(rows):
        raise DataError(f"not one of {len(rows)} markets of a page can be read; the first: {refused[0].detail}")
    return Page(
        listed=tuple(listed),
        refused=tuple(refused),
        passed=tuple(passed),
        so_far=so_far.extended(
            pages=1,
            rows=len(rows),
            kept=len(listed),
            passed_over=passed_over,
            refused=Counter(row.reason for row in refused),
            statuses=Counter(row.outcome.status for row in listed),
            last_ids=ids or so_far.last_ids,
            anchor=anchor,
            **state,
        ),
    )


def id_of(row: Any, field: str) -> str:
    """What tells a row of a page from another; "" where it has nothing of the kind, and will be refused."""
    value = row.get(field) if isinstance(row, Mapping) else None
    number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if number or (isinstance(value, str) and not unfit(value)) else ""


def outside(listed: "Listed[Any]", query: Query) -> str:
    """Why the query does not ask for this market; "" where it does."""
    resolved_at = listed.outcome.resolved_at
    if resolved_at is None:
        return "no resolution time"
    if resolved_at < query.after:
        return "resolved before the window"
    if resolved_at >= query.before:
        return "resolved after the window"
    if query.min_volume > 0 and (listed.volume is None or listed.volume < query.min_volume):
        return "volume not stated" if listed.volume is None else "volume below the minimum"
    return ""


def same_market(read: "Listed[F]", market_id: str) -> "Listed[F]":
    """Raises DataError where a market that was asked for by its id is another one."""
    if read.market.id != market_id:
        raise DataError(f"market {market_id}: the answer is about {read.market.id}; check the base URL")
    return read


def rows_of(payload: Any, field: str | None, item: str, aside: Path | None) -> list[Any]:
    """The list that is the payload, or that stands under `field`. Raises SchemaChange, with the payload kept aside."""
    rows = payload.get(field) if field and isinstance(payload, Mapping) else None if field else payload
    if not isinstance(rows, list):
        raise SchemaChange(item, field or "(itself)", "a list", rows, keep_aside(payload, aside))
    return rows


def _new(so_far: Completeness, ids: tuple[str, ...]) -> str:
    """The anchor after this page. Raises BadAnswer where the page, or a row of it, was there already."""
    known = set(so_far.last_ids)
    counts = Counter(ids)
    if repeated := [id for id, count in counts.items() if id and (count > 1 or id in known)]:
        raise BadAnswer("repeated page", f"{len(repeated)} markets come a second time, the first is {repeated[0]}")
    if not ids:
        return so_far.anchor
    digest = hashlib.sha256("\x1f".join(ids).encode()).hexdigest()[:32]
    if digest == so_far.anchor:
        raise BadAnswer("repeated page", f"an earlier page of {len(ids)} markets comes again, the first is {ids[0]}")
    number = so_far.pages + 1
    return digest if number & (number - 1) == 0 else so_far.anchor
