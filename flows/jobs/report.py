"""`report`: a study's report, written anew from what is stored."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

from coordeval.flows.jobs.job import Done, Job, Say
from coordeval.flows.run.scoring import report_directory, score
from coordeval.flows.study.stored import chosen
from coordeval.ledger import read


def report(study: Path | None, ledger: Path, *, day: date, now: datetime, say: Say, **options: Any) -> Done:
    """The page and results.json of the study as it stands; nothing is asked and nothing is stored in the ledger."""
    assert study is not None
    made = score(ledger, chosen(read(ledger), str(study)))
    page = made.write(report_directory(ledger, made)).absolute()
    say(f"wrote {page}")
    return Done(said=made.headline[0], report=made, page=page)


JOB = Job(
    name="report",
    about="Writes a study's report anew from what is stored.",
    do=report,
    cron="0 8 * * *",
    of="study",
    catch_up="last",
    writes=False,
)
