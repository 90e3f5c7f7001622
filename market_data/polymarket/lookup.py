"""Markets, events and resolutions by their ids, and proof that the answer is about what was asked.

`?condition_id=X` (singular) serves the default list, market 540816, for every X: in the published study one market was
read 1,139 times. So every answer is held against the ids that were asked for, and anything else is an error.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from coordeval.market_data.errors import DataError
from coordeval.market_data.http import FetchError, HttpClient, Service
from coordeval.market_data.polymarket.fields import SchemaChange, name_of
from coordeval.market_data.polymarket.gamma import PAGE_SIZE
from coordeval.market_data.polymarket.parse import Listed, Refused, parse_market, parse_markets, refused_row
from coordeval.market_data.polymarket.resolution import ClobResolution, Payouts, parse_clob_market, parse_payouts

_IDS_PER_REQUEST = 50
"""Gamma takes 100, but 100 condition ids make a URL of 8 KB, which some proxies refuse with 414."""
_CONDITIONS_PER_REQUEST = 20
"""The documented limit of `/v2/resolutions`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a lookup found: markets by condition id, rows that could not be read, and ids that the venue does not serve."""

    listed: dict[str, Listed]
    refused: tuple[Refused, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Markets that belong together. In a negative-risk event at most one leg may end YES."""

    id: str
    title: str
    neg_risk_id: str
    listed: tuple[Listed, ...]
    refused: tuple[Refused, ...]


async def markets_by_condition(
    client: HttpClient, gamma: Service, condition_ids: Iterable[str], *, aside: Path | None = None
) -> Found:
    """Closed ones first, then open ones: without `closed` only open markets are served, and a resolved one is "not found".

    Raises DataError where the answer holds a market that was not asked for.
    """
    wanted = list(dict.fromkeys(condition_ids))
    listed: dict[str, Listed] = {}
    refused: list[Refused] = []
    for closed in ("true", "false"):
        for some in _chunks(wanted, _IDS_PER_REQUEST):
            # Repeated, not joined: `condition_ids=A,B` finds nothing.
            ids = [("condition_ids", id) for id in some]
            parameters = [*ids, ("closed", closed), ("limit", str(PAGE_SIZE)), ("include_tag", "true")]
            rows = await client.get_json(gamma, "/markets", parameters, check=partial(_asked_for, ids=some))
            read = parse_markets(rows, aside)
            listed |= {row.market.id: row for row in read if isinstance(row, Listed)}
            refused += [row for row in read if isinstance(row, Refused)]
            wanted = _without(wanted, (str(row["conditionId"]) for row in rows))
    return Found(listed=listed, refused=tuple(refused), missing=tuple(wanted))


async def market(client: HttpClient, gamma: Service, gamma_id: str, *, aside: Path | None = None) -> Listed:
    """One market by Gamma's own number, open or closed. Raises FetchError (status 404: unknown) or DataError."""

    def check(payload: Any) -> Listed:
        _same(payload, "id", gamma_id, "market")
        return parse_market(payload, aside)

    return await client.get_json(gamma, f"/markets/{gamma_id}", check=check)


async def event(client: HttpClient, gamma: Service, event_id: str, *, aside: Path | None = None) -> Event:
    """One event with its markets, which do not name the event themselves."""

    def check(payload: Any) -> Event:
        _same(payload, "id", event_id, "event")
        if not isinstance(payload.get("markets"), list):
            raise SchemaChange(f"event {event_id}", "markets", "a list", payload.get("markets"))
        parent = {name: value for name, value in payload.items() if name != "markets"}
        rows = payload["markets"]
        read = parse_markets(({**row, "events": [parent]} if isinstance(row, dict) else row for row in rows), aside)
        return Event(
            id=event_id,
            title=str(payload.get("title", "")),
            neg_risk_id=str(payload.get("negRiskMarketID", "")),
            listed=tuple(row for row in read if isinstance(row, Listed)),
            refused=tuple(row for row in read if isinstance(row, Refused)),
        )

    return await client.get_json(gamma, f"/events/{event_id}", check=check)


async def clob_resolution(client: HttpClient, clob: Service, condition_id: str) -> ClobResolution | None:
    """The CLOB's word on a market; None where it does not know it."""

    def check(payload: Any) -> ClobResolution:
        _same(payload, "condition_id", condition_id, "CLOB market")
        return parse_clob_market(payload)

    try:
        return await client.get_json(clob, f"/markets/{condition_id}", check=check)
    except FetchError as error:
        if error.status == 404:
            return None
        raise


async def payouts(
    client: HttpClient,
    data: Service,
    condition_ids: Iterable[str],
    *,
    refused: list[Refused] | None = None,
    aside: Path | None = None,
) -> dict[str, Payouts]:
    """The Data API's payouts by condition id; one that it does not know is absent.

    With `refused`, a row that cannot be read is put there and its market has no payouts; without, it raises SchemaChange.
    """
    found: dict[str, Payouts] = {}
    for some in _chunks(list(dict.fromkeys(condition_ids)), _CONDITIONS_PER_REQUEST):
        check: Callable[[Any], tuple[list[Payouts], list[Refused]]] = partial(
            _payouts, ids=some, strict=refused is None, aside=aside
        )
        answer, bad = await client.get_json(data, "/v2/resolutions", [("condition", ",".join(some))], check=check)
        found |= {row.condition_id: row for row in answer}
        if refused is not None:
            refused += bad
    return found


def _asked_for(payload: Any, *, ids: Sequence[str]) -> list[dict[str, Any]]:
    if not isinstance(payload, list) or not all(isinstance(row, dict) for row in payload):
        raise SchemaChange("Gamma market list", "(itself)", "a list of objects", payload)
    counts = Counter(name_of(row, "conditionId") for row in payload)
    wrong = [id for id, count in counts.items() if id not in ids or count > 1]
    if wrong:
        raise DataError(
            f"asked Gamma for {len(ids)} markets by condition id, got {wrong[0]:.80}, which was not asked for once; an "
            "unknown parameter is ignored and the default list served, so check that it is called condition_ids"
        )
    return payload


def _payouts(payload: Any, *, ids: Sequence[str], strict: bool, aside: Path | None) -> tuple[list[Payouts], list[Refused]]:
    rows = payload.get("data") if isinstance(payload, dict) else None
    if not isinstance(rows, list):
        raise SchemaChange("Data API resolutions", "data", "a list", rows)
    answer, refused = list[Payouts](), list[Refused]()
    for row in rows:
        try:
            answer.append(parse_payouts(row))
        except SchemaChange as change:
            if strict:
                raise
            refused.append(refused_row(row, change, aside))
    if wrong := [row.condition_id for row in answer if row.condition_id not in ids]:
        raise DataError(
            f"asked for the resolutions of {', '.join(ids)}, got one of {wrong[0]}; check the parameter `condition`"
        )
    return answer, refused


def _same(payload: Any, name: str, asked: str, kind: str) -> None:
    got = payload.get(name) if isinstance(payload, dict) else None
    if got != asked:
        raise DataError(
            f"{kind} {asked}: the answer is about {got!r:.80}; the service does not look at the id, so check the base URL"
        )


def _without(wanted: list[str], found: Iterable[str]) -> list[str]:
    gone = set(found)
    return [id for id in wanted if id not in gone]


def _chunks(items: list[str], size: int) -> list[list[str]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
