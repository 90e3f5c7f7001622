"""The one writer: replies and cells are durable at once (journal) and move to DuckDB in groups; pulled data go in bulk."""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

import duckdb

from ledger import schema
from ledger.database import BULK, PATIENCE, connected, transaction
from ledger.errors import LedgerBusy, LedgerError, RowError, write_error
from ledger.journal import Entry, Journal
from ledger.lock import WriterLock
from ledger.store import CELL_TABLES, lock_studies, store, store_cells
from ledger.tables import Row, Tables

_CELL = "cell"
"""Table name of the journal entries that hold a whole cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRows:
    """Everything that one cell leaves behind. Rows other than the forecast's may leave out forecast_id."""

    forecast: Row
    calls: Sequence[Row] = ()
    tool_calls: Sequence[Row] = ()
    estimates: Sequence[Row] = ()
    messages: Sequence[Row] = ()


class Ledger:
    """A ledger open for writing. The DuckDB file itself is open only during a commit, so readers work meanwhile.

    Invariant: what `put`, `put_cell`, `write` or `write_all` has returned from is on disk, exactly once, whatever
    happens to the process.
    """

    def __init__(self, path: Path, lock: WriterLock) -> None:
        """Use `Ledger.open`."""
        self.path = path
        self._lock = lock
        self._commits = threading.RLock()
        self._flushed = time.monotonic()
        self._flusher = ThreadPoolExecutor(1, thread_name_prefix="ledger flush")
        self._flushing: Future[None] | None = None
        with self._writing("what is in it stands"), connected(path) as con:
            schema.migrate(con)
            self._tables = Tables.of(con)
        self._journal = Journal(path.with_name(f"{path.name}.journal"))
        self._closed = False

    @classmethod
    def open(cls, path: str | Path, *, purpose: str) -> "Ledger":
        """Creates or opens the ledger, migrates it and moves in what a killed run left in the journal.

        `purpose` is what a second writer is told. Raises LedgerLocked, LedgerTooNew, LedgerBusy or LedgerWriteError.
        """
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(path, error, "nothing was begun") from error
        lock = WriterLock(path)
        lock.acquire(purpose)
        try:
            ledger = cls(path, lock)
        except BaseException:
            lock.release()
            raise
        try:
            ledger.flush()
        except BaseException:
            ledger._shut()
            raise
        return ledger

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    async def put(self, table: str, row: Row) -> None:
        """Returns once the row is on disk. For rows that cost money, such as `draws`."""
        own = self._tables[table]
        if not own.key or table in CELL_TABLES:
            raise LedgerError(f"table {table}: its rows belong to a cell, so that a retry can replace them; use put_cell")
        checked = own.row(row)
        await self._journal.put(table, str(own.identity(checked)), checked)

    async def put_cell(self, cell: CellRows) -> None:
        """Returns once the whole cell is on disk. It replaces every earlier row of the same forecast_id."""
        forecast_id = cell.forecast.get("forecast_id")
        rows: dict[str, list[dict[str, Any]]] = {"forecasts": [self._tables["forecasts"].row(cell.forecast)]}
        for name in CELL_TABLES[1:]:
            rows[name] = [self._tables[name].row({"forecast_id": forecast_id, **row}) for row in getattr(cell, name)]
            for row in rows[name]:
                if row["forecast_id"] != forecast_id:
                    raise RowError(
                        f"table {name}: a row of forecast {row['forecast_id']!r} came with the cell of {forecast_id!r}; "
                        "the rows of a cell have one forecast_id, so leave it out and it is filled in"
                    )
        await self._journal.put(_CELL, str(forecast_id), rows)

    def write(self, table: str, rows: Iterable[Row]) -> int:
        """`write_all` for one table; returns how many rows were new or different."""
        return self.write_all({table: rows})[table]

    def write_all(self, rows: Mapping[str, Iterable[Row]]) -> dict[str, int]:
        """Stores the rows of several tables in one transaction, all or nothing; returns how many were new or different.

        The same rows again change nothing. A row replaces the one with its key; a changed outcome is a new row; a draw, and
        the creation and locking times of a study, stay as first stored. Raises RowError before anything is written.
        """
        self._check_open()
        if own := [name for name in rows if name in CELL_TABLES]:
            raise LedgerError(f"table {own[0]}: its rows belong to a cell, so that a retry can replace them; use put_cell")
        now = {"recorded_at": datetime.now(UTC)}
        checked = {
            name: [self._tables[name].row({**now, **row} if name == "outcomes" else row) for row in given]
            for name, given in rows.items()
        }
        with self._commits, self._writing("nothing of this write was stored"):
            if not any(self._tables[name].indexed for name in checked):
                with contextlib.suppress(duckdb.OutOfMemoryException):  # such as an update of very many rows
                    return self._store(checked, BULK)
            return self._store(checked, {})

    def _store(self, checked: Mapping[str, list[dict[str, Any]]], settings: Mapping[str, str | int]) -> dict[str, int]:
        with connected(self.path, settings=settings) as con, transaction(con):
            changed = {name: store(con, self._tables[name], own) for name, own in checked.items()}
            if "cells" in checked:
                lock_studies(con)
        return changed

    def flush(self, *, wait: float = PATIENCE) -> None:
        """Moves what the journal holds into DuckDB, group by group; raises LedgerBusy if readers hold the file for `wait` s.

        A crash between a group's commit and the journal's truncation means that it is moved again, which changes nothing.
        """
        self._check_open()
        with self._commits:
            if self._journal.pending:
                kept = f"{self._journal.pending} entries are safe in {self._journal.path.name}"
                with self._writing(kept), connected(self.path, wait=wait) as con:
                    for last, entries in self._journal.groups(self._journal.last):
                        with transaction(con):
                            self._move(con, entries)
                        self._journal.truncate(last)
            self._flushed = time.monotonic()

    def flush_if_due(self, seconds: float = 2.0) -> None:
        """Starts a flush in a thread if the last one is `seconds` old; costs a microsecond otherwise. Never blocks.

        A disk that refuses is raised at the next call; a file that is held by readers is tried again later.
        """
        if self._flushing is not None:
            if not self._flushing.done():
                return
            done, self._flushing = self._flushing, None
            with contextlib.suppress(LedgerBusy):
                done.result()
        if self._journal.pending and time.monotonic() - self._flushed >= seconds:
            self._flushing = self._flusher.submit(self.flush, wait=2.0)

    def known_draws(self, market_ids: Iterable[str], replicates: Iterable[int] | None = None) -> dict[str, tuple[str, str]]:
        """draw_id -> (encoded reply, the forecast_id that paid) of every stored draw for these markets and replicates."""
        query = "SELECT draw_id, reply, payer FROM draws WHERE market_id IN (SELECT unnest(?::VARCHAR[]))"
        parameters: list[list[Any]] = [list(market_ids)]
        if replicates is not None:
            query += " AND replicate IN (SELECT unnest(?::INTEGER[]))"
            parameters.append(list(replicates))
        return {draw_id: (reply, payer) for draw_id, reply, payer in self._ask(query, parameters)}

    def known_forecasts(self, forecast_ids: Iterable[str]) -> dict[str, tuple[str, bool]]:
        """forecast_id -> (status, retryable) of those that are stored."""
        query = "SELECT forecast_id, status, retryable FROM forecasts WHERE forecast_id IN (SELECT unnest(?::VARCHAR[]))"
        return {
            forecast_id: (status, retryable) for forecast_id, status, retryable in self._ask(query, [list(forecast_ids)])
        }

    def known_markets(self, market_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """market_id -> row of `markets`, of those that are stored."""
        query = "SELECT {} FROM markets SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS market_id) USING (market_id)"
        # Ids first: they are mostly all new, and reading the texts to find that out takes ten times as much.
        ids = [market_id for (market_id,) in self._ask(query.format("market_id"), [list(market_ids)], BULK)]
        columns = self._tables["markets"].columns
        rows = self._ask(query.format(", ".join(columns)), [ids], BULK) if ids else []
        return {row["market_id"]: row for row in (dict(zip(columns, values, strict=True)) for values in rows)}

    def spent_micro_usd(self, study_id: str) -> int:
        """What the draws paid for by this study's forecasts cost; draws whose price is not known are not in the sum."""
        query = (
            "SELECT coalesce(sum(micro_usd), 0)::BIGINT FROM draws "
            "WHERE payer IN (SELECT forecast_id FROM cells WHERE study_id = ?)"
        )
        return int(self._ask(query, [study_id])[0][0])

    def close(self) -> None:
        """Moves what is left and gives up the lock. Where readers hold the file for PATIENCE s, LedgerBusy names them."""
        if self._closed:
            return
        try:
            self._flusher.shutdown()
            self.flush()
        finally:
            self._shut()

    def _shut(self) -> None:
        self._closed = True
        self._flusher.shutdown()
        self._journal.close()
        self._lock.release()

    def _ask(
        self, query: str, parameters: list[Any], settings: Mapping[str, str | int] = MappingProxyType({})
    ) -> list[tuple[Any, ...]]:
        self.flush()
        with self._commits, connected(self.path, settings=settings) as con:
            return con.execute(query, parameters).fetchall()

    def _move(self, con: duckdb.DuckDBPyConnection, entries: list[Entry]) -> None:
        rows: dict[str, list[dict[str, Any]]] = {}
        for entry in entries:
            rows.setdefault(entry.table, []).append(entry.row)
        if cells := rows.pop(_CELL, None):
            store_cells(con, self._tables, list(cells))
        for table, own in rows.items():
            store(con, self._tables[table], own)
        if cells or "cells" in rows:
            lock_studies(con)

    def _check_open(self) -> None:
        if self._closed:
            raise LedgerError(f"{self.path}: the ledger is closed; open it again to write")

    @contextlib.contextmanager
    def _writing(self, kept: str) -> Iterator[None]:
        try:
            yield
        except (duckdb.Error, sqlite3.Error, OSError) as error:
            raise write_error(self.path, error, kept) from error
