"""One writer at a time: an operating-system lock that dies with its holder, and a note that says who holds it."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from filelock import FileLock, Timeout

from coordeval.ledger.errors import LedgerLocked, write_error


class WriterLock:
    """Held from `acquire` to `release`, at most by one process on the machine.

    The lock is the kernel's, so a killed process leaves none behind; the note beside it only tells others who it is.
    Both stand beside the file's one name: `ledger` is a path of `place.true_path`.
    """

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._note = ledger.with_name(f"{ledger.name}.writer.json")
        self._lock = FileLock(f"{ledger}.lock", thread_local=False)

    def acquire(self, purpose: str) -> None:
        """Takes the lock or raises LedgerLocked at once, naming the holder's pid, its purpose and since when it runs."""
        try:
            # A folder that takes no file is no other process: the lock's library reads every refusal as one.
            os.close(os.open(self._lock.lock_file, os.O_RDWR | os.O_CREAT, 0o644))
            self._lock.acquire(blocking=False)
        except Timeout:
            raise LedgerLocked(self._describe_holder()) from None
        except OSError as error:
            raise write_error(self._ledger, error, "nothing was begun") from error
        note = {"pid": os.getpid(), "purpose": purpose, "since": datetime.now(UTC).isoformat(timespec="seconds")}
        scratch = self._note.with_suffix(".tmp")
        try:
            scratch.write_bytes(orjson.dumps(note))
            scratch.replace(self._note)
        except OSError as error:
            scratch.unlink(missing_ok=True)
            self._lock.release()
            raise write_error(self._ledger, error, "nothing was begun") from error

    def release(self, *, gone: bool = False) -> None:
        """Gives it up. `gone`: there is no ledger, so its lock goes too; who waits for it sees that the file has no name."""
        self._note.unlink(missing_ok=True)
        if gone:
            Path(self._lock.lock_file).unlink(missing_ok=True)
        self._lock.release()

    def _describe_holder(self) -> str:
        try:
            holder: dict[str, Any] = orjson.loads(self._note.read_bytes())
            who = f"process {holder['pid']} ({holder['purpose']}, since {holder['since']})"
        except (OSError, ValueError, KeyError):
            who = "another process, which has only just started"
        return (
            f"{self._ledger} is being written by {who}; a ledger has one writer at a time. "
            "Wait for it or stop it, or give another ledger file; reading works meanwhile"
        )
