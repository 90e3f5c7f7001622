"""A run, step by step: pull → evidence → plan → run → score → publish. With Prefect or without, these are they."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console

from coordeval.agents.failures import PatienceExhausted
from coordeval.analysis.report.page import Report
from coordeval.analysis.report.terminal import print_report
from coordeval.flows.run.ending import NOT_ASKED, Cells, End, cells_of, end_of
from coordeval.flows.run.gathering import gather
from coordeval.flows.run.helm.helm import Helm
from coordeval.flows.run.helm.socket import steered
from coordeval.flows.run.live import live_progress
from coordeval.flows.run.lost import found_lost
from coordeval.flows.run.metrics import send_metrics
from coordeval.flows.run.missing import missing
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.scoring import report_directory, score
from coordeval.flows.run.spending import Spending, spending_of
from coordeval.flows.run.stopping import Stop
from coordeval.flows.run.tracing import traced
from coordeval.flows.run.waiting import so_far, told
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import Evaluation, open_evaluation
from coordeval.flows.study.identity import changed_since
from coordeval.flows.study.study import PROBE, LoadedStudy
from coordeval.ledger import Ledger, LedgerError
from coordeval.market_data.errors import CoordevalError

if TYPE_CHECKING:
    from coordeval.flows.run.workers.dispatch import On

T = TypeVar("T")


class Steps:
    """How steps are carried out: here, by just awaiting them. `flows.orchestration.evaluate` makes each a Prefect task."""

    def __init__(self, study_name: str) -> None:
        self.study_name = study_name

    async def step(self, name: str, function: Callable[[], Awaitable[T]]) -> T:
        return await function()

    async def chunk(self, number: int, over: Callable[[], Awaitable[None]]) -> None:
        """Called when a chunk's first cell starts; `over` returns when its last one is stored. Chunks overlap."""
        await self.step(f"run-chunk-{number}", over)
        await self.advanced()

    async def started(self, to_run: int) -> None:
        """Called once the plan is made."""
        self._to_run, self._done = to_run, 0

    def counted(self) -> None:
        """Called with each forecast."""
        self._done += 1

    @property
    def share(self) -> float:
        """Of the cells to run, those that are done, in [0, 1]."""
        return self._done / self._to_run if self._to_run else 1.0

    async def advanced(self) -> None:
        """Called after each chunk."""

    async def published(self, report: Report, page: Path) -> None:
        """Called with the written report."""


async def run_steps(
    loaded: LoadedStudy,
    path: Path,
    console: Console,
    steps: Steps,
    *,
    stop: Stop | None = None,
    command: str = "coordeval run",
    on: "On | None" = None,
) -> End:
    """Run a study on the ledger at `path`, print how it ended and its leaderboard; returns the end, with the report's path.

    Raises what stopped it (CancelledError, a CoordevalError) once how far it came is stored and printed. `command` is what a
    person is told to go on with. `on`: worker processes that make the forecasts, in place of this one.
    """
    stop = stop or Stop()
    with stop.attached():
        end = await _recorded(loaded, path, console, steps, stop, command, on)
        if not end.cells.answered and not end.cells.failed:
            console.print("no report: no forecast has been answered yet")
            return end
        wait = partial(_now, console)
        report = await steps.step("score", partial(wait, "the report to be computed", lambda: score(path, loaded.id)))
        page = await steps.step("publish", partial(wait, "its page to be written", lambda: publish(path, report, console)))
        await steps.published(report, page)
    return replace(end, page=page)


async def _recorded(
    loaded: LoadedStudy, path: Path, console: Console, steps: Steps, stop: Stop, command: str, on: "On | None"
) -> End:
    """All that writes. How it ended is a row of `runs` and stands on the terminal, whatever ended it."""
    with _opened(loaded, path, console) as evaluation:
        return await recorded(evaluation, console, stop, command, partial(_made, evaluation, console, steps, stop, on))


async def recorded(
    evaluation: Evaluation,
    console: Any,
    stop: Stop,
    command: str,
    make: Callable[[Spending], Awaitable[None]],
    markets: Sequence[str] | None = None,
) -> End:
    """Let `make` make forecasts; how that ended is a row of `runs`, and is printed to `console`, whatever ended it.

    `markets`: those whose cells count (None: all of the study's).
    """
    loaded, ledger = evaluation.loaded, evaluation.ledger
    for notice in (*loaded.warnings, *found_lost(ledger, evaluation.reader), changed_since(evaluation.reader, loaded)):
        if notice:
            console.print(f"note: {notice}", style="yellow", markup=False, soft_wrap=True)
    spending = spending_of(loaded, ledger, evaluation.model)
    end: End | None = None
    evaluation.helm = Helm(evaluation, spending, stop, os.getpid())
    try:
        async with steered(evaluation.helm, evaluation.run_id) as unsteered:
            if unsteered:
                console.print(f"note: {unsteered}", style="yellow", markup=False, soft_wrap=True)
            with traced(evaluation):
                await make(spending)
        end = end_of(_cells(evaluation, console, markets), made=spending.made, noun=loaded.noun)
    except PatienceExhausted as error:  # nobody's fault: what is left is open, and the next run takes it up
        end = end_of(_cells(evaluation, console, markets, str(error)), made=spending.made, noun=loaded.noun)
    except (KeyboardInterrupt, asyncio.CancelledError):
        end = End(
            status="stopped",
            cells=_cells(evaluation, console, markets),
            made=spending.made,
            detail=f"by {stop.by}",
            noun=loaded.noun,
        )
        raise
    except BaseException as error:
        detail = str(error) if isinstance(error, CoordevalError) else f"{type(error).__name__}: {error}"
        end = End(
            status="error", cells=_cells(evaluation, console, markets), made=spending.made, detail=detail, noun=loaded.noun
        )
        raise
    finally:
        try:
            if end is not None:
                _store_end(evaluation, end, spending)
                _print_end(console, end, spending, command)
                if end.status != "error":
                    send_metrics(evaluation)
                if end.cells.open and spending.kind == "paid" and (left := missing(evaluation.reader, loaded.id)):
                    console.print(f"  {left}", markup=False, highlight=False, soft_wrap=True)
        finally:
            if (aclose := getattr(evaluation.model, "aclose", None)) is not None:
                await aclose()
    assert end is not None
    return end


@contextmanager
def _opened(loaded: LoadedStudy, path: Path, console: Console) -> Iterator[Evaluation]:
    """The ledger, and all that a run needs."""
    with ExitStack() as stack:
        with told(so_far(f"{path} and the model to be opened"), _saying(console)):
            ledger = stack.enter_context(Ledger.open(path, purpose=f"coordeval run {loaded.study.name}"))
            evaluation = open_evaluation(loaded, path, ledger)
        yield evaluation


async def _made(
    evaluation: Evaluation, console: Console, steps: Steps, stop: Stop, on: "On | None", spending: Spending
) -> None:
    """Every forecast that can be had now."""
    shards = on.shards if on is not None else _shards_of_before(evaluation.path)
    if shards:
        from coordeval.flows.run.workers.dispatch import take_in

        await asyncio.to_thread(take_in, evaluation, shards, lambda text: _note(console, text))
    wait = partial(_now, console)
    market_ids = await steps.step("pull", partial(wait, "the study's markets to be read", lambda: pull(evaluation)))
    await steps.step("evidence", partial(gather, evaluation, market_ids))
    made = await steps.step("plan", partial(wait, "the forecasts to be planned", lambda: plan(evaluation, market_ids)))
    for notice in made.notes:
        console.print(f"note: {notice}", style="yellow", markup=False, soft_wrap=True)
    await steps.started(made.to_run)
    with live_progress(console, made, spending, steps, evaluation.model) as watch:
        if on is None:
            await run_chunks(evaluation, made.chunks, watch=watch, store=spending, stop=stop)
            return
        from coordeval.flows.run.workers.dispatch import run_on

        await run_on(evaluation, made.chunks, on, watch=watch, spending=spending, stop=stop)


def shards_beside(ledger: Path) -> Path:
    """The folder that shards of workers are kept in where nothing else is said."""
    return ledger.with_name(f"{ledger.name}.shards")


def _shards_of_before(ledger: Path) -> str:
    """Where workers of an earlier run may have left something, though this one has none; "": nowhere."""
    folder = shards_beside(ledger)
    return str(folder) if folder.is_dir() else ""


def _note(console: Console, text: str) -> None:
    console.print(f"note: {text}", style="yellow", markup=False, soft_wrap=True)


def _cells(evaluation: Evaluation, console: Any, markets: Sequence[str] | None, not_asked: str = NOT_ASKED) -> Cells:
    loaded = evaluation.loaded
    asking = [name for name, configuration in loaded.configurations.items() if configuration.elements.endpoints]
    with told(so_far(f"what was made to be written to {evaluation.path}"), _saying(console)):
        with suppress(LedgerError):  # a disk that is full ended the run: what it holds is counted next time
            evaluation.ledger.flush()
        return cells_of(evaluation.reader, loaded.id, [*asking, PROBE], not_asked, markets=markets)


def _store_end(evaluation: Evaluation, end: End, spending: Spending) -> None:
    counts = end.row(paid_micro_usd=spending.paid_now)
    evaluation.ledger.write("runs", [evaluation.run_row(end.status, end.detail, **counts)])


def _print_end(console: Any, end: End, spending: Spending, command: str) -> None:
    lines = end.lines(command)
    style = "green" if end.status == "complete" else "yellow"
    console.print(f"{lines[0]}; {spending}", style=style, markup=False, highlight=False, soft_wrap=True)
    for line in lines[1:]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


async def _now(console: Console, what: str, function: Callable[[], T]) -> T:
    """A plain function as a coroutine. It runs on the spot: nothing else is going on then that it could hold up.

    Where it takes a while, the console says that `what` is waited for.
    """
    with told(so_far(what), _saying(console)):
        return function()


def _saying(console: Console) -> Callable[[str], None]:
    return partial(console.print, style="dim", markup=False, highlight=False, soft_wrap=True)


def publish(path: Path, report: Report, console: Console, *, full: bool = False, out: Path | None = None) -> Path:
    """Print the report's first screen (`full`: all of it) and write it beside the ledger, or to the folder `out`.

    Returns the path of the page.
    """
    page = report.write(out or report_directory(path, report)).absolute()
    print_report(report, console, full=full, page=str(page))
    return page
