"""What a stored forecast was made with, as objects again: its settings and its view."""

from collections.abc import Mapping
from typing import Any

from coordeval.agents.bounds import Bounds
from coordeval.agents.cell import Settings
from coordeval.agents.forms import Scaffold
from coordeval.flows.certificate.stored import document_of, object_of, time_of, view_from
from coordeval.flows.certificate.text import parsed
from coordeval.ledger import Reader
from coordeval.market_data.gate import MarketView


def settings_from(told: Mapping[str, Any], scaffold: Scaffold | None = None) -> Settings | str:
    """The settings with this identity, around a `scaffold` (None: a forecast's); or why this version makes no such ones."""
    apart: list[str] = []
    for strict in (False, True):
        try:
            made = Settings(
                model=told["model"],
                max_tokens=told["max_tokens"],
                sampling=told["sampling"],
                tools=tuple(told["tools"]),
                max_turns=told["max_turns"],
                show_price=told["show_price"],
                useless_results=told.get("useless_results"),
                bounds=Bounds(**told.get("bounds", {})),
                strict=strict,
                scaffold=scaffold,
            )
            own = made.identity()
        except (KeyError, TypeError) as error:
            return f"its settings are not those of this version ({error})"
        if own == told:
            return made
        apart = apart or [part for part in own if own[part] != told.get(part)]
    return f"made with another version of the {', '.join(apart)}: verify it with the version that made it"


def documents_of(reader: Reader, market_id: str) -> dict[str, dict[str, Any]]:
    rows = reader.query("SELECT * FROM documents WHERE market_id = ?", [market_id]).to_dicts()
    return {row["document_id"]: row for row in rows}


def view_of(row: Mapping[str, Any], documents: Mapping[str, dict[str, Any]], age: float | None) -> MarketView:
    """The view of a stored row, through the gate again. Raises KeyError for a document that is not stored."""
    prices = [(time_of(at), price, kind) for at, price, kind in parsed(row["prices"]) or []]
    own = [document_of(documents[key]) for key in parsed(row["documents"]) or []]
    return view_from(row["market_id"], row["as_of"], object_of(row["facts"]), prices, own, age)
