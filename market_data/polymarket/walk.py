"""Is this page the one that must follow? Keyset pages repeat silently: a cursor under a wrong name is ignored.

Instead of remembering every id, the walk holds each page against the order that was asked for. A list in strict order
cannot repeat a row, and one in order of closing time can repeat only rows of the same second, which are
remembered. So a million rows are checked in the memory of one page, and a server that ignores `order` is found out.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from coordeval.market_data.http import BadAnswer
from coordeval.market_data.polymarket.completeness import Completeness, Order

_LONGEST_NUMBER = 100
Key = tuple[datetime | None, str]
"""(closing time, id)"""


def _newest_first(keys: Sequence[Key]) -> bool:
    closed = [key[0] for key in keys if key[0] is not None]
    return all(earlier >= later for earlier, later in pairwise(closed))


def _rising_number(keys: Sequence[Key]) -> bool:
    numbers = all(id.isascii() and id.isdigit() and len(id) < _LONGEST_NUMBER for _, id in keys)
    return numbers and all(int(a) < int(b) for (_, a), (_, b) in pairwise(keys))


def _rising_text(keys: Sequence[Key]) -> bool:
    return all(a < b for (_, a), (_, b) in pairwise(keys))


SORTS: Mapping[Order, Mapping[str, Callable[[Sequence[Key]], bool]]] = {
    "closed_time": {"closedTime, newest first": _newest_first},
    "id": {"id as a number, rising": _rising_number, "id as text, rising": _rising_text},
}
"""The default order is documented as `id` without saying of which kind; the pages themselves decide."""


def followed(so_far: Completeness, keys: Sequence[Key], next_cursor: str | None) -> dict[str, Any]:
    """What `so_far` becomes by a page with these rows. Raises BadAnswer where the page cannot be the next one."""
    if next_cursor is not None and next_cursor == so_far.next_cursor:
        raise BadAnswer(
            "repeated page", f"the cursor does not advance: after_cursor and next_cursor are both {next_cursor!r:.60}"
        )
    known = set(so_far.tied_ids) | set(so_far.undated_ids)
    counts = Counter(id for _, id in keys)
    if repeated := [id for id, count in counts.items() if count > 1 or id in known]:
        raise BadAnswer("repeated page", f"{len(repeated)} markets come a second time, the first is id {repeated[0]}")
    closed, id = so_far.last_key
    before: list[Key] = [(datetime.fromisoformat(closed) if closed else None, id)] if id else []
    candidates = SORTS[so_far.query.order]
    sorts = tuple(name for name in so_far.sorts or candidates if candidates[name]([*before, *keys]))
    if not sorts:
        raise BadAnswer(
            "page out of order",
            f"the page (ids {keys[0][1]} to {keys[-1][1]}, after {id or 'the start'}) is not in the order "
            f"{' or '.join(so_far.sorts or candidates)}, so it may repeat or skip markets; list them by another order",
        )
    return {"sorts": sorts, "next_cursor": next_cursor, **_last(so_far, keys)}


def _last(so_far: Completeness, keys: Sequence[Key]) -> dict[str, Any]:
    if not keys:
        return {}
    dated = [key for key in keys if key[0] is not None]
    changes: dict[str, Any] = {
        "first_id": so_far.first_id or keys[0][1],
        "last_id": keys[-1][1],
        "undated_ids": tuple(id for closed, id in keys if closed is None),
    }
    if so_far.query.order == "id":
        return changes | {"last_key": ("", keys[-1][1]), "undated_ids": ()}
    if not dated:
        return changes
    last = dated[-1][0]
    assert last is not None
    ties = tuple(id for closed, id in dated if closed == last)
    if so_far.last_key[0] == last.isoformat():
        ties = so_far.tied_ids + ties
    return changes | {"last_key": (last.isoformat(), dated[-1][1]), "tied_ids": ties}
