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
    new = f"{counted(len(seen.new), 'new alarm')}; " if seen.new else ""
    return Done(said=f"{new}{summary(seen)}", alarms=seen.events())


JOB = Job(
    name="monitor",
    about="Looks whether a study's agents still work together as they did; an alarm is a finding and an event.",
    do=look,
    cron="30 7 * * *",
    of="study",
    catch_up="last",
)
