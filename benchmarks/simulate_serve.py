"""Days of `serve` in virtual time: its jobs wake by their schedules on a real ledger, and everything fails as a seed says.

`python -m benchmarks.simulate_serve --hours 24 --seeds 20`. Jobs, runs, ledger and journal are the real ones; the clock, the
scheduler's process, the model's server and the venue are simulated. The process is killed before or after any write (of the
journal, of DuckDB, between the two) and started again after a while; disks are full, readers hold the file, the model's
server refuses, loses replies, or takes an hour, and the venue's answers are spoilt. A job that met what may pass is tried
again as Prefect does it.

In the end an oracle holds that each day of each job is over, once; that each forecast that was picked is there once and
committed to, no draw twice, the budget kept, no reply charged without being stored but those that were lost, under way at
a kill or met a full disk; that what was pulled is what the venue has; and that `coordeval verify` finds the ledger whole.
"""

import argparse
import contextlib
import heapq
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import httpx
import stamina

from benchmarks.simulated_world import MODEL, Faults, Server
from benchmarks.virtual_time import VirtualLoop
from coordeval.flows.jobs import open_markets, pull
from coordeval.flows.jobs.job import Job
from coordeval.flows.jobs.table import JOBS
from coordeval.flows.jobs.wake import wake
from coordeval.flows.prospective.committing import changed_since
from coordeval.flows.run import guard, window
from coordeval.flows.study.study import LoadedStudy, load_study
from coordeval.ledger import Ledger, LedgerBusy, LedgerWriteError, read
from coordeval.ledger.database import kept_open
from coordeval.ledger.journal import Journal
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.http import Patience
from coordeval.market_data.standin import Faults as VenueFaults
from coordeval.market_data.standin import GeneratedMarkets, polymarket_app

STUDY = f"""
name = "served-NUMBER"
replicates = 1
budget_usd = 40
configurations = ["single_agent", {{{{ name = "peer_critique_debate", agents = 2, rounds = 1 }}}}]
[markets]
source = "open"
venue = "simulated"
per_day = 2
seed = SEED
[model]
provider = "anthropic"
id = "{MODEL}"
max_tokens = 500
base_url = "http://127.0.0.1:1"
[run]
concurrent_calls = 4
patience_minutes = 120
""".replace("{{", "{").replace("}}", "}")
START = datetime(2026, 10, 20, tzinfo=UTC)
RETRIES, RETRY_AFTER = 2, timedelta(seconds=300)
"""As the deployments have it."""
AT_ONCE = Patience(wait_initial=0, wait_max=0, wait_jitter=0)
ORDER = ("pull-markets", "forecast-open", "resolve-and-score", "monitor", "report")


class Gone(BaseException):
    """The process was killed."""


@dataclass(slots=True)
class Outcome:
    """What one stretch of hours came to."""

    seed: int
    wakes: int = 0
    kills: int = 0
    tried_again: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    replies: int = 0
    stored: int = 0
    broken: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Machine:
    """The machine that serves: its disk, and what befalls its writes."""

    folder: Path
    seed: int
    kill: float
    disk: float
    busy: float
    life: int = 0
    writes: int = 0
    dead: bool = False
    full_until: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    opened: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    refused: int = 0
    """Entries of the journal that a full disk did not take."""

    @property
    def ledger(self) -> Path:
        return self.folder / f"life-{self.life}" / "x.duckdb"

    def write(self, what: str, do: Any, *, entries: int = 0) -> Any:
        """Does it, unless the disk is full; the process may be gone before it or after it."""
        if self.dead:
            return do()  # on files that nobody looks at any more
        self.writes += 1
        rng = Random(f"{self.seed} {what} {self.writes}")
        if rng.random() < self.disk:
            self.full_until = self.writes + rng.randrange(1, 4)
        if self.writes < self.full_until:
            self.faults["full disk"] += 1
            self.refused += entries
            raise LedgerWriteError(f"{what}: the disk is full")
        kill = rng.random()
        if kill < self.kill / 2:
            self.die(what)
        done = do()
        if kill > 1 - self.kill / 2:
            self.die(what)
        return done

    def die(self, what: str) -> None:
        """From here on another process finds what the files hold now."""
        self.faults[f"killed at {what}"] += 1
        self.dead = True
        old = self.ledger.parent
        shutil.copytree(old, self.folder / f"life-{self.life + 1}", ignore=shutil.ignore_patterns("*.lock", "*.writer.json"))
        raise Gone

    def begin_again(self) -> None:
        self.opened.close()
        shutil.rmtree(self.ledger.parent)
        self.life, self.dead = self.life + 1, False
        self.open()

    def open(self) -> None:
        """Readers of a life share one opening of its file, which then stands in its log too: a day costs half."""
        if not self.ledger.exists():  # else what a kill left is moved by the first job, which may be killed at it
            self.dead = True
            Ledger.open(self.ledger, purpose="a simulation").close()
            self.dead = False
        self.opened.enter_context(kept_open(self.ledger))

    def may_be_held(self) -> None:
        self.writes += 1
        if not self.dead and Random(f"{self.seed} held {self.writes}").random() < self.busy:
            self.faults["a reader held the file"] += 1
            raise LedgerBusy("a reader holds the file")


class _Provider:
    money = "paid"

    def __init__(self, server: Server) -> None:
        self.server = server

    def model(self, settings: Any, around: Any) -> Server:
        return self.server


class World:
    """Everything around the jobs, for one seed."""

    def __init__(self, folder: Path, seed: int, studies: int, faulty: bool) -> None:
        rng = Random(f"{seed} world")
        some = (lambda *rates: rng.choice(rates)) if faulty else (lambda *rates: 0.0)
        self.outcome, self.clock, self.rng = Outcome(seed), START, rng
        self.machine = Machine(folder, seed, some(0.02, 0.06), some(0.0, 0.02), some(0.0, 0.1))
        self.machine.ledger.parent.mkdir()
        faults = Faults(refused=some(0.0, 0.05, 0.2), lost=some(0.0, 0.03), rejected=0.0, slow=some(0.0, 0.05))
        self.venue = VenueFaults(some(0.0, 0.02), seed, seconds=0.0)
        self.markets = GeneratedMarkets(3000, seed)
        self.servers: dict[Path, Server] = {}
        known: dict[Any, Any] = {}
        for number in range(studies):
            file = folder / f"served-{number}.toml"
            file.write_text(STUDY.replace("NUMBER", str(number)).replace("SEED", str(seed * 10 + number)))
            self.servers[file] = Server(seed, faults, 40_000_000, known)

    def load(self, study: Path, **options: Any) -> LoadedStudy:
        loaded = load_study(study, **options)
        loaded.provider = _Provider(self.servers[study])  # type: ignore[assignment]
        return loaded

    def jobs(self) -> list[tuple[Job, Path | None]]:
        """In the order in which `serve` wakes them at its start."""
        of_study = [(JOBS[name], study) for study in self.servers for name in ORDER[1:]]
        return [(JOBS[ORDER[0]], None), *of_study]

    def loop(self) -> VirtualLoop:
        """Its time goes on where the clock stands; a process that is gone runs no further."""
        machine, raised = self.machine, []

        class Loop(VirtualLoop):
            def ends(self) -> BaseException | None:
                if machine.dead and not raised:
                    raised.append(True)
                    return Gone()
                return None

        made = Loop(Random(f"{self.outcome.seed} loop {self.outcome.wakes}"))
        guard.install(made)
        self.last = made
        return made

    @contextlib.contextmanager
    def around(self) -> Iterator[None]:
        """Within, the jobs' writes, loops, models and venue are this world's."""
        machine = self.machine
        store, bulk, truncate, flush = Journal._store, Ledger._store, Journal.truncate, Ledger.flush

        def kept(own: Journal, encoded: list[bytes]) -> None:
            machine.write("a put", partial(store, own, encoded), entries=len(encoded))

        async def put(own: Journal, table: str, key: str, row: dict[str, Any]) -> None:
            own.put_many([(table, key, row)])

        def in_bulk(own: Ledger, *given: Any) -> Any:
            return machine.write("a write in bulk", partial(bulk, own, *given))

        def let_go(own: Journal, upto: int) -> None:
            machine.write("a move", partial(truncate, own, upto))

        def moved(own: Ledger, **options: Any) -> None:
            if own._journal.pending:
                machine.may_be_held()
            flush(own, **options)

        def due(own: Ledger, seconds: float = 2.0) -> None:
            with contextlib.suppress(LedgerBusy):
                own.flush()

        app = polymarket_app(self.markets, self.venue)
        through = partial(pull.pull_markets, transport=httpx.ASGITransport(app), patience=AT_ONCE)
        with contextlib.ExitStack() as patches:
            for place, name, own in (
                (Journal, "_store", kept),
                (Journal, "put", put),
                (Journal, "truncate", let_go),
                (Ledger, "_store", in_bulk),
                (Ledger, "flush", moved),
                (Ledger, "flush_if_due", due),
                (guard, "new_event_loop", self.loop),
                (pull, "pull_markets", through),
                (open_markets, "load_study", self.load),
                (window, "watching", lambda loop: contextlib.nullcontext()),
                (window, "told", lambda *arguments: contextlib.nullcontext()),
            ):
                patches.enter_context(patch.object(place, name, own))
            yield

    def wake(self, job: Job, study: Path | None) -> str:
        """ "done", "passing": it may pass by itself, "failed", or "gone" with the process."""
        self.outcome.wakes += 1
        self.last = None
        options = {"source": "polymarket", "base_url": "http://stand-in", "prices": 0.05} if study is None else {}
        try:
            wake(job, study, self.machine.ledger, now=self.clock, say=lambda said: None, by="a simulation", options=options)
            ended = "done"
        except Gone:
            ended = "gone"
        except (CoordevalError, OSError) as error:
            from coordeval.flows.orchestration.scheduled import PASSING

            ended = "passing" if isinstance(error, PASSING) else "failed"
            if ended == "failed" and not self.machine.dead:
                self.outcome.broken.append(f"{job.name} at {self.clock:%d %H:%M}: {type(error).__name__}: {error}")
        if self.last is not None:
            self.clock += timedelta(seconds=self.last.now)
        return "gone" if self.machine.dead else ended


def serve(world: World, hours: float) -> None:
    """The scheduler's part: wakes by cron, one at a time; what is due while nobody serves is made up for at the start."""
    end = START + timedelta(hours=hours - 1)
    while world.clock < end:
        queue: list[tuple[datetime, int, Job, Path | None, int]] = []
        for place, (job, study) in enumerate(world.jobs()):
            heapq.heappush(queue, (world.clock, place, job, study, 0))  # the catch-up
            for n in range(int(hours // 24) + 2):
                at = _cron(job, (START + timedelta(days=n)).date())
                if at > world.clock:
                    heapq.heappush(queue, (at, place, job, study, 0))
        while queue and queue[0][0] < end:
            at, place, job, study, tries = heapq.heappop(queue)
            world.clock = max(world.clock, at)
            ended = world.wake(job, study)
            if ended == "gone":
                world.outcome.kills += 1
                for server in world.servers.values():
                    server.at_kills += len(server.under_way)
                    server.under_way.clear()
                world.machine.begin_again()
                world.clock += timedelta(minutes=world.rng.uniform(1, 90))
                break
            if ended == "passing" and tries < RETRIES:
                world.outcome.tried_again += 1
                heapq.heappush(queue, (world.clock + RETRY_AFTER, place, job, study, tries + 1))
        else:
            break


def _cron(job: Job, day: date) -> datetime:
    minute, hour, *_ = job.cron.split()
    return datetime(day.year, day.month, day.day, int(hour), int(minute), tzinfo=UTC)


def simulate(seed: int, hours: float = 24.0, studies: int = 2, *, faulty: bool = True) -> Outcome:
    """`serve` for so many virtual hours under the faults of a seed, the last of them without any; what the oracle says."""
    random.seed(seed)
    with tempfile.TemporaryDirectory(prefix="simulated-serve-") as folder:
        world = World(Path(folder), seed, studies, faulty)
        machine = world.machine
        with machine.opened, world.around():
            machine.open()
            serve(world, hours)
            machine.kill = machine.disk = machine.busy = world.venue.rate = 0.0
            machine.full_until = 0
            for server in world.servers.values():
                server.faults = Faults()
            world.clock = max(world.clock, START + timedelta(hours=hours - 0.5))
            for job, study in world.jobs():
                if (ended := world.wake(job, study)) != "done":
                    world.outcome.broken.append(f"{job.name} without any fault: {ended}")
            world.outcome.faults = machine.faults + Counter(world.venue.injected)
            oracle(world)
    return world.outcome


def oracle(world: World) -> None:
    """What does not hold goes to `outcome.broken`."""
    from coordeval.flows.verify.verifying import verify

    outcome, broken = world.outcome, world.outcome.broken
    ledger = world.machine.ledger
    reader = read(ledger)
    days = reader.query("SELECT job, study, day, list(status ORDER BY attempt) AS ended FROM days GROUP BY ALL").to_dicts()
    for row in days:
        if row["ended"][-1] not in ("done", "missed") or {"done", "missed"} & set(row["ended"][:-1]):
            broken.append(f"{row['job']} of {row['day']} ended {', '.join(row['ended'])}")
    if len({(row["job"], row["study"]) for row in days}) != len(world.jobs()):
        broken.append(f"{len(days)} days are known of {len(world.jobs())} jobs")
    cells = "picks JOIN cells USING (study_id, market_id) LEFT JOIN forecasts f USING (forecast_id)"
    missing = f"SELECT count(*) FROM {cells} WHERE day = '{world.clock.date()}' AND f.status IS DISTINCT FROM 'answered'"
    for what, query in {
        "picked cells of the last day have no forecast": missing,
        "forecasts are there twice": "SELECT count(*) - count(DISTINCT forecast_id) FROM forecasts",
        "draws are there twice": "SELECT count(*) - count(DISTINCT draw_id) FROM draws",
        "markets were picked twice": "SELECT count(*) - count(DISTINCT (study_id, market_id)) FROM picks",
        "findings are told twice": "SELECT count(*) - count(DISTINCT finding_id) FROM findings",
        "days have no root": "SELECT count(*) FROM forecast_days WHERE root IS NULL",
    }.items():
        if count := reader.query(query).item():
            broken.append(f"{count} {what}")
    for study, server in world.servers.items():
        loaded = load_study(study)
        if changed_since(reader, loaded.id):
            broken.append(f"{study.name}: forecasts were changed after they were committed to")
        broken += server.over[:1]
        paid = (
            "SELECT count(*) FROM draws JOIN (SELECT DISTINCT forecast_id, study_id FROM cells) c ON c.forecast_id = payer "
        )
        stored = reader.query(f"{paid} WHERE c.study_id = ?", [loaded.id]).item()
        outcome.replies, outcome.stored = outcome.replies + server.replies, outcome.stored + stored
        with Ledger.open(ledger, purpose="an oracle") as opened:
            uncertain = opened.books(loaded.id).uncertain
        lost, may = server.replies - stored, server.lost + server.at_kills + server.given_up + world.machine.refused
        if lost < 0 or lost > uncertain or lost > may + outcome.kills:
            broken.append(
                f"{study.name}: {lost} replies are charged and not stored; the books know of {uncertain}, {may} may be"
            )
    pulled = reader.query("SELECT count(*), count(DISTINCT market_id) FROM markets WHERE source = 'polymarket'").row(0)
    first = datetime(START.year, START.month, START.day, tzinfo=UTC) - timedelta(
        days=JOBS["pull-markets"].options["days_back"]
    )
    until = datetime(world.clock.year, world.clock.month, world.clock.day, tzinfo=UTC)
    there = sum(first.timestamp() <= at < until.timestamp() for at in world.markets.closed_at)
    known = reader.query("SELECT count(*) FROM refused_rows").item()
    if pulled[0] != pulled[1] or not 0 < pulled[0] <= there <= pulled[0] + known:
        broken.append(f"{pulled[0]} markets were pulled and {known} rows refused; the venue has {there}")
    found = verify(reader)
    broken += [f"verify, {part.name}: {part.faults[0].says}" for part in found.parts if part.wrong]


def main(seeds: int = 5, seed: int = 1, hours: float = 24.0, studies: int = 2) -> int:
    stamina.instrumentation.set_on_retry_hooks([])
    total, broken, cpu = Outcome(seed), 0, time.process_time()
    for one in range(seed, seed + seeds):
        outcome = simulate(one, hours, studies)
        for name in ("wakes", "kills", "tried_again", "replies", "stored", "faults"):
            setattr(total, name, getattr(total, name) + getattr(outcome, name))
        if outcome.broken:
            broken += 1
            print(f"seed {one} fails:", *outcome.broken[:5], sep="\n  ", flush=True)
    befell = ", ".join(f"{count} {name}" for name, count in sorted(total.faults.items()))
    print(
        f"{seeds} times {hours:g} virtual hours of serve: {total.wakes} wakes, {total.kills} kills, {total.tried_again} "
        f"tried again; {total.replies} replies charged, {total.stored} stored; {broken} broke a rule "
        f"({time.process_time() - cpu:.0f} s of processor, seeds from {seed}; {befell})"
    )
    return int(bool(broken))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulate_serve", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--studies", type=int, default=2)
    asked = parser.parse_args()
    raise SystemExit(main(asked.seeds, asked.seed, asked.hours, asked.studies))
