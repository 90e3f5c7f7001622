"""A whole copy of a ledger as of one moment, also while a run writes to it."""

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from coordeval.ledger.errors import LedgerDamaged, LedgerError, write_error
from coordeval.ledger.journal_head import Head
from coordeval.ledger.journal_recovery import is_damage
from coordeval.ledger.place import true_path
from coordeval.ledger.reader import read
from coordeval.ledger.writer import Ledger


def backup(path: str | Path, target: str | Path) -> Path:
    """Copies the ledger to `target`, one file, with all that its writer has been promised is stored; returns its path.

    A writer goes on meanwhile and keeps new rows in its journal, of which what it holds at the beginning is in the copy.
    Raises LedgerError where `target` exists, LedgerDamaged where there is damage (`coordeval recover` is for that), and
    LedgerWriteError where it cannot be written; nothing is left of a copy that is not whole.
    """
    path, target = true_path(path), true_path(target)
    with made_beside(target) as scratch:
        copy = scratch / target.name
        with read(path).moment() as held:  # as long as it is held nothing moves out of the journal
            held.query("SELECT count(*) FROM migrations")
            _copy_journal(path.with_name(f"{path.name}.journal"), copy.with_name(f"{copy.name}.journal"))
            for end in ("", ".wal"):
                with contextlib.suppress(FileNotFoundError):
                    shutil.copyfile(f"{path}{end}", f"{copy}{end}")
        try:
            Ledger.open(copy, purpose="coordeval backup").close()
        except LedgerDamaged as error:
            said = str(error).replace(f"{copy}", f"{path}").partition("; the ")[0]
            raise LedgerDamaged(f"{said}: no copy was made; `coordeval recover` saves what is whole") from error
        _durable(copy)
        copy.replace(target)
    return target


@contextlib.contextmanager
def made_beside(target: Path) -> Iterator[Path]:
    """A folder to make `target` in, on the same disk, gone afterwards. Raises LedgerError where there is such a file."""
    if os.path.lexists(target):
        raise LedgerError(f"{target} exists already: give a path that does not, nothing is ever written over")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise write_error(target, error, "nothing was begun") from error
    try:
        yield Path(folder)
    except OSError as error:
        raise write_error(target, error, "the ledger that it is made from is untouched") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy_journal(journal: Path, copy: Path) -> None:
    """The journal with its head. One that a writer truncates meanwhile, for what it moved before, is copied again."""
    while journal.exists() or Head.path(journal).exists():
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(Head.path(journal), Head.path(copy))
        before = Head.read(journal).moved
        copy.unlink(missing_ok=True)
        try:
            with (
                contextlib.closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as source,
                contextlib.closing(sqlite3.connect(copy)) as target,
            ):
                source.backup(target)
        except sqlite3.Error as error:
            if not journal.exists():  # all of it has moved
                break
            if is_damage(error):
                raise LedgerDamaged(
                    f"{journal} is damaged ({error}): no copy was made; `coordeval recover` saves what is whole"
                ) from error
            raise write_error(copy, error, "the ledger and its journal are untouched") from error
        if Head.read(journal).moved == before:
            return
    for file in (copy, Head.path(copy)):
        file.unlink(missing_ok=True)


def _durable(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
