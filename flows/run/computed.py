"""What was computed from the same rows by the same code is not computed again: kept in a folder beside the ledger.

The key is a hash of everything that the computation is given, of the code that computes and of the libraries below it, so
there is nothing to invalidate. What is kept is sealed with a key of the user's own: what somebody else put there is not
believed, and what is damaged is computed anew. Nothing here ever fails a report.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

from coordeval.analysis.report import stored
from coordeval.market_data.home import own_folder

T = TypeVar("T")

FOLDER = ".computed"
AT_MOST = 500_000_000
"""Bytes kept beside one ledger; what was used longest ago goes first."""
_LIBRARIES = ("coordeval", "numpy", "scipy", "polars", "plotly")
_SEAL = 32


def kept(ledger: Path, given: Any, compute: Callable[[], T]) -> T:
    """`compute()`, or what it returned for the same `given`, which must be all that it depends on beside the code."""
    try:
        own = _own_key()
        path = ledger.resolve().parent / FOLDER / f"{_key(given)}.zip"
    except Exception:  # such as a value that cannot be stored, or no place for a key: then nothing is kept
        return compute()
    with contextlib.suppress(Exception):
        sealed = path.read_bytes()
        if hmac.compare_digest(sealed[:_SEAL], _seal(own, path.name, sealed[_SEAL:])):
            found: T = stored.loads(sealed[_SEAL:])
            with contextlib.suppress(OSError):
                os.utime(path)
            return found
    made = compute()
    with contextlib.suppress(Exception):
        content = stored.dumps(made)
        _write(path, _seal(own, path.name, content) + content)
    return made


def _key(given: Any) -> str:
    return hashlib.sha256(_code() + stored.fingerprint(given)).hexdigest()


@cache
def _code() -> bytes:
    """A hash of every file of `analysis` and of what it imports, templates and tables among them, and of the libraries."""
    digest = hashlib.sha256(repr([(name, version(name)) for name in _LIBRARIES]).encode())

    def add(folder: Traversable, path: str) -> None:
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if entry.is_dir():
                if entry.name != "__pycache__":
                    add(entry, f"{path}/{entry.name}")
            else:
                digest.update(f"{path}/{entry.name}\0".encode() + hashlib.sha256(entry.read_bytes()).digest())

    for floor in ("market_data", "agents", "analysis"):
        add(files(f"coordeval.{floor}"), floor)
    return digest.digest()


def _seal(own: bytes, name: str, content: bytes) -> bytes:
    return hmac.digest(own, name.encode() + hashlib.sha256(content).digest(), "sha256")


@cache
def _own_key() -> bytes:
    """32 bytes that only this user has, made when they are first needed. Raises OSError where there is no place for them."""
    state = own_folder("XDG_STATE_HOME", ".local/state")
    if state is None:
        raise OSError("this user has no home that can be used")
    path = state / "coordeval" / "computed.key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{secrets.token_hex(8)}")
        scratch.touch(mode=0o600)
        scratch.write_bytes(secrets.token_bytes(32))
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(scratch)  # whoever is first
        scratch.unlink()
    own = path.read_bytes()
    if len(own) != 32:
        raise OSError(f"{path} is no key: delete it, and another is made")
    return own


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    (path.parent / ".gitignore").write_text("*\n", encoding="utf-8")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    there = sorted((file.stat().st_mtime, file.stat().st_size, file) for file in path.parent.glob("*.zip"))
    size = sum(size for _, size, _ in there)
    for _, own, file in there[:-1]:
        if size <= AT_MOST:
            break
        file.unlink(missing_ok=True)
        size -= own
