"""Counts kept chunk by chunk: a self-test of hours goes on where it was interrupted, and benches may be run one by one."""

import hashlib
from collections import Counter
from functools import cache
from importlib.metadata import version
from pathlib import Path

import orjson

import coordeval.analysis
from coordeval.analysis.selftest.benches import Check, Task
from coordeval.market_data.files import write_whole

Counts = Counter[tuple[Check, bool | None]]


@cache
def code() -> str:
    """What made a count: the source of the analysis and the versions of what it computes with."""
    found = hashlib.sha256(" ".join(f"{name} {version(name)}" for name in ("numpy", "polars", "scipy")).encode())
    for folder in coordeval.analysis.__path__:
        for path in sorted(Path(folder).rglob("*.py")):
            found.update(path.read_bytes())
    return found.hexdigest()[:16]


def place(folder: Path, chunk: list[Task]) -> Path:
    """Where the counts of these tasks are kept; counts of other code have a folder of their own."""
    first, last = chunk[0], chunk[-1]
    world = first.world.replace(" ", "_")
    name = f"{first.bench}.{world}.{first.markets}.{first.number}-{last.number}.seed{first.seed}.n{first.resamples}.json"
    return folder / code() / name


def keep(folder: Path, chunk: list[Task], counts: Counts) -> None:
    """Whole or not at all, so that what is found there can be counted."""
    path = place(folder, chunk)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [[c.kind, c.measure, c.world, c.markets, c.of, came_out, n] for (c, came_out), n in counts.items()]
    write_whole(path, orjson.dumps(rows))


def found(folder: Path, chunk: list[Task]) -> Counts | None:
    """The counts of these tasks, or None where they were not kept."""
    path = place(folder, chunk)
    if not path.exists():
        return None
    return Counter(
        {
            (Check(kind=kind, measure=measure, world=world, markets=markets, of=of), came_out): n
            for kind, measure, world, markets, of, came_out, n in orjson.loads(path.read_bytes())
        }
    )
