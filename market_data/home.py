"""Folders of this user's own, for those who have one: a service, a container or a borrowed account may have no home."""

import os
from pathlib import Path


def own_folder(variable: str, below: str) -> Path | None:
    """The folder that the environment variable names, else `below` the home; None where no home can be used."""
    if named := os.environ.get(variable):
        return Path(named)
    try:
        home = Path.home()
        there = home.exists()
    except (OSError, RuntimeError):  # nobody knows this user, or the way to it is closed
        return None
    return None if there and not (home.is_dir() and os.access(home, os.X_OK)) else home / below
