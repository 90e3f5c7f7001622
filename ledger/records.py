"""Market data as rows, and back."""

from dataclasses import fields
from typing import Any

from coordeval.market_data.types import Document, Market, Outcome, PricePoint

TABLE = {Market: "markets", Outcome: "outcomes", PricePoint: "prices", Document: "documents"}
"""Which table keeps what."""


def row_of(item: Market | Outcome | PricePoint | Document) -> dict[str, Any]:
    """The row of `TABLE[type(item)]` that keeps `item`."""
    row = {field.name: getattr(item, field.name) for field in fields(item)}
    if isinstance(item, Market):
        row["market_id"] = row.pop("id")
    elif isinstance(item, Document):
        row["document_id"] = item.id
    return row


def market_of(row: dict[str, Any]) -> Market:
    """Inverse of `row_of` for a market."""
    return Market(id=row["market_id"], **{name: value for name, value in row.items() if name != "market_id"})
