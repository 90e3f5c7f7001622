"""A stand-in for time: days of a prospective study one after the other on a ledger of its own, with a monitor that looks on.

Every day runs what a schedule would run: forecast what is open, resolve and score; and now and then look at how the agents
work. Days can be missed. On planted days the agents are worse (`planted`), which the monitor has to find; without any it has
to be silent. The monitor judges each day by those before it, so how often it looks changes nothing in what it finds.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from coordeval.analysis.base.numerals import counted
from coordeval.analysis.monitor import Alarm
from coordeval.flows.monitor import Watched, watch
from coordeval.flows.prospective.committing import changed_since
from coordeval.flows.prospective.daily import forecast_day, resolve_day
from coordeval.flows.prospective.ground import Say, silent
from coordeval.flows.prospective.planted import Finding, Planted, Told, findings, model_of
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, read
from coordeval.ledger.commitments import day_proof, day_roots, verify
from coordeval.ledger.database import kept_open

START: Final = datetime(2026, 1, 1, 9, tzinfo=UTC)
STUDY: Final = """\
name = "year"
replicates = 1
configurations = [
    "market_price",
    "single_agent",
    {{ name = "peer_critique_debate", agents = 2, rounds = 1 }},
    {{ name = "consensus_alignment", agents = 2, rounds = 4 }},
]

[markets]
source = "open"
venue = "simulated"
per_day = 2
seed = {seed}

[model]
provider = "simulated"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """What a simulated stretch of days came to."""

    days: int
    forecast: int
    """Days on which forecasts were committed to."""
    missed: int
    picked: int
    scored: int
    awaiting: int
    not_scored: Mapping[str, int]
    forecasts: int
    brier: Mapping[str, float]
    alarms: tuple[Told, ...]
    """What the monitor said."""
    found: tuple[Finding, ...]
    """What became of each planted fault."""
    roots: int
    """Roots that hold the one before, and whose leaves the ledger still says."""
    seconds: Mapping[str, float]
    """Wall time of each step over all days."""
    cpu: float
    """Seconds of CPU, of all of it."""
    problems: tuple[str, ...]
    """What must not be; empty."""

    def as_json(self) -> dict[str, Any]:
        """Plain values, for `--json`."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("alarms", "found")}
        faults = [
            {"fault": one.planted.fault.name, "first": one.planted.first, "last": one.planted.last, "delay": one.delay,
             "signals": list(dict.fromkeys(told.signal for told in one.told))}
            for one in self.found
        ]  # fmt: skip
        return {**plain, "alarms": [asdict(one) for one in self.alarms], "faults": faults}

    def lines(self) -> list[str]:
        """For people."""
        brier = ", ".join(f"{name} {value:.4f}" for name, value in sorted(self.brier.items(), key=lambda pair: pair[1]))
        spent = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.seconds.items())
        return [
            f"SIMULATED: {self.days} days, {self.forecast} forecast and committed to, {self.missed} missed",
            f"  {self.picked} markets, {self.forecasts} forecasts; {self.scored} markets scored, {self.awaiting} awaiting",
            f"  {self.roots} roots, each holding the one before; every leaf holds; "
            f"{counted(len(self.alarms), 'alarm')} of the monitor, {counted(len(self.found), 'fault')} planted",
            *(finding.line() for finding in self.found),
            f"  Brier scores: {brier or 'nothing has resolved yet'}",
            f"  {sum(self.seconds.values()):.1f} s ({self.cpu:.1f} s of CPU), {1000 * self.per_day:.0f} ms a day: {spent}",
            *(f"  PROBLEM: {problem}" for problem in self.problems),
        ]

    @property
    def per_day(self) -> float:
        return sum(self.seconds.values()) / self.days


def year(
    folder: Path,
    *,
    days: int = 365,
    seed: int = 1,
    missed: Collection[int] = (),
    plan: Sequence[Planted] = (),
    every: int = 7,
    say: Say = silent,
) -> Year:
    """Run `days` days in `folder` (study and ledger are made there); those with a number in `missed` nobody wakes.

    `plan`: what goes wrong, and when. The monitor looks on `every` so manieth day.
    """
    study, ledger = folder / "year.toml", folder / "coordeval.duckdb"
    study.write_text(STUDY.format(seed=seed), encoding="utf-8")
    seconds = dict.fromkeys(("forecast and commit", "resolve and score", "monitor"), 0.0)
    loaded = load_study(study)
    cpu = time.process_time()
    with Ledger.open(ledger, purpose="a simulated year") as book, kept_open(ledger):
        for n in range(days):
            if n in missed:
                continue
            now = START + timedelta(days=n)
            began = time.perf_counter()
            forecast_day(loaded, book, now=now, by="a simulated year", model=model_of(plan, n))
            made = time.perf_counter()
            resolve_day(loaded, book, now=now + timedelta(hours=1), by="a simulated year")
            resolved = time.perf_counter()
            if n % every == every - 1:
                watch(book, study="year", now=now + timedelta(hours=2), say=silent)
            seconds["forecast and commit"] += made - began
            seconds["resolve and score"] += resolved - made
            seconds["monitor"] += time.perf_counter() - resolved
            if n % 30 == 29:
                say(f"{n + 1} of {days} days, {sum(seconds.values()):.0f} s")
        last = resolve_day(loaded, book, now=START + timedelta(days=days))
        (seen,) = watch(book, study="year", now=START + timedelta(days=days, hours=2), say=silent)
        return _told(ledger, last, days, missed, plan, seen, seconds, time.process_time() - cpu)


def _told(
    ledger: Path,
    last: Any,
    days: int,
    missed: Collection[int],
    plan: Sequence[Planted],
    seen: Watched,
    seconds: Mapping[str, float],
    cpu: float,
) -> Year:
    reader = read(ledger)
    rows = day_roots(reader, last.study_id)
    problems = [f"{row['day']}: no root" for row in rows if row["root"] is None]
    previous = None
    for row in rows:
        if verify(day_proof(reader, last.study_id, row["day"]))["previous"] != previous:
            problems.append(f"{row['day']}: its root does not hold the one before")
        previous = row["root"]
    problems += [f"{row['forecast_id'][:12]} was changed" for row in changed_since(reader, last.study_id)]
    absent = len([n for n in missed if 0 < n < days])
    if len(rows) != days - len(missed):
        problems.append(f"{len(rows)} days were forecast, not {days - len(missed)}")
    cells = reader.query("SELECT count(*), count(DISTINCT forecast_id) FROM cells").row(0)
    if cells[0] != cells[1]:
        problems.append(f"{cells[0]} cells share {cells[1]} forecasts")
    alarms = [_alarm(kept.alarm) for kept in seen.alarms]
    found, unexplained = findings(plan, alarms)
    problems += [f"{one.planted.fault.name}: the monitor did not find it" for one in found if one.delay is None]
    problems += [
        f"{one.configuration}: the monitor told of {one.signal} on day {one.raised}, when nothing had gone wrong"
        for one in unexplained
    ]
    stated = reader.query("SELECT count(*) FROM days WHERE job = 'forecast-open' AND status = 'missed'").item()
    if stated != absent:
        problems.append(f"{stated} days are stated as missed, not {absent}")
    return Year(
        days=days,
        forecast=len(rows),
        missed=stated,
        picked=last.picked,
        scored=last.scored,
        awaiting=last.awaiting,
        not_scored=last.not_scored,
        forecasts=reader.query("SELECT count(*) FROM forecasts").item(),
        brier=last.brier,
        alarms=tuple(alarms),
        found=found,
        roots=len(rows),
        seconds=dict(seconds),
        cpu=cpu,
        problems=tuple(problems),
    )


def _alarm(alarm: Alarm) -> Told:
    first = (START.date() - date(1970, 1, 1)).days
    return Told(
        configuration=alarm.configuration,
        signal=alarm.signal,
        kind=alarm.kind,
        since=alarm.since - first,
        raised=alarm.raised - first,
        state=alarm.state,
    )
