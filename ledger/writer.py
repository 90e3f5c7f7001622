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
import polars as pl

from coordeval.agents.batching import OpenBatch
from coordeval.ledger import blank, schema
from coordeval.ledger.batches import open_batches
from coordeval.ledger.books import Books, books, made_up, spent_by_cell
from coordeval.ledger.database import BULK, ONCE, PATIENCE, connected, transaction
from coordeval.ledger.errors import LedgerBusy, LedgerError, RowError, write_error
from coordeval.ledger.journal import Entry, Journal
from coordeval.ledger.lock import WriterLock
from coordeval.ledger.merging import CELL, Part, checked_frame, merge, part_of
from coordeval.ledger.place import check_one_name, made, true_path, unmade
from coordeval.ledger.store import CELL_TABLES, lock_studies, replace_telemetry, store, store_cells
from coordeval.ledger.tables import Row, Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRows:
    """Everything that one cell leaves behind. Rows other than the forecast's may leave out forecast_id."""

    forecast: Row
    calls: Sequence[Row] = ()
    tool_calls: Sequence[Row] = ()
    estimates: Sequence[Row] = ()
    messages: Sequence[Row] = ()
    parts: Sequence[Row] = ()
    acts: Sequence[Row] = ()
    games: Sequence[Row] = ()
    game_rounds: Sequence[Row] = ()
    moves: Sequence[Row] = ()
    mishaps: Sequence[Row] = ()
    telemetry: Sequence[Row] = ()


def checked_cell(tables: Tables, cell: CellRows) -> dict[str, list[dict[str, Any]]]:
    """A cell's rows by table, as plain JSON. Raises RowError for a row that breaks a rule, or is another forecast's."""
    forecast_id = cell.forecast.get("forecast_id")
    rows: dict[str, list[dict[str, Any]]] = {"forecasts": [tables["forecasts"].row(cell.forecast)]}
    for name in CELL_TABLES[1:]:
        rows[name] = [tables[name].row({"forecast_id": forecast_id, **row}) for row in getattr(cell, name)]
        for row in rows[name]:
            if row["forecast_id"] != forecast_id:
                raise RowError(
                    f"table {name}: a row of forecast {row['forecast_id']!r} came with the cell of {forecast_id!r}; "
                    "the rows of a cell have one forecast_id, so leave it out and it is filled in"
                )
    return rows


class Ledger:
    """A ledger open for writing. The DuckDB file itself is open only during a commit, so readers work meanwhile.

    Invariant: what `put`, `put_cell`, `write` or `write_all` has returned from is on disk, exactly once, whatever
    happens to the process.
    """

    def __init__(self, path: Path, lock: WriterLock, folders: Sequence[Path] = ()) -> None:
        """Use `Ledger.open`, which holds the lock. `folders` were made for it."""
        self.path = path
        self._lock = lock
        self._folders = folders
        self._fresh = not path.exists()
        self._commits = threading.RLock()
        self._flushed = time.monotonic()
        self._flusher = ThreadPoolExecutor(1, thread_name_prefix="ledger flush")
        self._flushing: Future[None] | None = None
        try:
            laid = self._fresh and blank.lay(path)
            with self._writing("what is in it stands"), connected(path) as con:
                schema.migrate(con)
                if laid:
                    con.execute("UPDATE migrations SET applied_at = now()")
                self._tables = blank.tables(con)
            if self._fresh:
                blank.keep(path)
            self._journal = Journal(path.with_name(f"{path.name}.journal"), ledger=path.stat().st_ino)
        except BaseException:
            if self._fresh:
                path.unlink(missing_ok=True)
            raise
        self._closed = False

    @classmethod
    def open(cls, path: str | Path, *, purpose: str) -> "Ledger":
        """Creates or opens the ledger, migrates it and moves in what a killed run left in the journal.

        `purpose` is what a second writer is told. Raises LedgerLocked, LedgerTooNew, LedgerBusy or LedgerWriteError;
        NotALedger for another file, and LedgerDamaged once for a journal of which something was lost.
        """
        path = true_path(path)
        check_one_name(path)
        try:
            folders = made(path.parent)
        except OSError as error:
            raise write_error(path, error, "nothing was begun") from error
        lock = WriterLock(path)
        with contextlib.ExitStack() as undo:
            undo.callback(unmade, folders)
            lock.acquire(purpose)
            undo.callback(lambda: lock.release(gone=not path.exists()))
            ledger = cls(path, lock, folders)
            undo.pop_all()
        try:
            ledger.flush()
        except BaseException:
            ledger._shut()
            raise
        return ledger

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Closes it. What ended in an error before anything was stored leaves no ledger where there was none."""
        if kind is None or not self._fresh or self._closed:
            self.close()
            return
        gone = False
        try:
            self._flusher.shutdown()
            self.flush()
            if gone := self._holds_nothing():
                self.path.unlink(missing_ok=True)
        finally:
            self._shut(gone=gone)

    def _holds_nothing(self) -> bool:
        with self._commits, connected(self.path) as con:
            return not any(con.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchall() for name in self._tables)

    async def put(self, table: str, row: Row) -> None:
        """Returns once the row is on disk. For rows that cost money, such as `draws`."""
        own = self._tables[table]
        if not own.key or table in CELL_TABLES:
            raise LedgerError(f"table {table}: its rows belong to a cell, so that a retry can replace them; use put_cell")
        checked = own.row(row)
        await self._journal.put(table, str(own.identity(checked)), checked)

    async def put_cell(self, cell: CellRows) -> None:
        """Returns once the whole cell is on disk. It replaces every earlier row of the same forecast_id."""
        rows = checked_cell(self._tables, cell)
        await self._journal.put(CELL, str(cell.forecast.get("forecast_id")), rows)

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
        if not any(checked.values()):
            return dict.fromkeys(checked, 0)
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

    @contextlib.contextmanager
    def beside(self, database: Path) -> Iterator[duckdb.DuckDBPyConnection]:
        """One transaction on the ledger with another DuckDB file, closed and called `said`, attached for reading beside it.

        For rows in bulk that somebody else has checked: what SQL writes here is held to the schema's constraints alone, all
        of it is stored or nothing, and `recorded_at` and the keys are the caller's.
        """
        self._check_open()
        self.flush()
        with self._commits, self._writing("nothing of this write was stored"), connected(self.path, settings=ONCE) as con:
            quoted = str(database).replace("'", "''")
            con.execute(f"ATTACH '{quoted}' AS said (READ_ONLY)")
            with transaction(con):
                yield con

    def merge(self, entries: Sequence[tuple[str, Any]]) -> dict[str, list[dict[str, Any]]]:
        """As `merge_parts`, for entries as they were put: (table or "cell", checked row or rows)."""
        return self.merge_parts([self.part(entries)])

    def part(self, entries: Sequence[tuple[str, Any]]) -> Part:
        """Entries as `merge_parts` takes them."""
        return part_of(self._tables, entries)

    def merge_parts(self, parts: Sequence[Part]) -> dict[str, list[dict[str, Any]]]:
        """Stores what other processes made and put, in one transaction.

        Gives back what was new, in short: rows of `forecasts` and of `draws`. The same again, or in another order, changes
        nothing: of two rows of a forecast the later made one stays, and an attempt whose end is known does not become one
        under way.
        """
        self.flush()
        with self._commits, self._writing("nothing of it was stored"), connected(self.path) as con, transaction(con):
            return merge(con, self._tables, parts)

    def recompute(self, telemetry: pl.DataFrame) -> None:
        """Rows of `telemetry` that were computed anew, in place of all those that are stored of their forecasts.

        Raises RowError for rows of another schema; nothing is stored then.
        """
        self.flush()
        rows = checked_frame(self._tables["telemetry"], telemetry)
        with self._commits, self._writing("what is in it stands"), connected(self.path) as con, transaction(con):
            replace_telemetry(con, self._tables["telemetry"], rows)

    def flush(self, *, wait: float = PATIENCE) -> None:
        """Moves what the journal holds into DuckDB, group by group; raises LedgerBusy if readers hold the file for `wait` s.

        A crash between a group's commit and the journal's truncation means that it is moved again, which changes nothing.
        """
        self._check_open()
        with self._commits:
            if self._journal.pending or self._journal.damage:
                kept = f"{self._journal.pending} entries are safe in {self._journal.path.name}"
                with self._writing(kept), connected(self.path, wait=wait) as con:
                    moved = 0
                    for last, entries in self._journal.groups(self._journal.last):
                        with transaction(con):
                            self._move(con, entries)
                        moved = last
                # Not before: as long as DuckDB has the file open, what was committed may stand in its log alone, and DuckDB
                # takes a log that was cut for one that ends there.
                self._journal.truncate(moved)
                self._journal.tell_damage()
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

    def drawn_alike(self, market_ids: Iterable[str]) -> dict[str, list[str]]:
        """Of each of these markets that has any: the markets whose stored draws it may be handed.

        They are itself, and those of which a view with the same facts and moment is stored: byte for byte the same requests
        have the same draws, whichever market they were asked for.
        """
        query = """
            WITH own AS (SELECT DISTINCT unnest(?::VARCHAR[]) AS market_id),
            drawn AS (SELECT DISTINCT market_id FROM draws),
            seen AS (SELECT DISTINCT market_id, as_of, md5(facts) AS facts FROM views)
            SELECT market_id, market_id FROM own SEMI JOIN drawn USING (market_id)
            UNION
            SELECT a.market_id, b.market_id FROM seen a SEMI JOIN own USING (market_id)
                JOIN seen b USING (as_of, facts) SEMI JOIN drawn ON drawn.market_id = b.market_id
            ORDER BY ALL
        """
        found: dict[str, list[str]] = {}
        for own, other in self._ask(query, [list(market_ids)]):
            found.setdefault(own, []).append(other)
        return found

    def known_forecasts(self, forecast_ids: Iterable[str]) -> dict[str, tuple[str, bool]]:
        """forecast_id -> (status, retryable) of those that are stored; none that was committed to is made again."""
        query = (
            "SELECT forecast_id, status, retryable AND forecast_id NOT IN "
            "(SELECT forecast_id FROM commitment_leaves WHERE forecast_id IS NOT NULL) "
            "FROM forecasts WHERE forecast_id IN (SELECT unnest(?::VARCHAR[]))"
        )
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

    def books(self, study_id: str) -> Books:
        """What was paid, and what may have been, for the sake of this study's forecasts."""
        self.flush()
        with self._commits, connected(self.path) as con:
            return books(con, study_id)

    def open_batches(self, study_id: str) -> list[OpenBatch]:
        """Batches that earlier runs of this study sent, and of which replies are missing."""
        self.flush()
        with self._commits, connected(self.path) as con:
            return open_batches(con, study_id)

    def spent_by_cell(self, study_id: str) -> dict[str, tuple[str, int]]:
        """forecast_id -> (configuration, millionths of a dollar paid for its sake, or perhaps charged); those with any."""
        self.flush()
        with self._commits, connected(self.path) as con:
            return spent_by_cell(con, study_id)

    def spent_micro_usd(self, study_id: str) -> int:
        """What the draws paid for by this study's forecasts cost; draws whose price is not known are not in the sum."""
        return self.books(study_id).paid_micro_usd

    def made_up_micro_usd(self, study_id: str) -> int:
        """The part of `spent_micro_usd` that nobody paid, because a stand-in answered. It reads every stored reply."""
        self.flush()
        with self._commits, connected(self.path) as con:
            return made_up(con, study_id)

    def close(self) -> None:
        """Moves what is left and gives up the lock. Where readers hold the file for PATIENCE s, LedgerBusy names them."""
        if self._closed:
            return
        try:
            self._flusher.shutdown()
            self.flush()
        finally:
            self._shut()

    def _shut(self, *, gone: bool = False) -> None:
        self._closed = True
        self._flusher.shutdown()
        self._journal.close()
        self._lock.release(gone=gone)
        if gone:
            unmade(self._folders)

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
        if cells := rows.pop(CELL, None):
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
