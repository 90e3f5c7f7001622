"""Opening the DuckDB file: briefly, and with patience while another process has it.

DuckDB's lock belongs to the process and ends when the process closes *any* handle on the file, so nothing here, and
nothing else in a writing process, may open the file by other means.
"""

import contextlib
import random
import re
import time
from collections.abc import Iterator, Mapping
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

_HELD = re.compile(
    r"Could not set lock|Conflicting lock|used by another process|different configuration|[Uu]nique file handle"
)


@contextlib.contextmanager
def connected(
    path: Path, *, read_only: bool = False, wait: float = PATIENCE, settings: Mapping[str, str | int] = MappingProxyType({})
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection in UTC, closed at the end. After `wait` s raises LedgerBusy, naming who holds the file.

    Raises NotALedger for another kind of file and LedgerDamaged for a damaged one, also where that shows only in a query.
    """
    path = true_path(path)
    kept = _KEPT.get(path)
    con = _connect(path, read_only=read_only, wait=wait) if kept is None else kept.cursor()
    try:
        try:
            if kept is None:
                _set(con, settings)
            yield con
        finally:
            con.close()
    except duckdb.Error as error:  # DuckDB reads most blocks only when they are asked for
        if (told := explained(path, error)) is not None:
            raise told from error
        raise


def _set(con: duckdb.DuckDBPyConnection, settings: Mapping[str, str | int], scope: str = "") -> None:
    con.execute(f"SET {scope}TimeZone = 'UTC'")
    for name, value in settings.items():
        con.execute(f"SET {name} = '{value}'")
    con.execute(f"SET {scope}python_enable_replacements = false")  # a table's name never means a Python variable


_KEPT: dict[Path, duckdb.DuckDBPyConnection] = {}


def is_kept(path: Path) -> bool:
    """Whether this process keeps the file open: then it is a ledger of this version, and stays one."""
    return true_path(path) in _KEPT


@contextlib.contextmanager
def kept_open(path: Path) -> Iterator[None]:
    """Within, this process keeps the file open and nobody else gets in; opening it again costs a tenth.

    For many short steps one after the other on a ledger of one's own, such as the days of a simulated year. The settings
    that keep an insert's memory small are not applied.
    """
    path = true_path(path)
    with connected(path) as con:
        _set(con, {}, "GLOBAL ")  # for every cursor of it
        _KEPT[path] = con
        try:
            yield
        finally:
            del _KEPT[path]


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


def _connect(path: Path, *, read_only: bool, wait: float) -> duckdb.DuckDBPyConnection:
    # A plain poll, not a growing back-off: the file is free for 2 s between commits of 0.1 s.
    deadline = time.monotonic() + wait
    while True:
        try:
            return duckdb.connect(path, read_only=read_only)
        except duckdb.Error as error:
            if not _HELD.search(str(error)):
                if (told := explained(path, error)) is not None:
                    raise told from error
                if read_only:
                    raise LedgerError(f"{path}: cannot be opened as a ledger ({error}); check the path") from error
                raise write_error(path, error, "what is in it stands") from error
            if time.monotonic() >= deadline:
                raise LedgerBusy(_describe(path, str(error), wait)) from error
        time.sleep(random.uniform(0.01, 0.04))


def _describe(path: Path, message: str, wait: float) -> str:
    pid = re.search(r"\(PID (\d+)\)", message)
    who = f"process {pid[1]}" if pid else f"another connection ({message})"
    return (
        f"{path} is held by {who}, for more than {wait:.0f} s; close what runs there and try again "
        f"(rows that wait to go in are safe in {path.name}.journal, and the next writer moves them)"
    )
