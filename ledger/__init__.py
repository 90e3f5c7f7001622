"""The ledger: one DuckDB file per body of work, one writer, any number of readers.

A writer leaves `X.duckdb` and, while it runs or after it was killed, `X.duckdb.journal` beside it: copy both or neither.
"""

from coordeval.ledger.errors import (
    LedgerBusy,
    LedgerDamaged,
    LedgerError,
    LedgerLocked,
    LedgerTooNew,
    LedgerWriteError,
    NotALedger,
    RowError,
)
from coordeval.ledger.reader import Reader, Study, read
from coordeval.ledger.records import row_of
from coordeval.ledger.tables import Row
from coordeval.ledger.writer import CellRows, Ledger

__all__ = [
    "CellRows",
    "Ledger",
    "LedgerBusy",
    "LedgerDamaged",
    "LedgerError",
    "LedgerLocked",
    "LedgerTooNew",
    "LedgerWriteError",
    "NotALedger",
    "Reader",
    "Row",
    "RowError",
    "Study",
    "read",
    "row_of",
]

if __name__ == "ledger":  # from a checkout, by its folder's name: the same modules, not copies
    from coordeval.folders import same

    same(__name__)
