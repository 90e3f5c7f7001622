"""Runs that are killed (`kill -9`) at random moments, live and in batches: what is stored in the end, what is paid twice.

`python -m benchmarks kills`, or `python -m benchmarks.kills --kills 10 --seed 3`. The endpoint is the stand-in, which gives
the same answer to the same request. A study that is complete before the kills are used up begins again in a new ledger.
"""

import argparse
import io
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from coordeval.agents.standin import Faults, Running, StandIn
from coordeval.ledger import Ledger, read

STUDY = """
name = "kills"
replicates = 1
budget_usd = 100
configurations = ["independent_ensemble", "peer_critique_debate", "sequential_pipeline"]
[markets]
source = "simulated"
count = {count}
[model]
provider = "anthropic"
id = "claude-opus-4-6"
max_tokens = 500
base_url = "{url}"
[run]
concurrent_calls = {calls}
batch = {batch}
"""
CALLS_AT_ONCE = 8
SAME = {
    "forecasts": "forecast_id, status, probability, reason, attributed_micro_usd, input_tokens, output_tokens, call_graph",
    "calls": "forecast_id, ask, turn, agent, round, role, draw_id, stop_reason, input_tokens, attributed_micro_usd",
    "tool_calls": "forecast_id, ask, turn, position, tool, arguments, result",
    "estimates": "forecast_id, ask, probability, rationale",
    "draws": "draw_id, request, reply->>'content', micro_usd",
}
"""Table -> the columns that do not depend on when and by whom a reply was bought."""


@dataclass(slots=True)
class Result:
    """What one way of running came to."""

    kills: int = 0
    studies: int = 0
    served: int = 0
    """Replies that the endpoint gave: what is paid for."""
    stored: int = 0
    reported: int = 0
    """Calls that the ledgers say may have been charged without a stored reply."""
    at_kills: int = 0
    """The most calls that can have been under way at the kills."""
    different: tuple[str, ...] = ()
    """Tables that are not as in the run that nobody killed."""

    @property
    def paid_twice(self) -> int:
        return self.served - self.stored

    @property
    def sound(self) -> bool:
        return not self.different and 0 <= self.paid_twice <= self.reported <= self.at_kills


def run_once(file: str, ledger: str, key: str) -> None:
    """`coordeval run FILE --inline` in this process."""
    os.environ["ANTHROPIC_API_KEY"] = key
    from rich.console import Console

    from coordeval.flows.run import guard
    from coordeval.flows.run.run import Steps, run_steps
    from coordeval.flows.study.study import load_study

    guard.run(run_steps(load_study(Path(file)), Path(ledger), Console(file=io.StringIO()), Steps("kills")))


def measure(folder: Path, *, kills: int, seed: int, batch: bool, count: int = 8) -> Result:
    """Kill runs `kills` times, and hold what is stored against a run that nobody killed."""
    rng, result = Random(seed), Result()
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(
        ["coordeval.flows.run.run", "coordeval.agents.anthropic_model", "coordeval.agents.simulated"]
    )
    served = StandIn(Faults(seconds=0.01, spread=0.03, batch_seconds=0.1), sampled=False)
    with Running(served) as running:
        file = folder / "kills.toml"
        text = STUDY.format(count=count, url=running.url, calls=CALLS_AT_ONCE, batch=str(batch).lower())
        file.write_text(text)
        began = time.monotonic()
        _ended(made.Process(target=run_once, args=(str(file), str(folder / "whole.duckdb"), served.key)), None)
        usual = time.monotonic() - began
        whole = _stored(folder / "whole.duckdb")
        while result.kills < kills:
            before = _served(served)
            ledger = folder / f"killed-{result.studies}.duckdb"
            while True:
                child = made.Process(target=run_once, args=(str(file), str(ledger), served.key))
                left = result.kills < kills
                if not _ended(child, rng.uniform(0.0, usual) if left else None):
                    break
                result.kills += 1
                result.at_kills += len(whole["draws"]) if batch else CALLS_AT_ONCE
            result.studies += 1
            result.served += _served(served) - before
            own = _stored(ledger)
            result.stored += len(own["draws"])
            with Ledger.open(ledger, purpose="kills") as opened:
                result.reported += opened.books(read(ledger).study("kills").study_id).uncertain
            result.different += tuple(name for name in SAME if own[name] != whole[name])
    return result


def _ended(child: Any, kill_after: float | None) -> bool:
    """Whether the child was killed; False where it came to its end."""
    child.start()
    child.join(kill_after)
    if killed := child.is_alive() and kill_after is not None:
        os.kill(child.pid, signal.SIGKILL)
    child.join()
    if not killed and child.exitcode != 0:
        raise RuntimeError(f"a run ended with {child.exitcode}, and nobody killed it")
    return bool(killed)


def _served(served: StandIn) -> int:
    return len(served.seen) + sum(len(batch.items) for batch in served.batches.made.values())


def _stored(ledger: Path) -> dict[str, Sequence[Any]]:
    reader = read(ledger)
    return {name: reader.query(f"SELECT {columns} FROM {name} ORDER BY ALL").rows() for name, columns in SAME.items()}


def report(result: Result, *, batch: bool) -> str:
    """One line for one way of running."""
    return (
        f"{'in batches' if batch else 'live'}: {result.kills} kills over {result.studies} studies; "
        f"{'every table as in a run that nobody killed' if not result.different else f'DIFFERENT: {result.different}'}; "
        f"{result.served} replies paid, {result.stored} stored, {result.paid_twice} paid and lost at a kill "
        f"({result.reported} reported as perhaps charged, {result.at_kills} could have been under way): "
        f"{'sound' if result.sound else 'NOT SOUND'}"
    )


def main(kills: int = 50, seed: int = 1) -> None:
    for batch in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            result = measure(Path(folder), kills=kills, seed=seed, batch=batch)
            print(f"{report(result, batch=batch)} ({time.monotonic() - began:.0f} s, seed {seed})", flush=True)
            if not result.sound:
                raise SystemExit(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    main(asked.kills, asked.seed)
