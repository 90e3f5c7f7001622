"""Runs that a seed takes through every fault, in virtual time, and an oracle that knows what must hold.

`python -m benchmarks.simulate --seeds 1000 --seed 1`. The core is the real one: cells, panel, draws, budget, pacing, waves
of batches. The server and the disk are simulated. A seed that fails is shrunk to the fewest kinds of faults that still fail,
and is the same when it is run again: `--only SEED`. With `--kept FILE` each outcome is a line of that file, and the same
command goes on where it was stopped.

What must hold, whatever happens: every forecast is there in the end and is the one of a run without faults; each draw once;
the budget never exceeded; no reply charged without being stored but those that were lost or under way at a kill, and never
more than the books say.
"""

import argparse
import asyncio
import contextlib
import gc
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, cast
from unittest.mock import patch

import orjson

from benchmarks.simulated_world import MODEL, Disk, Faults, Server
from benchmarks.virtual_time import Stuck, VirtualLoop
from coordeval.agents.messages import Reply
from coordeval.flows.run import guard, window
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import Cell, Evaluation
from coordeval.flows.study.flight import Flight
from coordeval.flows.study.study import LoadedStudy, load_study
from coordeval.flows.study.wiring import build_model
from coordeval.ledger import Ledger
from coordeval.ledger.tables import Tables
from coordeval.market_data.errors import CoordevalError

STUDY = f"""
name = "simulated-faults"
replicates = 1
configurations = ["independent_ensemble", "peer_critique_debate"]
[markets]
source = "simulated"
count = 2
[model]
provider = "anthropic"
id = "{MODEL}"
max_tokens = 500
base_url = "http://127.0.0.1:1"
[run]
concurrent_calls = 4
patience_minutes = 300
"""
MOST_RUNS = 20
"""Runs after which a study has to be complete: the last ones meet no fault."""
SAME = ("status", "probability", "reason", "attributed_micro_usd", "input_tokens", "output_tokens", "call_graph")


@dataclass(slots=True)
class Bench:
    """What all schedules share: the study, its cells, and what the server has said so far."""

    loaded: LoadedStudy
    cells: Sequence[Cell]
    tables: Tables
    known: dict[tuple[str, int, int], Reply] = field(default_factory=dict)
    whole: dict[bool, dict[str, Any]] = field(default_factory=dict)
    """By whether calls go in batches: what a run without faults stores."""
    cost: dict[bool, int] = field(default_factory=dict)


@dataclass(slots=True)
class Outcome:
    """What one schedule came to."""

    seed: int
    faults: Faults
    broken: list[str] = field(default_factory=list)
    runs: int = 0
    kills: int = 0
    replies: int = 0
    stored: int = 0
    seconds: float = 0.0
    """Virtual ones."""
    graves: list[Any] = field(default_factory=list)
    """Tasks of processes that were killed: what they would do at their end is kept from happening within another process."""


class _Provider:
    money = "paid"
    server: Server

    @classmethod
    def model(cls, settings: Any, around: Any) -> Server:
        return cls.server


@contextlib.contextmanager
def bench() -> Iterator[Bench]:
    """The study planned once, and the parts that look at a clock or a thread of their own left out."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as patches:
        file, path = Path(folder) / "study.toml", Path(folder) / "l.duckdb"
        file.write_text(STUDY)
        loaded = load_study(file)
        with Ledger.open(path, purpose="simulate") as ledger:
            server = Server(0, Faults(), None, {})
            evaluation = Evaluation.start(loaded, path, ledger, server)
            cells = plan(evaluation, pull(evaluation)).cells
            tables = ledger._tables
        loaded.provider = cast(Any, _Provider)
        patches.enter_context(patch.object(window, "watching", lambda loop: contextlib.nullcontext()))
        patches.enter_context(patch.object(window, "told", lambda *arguments: contextlib.nullcontext()))
        patches.enter_context(patch.object(sys, "unraisablehook", lambda said: None))
        made = Bench(loaded, cells, tables)
        gc.collect()
        gc.freeze()
        gc.disable()
        patches.callback(gc.unfreeze)
        patches.callback(gc.enable)
        for batch in (False, True):
            outcome, disk = _schedule(made, 0, Faults(), batch=batch, limit=None)
            if outcome.broken:
                raise RuntimeError(f"without faults: {outcome.broken}")
            made.whole[batch] = _stored(disk)
            made.cost[batch] = sum(row["micro_usd"] for row in disk.rows["draws"].values())
        yield made


def schedule(made: Bench, seed: int, *, without: Sequence[str] = ()) -> Outcome:
    """The schedule of a seed: its faults, whether calls go in batches, how tight the budget is, and how it ended."""
    rng = Random(seed)
    batch = rng.random() < 0.4
    faults = Faults(
        refused=rng.choice([0.0, 0.02, 0.2]),
        lost=rng.choice([0.0, 0.02, 0.1]),
        rejected=rng.choice([0.0, 0.0, 0.03]),
        slow=rng.choice([0.0, 0.05]),
        disk=rng.choice([0.0, 0.0, 0.01]),
        busy=rng.choice([0.0, 0.3]),
        item=rng.choice([0.0, 0.05, 0.2]) if batch else 0.0,
        kill=rng.choice([0.0, 0.003, 0.02]),
        stop=rng.choice([0.0, 0.3]),
    )
    tight = rng.random() < 0.3
    for name in without:
        faults = faults.without(name)
    limit = int(made.cost[batch] * rng.uniform(0.3, 2.0)) if tight else made.cost[batch] * 40
    return _schedule(made, seed, faults, batch=batch, limit=limit)[0]


def shrunk(made: Bench, seed: int) -> Outcome:
    """The failing schedule with the fewest kinds of faults that still fails."""
    outcome, without = schedule(made, seed), list[str]()
    for name in outcome.faults.kinds():
        if (fewer := schedule(made, seed, without=[*without, name])).broken:
            outcome, without = fewer, [*without, name]
    return outcome


def _schedule(made: Bench, seed: int, faults: Faults, *, batch: bool, limit: int | None) -> tuple[Outcome, Disk]:
    random.seed(seed)
    server = Server(seed, faults, limit, made.known)
    disk = Disk(seed, faults, server, made.tables)
    outcome = Outcome(seed, faults)
    run = made.loaded.study.run.model_copy(update={"batch": batch})
    for number in range(MOST_RUNS):
        if number == 8:  # whatever it was is over, and there is money
            server.faults = disk.faults = Faults()
            server.limit = None if limit is None else made.cost[batch] * 1000
        budget = None if server.limit is None else _dollars(server.limit)
        made.loaded.study = made.loaded.study.model_copy(update={"run": run, "budget_usd": budget})
        open_ = [cell for cell in made.cells if _is_open(disk, cell)]
        if not open_:
            break
        outcome.runs += 1
        loop = VirtualLoop(Random(f"{seed} loop {number}"))
        try:
            _run(made, loop, open_, server, disk, outcome)
        finally:
            outcome.seconds += loop.now
        server.under_way.clear()
        disk = disk.of_next_process()
    outcome.graves.clear()
    if outcome.kills:
        gc.collect()
    outcome.replies, outcome.stored = server.replies, len(disk.rows.get("draws", {}))
    outcome.broken += _oracle(made, disk, server, batch)
    return outcome, disk


def _run(made: Bench, loop: VirtualLoop, cells: Sequence[Cell], server: Server, disk: Disk, outcome: Outcome) -> None:
    """One process: it ends by itself, by a signal, by an error that it says, or it is killed."""
    _Provider.server = server
    flight, ledger = Flight(), cast(Ledger, disk)

    async def process() -> None:
        guard.install(asyncio.get_running_loop())
        model = build_model(made.loaded, Path("."), ledger, flight)
        evaluation = Evaluation(made.loaded, ledger, Path("x"), model, "run", made.cells[0].view.as_of, flight)
        running = asyncio.ensure_future(run_chunks(evaluation, [cells], store=disk))
        if loop.rng.random() < server.faults.stop:
            loop.call_later(loop.rng.expovariate(0.02), running.cancel)
        with contextlib.suppress(asyncio.CancelledError, CoordevalError):
            await running
        with contextlib.suppress(Exception):
            await model.aclose()  # type: ignore[attr-defined]  # those that hold connections have it
        while disk.putting:  # noqa: ASYNC110  who closes the ledger waits for its journal
            await asyncio.sleep(0.1)
        await server.killed()  # and the process ends, whatever it gave up

    asyncio.set_event_loop(loop)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            task = loop.create_task(process())
            task.add_done_callback(lambda done: loop.stop())
            loop.run_forever()
            outcome.graves += [task, *asyncio.all_tasks(loop)]
            if disk.dead:
                outcome.kills += 1
            elif (error := task.exception()) is not None:
                outcome.broken.append(f"a run ended with {type(error).__name__}: {error}")
    except Stuck as error:
        outcome.broken.append(f"a run hangs: {error}")
    finally:
        disk.dead = True  # what is left of the process does nothing any more
        asyncio.set_event_loop(None)
        loop.close()


def _dollars(micro_usd: int) -> Any:
    from decimal import Decimal

    return Decimal(micro_usd) / 1_000_000


def _is_open(disk: Disk, cell: Cell) -> bool:
    found = disk.cells.get(cell.forecast_id)
    return found is None or (found["forecasts"][0]["status"] == "failed" and found["forecasts"][0]["retryable"])


def _stored(disk: Disk) -> dict[str, Any]:
    forecasts = {name: tuple(rows["forecasts"][0][key] for key in SAME) for name, rows in disk.cells.items()}
    calls = {
        name: sorted((row["ask"], row["turn"], row["role"], row["draw_id"]) for row in rows["calls"])
        for name, rows in disk.cells.items()
    }
    draws = {row["draw_id"]: (row["request"], row["micro_usd"]) for row in disk.rows.get("draws", {}).values()}
    return {"forecasts": forecasts, "calls": calls, "draws": draws}


def _oracle(made: Bench, disk: Disk, server: Server, batch: bool) -> list[str]:
    """What does not hold."""
    found = [*disk.doubled, *server.over]
    if open_ := [cell for cell in made.cells if _is_open(disk, cell)]:
        found.append(f"{len(open_)} forecasts are lost, the first is {open_[0].forecast_id[:12]}")
    elif made.whole.get(batch):
        stored = _stored(disk)
        for name, whole in made.whole[batch].items():
            apart = [key for key in whole.keys() | stored[name].keys() if whole.get(key) != stored[name].get(key)]
            if apart:
                one = apart[0]
                found.append(
                    f"{len(apart)} {name} are not those of a run without faults, the first is {one[:12]}: "
                    f"{stored[name].get(one)!r:.300}, without faults {whole.get(one)!r:.300}"
                )
    twice = server.replies - len(disk.rows.get("draws", {}))
    uncertain = disk.books("").uncertain
    if twice > uncertain:
        found.append(f"{twice} replies were charged and are not stored; the books know of {uncertain}")
    may = server.lost + server.at_kills + server.given_up + disk.count["refused draws"]
    if not batch and twice > may:
        found.append(f"{twice} replies were charged and are not stored, and {may} were lost, under way or met a full disk")
    return found


COUNTED = ("runs", "kills", "replies", "stored", "seconds")


def main(
    seeds: int = 1000, seed: int = 1, seconds: float | None = 300.0, only: int | None = None, kept: Path | None = None
) -> int:
    began, wanted = time.monotonic(), range(seed, seed + seeds) if only is None else [only]
    done = {line["seed"]: line for line in _lines(kept) if line["seed"] in wanted}
    with bench() as made:
        for one in wanted:
            if one in done:
                continue
            if seconds is not None and time.monotonic() - began > seconds:
                break
            at = time.process_time()
            outcome = schedule(made, one)
            if outcome.broken:
                least = shrunk(made, one)
                print(
                    f"seed {one} fails, also with only {', '.join(least.faults.kinds()) or 'no fault'}:",
                    *least.broken[:5],
                    sep="\n  ",
                )
            counts = {name: getattr(outcome, name) for name in COUNTED}
            done[one] = {"seed": one, **counts, "broken": outcome.broken, "cpu": time.process_time() - at}
            if kept is not None:
                with kept.open("ab") as file:  # each on a line of its own, also after one that was cut off
                    file.write(b"\n" + orjson.dumps(done[one]))
    total = {name: sum(one[name] for one in done.values()) for name in (*COUNTED, "cpu")}
    broken = [one["seed"] for one in done.values() if one["broken"]]
    print(
        f"{len(done)} schedules, {total['runs']} runs, {total['kills']} kills, {total['seconds'] / 86_400:.0f} days of "
        f"virtual time: {total['replies']} replies charged, {total['stored']} stored; {len(broken)} broke a rule "
        f"({total['cpu']:.0f} s of processor, seeds from {seed})"
    )
    return int(bool(broken))


def _lines(kept: Path | None) -> list[dict[str, Any]]:
    """What was kept; a last line that was cut off is made again."""
    found = []
    for line in kept.read_bytes().splitlines() if kept is not None and kept.exists() else ():
        with contextlib.suppress(orjson.JSONDecodeError):
            found.append(orjson.loads(line))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=None, help="begin no schedule after so long")
    parser.add_argument("--only", type=int, default=None, metavar="SEED", help="one schedule, again")
    parser.add_argument("--kept", type=Path, default=None, metavar="FILE", help="outcomes, a line each; goes on with it")
    asked = parser.parse_args()
    raise SystemExit(main(asked.seeds, asked.seed, asked.seconds, asked.only, asked.kept))
