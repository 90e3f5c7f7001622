"""All jobs. A new one is a module of this room and a line here."""

from collections.abc import Mapping
from typing import Final

from coordeval.flows.jobs import monitor, open_markets, pull, report
from coordeval.flows.jobs.job import Job
from coordeval.market_data.errors import CoordevalError, choose

JOBS: Final[Mapping[str, Job]] = {
    job.name: job for job in (pull.JOB, open_markets.FORECAST, open_markets.RESOLVE, monitor.JOB, report.JOB)
}


def job_of(name: str) -> Job:
    """Raises CoordevalError naming the jobs that there are."""
    if name not in JOBS:
        raise CoordevalError(choose("job", name, list(JOBS)))
    return JOBS[name]
