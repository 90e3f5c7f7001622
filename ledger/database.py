"""Opening the DuckDB file: briefly, and with patience while another process has it.

DuckDB's lock belongs to the process and ends when the process closes *any* handle on the file, so nothing here, and
nothing else in a writing process, may open the file by other means.
"""

import contextlib
import os
import random
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import duckdb

from coordeval.ledger.damage import explained
from coordeval.ledger.errors import LedgerBusy, LedgerError, write_error
from coordeval.ledger.place import true_path

PATIENCE = 30.0
"""Seconds that an opening waits while others hold the file; a commit takes well under one."""

BULK: Mapping[str, str | int] = MappingProxyType({"memory_limit": "64MB", "threads": 2, "max_vacuum_tasks": 0})
"""Settings with which an insert takes the same memory however large the ledger is.

Looking for known keys reads the key columns, and DuckDB would keep in memory whatever it has read. A vacuum merges row
groups up to 122,880 rows, in memory; the moves from the journal do that, as far as it is due. Beyond the limit DuckDB writes
to a temporary folder beside the ledger. Not for tables with an index, which has to fit into memory.
"""

_TAKEN = re.compile(
    r"Could not set lock|Conflicting lock|used by another process|different configuration|[Uu]nique file handle"
)

ONCE: Mapping[str, str | int] = MappingProxyType({"max_vacuum_tasks": 0})
"""Settings with which a million rows are written once: at its end DuckDB would write all of them again, into row groups of
full size, which takes as long as the first time and twice the room."""


NO_BAR = "SET enable_progress_bar = false"
"""DuckDB writes how far it is to standard output, into whatever is printed there, once a query takes two seconds."""


@contextlib.contextmanager
def connected(
    path: Path, *, read_only: bool = False, wait: float = PATIENCE, settings: Mapping[str, str | int] = MappingProxyType({})
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection in UTC, closed at the end. After `wait` s raises LedgerBusy, naming who holds the file.

    Raises NotALedger for another kind of file and LedgerDamaged for a damaged one, also where that shows only in a query.
    """
    path = true_path(path)
    try:
        with _opened(path, read_only=read_only, wait=wait) as held, held.session(settings) as con:
            yield con
    except duckdb.Error as error:  # DuckDB reads most blocks only when they are asked for
        if (told := explained(path, error)) is not None:
            raise told from error
        raise


def is_kept(path: Path) -> bool:
    """Whether this process keeps the file open: then it is a ledger of this version, and stays one."""
    return (held := _HELD.get(true_path(path))) is not None and held.kept


def is_open(path: Path) -> bool:
    """Whether anything in this process has the file open."""
    return true_path(path) in _HELD


@contextlib.contextmanager
def kept_open(path: Path) -> Iterator[None]:
    """Within, this process keeps the file open and nobody else gets in; who only reads shares the opening.

    For many short steps one after the other on a ledger of one's own, such as the days of a simulated year. The settings
    that keep an insert's memory small are not applied.
    """
    with _opened(true_path(path), read_only=False, wait=PATIENCE) as held:
        held.kept = True
        try:
            yield
        finally:
            held.kept = False


@contextlib.contextmanager
def transaction(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All of it or none of it."""
    con.execute("BEGIN")
    try:
        yield
        con.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(duckdb.Error):
            con.execute("ROLLBACK")
        raise


@dataclass(eq=False)
class _Held:
    """The one opening of a file by this process, which all who want it in the same way share."""

    database: duckdb.DuckDBPyConnection
    """A database in memory, to which the file is attached."""
    name: str
    read_only: bool
    users: int = 0
    kept: bool = False
    spoilt: bool = False
    """Something went wrong in it: it is not used for another file."""

    @contextlib.contextmanager
    def session(self, settings: Mapping[str, str | int]) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of its own, to the file."""
        settings = {} if self.kept else settings
        con = self.database.cursor()
        try:
            con.execute(f"USE {self.name}")
            con.execute(NO_BAR)
            for name, value in settings.items():
                con.execute(f"SET {name} = '{value}'")
            yield con
        except BaseException:
            self.spoilt = True
            raise
        finally:
            con.close()
            self._reset(settings)

    def _reset(self, settings: Mapping[str, str | int]) -> None:
        try:
            for name in settings:
                self.database.execute(f"RESET GLOBAL {name}")
        except duckdb.Error:
            self.spoilt = True


_HELD: dict[Path, _Held] = {}
_IDLE: list[duckdb.DuckDBPyConnection] = []
"""Databases in memory without a file. Making one takes 50 times as long as attaching a file to it."""
_MOST_IDLE = 4
_MORE = "SELECT database_name FROM duckdb_databases() WHERE NOT internal AND database_name <> 'memory'"
_ALONE = threading.RLock()


def _forget() -> None:
    """A forked process has none of the threads of DuckDB, so nothing of it is touched there, not even closed."""
    global _HELD, _IDLE, _ALONE
    _LOST.append((_HELD, _IDLE))
    _HELD, _IDLE, _ALONE = {}, [], threading.RLock()


_LOST: list[object] = []
os.register_at_fork(after_in_child=_forget)


@contextlib.contextmanager
def _opened(path: Path, *, read_only: bool, wait: float) -> Iterator[_Held]:
    # A plain poll, not a growing back-off: the file is free for 2 s between commits of 0.1 s.
    deadline = time.monotonic() + wait
    while True:
        try:
            with _ALONE:
                held = _shared(path, read_only=read_only)
                held.users += 1
            break
        except duckdb.Error as error:
            if not _TAKEN.search(str(error)):
                if (told := explained(path, error)) is not None:
                    raise told from error
                if read_only:
                    raise LedgerError(f"{path}: cannot be opened as a ledger ({error}); check the path") from error
                raise write_error(path, error, "what is in it stands") from error
            if time.monotonic() >= deadline:
                raise LedgerBusy(_describe(path, str(error), wait)) from error
        time.sleep(random.uniform(0.01, 0.04))
    try:
        yield held
    finally:
        with _ALONE:
            held.users -= 1
            if not held.users:
                del _HELD[path]
                _let_go(held)


def _shared(path: Path, *, read_only: bool) -> _Held:
    if (held := _HELD.get(path)) is not None:
        if held.read_only is not read_only and not held.kept:
            raise duckdb.ConnectionException(f"{path} is open in this process with a different configuration")
        return held
    name, place = _name(path), str(path).replace("'", "''")
    database = _idle(place)
    try:
        database.execute(f"ATTACH '{place}' AS {name} (TYPE duckdb, {'READ_ONLY' if read_only else 'READ_WRITE'})")
    except BaseException:
        database.close()
        raise
    held = _HELD[path] = _Held(database, name, read_only)
    return held


def _idle(place: str) -> duckdb.DuckDBPyConnection:
    """A database without a file, which puts what does not fit into memory beside the file that it is for."""
    while True:
        database = _IDLE.pop() if _IDLE else _new()
        try:
            database.execute(f"SET GLOBAL temp_directory = '{place}.tmp'")
        except duckdb.Error:  # one that has used its folder stays there
            database.close()
            continue
        return database


def _new() -> duckdb.DuckDBPyConnection:
    """What holds of every connection is set once: each statement of a session takes as long as a small query."""
    database = duckdb.connect(":memory:")
    database.execute("SET GLOBAL TimeZone = 'UTC'")
    database.execute("SET GLOBAL python_enable_replacements = false")  # a table's name never means a Python variable
    return database


def _let_go(held: _Held) -> None:
    """Closes the file, which writes what is in its log into it."""
    try:
        if not held.spoilt:
            held.database.execute(f"DETACH {held.name}")
            held.spoilt = held.database.execute(_MORE).fetchall() != []  # such as a file that somebody attached beside it
    except duckdb.Error:
        held.spoilt = True
    if held.spoilt or len(_IDLE) >= _MOST_IDLE:
        held.database.close()
    else:
        _IDLE.append(held.database)


def _name(path: Path) -> str:
    """As DuckDB names a file that it opens by itself, but for the names that it has for its own."""
    stem = path.name.partition(".")[0]
    own = stem.lower() in {"", "memory", "temp", "system", "main"}
    return '"{}"'.format((f"{stem}_ledger" if own else stem).replace('"', '""'))


def _describe(path: Path, message: str, wait: float) -> str:
    pid = re.search(r"\(PID (\d+)\)", message)
    who = f"process {pid[1]}" if pid else f"another connection ({message})"
    return (
        f"{path} is held by {who}, for more than {wait:.0f} s; close what runs there and try again "
        f"(rows that wait to go in are safe in {path.name}.journal, and the next writer moves them)"
    )
