"""1,000,000 forecasts from a file into the ledger: CSV within 20 s, Parquet within 10 s, in 2 GB, on two free cores.

What is measured is a process of its own that does what `coordeval import forecasts` does. The file (100,000 questions in
33,334 events by ten forecasters, with dates, prices and categories) is made before.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

QUESTIONS, FORECASTERS = 100_000, 10
SECONDS = {"csv": 20, "parquet": 10}
GIGABYTES = 2


def main() -> None:
    if sys.argv[1:2] == ["--measure"]:
        _measure(Path(sys.argv[2]))
        return
    over = []
    with tempfile.TemporaryDirectory() as folder:
        frame = made()
        for ending, most in SECONDS.items():
            file = Path(folder) / f"forecasts.{ending}"
            frame.write_csv(file) if ending == "csv" else frame.write_parquet(file)
            command = [sys.executable, "-m", "benchmarks.imports", "--measure", str(file)]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            wall, cpu, peak = (float(value) for value in said.split()[1::2])
            size = file.stat().st_size / 1e6
            print(f"{frame.height:,} rows of {ending} ({size:.0f} MB): {wall:.1f} s, {cpu:.1f} s of CPU, {peak:.2f} GB")
            over += [f"{ending} {wall:.1f} s (at most {most})"] * (wall > most)
            over += [f"{ending} {peak:.2f} GB (at most {GIGABYTES})"] * (peak > GIGABYTES)
    if over:
        sys.exit(f"importing forecasts takes {', '.join(over)}")


def made(seed: int = 0) -> pl.DataFrame:
    """The forecasts, a row each."""
    rng = np.random.default_rng(seed)
    question = np.repeat(np.arange(QUESTIONS), FORECASTERS)
    price = rng.uniform(0.02, 0.98, QUESTIONS).round(3)
    rows = {
        "question_id": pl.Series([f"q{i}" for i in range(QUESTIONS)])[question],
        "forecaster": pl.Series([f"bot {i}" for i in range(FORECASTERS)] * QUESTIONS),
        "probability": rng.uniform(0, 1, len(question)).round(4),
        "outcome": (rng.random(QUESTIONS) < price).astype(np.int8)[question],
        "date": pl.Series([f"2026-01-{1 + i % 28:02d}T00:00:00Z" for i in range(QUESTIONS)])[question],
        "market_price": price[question],
        "event": pl.Series([f"e{i // 3}" for i in range(QUESTIONS)])[question],
        "category": pl.Series(["politics", "sport", "science", "weather"])[question % 4],
    }
    return pl.DataFrame(rows)


def _measure(file: Path) -> None:
    from coordeval.flows.imports.storing import import_forecasts
    from coordeval.flows.imports.wanted import Wanted

    wall, cpu = time.perf_counter(), time.process_time()
    done = import_forecasts([file], Wanted(name="large"), file.parent / f"{file.suffix[1:]}.duckdb")
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert done.what.forecasts == QUESTIONS * FORECASTERS
    # not getrusage: its figure begins with what the parent had
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(f"seconds {wall:.2f} cpu {cpu:.2f} GB {int(line.split()[1]) / 1024**2:.2f}")


if __name__ == "__main__":
    main()
