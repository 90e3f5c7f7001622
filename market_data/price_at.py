"""The price that could be read at a moment: its value, what it is, its time and its age, or no value and the reason."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from coordeval.market_data.errors import DataError
from coordeval.market_data.types import PriceKind, PricePoint, utc

PREFERENCE: dict[PriceKind, int] = {"mid": 4, "simulated": 3, "last_trade": 2, "unstated": 1, "trade_vwap": 0}
"""Which of two prices of the same moment is taken: a quote before a trade before an average, then the higher one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceAt:
    """`value` is None exactly where `reason` says why; `time`, `age` and `kind` are then those of the refused price."""

    as_of: datetime
    value: float | None
    kind: PriceKind | None
    time: datetime | None
    age: timedelta | None
    reason: str = ""


def price_at(points: Iterable[PricePoint], as_of: datetime, max_age: timedelta | None) -> PriceAt:
    """The latest of `points` that was knowable at `as_of`, if it is at most `max_age` old (None: however old).

    Later and undated points are not looked at. Raises DataError for points of more than one market, a naive `as_of` or a
    negative `max_age`.
    """
    as_of = utc(as_of, "as-of time of a price")
    if max_age is not None and max_age < timedelta(0):
        raise DataError(f"max_age is {max_age}; it must not be negative")
    points = list(points)
    if len(markets := {point.market_id for point in points}) > 1:
        raise DataError(f"a price at a moment is that of one market, got points of {', '.join(sorted(markets))}")
    known = [(at, PREFERENCE[p.kind], p.price, p) for p in points if (at := p.knowable_at) is not None and at <= as_of]
    if not known:
        reason = "no price was knowable by then" if points else "the price history is empty"
        return PriceAt(as_of=as_of, value=None, kind=None, time=None, age=None, reason=reason)
    time, _, price, point = max(known, key=lambda item: item[:3])
    age = as_of - time
    if max_age is not None and age > max_age:
        reason = f"the last price is {age} old, more than {max_age}"
        return PriceAt(as_of=as_of, value=None, kind=point.kind, time=time, age=age, reason=reason)
    return PriceAt(as_of=as_of, value=price, kind=point.kind, time=time, age=age)
