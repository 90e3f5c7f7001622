"""Where the sockets of running studies are: a folder of this user's that nobody else can open."""

import os
import stat
import tempfile
from pathlib import Path

from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.home import own_folder

LONGEST = 100
"""Bytes of a socket's path: the kernel takes 107."""


class HelmError(CoordevalError):
    """A running study that cannot be reached, or does not do what it was told."""


def folder(*, make: bool = False) -> Path:
    """The folder: below XDG_RUNTIME_DIR, else the user's state; without one, or where its path is too long, below the
    temporary files.

    Raises HelmError where it is not this user's alone.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    state = Path(runtime) if runtime else own_folder("XDG_STATE_HOME", ".local/state")
    path = None if state is None else state / "coordeval" / "running"
    if path is None or len(os.fsencode(path)) > LONGEST - len("/123456789abc.sock"):
        path = Path(tempfile.gettempdir()) / f"coordeval-{os.getuid()}"
    if len(os.fsencode(path)) > LONGEST - len("/123456789abc.sock"):
        path = Path("/tmp") / f"coordeval-{os.getuid()}"
    if make:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    if path.exists() or path.is_symlink():
        _check(path)
    return path


def _check(path: Path) -> None:
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise HelmError(
            f"{path} must be a folder of yours that nobody else can open, for whoever opens it steers your runs: "
            "remove it, or `chmod 700` it"
        )
