"""Sources of real markets behind one protocol (`base.Venue`); each says what its parser was held against.

`connect` opens one by its name, through the same door for the built-in ones and a user's own (`registry`); docs/sources.md
shows how one is written. ForecastBench is a folder of files and not a venue: `forecastbench.Round`.
"""

from pathlib import Path
from typing import Any

import httpx

from coordeval.market_data.http import HttpClient, Patience
from coordeval.market_data.polymarket.completeness import Query
from coordeval.market_data.venues.base import MarketPage, MarketRow, PriceRecord, RefusedRow, Statement, Venue
from coordeval.market_data.venues.forecastbench import Round, rounds
from coordeval.market_data.venues.kalshi import Kalshi
from coordeval.market_data.venues.listing import Completeness, Listed, Page, Prices
from coordeval.market_data.venues.manifold import Manifold
from coordeval.market_data.venues.metaculus import Metaculus
from coordeval.market_data.venues.metaculus_token import metaculus_client
from coordeval.market_data.venues.polymarket import Polymarket
from coordeval.market_data.venues.reading import Reader, evidence
from coordeval.market_data.venues.registry import from_file, load
from coordeval.market_data.venues.walk import next_page, rows_of

__all__ = [
    "Completeness",
    "Kalshi",
    "Listed",
    "Manifold",
    "MarketPage",
    "MarketRow",
    "Metaculus",
    "Page",
    "Polymarket",
    "PriceRecord",
    "Prices",
    "Query",
    "Reader",
    "RefusedRow",
    "Round",
    "Statement",
    "Venue",
    "connect",
    "evidence",
    "from_file",
    "load",
    "metaculus_client",
    "next_page",
    "rounds",
    "rows_of",
]


def connect(
    name: str,
    *,
    base_url: str | None = None,
    aside: Path | None = None,
    patience: Patience | None = None,
    contact: str = "",
    transport: httpx.AsyncBaseTransport | None = None,
) -> tuple[HttpClient, Venue[Any, Any]]:
    """(the client, to be closed by `async with`; the venue): an installed one by its name, or that of a Python file.

    With `base_url` it is a stand-in's, asked without a pause. Raises CoordevalError for a venue that there is not, that is
    broken, or that lacks what it needs.
    """
    cls = from_file(Path(name)) if name.endswith(".py") else load().of(name)
    options: dict[str, Any] = {"patience": patience, "contact": contact, "transport": transport}
    client = cls.client(base_url=base_url, **options) if hasattr(cls, "client") else HttpClient(**options)
    return client, cls.at(client, base_url, aside)
