"""Real kills at random moments: in the end all is stored as where nobody killed, and nothing is paid twice.

`python -m benchmarks.kills --kills 1000 --seed 1 --seconds 3600`, or `--only pull`. Killed are runs (live, in batches),
pulls, imports, migrations, merges of shards, the jobs that `serve` wakes, and `serve` itself, each by SIGKILL, by SIGTERM,
and as a power cut: SIGKILL, and the end of what was written last is gone. Another process goes on each time, until one
comes to its end. Endpoints and venues are stand-ins, which give the same answer to the same request.
"""

import argparse
import multiprocessing
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from benchmarks import kill_targets as targets
from benchmarks.kill_serve import serve

WAYS = ("SIGKILL", "SIGTERM", "power cut")
CUT_BYTES = 4096
"""The most that a power cut takes from the end of a log, or of a file that is not yet in its place."""
_LOST = ".journal is damaged"
"""What a process says that finds less in a journal than was stored. It says so once."""
PATIENCE = 900
"""Seconds in which a process that nobody kills has to come to its end."""
SAY_SECONDS = 20
"""Between two lines that say how far a target is."""
LOGS = ("-wal", ".wal", ".partial")
SLOWER = 20
"""Times the latency that tests have: a process mostly waits for its replies then, and a kill mostly finds some under way."""
TARGETS: Mapping[str, tuple[targets.Target, float]] = {
    "run": (partial(targets.run, batch=False, slower=SLOWER), 0.2),
    "batches": (partial(targets.run, batch=True, slower=SLOWER), 0.15),
    "pull": (targets.pull, 0.15),
    "import": (targets.imports, 0.15),
    "migration": (targets.migration, 0.14),
    "shards": (targets.shards, 0.1),
    "jobs": (targets.jobs, 0.1),
    "serve": (serve, 0.01),
}
"""Name -> (target, its share of the kills)."""


@dataclass(slots=True)
class Result:
    """What the kills of one target came to."""

    kills: Counter[str] = field(default_factory=Counter)
    """By way."""
    cuts: int = 0
    """Power cuts that found something to cut."""
    told: int = 0
    """Processes that ended because they found what a power cut took of a journal, and told it; the next one goes on."""
    ledgers: int = 0
    served: int = 0
    """Replies that the endpoint gave: what is paid for."""
    stored: int = 0
    reported: int = 0
    """Calls that the ledgers say may have been charged without a stored reply."""
    at_kills: int = 0
    """The most calls that can have been under way at the kills, or in what a power cut took."""
    wrong: list[str] = field(default_factory=list)

    @property
    def paid_twice(self) -> int:
        return self.served - self.stored

    @property
    def sound(self) -> bool:
        bound = self.at_kills if self.cuts else min(self.reported, self.at_kills)
        return not self.wrong and 0 <= self.paid_twice <= bound


def measure(
    target: targets.Target,
    folder: Path,
    *,
    kills: int,
    seed: int,
    seconds: float = float("inf"),
    ways: tuple[str, ...] = WAYS,
    say: Callable[[str], None] = lambda said: None,
) -> Result:
    """Kill it so often, at most for so long, and hold what is stored against what a process stores that nobody kills."""
    rng, result, began = Random(seed), Result(), time.monotonic()
    said_at = began
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(targets.IMPORTED_FIRST)
    with target(folder) as ready:
        whole_at = _new(folder / "whole", ready)
        try:
            _, usual = _ended(made.Process(target=ready.act, args=(str(whole_at),)), None, signal.SIGKILL, ready)
        except RuntimeError as error:
            raise RuntimeError(f"{error}: {_said(whole_at)}") from error
        whole = ready.same(whole_at)
        say(f"a process that nobody kills is at work for {usual:.1f} s")
        while result.kills.total() < kills and time.monotonic() - began < seconds:
            before = ready.served()
            ledger = _new(folder / f"killed-{result.ledgers}", ready)
            result.ledgers += 1
            while True:
                child = made.Process(target=ready.act, args=(str(ledger),))
                left = result.kills.total() < kills and time.monotonic() - began < seconds
                way = rng.choice(ways)
                sent = signal.SIGTERM if way == "SIGTERM" else signal.SIGKILL
                try:
                    met, took = _ended(child, rng.uniform(0.0, min(usual, ready.within)) if left else None, sent, ready)
                    if not met:
                        usual = (usual + took) / 2  # the first one took longest
                        break
                except RuntimeError as error:
                    if not (result.told < result.cuts and _LOST in _said(ledger)):
                        result.wrong.append(f"{error}: {_said(ledger)}")
                        return result
                    result.told += 1
                    Path(f"{ledger}.said").unlink()
                    continue
                result.kills[way] += 1
                if time.monotonic() > said_at + SAY_SECONDS:
                    said_at = time.monotonic()
                    say(f"{result.kills.total()} of {kills} kills, {result.ledgers - 1} ledgers complete")
                result.at_kills += ready.under_way
                if way == "power cut" and cut_last_write(ledger.parent, rng):
                    result.cuts += 1
                    result.at_kills += ready.under_way
            own = ready.same(ledger)
            result.wrong += [f"{ledger.parent.name}: {name} is another" for name in whole if own[name] != whole[name]]
            if ready.under_way:
                result.served += ready.served() - before
                result.stored += own["draws"] if isinstance(own["draws"], int) else len(own["draws"])
                result.reported += _reported(ledger, ready.study)
    return result


def cut_last_write(folder: Path, rng: Random) -> bool:
    """Takes up to CUT_BYTES from the end of the log that was written last. False where there is none."""
    files = [file for file in folder.rglob("*") if file.name.endswith(LOGS) and file.stat().st_size]
    if not files:
        return False
    last = max(files, key=lambda file: file.stat().st_mtime_ns)
    size = last.stat().st_size
    os.truncate(last, max(0, size - rng.randint(1, CUT_BYTES)))
    return True


def _new(folder: Path, ready: targets.Ready) -> Path:
    folder.mkdir()
    ready.begin(folder / "x.duckdb")
    return folder / "x.duckdb"


def _ended(child: Any, kill_after: float | None, sent: signal.Signals, ready: targets.Ready) -> tuple[bool, float]:
    """(whether the signal met it before its end, its seconds at work). RuntimeError where it failed by itself."""
    child.start()
    while child.is_alive() and not ready.at_work(child.pid):
        child.join(0.1)
    at = time.monotonic()
    child.join(PATIENCE if kill_after is None else kill_after)
    if (met := child.is_alive()) and kill_after is not None:
        ready.kill(child.pid, sent)
        child.join(PATIENCE)
    if child.is_alive():
        ready.kill(child.pid, signal.SIGKILL)
        raise RuntimeError(f"a process did not end in {PATIENCE} s{f' after {sent.name}' if kill_after is not None else ''}")
    child.join()
    if child.exitcode != 0 and not (met and child.exitcode in (-sent, 128 + sent, 130)):
        raise RuntimeError(f"a process ended with {child.exitcode} {'after ' + sent.name if met else 'by itself'}")
    return bool(met), time.monotonic() - at


def _said(ledger: Path) -> str:
    said = Path(f"{ledger}.said")
    return said.read_text()[-500:] if said.exists() else ""


def _reported(ledger: Path, study: str) -> int:
    from coordeval.ledger import Ledger, read

    with Ledger.open(ledger, purpose="kills") as opened:
        return opened.books(read(ledger).study(study).study_id).uncertain


def report(name: str, result: Result) -> str:
    """One line for one target."""
    ways = ", ".join(f"{count} {way}" for way, count in sorted(result.kills.items()))
    money = (
        f"; {result.served} replies paid, {result.stored} stored, {result.paid_twice} paid and lost "
        f"({result.reported} reported as perhaps charged, {result.at_kills} could have been under way or cut off)"
        if result.served
        else ""
    )
    return (
        f"{name}: {result.kills.total()} kills ({ways}; {result.cuts} cut off a write, {result.told} told of it) over "
        f"{result.ledgers} ledgers: "
        f"{'every table as where nobody killed' if not result.wrong else '; '.join(result.wrong[:5])}{money}: "
        f"{'sound' if result.sound else 'NOT SOUND'}"
    )


def _say(name: str, said: str) -> None:
    print(f"  {name}: {said}", flush=True)


def _folder() -> AbstractContextManager[str]:
    return tempfile.TemporaryDirectory(prefix="kills-")


def main(
    kills: int = 100, seed: int = 1, seconds: float = float("inf"), only: str | None = None, ways: tuple[str, ...] = WAYS
) -> int:
    sound = True
    for name, (target, share) in TARGETS.items():
        if only not in (None, name):
            continue
        own = 1.0 if only else share
        began = time.monotonic()
        with _folder() as folder:
            most = max(1, round(kills * own))
            say = partial(_say, name)
            result = measure(target, Path(folder), kills=most, seed=seed, seconds=seconds * own, ways=ways, say=say)
        print(f"{report(name, result)} ({time.monotonic() - began:.0f} s, seed {seed})", flush=True)
        sound &= result.sound
    return int(not sound)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="kill for so long at most, over all targets")
    parser.add_argument("--only", choices=TARGETS, help="one target")
    parser.add_argument("--way", choices=WAYS, action="append", help="one way; may be given again")
    asked = parser.parse_args()
    raise SystemExit(main(asked.kills, asked.seed, asked.seconds, asked.only, tuple(asked.way or WAYS)))
