"""A wake-up: whatever caused it, the days that a job has to do are done, each once, and nothing else happens."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from coordeval.analysis.base.numerals import counted
from coordeval.flows.jobs.job import Done, Job, Say
from coordeval.flows.schedule.days import claim, day_of, due, miss
from coordeval.flows.study.study import load_study
from coordeval.market_data.errors import CoordevalError


@dataclass(slots=True)
class Woken:
    """What came of a wake-up."""

    job: str
    study: str
    """What its days are counted for: see `key_of`."""
    done: dict[date, Done] = field(default_factory=dict)
    missed: list[date] = field(default_factory=list)
    """Days that nothing woke, and that are stated as not done any more: a later one covers them, or their time is over."""
    taken: list[date] = field(default_factory=list)
    """Days that another process is at, or did meanwhile."""

    def said(self) -> str:
        """One line."""
        parts = [done.said if done.said.startswith(str(day)) else f"{day}: {done.said}" for day, done in self.done.items()]
        if self.missed:
            parts.append(f"{counted(len(self.missed), 'missed day')} before that")
        if self.taken:
            parts.append(f"{', '.join(map(str, self.taken))}: another process is at it")
        return "; ".join(part.rstrip(".") for part in parts) or "every day is done already"

    def as_json(self) -> dict[str, Any]:
        """Plain values, for `--json`."""
        done = {str(day): {"said": did.said, "page": did.page, "alarms": list(did.alarms)} for day, did in self.done.items()}
        return {"job": self.job, "study": self.study, "done": done, "missed": self.missed, "taken": self.taken}


def wake(
    job: Job,
    study: Path | None,
    ledger: Path,
    *,
    now: datetime,
    say: Say,
    by: str = "",
    since: date | None = None,
    options: Mapping[str, Any] | None = None,
) -> Woken:
    """Does the days that are due, oldest first; where the last covers the others, or the past is over, the last alone.

    `since` makes the days from then on due as well. A wake-up too many returns at once. Raises what ended a day: the days
    before it are done, it is failed with that reason, and the days after it are due at the next wake-up.
    """
    given = {**job.options, **(options or {})}
    key, wrong = key_of(job, study, given)
    made = Woken(job.name, key)
    days = due(ledger, job.name, key, now, since=since)
    past: list[date] = []
    if job.catch_up != "each":  # today alone is done; where it is done already, what is left is only to be stated
        past, days = [day for day in days if day < day_of(now)], [day for day in days if day == day_of(now)]
    for day in days:
        with claim(ledger, job.name, key, day, now=now, by=by) as mine:
            if mine is None:
                made.taken.append(day)
                continue
            if wrong is not None:
                raise wrong
            made.done[day] = job.do(study, ledger, day=day, now=now, say=say, **given)
            mine.said = made.done[day].said
    if past and not made.taken:
        why = "its time is over" if job.catch_up == "never" else f"the one of {day_of(now)} covers it"
        made.missed = past
        miss(ledger, job.name, key, past, now=now, why=f"nothing woke it; {why}", by=by, found=False)
    return made


def key_of(job: Job, study: Path | None, options: Mapping[str, Any]) -> tuple[str, Exception | None]:
    """(what the job's days are counted for, what is wrong with the study): the study's id or, where its file cannot be read,
    the file's name, so that this is kept too; of a venue its name, and the stand-in in its place."""
    if job.of == "venue":
        return options["source"] + (f" at {options['base_url']}" if options.get("base_url") else ""), None
    if study is None:
        raise CoordevalError(f"{job.name}: it is done for a study; give a study file, such as studies/embedded.toml")
    try:
        return load_study(study).id, None
    except (CoordevalError, OSError) as error:
        return str(study), error
