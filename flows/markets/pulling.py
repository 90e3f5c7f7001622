"""Pulling real markets: a venue's listing goes into the ledger page by page, each group of pages all or nothing.

Rows are stored together with the listing's statement of completeness up to them, so a stopped pull goes on where it was and
ends with the same rows and the same statement. Prices go before: a market is listed once its prices are stored, and what
was fetched of them is stored with them, so it is not fetched again. A market's text stays as it was first seen; what a
later pull finds changed is kept beside it, because later text may know the answer.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson

from coordeval.agents.messages import content_hash
from coordeval.flows.markets.confirming import Confirmed, changed_since, confirm, moved
from coordeval.flows.markets.endless import Endless, EndlessListing
from coordeval.flows.study.evaluation import data_directory
from coordeval.ledger import Ledger, Reader, read, row_of
from coordeval.market_data.errors import CoordevalError, DataError
from coordeval.market_data.http import FetchError, Patience, on_this_machine
from coordeval.market_data.traces100 import CoordinationTraces, install
from coordeval.market_data.types import Market, PricePoint
from coordeval.market_data.venues import MarketRow, Query, Round, Statement, Venue, connect, rounds

COMMIT_ROWS = 5_000
"""Rows of one commit where nothing slow is fetched beside them; opening and closing the ledger costs about 60 ms."""
AT_ONCE = 8
"""Price histories that are asked for, held and stored together; the client still paces each host."""
OVERLAP = timedelta(days=1)
"""A follow-up reads this much again: a venue may list a closing late."""

FILES: Mapping[str, Any] = {"forecastbench": Round, "dataset": CoordinationTraces}
"""Sources that come as files, for `pull_files`."""

OnPage = Callable[[Statement], None]
OnConfirmed = Callable[[Confirmed], None]
OnPrices = Callable[[int, int], None]
"""Of the page that is being read: markets whose prices are stored, and those whose prices are wanted."""
Span = tuple[datetime, datetime]
Kept = tuple[float, float]
"""Days of prices before each closing, and the seconds of which the last one is kept (0: all are)."""


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
    on_prices: OnPrices = lambda done, wanted: None,
    price_every: timedelta = timedelta(0),
    on_confirmed: OnConfirmed = lambda confirmed: None,
) -> Statement:
    """List a venue's resolved markets of a window into the ledger, with their last `price_days` of prices.

    Of the prices in each `price_every` the last is kept, at its own moment (0: all are kept); the others are counted. What
    was thinned more coarsely before is fetched again.

    Goes on from a stopped pull of the same query. One that ended before its window did is followed up from where it
    looked last; one that is complete is not asked again, unless `again`: then its listing is read anew, and what changed is
    stored beside what was there. Whatever was known of the window and does not come again is asked for by its id. Returns
    the statement. Raises FetchError, DataError, LedgerError.
    """
    aside = ledger.path.parent / "aside"
    client, venue = connect(
        venue_name, base_url=base_url, aside=aside, patience=patience, contact=contact, transport=transport
    )
    began = datetime.now(UTC)
    venue_name = venue.name  # not the name of the file that it may come from
    async with client:
        reader = read(ledger.path)
        endpoint = base_url or ""
        kept = (price_days, price_every.total_seconds())
        query, before = _begun(reader, venue, endpoint, query, kept, again=again)
        if before is not None and before.ended:
            return before
        pull_id = _pull_id(venue_name, endpoint, query, kept)
        statement = before
        batch, kept_rows = _Batch(), statement.rows if statement else 0
        held = Endless(venue_name, endpoint)
        try:
            async for page in venue.pages(query, resume=before):
                held.check(page.so_far)
                if price_days > 0:
                    span = timedelta(days=price_days)
                    unread = await _store_prices(ledger, reader, venue, page.listed, span, every=price_every, told=on_prices)
                    for market_id, reason in unread.items():
                        named = {"item": f"prices of market {market_id}", "reason": "prices cannot be read"}
                        batch.add("refused_rows", {"pull_id": pull_id, **named, "detail": reason, "kept": ""})
                made_up = client.stand_in or on_this_machine(base_url)
                for row in (*page.listed, *moved(ledger, getattr(page, "passed", ()))):
                    _add_market(batch, venue_name, row, made_up)
                for refused in page.refused:
                    named = {"pull_id": pull_id, "item": refused.item, "reason": refused.reason, "detail": refused.detail}
                    batch.add("refused_rows", {**named, "kept": str(refused.kept or "")})
                statement = page.so_far
                if price_days > 0 or statement.rows - kept_rows >= COMMIT_ROWS or statement.ended:
                    _commit(ledger, batch, pull_id, venue_name, endpoint, statement)
                    batch, kept_rows = _Batch(), statement.rows
                on_page(statement)
        except (FetchError, EndlessListing, asyncio.CancelledError):
            if statement is not None and statement.rows > kept_rows:  # pages that wait are not read again
                _commit(ledger, batch, pull_id, venue_name, endpoint, statement)
            raise
        if statement is None:
            raise CoordevalError(
                f"{venue_name}: the listing gave no page, not even an empty one; check {base_url or 'the venue'}"
            )
        made_up = client.stand_in or on_this_machine(base_url)
        told, rows, gone = await confirm(reader, venue, query, began=statement.started_at, simulated=made_up)
        batch = _Batch({"outcomes": gone})
        for row in rows:
            _add_market(batch, venue_name, row, made_up)
        if batch.rows["outcomes"]:
            _commit(ledger, batch, pull_id, venue_name, endpoint, statement)
        on_confirmed(replace(told, changed=changed_since(reader, venue_name, began)))
    return statement


def _begun(
    reader: Reader, venue: Venue[Any, Any], endpoint: str, query: Query, prices: Kept, *, again: bool
) -> tuple[Query, Statement | None]:
    """(what is left to be asked for, where that was stopped); a statement that has ended: there is nothing left."""
    before = _before(reader, venue, endpoint, query, prices)
    if again and before is not None and before.ended:
        return query, None
    while before is not None and before.ended:
        # A follow-up may be done too, and have been followed up itself: go to the last one.
        if query.before <= before.started_at:
            return query, before
        later = replace(query, after=max(query.after, before.started_at - OVERLAP))
        before = _before(reader, venue, endpoint, later, prices) if later != query else None  # None: from the start
        query = later
    return query, before


def _before(reader: Reader, venue: Venue[Any, Any], endpoint: str, query: Query, prices: Kept) -> Statement | None:
    """The statement of this very pull, as far as it was read; None where it was never begun."""
    pull_id = _pull_id(venue.name, endpoint, query, prices)
    found = reader.query("SELECT statement FROM pulls WHERE pull_id = ?", [pull_id])
    restored: Statement | None = venue.restored(orjson.loads(found.item())) if found.height else None
    return restored


def _pull_id(venue: str, endpoint: str, query: Query, prices: Kept) -> str:
    """Prices are part of it: a listing that was read without them, or with fewer, has to be read again to get them."""
    days, every = prices
    asked = [days, *([every] if every else [])] if days > 0 else []
    return content_hash("pull/1", [venue, endpoint, _json(query), *asked])


def _add_market(batch: _Batch, venue: str, row: MarketRow, made_up: bool) -> None:
    """`made_up`: it came from a stand-in, and says so at its row."""
    now = datetime.now(UTC)
    facts, market = row.facts, replace(row.market, simulated=row.market.simulated or made_up)
    batch.add("markets", {**row_of(market), "text_known_at": market.text_known_at or now})
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


async def _store_prices(
    ledger: Ledger,
    reader: Reader,
    venue: Any,
    rows: Sequence[MarketRow],
    span: timedelta,
    *,
    every: timedelta,
    told: OnPrices,
) -> dict[str, str]:
    """The prices of the last `span` before each market closed, as far as they were not asked for already.

    Returns the markets whose prices cannot be read, with the reason: they cost no other market its prices, and are asked
    for again in a later pull. Raises where ten or more were asked for and none could be read: then it is the service.
    """
    ends = {row.market.id: getattr(row.facts, "ended_at", None) or row.outcome.resolved_at for row in rows}
    fetched = defaultdict[str, list[Span]](list)
    for market_id, since, until in reader.query(_FETCHES, [list(ends), every.total_seconds()]).iter_rows():
        fetched[market_id].append((since, until))
    wanted = [
        (row, since, until)
        for row in rows
        if (end := ends[row.market.id])
        for since, until in missing(end - span, end, fetched[row.market.id])
    ]
    unread: dict[str, CoordevalError] = {}
    for start in range(0, len(wanted), AT_ONCE):
        group = wanted[start : start + AT_ONCE]
        answers = await asyncio.gather(*(_history(venue, row, since, until) for row, since, until in group))
        for (row, _, _), answer in zip(group, answers, strict=True):
            if isinstance(answer, CoordevalError):
                unread[row.market.id] = answer
        if len(unread) >= _SAME_FAULT and len(unread) == len(group) + start:
            raise next(iter(unread.values()))
        pairs = [(a, b) for a, b in zip(group, answers, strict=True) if not isinstance(b, CoordevalError)]
        group, histories = [a for a, _ in pairs], [b for _, b in pairs]
        kept = [thinned(history.points, every) for history in histories]
        ledger.write_all(
            {
                "prices": (row_of(point) for points in kept for point in points),
                "price_fetches": [
                    _price_fetch(row.market.id, (since, until), every, history, points)
                    for (row, since, until), history, points in zip(group, histories, kept, strict=True)
                ],
            }
        )
        told(min(start + AT_ONCE, len(wanted)), len(wanted))
    return {market_id: str(error) for market_id, error in unread.items()}


async def _history(venue: Any, row: MarketRow, since: datetime, until: datetime) -> Any:
    """The price history, or the error that concerns this market alone."""
    try:
        return await venue.prices(row, until, since=since)
    except FetchError as error:
        if error.status in _ONE_MARKET:
            return error
        raise
    except DataError as error:
        return error


_SAME_FAULT = 10
_ONE_MARKET = frozenset({200, 400, 404, 410, 413, 414, 422})
"""Statuses that a service answers about one market, while it goes on serving the others."""


_FETCHES = """
    SELECT market_id, since, until FROM price_fetches
    SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS market_id) USING (market_id) WHERE since < until AND every <= ?
"""


def missing(since: datetime, until: datetime, fetched: Iterable[Span]) -> list[Span]:
    """The parts of [since, until] that none of the `fetched` spans covers, oldest first."""
    parts, start = list[Span](), since
    for begun, ended in sorted(fetched):
        if start < min(begun, until):
            parts.append((start, min(begun, until)))
        start = max(start, ended)
    return [*parts, (start, until)] if start < until else parts


def thinned(points: Sequence[PricePoint], every: timedelta) -> list[PricePoint]:
    """The last point of each kind in each `every`, counted from midnight UTC of 1970, where it stood; 0: all of them."""
    if not every:
        return list(points)
    last: dict[tuple[str, int], PricePoint] = {}
    for point in points:
        assert point.knowable_at is not None  # a history is dated
        last[point.kind, int(point.knowable_at.timestamp() // every.total_seconds())] = point
    return sorted(last.values(), key=lambda point: (point.knowable_at, point.kind))


def _price_fetch(market_id: str, span: Span, every: timedelta, history: Any, kept: Sequence[PricePoint]) -> dict[str, Any]:
    thinned_out = len(history.points) - len(kept)
    dropped = {**history.dropped, **({"not the last of its minutes": thinned_out} if thinned_out else {})}
    return {
        "market_id": market_id,
        "source": history.source,
        "since": span[0],
        "until": span[1],
        "every": every.total_seconds(),
        "points": len(kept),
        "dropped": _json(dropped),
        "reason": getattr(history, "reason", "") or ("" if history.points else "the history is empty"),
        "fetched_at": datetime.now(UTC),
    }


def _commit(ledger: Ledger, batch: _Batch, pull_id: str, venue: str, endpoint: str, statement: Statement) -> None:
    rows = dict(batch.rows)
    rows["markets"], rows["market_edits"] = first_texts(ledger, rows.get("markets", []))
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


def first_texts(ledger: Ledger, rows: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of markets that are new, and an edit for each field in which a known one reads differently now."""
    known = ledger.known_markets(row["market_id"] for row in rows)
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
    told, unread = [], []
    for due in found:
        try:
            told.append(_store_source(ledger, Round(path, due), due))
        except DataError as error:  # of this round alone
            unread.append(f"refused: {error}")
    if not told:
        raise CoordevalError(f"none of the {len(found)} rounds of {path} can be read; the first: {unread[0]}")
    return "\n".join([*told, *unread])


def _store_source(ledger: Ledger, source: Any, due: str = "") -> str:
    """A source that is whole in memory, in one transaction; a known market keeps its first text."""
    rows: dict[str, list[dict[str, Any]]] = {"markets": [row_of(market) for market in source.markets()]}
    rows["markets"], rows["market_edits"] = first_texts(ledger, rows["markets"])
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
