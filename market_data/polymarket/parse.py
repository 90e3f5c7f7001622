"""One Gamma market object, as served, read into what was known at opening, what the venue says of it, and how it ended.

Only `question`, `outcomes`, `startDate`, `createdAt`, `endDate` and, mostly, `description` describe what was known at
opening (a description can be edited later, and no history of it is served). Everything else is a snapshot of the moment
of the request, so it goes to `VenueFacts`, which no prompt is built from.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import orjson

from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.polymarket.fields import (
    Row,
    SchemaChange,
    amount,
    changed,
    flag,
    keep_aside,
    moment,
    name_of,
    optional_text,
    printable,
    shown,
    text,
    texts,
)
from coordeval.market_data.polymarket.resolution import ClobResolution, Payouts, Verdict, confirmed, gamma_outcome
from coordeval.market_data.types import Market, Outcome

SOURCE = "polymarket"
CATEGORIES = (
    "Politics",
    "Elections",
    "Geopolitics",
    "Economy",
    "Finance",
    "Business",
    "Crypto",
    "Sports",
    "Esports",
    "Tech",
    "AI",
    "Science",
    "Health",
    "Weather",
    "Climate",
    "Culture",
    "Pop Culture",
    "Mentions",
    "World",
)
"""The venue's top-level tags. A market's category is the first of these that it carries; other tags are never used, because
they may be added once something has happened."""
_RANK = {label.casefold(): (rank, label) for rank, label in enumerate(CATEGORIES)}


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueFacts:
    """What the venue says beyond the question: identity, tokens and a snapshot at the time of the request.

    `labels`, `tokens` and `prices` are aligned; the YES token is found by its label, never by its position.
    """

    condition_id: str
    gamma_id: str
    slug: str
    question_id: str
    labels: tuple[str, ...]
    tokens: tuple[str, ...]
    """Decimal strings of about 77 digits; empty where the venue names none."""
    prices: tuple[str, ...] | None
    yes_index: int | None
    event_ids: tuple[str, ...]
    neg_risk_id: str
    """Markets that share it pay out at most one YES; "" outside a negative-risk group."""
    volume: float | None
    created_at: datetime | None
    starts_at: datetime | None
    """Start of the game or of the price window that the question is about; the result may be known from then on."""
    closed_at: datetime | None
    """`closedTime`, which lists are sorted by; None while open."""
    closed: bool
    status: str
    uma_end: datetime | None

    @property
    def yes_token(self) -> str | None:
        return self.tokens[self.yes_index] if self.tokens and self.yes_index is not None else None

    @property
    def ended_at(self) -> datetime | None:
        """When the market closed; where that is not said, when its resolution ended (the same instant in all recordings)."""
        return self.closed_at or (self.uma_end if self.closed else None)

    def last_honest_as_of(self, margin: timedelta) -> datetime | None:
        """The latest as-of time that is not likely to know the result: before the game starts, and `margin` before closing.

        It looks at the actual closing time, so it is anchored on hindsight. In the recorded Chelsea market the game was over
        three hours before closing, so "one hour before closing" knows the result.
        """
        limits = [self.starts_at] if self.starts_at else []
        if self.ended_at is not None:
            limits.append(self.ended_at - margin)
        return min(limits, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One market as the venue lists it."""

    market: Market
    facts: VenueFacts
    outcome: Outcome
    payouts: tuple[int, ...] | None = None
    """What the Data API pays for each outcome, in millionths; None where it was not asked or does not say."""

    def confirmed(self, *, clob: ClobResolution | None = None, payouts: Payouts | None = None) -> Outcome:
        """The outcome, held against other sources; see `resolution.confirmed`."""
        return confirmed(self.outcome, self.facts.tokens, self.facts.yes_index, clob=clob, payouts=payouts)

    @property
    def evidence(self) -> str:
        """What the outcome was decided by, as JSON with sorted keys: equal evidence, equal bytes."""
        facts = self.facts
        seen: dict[str, object] = {
            "closed": facts.closed,
            "closedTime": facts.closed_at,
            "outcomePrices": facts.prices,
            "outcomes": facts.labels,
            "umaEndDate": facts.uma_end,
            "umaResolutionStatus": facts.status or None,
        }
        if self.payouts is not None:
            seen["payouts"] = self.payouts
        return orjson.dumps(seen, option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A row that could not be read, kept under its reason. `kept`: where its payload lies."""

    item: str
    reason: str
    detail: str
    kept: Path | None = None


def parse_market(row: Row, aside: Path | None = None) -> Listed:
    """Raises SchemaChange, with the payload kept in `aside`."""
    try:
        return _parse(row)
    except SchemaChange as change:
        raise change.keeping(keep_aside(row, aside)) from None


def parse_markets(rows: Iterable[Any], aside: Path | None = None) -> list[Listed | Refused]:
    """Each row read, or refused with its reason: the lenient form, in the order of `rows`."""
    read: list[Listed | Refused] = []
    for row in rows:
        try:
            if not isinstance(row, dict):
                raise SchemaChange("a row of a market list", "(itself)", "an object", row)
            read.append(_parse(row))
        except SchemaChange as change:
            read.append(refused_row(row, change, aside))
        except CoordevalError as error:
            read.append(refused_row(row, error, aside, name=f"market {name_of(row, 'id')}"))
        except UNREADABLE as error:
            read.append(refused_row(row, error, aside, name=f"market {name_of(row, 'id')}"))
    return read


UNREADABLE = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError)
"""What a shape that no reader foresaw may end in. It costs its row, never the rows beside it."""


def refused_row(row: Any, error: Exception, aside: Path | None, *, name: str = "") -> Refused:
    """A row that `error` says cannot be read; its payload is kept in `aside`."""
    kept = keep_aside(row, aside)
    if isinstance(error, SchemaChange):
        return Refused(item=error.item, reason=error.reason, detail=str(error.keeping(kept)), kept=kept)
    reason = "breaks a rule" if isinstance(error, CoordevalError) else f"cannot be read ({type(error).__name__})"
    return Refused(item=printable(name), reason=reason, detail=printable(f"{name}: {error}"), kept=kept)


def _parse(row: Row) -> Listed:
    condition_id = text(row, "conditionId")
    labels = texts(row, "outcomes")
    if not labels:
        changed(row, "outcomes", "JSON text that holds a list of text")
    prices, tokens = _prices(row, labels), _tokens(row, labels)
    events = _events(row)
    neg_risk_id = optional_text(row, "negRiskMarketID")
    closed, status = flag(row, "closed"), optional_text(row, "umaResolutionStatus")
    created_at, uma_end = moment(row, "createdAt"), moment(row, "umaEndDate")
    closed_at = moment(row, "closedTime") if closed else None
    gamma_id, slug = text(row, "id"), optional_text(row, "slug")
    market = Market(
        id=condition_id,
        source=SOURCE,
        event_id=_cluster(events, neg_risk_id, gamma_id),
        simulated=False,
        url=f"https://polymarket.com/market/{slug}" if slug else "",
        question=text(row, "question"),
        description=optional_text(row, "description"),
        category=_category(row),
        opened_at=moment(row, "startDate") or created_at,
        scheduled_close=moment(row, "endDate"),
    )
    facts = VenueFacts(
        condition_id=condition_id,
        gamma_id=gamma_id,
        slug=slug,
        question_id=optional_text(row, "questionID"),
        labels=labels,
        tokens=tokens,
        prices=prices,
        yes_index=labels.index("Yes") if "Yes" in labels and "No" in labels and len(labels) == 2 else None,
        event_ids=tuple(event["id"] for event in events),
        neg_risk_id=neg_risk_id,
        volume=amount(row, "volumeNum", "volume"),
        created_at=created_at,
        starts_at=moment(row, "gameStartTime") or moment(row, "eventStartTime"),
        closed_at=closed_at,
        closed=closed,
        status=status,
        uma_end=uma_end,
    )
    verdict = gamma_outcome(labels=labels, prices=prices, closed=closed, status=status, created_at=created_at)
    return Listed(market=market, facts=facts, outcome=_outcome(facts, verdict))


def _outcome(facts: VenueFacts, verdict: Verdict) -> Outcome:
    status, value, reason = verdict
    ended_at = facts.ended_at
    if status == "resolved" and ended_at and facts.created_at and ended_at < facts.created_at:
        status, value = "contradictory", None
        reason = f"closed at {ended_at.isoformat()}, before it was created at {facts.created_at.isoformat()}"
    return Outcome(market_id=facts.condition_id, status=status, value=value, resolved_at=ended_at, reason=reason)


def _prices(row: Row, labels: tuple[str, ...]) -> tuple[str, ...] | None:
    """Absent on placeholders, and for seconds after creation."""
    prices = texts(row, "outcomePrices")
    if prices is None:
        return None
    if len(prices) != len(labels):
        changed(row, "outcomePrices", f"one price for each of {len(labels)} outcomes")
    for price in prices:
        if price not in ("0", "1"):
            try:
                if Decimal(price).is_finite():
                    continue
            except InvalidOperation:
                pass
            changed(row, "outcomePrices", "decimals as text")
    return prices


def _tokens(row: Row, labels: tuple[str, ...]) -> tuple[str, ...]:
    tokens = texts(row, "clobTokenIds") or ()
    if tokens and (len(tokens) != len(labels) or len(set(tokens)) != len(tokens)):
        changed(row, "clobTokenIds", f"another token for each of {len(labels)} outcomes")
    if not all(token.isascii() and token.isdigit() for token in tokens):
        changed(row, "clobTokenIds", "decimal digits as text")
    return tokens


def _events(row: Row) -> list[Mapping[str, Any]]:
    """The parent events that a list shows; `/markets/{id}` may leave them out."""
    events = row.get("events", [])
    if not isinstance(events, list) or not all(isinstance(e, dict) and isinstance(e.get("id"), str) for e in events):
        changed(row, "events", "a list of events with a text id")
    return events


def _cluster(events: list[Mapping[str, Any]], neg_risk_id: str, gamma_id: str) -> str:
    """What markets that resolve together share: their negative-risk group, else their event, else the market itself.

    The event's own group comes first, so that a side market of the event joins the legs; of several events the
    oldest counts.
    """
    for event in events:
        if isinstance(group := event.get("negRiskMarketID"), str) and group:
            return f"neg-risk:{group}"
    if neg_risk_id:
        return f"neg-risk:{neg_risk_id}"
    if events:
        return f"event:{min((event['id'] for event in events), key=lambda id: (len(id), id))}"
    return f"market:{gamma_id}"


def _category(row: Row) -> str:
    """By the tags that `include_tag` brings, the `category` of 2020-21, or the kind of sports bet; "" without any."""
    tags = row.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, dict) and isinstance(tag.get("label"), str) for tag in tags):
        changed(row, "tags", f"a list of tags with a label, not {shown(tags)}")
    ranked = [_RANK[label] for tag in tags if (label := tag["label"].casefold()) in _RANK]
    if ranked:
        return min(ranked)[1]
    return optional_text(row, "category") or ("Sports" if row.get("sportsMarketType") else "")
