"""Templates are compiled once. It takes longer than filling them in."""

import os
from contextlib import suppress

from jinja2 import FileSystemBytecodeCache
from jinja2.bccache import Bucket

from coordeval.market_data.home import own_folder


class _Kept(FileSystemBytecodeCache):
    def load_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError, EOFError, ValueError, TypeError):  # damaged: compiled anew
            super().load_bytecode(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError):  # no space, say: nothing is lost but time
            super().dump_bytecode(bucket)


def compiled_templates() -> FileSystemBytecodeCache | None:
    """In the user's own cache folder, never beside a ledger: bytecode is code, and a ledger may come from somebody else."""
    cache = own_folder("XDG_CACHE_HOME", ".cache")
    if cache is None:
        return None
    try:
        folder = cache / "coordeval" / "templates"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = folder.stat()
    except OSError:
        return None
    if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & 0o022):
        return None
    return _Kept(str(folder))
