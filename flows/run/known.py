"""What was known of a market when it opened, as numbers: what a configuration may decide by, beside what agents say."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from coordeval.market_data.gate import MarketView


def numbers_of(view: MarketView) -> dict[str, Any]:
    """category, horizon_days, question_characters, description_characters, documents; one that is not known is absent."""
    return numbers(view.market.known_at_opening(), view.as_of, len(view.documents))


def numbers(facts: Mapping[str, Any], as_of: datetime, documents: int) -> dict[str, Any]:
    """The same of the facts that are known at opening, as a view has or stores them."""
    close = facts.get("scheduled_close")
    close = datetime.fromisoformat(close) if isinstance(close, str) else close
    found: dict[str, Any] = {
        "category": facts.get("category") or None,
        "horizon_days": None if close is None else (close - as_of).total_seconds() / 86_400,
        "question_characters": len(facts["question"]),
        "description_characters": len(facts.get("description") or ""),
        "documents": documents,
    }
    return {name: value for name, value in found.items() if value is not None}
