"""Where a ledger truly is. Its lock, its journal and DuckDB's log stand beside the file, so they go by one name only.

A symlink and a relative path lead to the one name. Other second names (a hard link, a file mounted by itself, a renamed file
whose journal kept the old name) cannot be led back: two writers would each find no lock and no journal, and both would pay.
"""

import contextlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from coordeval.ledger.errors import LedgerError, NotALedger
from coordeval.ledger.journal_head import Head

MOUNTS = Path("/proc/self/mountinfo")
"""The kernel's list of mounts; there is none outside Linux."""


def true_path(path: str | Path) -> Path:
    """The ledger's one name, whichever way it was given. Raises LedgerError for links that lead in a circle."""
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # ValueError: a null character
        raise LedgerError(f"{path}: cannot be followed to a file ({error}); give the file itself") from error


def made(folder: Path) -> list[Path]:
    """Makes the folder; returns those that were not there, the outermost first."""
    new = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return new[::-1]


def unmade(folders: Sequence[Path]) -> None:
    """Takes away again what `made` has returned, but for what holds something by now."""
    with contextlib.suppress(OSError):
        for folder in reversed(folders):
            folder.rmdir()


def check_file(path: Path) -> os.stat_result | None:
    """What the system says of the file, None where there is none yet. Raises LedgerError for what can be no file at all."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror}; give another path, or mend what is in the way") from error
    if stat.S_ISDIR(found.st_mode):
        raise NotALedger(f"{path} is a folder: give the path of a file in it, such as {path / 'coordeval.duckdb'}")
    if not stat.S_ISREG(found.st_mode):
        raise NotALedger(f"{path} is a device or a pipe, not a file: give the path of a ledger, or a new one")
    return found


def check_one_name(path: Path) -> None:
    """Raises LedgerError where the file at `path`, a true path, has a name elsewhere that a writer might be given."""
    found = check_file(path)
    if found is None:
        return
    if found.st_nlink > 1:
        raise LedgerError(
            f"{path} has {found.st_nlink} names (hard links), and a writer under another name would not see its "
            f"lock or its journal: delete the others (`find DIR -samefile {path}` lists them), or write to a copy"
        )
    if _mounted_alone(path):
        raise LedgerError(
            f"{path} is mounted as a single file, so its journal, in which paid replies wait, would not stand beside it "
            f"outside: mount the folder {path.parent} instead"
        )
    for journal in path.parent.glob("*.journal"):
        former = journal.with_suffix("")
        if former != path and not former.exists() and Head.read(journal).ledger == found.st_ino:
            raise LedgerError(
                f"{path} was {former.name} when it was written last, and {journal.name} still holds replies that were paid "
                f"for: name it `{path.name}.journal` (and its -wal and .head alike), or give the ledger its former name back"
            )


def _mounted_alone(path: Path) -> bool:
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    escaped = str(path).replace("\\", r"\134").replace(" ", r"\040").replace("\t", r"\011").replace("\n", r"\012")
    return any(line.split(" ")[4] == escaped for line in lines if line.count(" ") > 4)
