"""The scheduled flows: Prefect wakes, shows and alarms; what is done, and for which days, is decided by the ledger.

Each flow is one process without tasks. It gives a job its parameters and says how it ended: Completed with a sentence, or
Failed with one; what may pass by itself (another writer, a venue or disk that refuses) is retried. Prefect's API may go
away meanwhile: the job goes on, and the ledger has all of it.
"""

import atexit
import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

from prefect import Flow, flow
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from pydantic import Field

from coordeval.flows.jobs.job import Done
from coordeval.flows.jobs.open_markets import DayNotOver
from coordeval.flows.jobs.table import job_of
from coordeval.flows.jobs.wake import wake
from coordeval.flows.orchestration.artifacts import shown
from coordeval.flows.orchestration.deployments import RETRIES, RETRY_SECONDS
from coordeval.flows.orchestration.names import ledger_tag
from coordeval.flows.terminal import Terminal, silence
from coordeval.ledger import LedgerBusy, LedgerLocked, LedgerWriteError
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.http import FetchError

PASSING = (LedgerLocked, LedgerBusy, LedgerWriteError, FetchError, DayNotOver)
"""What may be over after a while; anything else fails at once, because it would fail again."""

Days = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(ge=0)]
# Prefect's form takes the words beside a parameter from "Args:", and its bounds from the type.


@flow(name="pull-markets", retries=RETRIES, retry_delay_seconds=RETRY_SECONDS, persist_result=False)
def pull_markets(
    ledger: str,
    source: str = "polymarket",
    days_back: Days = 3,
    min_volume: Amount = 0.0,
    prices: Amount = 15.0,
    contact: str = "",
    base_url: str | None = None,
    since: date | None = None,
) -> State[Any]:
    """Reads what resolved at a venue into the ledger, with prices, each day the days before it.

    Args:
        ledger: The DuckDB file that holds everything, as a path on the machine that runs this.
        source: A venue, as `coordeval markets sources` lists them.
        days_back: How many whole days before each day are read.
        min_volume: In the venue's own unit.
        prices: Days of prices before each market closed; 0 for none.
        contact: How the venue reaches you, for the User-Agent.
        base_url: A stand-in instead of the venue.
        since: Backfill, every day from this one on that is not done (UTC).
    """
    options = {"source": source, "days_back": days_back, "min_volume": min_volume, "prices": prices}
    return woken("pull-markets", None, ledger, since, options | {"contact": contact, "base_url": base_url})


@flow(name="report", retries=RETRIES, retry_delay_seconds=RETRY_SECONDS, persist_result=False)
def report(study: str, ledger: str, since: date | None = None) -> State[Any]:
    """Writes a study's report anew from what is stored, and shows its leaderboard here.

    Args:
        study: The study file, as a path on the machine that runs this.
        ledger: The DuckDB file that holds everything, as a path on that machine.
        since: Backfill, every day from this one on that is not done (UTC).
    """
    return woken("report", study, ledger, since)


@flow(name="forecast-open", retries=RETRIES, retry_delay_seconds=RETRY_SECONDS, persist_result=False)
def forecast_open(study: str, ledger: str, max_usd: Amount | None = None) -> State[Any]:
    """Forecasts markets that are open now, and commits to the forecasts before their outcome exists.

    Args:
        study: The study file, as a path on the machine that runs this.
        ledger: The DuckDB file that holds everything, as a path on that machine.
        max_usd: What all of the study may cost; a model that costs money needs it, or a budget in the study file.
    """
    return woken("forecast-open", study, ledger, options={"max_usd": max_usd})


@flow(name="resolve-and-score", retries=RETRIES, retry_delay_seconds=RETRY_SECONDS, persist_result=False)
def resolve_and_score(study: str, ledger: str) -> State[Any]:
    """Asks the venue what became of the markets that were forecast, and scores the forecasts.

    Args:
        study: The study file, as a path on the machine that runs this.
        ledger: The DuckDB file that holds everything, as a path on that machine.
    """
    return woken("resolve-and-score", study, ledger)


@flow(name="monitor", retries=RETRIES, retry_delay_seconds=RETRY_SECONDS, persist_result=False)
def monitor(study: str, ledger: str, since: date | None = None) -> State[Any]:
    """Looks whether a study's agents still work together as they did; an alarm is a finding and an event.

    Args:
        study: The study file, as a path on the machine that runs this.
        ledger: The DuckDB file that holds everything, as a path on that machine.
        since: Backfill, every day from this one on that is not done (UTC).
    """
    return woken("monitor", study, ledger, since)


FLOWS: Mapping[str, Flow[..., Any]] = {
    "pull-markets": pull_markets,
    "forecast-open": forecast_open,
    "resolve-and-score": resolve_and_score,
    "monitor": monitor,
    "report": report,
}
"""Job -> its flow; the flow's parameters are what Prefect's UI asks for."""


def woken(
    job: str, study: str | None, ledger: str, since: date | None = None, options: dict[str, Any] | None = None
) -> State[Any]:
    """Wakes a job now. Its end is a state with a sentence; a fault of coordeval itself is raised, with its traceback."""
    terminal = Terminal()
    if os.environ.get("PREFECT__FLOW_RUN_ID"):  # this process ends with the flow: nobody can mend what bindings say then
        atexit.register(silence, sys.stderr)
    by = f"Prefect, flow run {flow_run.name or 'without a name'}"
    path = Path(ledger)
    try:
        made = wake(
            job_of(job),
            Path(study) if study else None,
            path,
            now=datetime.now(UTC),
            say=lambda said: terminal.print(f"{job}: {said}", soft_wrap=True),
            by=by,
            since=since,
            options=options,
        )
    except (CoordevalError, OSError) as error:
        if not isinstance(error, PASSING):
            _no_retry()
        terminal.print(f"{job}: {error}", style="red", soft_wrap=True)
        return Failed(message=str(error))
    with _watched(terminal):
        for done in made.done.values():
            shown(job, done, path)
            _alarm(path, done)
    terminal.print(f"{job}: {made.said()}", soft_wrap=True)
    return Completed(message=made.said())


@contextlib.contextmanager
def _watched(terminal: Terminal) -> Iterator[None]:
    """What only serves those who watch never ends a job."""
    try:
        yield
    except Exception as error:
        said = f"Prefect could not be told ({type(error).__name__}: {error}); the ledger has all of it"
        terminal.print(said, style="yellow", soft_wrap=True)


def _alarm(ledger: Path, done: Done) -> None:
    tagged = [{"prefect.resource.id": f"prefect.tag.{ledger_tag(ledger)}", "prefect.resource.role": "tag"}]
    for alarm in done.alarms:
        emit_event(**{"related": tagged, **alarm})


def _no_retry() -> None:
    """Takes the retries from the run that is under way."""
    from uuid import UUID

    from prefect.client.orchestration import get_client
    from prefect.client.schemas.objects import FlowRunPolicy

    if flow_run.id is None:
        return
    with contextlib.suppress(Exception), get_client(sync_client=True) as client:
        client.request(
            "PATCH",
            "/flow_runs/{id}",
            path_params={"id": UUID(str(flow_run.id))},
            json={"empirical_policy": FlowRunPolicy(retries=0, retry_delay=0).model_dump(mode="json")},
        )
