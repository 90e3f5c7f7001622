"""Rows that another process checked and stored become rows of the ledger, as often and in whichever order they come.

They come as columns: whoever made them drops doubles and encodes (`part_of`), so that the one writer has little to do.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import polars as pl

from coordeval.agents.messages import STAND_IN_REPLY
from coordeval.ledger.errors import RowError
from coordeval.ledger.store import CELL_TABLES, lock_studies, replace_cells, store_frame
from coordeval.ledger.tables import Table, Tables

CELL = "cell"
"""Table name of the entries that hold a whole cell."""

Part = Mapping[str, pl.DataFrame]
"""Checked rows by table, of each forecast at most one cell and of each key one row."""

NEW_FORECASTS = ("forecast_id", "market_id", "configuration", "replicate", "status", "probability", "reason")
NEW_DRAWS = (
    pl.col("draw_id", "payer", "micro_usd"),
    pl.when(pl.col("reply").str.contains(STAND_IN_REPLY, literal=True))
    .then(pl.lit(STAND_IN_REPLY))
    .otherwise(pl.lit(""))
    .alias("reply"),  # all that whoever counts dollars asks of it
)


def part_of(tables: Tables, entries: Sequence[tuple[str, Any]]) -> dict[str, pl.DataFrame]:
    """Entries (table or "cell", checked row or rows) as columns. Raises RowError for rows of another schema."""
    cells: dict[str, Mapping[str, list[dict[str, Any]]]] = {}
    rows: dict[str, list[dict[str, Any]]] = {}
    for table, given in entries:
        if table != CELL:
            rows.setdefault(table, []).append(given)
            continue
        [forecast] = given["forecasts"]
        before = cells.get(forecast["forecast_id"])
        if before is None or before["forecasts"][0]["created_at"] <= forecast["created_at"]:
            cells[forecast["forecast_id"]] = given
    for name in CELL_TABLES if cells else ():
        rows[name] = [row for cell in cells.values() for row in cell.get(name, ())]
    for name, own in rows.items():
        known = dict.fromkeys(tables[name].columns).keys()
        _check_columns(name, {column for row in own if row.keys() != known for column in row} - known)
    return {name: tables[name].frame(own) for name, own in rows.items() if own}


def merge(con: duckdb.DuckDBPyConnection, tables: Tables, parts: Sequence[Part]) -> dict[str, list[dict[str, Any]]]:
    """See `Ledger.merge_parts`. Raises RowError for rows of another schema."""
    parts = [{name: checked_frame(tables[name], frame) for name, frame in part.items()} for part in parts]
    new: dict[str, list[dict[str, Any]]] = {"forecasts": [], "draws": []}
    if any("forecasts" in part for part in parts):
        new["forecasts"] = _merge_cells(con, tables, parts)
    names = dict.fromkeys(name for part in parts for name in part if name not in CELL_TABLES)
    for name in names:
        frame = _one_of_each(tables[name], pl.concat([part[name] for part in parts if name in part]))
        if name == "attempts":  # whose end is known does not become one under way
            there = _there(con, "attempts", "attempt_id", frame.filter(pl.col("ended").is_null()))
            frame = frame.filter(~pl.col("attempt_id").is_in(there))
        if name == "draws":
            frame = frame.filter(~pl.col("draw_id").is_in(_there(con, "draws", "draw_id", frame)))
            new["draws"] = frame.select(NEW_DRAWS).to_dicts()
        store_frame(con, tables[name], frame)
    if new["forecasts"] or "cells" in names:
        lock_studies(con)
    return new


def _merge_cells(con: duckdb.DuckDBPyConnection, tables: Tables, parts: Sequence[Part]) -> list[dict[str, Any]]:
    """Of the cells of one forecast that which was made last stays, wherever it stands; gives back what is new."""
    made = pl.concat(
        [p["forecasts"].select("forecast_id", "created_at", part=pl.lit(n)) for n, p in enumerate(parts) if "forecasts" in p]
    )
    con.register("made", made)
    older = con.execute(_NO_OLDER).fetchall()
    con.unregister("made")
    made = made.filter(~pl.col("forecast_id").is_in([forecast_id for (forecast_id,) in older]))
    if made["forecast_id"].n_unique() < made.height:
        made = made.sort("created_at", "part", maintain_order=True).unique("forecast_id", keep="last", maintain_order=True)
    kept = []
    for number, part in enumerate(parts):
        ids = made.filter(pl.col("part") == number).select("forecast_id")
        own = {name: part[name] for name in CELL_TABLES if name in part}
        if "forecasts" in own and ids.height < own["forecasts"].height:
            own = {name: frame.join(ids, on="forecast_id", how="semi", maintain_order="left") for name, frame in own.items()}
        kept.append(own)
    cells = {name: pl.concat(frames) for name in CELL_TABLES if (frames := [own[name] for own in kept if name in own])}
    replace_cells(con, tables, cells)
    return cells["forecasts"].select(NEW_FORECASTS).to_dicts()


_NO_OLDER = """
    SELECT forecast_id FROM forecasts JOIN made USING (forecast_id)
    WHERE forecasts.created_at >= made.created_at::TIMESTAMPTZ
    UNION SELECT forecast_id FROM commitment_leaves SEMI JOIN made USING (forecast_id)
"""


def _there(con: duckdb.DuckDBPyConnection, table: str, key: str, frame: pl.DataFrame) -> list[str]:
    """Those of the frame's keys that are stored."""
    if frame.is_empty():
        return []
    con.register("made", frame.select(key))
    found = con.execute(f"SELECT {key} FROM {table} SEMI JOIN made USING ({key})").fetchall()
    con.unregister("made")
    return [one for (one,) in found]


def _one_of_each(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """Of rows with one key the last counts; a draw stays as first stored, and an attempt has ended once it has."""
    if not table.key or frame.select(table.key).n_unique() == frame.height:
        return frame
    if table.name == "attempts":
        frame = frame.sort(pl.col("ended").is_not_null(), maintain_order=True)
    return frame.unique(table.key, keep="first" if table.name == "draws" else "last", maintain_order=True)


def checked_frame(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with this version's columns; one that its maker did not know is null."""
    _check_columns(table.name, set(frame.columns) - set(table.columns))
    required = ("forecast_id",) if table.name in CELL_TABLES else table.key
    lacking = [pl.lit(None).alias(column) for column in table.columns if column not in frame.columns]
    try:
        frame = frame.with_columns(lacking).select(table.columns).cast(pl.Schema(table.schema))
    except pl.exceptions.PolarsError as error:
        raise RowError(f"table {table.name}: rows that another process made are of other types ({error})") from error
    if any(frame[column].null_count() for column in required):
        raise RowError(f"table {table.name}: a row that another process made has no key ({', '.join(required)})")
    return frame


def _check_columns(name: str, unknown: set[str]) -> None:
    if unknown:
        raise RowError(
            f"table {name}: a row that another process made has the columns {', '.join(sorted(unknown))}, which this "
            "version does not know; run the same version of coordeval everywhere"
        )
