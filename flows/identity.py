"""What makes a study another study: the keys in which its content differs from one that was run under the same name."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from flows.study import LoadedStudy
from ledger import Reader

_ABSENT = "(absent)"


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
        f"forecast was stored; it differs in {'; '.join(changed)}. It runs as another study ({loaded.id[:8]}): what the two "
        "have in common is shared and not paid for again"
    )


def differing(first: Any, second: Any) -> list[tuple[str, Any, Any]]:
    """(dotted key, its value in the first, in the second) of every leaf in which two studies' contents differ."""
    one, other = dict(_flat(first)), dict(_flat(second))
    values = [(key, one.get(key, _ABSENT), other.get(key, _ABSENT)) for key in sorted(one | other)]
    return [(key, was, now) for key, was, now in values if was != now]


def _flat(content: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of every leaf; entries of a list that have a name go by it."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(content, list) and all(isinstance(item, Mapping) and "name" in item for item in content):
        for item in content:
            yield from _flat(item, f"{prefix}.{item.get('label') or item['name']}")
    else:
        yield prefix, content
