"""Where venues come from: the entry-point group `coordeval.venues`, or a Python file of the user's own."""

import inspect
import re
from pathlib import Path
from typing import Any

from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.plugins import PluginError, Plugins, installed
from coordeval.market_data.plugins import from_file as classes_of

GROUP = "coordeval.venues"
_WORDS = ("checked_against", "needs")
_METHODS = ("at", "pages", "restored", "prices")


def load() -> Plugins[Any]:
    """Everything that is installed."""
    return Plugins("source", *installed(GROUP, check))


def from_file(path: Path) -> Any:
    """The one venue that a Python file defines. Raises PluginError."""
    found = classes_of(
        path, wanted=lambda cls: hasattr(cls, "pages"), what="class with `pages`: a venue is one", check=check
    )
    if len(found) > 1:
        raise PluginError(f"plugin file {path} defines {len(found)} classes with `pages`; a venue is one such class")
    return found[0]


def _is_one(cls: type) -> bool:
    """Not a base that venues share."""
    return hasattr(cls, "pages") and not cls.__name__.startswith("_")


def check(cls: Any, name: str) -> None:
    """The contract of `base.Venue`, at the door. Raises CoordevalError with everything that is wrong."""
    declared = getattr(cls, "name", None)
    problems = []
    if not isinstance(declared, str) or not re.fullmatch(r"[a-z][a-z0-9_-]*", declared):
        problems.append(f'name is {declared!r}; declare name = "lower_case_words"')
    elif declared != name:
        problems.append(f"name is {declared!r}, but it is registered as {name!r}; they must be equal")
    for word in _WORDS:
        if not (isinstance(said := getattr(cls, word, None), str) and said.strip()):
            problems.append(f"{word} is missing; say it in a few words")
    problems += [f"{method} is missing" for method in _METHODS if not callable(getattr(cls, method, None))]
    if not problems and inspect.iscoroutinefunction(cls.pages):
        problems.append("pages yields nothing; it must be an asynchronous generator")
    if not problems and not inspect.iscoroutinefunction(cls.prices):
        problems.append("prices is no coroutine; write `async def prices(…)`")
    if problems:
        raise CoordevalError(f"{getattr(cls, '__name__', cls)!s}: {'; '.join(problems)}; see docs/sources.md")
