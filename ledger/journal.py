"""Durable in milliseconds: rows wait here, on disk, until they are moved to DuckDB in bulk.

DuckDB locks every reader out while a process has it open for writing, so it cannot take each paid reply as it comes. The
journal can: an SQLite file in WAL mode, where each stored group is one row, one transaction and one fsync. A torn tail after
a power cut is SQLite's business; damage is ours, see journal_recovery.
"""

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from coordeval.ledger.errors import LedgerDamaged, LedgerError, LedgerWriteError, write_error
from coordeval.ledger.journal_head import Head, HeadFile
from coordeval.ledger.journal_recovery import INSERT, SCHEMA, Group, check_sum, is_whole, recover

GROUP_BYTES = 32_000_000
"""A group of about this size is one transaction, here and in DuckDB: bounds memory, and how long readers wait."""


GATHER_SECONDS = 0.005
"""How long a group waits for more where several put at once: each group costs the processor as much as fifty rows, and a
reply that is paid for took longer than this by a hundred times."""


class Entry(NamedTuple):
    """One thing that was put: `seq` is the group it was stored with, and grows; `key` names it in messages."""

    seq: int
    table: str
    key: str
    row: dict[str, Any]


class _Waiting(NamedTuple):
    encoded: bytes
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]


class Journal:
    """An append-only queue on disk. A put that has returned survives kill -9 and a power cut.

    One worker thread writes whatever waits as one group, so hundreds of coroutines share one fsync. It is one statement,
    because each statement gives up the interpreter lock and may wait 5 ms to have it back.
    Who puts alone is not kept waiting; where the last group was of several, the next one waits GATHER_SECONDS for more.
    """

    def __init__(self, path: Path, *, ledger: int | None = None) -> None:
        """`ledger`: the ledger file's number in its file system, by which a renamed one finds its journal again."""
        self.path = path
        self._guard = threading.RLock()
        try:
            self._head, self.damage = recover(path)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute(SCHEMA)
            if "check_sum" not in [row[1] for row in self._db.execute("PRAGMA table_info(groups)")]:
                self._db.execute("ALTER TABLE groups ADD COLUMN check_sum BLOB")
            self._head.ledger = ledger
            self._count()
            self._head_file = HeadFile(path)
            self._tell_head()
        except (sqlite3.Error, OSError) as error:
            raise write_error(path, error, "nothing was begun") from error
        self._closed = False
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._worker = threading.Thread(target=self._work, name=f"journal of {path.name}", daemon=True)
        self._worker.start()

    def tell_damage(self) -> None:
        """Raises LedgerDamaged, once, where something was lost: called after what is whole was moved."""
        if self.damage:
            told, self.damage = self.damage, ""
            raise LedgerDamaged(told)

    async def put(self, table: str, key: str, row: dict[str, Any]) -> None:
        """Returns once the row is on disk. Raises LedgerWriteError where it is not; the journal stays usable.

        A put that is cancelled while it waits may be stored or not.
        """
        self._check_open()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._queue.put(_Waiting(orjson.dumps((table, key, row)), loop, future))
        await future

    def put_many(self, entries: Iterable[tuple[str, str, dict[str, Any]]]) -> None:
        """All of `entries` (table, key, row), or none: one group, on disk when this returns."""
        self._check_open()
        if encoded := [orjson.dumps(entry) for entry in entries]:
            self._store(encoded)

    def entries(self) -> Iterator[Entry]:
        """Everything not yet truncated, in the order in which it was stored."""
        for _, group in self.groups(self.last):
            yield from group

    def groups(self, upto: int) -> Iterator[tuple[int, list[Entry]]]:
        """Entries as far as `upto`, bundled to about GROUP_BYTES: (last seq of the bundle, entries)."""
        seq, size, bundle = 0, 0, list[Entry]()
        while (found := self._next(seq, upto)) is not None:
            if not is_whole(found, self._head.unsummed):
                raise LedgerDamaged(
                    f"{self.path}: group {found[0]} is not as it was written a moment ago: disk or memory is at fault; "
                    "nothing of it was moved. The next command that writes moves what is whole and sets the rest aside"
                )
            seq, _, payload, _ = found
            bundle += [Entry(seq, *orjson.loads(line)) for line in payload.split(b"\n")]
            size += len(payload)
            if size >= GROUP_BYTES:
                yield seq, bundle
                size, bundle = 0, []
        if bundle:
            yield seq, bundle

    def truncate(self, upto: int) -> None:
        """Forgets the groups as far as `upto`: they are stored elsewhere."""
        with self._guard:
            try:
                self._head.moved = max(self._head.moved, upto)
                self._count()
                # Before: groups that are gone, and not said to be moved, would count as lost. What is moved waits no more.
                self._tell_head(durable=True)
                self._db.execute("DELETE FROM groups WHERE seq <= ?", (upto,))
            except (sqlite3.Error, OSError) as error:
                kept = "its rows are already in the ledger, and moving them again changes nothing"
                raise write_error(self.path, error, kept) from error

    def close(self) -> None:
        """Writes what waits, stops the worker and, where nothing is left to move, removes the file."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        self._worker.join()
        self._db.close()
        self._head_file.close()
        if not self.pending:
            self.path.unlink(missing_ok=True)
            Head.path(self.path).unlink(missing_ok=True)

    def _check_open(self) -> None:
        if self._closed:
            raise LedgerError(f"{self.path}: the ledger is closed; open it again to write")

    def _count(self) -> None:
        """Sets `pending`, the number of entries that wait, and `last`, the newest seq that was given (0: none).

        What was moved does not wait, also where a kill left it undeleted.
        """
        query = "SELECT coalesce(sum(entries) FILTER (WHERE seq > ?), 0), coalesce(max(seq), 0) FROM groups"
        row = self._db.execute(query, (self._head.moved,)).fetchone()
        self.pending: int = row[0]
        self.last: int = max(row[1], self._head.moved)

    def _tell_head(self, *, durable: bool = False) -> None:
        self._head.last, self._head.waiting = self.last, self.pending
        self._head_file.write(self._head, durable=durable)

    def _next(self, after: int, upto: int) -> Group | None:
        query = "SELECT seq, entries, payload, check_sum FROM groups WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT 1"
        with self._guard:
            row: Group | None = self._db.execute(query, (after, upto)).fetchone()
            return row

    def _store(self, encoded: list[bytes]) -> None:
        payload = b"\n".join(encoded)  # JSON text holds no bare newline
        with self._guard:
            seq = self.last + 1
            try:
                self._db.execute(INSERT, (seq, len(encoded), payload, check_sum(seq, len(encoded), payload)))
            except sqlite3.Error as error:
                kept = f"not stored: {len(encoded)} new entries; safe in the journal: the {self.pending} before them"
                raise write_error(self.path, error, kept) from error
            self.last = seq
            self.pending += len(encoded)
            with contextlib.suppress(OSError):  # it finds less then; the entries are stored
                self._tell_head()

    def _work(self) -> None:
        """The worker thread: takes whatever waits, stores it as one group, wakes those who waited."""
        several = False
        while (first := self._queue.get()) is not None:
            if several:
                time.sleep(GATHER_SECONDS)
            group, size, stop = [first], len(first.encoded), False
            with contextlib.suppress(queue.Empty):
                while size < GROUP_BYTES and not stop:
                    if (waiting := self._queue.get_nowait()) is None:
                        stop = True
                    else:
                        group.append(waiting)
                        size += len(waiting.encoded)
            several = len(group) > 1
            failure: str | None = None
            try:
                self._store([waiting.encoded for waiting in group])
            except Exception as error:
                failure = str(error)
            _wake(group, failure)
            if stop:
                return


def _wake(group: list[_Waiting], failure: str | None) -> None:
    futures = defaultdict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]](list)
    for waiting in group:
        futures[waiting.loop].append(waiting.future)
    for loop, waiters in futures.items():
        with contextlib.suppress(RuntimeError):  # that loop is closed, so nobody waits there
            loop.call_soon_threadsafe(_resolve, waiters, failure)


def _resolve(waiters: list[asyncio.Future[None]], failure: str | None) -> None:
    for future in waiters:
        if future.done():  # cancelled meanwhile
            continue
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(LedgerWriteError(failure))
