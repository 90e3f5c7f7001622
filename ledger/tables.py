"""What a row must look like. Every rule is read from the schema itself, so there is no second list to keep in step."""

import math
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import duckdb
import polars as pl

from coordeval.ledger.errors import LedgerError, RowError
from coordeval.market_data.errors import choose
from coordeval.market_data.secrets import redacted

Row = Mapping[str, Any]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        if isinstance(value, bytes):
            return value.decode()
        raise ValueError("it must be text (str, or UTF-8 bytes)")
    if not value.isascii():
        value.encode()  # refuses lone surrogates, which no file can hold
    return redacted(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("it must be True or False")
    return value


def _real(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError("it must be a finite number; an unknown one is None")
    return float(value)


def _time(value: Any) -> str:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("it must be a datetime with a time zone, such as +00:00")
    return value.astimezone(UTC).isoformat()


def _day(value: Any) -> str:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ValueError("it must be a date without a time of day")
    return value.isoformat()


def _integer(low: int, high: int) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"it must be a whole number (int) in [{low}, {high}]")
        return value

    return convert


_TYPES: dict[str, tuple[Callable[[Any], Any], pl.DataType]] = {
    "VARCHAR": (_text, pl.String()),
    "BOOLEAN": (_boolean, pl.Boolean()),
    "DOUBLE": (_real, pl.Float64()),
    "BIGINT": (_integer(-(2**63), 2**63 - 1), pl.Int64()),
    "INTEGER": (_integer(-(2**31), 2**31 - 1), pl.Int32()),
    "UTINYINT": (_integer(0, 255), pl.UInt8()),
    "TIMESTAMP WITH TIME ZONE": (_time, pl.String()),
    "DATE": (_day, pl.String()),
}
"""DuckDB type -> how a value is checked and made JSON, and the column it travels in."""


class Table:
    """One table: its columns, its key and its CHECK constraints."""

    def __init__(
        self,
        name: str,
        columns: Iterable[tuple[str, str, bool]],
        key: tuple[str, ...],
        checks: list[str],
        *,
        indexed: bool = False,
        defaults: Mapping[str, str] | None = None,
    ) -> None:
        """`columns`: (name, DuckDB type, nullable); `key`: empty where rows have no identity of their own; `defaults`: of
        columns that came later, what a row has that does not know them."""
        columns = list(columns)
        self._defaults = dict(defaults or {})
        self.name = name
        self.key = key
        self.indexed = indexed
        self.columns = [column for column, _, _ in columns]
        self.schema = {column: _TYPES[kind][1] for column, kind, _ in columns}
        self.selected = ", ".join(f'CAST("{column}" AS {kind}) AS "{column}"' for column, kind, _ in columns)
        self._converters = [(column, _TYPES[kind][0], nullable) for column, kind, nullable in columns]
        self._names = frozenset(self.columns)
        self._checks = checks
        # A CHECK is standard SQL. SQLite answers it for one row in microseconds, DuckDB in about a millisecond.
        self._db = sqlite3.connect(":memory:", check_same_thread=False)
        given = ", ".join(f':{column} AS "{column}"' for column in self.columns)
        self._checking = f"SELECT {', '.join(checks)} FROM (SELECT {given})" if checks else ""

    def row(self, row: Row) -> dict[str, Any]:
        """`row` as plain JSON, times as ISO text in UTC. Raises RowError with table, key, value and rule."""
        checked: dict[str, Any] = {}
        for column, convert, nullable in self._converters:
            value = row.get(column, self._defaults.get(column))
            if value is None:
                if not nullable:
                    raise self._broken(row, f"{column} is missing, and it may not be null")
                checked[column] = None
                continue
            try:
                checked[column] = convert(value)
            except ValueError as error:
                raise self._broken(row, f"{column} is {value!r:.200}: {error}") from None
        if not row.keys() <= self._names:
            unknown = ", ".join(sorted(row.keys() - self._names))
            raise self._broken(row, f"it has no column {unknown}; its columns are {', '.join(self.columns)}")
        if self._checking:
            for rule, passed in zip(self._checks, self._db.execute(self._checking, checked).fetchone(), strict=True):
                if passed == 0:  # as in SQL, null passes
                    values = ", ".join(f"{c} {row.get(c)!r}" for c in self.columns if c in rule)
                    raise self._broken(row, f"{values} breaks the rule {rule}")
        return checked

    def identity(self, row: Row) -> tuple[Any, ...]:
        return tuple(row[column] for column in self.key)

    def frame(self, rows: list[dict[str, Any]]) -> pl.DataFrame:
        """Checked rows as columns; one that an older journal does not know is null, or what its default says."""
        missing = self._defaults.get
        return pl.DataFrame(
            {column: [row.get(column, missing(column)) for row in rows] for column in self.columns}, schema=self.schema
        )

    def _broken(self, row: Row, problem: str) -> RowError:
        key = ", ".join(f"{column}={row.get(column)!r}" for column in self.key or self.columns[:2])
        return RowError(f"table {self.name}, row {key}: {problem}; mend the row, nothing of this write was stored")


class Tables(dict[str, Table]):
    """The tables of a migrated database, by name. A key is the primary key or, without an index, the table's comment."""

    def __missing__(self, name: str) -> Table:
        raise LedgerError(choose("table", name, list(self)))

    @classmethod
    def of(cls, con: duckdb.DuckDBPyConnection) -> "Tables":
        keys = con.execute("SELECT table_name, comment FROM duckdb_tables() WHERE comment LIKE 'key: %'").fetchall()
        declared = {name: tuple(comment.removeprefix("key: ").split(", ")) for name, comment in keys}
        columns = con.execute(
            "SELECT c.table_name, c.column_name, c.data_type, c.is_nullable, c.column_default FROM duckdb_columns() c "
            "JOIN duckdb_tables() t ON t.table_oid = c.table_oid AND t.database_oid = c.database_oid "
            "WHERE NOT t.internal AND t.table_name <> 'migrations' ORDER BY c.table_name, c.column_index"
        ).fetchall()
        constraints = con.execute(
            "SELECT table_name, constraint_type, expression, constraint_column_names FROM duckdb_constraints() "
            "WHERE constraint_type IN ('CHECK', 'PRIMARY KEY')"
        ).fetchall()
        tables = cls()
        for name in dict.fromkeys(row[0] for row in columns):
            own = [constraint[1:] for constraint in constraints if constraint[0] == name]
            primary = next((tuple(names) for kind, _, names in own if kind == "PRIMARY KEY"), ())
            checks = [expression for kind, expression, _ in own if kind == "CHECK"]
            key = primary or declared.get(name, ())
            its_columns = [row[1:4] for row in columns if row[0] == name]
            given = {row[1]: row[4] for row in columns if row[0] == name}
            texts = {column: said[1:-1] for column, said in given.items() if said and said[0] == said[-1] == "'"}
            tables[name] = Table(name, its_columns, key, checks, indexed=bool(primary), defaults=texts)
        return tables
