"""A server and a disk that fail as a seed says, and remember what they took: what a simulated run is held against."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from random import Random
from typing import Any

import orjson

from coordeval.agents.batching import Item, OpenBatch
from coordeval.agents.failures import RequestRefused, Unavailable
from coordeval.agents.messages import Reply, Request, Slot
from coordeval.agents.prices import PriceBook, utc_today
from coordeval.agents.simulated import SimulatedModel
from coordeval.ledger import CellRows, LedgerBusy, LedgerWriteError
from coordeval.ledger.books import Books, Unpriced
from coordeval.ledger.tables import Tables
from coordeval.ledger.writer import checked_cell

MODEL = "claude-opus-4-6"


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How often what goes wrong, each a probability; all 0: nothing does. `none` is the kind that a schedule shrinks to."""

    refused: float = 0.0
    """The server takes nobody now (503), and charges nothing."""
    lost: float = 0.0
    """A reply is made and charged, and does not arrive."""
    rejected: float = 0.0
    """The server refuses this one request."""
    slow: float = 0.0
    """A reply takes up to an hour."""
    disk: float = 0.0
    """The disk is full at a write, which stores nothing."""
    busy: float = 0.0
    """A reader holds the file when rows are to move into it."""
    item: float = 0.0
    """A call of a batch expires, or its result is missing."""
    kill: float = 0.0
    """The process is killed before or after a write."""
    stop: float = 0.0
    """Somebody ends the run (SIGTERM) while it runs."""

    def without(self, name: str) -> "Faults":
        return replace(self, **{name: 0.0})

    def kinds(self) -> list[str]:
        return [one.name for one in fields(self) if getattr(self, one.name)]


class Killed(Exception):
    """The process is gone."""


@dataclass(slots=True)
class Server:
    """Answers as the simulated model does, each request alike; counts what it charges."""

    seed: int
    faults: Faults
    limit: int | None
    """The budget in millionths of a dollar that runs are given now."""
    known: dict[tuple[str, int, int], Reply]
    """Replies that were made in any schedule: the same request has the same reply."""
    charged: int = 0
    replies: int = 0
    over: list[str] = field(default_factory=list)
    under_way: dict[int, tuple[Request, Slot]] = field(default_factory=dict)
    at_kills: int = 0
    """Calls that were under way when processes were killed."""
    lost: int = 0
    given_up: int = 0
    """Replies to calls that a stopped run called off, and that were charged all the same."""
    asked: dict[Any, int] = field(default_factory=dict)
    made_batches: dict[str, tuple[datetime, list[Item], dict[str, Reply | None]]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    sim: SimulatedModel = field(default_factory=SimulatedModel)
    book: PriceBook = field(default_factory=PriceBook.bundled)

    most, most_bytes = 50, 10_000_000

    @property
    def identity(self) -> Mapping[str, Any]:
        return {"model": MODEL, "provider": "simulated endpoint"}

    @property
    def batches(self) -> "Server":
        return self

    async def killed(self) -> None:
        """The process that asked is gone: what was under way is made, or it is not."""
        self.at_kills += len(self.under_way)
        for request, slot in list(self.under_way.values()):
            if self._luck(request.key, "killed").random() < 0.5:
                await self._made(request, slot.replicate, slot.k, batch=False)
        self.under_way.clear()

    async def complete(self, request: Request, slot: Slot) -> Reply:
        self.under_way[id(slot)] = request, slot
        rng = self._luck(request.key, slot.replicate, slot.k)
        try:
            try:
                await asyncio.sleep(self._seconds(rng))
            except asyncio.CancelledError:
                if rng.random() < 0.5:
                    self.given_up += 1
                    await self._made(request, slot.replicate, slot.k, batch=False)
                raise
            if rng.random() < self.faults.refused:
                raise Unavailable("HTTP 503", overloaded=rng.random() < 0.5, wait=rng.choice([None, 1.0, 30.0]))
            if rng.random() < self.faults.rejected:
                raise RequestRefused("HTTP 400: not this one")
            reply = await self._made(request, slot.replicate, slot.k, batch=False)
            if rng.random() < self.faults.lost:
                self.lost += 1
                raise Unavailable("the connection was closed", charged=True)
            return reply
        finally:
            self.under_way.pop(id(slot), None)

    async def _made(self, request: Request, replicate: int, k: int, *, batch: bool) -> Reply:
        key = request.key, replicate, k
        if key not in self.known:
            slot = Slot(replicate=replicate, k=k, forecast_id="", market_id="", configuration="", ask=0, turn=0)
            made = await self.sim.complete(request, slot)
            price = self.book.micro_usd(MODEL, made.usage, utc_today())
            self.known[key] = replace(made, model=MODEL, micro_usd=price, seconds=1.0)
        reply = self.known[key]
        if batch:
            reply = replace(reply, micro_usd=(reply.micro_usd or 0) // 2)
        self.replies += 1
        self.charged += reply.micro_usd or 0
        if self.limit is not None and self.charged > self.limit:
            self.over.append(f"{self.charged} charged, and the budget is {self.limit} (millionths of a dollar)")
        return reply

    def _luck(self, *what: Any) -> Random:
        """Draws that hang on what is asked, for the how manieth time, and not on the order in which others ask."""
        self.asked[what] = number = self.asked.get(what, 0) + 1
        return Random(f"{self.seed} {what} {number}")

    def _seconds(self, rng: Random) -> float:
        return rng.uniform(1.0, 3600.0) if rng.random() < self.faults.slow else rng.expovariate(0.5)

    # Batches: what was taken is made and charged, whoever asks for it.

    async def create(self, items: Sequence[Item]) -> str:
        rng = self._luck("create", *sorted(self.slots[item.id] + (item.request.key,) for item in items))
        await asyncio.sleep(self._seconds(rng))
        if rng.random() < self.faults.refused:
            raise Unavailable("HTTP 503", overloaded=True)
        name = f"batch-{len(self.made_batches)}"
        self.made_batches[name] = datetime.now(UTC), list(items), {}
        for item in items:
            fails = rng.random() < self.faults.item
            self.made_batches[name][2][item.id] = (
                None if fails else await self._made(item.request, *self.slots[item.id], batch=True)
            )
        if rng.random() < self.faults.lost:
            raise Unavailable("the connection was closed", charged=True)
        return name

    slots: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Attempt -> (replicate, k), by which a batch's item has its reply."""

    async def ended(self, batch_id: str) -> bool:
        rng = self._luck("ended", batch_id)
        await asyncio.sleep(self._seconds(rng))
        if rng.random() < self.faults.refused:
            raise Unavailable("HTTP 503")
        return rng.random() < 0.3

    async def results(self, batch_id: str) -> AsyncIterator[tuple[str, Reply | Exception]]:
        rng = self._luck("results", batch_id)
        results = list(self.made_batches[batch_id][2].items())
        rng.shuffle(results)
        for item, reply in results:
            await asyncio.sleep(0)
            if reply is not None:
                self.taken.add(item)
                yield item, replace(reply, batch=batch_id)
            elif rng.random() < 0.5:
                yield item, Unavailable("it expired", own=True)
            if rng.random() < self.faults.refused / 10:
                raise Unavailable("the connection was closed")

    async def since(self, moment: datetime, size: int) -> list[str]:
        return [name for name, (at, items, _) in self.made_batches.items() if at >= moment and len(items) == size]

    @property
    def in_no_books(self) -> int:
        """Replies of batches that no run has taken up."""
        return sum(
            reply is not None and item not in self.taken
            for _, _, made in self.made_batches.values()
            for item, reply in made.items()
        )


@dataclass(slots=True)
class Disk:
    """What is durable, in the place of the ledger: a write that has returned is here, and so may be one that has not."""

    seed: int
    faults: Faults
    server: Server
    tables: Tables
    rows: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    cells: dict[str, dict[str, Any]] = field(default_factory=dict)
    doubled: list[str] = field(default_factory=list)
    count: dict[str, int] = field(default_factory=lambda: {"writes": 0, "full_until": 0, "flushes": 0, "refused draws": 0})
    putting: set[str] = field(default_factory=set)
    """Draws on their way to the disk."""
    dead: bool = False

    def of_next_process(self) -> "Disk":
        """The same disk; what is left of the process before does nothing to it any more."""
        self.dead = True
        return replace(self, dead=False, putting=set())

    async def put(self, table: str, row: Mapping[str, Any]) -> None:
        checked = self.tables[table].row(row)
        key = str(self.tables[table].identity(checked))
        if table == "batches":
            for attempt, _, replicate, k in orjson.loads(checked["items"]):
                self.server.slots[attempt] = replicate, k
        await self._write(lambda: self._keep(table, key, checked), key if table == "draws" else "")

    def _keep(self, table: str, key: str, row: dict[str, Any]) -> None:
        own = self.rows.setdefault(table, {})
        if table == "draws" and key in own:
            if own[key]["attempt_id"] != row["attempt_id"]:
                self.doubled.append(f"draw {row['draw_id'][:12]} was bought by two attempts and stored by both")
            return
        own[key] = row

    async def put_cell(self, cell: CellRows) -> None:
        rows = checked_cell(self.tables, cell)
        name = str(cell.forecast["forecast_id"])

        def keep() -> None:
            before = self.cells.get(name)
            if before is not None and before["forecasts"][0]["status"] == "answered":
                self.doubled.append(f"forecast {name[:12]} was answered and is made again")
            self.cells[name] = rows

        await self._write(keep)

    async def _write(self, keep: Callable[[], None], draw: str = "") -> None:
        if self.dead:
            await asyncio.Event().wait()
        self.count["writes"] = number = self.count["writes"] + 1
        rng = Random(f"{self.seed} write {number}")
        self.putting |= {draw} if draw else set()
        await asyncio.sleep(rng.expovariate(100.0))
        fills = rng.random() < self.faults.disk
        if fills:
            self.count["full_until"] = number + rng.randrange(1, 6)
        if fills or number < self.count["full_until"]:
            self.count["refused draws"] += bool(draw)
            self.putting.discard(draw)
            raise LedgerWriteError("the disk is full")
        kill = rng.random()
        if kill < self.faults.kill / 2:
            await self.die()
        keep()
        self.putting.discard(draw)
        if kill > 1 - self.faults.kill / 2:
            await self.die()

    async def die(self) -> None:
        self.dead = True
        self.server.at_kills += len(self.putting)
        await self.server.killed()
        asyncio.get_running_loop().stop()
        await asyncio.Event().wait()

    def flush(self) -> None:
        self.count["flushes"] += 1
        if Random(f"{self.seed} flush {self.count['flushes']}").random() < self.faults.busy:
            raise LedgerBusy("a reader holds the file")

    def flush_if_due(self) -> None:
        """As `flush`, tried again later."""

    def drawn_alike(self, market_ids: Any) -> dict[str, list[str]]:
        return {market: [market] for market in market_ids}

    def known_draws(self, market_ids: Any) -> dict[str, tuple[str, str]]:
        wanted = set(market_ids)
        rows = self.rows.get("draws", {}).values()
        return {row["draw_id"]: (row["reply"], row["payer"]) for row in rows if row["market_id"] in wanted}

    def books(self, study_id: str) -> Books:
        draws, attempts = self.rows.get("draws", {}).values(), self.rows.get("attempts", {}).values()
        drawn = {row["attempt_id"] for row in draws}
        open_ = [row for row in attempts if row["attempt_id"] not in drawn and row["ended"] != "refused"]
        unpriced = tuple(Unpriced(row["model"], len(row["request"]), 500) for row in draws if row["micro_usd"] is None)
        return Books(
            sum(row["micro_usd"] or 0 for row in draws),
            unpriced,
            len(open_),
            sum(row["worst_micro_usd"] or 0 for row in open_),
            frozenset(row["served_model"] for row in draws),
        )

    def open_batches(self, study_id: str) -> list[OpenBatch]:
        drawn = {row["attempt_id"] for row in self.rows.get("draws", {}).values()}
        attempts = {row["attempt_id"]: row for row in self.rows.get("attempts", {}).values()}
        found = []
        for row in self.rows.get("batches", {}).values():
            keys = {one: (request, replicate, k) for one, request, replicate, k in orjson.loads(row["items"])}
            held = {
                keys[one]: {**attempts[one], "asked_at": datetime.fromisoformat(attempts[one]["asked_at"])}
                for one in keys
                if one in attempts and one not in drawn and attempts[one]["ended"] is None
            }
            if held:
                at = datetime.fromisoformat(row["created_at"])
                found.append(OpenBatch(row["wave_id"], row["batch_id"], at, row["size"], held))
        return found
