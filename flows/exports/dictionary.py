"""What every column of the ledger means, read from the comments of the migrations that made it: there is no second list."""

import re
from typing import Any, Final

import duckdb

from coordeval.ledger.schema import load

_TABLE: Final = re.compile(r"CREATE TABLE (\w+) \((.*?)\n\);", re.DOTALL)
_COLUMN: Final = re.compile(r"^    (\w+) +[A-Z].*?(?:-- *(.*))?$")
_ADDED: Final = re.compile(r"ALTER TABLE (\w+) ADD COLUMN (\w+) [^;]*;(?: *-- *(.*))?")
_ONCE_MORE: Final = re.compile(r"^ {20,}-- *(.*)$")


def meanings() -> dict[tuple[str, str], str]:
    """(table, column) -> what the schema says of it; columns that explain themselves are not there."""
    found: dict[tuple[str, str], str] = {}
    for migration in load():
        for table, body in _TABLE.findall(migration.sql):
            last = ""
            for line in body.split("\n"):
                if column := _COLUMN.match(line):
                    last = column[1]
                    if column[2]:
                        found[table, last] = column[2].strip()
                elif (more := _ONCE_MORE.match(line)) and (table, last) in found:
                    found[table, last] += f" {more[1].strip()}"
        for table, name, said in _ADDED.findall(migration.sql):
            if said:
                found[table, name] = said.strip()
    return found


def dictionary(con: duckdb.DuckDBPyConnection, rows: dict[str, int]) -> list[dict[str, Any]]:
    """One row per column of the tables in `rows` (table -> its rows): table, column, type, may_be_null, rows, meaning."""
    said = meanings()
    columns = con.execute(
        "SELECT table_name, column_name, data_type, is_nullable FROM duckdb_columns() "
        "WHERE NOT internal AND database_name = current_database() ORDER BY table_name, column_index"
    ).fetchall()
    return [
        {
            "table": table,
            "column": column,
            "type": kind,
            "may_be_null": nullable,
            "rows": rows[table],
            "meaning": said.get((table, column), ""),
        }
        for table, column, kind, nullable in columns
        if table in rows
    ]
