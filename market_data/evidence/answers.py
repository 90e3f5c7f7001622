"""Reading a member of a JSON answer: a missing or retyped one is named, with the answer it was in."""

from typing import Any, TypeVar

import orjson

from coordeval.market_data.errors import DataError

T = TypeVar("T")


def member(holder: Any, name: str, kind: type[T], item: str) -> T:
    """`holder[name]`, which must be a `kind`. Raises DataError."""
    value = holder.get(name) if isinstance(holder, dict) else None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        was = type(value).__name__ if isinstance(holder, dict) and name in holder else "missing"
        raise DataError(
            f"{item}: {name!r} is {was} where {kind.__name__} is documented; the service may have changed its answers, so "
            f"compare with its documentation. Sent was: {orjson.dumps(holder, default=str)[:200].decode('utf-8', 'replace')}"
        )
    return value
