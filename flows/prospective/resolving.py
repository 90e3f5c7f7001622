"""What became of the forecasts: the venue is asked how each picked market stands, and what has resolved is scored.

What was missed is caught up: whoever has not been asked for a week is asked now. A market that resolved within RECHECK is
asked for again, since a venue may take a resolution back. Every change is a new dated row, and what is odd is a finding.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson

from coordeval.flows.prospective.ground import Say, clock_of, found, prospective_study, silent, source_of, writer
from coordeval.flows.run import guard
from coordeval.flows.study.open_markets import OpenMarkets
from coordeval.flows.study.study import LoadedStudy
from coordeval.ledger import Ledger, Reader, read, row_of
from coordeval.market_data.http import Patience
from coordeval.market_data.opening import Ending, OpenSource

RECHECK: Final = timedelta(days=14)
"""A resolution younger than this is asked for again."""
OVERDUE: Final = timedelta(days=30)
"""After its announced deadline, a market without an outcome is a finding."""
_AT_ONCE: Final = 200
_FINAL: Final = ("voided", "fifty_fifty", "not_yes_no", "resolved")
_PICKED = """
    SELECT p.market_id, p.day, p.closes_at, d.committed_at, o.status, o.value, o.resolved_at, o.recorded_at, v.facts
    FROM picks p JOIN forecast_days d USING (study_id, day) LEFT JOIN current_outcomes o USING (market_id)
        LEFT JOIN venue_facts v USING (market_id)
    WHERE p.study_id = ? ORDER BY p.market_id
"""
_BRIER = """
    SELECT c.arm, c.configuration, count(DISTINCT c.market_id) AS markets, avg((f.probability - o.value) ^ 2) AS brier
    FROM picks p JOIN forecast_days d USING (study_id, day) JOIN cells c USING (study_id, market_id)
        JOIN forecasts f ON f.forecast_id = c.forecast_id JOIN current_outcomes o ON o.market_id = p.market_id
    WHERE p.study_id = ? AND o.status = 'resolved' AND f.probability IS NOT NULL
        AND d.committed_at < least(o.resolved_at, o.recorded_at)
    GROUP BY c.arm, c.configuration ORDER BY c.arm <> 'main', c.arm, c.configuration
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """How a prospective study stands; markets, counted once each: picked = awaiting + scored + not_scored."""

    study: str
    study_id: str
    at: datetime
    picked: int
    asked: int
    changed: int
    """Outcomes that read differently than before."""
    awaiting: int
    """No outcome yet, or none that is final."""
    scored: int
    not_scored: dict[str, int]
    """Reason -> markets that ended and say nothing of the forecasts."""
    overdue: int
    """Of the awaiting ones: more than 30 days past their announced deadline."""
    brier: dict[str, float]
    """Configuration -> mean Brier score over its forecasts that are scored, in the study's first arm."""
    arms: dict[str, dict[str, float]]
    """Arm -> the same of each, where the study has several arms; else empty."""
    simulated: bool
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def words(self) -> str:
        """One sentence."""
        ended = "".join(f", {count} {reason}" for reason, count in self.not_scored.items())
        overdue = f" ({self.overdue} overdue)" if self.overdue else ""
        return (
            f"{self.at:%Y-%m-%d}: of {self.picked} markets {self.scored} resolved and scored, {self.awaiting} awaiting "
            f"their outcome{overdue}{ended}; {self.changed} changed"
        )


def resolve_and_score(
    study_path: Path | str | LoadedStudy,
    ledger: Path | str | Ledger,
    *,
    now: datetime,
    say: Say = silent,
    patience: Patience | None = None,
    transport: Any = None,
) -> Resolved:
    """Ask the venue what became of the picked markets, store what changed, and score what was committed to in time.

    Twice is once: what did not change is not stored again. Raises StudyError, ProspectiveError, FetchError, DataError,
    LedgerError; each group of markets is stored as it comes.
    """
    loaded, rule = prospective_study(study_path)
    clock = clock_of(rule, now)
    with writer(ledger, f"coordeval resolve {loaded.study.name}") as opened:
        result: Resolved = guard.run(_step(loaded, rule, opened, opened.path, clock, say, patience, transport))
    return result


async def _step(
    loaded: LoadedStudy,
    rule: OpenMarkets,
    ledger: Ledger,
    path: Path,
    clock: Any,
    say: Say,
    patience: Patience | None,
    transport: Any,
) -> Resolved:
    reader, at = read(path), clock()
    picked = reader.query(_PICKED, [loaded.id]).to_dicts()
    asked = {row["market_id"]: row for row in picked if _is_asked(row, at)}
    changed, notes = 0, list[str]()
    if asked:
        async with source_of(rule, ledger, patience=patience, transport=transport) as source:
            for start in range(0, len(asked), _AT_ONCE):
                some = dict(list(asked.items())[start : start + _AT_ONCE])
                more, said = await _ask(ledger, loaded, source, some, clock)
                changed, notes = changed + more, notes + said
    if changed:
        picked = reader.query(_PICKED, [loaded.id]).to_dicts()
    late = [
        (row["market_id"], f"market {row['market_id']}: {OVERDUE.days} days after its announced deadline it has no outcome")
        for row in picked
        if _overdue(row, at)
    ]
    notes += found(ledger, loaded.id, "overdue", late, at, "warning")
    for note in notes:
        say(note)
    return _told(reader, loaded, picked, at, asked=len(asked), changed=changed, notes=notes)


def _is_asked(row: dict[str, Any], at: datetime) -> bool:
    return row["status"] not in _FINAL or at - max(row["resolved_at"] or row["recorded_at"], row["recorded_at"]) < RECHECK


def _overdue(row: dict[str, Any], at: datetime) -> bool:
    return row["status"] not in _FINAL and at - row["closes_at"] > OVERDUE


async def _ask(
    ledger: Ledger, loaded: LoadedStudy, source: OpenSource, some: dict[str, dict[str, Any]], clock: Any
) -> tuple[int, list[str]]:
    """(outcomes that changed, what is odd and was not said before)."""
    facts = {market_id: orjson.loads(row["facts"] or "{}") for market_id, row in some.items()}
    endings = await source.endings(facts, clock())
    at = clock()
    rows = [
        {**row_of(ending.outcome), "evidence": ending.evidence, "recorded_at": at}
        for market_id, ending in endings.items()
        if _differs(some[market_id], ending)
    ]
    changed = ledger.write("outcomes", rows) if rows else 0
    notes = list[str]()
    odd: dict[str, list[tuple[str, str]]] = {}
    for market_id, ending in endings.items():
        for kind, said in _odd(some[market_id], ending, at):
            odd.setdefault(kind, []).append((market_id, f"market {market_id}: {said}"))
    for kind, items in odd.items():
        notes += found(ledger, loaded.id, kind, items, at, "warning")
    return changed, notes


def _differs(row: dict[str, Any], ending: Ending) -> bool:
    outcome = ending.outcome
    return (outcome.status, outcome.value, outcome.resolved_at) != (row["status"], row["value"], row["resolved_at"])


def _odd(row: dict[str, Any], ending: Ending, at: datetime) -> list[tuple[str, str]]:
    """(kind of finding, what is odd) about how a market ended."""
    outcome, said = ending.outcome, list[tuple[str, str]]()
    if ending.gone:
        said.append(("deleted", f"{outcome.reason}; what was forecast of it stays, and is not scored"))
    elif row["status"] == "resolved" and outcome.status != "resolved":
        said.append(("un-resolved", f"the venue took its resolution back ({outcome.status}: {outcome.reason})"))
    elif row["status"] == "resolved" and outcome.value != row["value"]:
        said.append(("resolution changed", f"it was resolved to {row['value']} and is now resolved to {outcome.value}"))
    if outcome.status != "resolved":
        return said
    if outcome.resolved_at is not None and outcome.resolved_at > at + timedelta(minutes=5):
        said.append(
            ("clocks disagree", f"the venue says that it resolved at {outcome.resolved_at}, which is later than now")
        )
    first = min(time for time in (outcome.resolved_at, at) if time is not None)
    if row["committed_at"] is None or row["committed_at"] >= first:
        said.append(
            (
                "resolved during the forecast",
                f"it resolved at {first.astimezone(UTC):%Y-%m-%d %H:%M} UTC, before its forecasts were committed to; "
                "they are not scored",
            )
        )
    return said


def _told(
    reader: Reader,
    loaded: LoadedStudy,
    picked: list[dict[str, Any]],
    at: datetime,
    *,
    asked: int,
    changed: int,
    notes: list[str],
) -> Resolved:
    ended = [row for row in picked if row["status"] in _FINAL]
    not_scored: dict[str, int] = {}
    scored = 0
    for row in ended:
        reason = _unscored(row)
        scored += not reason
        if reason:
            not_scored[reason] = not_scored.get(reason, 0) + 1
    rows = reader.query(_BRIER, [loaded.id])
    arms = {
        arm.name: dict(rows.filter(arm=arm.name).select("configuration", "brier").iter_rows()) for arm in loaded.compared
    }
    return Resolved(
        study=loaded.study.name,
        study_id=loaded.id,
        at=at,
        picked=len(picked),
        asked=asked,
        changed=changed,
        awaiting=len(picked) - len(ended),
        scored=scored,
        not_scored=not_scored,
        overdue=sum(_overdue(row, at) for row in picked),
        brier=arms[loaded.compared[0].name],
        arms=arms if len(arms) > 1 else {},
        simulated=loaded.simulated,
        notes=tuple(notes),
    )


def _unscored(row: dict[str, Any]) -> str:
    """Why a market that ended is not scored; "" where it is."""
    if row["status"] != "resolved":
        return str(row["status"]).replace("_", "-")
    ends = [time for time in (row["resolved_at"], row["recorded_at"]) if time is not None]
    late = row["committed_at"] is None or row["committed_at"] >= min(ends)
    return "resolved before they were committed to" if late else ""
