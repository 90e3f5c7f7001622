"""Where venues come from: an entry-point group for all of them, the built-in ones too, or a Python file of the user's own.

An installed package offers a venue in the group `coordeval.venues`. One that cannot be loaded is quarantined: it is listed
with the reason, and asking for it says why. A file is loaded when it is named, so its fault is an error at once.
"""

import hashlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from market_data.errors import CoordevalError, choose

GROUP = "coordeval.venues"
_WORDS = ("checked_against", "needs")
_METHODS = ("at", "pages", "restored", "prices")


@dataclass(frozen=True, slots=True)
class Sources:
    """The venues that can be asked, and those that could not be loaded, with the reason."""

    classes: Mapping[str, Any]
    quarantined: Mapping[str, str] = field(default_factory=dict)

    def of(self, name: str) -> Any:
        """The class of a venue. Raises CoordevalError naming what exists, or why it could not be loaded."""
        if name in self.quarantined:
            raise CoordevalError(f"source {name!r} could not be loaded: {self.quarantined[name]}")
        if name not in self.classes:
            broken = "".join(f"; could not be loaded: {n} ({why})" for n, why in self.quarantined.items())
            raise CoordevalError(choose("source", name, list(self.classes)) + broken)
        return self.classes[name]


def load() -> Sources:
    """Everything that is installed."""
    classes: dict[str, Any] = {}
    quarantined: dict[str, str] = {}
    offers: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        offers.setdefault(point.name, []).append(point)
    for name, points in sorted(offers.items()):
        if len(points) > 1:
            offered = " and ".join(sorted(point.value for point in points))
            quarantined[name] = f"{len(points)} packages offer it: {offered}; uninstall all but one"
            continue
        try:
            cls = points[0].load()
            check(cls, name)
        except (Exception, SystemExit) as error:
            quarantined[name] = f"{points[0].value}: {type(error).__name__}: {error}"
        else:
            classes[name] = cls
    return Sources(classes, quarantined)


def from_file(path: Path) -> Any:
    """The one venue that a Python file defines. Raises CoordevalError."""
    if not path.is_file() or path.suffix != ".py":
        raise CoordevalError(f"source {str(path)!r}: there is no such Python file")
    module_name = f"coordeval_source_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[module_name]
        raise CoordevalError(f"source {str(path)!r} cannot be loaded: {type(error).__name__}: {error}") from error
    own = [value for value in vars(module).values() if inspect.isclass(value) and value.__module__ == module_name]
    found = [cls for cls in own if hasattr(cls, "pages")]
    if len(found) != 1:
        raise CoordevalError(f"source {str(path)!r} defines {len(found)} classes with `pages`; a venue is one such class")
    try:
        check(found[0], getattr(found[0], "name", ""))
    except CoordevalError as error:
        raise CoordevalError(f"source {str(path)!r}: {error}") from error
    return found[0]


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
