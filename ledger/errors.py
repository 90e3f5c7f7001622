"""What can go wrong with a ledger. Every message names the file or row, the value, the rule and the fix."""

from pathlib import Path

import duckdb

from coordeval.market_data.errors import CoordevalError


class LedgerError(CoordevalError):
    """A ledger cannot do what was asked of it."""


class LedgerLocked(LedgerError):
    """Another writer is at work on this ledger."""


class LedgerBusy(LedgerError):
    """Another process kept the file open for longer than we were ready to wait."""


class LedgerTooNew(LedgerError):
    """The file was written by a later version of coordeval."""


class LedgerDamaged(LedgerError):
    """Bytes on the disk are not those that were written. What was lost is named; what is whole is kept."""


class NotALedger(LedgerError):
    """The file is something else than a ledger that this version can open."""


class LedgerWriteError(LedgerError):
    """The disk or the database refused. What was stored before stands, and nothing is half-written."""


class RowError(LedgerError, ValueError):
    """A row breaks a rule of its table. Nothing of the same write was stored."""


def write_error(path: Path, error: Exception, kept: str) -> LedgerWriteError:
    """`error` (of the disk, SQLite or DuckDB) as a LedgerWriteError; `kept` says what is still safe."""
    fix = f"Free space in {path.parent} (or mend its permissions) and go on: what is stored is not asked or paid for again"
    if isinstance(error, (duckdb.IntegrityError, duckdb.DataError, duckdb.ProgrammingError)):
        fix = f"This is a defect of coordeval, not of the disk: keep all files that begin with {path.name}, and report it"
    said = error.strerror if isinstance(error, OSError) and error.strerror else error
    return LedgerWriteError(f"{path}: cannot be written ({said}); {kept}. {fix}")
