"""The `evaluate` flow: pull → evidence → plan → run → score → publish. Each step is a plain function elsewhere.

However large the study, a flow has at most 15 tasks: Prefect's bookkeeping per task costs more than many cells do. A run
does not depend on it: where Prefect's API is lost on the way, the run goes on and says so.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from prefect import flow, task
from prefect.artifacts import (
    acreate_link_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.exceptions import TerminationSignal
from rich.console import Console

from coordeval.analysis.report.page import Report
from coordeval.flows.costs.consent import FLOW, Door, agreed
from coordeval.flows.orchestration.server import give_up
from coordeval.flows.run.ending import End
from coordeval.flows.run.run import Steps, run_steps
from coordeval.flows.run.stopping import Stop
from coordeval.flows.study.study import load_study
from coordeval.flows.terminal import Terminal
from coordeval.market_data.errors import CoordevalError

if TYPE_CHECKING:
    from coordeval.flows.run.workers.dispatch import On

T = TypeVar("T")
PROGRESS_SECONDS = 2.0
"""How often a progress artifact is renewed at most: each time is a call of Prefect's API."""


class NotComplete(CoordevalError):
    """A run that came to its end and left something to do; Prefect shows it as Failed with this message."""


@dataclass(slots=True)
class _Seat:
    """What the process that started a flow and the flow within it share beside its parameters."""

    console: Console
    stop: Stop
    workers: "On | None" = None
    again: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """What stands in place of the study file's words, for this run."""
    ends: list[End] = field(default_factory=list)


_SEAT: ContextVar[_Seat | None] = ContextVar("seat", default=None)


class _PrefectSteps(Steps):
    """Each step of a run as a Prefect task, with artifacts for the people who watch there."""

    def __init__(self, study_name: str, console: Console) -> None:
        super().__init__(study_name)
        self._console = console
        self._lost = False
        self._progress: Any = None
        self._told_at = 0.0

    async def step(self, name: str, function: Callable[[], Awaitable[T]]) -> T:
        if self._lost:
            return await function()
        results: list[T] = []
        raised: list[BaseException] = []

        # what a step makes is kept in the ledger, so Prefect need not hash, cache or store it
        @task(name=name, cache_policy=NO_CACHE, persist_result=False)
        async def body() -> None:
            try:
                results.append(await function())
            except BaseException as error:
                raised.append(error)
                raise

        try:
            await body()
        except Exception as error:
            if raised:
                raise
            self._lose(error)
        return results[0] if results else await function()

    async def started(self, to_run: int) -> None:
        await super().started(to_run)
        await self._told(self._start_progress(to_run))

    async def advanced(self) -> None:
        now = time.monotonic()
        if self._progress is not None and (now - self._told_at > PROGRESS_SECONDS or self.share >= 1.0):
            self._told_at = now
            await self._told(aupdate_progress_artifact(self._progress, 100.0 * self.share))

    async def published(self, report: Report, page: Path) -> None:
        rows = [{k: v for k, v in row.items() if not isinstance(v, list)} for row in report.board.table.to_dicts()]
        about = " ".join(report.headline)
        await self._told(acreate_table_artifact(rows, key=self._key("leaderboard"), description=about))
        await self._told(acreate_link_artifact(page.as_uri(), link_text="report", key=self._key("report")))

    async def _start_progress(self, to_run: int) -> None:
        about = f"{to_run} forecasts"
        self._progress = await acreate_progress_artifact(0.0, key=self._key("progress"), description=about)

    async def _told(self, telling: Any) -> None:
        """What only serves those who watch never ends a run."""
        if self._lost:
            telling.close()
            return
        try:
            await telling
        except Exception as error:
            self._lose(error)

    def _lose(self, error: Exception) -> None:
        if not self._lost:
            self._lost = True
            said = f"Prefect's API does not answer any more ({type(error).__name__}: {error}); the run goes on without it"
            self._console.print(said, style="yellow", markup=False, highlight=False, soft_wrap=True)
        give_up()

    def _key(self, kind: str) -> str:
        return f"{kind}-{self.study_name}".lower().replace("_", "-").replace(".", "-")


@flow(name="evaluate", persist_result=False)
async def evaluate(study: str, ledger: str) -> str:
    """Run a study file on a ledger; returns the path of its HTML report ("": none). Both are paths, so it can be deployed.

    Raises NotComplete where cells are open or nothing was answered, so that the flow run is Failed and says why; NotAgreed
    where nobody started it at a terminal, and the study file states no bound on what it may cost.
    """
    seat = _SEAT.get() or _Seat(Terminal(), Stop())
    loaded = load_study(Path(study), changes=seat.changes)
    if _SEAT.get() is None:  # who has a seat was asked before it began
        door = Door(how=FLOW, bound_is_yes=True)
        await asyncio.to_thread(agreed, loaded, Path(ledger), seat.console, door)
    steps = _PrefectSteps(loaded.study.name, seat.console)
    command = f"coordeval run {study} --ledger {ledger}{seat.again}"
    where = seat.workers
    end = await run_steps(loaded, Path(ledger), seat.console, steps, stop=seat.stop, command=command, on=where)
    seat.ends.append(end)
    if end.exit_status:
        raise NotComplete(f"{end.summary()}; {end.detail}")
    return str(end.page or "")


async def run_as_flow(
    study: Path,
    ledger: Path,
    console: Console,
    stop: Stop,
    workers: "On | None" = None,
    again: str = "",
    changes: Mapping[str, Any] = MappingProxyType({}),
) -> End:
    """The flow, run here. What it left is what counts: an API that is lost at the end changes nothing about it."""
    seat = _Seat(console, stop, workers, again, changes)
    _SEAT.set(seat)
    try:
        await evaluate(str(study), str(ledger))
    except NotComplete:
        pass
    except TerminationSignal as error:
        raise KeyboardInterrupt from error
    except Exception as error:
        if not seat.ends:
            raise
        said = f"Prefect could not be told how the run ended ({type(error).__name__}: {error}); the ledger has all of it"
        console.print(said, style="yellow", markup=False, highlight=False, soft_wrap=True)
        give_up()
    return seat.ends[0]
