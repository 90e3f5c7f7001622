"""`monitor`: whether a study's agents still work together as they did, looked at once a day."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

from coordeval.analysis.base.numerals import counted
from coordeval.flows.jobs.job import Done, Job, Say
from coordeval.flows.monitor.watching import summary, watch


def look(study: Path | None, ledger: Path, *, day: date, now: datetime, say: Say, **options: Any) -> Done:
    """Holds every signal against its baseline. A new alarm is a finding of the ledger, and is told once."""
    assert study is not None
    seen = watch(ledger, study=str(study), now=now, say=say)
    new = sum(len(one.new) for one in seen)
    said = f"{counted(new, 'new alarm')}; " if new else ""
    return Done(said=said + "; ".join(map(summary, seen)), alarms=[event for one in seen for event in one.events()])


JOB = Job(
    name="monitor",
    about="Looks whether a study's agents still work together as they did; an alarm is a finding and an event.",
    do=look,
    cron="30 7 * * *",
    of="study",
    catch_up="last",
)
