"""Which open markets are forecast today: by the study's rule, in a seeded order, with an account of every other one.

What is picked is stored with all that was known of it at that moment, before any agent is asked: a market's as-of time never
moves, and a step that is killed goes on with the same markets.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from coordeval.flows.markets.pulling import first_texts
from coordeval.flows.prospective.ground import Clock
from coordeval.flows.run.planning import study_row
from coordeval.flows.study.evaluation import Evaluation
from coordeval.flows.study.open_markets import OpenMarkets
from coordeval.ledger import Ledger, Reader, row_of
from coordeval.market_data.opening import Deadlines, Known, Listing, OpenMarket, OpenSource
from coordeval.market_data.price_at import price_at
from coordeval.market_data.types import Outcome

NOT_OPENED: Final = "opens later than now by its venue: the clocks disagree"
_ENOUGH: Final = "not needed today"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """What was picked on a day."""

    day: str
    as_of: datetime
    listed: int
    market_ids: tuple[str, ...]
    left_out: dict[str, int]


def picked_before(reader: Reader, study_id: str, day: str) -> tuple[str, ...]:
    """The markets that were picked on that day already, by id."""
    rows = reader.query("SELECT market_id FROM picks WHERE study_id = ? AND day = ? ORDER BY 1", [study_id, day])
    return tuple(rows["market_id"].to_list())


async def pick(
    evaluation: Evaluation, ledger: Ledger, source: OpenSource, rule: OpenMarkets, clock: Clock, day: str
) -> Picked:
    """Pick today's markets and store them. Raises FetchError, DataError, LedgerError; then nothing is picked."""
    start = clock()
    listing = await source.listed(
        Deadlines(
            after=start + timedelta(days=rule.closes_after_days),
            before=start + timedelta(days=rule.closes_within_days),
            min_volume=rule.min_volume,
        ),
        start,
    )
    as_of = clock()  # every text has been read by now, and no price is asked for that is later
    left_out: Counter[str] = Counter(listing.passed_over)
    chosen = await _chosen(evaluation, source, rule, listing, as_of, left_out)
    found = Picked(
        day=day,
        as_of=as_of,
        listed=len(listing.markets) + sum(listing.passed_over.values()),
        market_ids=tuple(sorted(market.market.id for market, _ in chosen)),
        left_out=dict(left_out.most_common()),
    )
    _store(evaluation, ledger, source, chosen, found)
    return found


async def _chosen(
    evaluation: Evaluation,
    source: OpenSource,
    rule: OpenMarkets,
    listing: Listing,
    as_of: datetime,
    left_out: Counter[str],
) -> list[tuple[OpenMarket, Known]]:
    """In the order of sha256(seed, market id); prices are asked for only until there are enough."""
    known, events = _before(evaluation.reader, evaluation.loaded.id)
    hours = evaluation.loaded.max_price_age_hours
    age = None if hours is None else timedelta(hours=hours)
    chosen: list[tuple[OpenMarket, Known]] = []
    for market in _ordered(listing.markets, rule.seed):
        reason = _barred(market, rule, as_of)
        if not reason and market.market.id in known:
            reason = "forecast before in this study"
        if not reason and events[market.market.event_id] >= rule.per_event:
            reason = "another market of its event is forecast in this study"
        if not reason and len(chosen) >= rule.per_day:
            reason = _ENOUGH
        if not reason:
            told = await source.known(market, as_of, timedelta(days=rule.price_days))
            price = price_at(told.prices, as_of, age)
            low, high = rule.price_between
            if price.value is None:
                reason = told.reason or price.reason
            elif not low <= price.value <= high:
                reason = f"its price is not between {low:g} and {high:g}"
            else:
                chosen.append((market, told))
                events[market.market.event_id] += 1
        if reason:
            left_out[reason] += 1
    return chosen


def _ordered(markets: Iterable[OpenMarket], seed: int) -> list[OpenMarket]:
    return sorted(markets, key=lambda one: hashlib.sha256(f"{seed}\x1f{one.market.id}".encode()).hexdigest())


def _barred(market: OpenMarket, rule: OpenMarkets, as_of: datetime) -> str:  # noqa: PLR0911
    """Why the rule does not ask for it; "" where it does."""
    closes = market.closes_at
    if market.market.opened_at is not None and market.market.opened_at > as_of:
        return NOT_OPENED
    if closes is None:
        return "no deadline is announced"
    if closes < as_of + timedelta(days=rule.closes_after_days):
        return f"closes within {rule.closes_after_days:g} days"
    if closes >= as_of + timedelta(days=rule.closes_within_days):
        return f"closes later than in {rule.closes_within_days:g} days"
    if rule.min_volume > 0 and (market.volume is None or market.volume < rule.min_volume):
        return "volume not stated" if market.volume is None else "volume below the minimum"
    if market.starts_at is not None and market.starts_at <= as_of:
        return "its game has begun"
    return ""


def _before(reader: Reader, study_id: str) -> tuple[set[str], Counter[str]]:
    rows = reader.query(
        "SELECT market_id, event_id FROM picks JOIN markets USING (market_id) WHERE study_id = ?", [study_id]
    )
    return set(rows["market_id"].to_list()), Counter(rows["event_id"].to_list())


def _store(
    evaluation: Evaluation, ledger: Ledger, source: OpenSource, chosen: list[tuple[OpenMarket, Known]], found: Picked
) -> None:
    seen_at, study_id = found.as_of, evaluation.loaded.id
    evaluation.made_up = any(market.market.simulated for market, _ in chosen)
    texts = [{**row_of(market.market), "text_known_at": market.market.text_known_at or seen_at} for market, _ in chosen]
    markets, edits = first_texts(ledger, texts)
    rows: dict[str, list[dict[str, Any]]] = {
        "markets": markets,
        "market_edits": [{**edit, "seen_at": seen_at} for edit in edits],
        "prices": [row_of(point) for _, told in chosen for point in told.prices],
        "documents": [row_of(document) for _, told in chosen for document in told.documents],
        "outcomes": [
            {**row_of(_trading(market.market.id)), "evidence": "{}", "recorded_at": seen_at} for market, _ in chosen
        ],
        "venue_facts": [
            {
                "market_id": market.market.id,
                "venue": source.name,
                "volume": market.volume,
                "closed_at": None,
                "facts": orjson.dumps(market.facts, default=str).decode(),
                "seen_at": seen_at,
            }
            for market, _ in chosen
        ],
        "studies": [study_row(evaluation)],
        "picks": [
            {
                "study_id": study_id,
                "market_id": market.market.id,
                "day": found.day,
                "as_of": found.as_of,
                "closes_at": market.closes_at,
            }
            for market, _ in chosen
        ],
        "forecast_days": [
            {
                "study_id": study_id,
                "day": found.day,
                "as_of": found.as_of,
                "listed": found.listed,
                "picked": len(chosen),
                "left_out": orjson.dumps(found.left_out).decode(),
            }
        ],
    }
    ledger.write_all(rows)


def _trading(market_id: str) -> Outcome:
    return Outcome(market_id=market_id, status="unresolved", value=None, resolved_at=None, reason="it is still trading")
