"""Pulling real markets: a venue's listing goes into the ledger page by page, each group of pages all or nothing.

Rows are stored together with the listing's statement of completeness up to them, so a stopped pull goes on where it was and
ends with the same rows and the same statement. A market's text stays as it was first seen; what a later pull finds
changed is kept beside it, because later text may know the answer.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson

from agents.messages import content_hash
from flows.evaluation import data_directory
from ledger import Ledger, Reader, read, row_of
from market_data.errors import CoordevalError
from market_data.http import FetchError, Patience
from market_data.traces100 import CoordinationTraces, install
from market_data.types import Market
from market_data.venues import MarketRow, Query, Round, Statement, Venue, connect, rounds

COMMIT_ROWS = 10_000
"""Rows of one commit where nothing slow is fetched beside them; opening and closing the ledger costs about 60 ms."""
AT_ONCE = 8
"""Price histories that are asked for together; the client still paces each host."""
OVERLAP = timedelta(days=1)
"""A follow-up reads this much again: a venue may list a closing late."""

FILES: Mapping[str, Any] = {"forecastbench": Round, "dataset": CoordinationTraces}
"""Sources that come as files, for `pull_files`."""

OnPage = Callable[[Statement], None]


@dataclass(slots=True)
class _Batch:
    """Rows that wait for their commit."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, table: str, row: dict[str, Any]) -> None:
        self.rows.setdefault(table, []).append(row)


async def pull_markets(
    ledger: Ledger,
    venue_name: str,
    query: Query,
    *,
    base_url: str | None = None,
    price_days: float = 0.0,
    again: bool = False,
    contact: str = "",
    patience: Patience | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    on_page: OnPage = lambda statement: None,
) -> Statement:
    """List a venue's resolved markets of a window into the ledger, with their last `price_days` of prices.

    Goes on from a stopped pull of the same query. One that ended before its window did is followed up from where it
    looked last; one that is complete is not asked again, unless `again`: then its listing is read anew, and what changed is
    stored beside what was there. Returns the statement. Raises FetchError, DataError, LedgerError.
    """
    aside = ledger.path.parent / "aside"
    client, venue = connect(
        venue_name, base_url=base_url, aside=aside, patience=patience, contact=contact, transport=transport
    )
    venue_name = venue.name  # not the name of the file that it may come from
    async with client:
        reader = read(ledger.path)
        endpoint = base_url or ""
        before = _before(reader, venue, endpoint, query, price_days)
        if again and before is not None and before.ended:
            before = None
        while before is not None and before.ended:
            # A follow-up may be done too, and have been followed up itself: go to the last one.
            if query.before <= before.started_at:
                return before
            later = replace(query, after=max(query.after, before.started_at - OVERLAP))
            before = _before(reader, venue, endpoint, later, price_days) if later != query else None  # None: from the start
            query = later
        pull_id = _pull_id(venue_name, endpoint, query, price_days)
        statement = before
        batch, kept_rows = _Batch(), statement.rows if statement else 0
        try:
            async for page in venue.pages(query, resume=before):
                if price_days > 0:
                    await _add_prices(batch, reader, venue, page.listed, price_days)
                for row in page.listed:
                    _add_market(batch, venue_name, row)
                for refused in page.refused:
                    named = {"pull_id": pull_id, "item": refused.item, "reason": refused.reason, "detail": refused.detail}
                    batch.add("refused_rows", {**named, "kept": str(refused.kept or "")})
                statement = page.so_far
                if price_days > 0 or statement.rows - kept_rows >= COMMIT_ROWS or statement.ended:
                    _commit(ledger, reader, batch, pull_id, venue_name, endpoint, statement)
                    batch, kept_rows = _Batch(), statement.rows
                on_page(statement)
        except (FetchError, asyncio.CancelledError):
            if statement is not None and statement.rows > kept_rows:  # pages that wait are not read again
                _commit(ledger, reader, batch, pull_id, venue_name, endpoint, statement)
            raise
    if statement is None:
        raise CoordevalError(
            f"{venue_name}: the listing gave no page, not even an empty one; check {base_url or 'the venue'}"
        )
    return statement


def _before(reader: Reader, venue: Venue[Any, Any], endpoint: str, query: Query, price_days: float) -> Statement | None:
    """The statement of this very pull, as far as it was read; None where it was never begun."""
    pull_id = _pull_id(venue.name, endpoint, query, price_days)
    found = reader.query("SELECT statement FROM pulls WHERE pull_id = ?", [pull_id])
    restored: Statement | None = venue.restored(orjson.loads(found.item())) if found.height else None
    return restored


def _pull_id(venue: str, endpoint: str, query: Query, price_days: float) -> str:
    """Prices are part of it: a listing that was read without them has to be read again to get them."""
    return content_hash("pull/1", [venue, endpoint, _json(query), *([price_days] if price_days > 0 else [])])


def _add_market(batch: _Batch, venue: str, row: MarketRow) -> None:
    now = datetime.now(UTC)
    facts = row.facts
    batch.add("markets", row_of(row.market))
    batch.add("outcomes", {**row_of(row.outcome), "evidence": row.evidence, "recorded_at": now})
    closed_at = getattr(facts, "ended_at", None) or row.outcome.resolved_at
    volume = getattr(row, "volume", None)
    batch.add(
        "venue_facts",
        {
            "market_id": row.market.id,
            "venue": venue,
            "volume": getattr(facts, "volume", None) if volume is None else volume,
            "closed_at": closed_at,
            "facts": _json(facts),
            "seen_at": now,
        },
    )


async def _add_prices(batch: _Batch, reader: Reader, venue: Any, rows: Sequence[MarketRow], days: float) -> None:
    """The last `days` of prices before each market closed, unless they were asked for already."""
    ends = {row.market.id: getattr(row.facts, "ended_at", None) or row.outcome.resolved_at for row in rows}
    asked = reader.query(
        "SELECT market_id, until FROM price_fetches SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS market_id) USING (market_id)",
        [list(ends)],
    )
    known = set(asked.iter_rows())
    wanted = [(row, end) for row in rows if (end := ends[row.market.id]) and (row.market.id, end) not in known]
    span = timedelta(days=days)
    for start in range(0, len(wanted), AT_ONCE):
        group = wanted[start : start + AT_ONCE]
        fetches = [venue.prices(row, end, since=end - span) for row, end in group]
        for (row, end), history in zip(group, await asyncio.gather(*fetches), strict=True):
            for point in history.points:
                batch.add("prices", row_of(point))
            batch.add("price_fetches", _price_fetch(row.market.id, end, history))


def _price_fetch(market_id: str, until: datetime, history: Any) -> dict[str, Any]:
    return {
        "market_id": market_id,
        "source": history.source,
        "until": until,
        "points": len(history.points),
        "dropped": _json(dict(history.dropped)),
        "reason": getattr(history, "reason", "") or ("" if history.points else "the history is empty"),
        "fetched_at": datetime.now(UTC),
    }


def _commit(
    ledger: Ledger, reader: Reader, batch: _Batch, pull_id: str, venue: str, endpoint: str, statement: Statement
) -> None:
    rows = dict(batch.rows)
    rows["markets"], rows["market_edits"] = _first_texts(reader, rows.get("markets", []))
    rows["pulls"] = [
        {
            "pull_id": pull_id,
            "venue": venue,
            "endpoint": endpoint,
            "statement": _json(statement.as_json()),
            "ended": bool(statement.ended),
            "updated_at": datetime.now(UTC),
        }
    ]
    ledger.write_all(rows)


def _first_texts(reader: Reader, rows: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of markets that are new, and an edit for each field in which a known one reads differently now."""
    ids = [row["market_id"] for row in rows]
    known = {
        row["market_id"]: row
        for row in reader.query(
            "SELECT * FROM markets SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS market_id) USING (market_id)", [ids]
        ).to_dicts()
    }
    new, edits = [], []
    for row in rows:
        first = known.get(row["market_id"])
        if first is None:
            known[row["market_id"]] = row
            new.append(row)
            continue
        for name in _OPENING:
            if row[name] != first[name]:
                edits.append(
                    {
                        "market_id": row["market_id"],
                        "field": name,
                        "first": str(first[name]),
                        "now": str(row[name]),
                        "seen_at": datetime.now(UTC),
                    }
                )
    return new, edits


_OPENING = tuple(name for name, f in Market.__dataclass_fields__.items() if f.metadata["known"] == "at opening")


def _json(value: Any) -> str:
    """Dataclasses and times as orjson knows them, anything else as its text."""
    return orjson.dumps(value, default=str).decode()


def pull_files(ledger: Ledger, source: str, path: Path | None) -> str:
    """Markets that come as files: a folder of ForecastBench rounds, or a dataset. Returns what was read, in words."""
    if source == "dataset":
        directory = install(data_directory(ledger.path), path)
        return _store_source(ledger, CoordinationTraces(directory))
    if path is None or not path.is_dir():
        raise CoordevalError(
            f"--path is {str(path) if path else 'missing'}: give the folder that holds ForecastBench's question_sets/ and "
            "resolution_sets/ (github.com/forecastingresearch/forecastbench-datasets)"
        )
    found = rounds(path)
    if not found:
        raise CoordevalError(f"{path} holds no ForecastBench round; it must hold question_sets/ and resolution_sets/")
    return "\n".join(_store_source(ledger, Round(path, due), due) for due in found)


def _store_source(ledger: Ledger, source: Any, due: str = "") -> str:
    """A source that is whole in memory, in one transaction; a known market keeps its first text."""
    rows: dict[str, list[dict[str, Any]]] = {"markets": [row_of(market) for market in source.markets()]}
    rows["markets"], rows["market_edits"] = _first_texts(read(ledger.path), rows["markets"])
    outcomes = source.outcomes()
    rows["prices"] = [row_of(point) for point in source.prices()]
    rows["documents"] = [row_of(document) for document in source.documents()]
    rows["outcomes"] = [row_of(outcome) for outcome in outcomes]
    changed = ledger.write_all(rows)
    states = Counter(outcome.status if not outcome.reason else f"{outcome.status}: {outcome.reason}" for outcome in outcomes)
    lines = [f"{source.name} {due}".strip() + f": {len(outcomes)} outcomes, {changed['markets']} new markets"]
    lines += [f"  {state}: {count}" for state, count in sorted(states.items())]
    counts = source.counts() if hasattr(source, "counts") else {}
    lines += [f"  {kind}, {reason}: {count}" for kind, found in counts.items() for reason, count in found.items()]
    return "\n".join(lines)
