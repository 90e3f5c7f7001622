"""What is killed: what a process of each target does, what it finds when it begins, what must be the same in the end."""

import asyncio
import contextlib
import functools
import io
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
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
AHEAD = """
name = "ahead"
replicates = 1
configurations = ["market_price", "single_agent"]
[markets]
source = "open"
venue = "simulated"
per_day = 2
[model]
provider = "simulated"
"""
CALLS_AT_ONCE = 8
OF_RUN = {
    "forecasts": "forecast_id, status, probability, reason, attributed_micro_usd, input_tokens, output_tokens, call_graph",
    "calls": "forecast_id, ask, turn, agent, round, role, draw_id, stop_reason, input_tokens, attributed_micro_usd",
    "tool_calls": "forecast_id, ask, turn, position, tool, arguments, result",
    "estimates": "forecast_id, ask, probability, rationale",
    "draws": "draw_id, request, reply->>'content', micro_usd",
}
"""Table -> the columns that do not depend on when and by whom a reply was bought."""
OF_PULL = {
    "markets": "* EXCLUDE (text_known_at)",
    "outcomes": "* EXCLUDE (recorded_at)",
    "venue_facts": "* EXCLUDE (seen_at)",
    "prices": "*",
    "price_fetches": "* EXCLUDE (fetched_at, dropped)",
    "refused_rows": "*",
}
OF_IMPORT = {
    "studies": "study_id, name, source",
    "markets": "* EXCLUDE (text_known_at)",
    "outcomes": "* EXCLUDE (recorded_at)",
    "prices": "*",
    "cells": "* EXCLUDE (study_id)",
    "forecasts": "* EXCLUDE (run_id, created_at)",
}
OF_JOBS = {
    "picks": "*",
    "cells": "*",
    "forecasts": OF_RUN["forecasts"],
    "outcomes": "* EXCLUDE (recorded_at)",
    "commitment_leaves": "*",
}


@dataclass(frozen=True, slots=True)
class Ready:
    """A target whose servers run and whose files are there."""

    act: Callable[[str], None]
    """What a process does with the ledger at that path, from wherever another one was killed. It can be pickled."""
    same: Callable[[Path], Mapping[str, Any]]
    """What the ledger holds that must not depend on kills."""
    begin: Callable[[Path], None] = lambda ledger: None
    """Puts there what the first process finds."""
    served: Callable[[], int] = lambda: 0
    """Replies that were paid for so far."""
    under_way: int = 0
    """The most replies that can be under way at a kill."""
    study: str = "kills"
    """Whose books say what may have been charged without a stored reply."""
    kill: Callable[[int, int], None] = os.kill
    """Sends a process a signal, and those that it started."""
    at_work: Callable[[int], bool] = lambda pid: True
    """Whether the process is so far that a kill can do harm; from then on it is killed at a random moment."""
    within: float = float("inf")
    """Seconds at work after which no kill is waited for, however long it usually works."""


Target = Callable[[Path], AbstractContextManager[Ready]]
IMPORTED_FIRST = [
    "polars",
    "scipy.stats",
    "coordeval.flows.cli.main",
    "coordeval.flows.run.run",
    "coordeval.flows.imports.storing",
    "coordeval.flows.imports.terminal",
    "coordeval.flows.jobs.table",
    "coordeval.flows.jobs.wake",
    "coordeval.flows.markets.confirming",
    "coordeval.flows.markets.endless",
    "coordeval.flows.markets.pulling",
    "coordeval.flows.run.waiting",
    "coordeval.agents.anthropic_model",
    "coordeval.agents.recorded",
    "coordeval.agents.simulated",
]
"""By the process that all others are forked from, so that what is killed is at work and not at its imports. Threads do not
come along in a fork; those in which polars computes are made when it is first used."""


def columns(ledger: Path, tables: Mapping[str, str]) -> dict[str, Any]:
    with read(ledger).moment() as reader:
        return {name: reader.query(f"SELECT {chosen} FROM {name} ORDER BY ALL").rows() for name, chosen in tables.items()}


def command(*words: str, fine: threading.Event | None = None) -> None:
    """A command as a user gives it, in this process; its exit status is the process's, 0 where `fine` is set."""
    from coordeval.flows.cli.ending import status_of
    from coordeval.flows.cli.main import app

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        status = status_of(lambda: app(list(words), standalone_mode=False))
    if status not in (0, 130, 143):
        Path(f"{words[words.index('--ledger') + 1]}.said").write_text(said.getvalue())
    os._exit(0 if fine is not None and fine.is_set() else status)


# Runs, live and in batches


@contextmanager
def run(folder: Path, *, batch: bool, count: int = 2, slower: float = 1.0) -> Iterator[Ready]:
    waits = Faults(seconds=0.01 * slower, spread=0.03 * slower, batch_seconds=0.1 * slower)
    served = StandIn(waits, sampled=False)
    with Running(served) as running:
        file = folder / "kills.toml"
        file.write_text(STUDY.format(count=count, url=running.url, calls=CALLS_AT_ONCE, batch=str(batch).lower()))
        yield Ready(
            functools.partial(_run, str(file), served.key),
            lambda ledger: columns(ledger, OF_RUN),
            served=lambda: len(served.seen) + sum(len(made.items) for made in served.batches.made.values()),
            under_way=3 * 3 * count if batch else CALLS_AT_ONCE,
        )


def _run(file: str, key: str, ledger: str) -> None:
    from coordeval.flows.run import run

    os.environ["ANTHROPIC_API_KEY"] = key
    run.score = lambda *given: os._exit(
        0
    )  # all is stored then and the ledger closed; the report takes twice as long as that
    command("run", file, "--inline", "--yes", "--unchecked", "--ledger", ledger)


# A pull, with prices


@contextmanager
def pull(folder: Path, *, markets: int = 80) -> Iterator[Ready]:
    import uvicorn

    from coordeval.market_data.standin import GeneratedMarkets, polymarket_app

    config = uvicorn.Config(polymarket_app(GeneratedMarkets(markets)), port=0, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Ready(functools.partial(_pull, f"http://127.0.0.1:{port}"), lambda ledger: columns(ledger, OF_PULL))
    finally:
        server.should_exit = True
        thread.join(5)


def _pull(address: str, ledger: str) -> None:
    window = ("--resolved-after", "2024-06-01", "--resolved-before", "2025-03-01", "--prices", "0.1")
    command("markets", "pull", "--base-url", address, *window, "--ledger", ledger)


# An import of forecasts


@contextmanager
def imports(folder: Path, *, questions: int = 90) -> Iterator[Ready]:
    file = folder / "forecasts.csv"
    rows = (
        f"q{q},bot {b},{(q * 7 + b * 13) % 100 / 100},{q % 2},2026-01-{1 + q % 28:02d}T00:00:00Z,{q % 97 / 97:.3f},e{q // 3}"
        for q in range(questions)
        for b in range(5)
    )
    file.write_text("\n".join(["question_id,forecaster,probability,outcome,date,market_price,event", *rows]))
    yield Ready(functools.partial(_import, str(file)), lambda ledger: columns(ledger, OF_IMPORT))


def _import(file: str, ledger: str) -> None:
    command("import", "forecasts", file, "--name", "imported", "--ledger", ledger)


# The migrations of an old ledger


@contextmanager
def migration(folder: Path, *, applied: int = 6) -> Iterator[Ready]:
    """A ledger of an earlier version with rows in it; the process opens it."""
    import duckdb

    from coordeval.ledger import schema

    old = folder / "old.duckdb"
    with duckdb.connect(str(old)) as con:
        schema.migrate(con, schema.load()[:applied])
        for table in ("studies", "draws", "markets"):
            kinds = con.execute(f"DESCRIBE {table}").fetchall()
            chosen = ", ".join(f"{_made_up(kind)} AS {name}" for name, kind, *_ in kinds)
            con.execute(f"INSERT INTO {table} SELECT {chosen} FROM range(500) t(i)")

    def begin(ledger: Path) -> None:
        shutil.copy(old, ledger)

    yield Ready(_open, _everything, begin=begin)


def _made_up(kind: str) -> str:
    match kind:
        case "VARCHAR":
            return "repeat('row ' || i, 20)"
        case "JSON":
            return "'{}'::JSON"
        case "TIMESTAMP WITH TIME ZONE":
            return "TIMESTAMPTZ '2026-01-01'"
        case _:
            return f"i::{kind}"


def _open(ledger: str) -> None:
    with Ledger.open(Path(ledger), purpose="kills"):
        pass
    os._exit(0)


def _everything(ledger: Path) -> dict[str, Any]:
    import duckdb

    with duckdb.connect(str(ledger), read_only=True) as con:
        names = [name for (name,) in con.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()]
        found: dict[str, Any] = {name: con.execute(f"FROM {name} ORDER BY ALL").fetchall() for name in names}
        found["migrations"] = con.execute("SELECT number, name, sha256 FROM migrations ORDER BY 1").fetchall()
        found["columns"] = con.execute(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() ORDER BY ALL"
        ).fetchall()
    return found


# Shards of workers that come into the ledger


@contextmanager
def shards(folder: Path, *, count: int = 4) -> Iterator[Ready]:
    """What a worker left of a study is there; the process takes it in."""
    from coordeval.flows.run import guard
    from coordeval.flows.run.planning import plan
    from coordeval.flows.run.planning import pull as markets_of
    from coordeval.flows.run.run import shards_beside
    from coordeval.flows.run.window import run_chunks
    from coordeval.flows.run.workers.places import place
    from coordeval.flows.run.workers.shards import ShardStore
    from coordeval.flows.study.evaluation import open_evaluation, version
    from coordeval.flows.study.study import load_study

    file, old = folder / "kills.toml", folder / "old.duckdb"
    lines = STUDY.format(count=count, url="", calls=CALLS_AT_ONCE, batch="false").partition("[model]")[0]
    lines = lines.replace("budget_usd = 100\n", "")
    file.write_text(f'{lines}[model]\nprovider = "simulated"\n')
    loaded = load_study(file)
    left = folder / "left"
    with Ledger.open(old, purpose="kills") as ledger:
        evaluation = open_evaluation(loaded, old, ledger)
        made = plan(evaluation, markets_of(evaluation))
        for number, cells in enumerate(made.chunks):
            prefix = f"{loaded.id[:16]}/{number:05}/a"
            own: dict[str, Any] = {"study": loaded.id, "version": version(), "known": {}, "served": ()}
            guard.run(run_chunks(evaluation, [cells], store=ShardStore(place(str(left)), prefix, ledger._tables, **own)))

    def begin(path: Path) -> None:
        shutil.copy(old, path)
        shutil.copytree(left, shards_beside(path))

    yield Ready(functools.partial(_take_in, str(file)), lambda ledger: columns(ledger, OF_RUN), begin=begin)


def _take_in(file: str, ledger: str) -> None:
    from coordeval.flows.run.run import shards_beside
    from coordeval.flows.run.workers.dispatch import take_in
    from coordeval.flows.study.evaluation import open_evaluation
    from coordeval.flows.study.study import load_study

    with Ledger.open(Path(ledger), purpose="kills") as opened:
        evaluation = open_evaluation(load_study(Path(file)), Path(ledger), opened)
        refused = take_in(evaluation, str(shards_beside(Path(ledger))), lambda text: None).refused
    os._exit(1 if refused else 0)


# The jobs that `serve` wakes, two days of them

FIRST_DAY = datetime(2026, 1, 1, 6, tzinfo=UTC)
DAYS = 2


@contextmanager
def jobs(folder: Path) -> Iterator[Ready]:
    file = folder / "ahead.toml"
    file.write_text(AHEAD)
    yield Ready(functools.partial(_jobs, str(file)), of_jobs)


def _jobs(file: str, ledger: str) -> None:
    from coordeval.flows.jobs.table import JOBS
    from coordeval.flows.jobs.wake import wake

    path = Path(ledger)
    known = read(path).query("SELECT max(now_at) FROM days").item() if path.exists() else None
    for n in range(DAYS):
        for hour, name in enumerate(("forecast-open", "resolve-and-score", "report")):
            now = FIRST_DAY + timedelta(days=n, hours=hour)
            if known is None or now >= known - timedelta(hours=hour):
                try:
                    wake(JOBS[name], Path(file), path, now=now, say=lambda said: None, by="kills")
                except (KeyboardInterrupt, asyncio.CancelledError):  # SIGTERM, as the command takes it
                    os._exit(143)
    os._exit(0)


def of_jobs(ledger: Path) -> dict[str, Any]:
    """Days that are over, once each; what was picked, forecast, committed to and resolved."""
    over = "SELECT job, day, count(*) FILTER (status = 'done') AS done FROM days GROUP BY job, day ORDER BY ALL"
    return {"days": read(ledger).query(over).rows(), **columns(ledger, OF_JOBS)}
