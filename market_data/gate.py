"""The one gate between sources and anything that an agent can see.

A price or document passes only if the moment from which it was knowable is known and is not later than the as-of time. So
does the market's own text, but that a study may show one whose age is not known (`market_data.texts`).
What is refused is kept with its reason, so that a run can say how much it held back.
"""

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import orjson

from coordeval.market_data.errors import DataError
from coordeval.market_data.price_at import PREFERENCE
from coordeval.market_data.texts import UndatedText, admitted
from coordeval.market_data.types import Document, Market, PricePoint, utc


@dataclass(frozen=True, slots=True)
class Refusal:
    """One item that the gate held back."""

    kind: str
    item: str
    reason: str


@dataclass(slots=True)
class Gate:
    """Admits what was knowable at `as_of` and records each refusal."""

    as_of: datetime
    refusals: list[Refusal] = field(default_factory=list)

    def admit(self, kind: str, items: Iterable[Any]) -> list[Any]:
        """The items with a known `knowable_at` that is not later than as-of, oldest first.

        Items of one moment are ordered by content, so that the order in which a source lists them changes nothing.
        """
        admitted = []
        for item in items:
            if item.knowable_at is None:
                self.refusals.append(Refusal(kind, _name(item), "undated"))
            elif item.knowable_at > self.as_of:
                self.refusals.append(Refusal(kind, _name(item), "later than as-of"))
            else:
                admitted.append(item)
        return sorted(admitted, key=_place)


def _place(item: Any) -> tuple[datetime, str, int, float]:
    """Of prices of one moment the last is the one that `price_at` takes."""
    kind = getattr(item, "kind", None)
    return item.knowable_at, getattr(item, "id", ""), PREFERENCE[kind] if kind else 0, getattr(item, "price", 0.0)


def _name(item: Any) -> str:
    """A document's id, or where a price stands; never what a refused item says."""
    return str(getattr(item, "id", None) or f"{item.market_id} at {item.knowable_at}")


class MarketView:
    """Everything that may be known of one market at one moment: what tools and prompts are built from.

    It holds no outcome and nothing later than `as_of`; later items are refused on the way in and only counted. A last price
    older than `max_price_age` is no price of that moment: then `price` is None.
    """

    def __init__(
        self,
        market: Market,
        as_of: datetime,
        prices: Iterable[PricePoint],
        documents: Iterable[Document],
        *,
        max_price_age: timedelta | None = None,
        undated_text: UndatedText = "show",
    ) -> None:
        """`undated_text`: what is shown of a text not shown to have been known at as-of; later additions never are."""
        self.max_price_age = max_price_age
        self.as_of = utc(as_of, f"market {market.id}, as-of time")
        if market.opened_at is not None and self.as_of < market.opened_at:
            raise DataError(
                f"market {market.id}: the as-of time {self.as_of.isoformat()} is before the market opened "
                f"({market.opened_at.isoformat()}); choose a later one"
            )
        gate = Gate(self.as_of)
        self.market, held = admitted(market, self.as_of, undated_text)
        gate.refusals += [Refusal("text", item, reason) for item, reason in held]
        self.prices: Sequence[Any] = gate.admit("price", self._own("price", prices))
        self.documents: Sequence[Document] = gate.admit("document", self._own("document", documents))
        self.refusals: Sequence[Refusal] = tuple(gate.refusals)

    def __getstate__(self) -> dict[str, Any]:
        """For another process: items as JSON, which takes a tenth of the time that pickling each of them would."""
        state = dict(self.__dict__)
        for name, kind in _ITEMS.items():
            if state[name] and all(type(item) is kind for item in state[name]):
                with suppress(orjson.JSONEncodeError):  # a text that no JSON can hold goes as it is
                    state[name] = orjson.dumps(state[name])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for name, kind in _ITEMS.items():
            if isinstance(packed := state[name], bytes):
                items = orjson.loads(packed)
                for item in items if name != "refusals" else ():
                    item["knowable_at"] = datetime.fromisoformat(item["knowable_at"])
                made = [kind(**item) for item in items]
                setattr(self, name, tuple(made) if name == "refusals" else made)

    def _own(self, kind: str, items: Iterable[Any]) -> Iterable[Any]:
        """Refuses to build a view of one market from what belongs to another: that is a mistake, not a late item."""
        for item in items:
            if item.market_id != self.market.id:
                raise DataError(
                    f"market {self.market.id}: a {kind} of market {item.market_id} ({item.knowable_at}) was handed to its "
                    "view; a view holds one market's items, so group them by market_id first"
                )
            yield item

    @property
    def price(self) -> PricePoint | None:
        """The last price knowable at as-of, as `price_at` takes it; None where there is none or it is too old."""
        if not self.prices:
            return None
        last = self.prices[-1]
        too_old = self.max_price_age is not None and self.as_of - last.knowable_at > self.max_price_age
        return None if too_old else last

    @cached_property
    def opening(self) -> str:
        """The facts and the moment that every request about this market begins with, as text: two markets with different
        ones share no request."""
        facts = self.market.known_at_opening()
        return repr((self.as_of.isoformat(), sorted((name, str(value)) for name, value in facts.items())))

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of all that an agent could learn here: part of every forecast's identity."""
        digest = hashlib.sha256(b"market-view/1")
        facts = self.market.known_at_opening()
        for part in (self.market.id, self.as_of.isoformat(), *(f"{k}={v}" for k, v in sorted(facts.items()))):
            digest.update(part.encode() + b"\x1f")
        if self.max_price_age is not None:
            digest.update(f"max_price_age={self.max_price_age.total_seconds()}\x1f".encode())
        for point in self.prices:
            digest.update(f"{point.knowable_at}|{point.price!r}|{point.kind}\x1f".encode())
        for document in self.documents:
            digest.update(document.id.encode())
        return digest.hexdigest()


_ITEMS: dict[str, type[Any]] = {"prices": PricePoint, "documents": Document, "refusals": Refusal}
