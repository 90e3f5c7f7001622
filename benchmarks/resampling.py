"""The paired cluster bootstrap beside the least that it could be: flat bincounts of uniform indices and a matrix product.

Both draw the same number of indices in the same run, one after the other, and end with a value per resample; the ratio is of
the medians. The whole call, with the grid of forecasts before and the intervals after it, is printed beside. Resamples are
kept for the next measure of a study, so what is kept is forgotten before each repeat.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

from coordeval.analysis.base import resampling
from coordeval.analysis.base.frames import Scored, scored
from coordeval.analysis.base.grid import Grid, grid
from coordeval.analysis.base.resampling import Resamples
from coordeval.analysis.quality.bootstrap import Family, _family, bootstrap

N, CONFIGURATIONS, BINS = 10_000, 5, 10
REPEATS = {100: 15, 1_000: 7, 100_000: 1}
CHUNK = 65_000  # indices of the bare draw at a time: the fastest here
BRIER, BINNED, CORP, MEMORY = 1.3, 3.0, 5.0, 500
"""What is promised: two ratios, seconds, MB."""


def main() -> None:
    if sys.argv[1:2] == ["--memory"]:
        _memory()
        return
    over: list[str] = []
    print(f"{N:,} resamples, {CONFIGURATIONS} configurations; medians of repeats in turn")
    for markets, repeats in REPEATS.items():
        study = made(markets)
        for family, most in (("brier", BRIER), ("binned", BINNED)):
            columns = CONFIGURATIONS * (1 if family == "brier" else 3 * BINS + 2)
            runs = (partial(_ours, grid(study), family), partial(_bare, markets, columns), partial(_whole, study, family))
            ours, bare, whole = _in_turn(runs, repeats=repeats)
            print(
                f"  {markets:>7,} markets, {family:<6} {1000 * ours:9.1f} ms; bare, {columns:>3} columns "
                f"{1000 * bare:9.1f} ms; ratio {ours / bare:.2f} (at most {most}); "
                f"with grid and intervals {1000 * whole:.1f} ms"
            )
            if ours / bare > most:
                over.append(f"{family} at {markets} markets: {ours / bare:.2f}, at most {most}")
        if markets <= 1_000:
            start = time.perf_counter()
            _loop(markets)
            print(
                f"  {markets:>7,} markets, a Python loop over the resamples {1000 * (time.perf_counter() - start):9.1f} ms"
            )
    start = time.perf_counter()
    _whole(made(100), "corp")
    seconds = time.perf_counter() - start
    print(f"      100 markets, MCB and DSC {seconds:.2f} s (at most {CORP:g})")
    command = [sys.executable, "-m", "benchmarks.resampling", "--memory"]
    peak = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    print(f"  100,000 markets, peak memory of a process that measures brier and binned: {peak:.0f} MB (at most {MEMORY})")
    over += [f"CORP: {seconds:.1f} s"] if seconds > CORP else []
    over += [f"memory: {peak:.0f} MB"] if peak > MEMORY else []
    if over:
        sys.exit(f"promises that do not hold: {'; '.join(over)}")


def made(markets: int) -> Scored:
    """A study of forecasts in whole per cent; every market is its own event and has no price."""
    rng = np.random.default_rng(0)
    latent = rng.normal(0, 1.4, markets)
    noise = rng.normal(0, 0.6, (CONFIGURATIONS, markets))
    outcome = (rng.random(markets) < 1 / (1 + np.exp(-latent))).astype(np.int64)
    ids = [f"m{i:06}" for i in range(markets)]
    unknown = dict.fromkeys(("market_price", "cost_usd", "paid_usd", "seconds"), pl.lit(None, pl.Float64))
    unknown |= dict.fromkeys(("input_tokens", "output_tokens", "model_calls", "tool_calls"), pl.lit(None, pl.Int64))
    frame = pl.concat(
        pl.DataFrame({"market_id": ids, "event_id": ids, "outcome": outcome, "probability": p.round(2)}).with_columns(
            configuration=pl.lit(f"configuration {c}"),
            category=pl.lit("made up"),
            replicate=0,
            status=pl.lit("answered"),
            reason=pl.lit(None, pl.String),
            simulated=True,
            **unknown,
        )
        for c, p in enumerate(1 / (1 + np.exp(-latent - noise)))
    )
    return scored(frame)


def _ours(sample: Grid, family: Family) -> None:
    resampling._kept.cache_clear()
    drawn = Resamples(events=len(sample.events), n=N)
    _family(sample, family, drawn, bins=BINS, edges="decimal", left_out=False)


def _whole(study: Scored, family: Family) -> None:
    resampling._kept.cache_clear()
    bootstrap(study, families=[family], bins=BINS, n=N)


def _bare(markets: int, columns: int) -> None:
    rng = np.random.default_rng(0)
    right = rng.random((markets, columns))
    step = max(1, CHUNK // markets)
    # a wide right side is read from memory once per product, so a product has more rows
    rows = max(step, columns // 4)
    block = np.empty((rows, markets))
    for start in range(0, N, rows):
        size = min(rows, N - start)
        for first in range(0, size, step):
            shape = (min(step, size - first), markets)
            index = rng.integers(0, markets, shape) + markets * np.arange(shape[0])[:, None]
            block[first : first + shape[0]] = np.bincount(index.ravel(), minlength=index.size).reshape(shape)
        block[:size] @ right


def _loop(markets: int) -> None:
    rng = np.random.default_rng(0)
    errors = rng.random((markets, CONFIGURATIONS))
    for _ in range(N):
        errors[rng.integers(0, markets, markets)].mean(axis=0)


def _in_turn(runs: Sequence[Callable[[], None]], *, repeats: int) -> list[float]:
    """Median wall seconds of each."""
    seconds: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats):
        for run, taken in zip(runs, seconds, strict=True):
            start = time.perf_counter()
            run()
            taken.append(time.perf_counter() - start)
    return [median(taken) for taken in seconds]


def _memory() -> None:
    study = made(100_000)
    for family in ("brier", "binned"):
        bootstrap(study, families=[family], bins=BINS, n=600)  # as of 10,000, too many to be kept: the same blocks
    # not getrusage: its figure begins with what the parent had
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(int(line.split()[1]) / 1024)


if __name__ == "__main__":
    main()
