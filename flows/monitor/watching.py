"""Looks at a study, keeps what it finds as findings of the ledger, and tells each alarm once."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, cast

import orjson

from coordeval.analysis.base.arms import MAIN
from coordeval.analysis.base.numerals import counted
from coordeval.analysis.monitor import Alarm, Monitored, label, monitor, says
from coordeval.analysis.monitor.signals import KINDS
from coordeval.analysis.monitor.watching import BASELINE, LEAST, PER_FALSE_ALARM, By
from coordeval.flows.monitor.record import Recorded, record
from coordeval.flows.study.in_arms import Looked, arms_of, in_arm, one_of
from coordeval.flows.study.stored import SHORT, chosen
from coordeval.ledger import Ledger, Reader, Study, read
from coordeval.market_data.errors import CoordevalError

KIND: Final = "monitor_alarm"
"""The `kind` of its findings. `detail` is the alarm as JSON; `severity` is "alarm" while it is open, then "note"."""
EVENT: Final = "coordeval.monitor.alarm"
_STORED: Final = "SELECT finding_id, detail, created_at FROM findings WHERE study_id = ? AND kind = ? ORDER BY created_at, 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An alarm as it is, or will be, stored."""

    finding_id: str
    arm: str
    """The arm of the study that it is of."""
    alarm: Alarm
    by: By
    told_at: datetime
    note: str = ""
    """What was said when it was acknowledged."""

    def as_json(self) -> dict[str, Any]:
        alarm = self.alarm
        spoken = {name: label(self.by, getattr(alarm, name)) for name in ("begun", "since", "raised", "latest")}
        return {
            "finding_id": self.finding_id, "arm": self.arm,
            "says": says(alarm, self.by), "state": alarm.state, "kind": alarm.kind,
            **asdict(alarm), **{f"{name}_period": period for name, period in spoken.items()},
            "forecasts": list(alarm.forecasts), "by": self.by, "told_at": self.told_at, "note": self.note,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What a look at one arm of one study found: arms differ on purpose, so each has a baseline of its own."""

    study: Study
    arm: Looked
    found: Monitored
    size: int | None
    """Markets in a block; None where periods are days."""
    baseline: int | tuple[int, int]
    alarms: tuple[Kept, ...]
    """All of them, stored ones included, in the order in which they were raised."""
    new: tuple[Kept, ...]
    """Not in the ledger when it was looked at."""
    changed: tuple[Kept, ...]
    """New ones, and those that are over since."""

    @property
    def open(self) -> tuple[Kept, ...]:
        return tuple(kept for kept in self.alarms if kept.alarm.state == "open")

    def events(self) -> list[dict[str, Any]]:
        """One event per new alarm: what `prefect.events.emit_event` takes by name."""
        return [
            {
                "event": EVENT,
                "resource": {
                    "prefect.resource.id": f"coordeval.study.{self.study.study_id[:SHORT]}",
                    "prefect.resource.name": self.study.name,
                    "coordeval.arm": kept.arm,
                    "coordeval.configuration": kept.alarm.configuration,
                    "coordeval.signal": kept.alarm.signal,
                },
                "payload": orjson.loads(orjson.dumps(kept.as_json())),
            }
            for kept in self.new
        ]

    def as_json(self) -> dict[str, Any]:
        streams = self.found.streams
        window = self.baseline
        return {
            "study": self.study.name,
            "study_id": self.study.study_id,
            "arm": self.arm.arm,
            "simulated": self.study.simulated,
            "periods": self.found.by,
            "markets_in_a_block": self.size,
            "baseline": window if isinstance(window, int) else [label(self.found.by, end) for end in window],
            "periods_per_false_alarm": PER_FALSE_ALARM,
            "evidence_needed": self.found.needed,
            "seed": self.found.seed,
            "signals": streams.to_dicts(),
            "alarms": [kept.as_json() for kept in self.alarms],
            "new": [kept.finding_id for kept in self.new],
        }


def look(
    reader: Reader,
    study_id: str,
    *,
    now: datetime,
    by: By | None = None,
    baseline: int | tuple[int, int] | None = None,
    arm: str | None = None,
) -> Watched:
    """Looks at one arm of a study (`in_arms.one_of`), and stores nothing. A `baseline` that is given must leave something
    to watch.

    Raises CoordevalError for a baseline that is longer than what there is, or no window of the study.
    """
    where = one_of(reader, study_id, arm)
    with in_arm(reader, study_id, where.arm) as held:
        study = held.study(study_id)
        rows = record(held, study, now=now, by=by)
        stored = [_kept(row) for row in held.query(_STORED, [study.study_id, KIND]).to_dicts()]
    stored = [kept for kept in stored if (kept.by, kept.arm) == (rows.by, where.arm)]
    if baseline is not None:
        _check(rows, baseline)
    ended: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for kept in stored:
        if kept.alarm.state == "acknowledged":
            key = (kept.alarm.configuration, kept.alarm.signal)
            ended.setdefault(key, []).append((kept.alarm.since, kept.alarm.latest))
    found = monitor(rows.frame, by=rows.by, baseline=BASELINE if baseline is None else baseline, ended=ended)
    return _merged(study, where, found, rows.size, BASELINE if baseline is None else baseline, stored, now)


def watch(
    ledger: Path | str | Ledger,
    *,
    study: str | None,
    now: datetime,
    say: Callable[[str], None],
    by: By | None = None,
    baseline: int | tuple[int, int] | None = None,
) -> tuple[Watched, ...]:
    """Looks at every arm of a study (a file, a name or a hash; None: the one used last), stores its alarms, and says those
    that are new.

    `now`: the day that it falls on is not over and is not judged. Again the same day it says and stores nothing more.
    Raises CoordevalError for an unknown study and LedgerLocked while a run writes: then nothing is stored, and the next look
    finds the same.
    """
    reader = read(ledger.path if isinstance(ledger, Ledger) else ledger)
    study_id = chosen(reader, study)
    arms = arms_of(reader, study_id)
    every = tuple(look(reader, study_id, now=now, by=by, baseline=baseline, arm=arm) for arm in arms)
    keep(ledger, *every)
    for seen in every:
        for kept in seen.changed:
            mark = "over" if kept.alarm.state == "over" else "ALARM"
            say(f"{mark} {kept.finding_id[:SHORT]}: {says(kept.alarm, seen.found.by)}")
        say(summary(seen))
    return every


def keep(ledger: Path | str | Ledger, *every: Watched) -> None:
    """Stores what is new or over since."""
    if rows := [_row(seen.study.study_id, kept) for seen in every for kept in seen.changed]:
        if isinstance(ledger, Ledger):
            ledger.write("findings", rows)
            return
        with Ledger.open(ledger, purpose="the monitor's findings") as writer:
            writer.write("findings", rows)


def acknowledge(ledger: Path | str, finding: str, *, note: str = "") -> Kept:
    """Says of an open alarm (the start of its id) that it is known: what is now is the new baseline. Returns it as stored.

    Raises CoordevalError where no alarm, or more than one, is meant, or it is no longer open.
    """
    query = "SELECT finding_id, study_id, detail, created_at FROM findings WHERE kind = ? AND starts_with(finding_id, ?)"
    rows = read(ledger).query(query, [KIND, finding]).to_dicts() if finding else []
    if len(rows) != 1:
        how = f"{len(rows)} alarms have an id that begins so; write more of it" if rows else "there is no such alarm"
        raise CoordevalError(f"alarm {finding!r}: {how}; `coordeval monitor STUDY` lists them with their ids")
    kept = _kept(rows[0])
    if kept.alarm.state != "open":
        raise CoordevalError(f"alarm {kept.finding_id[:SHORT]} is {kept.alarm.state} already")
    done = replace(kept, alarm=replace(kept.alarm, state="acknowledged"), note=note)
    with Ledger.open(ledger, purpose="acknowledging an alarm") as writer:
        writer.write("findings", [_row(rows[0]["study_id"], done)])
    return done


def summary(seen: Watched) -> str:
    """One line: how many signals are watched, and what of them."""
    states = seen.found.streams["state"].to_list()
    watched, silent = states.count("quiet") + states.count("alarm"), states.count(None)
    most = int(cast("int | None", seen.found.streams["periods"].max()) or 0)
    where = f" in the arm {seen.arm.arm!r}" if seen.arm.others else ""
    said = f"{seen.study.name}{where}: {counted(len(seen.open), 'open alarm')} in {counted(watched, 'signal')}, "
    said += f"up to {counted(most, 'day' if seen.found.by == 'day' else 'block')} of each"
    return said + (f"; {counted(silent, 'signal')} not watched" if silent else "")


def joint_words(seen: Watched) -> str | None:
    """What no single agent's output showed; None where no alarm is open."""
    if not seen.open:
        return None
    alone = [kept.alarm for kept in seen.open if kept.alarm.alone]
    if not alone and not any(kept.alarm.kind == "joint" for kept in seen.open):
        return f"No open alarm is one of {KINDS['joint']}."
    if not alone:
        return f"Where {KINDS['joint']} have an open alarm, a single agent's output had one too."
    which = ", ".join(f"{alarm.configuration} ({alarm.signal})" for alarm in alone)
    return f"What no single agent's output showed: {which}."


def _check(rows: Recorded, baseline: int | tuple[int, int]) -> None:
    periods = rows.frame["period"].unique().sort().to_list()
    unit = "day" if rows.by == "day" else "block"
    have = f"the study has {counted(len(periods), f'complete {unit}')}"
    if periods:
        have += f" ({label(rows.by, periods[0])} to {label(rows.by, periods[-1])})"
    if isinstance(baseline, int):
        if baseline < LEAST:
            raise CoordevalError(f"a baseline of {counted(baseline, unit)} is too short: give {LEAST} or more")
        if len(periods) <= baseline:
            raise CoordevalError(
                f"a baseline of {counted(baseline, unit)} leaves nothing to watch: {have}; give a shorter one"
            )
        return
    said = " to ".join(label("day", end) for end in baseline)
    if rows.by != "day":
        raise CoordevalError(f"a baseline of dates ({said}) is for days, and {have}: give a number of blocks")
    if baseline[0] > baseline[1]:
        raise CoordevalError(f"the baseline {said} ends before it begins")
    inside = [period for period in periods if baseline[0] <= period <= baseline[1]]
    if len(inside) < LEAST:
        raise CoordevalError(
            f"the baseline {said} holds {counted(len(inside), 'day')} of it: {have}; it needs {LEAST} or more"
        )
    if baseline[1] >= periods[-1]:
        raise CoordevalError(f"the baseline {said} leaves nothing to watch: {have}; end it earlier")


def _merged(
    study: Study,
    arm: Looked,
    found: Monitored,
    size: int | None,
    baseline: int | tuple[int, int],
    stored: list[Kept],
    now: datetime,
) -> Watched:
    """Each alarm that was found is the stored one that it overlaps, or a new one; a stored one is never taken back."""
    left = list(stored)
    alarms: list[Kept] = []
    new: list[Kept] = []
    changed: list[Kept] = []
    for alarm in found.alarms:
        known = next((kept for kept in left if _same(kept.alarm, alarm)), None)
        if known is None:
            kept = Kept(
                finding_id=_id(study.study_id, arm.arm, alarm, found.by), arm=arm.arm, alarm=alarm, by=found.by, told_at=now
            )
            new.append(kept)
            changed.append(kept)
        else:
            left.remove(known)
            over = known.alarm.state == "open" and alarm.state == "over"
            kept = known
            if over:
                kept = replace(known, alarm=replace(known.alarm, state="over", latest=alarm.latest, after=alarm.after))
                changed.append(kept)
            elif known.alarm.state == "open":
                kept = replace(known, alarm=replace(known.alarm, latest=alarm.latest, after=alarm.after))
        alarms.append(kept)
    alarms += left
    alarms.sort(key=lambda kept: (kept.alarm.raised, kept.alarm.configuration, kept.alarm.signal))
    return Watched(
        study=study,
        arm=arm,
        found=found,
        size=size,
        baseline=baseline,
        alarms=tuple(alarms),
        new=tuple(new),
        changed=tuple(changed),
    )


def _same(known: Alarm, alarm: Alarm) -> bool:
    of = (known.configuration, known.signal) == (alarm.configuration, alarm.signal)
    return of and known.since <= alarm.latest and alarm.since <= known.latest


def _id(study_id: str, arm: str, alarm: Alarm, by: By) -> str:
    where = () if arm == MAIN else (arm,)  # an alarm from before there were arms keeps its id
    text = "|".join(("monitor/1", study_id, *where, by, alarm.configuration, alarm.signal, str(alarm.since)))
    return hashlib.sha256(text.encode()).hexdigest()


def _row(study_id: str, kept: Kept) -> dict[str, Any]:
    severity = "alarm" if kept.alarm.state == "open" else "note"
    row = {"finding_id": kept.finding_id, "study_id": study_id, "kind": KIND, "severity": severity}
    return row | {"detail": orjson.dumps(kept.as_json(), option=orjson.OPT_SORT_KEYS).decode(), "created_at": kept.told_at}


def _kept(row: Mapping[str, Any]) -> Kept:
    detail = orjson.loads(row["detail"])
    fields = {name: detail[name] for name in Alarm.__dataclass_fields__}
    alarm = Alarm(**{**fields, "forecasts": tuple(detail["forecasts"])})
    return Kept(
        finding_id=row["finding_id"],
        arm=detail.get("arm", MAIN),
        alarm=alarm,
        by=detail["by"],
        told_at=row["created_at"],
        note=detail.get("note", ""),
    )
