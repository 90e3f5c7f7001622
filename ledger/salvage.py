"""What is whole of a damaged ledger, in a new file. The damaged one is read from a copy, and stays as it was found.

DuckDB holds each block against its checksum and gives no row of a block that does not match. So a table is read whole, or
else in ranges of rows that are halved until what cannot be read is as small as a vector.
"""

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from coordeval.ledger import schema
from coordeval.ledger.backup import made_beside
from coordeval.ledger.damage import refuse_stranger
from coordeval.ledger.database import NO_BAR, connected, transaction
from coordeval.ledger.errors import LedgerDamaged, LedgerError, NotALedger
from coordeval.ledger.lock import WriterLock
from coordeval.ledger.place import check_file, true_path
from coordeval.ledger.store import CELL_TABLES
from coordeval.ledger.writer import Ledger

_ROW_GROUP, _VECTOR = 122_880, 2_048
"""Rows that DuckDB keeps together, and the fewest that it reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table: how many rows it had, as far as is known, and how many of them are kept."""

    name: str
    rows: int | None
    kept: int
    why: str = ""
    """What could not be read; empty: nothing."""


@dataclass(slots=True, kw_only=True)
class Salvaged:
    """What became of a damaged ledger."""

    source: str
    target: str
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What is lost beside rows of tables, in words: of the journal, of DuckDB's log, of shards."""
    from_journal: int = 0
    """Rows that came out of the journal, or out of shards."""
    again: int = 0
    """Forecasts that lost a part of themselves: left out, so that the next run makes them again from the stored replies."""

    @property
    def whole(self) -> bool:
        return not self.notes and not any(table.why for table in self.tables)


def salvage(path: str | Path, target: str | Path, entries: Sequence[tuple[str, Any]] = ()) -> Salvaged:
    """Makes a new ledger at `target` of what is whole of the one at `path`, its journal, and `entries` (of shards).

    Nobody may write to it meanwhile: raises LedgerLocked where somebody does, LedgerError where `target` exists or there is
    no ledger, and NotALedger for a file of another kind whose start is not just overwritten.
    """
    path, target = true_path(path), true_path(target)
    if check_file(path) is None:
        raise LedgerError(f"there is no ledger at {path}: give the path of the damaged one")
    if (kind := _other_kind(path)) is not None:
        raise kind
    lock = WriterLock(path)
    lock.acquire(f"coordeval recover to {target}")
    try:
        with made_beside(target) as scratch:
            found = _salvaged(path, scratch, target, entries)
            (scratch / target.name).replace(target)
    finally:
        lock.release()
    return found


def _other_kind(path: Path) -> NotALedger | None:
    try:
        refuse_stranger(path)
    except NotALedger as error:
        return None if "overwritten" in str(error) else error
    return None


def _salvaged(path: Path, scratch: Path, target: Path, entries: Sequence[tuple[str, Any]]) -> Salvaged:
    found = Salvaged(source=str(path), target=str(target))
    copy, new = scratch / "damaged.duckdb", scratch / target.name
    for end in ("", ".wal"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(f"{path}{end}", f"{copy}{end}")
    known = _opened(copy, found)
    applied = _applied(copy) if known else None
    migrations = schema.load()
    with connected(new) as con:
        schema.migrate(con, migrations[:applied] if applied else migrations)
        for name in known:
            if name != "migrations":
                found.tables.append(_table(copy, con, name))
        schema.migrate(con, migrations)
        before = _rows(con)
    for end in ("", "-wal", ".head"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(f"{path}.journal{end}", f"{new}.journal{end}")
    try:
        ledger = Ledger.open(new, purpose="coordeval recover")
    except LedgerDamaged as error:  # told once, after what is whole was moved
        found.notes.append(str(error).replace(f"{new}.journal", f"{path}.journal").partition(". As it was found")[0])
        ledger = Ledger.open(new, purpose="coordeval recover")
    with ledger:
        if entries:
            ledger.merge_parts([ledger.part(entries)])
    with connected(new) as con:
        found.from_journal = _rows(con) - before
        if not found.whole:
            with transaction(con):
                found.again = _leave_out_parts(con)
    return found


def _opened(copy: Path, found: Salvaged) -> list[str]:
    """The tables of the damaged file; empty where it cannot be opened at all."""
    log = Path(f"{copy}.wal")
    for with_log in (True, False) if log.exists() else (False,):
        try:
            with duckdb.connect(copy, read_only=True) as con:
                names = con.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal ORDER BY 1").fetchall()
            return [name for (name,) in names]
        except duckdb.Error as error:
            said = str(error).strip().partition("\n")[0][:200]
            if with_log:
                found.notes.append(
                    f"{found.source}.wal, DuckDB's log of the last commits, cannot be read, so these are lost "
                    f"where the journal does not hold them ({said})"
                )
                log.unlink()
            else:
                found.notes.append(f"{found.source} cannot be opened at all, so nothing of it is kept ({said})")
    return []


def _applied(copy: Path) -> int | None:
    with contextlib.suppress(duckdb.Error, TypeError), duckdb.connect(copy, read_only=True) as con:
        return int(con.execute("SELECT max(number) FROM migrations").fetchall()[0][0])
    return None


def _table(copy: Path, new: duckdb.DuckDBPyConnection, name: str) -> Table:
    """Copies what can be read of one table."""
    try:
        with duckdb.connect(copy, read_only=True) as con:
            rows, last = con.execute(f'SELECT count(*), coalesce(max(rowid), -1) FROM "{name}"').fetchall()[0]
    except duckdb.Error as error:
        return Table(name=name, rows=None, kept=0, why=_line(error))
    kept, why = 0, ""
    for frame in _readable(copy, name, 0, last):
        if isinstance(frame, str):
            why = why or frame
        elif frame.height:
            kept += _stored(new, name, frame)
    return Table(name=name, rows=rows, kept=kept, why=why if kept < rows else "")


def _readable(copy: Path, name: str, first: int, last: int) -> Iterator[pl.DataFrame | str]:
    """The rows of a range in as many pieces as it takes, and why a piece of it cannot be read."""
    if last < first:
        return
    try:
        with duckdb.connect(copy, read_only=True) as con:
            con.execute("SET TimeZone = 'UTC'")
            con.execute(NO_BAR)
            yield con.sql(f'SELECT * FROM "{name}" WHERE rowid BETWEEN {first} AND {last}').pl()
            return
    except duckdb.Error as error:
        why = _line(error)
    except pl.exceptions.PolarsError as error:
        why = str(error)
    size = last - first + 1
    if size <= _VECTOR:
        yield why
        return
    step = _ROW_GROUP if size > _ROW_GROUP else max(size // 2 // _VECTOR, 1) * _VECTOR
    for start in range(first, last + 1, step):
        yield from _readable(copy, name, start, min(start + step - 1, last))


def _stored(new: duckdb.DuckDBPyConnection, name: str, frame: pl.DataFrame) -> int:
    new.register("whole", frame)
    try:
        return int(new.execute(f'INSERT INTO "{name}" BY NAME SELECT * FROM whole').fetchall()[0][0])
    except duckdb.Error:  # a row that breaks a rule is no whole row: of the others each is kept
        kept = 0
        for row in frame.iter_slices(1):
            new.register("whole", row)
            with contextlib.suppress(duckdb.Error):
                kept += int(new.execute(f'INSERT INTO "{name}" BY NAME SELECT * FROM whole').fetchall()[0][0])
        return kept
    finally:
        new.unregister("whole")


def _rows(con: duckdb.DuckDBPyConnection) -> int:
    names = con.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall()
    counts = [con.execute(f'SELECT count(*) FROM "{name}"').fetchall()[0][0] for (name,) in names]
    return sum(counts)


_PARTS = """
    SELECT f.forecast_id FROM forecasts f
        SEMI JOIN (FROM cells WHERE contains(identity, '"settings"')) c USING (forecast_id)
        LEFT JOIN (SELECT forecast_id, count(*) AS n, count(d.draw_id) AS drawn FROM calls LEFT JOIN draws d USING (draw_id)
            GROUP BY 1) a USING (forecast_id)
        LEFT JOIN (SELECT forecast_id, count(*) AS n FROM tool_calls GROUP BY 1) t USING (forecast_id)
        LEFT JOIN (SELECT forecast_id, count(*) AS n FROM estimates GROUP BY 1) e USING (forecast_id)
    WHERE f.forecast_id NOT IN (SELECT forecast_id FROM commitment_leaves WHERE forecast_id IS NOT NULL) AND (
        f.model_calls <> coalesce(a.n, 0) OR coalesce(a.drawn, 0) <> coalesce(a.n, 0) OR f.tool_calls <> coalesce(t.n, 0)
        OR (f.model_calls > 0 AND coalesce(e.n, 0) = 0)
    )
"""


def _leave_out_parts(con: duckdb.DuckDBPyConnection) -> int:
    """Takes out forecasts of which rows are lost, and rows whose forecast is lost; returns how many forecasts."""
    con.execute(f"CREATE TEMP TABLE parts_only AS {_PARTS}")
    lost: int = con.execute("SELECT count(*) FROM parts_only").fetchall()[0][0]
    con.execute("DELETE FROM telemetry")  # a part of a forecast's may be lost: it is computed anew where it is asked for
    for name in CELL_TABLES:
        con.execute(f"DELETE FROM {name} WHERE forecast_id IN (FROM parts_only)")
    for name in CELL_TABLES[1:]:
        con.execute(f"DELETE FROM {name} WHERE forecast_id NOT IN (SELECT forecast_id FROM forecasts)")
    con.execute("DROP TABLE parts_only")
    return lost


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]


def as_json(found: Salvaged) -> Mapping[str, Any]:
    """Plain values: what was kept, and what is lost."""
    return {
        "source": found.source,
        "target": found.target,
        "whole": found.whole,
        "tables": [{"name": t.name, "rows": t.rows, "kept": t.kept, "why": t.why} for t in found.tables],
        "notes": found.notes,
        "from_journal": found.from_journal,
        "forecasts_left_out": found.again,
    }
