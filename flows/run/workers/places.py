"""Where shards are kept: a folder, or a place in an object store that fsspec knows. A file is there whole or not at all."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from coordeval.market_data.errors import CoordevalError


class PlaceError(CoordevalError):
    """Shards cannot be written to or read from where they belong."""


class ShardError(PlaceError):
    """A shard that is not whole, or of another format or study."""


class Place(Protocol):
    """Files by name below one root; names use "/". Each call may block and may be made from any thread."""

    url: str

    def write(self, name: str, content: bytes) -> None: ...
    def read(self, name: str) -> bytes | None:
        """None where there is none."""
        ...

    def names(self, prefix: str) -> list[str]:
        """Every file whose name begins with it, sorted."""
        ...

    def delete(self, names: list[str]) -> None: ...


def place(url: str) -> Place:
    """The place that a path or URL names. Raises PlaceError where nothing here knows its protocol."""
    if "://" not in url:
        return _Folder(Path(url).absolute())
    if url.startswith("file://"):
        return _Folder(Path(url.removeprefix("file://")))
    return _Store(url)


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root = root
        self.url = str(root)

    def write(self, name: str, content: bytes) -> None:
        target = self._root / name
        partial = target.with_name(f".{target.name}.{os.getpid()}.{time.monotonic_ns()}.partial")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(partial, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        except OSError as error:
            with suppress(OSError):
                partial.unlink()
            raise PlaceError(
                f"{target}: cannot be written ({error.strerror}); free space or mend permissions there"
            ) from error

    def read(self, name: str) -> bytes | None:
        try:
            return (self._root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise PlaceError(f"{self._root / name}: cannot be read ({error.strerror})") from error

    def names(self, prefix: str) -> list[str]:
        start = self._root / prefix
        folder = start if start.is_dir() else start.parent
        found = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
        return sorted(name for path in found if (name := path.relative_to(self._root).as_posix()).startswith(prefix))

    def delete(self, names: list[str]) -> None:
        for name in names:
            with suppress(FileNotFoundError):
                os.unlink(f"{self._root}/{name}")
        own = {self._root / name.rpartition("/")[0] for name in names}
        above = {folder for one in own for folder in (one, *one.parents) if folder.is_relative_to(self._root)}
        for folder in sorted(above, key=lambda folder: len(folder.parts), reverse=True):
            with suppress(OSError):
                folder.rmdir()  # only where it is empty


class _Absent(PlaceError):
    """There is nothing of that name."""


class _Store:
    """An object store: putting an object is whole or not at all already."""

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url.rstrip("/")
        try:
            self._fs, self._root = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise PlaceError(f"shards {url!r}: {error}") from error

    def write(self, name: str, content: bytes) -> None:
        self._try("written", lambda: self._fs.pipe_file(f"{self._root}/{name}", content))

    def read(self, name: str) -> bytes | None:
        try:
            content: bytes = self._try("read", lambda: self._fs.cat_file(f"{self._root}/{name}"))
        except _Absent:
            return None
        return content

    def names(self, prefix: str) -> list[str]:
        folder = f"{self._root}/{prefix}".rpartition("/")[0]
        try:
            found: list[str] = self._try("listed", lambda: self._fs.find(folder))
        except _Absent:
            return []
        below = (path[len(self._root) + 1 :] for path in found)
        return sorted(name for name in below if name.startswith(prefix))

    def delete(self, names: list[str]) -> None:
        if names:
            self._try("deleted", lambda: self._fs.rm([f"{self._root}/{name}" for name in names]))

    def _try(self, done: str, act: Any) -> Any:
        try:
            return act()
        except FileNotFoundError as error:
            raise _Absent(f"{self.url}: cannot be {done} (there is no such place or file); mend the address") from error
        except Exception as error:  # each kind of store has errors of its own
            said = f"{type(error).__name__}: {error}"
            raise PlaceError(f"{self.url}: cannot be {done} ({said:.300}); mend address, access or network") from error
