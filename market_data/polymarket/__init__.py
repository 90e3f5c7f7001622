"""Polymarket's public APIs, keyless: which markets resolved, how, and what their price was at a moment.

`resolved_markets` lists, `markets_by_condition` looks up, `clob_history`, `price_as_of` and `trade_prices` fetch prices,
`price_at` picks the one that a forecast at as-of could have seen.
"""

from coordeval.market_data.polymarket.completeness import Completeness, Query
from coordeval.market_data.polymarket.endpoints import Endpoints
from coordeval.market_data.polymarket.fields import SchemaChange
from coordeval.market_data.polymarket.gamma import Page, resolved_markets
from coordeval.market_data.polymarket.lookup import (
    Event,
    Found,
    clob_resolution,
    event,
    market,
    markets_by_condition,
    payouts,
)
from coordeval.market_data.polymarket.parse import Listed, Refused, VenueFacts, parse_market, parse_markets
from coordeval.market_data.polymarket.prices import PriceHistory, Window, clob_history, price_as_of
from coordeval.market_data.polymarket.resolution import ClobResolution, Payouts
from coordeval.market_data.polymarket.trades import TradePrices, trade_prices
from coordeval.market_data.price_at import PriceAt, price_at

__all__ = [
    "ClobResolution",
    "Completeness",
    "Endpoints",
    "Event",
    "Found",
    "Listed",
    "Page",
    "Payouts",
    "PriceAt",
    "PriceHistory",
    "Query",
    "Refused",
    "SchemaChange",
    "TradePrices",
    "VenueFacts",
    "Window",
    "clob_history",
    "clob_resolution",
    "event",
    "market",
    "markets_by_condition",
    "parse_market",
    "parse_markets",
    "payouts",
    "price_as_of",
    "price_at",
    "resolved_markets",
    "trade_prices",
]
