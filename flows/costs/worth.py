"""What calls cost in each way to buy them: as they stand, with a prompt cache, in batches."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import polars as pl

from coordeval.agents.capabilities import least_cached
from coordeval.agents.messages import Usage, canonical
from coordeval.agents.prices import PriceBook
from coordeval.agents.scaffold import ANSWER_TOOLS, system_prompt
from coordeval.agents.toolbox import TOOLS

WAYS: Final = ("plain", "cached", "batch")
"""Live without a cache, live with one, in batches without one (which hits of a cache a batch has is not promised)."""
_CHARACTERS_PER_TOKEN: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """At whose prices, and on which day (UTC)."""

    book: PriceBook
    model: str
    on: date
    tools: tuple[str, ...] = tuple(TOOLS)
    """The study's own, which begin every prompt."""

    @property
    def known(self) -> bool:
        return self.book.price(self.model, self.on, 1) is not None

    @property
    def scaffold(self) -> int:
        """Tokens that every prompt begins with: tools and system text, by length."""
        shared = [*(TOOLS[name].spec for name in self.tools if name in TOOLS), *ANSWER_TOOLS, system_prompt()]
        return len(canonical(shared)) // _CHARACTERS_PER_TOKEN


def worth(calls: pl.DataFrame, rates: Rates) -> pl.DataFrame:
    """`calls` with a column of micro-dollars for each of WAYS, null where the price is not known.

    A cache does what the rules of the API say: the last turn of the ask is read, the rest is written, if both reach the
    model's least cacheable length; the scaffold alone is read where it reaches that length. Calls that say what their cache
    did are taken at their word.
    """
    total = pl.col("input_tokens") + pl.col("cache_read_tokens") + pl.col("cache_write_tokens")
    ordered = calls.sort("forecast_id", "ask", "turn").with_columns(
        total=total, before=total.shift(1).over("forecast_id", "ask").fill_null(0)
    )
    told = bool(calls.height and (calls["cache_read_tokens"].sum() or calls["cache_write_tokens"].sum()))
    least, scaffold = least_cached(rates.model), rates.scaffold
    columns: dict[str, list[int | None]] = {way: [] for way in WAYS}
    for row in ordered.iter_rows(named=True):
        plain = Usage(input_tokens=row["total"], output_tokens=row["output_tokens"], web_searches=row["searches"])
        cached = _told(row) if told else _cached(row, least, scaffold)
        columns["plain"].append(rates.book.micro_usd(rates.model, plain, rates.on))
        columns["cached"].append(rates.book.micro_usd(rates.model, cached, rates.on))
        columns["batch"].append(rates.book.micro_usd(rates.model, plain, rates.on, batch=True))
    return ordered.with_columns(pl.Series(way, amounts, dtype=pl.Int64) for way, amounts in columns.items())


def _told(row: Mapping[str, Any]) -> Usage:
    return Usage(
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        cache_write_5m_tokens=row["cache_write_tokens"],
        cache_read_tokens=row["cache_read_tokens"],
        web_searches=row["searches"],
    )


def _cached(row: Mapping[str, Any], least: int | None, scaffold: int) -> Usage:
    total, before, output, searches = row["total"], row["before"], row["output_tokens"], row["searches"]
    if least is None or total < least:
        return Usage(input_tokens=total, output_tokens=output, web_searches=searches)
    read = before if before >= least else scaffold if scaffold >= least else 0
    read = min(read, total)
    return Usage(
        input_tokens=0,
        output_tokens=output,
        cache_write_5m_tokens=total - read,
        cache_read_tokens=read,
        web_searches=searches,
    )
