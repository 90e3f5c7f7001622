"""Today's forecasts of a prospective study: pick, ask, commit. A day is a key: twice on a day is once.

The past is not forecast. A day on which nobody asked is missed and stays so; what a day left unanswered stays so once the
next one has begun, and is committed to as that.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

from coordeval.agents.messages import Model
from coordeval.flows.costs.consent import JOB, Door, agreed
from coordeval.flows.costs.quote import Quote, quote
from coordeval.flows.prospective.committing import commit
from coordeval.flows.prospective.ground import (
    Clock,
    ProspectiveError,
    Say,
    clock_of,
    found,
    prospective_study,
    silent,
    source_of,
    writer,
)
from coordeval.flows.prospective.picking import NOT_OPENED, pick, picked_before
from coordeval.flows.run import guard
from coordeval.flows.run.ending import End
from coordeval.flows.run.gathering import gather
from coordeval.flows.run.planning import plan
from coordeval.flows.run.run import recorded
from coordeval.flows.run.spending import Spending
from coordeval.flows.run.stopping import Stop
from coordeval.flows.run.window import Watch, run_chunks
from coordeval.flows.study.evaluation import Evaluation, open_evaluation
from coordeval.flows.study.open_markets import OpenMarkets
from coordeval.flows.study.study import LoadedStudy
from coordeval.ledger import Ledger, Reader, read
from coordeval.ledger.commitments import day_roots
from coordeval.market_data.http import Patience

Agree = Callable[[LoadedStudy, Path, Callable[[], Quote]], object]
"""Of a study, its ledger and what makes the quote of a day: returns once somebody said yes, else raises NotAgreed."""
State = Literal["complete", "incomplete", "unanswered", "nothing to forecast", "done before"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a day's step left behind."""

    study: str
    study_id: str
    day: str
    status: State
    listed: int
    picked: int
    left_out: dict[str, int]
    answered: int
    failed: int
    open: int
    made: int
    """Forecasts that this very step stored."""
    root: str | None
    """What can be published now, before any outcome; None: forecasts are open, and the same command goes on with them."""
    committed_at: datetime | None
    simulated: bool
    missed: tuple[str, ...] = ()
    """Days since the first on which nothing was forecast."""
    notes: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def words(self) -> str:
        """One sentence."""
        day = f"{self.day}: "
        if self.status == "done before":
            return f"{day}done before, {self.picked} markets; root {self.root}"
        if self.status == "nothing to forecast":
            return f"{day}no market of {self.listed} is to be forecast by the study's rule; root {self.root}"
        counts = (
            f"{self.picked} of {self.listed} open markets, {self.answered} answered, {self.failed} failed, {self.open} open"
        )
        return f"{day}{self.status}, {counts}; {f'root {self.root}' if self.root else 'not committed to yet'}"


def forecast_open(
    study_path: Path | str | LoadedStudy,
    ledger: Path | str | Ledger,
    *,
    now: datetime,
    say: Say = silent,
    patience: Patience | None = None,
    transport: Any = None,
    stop: Stop | None = None,
    model: Model | None = None,
    agree: Agree | None = None,
) -> Opened:
    """Make the forecasts of the day that `now` lies in, and commit to them. What is there already is not asked again.

    `model` answers in place of the study's own, for test benches. `agree` raises NotAgreed unless somebody says yes to what
    the day may cost; without it only a bound in the study file does.

    `now` must be the present, but for the simulated venue. Raises StudyError, ProspectiveError (a clock that runs back),
    FetchError, DataError, LedgerError; what was stored until then stays, and the same call goes on with it.
    """
    loaded, rule = prospective_study(study_path)
    clock = clock_of(rule, now)
    day = clock().astimezone(UTC).date().isoformat()
    with writer(ledger, f"coordeval forecast-open {loaded.study.name}") as opened:
        if model is None and loaded.money == "paid":
            _agreed(loaded, opened, day, agree or _by_a_bound(say))
        work = _step(loaded, rule, opened, opened.path, clock, day, say, patience, transport, stop or Stop(), model)
        result: Opened = guard.run(work)
    return result


async def _step(
    loaded: LoadedStudy,
    rule: OpenMarkets,
    ledger: Ledger,
    path: Path,
    clock: Clock,
    day: str,
    say: Say,
    patience: Patience | None,
    transport: Any,
    stop: Stop,
    model: Model | None,
) -> Opened:
    reader = read(path)
    days = day_roots(reader, loaded.id)
    _not_back(ledger, loaded, days, clock())
    notes = _sealed(ledger, reader, loaded, days, day, clock)
    missed = missed_days([row["day"] for row in days], day)
    lost = [(one, f"{one}: nothing was forecast on this day, and a day that is past is not forecast") for one in missed]
    notes += found(ledger, loaded.id, "missed day", lost, clock(), "warning")
    for note in notes:
        say(note)
    today = next((row for row in days if row["day"] == day), None)
    if today is not None and today["root"] is not None:
        return _opened(loaded, reader, day, today, "done before", missed, notes, made=0)
    evaluation = open_evaluation(loaded, path, ledger, clock, model)
    if today is None:
        async with source_of(rule, ledger, patience=patience, transport=transport) as source:
            picked = await pick(evaluation, ledger, source, rule, clock, day)
        market_ids: tuple[str, ...] = picked.market_ids
        if unopened := picked.left_out.get(NOT_OPENED, 0):
            said = (
                f"{day}: {unopened} markets open later than now by their venue, so the clocks disagree; they were left out"
            )
            notes += found(ledger, loaded.id, "clocks disagree", [(day, said)], clock(), "warning")
    else:
        market_ids = picked_before(reader, loaded.id, day)
    status: State = "nothing to forecast"
    made = 0
    if market_ids:
        evaluation.made_up = evaluation.made_up or _made_up(reader, market_ids)
        command = f"coordeval forecast-open {loaded.study.name}"
        work = partial(_made, evaluation, market_ids, stop, patience, transport)
        with stop.attached():
            end: End = await recorded(evaluation, Said(say), stop, command, work, market_ids)
        status, made = _state(end), end.made
    if status != "incomplete":
        commit(ledger, reader, loaded, day, clock())
    [today] = [row for row in day_roots(reader, loaded.id) if row["day"] == day]
    return _opened(loaded, reader, day, today, status, missed, notes, made=made)


async def _made(
    evaluation: Evaluation,
    market_ids: Sequence[str],
    stop: Stop,
    patience: Patience | None,
    transport: Any,
    spending: Spending,
) -> None:
    await gather(evaluation, market_ids, patience=patience, transport=transport)
    planned = plan(evaluation, market_ids)

    def counted(row: Any) -> None:
        spending.made += 1

    await run_chunks(evaluation, planned.chunks, watch=Watch(on_forecast=counted), store=spending, stop=stop)


def _agreed(loaded: LoadedStudy, ledger: Ledger, day: str, agree: Agree) -> None:
    """Before the day's markets are picked: a day that was refused has picked none."""
    reader = read(ledger.path)
    today = next((row for row in day_roots(reader, loaded.id) if row["day"] == day), None)
    if today is not None and today["root"] is not None:
        return
    left = None if today is None else int(reader.query(_LEFT, [loaded.id, day]).item())
    if left != 0:
        agree(loaded, ledger.path, lambda: quote(loaded, ledger.path, markets=left))


def _by_a_bound(say: Say) -> Agree:
    door = Door(how=JOB, bound_is_yes=True)
    return lambda loaded, path, expected: agreed(loaded, path, Said(say), door, expected=expected)


class Said:
    """A console of which only the words are wanted."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def print(self, text: object, **style: Any) -> None:
        self._say(str(text))


def _state(end: End) -> State:
    return end.status if end.status in ("complete", "unanswered") else "incomplete"


def _not_back(ledger: Ledger, loaded: LoadedStudy, days: list[dict[str, Any]], at: datetime) -> None:
    """Raises ProspectiveError, and stores a finding, where a later time than now is in the ledger already."""
    times = [time for row in days for time in (row["as_of"], row["committed_at"]) if time is not None]
    if not times or max(times) <= at:
        return
    said = (
        f"now is {at:%Y-%m-%d %H:%M:%S} UTC, but this study was forecast at {max(times):%Y-%m-%d %H:%M:%S} UTC already: "
        " a clock runs back or is wrong, and nothing is forecast before its turn; set the clock right"
    )
    found(ledger, loaded.id, "clocks disagree", [(str(at), said)], at, "error")
    raise ProspectiveError(said)


def _sealed(
    ledger: Ledger, reader: Reader, loaded: LoadedStudy, days: list[dict[str, Any]], day: str, clock: Clock
) -> list[str]:
    """Commit to days that were left open: as they are, late, and said so."""
    late = [row for row in days if row["root"] is None and row["day"] < day]
    for row in late:
        commit(ledger, reader, loaded, row["day"], clock())
    said = [
        (
            row["day"],
            f"{row['day']}: committed to only now ({clock():%Y-%m-%d %H:%M} UTC), with what it had answered by then",
        )
        for row in late
    ]
    return found(ledger, loaded.id, "committed late", said, clock(), "warning")


def missed_days(days: Sequence[str], today: str) -> tuple[str, ...]:
    """Days from the first to the one before `today` that are not among `days`, oldest first."""
    if not days:
        return ()
    there, at = set(days), date.fromisoformat(min(days))
    span = (date.fromisoformat(today) - at).days
    every = (str(at + timedelta(days=n)) for n in range(span))
    return tuple(one for one in every if one not in there)


def _made_up(reader: Reader, market_ids: Sequence[str]) -> bool:
    sql = "SELECT bool_or(simulated) FROM markets SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS market_id) USING (market_id)"
    return bool(reader.query(sql, [list(market_ids)]).item())


_LEFT = """
    SELECT count(DISTINCT p.market_id) FROM picks p LEFT JOIN cells c USING (study_id, market_id)
        LEFT JOIN forecasts f USING (forecast_id)
    WHERE p.study_id = ? AND p.day = ? AND (f.status IS NULL OR (f.status = 'failed' AND f.retryable))
"""
_COUNTS = """
    SELECT count(*) FILTER (f.status = 'answered') AS answered, count(*) FILTER (f.status = 'failed') AS failed,
        count(*) FILTER (f.status IS NULL) AS open
    FROM picks p JOIN cells c ON c.study_id = p.study_id AND c.market_id = p.market_id
        LEFT JOIN forecasts f ON f.forecast_id = c.forecast_id
    WHERE p.study_id = ? AND p.day = ?
"""


def _opened(
    loaded: LoadedStudy,
    reader: Reader,
    day: str,
    row: dict[str, Any],
    status: State,
    missed: tuple[str, ...],
    notes: list[str],
    *,
    made: int,
) -> Opened:
    answered, failed, open_ = reader.query(_COUNTS, [loaded.id, day]).row(0)
    return Opened(
        study=loaded.study.name,
        study_id=loaded.id,
        day=day,
        status=status,
        listed=row["listed"],
        picked=row["picked"],
        left_out=row["left_out"],
        answered=answered,
        failed=failed,
        open=open_,
        made=made,
        root=row["root"],
        committed_at=row["committed_at"],
        simulated=loaded.simulated,
        missed=missed,
        notes=tuple(notes),
    )
