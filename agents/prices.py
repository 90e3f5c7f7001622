"""The price book: what a reply costs on a day, exactly, or None where the price is not known (never 0).

One USD per million tokens is one millionth of a dollar per token, so tokens times rate is the cost in micro-dollars.
"""

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Context, Decimal, InvalidOperation, localcontext
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from coordeval.agents.capabilities import base_id
from coordeval.agents.messages import Usage
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.home import own_folder

_EXACT = Context(prec=60)


PRICES_FILE = "COORDEVAL_PRICES"
"""The environment variable that names a user's own file of prices."""


class PriceError(CoordevalError, ValueError):
    """A price that cannot be read."""


def utc_today() -> date:
    return datetime.now(UTC).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """USD per million tokens, from `valid_from` on, for prompts of at most `prompt_up_to` tokens (None: any length)."""

    input: Decimal
    output: Decimal
    cache_write_5m: Decimal
    cache_write_1h: Decimal
    cache_read: Decimal
    batch: Decimal = Decimal(1)
    """What a Message Batch multiplies the price of tokens by."""
    web_search: Decimal | None = None
    """USD per thousand searches on the provider's servers; None: not known."""
    valid_from: date = date.min
    prompt_up_to: int | None = None
    source: str = "the study"

    def micro_usd(self, usage: Usage) -> Decimal:
        return (
            self.input * usage.input_tokens
            + self.output * usage.output_tokens
            + self.cache_write_5m * usage.cache_write_5m_tokens
            + self.cache_write_1h * usage.cache_write_1h_tokens
            + self.cache_read * usage.cache_read_tokens
        )

    def covers(self, prompt_tokens: int) -> bool:
        return self.prompt_up_to is None or prompt_tokens <= self.prompt_up_to


class PriceBook:
    """Prices per model id and date. A dated model id (`claude-haiku-4-5-20251001`) has the price of its base id."""

    def __init__(self, prices: Mapping[str, Sequence[Price]]) -> None:
        self._prices = {model: tuple(sorted(entries, key=_order)) for model, entries in prices.items()}

    @staticmethod
    @cache
    def bundled() -> "PriceBook":
        """The list prices that ship with the package."""
        text = files("coordeval.agents").joinpath("data/prices.toml").read_text(encoding="utf-8")
        return PriceBook(_read_all(tomllib.loads(text)))

    def with_overrides(self, prices: Mapping[str, Any]) -> "PriceBook":
        """This book with a study's `[prices]`, which replace all entries of the models that they name.

        A value is a table of USD per million tokens (or a list of such tables): input and output as decimal strings or
        numbers, and optionally cache_write_5m, cache_write_1h, cache_read, batch, valid_from, prompt_up_to and source.
        A cache rate that is not given is taken at the most that is usual, so that a cost is not understated: 1.25 times
        the input price to write for five minutes, twice for an hour, and the input price itself to read. Raises PriceError.
        """
        return PriceBook({**self._prices, **_read_all(prices)})

    @property
    def models(self) -> frozenset[str]:
        """The ids that have a price, without the dates of snapshots."""
        return frozenset(self._prices)

    def as_json(self, model: str) -> list[dict[str, Any]]:
        """Its prices, oldest first: USD per million tokens as numbers, with the date and the source of each."""
        return [
            {
                **{name: None if (rate := getattr(price, name)) is None else float(rate) for name in _RATES},
                "valid_from": None if price.valid_from == date.min else price.valid_from.isoformat(),
                "prompt_up_to": price.prompt_up_to,
                "source": price.source,
            }
            for price in self._prices.get(model, ())
        ]

    def price(self, model: str, at: date, prompt_tokens: int) -> Price | None:
        """The price of a prompt of that length, on that day (UTC)."""
        return next((price for price in self._bands(model, at) if price.covers(prompt_tokens)), None)

    def micro_usd(self, model: str, usage: Usage, at: date, *, batch: bool = False) -> int | None:
        """The cost of one reply, rounded half-even to millionths of a dollar; None for an unknown model or date."""
        price = self.price(model, at, usage.total_input_tokens)
        if price is None:
            return None
        with localcontext(_EXACT):
            cost = price.micro_usd(usage) * (price.batch if batch else 1)
            if usage.web_searches:
                if price.web_search is None:
                    return None
                cost += price.web_search * 1000 * usage.web_searches
            return int(cost.to_integral_value(ROUND_HALF_EVEN))

    def worst_case(
        self,
        model: str,
        at: date,
        *,
        input_tokens: int,
        output_tokens: int,
        searches: int = 0,
        batch: bool = False,
    ) -> int | None:
        """No reply to a prompt of at most `input_tokens` with at most `output_tokens` and so many searches can cost more.

        None: not known.
        """
        if self.price(model, at, input_tokens) is None:
            return None
        dearest = Decimal(0)
        with localcontext(_EXACT):
            for price in self._bands(model, at):
                rate = max(price.input, price.cache_write_5m, price.cache_write_1h, price.cache_read)
                if searches and price.web_search is None:
                    return None
                found = (price.web_search or 0) * 1000 * searches
                cost = (rate * input_tokens + price.output * output_tokens) * (price.batch if batch else 1)
                dearest = max(dearest, cost + found)
                if price.covers(input_tokens):
                    break
            return int(dearest.to_integral_value(ROUND_CEILING))

    def _bands(self, model: str, at: date) -> list[Price]:
        """The prices in force on that day, for short prompts first; empty where none is known."""
        entries = self._prices.get(model) or self._prices.get(base_id(model), ())
        newest = max((price.valid_from for price in entries if price.valid_from <= at), default=None)
        return [price for price in entries if price.valid_from == newest]


def _order(price: Price) -> tuple[date, float]:
    return price.valid_from, float("inf") if price.prompt_up_to is None else price.prompt_up_to


def users_file() -> Path | None:
    """Where a user's own prices are kept: the file that COORDEVAL_PRICES names, else prices.toml in their configuration.

    None for a user without a home.
    """
    if said := os.environ.get(PRICES_FILE):
        try:
            return Path(said).expanduser()
        except RuntimeError as error:
            raise PriceError(f"{PRICES_FILE} names {said}, and this user has no home: give the whole path") from error
    folder = own_folder("XDG_CONFIG_HOME", ".config")
    return None if folder is None else folder / "coordeval" / "prices.toml"


def users_prices() -> dict[str, Any]:
    """The prices of `users_file`, in the form of a study's `[prices]`; empty where there is none. Raises PriceError."""
    path = users_file()
    if path is None:
        return {}
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        PriceBook.bundled().with_overrides(content)
    except FileNotFoundError as error:
        if os.environ.get(PRICES_FILE):
            raise PriceError(f"{PRICES_FILE} names {path}, and there is no such file; write it, or unset it") from error
        return {}
    except (OSError, ValueError) as error:
        raise PriceError(f"{path}: {error}; mend that, or take the file away") from error
    return {model: rates_of(entry) for model, entry in content.items()}


_RATES = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read", "batch", "web_search")
_DEAREST = 1_000_000  # a dollar a token: beyond it somebody took the unit for another
_REQUIRED = ("input", "output")
_OF_INPUT = {"cache_write_5m": Decimal("1.25"), "cache_write_1h": Decimal(2), "cache_read": Decimal(1)}
"""What a cache rate is of the input price, where it is not given."""
_FIELDS = frozenset(field.name for field in fields(Price))


def _read_all(data: Mapping[str, Any]) -> dict[str, tuple[Price, ...]]:
    return {model: _entries(model, said) for model, said in data.items()}


def rates_of(entry: Any) -> Any:
    """A study's price table, or list of them, with its rates as the decimal numbers that were written; the rest as it is."""
    if isinstance(entry, list):
        return [rates_of(one) for one in entry]
    if not isinstance(entry, Mapping):
        return entry
    exact = {key: _decimal(value) for key, value in entry.items() if key in _RATES}
    return {**entry, **{key: rate for key, rate in exact.items() if rate is not None}}


def restored(prices: Mapping[str, Any]) -> dict[str, Any]:
    """A study's `[prices]` as JSON holds them, with their dates as dates again."""

    def one(entry: Any) -> Any:
        if isinstance(entry, list):
            return [one(part) for part in entry]
        at = entry.get("valid_from")
        return {**entry, "valid_from": date.fromisoformat(at)} if isinstance(at, str) else entry

    return {model: one(entry) for model, entry in prices.items()}


def _entries(model: str, said: Any) -> tuple[Price, ...]:
    entries = tuple(_read(model, entry) for entry in (said if isinstance(said, list) else [said]))
    bands = [_order(price) for price in entries]
    if not entries or len(set(bands)) < len(bands):
        problem = "two of its tables are for the same date and length of prompt" if entries else "it holds no table"
        raise PriceError(f"prices.{model}: {problem}; give each price a valid_from or prompt_up_to of its own")
    return entries


def _read(model: str, entry: Any) -> Price:
    if not isinstance(entry, Mapping):
        raise PriceError(f"prices.{model} = {entry!r}: it must be a table with {', '.join(_REQUIRED)}")
    if unknown := sorted(entry.keys() - _FIELDS):
        raise PriceError(f"prices.{model}.{unknown[0]} is not known: a price has {', '.join(sorted(_FIELDS))}")
    if missing := [name for name in _REQUIRED if name not in entry]:
        raise PriceError(
            f"prices.{model}.{missing[0]} is missing: give it in USD per million tokens "
            f"(of {', '.join(_RATES)}, input and output are needed)"
        )
    rates = {name: _rate(model, name, entry[name]) for name in _RATES if name in entry}
    rates = {name: rates["input"] * share for name, share in _OF_INPUT.items()} | rates
    valid_from, up_to = entry.get("valid_from", date.min), entry.get("prompt_up_to")
    if isinstance(valid_from, datetime) or not isinstance(valid_from, date):
        raise PriceError(f"prices.{model}.valid_from = {valid_from!r}: it must be a date, written 2026-02-05")
    if up_to is not None and (isinstance(up_to, bool) or not isinstance(up_to, int) or up_to < 1):
        raise PriceError(f"prices.{model}.prompt_up_to = {up_to!r}: it must be a whole number of tokens")
    return Price(**rates, valid_from=valid_from, prompt_up_to=up_to, source=str(entry.get("source", "the study")))


def _rate(model: str, name: str, value: Any) -> Decimal:
    rate = _decimal(value)
    if rate is None or not 0 <= rate <= _DEAREST:
        raise PriceError(
            f"prices.{model}.{name} = {value!r}: it must be a decimal number, at least 0 and at most {_DEAREST}, "
            'such as "1.25"'
        )
    return rate


def _decimal(value: Any) -> Decimal | None:
    """The number as it was written; None where it is no finite number."""
    try:
        number = Decimal("nan" if isinstance(value, bool) else str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
