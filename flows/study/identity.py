"""What makes a study another study: the keys in which its content differs from one that was run under the same name."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from coordeval.flows.study.evaluation import Cell
from coordeval.flows.study.study import LoadedStudy
from coordeval.ledger import Reader

ABSENT: Final = "(absent)"


def changed_since(reader: Reader, loaded: LoadedStudy) -> str | None:
    """A sentence for the user where a locked study of this name has other content; None where there is none."""
    known = reader.query(
        "SELECT study_id, content FROM studies WHERE name = ? AND locked_at IS NOT NULL ORDER BY locked_at DESC",
        [loaded.study.name],
    ).to_dicts()
    if not known or any(row["study_id"] == loaded.id for row in known):
        return None
    changed = [f"{key}: {was} → {now}" for key, was, now in differing(orjson.loads(known[0]["content"]), loaded.content)]
    return (
        f"this file is not the study {loaded.study.name!r} ({known[0]['study_id'][:8]}) that is locked since its first "
        f"forecast was stored; it differs in {'; '.join(changed)}. It runs as another study ({loaded.id[:8]})"
    )


def asked_again(reader: Reader, loaded: LoadedStudy, cells: Sequence[Cell]) -> str | None:
    """A sentence about the cells that were forecast before under another identity, and so are paid for again; or None.

    Before: in this study as it was planned last, else in the one of its name that was locked last. To be called before the
    plan is stored, with the cells that are still to be made.
    """
    if loaded.money != "paid":
        return None  # nothing is paid for
    before = reader.query(_BEFORE, [loaded.id, loaded.study.name]).to_dicts()
    made = {(row["market_id"], row["arm"], row["configuration"], row["replicate"]): row for row in before}
    keys = [(cell.view.market.id, cell.arm, cell.label, cell.replicate) for cell in cells]
    again = [(made[key], cell) for key, cell in zip(keys, cells, strict=True) if key in made]
    again = [(row, cell) for row, cell in again if row["forecast_id"] != cell.forecast_id]
    if not again:
        return None
    apart = sorted({part for row, cell in again for part in _parts(orjson.loads(row["identity"]), cell.identity)})
    calls = sum(row["model_calls"] for row, _ in again)
    costs = [row["attributed_micro_usd"] for row, _ in again]
    cost = "an unknown price" if None in costs else f"${sum(costs) / 1e6:.2f}"
    shared = "" if "model" in apart else " at most: a call with the same bytes is shared and not paid for again"
    return (
        f"{len(again)} forecasts that were made before are made again, because what was asked has changed "
        f"({', '.join(apart)}): {calls} model calls, which cost {cost} last time,{shared or ' each of them anew'}"
    )


_BEFORE = """
    WITH last AS (
        SELECT study_id FROM studies WHERE (study_id = $1 OR name = $2) AND locked_at IS NOT NULL
        ORDER BY study_id = $1 DESC, locked_at DESC LIMIT 1
    )
    SELECT market_id, arm, configuration, replicate, forecast_id, identity, model_calls, attributed_micro_usd
    FROM (FROM cells SEMI JOIN last USING (study_id)) c
    JOIN (SELECT forecast_id, model_calls, attributed_micro_usd FROM forecasts WHERE model_calls > 0) f USING (forecast_id)
"""


def _parts(was: Mapping[str, Any], now: Mapping[str, Any]) -> set[str]:
    return {part for part in was.keys() | now.keys() if was.get(part) != now.get(part)}


def differing(first: Any, second: Any) -> list[tuple[str, Any, Any]]:
    """(dotted key, its value in the first, in the second) of every leaf in which two studies' contents differ."""
    one, other = dict(_flat(first)), dict(_flat(second))
    values = [(key, one.get(key, ABSENT), other.get(key, ABSENT)) for key in sorted(one | other)]
    return [(key, was, now) for key, was, now in values if was != now]


def _flat(content: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of every leaf; entries of a list that have a name go by it."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(content, list) and content and all(isinstance(item, Mapping) and "name" in item for item in content):
        for item in content:
            yield from _flat(item, f"{prefix}.{item.get('label') or item['name']}")
    else:
        yield prefix, content
