"""Many simulated worlds on all cores, counted."""

import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Final

from coordeval.analysis.base.checks import AnalysisError, at_least
from coordeval.analysis.selftest import kept
from coordeval.analysis.selftest.benches import BENCHES, Task, planned
from coordeval.analysis.selftest.regimes import MILD, REGIMES
from coordeval.analysis.selftest.verdicts import Row, failures

Plan = Mapping[str, Mapping[int, int]]
"""Bench -> markets of a world -> worlds, in each of its regimes."""
_REGIMES: Final = {"shapes": REGIMES, "headline": MILD[:1], "crossed": REGIMES[len(MILD) :]}
"""Bench -> its regimes; the others: the mild ones."""

FULL: Final[Plan] = {
    "forecasts": {100: 2000, 400: 1200, 1600: 1000},
    "nulls": {100: 2000, 400: 1200, 1600: 1000},
    "calibrated": {100: 2000, 400: 1200, 1600: 1000},
    "looks": {1600: 1000},
    "parts": {100: 2000, 400: 1200, 1600: 1000},
    "talks": {100: 2000, 400: 1200, 1600: 1000},
    "shapes": {30: 1500, 60: 1500, 150: 1500, 400: 1000},
    "headline": {100: 4000},
    "grouped": {100: 500, 400: 400},
    "arms": {100: 2000, 400: 1200},
    "crossed": {100: 2000, 400: 2000},
}
QUICK: Final[Plan] = {
    "forecasts": {100: 40, 400: 10},
    "nulls": {100: 50, 400: 10},
    "calibrated": {100: 100},
    "looks": {400: 100},
    "parts": {100: 100, 400: 40},
    "talks": {100: 50},
    "shapes": {60: 12},
    "headline": {100: 1800},
    "grouped": {100: 20},
    "arms": {100: 16},
    "crossed": {100: 20},
}
"""For every commit. It finds intervals of the headline (balanced, 100 markets) that hold the truth 4 points less often than
when they were recorded, and tests that reject 4 points more often, in 9 of 10 runs and more; any other that is off by some
12; the full plan by 2."""
_CHUNK_SECONDS = 5e4  # markets · worlds of a chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """The rows of every check, and how they came about."""

    rows: tuple[Row, ...]
    plan: Plan
    seed: int
    resamples: int
    version: str
    at: str
    """UTC, ISO 8601."""
    seconds: float
    cores: int

    @property
    def failures(self) -> list[Row]:
        """Rows outside tolerance beyond Monte Carlo error."""
        return failures(self.rows)


def selftest(
    plan: Plan = FULL,
    *,
    seed: int = 0,
    resamples: int = 500,
    cores: int | None = None,
    folder: Path | None = None,
    told: Callable[[int, int], None] = lambda done, worlds: None,
) -> SelfTest:
    """Runs the plan, each world from its own seed, so the result depends on plan, seed and resamples alone, not on cores.

    `told` is called with the worlds done and the worlds in all. `cores`: processes; all there are if not given; 1 runs here.
    `folder`: where counts are kept, and taken from where the same code has made them (`kept`).

    Raises:
        AnalysisError: an unknown bench, or a number out of its range.
    """
    start = perf_counter()
    for name, sizes in plan.items():
        if name not in BENCHES:
            raise AnalysisError(f"plan names the bench {name!r}: it must be one of {', '.join(BENCHES)}")
        for markets, worlds in sizes.items():
            at_least("markets", markets, 20)
            at_least("worlds", worlds, 1)
    cores = cores or len(os.sched_getaffinity(0))
    at_least("cores", cores, 1)
    chunks = list(_chunks(plan, seed=seed, resamples=resamples))
    everything = sum(map(len, chunks))
    counts: kept.Counts = Counter()
    done = 0
    for chunk, counted in _counted(chunks, cores, folder):
        counts += counted
        done += chunk
        told(done, everything)
    rows = tuple(
        Row(
            check=check,
            right=counts[check, True],
            worlds=counts[check, True] + counts[check, False],
            undefined=counts[check, None],
            planned=100 * planned(check.world, check.markets) if check.kind == "power" else None,
        )
        for check in sorted({check for check, _ in counts})
    )
    return SelfTest(
        rows=rows,
        plan=plan,
        seed=seed,
        resamples=resamples,
        version=version("coordeval"),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=perf_counter() - start,
        cores=cores,
    )


def count(tasks: list[Task], folder: Path | None = None) -> kept.Counts:
    """How often each check came out each way, kept in the folder. What a measure raises carries the world of it."""
    counts: kept.Counts = Counter()
    for task in tasks:
        try:
            counts.update(BENCHES[task.bench](task))
        except Exception as error:
            error.add_note(f"in the simulated world of {task}")
            raise
    if folder is not None:
        kept.keep(folder, tasks, counts)
    return counts


def _chunks(plan: Plan, *, seed: int, resamples: int) -> Iterator[list[Task]]:
    """Worlds in chunks of similar work, the largest worlds first."""
    jobs = [(markets, name, worlds) for name, sizes in plan.items() for markets, worlds in sizes.items()]
    for markets, name, worlds in sorted(jobs, reverse=True):
        size = max(1, round(_CHUNK_SECONDS / (markets + 500) / 5))
        for regime in _REGIMES.get(name, MILD):
            tasks = [
                Task(bench=name, world=regime.name, markets=markets, number=k, seed=seed, resamples=resamples)
                for k in range(worlds)
            ]
            yield from (tasks[i : i + size] for i in range(0, worlds, size))


def _counted(chunks: list[list[Task]], cores: int, folder: Path | None) -> Iterator[tuple[int, kept.Counts]]:
    """The size of each chunk and its counts, first those that are kept, the others in the order in which they are done."""
    missing = []
    for chunk in chunks:
        known = None if folder is None else kept.found(folder, chunk)
        if known is None:
            missing.append(chunk)
        else:
            yield len(chunk), known
    if cores == 1:
        yield from ((len(chunk), count(chunk, folder)) for chunk in missing)
        return
    with _one_thread_each(), ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("spawn")) as pool:
        running = {pool.submit(count, chunk, folder): len(chunk) for chunk in missing}
        yield from ((running[future], future.result()) for future in as_completed(running))


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started inside use one thread each: as many as there are cores, and not their square."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
