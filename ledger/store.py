"""Rows into DuckDB: bulk, inside the caller's transaction, and such that storing the same rows again changes nothing."""

import functools
from collections.abc import Mapping
from typing import Any

import duckdb
import polars as pl

from coordeval.ledger.tables import Table, Tables

GAME_TABLES = ("games", "game_rounds", "moves", "mishaps")
CELL_TABLES = ("forecasts", "calls", "tool_calls", "estimates", "messages", "parts", "acts", *GAME_TABLES, "telemetry")
"""What one cell leaves behind, all with the same forecast_id; telemetry is computed of the others, and can be again."""

_FIXED = {
    "draws": {"*"},  # a reply never changes, and its first payer paid
    "market_edits": {"*"},  # when it was first seen
    "studies": {"created_at", "locked_at"},
}
"""Columns that keep their first value when the row comes again."""

_CHANGED_OUTCOMES = """
    INSERT INTO outcomes BY NAME
    WITH source AS {source}, known AS (
        SELECT o.* FROM outcomes o SEMI JOIN source s ON s.market_id = o.market_id
        QUALIFY row_number() OVER (PARTITION BY o.market_id ORDER BY o.rowid DESC) = 1
    )
    SELECT s.* FROM source s JOIN known k ON k.market_id = s.market_id
    WHERE (s.status, s.value, s.reason, s.resolved_at) IS DISTINCT FROM (k.status, k.value, k.reason, k.resolved_at)
"""
"""As `current_outcomes` has them, but of the incoming markets only: the view would go through the whole table."""
_LOCK_STUDIES = """
    UPDATE studies SET locked_at = now()
    WHERE locked_at IS NULL AND study_id IN (SELECT study_id FROM cells JOIN forecasts USING (forecast_id))
"""


def store(con: duckdb.DuckDBPyConnection, table: Table, rows: list[dict[str, Any]]) -> int:
    """Stores checked rows, returns how many changed anything. Of rows with one key the last counts (a draw: the first)."""
    if table.key:
        ordered = reversed(rows) if table.name == "draws" else rows
        rows = list({table.identity(row): row for row in ordered}.values())
    return store_frame(con, table, table.frame(rows))


def store_frame(con: duckdb.DuckDBPyConnection, table: Table, rows: pl.DataFrame) -> int:
    """As `store`, for checked rows as columns of which no two have one key."""
    if rows.is_empty():
        return 0
    con.register("incoming", rows)
    insert, revise = _statements(table)
    changed: int = con.execute(insert).fetchall()[0][0]
    if revise and changed < rows.height:
        changed += con.execute(revise).fetchall()[0][0]
    con.unregister("incoming")  # not after a failure: in an aborted transaction this raises, and would hide the reason
    return changed


def store_cells(con: duckdb.DuckDBPyConnection, tables: Tables, cells: list[Mapping[str, Any]]) -> None:
    """Stores cells ({table: checked rows}); a cell replaces everything that an earlier try at its forecast left behind.

    A forecast that was committed to before its outcome stays as it is, whatever comes.
    """
    latest = {cell["forecasts"][0]["forecast_id"]: cell for cell in cells}
    kept = con.execute(
        "SELECT forecast_id FROM commitment_leaves WHERE forecast_id IN (SELECT unnest(?::VARCHAR[]))", [list(latest)]
    )
    for (forecast_id,) in kept.fetchall():
        latest.pop(forecast_id, None)
    rows = {name: [row for cell in latest.values() for row in cell.get(name, ())] for name in CELL_TABLES}
    replace_cells(con, tables, {name: tables[name].frame(own) for name, own in rows.items() if own})


def replace_cells(con: duckdb.DuckDBPyConnection, tables: Tables, rows: Mapping[str, pl.DataFrame]) -> None:
    """Stores whole cells, none of them committed to and no two of one forecast, in place of what is there of them."""
    forecast_ids = rows["forecasts"]["forecast_id"].to_list() if "forecasts" in rows else []
    there = con.execute(
        "SELECT forecast_id FROM forecasts WHERE forecast_id IN (SELECT unnest(?::VARCHAR[]))", [forecast_ids]
    )
    if retried := [forecast_id for (forecast_id,) in there.fetchall()]:
        for name in CELL_TABLES[1:]:
            con.execute(f"DELETE FROM {name} WHERE forecast_id IN (SELECT unnest(?::VARCHAR[]))", [retried])
    for name in CELL_TABLES:
        if name in rows:
            store_frame(con, tables[name], rows[name])


def replace_telemetry(con: duckdb.DuckDBPyConnection, table: Table, rows: pl.DataFrame) -> None:
    """Stores telemetry that was computed anew, in place of all that is there of those forecasts."""
    ids = rows["forecast_id"].unique().to_list()
    con.execute("DELETE FROM telemetry WHERE forecast_id IN (SELECT unnest(?::VARCHAR[]))", [ids])
    store_frame(con, table, rows)


def lock_studies(con: duckdb.DuckDBPyConnection) -> None:
    """A study is locked from the moment at which one of its cells has a forecast."""
    con.execute(_LOCK_STUDIES)


@functools.cache
def _statements(table: Table) -> tuple[str, str]:
    """(what stores rows with new keys, what brings rows with known keys up to date; "": nothing does).

    Two statements and no MERGE: the first reads the table's key columns and no others, and is mostly the only one.
    """
    source = f"(SELECT {table.selected} FROM incoming)"
    if not table.key:
        return f"INSERT INTO {table.name} BY NAME {source}", ""
    same = " AND ".join(f't."{column}" IS NOT DISTINCT FROM s."{column}"' for column in table.key)
    insert = f"INSERT INTO {table.name} BY NAME SELECT s.* FROM {source} s ANTI JOIN {table.name} t ON {same}"
    if table.name == "outcomes":
        return insert, _CHANGED_OUTCOMES.format(source=source)
    fixed = _FIXED.get(table.name, set())
    updated = [c for c in table.columns if c not in fixed and c not in table.key] if "*" not in fixed else []
    if not updated:
        return insert, ""
    differs = " OR ".join(f't."{column}" IS DISTINCT FROM s."{column}"' for column in updated)
    values = ", ".join(f'"{column}" = s."{column}"' for column in updated)
    return insert, f"UPDATE {table.name} t SET {values} FROM {source} s WHERE {same} AND ({differs})"
