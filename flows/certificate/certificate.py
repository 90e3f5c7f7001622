"""The certificate of one forecast: what its agents could see, what was held back, and a re-check from stored bytes.

Nothing here trusts the run that made the forecast. The view is built again through the gate, every hash is taken again,
every tool is asked again, and the stored requests and tool results are searched for what they must not hold. A request that
got no reply is not stored, so nothing is said of it. This module reads outcomes, because it looks for them: nothing that
asks a model may import it.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from html import unescape
from typing import Any

import orjson

from coordeval.agents.scaffold import plain
from coordeval.flows.certificate.checks import Check, Status, checks_of
from coordeval.flows.certificate.commitment import Committed, commitment_checks, committed_of
from coordeval.flows.certificate.stored import Stored, cells_of, object_of, times_of
from coordeval.flows.certificate.text import flat, parsed
from coordeval.ledger import Reader
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.markup import listed, table


class CertificateError(CoordevalError, LookupError):
    """No forecast, or more than one, goes by the id that was given."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that agents could see. `shown`: its text stands in a stored request or tool result.

    `knowable_at` is None where it is not recorded; a fact was knowable when it was first seen. `text`: its value or title.
    """

    kind: str
    hash: str
    source: str
    knowable_at: datetime | None
    shown: bool
    text: str


@dataclass(frozen=True, slots=True)
class Refused:
    """One thing that was held back, by the as-of gate or by an evidence provider."""

    by: str
    kind: str
    item: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One search for evidence. `ranks_by_todays_index`: the choice of documents, not their text, knows the future."""

    provider: str
    query: str
    ranks_by_todays_index: bool
    documents: int
    searched_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """All of it, for one forecast."""

    forecast_id: str
    study: str
    market_id: str
    question: str
    as_of: datetime
    configuration: str
    replicate: int
    status: str
    probability: float | None
    simulated: bool
    hindsight: bool | None
    """True: as-of depends on when the market resolved; None: not recorded."""
    imported: bool
    """The forecast is a published one: this project neither asked nor gated anything for it."""
    isolation: str | None
    """How the configuration was kept apart from the run; None: its code ran in the run's own process."""
    commitment: Committed | None
    """Of a prospective forecast: which root it is under, and since when; None for every other one."""
    seen: tuple[Item, ...]
    refusals: tuple[Refused, ...]
    searches: tuple[Search, ...]
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Status:
        """The first of these that some check says: failed, not shown to be known at as-of, not checkable; else passed."""
        found = {check.status for check in self.checks}
        worst: tuple[Status, ...] = ("failed", "not shown to be known at as-of", "not checkable")
        return next((status for status in worst if status in found), "passed")

    def _repr_html_(self) -> str:
        """What a notebook shows: the verdict and every check."""
        facts = [("verdict", self.verdict), ("market", self.question), ("as of", self.as_of)]
        head = listed(f"certificate of {self.forecast_id[:12]}: {self.configuration}, replicate {self.replicate}", facts)
        return head + table(("check", "result", "detail"), [(c.name, c.status, c.detail) for c in self.checks])

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values, times as ISO text."""
        values: dict[str, Any] = orjson.loads(orjson.dumps(self))
        return {"verdict": self.verdict, **values}


def certificate(reader: Reader, forecast: str) -> Certificate:
    """The certificate of the forecast whose id begins with `forecast` (at least 4 hex digits).

    All of it is of one moment of the ledger. Raises CertificateError listing candidates where there is not exactly one.
    """
    with reader.moment() as held:
        return _certificate(held, forecast)


def _certificate(reader: Reader, forecast: str) -> Certificate:
    forecast_id = forecast_id_of(reader, forecast)
    cells = cells_of(reader, forecast_id)
    if not cells:
        raise CertificateError(f"forecast {forecast_id} belongs to no cell of a study; the ledger is not complete")
    if place := object_of(cells[0]["identity"]).get("imported"):
        raise CertificateError(
            f"forecast {forecast_id[:12]} was imported ({place}): what its maker could see is not in the file, so there is "
            "nothing to certify"
        )
    stored = Stored(reader, cells)
    cell = stored.cell
    return Certificate(
        **{name: cell[name] for name in ("forecast_id", "study", "market_id", "question", "configuration", "replicate")},
        **{name: cell[name] for name in ("status", "probability", "simulated", "hindsight", "isolation")},
        as_of=stored.as_of,
        imported=stored.imported,
        seen=tuple(_seen(stored)),
        refusals=tuple(_refusals(stored)),
        searches=tuple(_search(row) for row in stored.searches),
        commitment=(committed := committed_of(reader, forecast_id)),
        checks=(*checks_of(stored), *commitment_checks(reader, committed, cell)),
    )


def _search(row: Mapping[str, Any]) -> Search:
    values = {name: row[name] for name in Search.__slots__}
    return Search(**{**values, "documents": len(orjson.loads(row["documents"]))})


def forecast_id_of(reader: Reader, asked: str) -> str:
    """The id of the forecast that `asked` begins. Raises CertificateError listing candidates where it is not one."""
    columns = "forecast_id, market_id, configuration, replicate FROM forecasts"
    rows = reader.query(f"SELECT {columns} WHERE starts_with(forecast_id, ?) ORDER BY 1 LIMIT 11", [asked]).to_dicts()
    if len(rows) == 1 and len(asked) >= 4:
        whole = str(rows[0]["forecast_id"])
        if reader.query("SELECT 1 FROM instances WHERE instance_id = ?", [rows[0]["market_id"]]).height:
            raise CertificateError(
                f"{whole[:12]} is a game: `coordeval grounding replay {whole[:12]}` shows it round by round"
            )
        return whole
    if len(asked) < 4:
        problem = f"forecast id {asked!r} is too short; write at least 4 hex digits of it"
    elif rows:
        problem = f"forecast id {asked!r} is ambiguous; write more of it"
    elif reader.query("SELECT 1 FROM cells WHERE starts_with(forecast_id, ?) LIMIT 1", [asked]).height:
        problem = f"forecast {asked!r} is planned but not made yet; `coordeval run` its study first"
    else:
        problem = f"there is no forecast {asked!r}"
    rows = rows or reader.query(f"SELECT {columns} ORDER BY created_at DESC, 1 LIMIT 10").to_dicts()
    named = [f"{r['forecast_id'][:12]} ({r['market_id']}, {r['configuration']}, replicate {r['replicate']})" for r in rows]
    more = " …" if len(rows) > 10 else ""
    raise CertificateError(f"{problem}. {reader.path} has, among others: {', '.join(named[:10]) or 'no forecast yet'}{more}")


def _seen(stored: Stored) -> Iterator[Item]:
    said = [piece.flat for piece in stored.said]
    points = {(date, price) for _, date, price in stored.points}

    def shown(text: str) -> bool:
        return bool(text) and any(text in piece for piece in said)

    source, facts = "publication" if stored.imported else "venue", times_of(stored.facts)
    for name, value in facts.items():
        if value not in (None, ""):
            text = flat(unescape(plain(value)))
            yield Item(f"fact: {name}", _sha256(f"{name}={value}"), source, stored.text_known_at, shown(text), text)
    for at, price, kind in stored.admitted_prices:
        date = None if at is None else plain(at)
        line = f"mid-price: {price:.3f}" if stored.imported else f"Market price of YES: {price:.3f} ({kind}, {date})"
        seen = (date, price) in points or shown(line)
        yield Item("price", _sha256(f"{at}|{price!r}|{kind}"), kind, at, seen, f"{price:g}")
    for key in stored.admitted_ids:
        row = stored.documents.get(key, _MISSING)
        yield Item("document", key, row["source"], row["knowable_at"], shown(flat(row["text"])), row["title"])
    for row in stored.tool_calls if stored.imported else ():  # from no gated view, so each stands for itself
        yield Item("tool result", _sha256(row["result"]), row["tool"], None, True, flat(row["result"])[:80])


_MISSING = {"source": "(not stored)", "knowable_at": None, "title": "(not stored)", "text": ""}


def _refusals(stored: Stored) -> Iterator[Refused]:
    for kind, item, reason in stored.refused:
        yield Refused("as-of gate", kind, item, reason)
    for search in stored.searches:
        for kind, item, reason in parsed(search["refusals"]) or []:
            yield Refused(search["provider"], kind, item, reason)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
