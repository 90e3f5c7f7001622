"""The information layer as it is stored: markets with their prices and documents; of outcomes, only that there is one.

What asks models is built from `stored_markets` alone. No function here reads the value of an outcome.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from coordeval.ledger.errors import LedgerError
from coordeval.ledger.reader import Reader
from coordeval.ledger.records import market_of
from coordeval.market_data.types import Document, Market, PricePoint


@dataclass(frozen=True, slots=True)
class StoredMarket:
    """One market with everything ever stored about it; the as-of gate has yet to decide what may be seen."""

    market: Market
    prices: Sequence[PricePoint]
    documents: Sequence[Document]


def stored_markets(reader: Reader, market_ids: Sequence[str]) -> list[StoredMarket]:
    """The markets with these ids, in this order. Raises LedgerError for one that is not stored."""
    prices: dict[str, list[PricePoint]] = defaultdict(list)
    documents: dict[str, list[Document]] = defaultdict(list)
    for row in _select(reader, "prices", market_ids):
        prices[row["market_id"]].append(PricePoint(**row))
    for row in _select(reader, "documents", market_ids):
        del row["document_id"]  # it is the hash of the rest
        documents[row["market_id"]].append(Document(**row))
    markets = {market.id: market for market in known_markets(reader, market_ids)}
    if unknown := [key for key in market_ids if key not in markets]:
        raise LedgerError(f"{reader.path} holds no market {unknown[0]}; pull or import it first")
    return [StoredMarket(markets[key], prices[key], documents[key]) for key in market_ids]


def known_markets(reader: Reader, market_ids: Sequence[str]) -> list[Market]:
    """Those of these markets that are stored, in this order, without what is known of them."""
    markets = {row["market_id"]: market_of(row) for row in _select(reader, "markets", market_ids)}
    return [markets[key] for key in market_ids if key in markets]


def resolution_times(reader: Reader, market_ids: Sequence[str]) -> dict[str, datetime | None]:
    """When each resolved market resolved; a market that is not here has no outcome that could be scored."""
    frame = reader.query(
        "SELECT market_id, resolved_at FROM current_outcomes "
        "SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS market_id) USING (market_id) WHERE status = 'resolved'",
        [list(market_ids)],
    )
    return dict(frame.iter_rows())


def told_times(reader: Reader, market_ids: Sequence[str]) -> dict[str, datetime]:
    """When the outcome of each resolved market became known here: the order in which a prospective study learns."""
    frame = reader.query(
        "SELECT market_id, recorded_at FROM current_outcomes "
        "SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS market_id) USING (market_id) WHERE status = 'resolved'",
        [list(market_ids)],
    )
    return dict(frame.iter_rows())


def picked_times(reader: Reader, study_id: str, market_ids: Sequence[str]) -> dict[str, datetime]:
    """When each of these markets was picked by a prospective study: the as-of time of its forecasts."""
    frame = reader.query(
        "SELECT market_id, as_of FROM picks SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS market_id) USING (market_id) "
        "WHERE study_id = ?",
        [list(market_ids), study_id],
    )
    return dict(frame.iter_rows())


def _select(reader: Reader, table: str, market_ids: Sequence[str]) -> list[dict[str, Any]]:
    sql = f"SELECT * FROM {table} SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS market_id) USING (market_id) ORDER BY ALL"
    return reader.query(sql, [list(market_ids)]).to_dicts()
