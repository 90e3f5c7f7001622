"""A new ledger is a copy of an empty one: making all tables takes 0.1 s, copying what was made before a tenth of that.

What a process copies is the first ledger that it made itself, so it is always of its own DuckDB and its own migrations.
"""

import contextlib
from pathlib import Path

import duckdb

from coordeval.ledger import schema
from coordeval.ledger.database import is_open
from coordeval.ledger.tables import Tables
from coordeval.market_data.files import FileError, write_whole

_BLANK: dict[object, bytes] = {}
_TABLES: dict[object, Tables] = {}
"""By the migrations that made them."""


def lay(path: Path) -> bool:
    """Puts an empty ledger at `path`, where no file is; False where this process has made none yet, or none can be put."""
    content = _BLANK.get(schema.load())
    with contextlib.suppress(FileError):  # who opens it says what is wrong with its place
        if content is not None:
            write_whole(path, content)
            return True
    return False


def keep(path: Path) -> None:
    """The ledger at `path` was just made and holds nothing: the next one is its copy."""
    if schema.load() in _BLANK or is_open(path) or path.with_name(f"{path.name}.wal").exists():
        return
    with contextlib.suppress(OSError):
        _BLANK[schema.load()] = path.read_bytes()


def tables(con: duckdb.DuckDBPyConnection) -> Tables:
    """Those of a migrated ledger: what the migrations make, read from the first one."""
    if (known := _TABLES.get(schema.load())) is None:
        known = _TABLES[schema.load()] = Tables.of(con)
    return known
