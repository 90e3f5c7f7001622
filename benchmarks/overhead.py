"""What the harness itself costs: CPU per model call with a model that answers at once and everything stored durably.

Beside it, in the same run, inspect_ai with its own mock model, where it can be installed (its tokenizer wants a download,
so it is replaced by one that splits at spaces). One of its samples is one model call.
"""

import asyncio
import cProfile
import os
import pstats
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from coordeval.agents.simulated import InstantModel
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import Evaluation
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, read

STUDY = """
name = "overhead"
replicates = 2
configurations = ["independent_ensemble", "peer_critique_debate", "orchestrator_specialist", "sequential_pipeline"]
[markets]
source = "simulated"
count = {count}
[model]
provider = "simulated"
"""
SAMPLES = 500


def main() -> None:
    cpu, wall, calls = _measure(count=100)
    print(f"coordeval: {calls} model calls, {1000 * cpu / calls:.3f} ms CPU a call (at most 1), {calls / wall:.0f} calls/s")
    print("  every call its own reply or a shared draw; each reply is on disk before the coroutine that asked goes on")
    profile = cProfile.Profile()
    profile.enable()
    _measure(count=100)
    profile.disable()
    spent: dict[str, float] = defaultdict(float)
    for (file, _, _), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        spent[_part(file)] += own
    total = sum(spent.values())
    print("  spent on (share of the profiled time on the loop's thread):")
    for part, seconds in sorted(spent.items(), key=lambda item: -item[1])[:7]:
        print(f"    {part:<34}{100 * seconds / total:5.1f}%")
    _inspect()


def _measure(count: int) -> tuple[float, float, int]:
    """CPU seconds of the whole process, wall seconds and model calls, from plan to the last row in DuckDB."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "study.toml").write_text(STUDY.format(count=count))
        loaded, path = load_study(Path(folder) / "study.toml"), Path(folder) / "overhead.duckdb"
        with Ledger.open(path, purpose="benchmark") as ledger:
            evaluation = Evaluation.start(loaded, path, ledger, InstantModel())
            made = plan(evaluation, pull(evaluation))

            wall, cpu = time.perf_counter(), time.process_time()
            asyncio.run(run_chunks(evaluation, made.chunks))
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return cpu, wall, read(path).query("SELECT count(*) FROM calls").item()


def _part(file: str) -> str:
    for folder in ("market_data", "agents", "configurations", "ledger", "flows"):
        if f"/{folder}/" in file and "site-packages" not in file:
            return f"{folder}/{Path(file).name}"
    for name in ("asyncio", "sqlite3", "duckdb", "polars", "pydantic"):
        if f"/{name}" in file:
            return name
    return "built-in (JSON, hashes, SQLite, poll)" if file == "~" else "other"


def _inspect() -> None:
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "venv" / "bin" / "python"
        uv = Path(sys.executable).with_name("uv")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, python.parents[1]], check=False, **quiet)
        install = [uv, "pip", "install", "-q", "--python", python, "inspect-ai"]
        if subprocess.run(install, check=False, **quiet).returncode != 0:
            print("inspect_ai: could not be installed here, so it is not measured")
            return
        script = Path(__file__).with_name("inspect_mock.py")
        environment = {**os.environ, "PYTHONPATH": "", "INSPECT_LOG_DIR": folder}
        done = subprocess.run(
            [python, script, str(SAMPLES)], check=False, capture_output=True, text=True, cwd=folder, env=environment
        )
        print(done.stdout.strip() if done.returncode == 0 else f"inspect_ai: failed: {done.stderr.strip()[-300:]}")
