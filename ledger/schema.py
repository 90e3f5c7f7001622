"""Numbered migrations: plain SQL files, each applied in one transaction and recorded with its hash."""

import contextlib
import functools
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import duckdb

from coordeval.ledger.database import transaction
from coordeval.ledger.errors import LedgerError, LedgerTooNew, NotALedger

_RECORD = (
    "CREATE TABLE IF NOT EXISTS migrations "
    "(number INTEGER PRIMARY KEY, name VARCHAR NOT NULL, sha256 VARCHAR NOT NULL, applied_at TIMESTAMPTZ NOT NULL)"
)


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


@functools.cache
def load() -> tuple[Migration, ...]:
    """The migrations of this version, in order: `ledger/migrations/NNNN_name.sql`."""
    found = []
    for file in files("coordeval.ledger").joinpath("migrations").iterdir():
        if match := re.fullmatch(r"(\d{4})_(\w+)\.sql", file.name):
            found.append(Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")))
    return tuple(sorted(found, key=lambda migration: migration.number))


def migrate(con: duckdb.DuckDBPyConnection, migrations: Sequence[Migration] | None = None) -> None:
    """Applies what is missing of `migrations` (default: this version's). One that fails leaves no trace of itself."""
    known = load() if migrations is None else migrations
    check_ours(con)
    con.execute(_RECORD)
    applied = check(con, known)
    for migration in known[applied:]:
        with transaction(con):
            con.execute(migration.sql)
            con.execute(
                "INSERT INTO migrations VALUES (?, ?, ?, now())", [migration.number, migration.name, migration.sha256]
            )


def check_ours(con: duckdb.DuckDBPyConnection) -> None:
    """Raises NotALedger for a database that holds tables of something else; nothing of ours belongs into it."""
    with contextlib.suppress(duckdb.CatalogException, duckdb.BinderException):
        con.execute("SELECT sha256 FROM migrations LIMIT 0")  # a list of all columns takes 40 ms
        return
    query = (
        "SELECT table_name, bool_or(column_name = 'sha256') FROM duckdb_columns() WHERE NOT internal GROUP BY ALL ORDER BY 1"
    )
    tables = dict(con.execute(query).fetchall())
    if tables and not tables.get("migrations"):
        shown = ", ".join(list(tables)[:5]) + (", ..." if len(tables) > 5 else "")
        raise NotALedger(
            f"{_name(con)} is a DuckDB database of something else (its tables: {shown}): give the path of a ledger, or one "
            "that does not exist yet"
        )


def check(con: duckdb.DuckDBPyConnection, migrations: Sequence[Migration]) -> int:
    """How many of `migrations` are applied. Raises LedgerTooNew, or LedgerError where an applied one has changed since."""
    rows = con.execute("SELECT number, name, sha256 FROM migrations ORDER BY number").fetchall()
    newest, ours = (rows[-1][0] if rows else 0), migrations[-1].number
    if newest > ours:
        raise LedgerTooNew(
            f"ledger {_name(con)} has schema {newest}, and this coordeval knows schemas up to {ours}; "
            "upgrade coordeval (pip install --upgrade coordeval) or give another ledger file"
        )
    for (number, name, sha256), migration in zip(rows, migrations, strict=False):
        if (number, sha256) != (migration.number, migration.sha256):
            raise LedgerError(
                f"ledger {_name(con)}: its migration {number:04d}_{name} has sha256 {sha256[:12]}, but "
                f"{migration.number:04d}_{migration.name} of this coordeval has {migration.sha256[:12]}; "
                "an applied migration never changes: restore the file, and put the change in a new one"
            )
    return len(rows)


def _name(con: duckdb.DuckDBPyConnection) -> str:
    return str(con.execute("SELECT current_database()").fetchall()[0][0])
