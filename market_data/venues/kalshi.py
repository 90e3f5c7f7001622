"""Kalshi: every market that settled in a window, from its live list and its archive. No key is needed.

**Not verified against a settled recording: none exists here.** The shapes are those of Kalshi's own OpenAPI
(docs.kalshi.com, versions 3.8 and 3.28 of 2026), of `market-apis.md` §E, and what users report; traps they name:

- `status=settled` goes with `min_settled_ts`/`max_settled_ts` only; with `min_close_ts` it is documented as incompatible.
- The live list holds about three months. Older markets are in `/historical/markets`, which filters by no time: its whole
  list is read. `/historical/cutoff` says where the border lies; it moves, and a move during a listing is noted as a gap.
- `close_time` is moved to the actual closing of a market that closes early, and early means YES. So the deadline that is
  shown is the day (and hour) that the ticker names, New York time, or `expected_expiration_time` where that is later: both
  were known at opening. Without a day in the ticker it is `latest_expiration_time`, since the expected one may have been
  moved with an early closing; where a market cannot close early, `close_time`. No history of rules is served.
- A `binary` market can settle at a fraction (`result` "scalar"). The last price decides nothing.
- A contract is named by `title` and, where an event has several, `yes_sub_title`; markets do not name their category.
"""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Literal
from zoneinfo import ZoneInfo

import orjson

from coordeval.market_data.errors import DataError
from coordeval.market_data.http import BadAnswer, FetchError
from coordeval.market_data.opening import Deadlines, Listing
from coordeval.market_data.polymarket.completeness import Query
from coordeval.market_data.polymarket.fields import SchemaChange, keep_aside, name_of, unfit
from coordeval.market_data.polymarket.resolution import Verdict
from coordeval.market_data.types import Market, Outcome, OutcomeStatus
from coordeval.market_data.venues.kalshi_prices import Period, candle_prices
from coordeval.market_data.venues.listing import Completeness, Listed, Page, Paged, Prices
from coordeval.market_data.venues.open_lists import kalshi_open
from coordeval.market_data.venues.reading import Reader, evidence
from coordeval.market_data.venues.walk import next_page, rows_of, same_market

NAME = "kalshi"
BASE_URL = "https://external-api.kalshi.com/trade-api/v2"
REQUESTS_PER_SECOND = 5.0
"""The basic tier allows 20 reads a second."""
_PAGE_SIZE = 1000
_OPEN = frozenset({"unopened", "initialized", "inactive", "open", "active", "paused"})
_PENDING: dict[str, OutcomeStatus] = {"determined": "proposed", "amended": "proposed", "disputed": "disputed"}
_FINAL = frozenset({"finalized", "settled"})
_WON: dict[str, Literal[0, 1]] = {"yes": 1, "no": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class KalshiFacts:
    """A snapshot at the time of the request. `archived`: it came from the archive, and so do its candles."""

    ticker: str
    event_ticker: str
    series_ticker: str
    archived: bool
    market_type: str
    status: str
    result: str
    settlement_value: Decimal | None
    """What YES paid, in dollars."""
    settled_at: datetime | None
    closed_at: datetime | None
    can_close_early: bool
    provisional: bool
    """The venue may remove it, if nobody traded it."""


KalshiMarket = Listed[KalshiFacts]
_NEW_YORK = ZoneInfo("America/New_York")
_DAY = re.compile(
    r"(?<=-)(?P<year>\d\d)(?P<month>JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)(?P<day>\d\d)(?P<hour>\d\d)?"
)


def kalshi_outcome(status: str, result: str, value: Decimal | None, market_type: str = "binary") -> Verdict:
    """(status, value, reason). YES or NO only where the status is final and the payout, if stated, is that of the result."""
    if market_type != "binary":
        return "not_yes_no", None, f"its market_type is {market_type!r}; only a binary market has a truth to score"
    if status in _PENDING:
        return _PENDING[status], None, f"its status is {status!r}, so the result {result!r} may still change"
    if status not in _FINAL:
        return "unresolved", None, f"its status is {status!r}, not finalized"
    if result not in _WON:
        return _no_winner(result, value)
    if value not in (None, _WON[result]):
        return "contradictory", None, f"the result is {result!r}, but YES paid {value} dollars"
    return "resolved", _WON[result], ""


def deadline(field: Reader, event_ticker: str) -> datetime | None:
    """When the market was to end, as far as that was known at opening. Raises SchemaChange."""
    latest, expected = field.iso("latest_expiration_time"), field.iso("expected_expiration_time")
    named = _day_of(event_ticker) or _day_of(field.text("ticker"))
    if named is None:
        return latest
    return max(named, expected) if expected else named


def _day_of(ticker: str) -> datetime | None:
    """The end of the day, or the hour, that a ticker such as KXHIGHNY-26AUG05-B70 or KXBTCD-26AUG0517 names; UTC."""
    for match in _DAY.finditer(ticker):
        day = f"20{match['year']} {match['month']} {match['day']}"
        try:
            at = datetime.strptime(day, "%Y %b %d").replace(tzinfo=_NEW_YORK)
        except ValueError:
            continue
        hour = int(match["hour"] or 24)
        return (at + timedelta(hours=hour if hour <= 24 else 24)).astimezone(UTC)  # of the wall clock
    return None


def _no_winner(result: str, value: Decimal | None) -> Verdict:
    if result == "":
        return "voided", None, "finalized without a result"
    if result != "scalar":
        return "contradictory", None, f"the result {result!r} is none of yes, no, scalar"
    if value == Decimal("0.5"):
        return "fifty_fifty", None, "settled at half a dollar"
    paid = "an amount that is not stated" if value is None else f"{value} dollars"
    return "not_yes_no", None, f"settled at {paid}, neither YES nor NO"


def parse_kalshi(row: Mapping[str, Any], *, archived: bool = False) -> KalshiMarket | str:
    """The market, or why it is passed over. Raises SchemaChange."""
    field = Reader(row, f"Kalshi market {name_of(row, 'ticker')}")
    if row.get("mve_collection_ticker") or row.get("mve_selected_legs"):
        return "combination of several markets"
    if field.dollars("notional_value") not in (None, Decimal(1)):
        field.changed("notional_value_dollars", "1 dollar, or its prices are no probabilities")
    ticker, event_ticker = field.text("ticker"), field.text("event_ticker")
    market_type, status, result = (field.optional_text(name) for name in ("market_type", "status", "result"))
    value, settled_at, opened_at = field.dollars("settlement_value"), field.iso("settlement_ts"), field.iso("open_time")
    closed_at, early = field.iso("close_time"), row.get("can_close_early") is not False
    verdict = kalshi_outcome(status, result, value, market_type or "binary")
    if verdict[0] == "resolved" and settled_at and opened_at and settled_at < opened_at:
        reason = f"settled at {settled_at.isoformat()}, before it opened at {opened_at.isoformat()}"
        verdict = ("contradictory", None, reason)
    series = field.optional_text("series_ticker") or event_ticker.partition("-")[0]
    title, yes_title = field.text("title"), field.optional_text("yes_sub_title")
    rules = (field.optional_text("rules_primary"), field.optional_text("rules_secondary"))
    return Listed(
        market=Market(
            id=ticker,
            source=NAME,
            event_id=f"{NAME}:{event_ticker}",
            simulated=False,
            url=f"https://kalshi.com/markets/{series.lower()}",
            question=f"{title} [{yes_title}]" if yes_title and yes_title.casefold() not in title.casefold() else title,
            description="\n\n".join(rule for rule in rules if rule),
            opened_at=opened_at,
            scheduled_close=deadline(field, event_ticker) if early else closed_at,
        ),
        outcome=Outcome(market_id=ticker, status=verdict[0], value=verdict[1], resolved_at=settled_at, reason=verdict[2]),
        facts=KalshiFacts(
            ticker=ticker,
            event_ticker=event_ticker,
            series_ticker=series,
            archived=archived,
            market_type=market_type,
            status=status,
            result=result,
            settlement_value=value,
            settled_at=settled_at,
            closed_at=closed_at,
            can_close_early=early,
            provisional=field.flag("is_provisional"),
        ),
        evidence=evidence(status=status, result=result, settlement_value=value, settlement_ts=settled_at),
        volume=field.count("volume_fp", "volume"),
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Which list, where in it, and where the border between the two lay when the listing began."""

    archived: bool
    cursor: str
    border: datetime

    @staticmethod
    def read(text: str) -> "_Place":
        archived, cursor, border = orjson.loads(text)
        return _Place(archived, cursor, datetime.fromisoformat(border))

    def __str__(self) -> str:
        return orjson.dumps([self.archived, self.cursor, self.border.isoformat()]).decode()

    @property
    def path(self) -> str:
        return "/historical/markets" if self.archived else "/markets"


class Kalshi(Paged):
    """The venue; `aside` is where payloads that could not be read are kept."""

    name = NAME
    base_url = BASE_URL
    requests_per_second = REQUESTS_PER_SECOND
    checked_against = "documentation only: no settled recording exists"
    needs = "nothing"

    async def pages(self, query: Query, *, resume: Completeness | None = None) -> AsyncIterator[Page[KalshiFacts]]:
        """Raises FetchError, SchemaChange, DataError."""
        so_far = resume.going_on(NAME, query) if resume else await self._begin(query)
        while not so_far.ended:
            place = _Place.read(so_far.cursor)
            check = partial(self._page, so_far=so_far, place=place)
            page = await self._client.get_json(self._service, place.path, _parameters(query, place), check=check)
            if not place.archived and (page.so_far.ended or _Place.read(page.so_far.cursor).archived):
                notes = (*page.so_far.notes, *await self._moved(query, place.border))
                page = replace(page, so_far=replace(page.so_far, notes=notes))
            so_far = page.so_far
            yield page

    def open_pages(self, wanted: Deadlines) -> AsyncIterator[Listing]:
        """What is open now, all of it: the deadlines are held against the rows. Raises FetchError, DataError."""
        return kalshi_open(self._client, self._service, parse_kalshi, self._aside)

    async def prices(
        self, row: KalshiMarket, as_of: datetime, *, since: datetime | None = None, period: Period = 60
    ) -> Prices:
        """Mids and last trades at the end of each `period` (minutes)."""
        return await candle_prices(
            self._client,
            self._service,
            row.market,
            series=row.facts.series_ticker,
            archived=row.facts.archived,
            as_of=as_of,
            since=since,
            period=period,
        )

    async def _by_id(self, market_id: str, facts: Mapping[str, Any]) -> KalshiMarket | str:
        def check(payload: Any, *, archived: bool) -> KalshiMarket | str:
            row = Reader.of(payload, f"Kalshi market {market_id}").inner("market").row
            read = parse_kalshi(row, archived=archived)
            return read if isinstance(read, str) else same_market(read, market_id)

        try:
            live = partial(check, archived=False)
            return await self._client.get_json(self._service, f"/markets/{market_id}", check=live)
        except FetchError as error:
            if error.status != 404:
                raise
        old = partial(check, archived=True)
        return await self._client.get_json(self._service, f"/historical/markets/{market_id}", check=old)

    async def _begin(self, query: Query) -> Completeness:
        border = await self._border()
        place = _Place(query.before <= border, "", border)
        return Completeness(venue=NAME, clock="settlement_ts", query=query, started_at=self._clock(), cursor=str(place))

    async def _border(self) -> datetime:
        def read(payload: Any) -> datetime:
            field = Reader.of(payload, "Kalshi historical cutoff")
            return field.iso("market_settled_ts") or field.changed("market_settled_ts", "a time in ISO 8601")

        return await self._client.get_json(self._service, "/historical/cutoff", check=read)

    async def _moved(self, query: Query, border: datetime) -> tuple[str, ...]:
        now = await self._border()
        if now <= max(border, query.after):
            return ()
        return (
            f"the archive's border moved from {border.isoformat()} to {now.isoformat()} during the listing: markets that "
            "settled between may have left the live list before it was read; list that window again",
        )

    def _page(self, payload: Any, *, so_far: Completeness, place: _Place) -> Page[KalshiFacts]:
        rows = rows_of(payload, "markets", f"Kalshi page of {place.path}", self._aside)
        following = payload.get("cursor")
        if not isinstance(following, str) or unfit(following):
            raise SchemaChange(
                f"Kalshi page of {place.path}",
                "cursor",
                "text, empty on the last page (without it the list may be cut short)",
                following,
                keep_aside(payload, self._aside),
            )
        if following and following == place.cursor:
            raise BadAnswer("repeated page", f"the cursor does not advance: it is {following!r:.60} again")
        if following:
            state = {"cursor": str(replace(place, cursor=following))}
        elif not place.archived and so_far.query.after < place.border:
            state = {"cursor": str(_Place(True, "", place.border))}
        else:
            state = {"cursor": str(replace(place, cursor="")), "ended": "last page"}
        return next_page(so_far, rows, partial(_read, place=place), id_field="ticker", aside=self._aside, **state)


def _read(row: Mapping[str, Any], *, place: _Place) -> KalshiMarket | str:
    read = parse_kalshi(row, archived=place.archived)
    if isinstance(read, str):
        return read
    if read.facts.status in _OPEN:
        raise DataError(
            f"Kalshi market {read.market.id}: asked for settled markets, got one that is {read.facts.status!r}; "
            "the service ignores `status`, so its list cannot be trusted: check the base URL"
        )
    settled_at = read.facts.settled_at
    if place.archived and settled_at is not None and settled_at >= place.border:
        return "archived since the listing began"
    return read


def _parameters(query: Query, place: _Place) -> list[tuple[str, str]]:
    sent = [("limit", str(_PAGE_SIZE)), ("mve_filter", "exclude")]
    if not place.archived:  # "after" and "before": a second wider on both sides, and each row is held against the window
        after, before = query.after - timedelta(seconds=1), query.before + timedelta(seconds=1)
        sent += [
            ("status", "settled"),
            ("min_settled_ts", str(int(after.timestamp()))),
            ("max_settled_ts", str(int(before.timestamp()) + 1)),
        ]
    if place.cursor:
        sent.append(("cursor", place.cursor))
    return sent
