"""Everything the ledger holds of one forecast, and its view built again through the gate.

This reads outcomes: nothing that asks a model may import it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from coordeval.flows.certificate.text import exchanges, flat, leaves, parsed, points_in, read_result, texts
from coordeval.flows.study.roles import blind_roles, roles_without_tools
from coordeval.ledger import Reader
from coordeval.market_data.gate import MarketView
from coordeval.market_data.types import Document, Market, PriceKind, PricePoint


def cells_of(reader: Reader, forecast_id: str) -> list[dict[str, Any]]:
    """The cells that this forecast belongs to, of the newest study first."""
    return reader.query(_CELLS, [forecast_id]).to_dicts()


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of text from a stored request or tool result. `data`: it is not what an agent wrote."""

    where: str
    text: str
    flat: str
    """The text with every run of blanks as one."""
    data: bool


@dataclass(frozen=True, slots=True)
class Conversation:
    """What was asked, answered and shown, as the ledger's rows have it."""

    estimates: list[dict[str, Any]]
    messages: list[dict[str, Any]]
    replies: list[tuple[int, str]]
    """(ask, stored reply) of each call."""
    paid: set[str]
    """Draws that were paid for its sake in the run that made it."""


class Stored:
    """Everything stored that bears on one forecast, read once. `cells`: those that it belongs to, at least one."""

    def __init__(self, reader: Reader, cells: Sequence[Mapping[str, Any]]) -> None:
        self._reader = reader
        self.cells = cells
        self.cell = cells[0]
        forecast_id = self.cell["forecast_id"]
        self.market_id: str = self.cell["market_id"]
        self.identity: dict[str, Any] = object_of(self.cell["identity"])
        self.imported = "published" in self.identity
        self.calls = reader.query(_CALLS, [forecast_id]).to_dicts()
        self.tool_calls = reader.query(_TOOL_CALLS, [forecast_id]).to_dicts()
        market = self.identity.get("market")
        self.named: dict[str, Any] = market if isinstance(market, dict) else {"id": market}
        found = reader.query("SELECT * FROM views WHERE view_id = ?", [str(self.named.get("view"))]).to_dicts()
        self.view_row = found[0] if found else None
        self.as_of: datetime = self.view_row["as_of"] if self.view_row else self.cell["as_of"]
        self.prices = self._of_market("prices")
        self.documents = {row["document_id"]: row for row in self._of_market("documents")}
        self.outcomes = self._of_market("outcomes")
        self.closed = [row["closed_at"] for row in self._of_market("venue_facts") if row["closed_at"]]
        self.searches = [row for row in self._of_market("evidence_searches") if row["as_of"] == self.as_of]

    @cached_property
    def text_known_at(self) -> datetime | None:
        """When the market's text was first seen; None where nobody knows."""
        return self.market_row.get("text_known_at")

    @cached_property
    def market_row(self) -> dict[str, Any]:
        return next(iter(self._of_market("markets")), {})

    def text_versions(self, name: str) -> list[tuple[str, datetime | None]]:
        """(text, since when it is known to have read so) of a field: the first one, then what later pulls found."""
        first = [(self.market_row[name], self.text_known_at)] if self.market_row else []
        edits = [(e["now"], e["seen_at"]) for e in self._of_market("market_edits") if e["field"] == name]
        return first + sorted(edits, key=lambda edit: edit[1])

    @cached_property
    def conversation(self) -> Conversation:
        ask = [self.cell["forecast_id"]]
        return Conversation(
            self._reader.query("SELECT * FROM estimates WHERE forecast_id = ? ORDER BY ask", ask).to_dicts(),
            self._reader.query("SELECT * FROM messages WHERE forecast_id = ? ORDER BY ALL", ask).to_dicts(),
            self._reader.query(_REPLIES, ask).rows(),
            {draw for (draw,) in self._reader.query(_PAID, ask).iter_rows()},
        )

    def _of_market(self, table: str) -> list[dict[str, Any]]:
        return self._reader.query(f"SELECT * FROM {table} WHERE market_id = ? ORDER BY ALL", [self.market_id]).to_dicts()

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The whitelisted fields, as the view keeps them; of an imported market, as its row does."""
        if self.view_row is not None:
            return object_of(self.view_row["facts"])
        names = ("question", "description", "category", "opened_at", "scheduled_close")
        return {name: self.market_row[name] for name in names} if self.market_row else {}

    @cached_property
    def admitted_prices(self) -> list[tuple[datetime | None, float, PriceKind]]:
        if self.view_row is None:
            rows = [(row["knowable_at"], row["price"], row["kind"]) for row in self.prices]
            return [row for row in rows if row[0] is not None and row[0] <= self.as_of]
        return [(time_of(at), price, kind) for at, price, kind in parsed(self.view_row["prices"]) or []]

    @cached_property
    def admitted_ids(self) -> list[str]:
        return [] if self.view_row is None else parsed(self.view_row["documents"]) or []

    @cached_property
    def refused(self) -> list[tuple[str, str, str]]:
        return [] if self.view_row is None else [tuple(row) for row in parsed(self.view_row["refusals"]) or []]

    @cached_property
    def admitted_text(self) -> str:
        """All that agents might rightly read, for telling a leak from a coincidence such as a stated deadline."""
        documents = [self.documents[key] for key in self.admitted_ids if key in self.documents]
        values = [*self.facts.values(), self.as_of, *(at for at, _, _ in self.admitted_prices)]
        values += [row[name] for row in documents for name in ("knowable_at", "title", "text", "source")]
        return flat("\n".join(str(value) for value in values))

    @cached_property
    def view(self) -> MarketView:
        """The view, through the gate again, from what is stored. Raises what data that break a rule raise."""
        documents = [document_of(self.documents[key]) for key in self.admitted_ids if key in self.documents]
        seconds = self.named.get("max_price_age_seconds")
        return view_from(self.market_id, self.as_of, self.facts, self.admitted_prices, documents, seconds)

    @cached_property
    def bodies(self) -> list[tuple[str, Mapping[str, Any]]]:
        """(where, request) for each call whose stored request can be read."""
        found = [(place_of(call), parsed(call["request"])) for call in self.calls]
        return [(where, body) for where, body in found if isinstance(body, dict)]

    @cached_property
    def blind(self) -> frozenset[int]:
        """The asks of roles that are declared not to see the price."""
        declared = object_of(self.cell["elements"]).get(self.cell["configuration"], {})
        roles = blind_roles(declared)
        return frozenset(call["ask"] for call in self.calls if call["role"] in roles)

    @cached_property
    def blind_places(self) -> frozenset[str]:
        """Where their requests are, as `bodies` names it."""
        return frozenset(place_of(call) for call in self.calls if call["ask"] in self.blind)

    @cached_property
    def without_tools(self) -> frozenset[int]:
        """The asks from which tools were withheld, as their roles declare: none is in their first request."""
        declared = object_of(self.cell["elements"]).get(self.cell["configuration"], {})
        roles = roles_without_tools(declared)
        first = {call["ask"]: parsed(call["request"]) for call in self.calls if not call["turn"] and call["role"] in roles}
        tools = {ask: body.get("tools") for ask, body in first.items() if isinstance(body, dict)}
        return frozenset(
            ask for ask, given in tools.items() if all(str(tool.get("name")).startswith("submit_") for tool in given or ())
        )

    @cached_property
    def places_without_tools(self) -> frozenset[str]:
        """Where their requests are, as `bodies` names it."""
        return frozenset(place_of(call) for call in self.calls if call["ask"] in self.without_tools)

    @cached_property
    def said(self) -> list[Said]:
        """Every piece of text in stored requests and tool results, each once."""
        pieces: dict[tuple[str, bool], Said] = {}
        for where, text, data in self._pieces():
            if text.strip():
                pieces.setdefault((text, data), Said(where, text, flat(text), data))
        return list(pieces.values())

    def _pieces(self) -> Iterator[tuple[str, str, bool]]:
        for where, body in self.bodies:
            for text, data in texts(body):
                yield where, text, data
        for row in self.tool_calls:
            yield from ((result_of(row), text, True) for text in leaves(read_result(row["result"])))

    @cached_property
    def points(self) -> list[tuple[str, str, Any]]:
        """(where, date, price) of every price in stored tool results, those inside requests too."""
        results = [(result_of(row), row["result"]) for row in self.tool_calls]
        results += [(where, content) for where, body in self.bodies for _, content in exchanges(body)]
        return [(where, *point) for where, result in results for point in points_in(read_result(result))]


_CELLS = """
    SELECT c.*, s.name AS study, s.hindsight, s.elements, f.status, f.probability, f.simulated, f.isolation,
        coalesce(m.question, '') AS question
    FROM cells c JOIN studies s USING (study_id) JOIN forecasts f ON f.forecast_id = c.forecast_id
        LEFT JOIN markets m ON m.market_id = c.market_id
    WHERE c.forecast_id = ? ORDER BY s.created_at DESC, c.configuration
"""
_CALLS = """
    SELECT c.ask, c.turn, c.role, c.draw_id, d.request_id, d.request FROM calls c LEFT JOIN draws d USING (draw_id)
    WHERE c.forecast_id = ? ORDER BY c.ask, c.turn
"""
# of the run that made the forecast: what an earlier try paid for may have gone another way
_PAID = """
    SELECT d.draw_id FROM draws d JOIN forecasts f ON f.forecast_id = d.payer JOIN runs r USING (run_id)
    WHERE f.forecast_id = ? AND d.created_at >= r.started_at
"""
_REPLIES = "SELECT c.ask, d.reply FROM calls c JOIN draws d USING (draw_id) WHERE c.forecast_id = ? ORDER BY c.ask, c.turn"
_TOOL_CALLS = "SELECT * FROM tool_calls WHERE forecast_id = ? ORDER BY ask, turn, position"


def object_of(text: str | None) -> dict[str, Any]:
    return value if isinstance(value := parsed(text), dict) else {}


def view_from(
    market_id: str,
    as_of: datetime,
    facts: Mapping[str, Any],
    prices: Sequence[tuple[datetime | None, float, PriceKind]],
    documents: Sequence[Document],
    max_price_age_seconds: float | None,
) -> MarketView:
    """A view through the gate again, from what is stored of it. Raises what data that break a rule raise."""
    market = Market(
        id=market_id,
        source="certificate",
        event_id="certificate",
        simulated=False,
        text_known_at=as_of,  # as it came through the gate; whether it rightly did, the check of the texts says
        **times_of(facts),
    )
    points = [PricePoint(market_id=market_id, knowable_at=t, price=p, kind=k) for t, p, k in prices]
    limit = None if max_price_age_seconds is None else timedelta(seconds=max_price_age_seconds)
    return MarketView(market, as_of, points, documents, max_price_age=limit)


def time_of(value: Any) -> datetime | None:
    """A stored time; None where there is none or it cannot be read, so that it counts as undated."""
    if not isinstance(value, str):
        return value if isinstance(value, datetime) else None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def times_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: time_of(value) if name in ("opened_at", "scheduled_close") else value for name, value in facts.items()}


def document_of(row: Mapping[str, Any]) -> Document:
    return Document(**{name: value for name, value in row.items() if name != "document_id"})


def place_of(call: Mapping[str, Any]) -> str:
    return f"the request of ask {call['ask']}, turn {call['turn']} (draw {call['draw_id'][:12]})"


def result_of(row: Mapping[str, Any]) -> str:
    return f"the result of {row['tool']} in ask {row['ask']}, turn {row['turn']}"
