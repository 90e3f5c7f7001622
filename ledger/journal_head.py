"""How much a journal holds, kept apart from it: SQLite drops whatever follows a damaged frame of its log, without a word.

A small file beside the journal, written after each group. It may lag behind after a power cut, and then finds less; it never
claims more than was stored.
"""

import os
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson

SIZE = 256
"""Bytes: within one sector of any disk, so a write is there whole or not at all."""


@dataclass(slots=True, kw_only=True)
class Head:
    """What a journal holds: the groups after `moved` as far as `last`, with `waiting` entries together."""

    last: int = 0
    moved: int = 0
    waiting: int = 0
    unsummed: int = 0
    """Groups as far as this one were stored by a version that wrote no checksums."""
    ledger: int | None = None
    """The ledger file's number in its file system, which a new name does not change; None: not known."""
    damaged: bool = field(default=False, compare=False)
    """True where the head itself could not be read: how much there was is not known."""

    @classmethod
    def path(cls, journal: Path) -> Path:
        return journal.with_name(f"{journal.name}.head")

    @classmethod
    def read(cls, journal: Path) -> "Head":
        """The head of `journal`; an empty one where there is none, a damaged one where it does not match its checksum."""
        try:
            text = cls.path(journal).read_bytes().rstrip(b" \n")
        except OSError:
            return cls()
        if not text:
            return cls()  # a power cut before its first write was on disk
        content, _, check = text.rpartition(b" ")
        try:
            if zlib.crc32(content) != int(check, 16):
                return cls(damaged=True)
            return cls(**orjson.loads(content))
        except (ValueError, TypeError):
            return cls(damaged=True)

    def encoded(self) -> bytes:
        content = orjson.dumps({key: value for key, value in asdict(self).items() if key != "damaged"})
        return (content + b" %08x" % zlib.crc32(content)).ljust(SIZE - 1) + b"\n"


class HeadFile:
    """The file open for writing, for as long as its journal is."""

    def __init__(self, journal: Path) -> None:
        self._file = os.open(Head.path(journal), os.O_RDWR | os.O_CREAT, 0o644)

    def write(self, head: Head, *, durable: bool = False) -> None:
        """`durable` also survives a power cut, and takes as long as a disk takes."""
        os.lseek(self._file, 0, os.SEEK_SET)
        os.write(self._file, head.encoded())
        if durable:
            os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)
