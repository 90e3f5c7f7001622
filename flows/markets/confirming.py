"""What was known from earlier pulls and a listing no longer confirms: asked for by its id, the answer kept with its date.

A market may be un-resolved, resolved anew with a date outside the window, or deleted. A list of resolved markets says
nothing of any of these, so what it leaves out is asked for; where the venue no longer stands by a resolution, the newest
outcome is "unresolved", with the reason.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from coordeval.ledger import Ledger, Reader, row_of
from coordeval.market_data.types import Outcome
from coordeval.market_data.venues import MarketRow, Query

AT_ONCE = 200
_UNCONFIRMED = """
    SELECT m.market_id, v.facts FROM markets m JOIN current_outcomes o USING (market_id) JOIN venue_facts v USING (market_id)
    WHERE v.venue = $venue AND m.simulated = $simulated AND v.seen_at < $began AND o.status <> 'unresolved'
        AND coalesce(v.closed_at, o.resolved_at) >= $after AND coalesce(v.closed_at, o.resolved_at) < $before
        AND ($volume = 0 OR v.volume >= $volume)
    ORDER BY m.market_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """What was known of the window before and did not come again. `gone`: the venue no longer stands by its resolution."""

    asked: int = 0
    gone: int = 0
    cannot_be_asked: int = 0
    changed: int = 0
    """Markets whose outcome reads differently since this pull began."""

    def words(self) -> list[str]:
        said = []
        if self.asked:
            said.append(
                f"{self.asked} markets known from before did not come again and were asked for by their ids; the venue no "
                f"longer stands by the resolution of {self.gone}"
            )
        if self.cannot_be_asked:
            said.append(
                f"{self.cannot_be_asked} markets known from before did not come again, and this source cannot be asked for "
                "one market: their outcomes stay as they were"
            )
        if self.changed:
            said.append(
                f"{self.changed} resolutions changed; `coordeval markets audit` lists them, and the studies they touch"
            )
        return said


def moved(ledger: Ledger, rows: Iterable[MarketRow]) -> list[MarketRow]:
    """Those of the rows outside the window whose market is known: what they say of its outcome is news."""
    given = {row.market.id: row for row in rows}
    return [given[market_id] for market_id in ledger.known_markets(given)] if given else []


async def confirm(
    reader: Reader, venue: Any, query: Query, *, began: datetime, simulated: bool
) -> tuple[Confirmed, list[MarketRow], list[dict[str, Any]]]:
    """(how it went, rows that came by their ids, outcome rows of markets whose resolution the venue no longer states)."""
    asked = {"venue": venue.name, "simulated": simulated, "began": began, "after": query.after, "before": query.before}
    found = reader.query(_UNCONFIRMED, {**asked, "volume": query.min_volume})
    known = {market_id: _facts(facts) for market_id, facts in found.iter_rows()}
    if not known:
        return Confirmed(), [], []
    if not hasattr(venue, "by_ids"):
        return Confirmed(cannot_be_asked=len(known)), [], []
    rows, gone = list[MarketRow](), list[dict[str, Any]]()
    ids = list(known)
    for start in range(0, len(ids), AT_ONCE):
        answers = await venue.by_ids({market_id: known[market_id] for market_id in ids[start : start + AT_ONCE]})
        for market_id, answer in answers.items():
            if isinstance(answer, str):
                outcome = Outcome(
                    market_id=market_id,
                    status="unresolved",
                    value=None,
                    resolved_at=None,
                    reason=f"no longer listed: {answer}",
                )
                gone.append({**row_of(outcome), "evidence": "{}", "recorded_at": datetime.now(UTC)})
            else:
                rows.append(answer)
    lost = len(gone) + sum(row.outcome.status != "resolved" for row in rows)
    return Confirmed(asked=len(known), gone=lost), rows, gone


def changed_since(reader: Reader, venue: str, began: datetime) -> int:
    """Markets of a venue that were known before and whose outcome has a newer row since."""
    sql = """
        SELECT count(*) FROM (
            SELECT market_id FROM outcomes JOIN venue_facts USING (market_id) WHERE venue = ?
            GROUP BY market_id HAVING max(recorded_at) >= ? AND min(recorded_at) < ?
        )
    """
    return int(reader.query(sql, [venue, began, began]).item())


def _facts(text: str) -> Mapping[str, Any]:
    facts = orjson.loads(text)
    return facts if isinstance(facts, dict) else {}
