"""What a person sees while a run goes on: cells done, failures by kind, dollars and the time left."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from coordeval.flows.run.reasons import Reasons
from coordeval.flows.run.spending import Spending
from coordeval.flows.run.window import Watch
from coordeval.flows.study.evaluation import Cell, Plan
from coordeval.flows.terminal import words

SILENT = 30.0
"""Seconds without a forecast after which a line says what is waited for."""

KINDS, CHARACTERS, TOLD = 3, 60, 10
"""Of failures: how many kinds a line holds, how much of each, and of how many kinds the first one is told in full."""


class _Bar(Progress):
    """The bar, and below it what has failed so far, by kind."""

    def __init__(self, *columns: Any, failures: Callable[[], str], **options: Any) -> None:
        self._failures = failures
        super().__init__(*columns, **options)

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        if said := self._failures():
            yield words(f"failed: {said}", style="yellow")


@contextmanager
def live_progress(
    console: Console, plan: Plan, spending: Spending, steps: Any, model: Any = None, *, noun: str = "forecast"
) -> Iterator[Watch]:
    """A progress line that counts from what earlier starts of the study made and paid; gives the callbacks that move it.

    Off a terminal it prints a plain line every tenth of the way. Failures are counted by kind, and the first of each kind is
    told in full. When all calls of `model` are held (`agents.pacing.Hold`), or nothing has moved for SILENT seconds, it says
    what is waited for, with the cell that has taken longest.
    """
    done = len(plan.cells) - plan.to_run
    failures = Reasons()
    running: dict[str, tuple[str, float]] = {}

    def text() -> str:
        return f"{spending}, {failures.counts.total()} failed"

    def by_kind() -> str:
        return failures.in_short(KINDS, CHARACTERS)

    with _Bar(
        TextColumn(f"{noun}s"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[spent]}"),
        console=console,
        disable=not console.is_terminal,
        refresh_per_second=4,
        failures=by_kind,
    ) as bar:
        task = bar.add_task(f"{noun}s", total=len(plan.cells), completed=done, spent=text())
        tenth = max(1, plan.to_run // 10)

        def on_forecast(row: Mapping[str, Any]) -> None:
            spending.made += 1
            steps.counted()
            if row["status"] == "failed" and failures.add(row["reason"]) and len(failures.counts) <= TOLD:
                tell(f"failed, the first of its kind: {row['configuration']} on market {row['market_id']}: {row['reason']}")
            bar.update(task, advance=1, spent=text())
            if not console.is_terminal and spending.made % tenth == 0:
                kinds = f": {by_kind()}" if failures.counts else ""
                console.print(f"{noun}s {done + spending.made}/{len(plan.cells)}  {text()}{kinds}", soft_wrap=True)

        def tell(text: str) -> None:
            console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)

        def on_start(cell: Cell) -> None:
            name = f"{cell.label} on market {cell.view.market.id}, replicate {cell.replicate + 1}"
            running[cell.forecast_id] = name, time.monotonic()

        def on_end(cell: Cell) -> None:
            running.pop(cell.forecast_id, None)

        async def speak() -> None:
            said, news = None, ""
            made, since = spending.made, time.monotonic()
            while True:
                await asyncio.sleep(1.0)
                hold = getattr(model, "holding", None)
                if hold is not None and hold != said and (said is None or hold.reason != said.reason or console.is_terminal):
                    tell(f"all calls wait until {hold.until:%H:%M:%S} UTC (since {hold.since:%H:%M:%S}): {hold.reason}")
                said = hold
                if (told := getattr(model, "news", "")) != news:
                    news = told
                    if news:
                        tell(news)
                if spending.made != made:
                    made, since = spending.made, time.monotonic()
                elif time.monotonic() - since > SILENT and running and hold is None:
                    since = time.monotonic()
                    name, began = min(running.values(), key=lambda one: one[1])
                    tell(f"{len(running)} {noun}s under way; the longest, {name}, for {since - began:.0f} s; {text()}")

        speaking = asyncio.ensure_future(speak())
        try:
            yield Watch(on_forecast=on_forecast, on_start=on_start, on_end=on_end, on_chunk=steps.chunk, tell=tell)
        finally:
            speaking.cancel()
