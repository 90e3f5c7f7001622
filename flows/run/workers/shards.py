"""Shards: what a worker was paid for and made, durable before anybody goes on with it.

A shard is a Parquet file of journal entries (table, key, row as JSON). Its metadata say of which format, study and version
it is, how many entries it holds and their checksum; one that is not whole, or is another's, is told and left aside.
"""

import asyncio
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from coordeval.agents.batching import OpenBatch
from coordeval.agents.budget import EXHAUSTED
from coordeval.flows.run import guard
from coordeval.flows.run.workers.columns import encoded_columns, is_columns
from coordeval.flows.run.workers.places import Place, ShardError
from coordeval.ledger import CellRows
from coordeval.ledger.books import Books
from coordeval.ledger.merging import CELL, part_of
from coordeval.ledger.tables import Row, Tables
from coordeval.ledger.writer import checked_cell

FORMAT = "coordeval-shard/1"
_SCHEMA = pa.schema([("table", pa.string()), ("key", pa.string()), ("row", pa.string())])


COLUMNS_BYTES = 32_000_000
"""Of rows as JSON that a worker keeps in memory before it makes columns of them."""


class Entry(NamedTuple):
    table: str
    key: str
    row: dict[str, Any]


class _Put(NamedTuple):
    table: str
    key: str
    encoded: bytes
    row: Any


def encoded(entries: Sequence[tuple[str, str, bytes]], *, study: str, version: str) -> bytes:
    """A shard as the bytes of a Parquet file; rows are JSON."""
    tables, keys, rows = zip(*entries, strict=True) if entries else ((), (), ())
    about = {"format": FORMAT, "study": study, "version": version, "entries": len(rows), "sha256": _sum(rows)}
    columns = pa.table(
        [pa.array(tables, pa.string()), pa.array(keys, pa.string()), pa.array(rows, pa.string())], schema=_SCHEMA
    )
    out = io.BytesIO()
    named = columns.replace_schema_metadata({"coordeval": json.dumps(about)})
    pq.write_table(named, out, compression="zstd", use_dictionary=["table"], write_statistics=False)
    return out.getvalue()


def decoded(content: bytes, name: str, *, study: str) -> list[Entry]:
    """The entries of a shard. Raises ShardError naming what is wrong with it."""
    try:
        table = pq.ParquetFile(io.BytesIO(content)).read()  # read_table loads a second of modules for many files
        about = dict(json.loads((table.schema.metadata or {})[b"coordeval"]))
        tables, keys, texts = (table.column(name).to_pylist() for name in ("table", "key", "row"))  # decodes what it reads
        rows = [text.encode() for text in texts]
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise ShardError(
            f"shard {name} is not whole ({type(error).__name__}): its writer was ended, or the disk is at fault"
        ) from error
    if about.get("format") != FORMAT:
        raise ShardError(f"shard {name} has the format {about.get('format')!r}, and this version reads {FORMAT!r}")
    if about.get("study") != study:
        raise ShardError(f"shard {name} is of the study {str(about.get('study'))[:8]}, not of {study[:8]}")
    if len(rows) != about.get("entries") or _sum(rows) != about.get("sha256"):
        raise ShardError(f"shard {name} does not hold what was written to it: disk or network is at fault")
    return [Entry(table_, key, orjson.loads(row)) for table_, key, row in zip(tables, keys, rows, strict=True)]


def _sum(rows: Iterable[bytes]) -> str:
    total = hashlib.sha256()
    for row in rows:
        total.update(row + b"\n")
    return total.hexdigest()


@dataclass(frozen=True, slots=True)
class Held:
    """What shards of earlier tries of a chunk hold."""

    draws: Mapping[str, tuple[str, str]]
    """draw id -> (encoded reply, payer)."""
    final: frozenset[str]
    """Forecasts that are answered, or failed for good."""
    micro_usd: int
    """What they were charged: of calls without a known price, or without a reply, the worst case."""


def held(place: Place, prefix: str, *, study: str) -> Held:
    """Read again what a worker that died had stored. A shard that is not whole was never relied on by anybody."""
    draws: dict[str, tuple[str, str]] = {}
    final: dict[str, bool] = {}
    costs: dict[str, int] = {}
    """Attempt -> what it cost, or may have cost."""
    for name in place.names(prefix):
        if is_columns(name) or not name.endswith(".parquet"):
            continue  # nothing that is not in shards too
        content = place.read(name)
        try:
            entries = [] if content is None else decoded(content, name, study=study)
        except ShardError:
            continue  # the writer that merges says so
        for entry in entries:
            if entry.table == "draws":
                draws.setdefault(entry.row["draw_id"], (entry.row["reply"], entry.row["payer"]))
                if (price := entry.row["micro_usd"]) is not None and price >= 0:
                    costs[entry.row.get("attempt_id") or entry.row["draw_id"]] = price
            elif entry.table == "attempts":
                may = 0 if entry.row["ended"] == "refused" else entry.row["worst_micro_usd"] or 0
                if entry.row["ended"] is not None or entry.row["attempt_id"] not in costs:
                    costs[entry.row["attempt_id"]] = may
            elif entry.table == CELL:
                [forecast] = entry.row["forecasts"]
                final[forecast["forecast_id"]] = forecast["status"] == "answered" or not forecast["retryable"]
    return Held(draws, frozenset(name for name, is_final in final.items() if is_final), sum(costs.values()))


class ShardStore:
    """Takes the place of the ledger in a worker: the same promises, kept by shards.

    What `put` or `put_cell` has returned from is in the place. Whatever waits goes into one shard. `sum_up` puts all of it
    there once more, as the writer can take it in fastest.
    """

    def __init__(
        self,
        place: Place,
        prefix: str,
        tables: Tables,
        *,
        study: str,
        version: str,
        known: Mapping[str, tuple[str, str]],
        served: Iterable[str],
        spent: int = 0,
    ) -> None:
        """`prefix`: the beginning of this worker's own names; `known`: stored draws; `spent`: not this chunk's to spend."""
        self._place, self._prefix, self._tables = place, prefix, tables
        self._study, self._version = study, version
        self._known, self._books = dict(known), Books(spent, (), 0, 0, frozenset(served))
        self._waiting: list[tuple[_Put, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self.written = 0
        self._stored: list[tuple[str, Any]] = []
        """What is in `_names`, and in no columns yet."""
        self._names: list[str] = []
        self._bytes = 0
        self.short = False
        """Whether a cell was left open because the chunk's part of the budget was used up."""

    async def put(self, table: str, row: Row) -> None:
        own = self._tables[table]
        checked = own.row(row)
        await self._put(table, str(own.identity(checked)), checked)

    async def put_cell(self, cell: CellRows) -> None:
        self.short |= str(cell.forecast.get("reason") or "").startswith(EXHAUSTED)
        await self._put(CELL, str(cell.forecast.get("forecast_id")), checked_cell(self._tables, cell))

    def drawn_alike(self, market_ids: Iterable[str]) -> dict[str, list[str]]:
        """A chunk is handed all stored draws that its markets may be handed, so each may have any."""
        return {market: [market] for market in market_ids} if self._known else {}

    def known_draws(self, market_ids: Iterable[str]) -> dict[str, tuple[str, str]]:
        return dict(self._known)

    def books(self, study_id: str) -> Books:
        """What is spent, or given to other chunks."""
        return self._books

    def open_batches(self, study_id: str) -> list[OpenBatch]:
        """None: a wave is of cells in one process."""
        return []

    def flush(self) -> None:
        """What was put is stored already."""

    def flush_if_due(self) -> None:
        """As `flush`."""

    async def settled(self) -> None:
        """Returns once nothing waits to be written."""
        while self._writing is not None and not self._writing.done():
            await asyncio.wait({self._writing})

    async def _put(self, table: str, key: str, row: Any) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((_Put(table, key, orjson.dumps(row), row), future))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write(), context=guard.context_of(None))
        await future

    async def _write(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            failure: Exception | None = None
            try:
                await asyncio.to_thread(self._store, [entry for entry, _ in group])
            except Exception as error:
                failure = error
            for _, future in group:
                if future.done():
                    continue
                if failure is None:
                    future.set_result(None)
                else:
                    future.set_exception(failure)

    def _store(self, entries: Sequence[_Put]) -> None:
        content = encoded([put[:3] for put in entries], study=self._study, version=self._version)
        name = f"{self._prefix}-{self.written:06}.parquet"
        self._place.write(name, content)
        self.written += 1
        self._names.append(name)
        self._stored += [(put.table, put.row) for put in entries]
        self._bytes += sum(len(put.encoded) for put in entries)
        if self._bytes >= COLUMNS_BYTES:
            self.sum_up()

    def sum_up(self) -> None:
        """What shards hold, and no columns yet, as columns. Nothing is lost where that fails."""
        if self._stored:
            part = part_of(self._tables, self._stored)
            end, content = encoded_columns(part, self._names, study=self._study, version=self._version)
            self._place.write(f"{self._prefix}-{self.written:06}{end}", content)
        self._stored, self._names, self._bytes = [], [], 0
