"""Which file this is, if it is no ledger, and whether it is damaged: each its own sentence, with what to do.

DuckDB keeps a checksum for each block and stops at one that does not match; what it raises then has many classes and words.
"""

import re
from pathlib import Path

import duckdb

from coordeval.ledger.errors import LedgerDamaged, LedgerError, NotALedger

_DAMAGED = re.compile(
    r"[Cc]orrupt|read enough bytes|does not match stored checksum|[Ss]eriali[sz]|No more data|replaying WAL|"
    r"checksum|[Ff]ailed to (?:load|deserialize)|[Ii]nvalid (?:block|bitmask|unicode)"
)
_NEWER = re.compile(r"version number|newer (?:version|DuckDB)|storage version|older version of DuckDB|[Ss]torage compat")
_KINDS = (
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"PAR1", "a Parquet file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"version https://git-lfs", "a Git LFS pointer: the file itself was not fetched, and `git lfs pull` does it"),
)
_MAGIC_AT = 8


def explained(path: Path, error: duckdb.Error) -> LedgerError | None:
    """What `error` (met at opening or reading `path`) says of the file itself; None where it is not about that.

    Looks into the file by other means, so only for one that DuckDB could not open, or has closed.
    """
    if (stranger := _stranger(path)) is not None:
        return stranger
    if _NEWER.search(str(error)):
        return NotALedger(
            f"{path} was written by another version of DuckDB than this one, {duckdb.__version__} ({_first_line(error)}): "
            "upgrade coordeval, which brings its DuckDB, or read the file with the version that wrote it"
        )
    kinds = (duckdb.InternalException, duckdb.FatalException, duckdb.SerializationException)
    if isinstance(error, kinds) or _DAMAGED.search(str(error)):
        if "WAL" in str(error):
            return LedgerDamaged(
                f"{path}.wal, DuckDB's log of the last commits, is damaged, and nothing was read or written "
                f"({_first_line(error)}): restore a backup of both files, or move the log away and run the command again. "
                "What was committed last is then missing from the ledger; replies are still in the journal and move again"
            )
        return LedgerDamaged(
            f"{path} is damaged, and nothing was read from it or written to it ({_first_line(error)}): restore a backup, or "
            f"save the tables that can still be read with `from coordeval import read; read({str(path)!r})"
            ".export_parquet('saved')` in Python"
        )
    return None


def refuse_stranger(path: Path) -> None:
    """Raises NotALedger for a file that is no DuckDB database, before DuckDB fetches an extension that might read it.

    Only for one that this process has not opened: closing a file drops the locks that the process holds on it.
    """
    if (stranger := _stranger(path)) is not None:
        raise stranger


def _stranger(path: Path) -> NotALedger | None:
    """What the file is, if it is no DuckDB database."""
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError:
        return None
    if start[_MAGIC_AT : _MAGIC_AT + 4] == b"DUCK":
        return None
    if not start:
        return NotALedger(f"{path} is an empty file: delete it, and the next run makes a ledger there, or restore a backup")
    kind = next((kind for magic, kind in _KINDS if start.startswith(magic)), None)
    if kind is None:
        kind = "a text file" if _is_text(start) else "no DuckDB database, or one whose start was overwritten"
    return NotALedger(f"{path} is {kind}: give the path of a ledger, or one that does not exist yet")


def _is_text(start: bytes) -> bool:
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 3:  # not just a character that the end cut in two
            return False
        text = start[: error.start].decode("utf-8")
    return all(character.isprintable() or character in "\t\r\n\f" for character in text)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]
