"""What users plug in: classes from an entry-point group, the built-in ones too, or from a Python file of their own.

Every class is checked at the door. An installed one that cannot be loaded is quarantined: it is listed with the reason, and
asking for it says why. A file is loaded when it is named, so its fault is an error at once.
"""

import hashlib
import importlib.util
import inspect
import linecache
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

from coordeval.market_data.errors import CoordevalError, choose

T = TypeVar("T")


class PluginError(CoordevalError, ValueError):
    """A plugin that does not exist, cannot be loaded, breaks its contract, or is given what it does not take."""


@dataclass(frozen=True, slots=True)
class Plugins(Generic[T]):
    """The plugins of a kind that can be used, and those that could not be loaded, with the reason."""

    kind: str
    """What one is called, such as "source"."""
    classes: Mapping[str, T]
    quarantined: Mapping[str, str] = field(default_factory=dict)
    tracebacks: Mapping[str, str] = field(default_factory=dict)
    """Of those that raised while they were loaded: where, as Python tells it."""

    def of(self, name: str) -> T:
        """The class of that name. Raises PluginError naming what exists, or why it could not be loaded."""
        if name in self.quarantined:
            raise PluginError(f"{self.kind} {name!r} could not be loaded: {self.quarantined[name]}")
        if name not in self.classes:
            broken = "".join(f"; could not be loaded: {n} ({why})" for n, why in self.quarantined.items())
            raise PluginError(choose(self.kind, name, list(self.classes)) + broken)
        return self.classes[name]


def offered(group: str) -> EntryPoints:
    """The entry points of a group in everything that is installed, read again where a folder of packages has changed.

    A study asks for several groups, and each of them is in the files of every installed package.
    """
    return _points(group, tuple((folder, _changed(folder)) for folder in sys.path))


@lru_cache(maxsize=32)
def _points(group: str, _folders: tuple[tuple[str, int], ...]) -> EntryPoints:
    return entry_points(group=group)


def _changed(folder: str) -> int:
    try:
        return os.stat(folder or ".").st_mtime_ns
    except OSError:
        return 0


def installed(group: str, check: Callable[[Any, str], None]) -> tuple[dict[str, Any], dict[str, str], dict[str, str]]:
    """The classes of an entry-point group by name, name -> why one is not there, name -> the traceback of what it raised.

    `check` raises what is wrong.
    """
    classes: dict[str, Any] = {}
    quarantined: dict[str, str] = {}
    tracebacks: dict[str, str] = {}
    offers: dict[str, list[EntryPoint]] = {}
    for point in offered(group):
        offers.setdefault(point.name, []).append(point)
    for name, points in sorted(offers.items()):
        if len(points) > 1:
            values = " and ".join(sorted(point.value for point in points))
            quarantined[name] = f"{len(points)} packages offer it: {values}; uninstall all but one"
            continue
        try:
            cls = points[0].load()
            check(cls, name)
        except BaseException as error:  # foreign code may raise anything; a real Ctrl-C is not its to raise
            if isinstance(error, KeyboardInterrupt) and not _raised_by_itself(error):
                raise
            quarantined[name] = f"{points[0].value}: {_said(error)}"
            tracebacks[name] = _told(error)
        else:
            classes[name] = cls
    return classes, quarantined, tracebacks


def from_file(path: Path, *, wanted: Callable[[Any], bool], what: str, check: Callable[[Any, str], None]) -> list[Any]:
    """The classes that a Python file defines itself and that are `wanted`, one or more; `what` says which those are.

    Raises:
        PluginError: there is no such file, it cannot be run, it defines none, or `check` finds one wrong.
    """
    if not path.is_file():
        raise PluginError(f"plugin file {path} does not exist")
    module_name = f"coordeval_plugin_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"plugin file {path} is not a Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[module_name]
        if isinstance(error, KeyboardInterrupt) and not _raised_by_itself(error):
            raise
        raise PluginError(f"plugin file {path} cannot be loaded: {_said(error)}") from error
    own = [value for value in vars(module).values() if inspect.isclass(value) and value.__module__ == module_name]
    found = [cls for cls in own if wanted(cls)]
    if not found:
        raise PluginError(f"plugin file {path} defines no {what}")
    for cls in found:
        try:
            check(cls, getattr(cls, "name", cls.__name__))
        except CoordevalError as error:
            raise PluginError(f"plugin file {path}: {error}") from error
        except Exception as error:
            raise PluginError(f"plugin file {path}: {cls.__name__} cannot be read: {_said(error)}") from error
    return found


def _said(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return f"{type(error).__name__} (its text cannot be had)"


def _told(error: BaseException) -> str:
    """Its traceback from the first line that is not ours on: how a plugin came to be loaded tells its author nothing."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None and last.tb_frame.f_code.co_filename == __file__:
        last = last.tb_next
    try:
        return "".join(traceback.format_exception(type(error), error, last))
    except Exception:  # its own attributes may raise as well
        return "".join(traceback.format_tb(last)) + _said(error)


def _raised_by_itself(error: BaseException) -> bool:
    """Whether a `raise` in its source raised it: a signal raises between two lines of whatever runs."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None:
        return False
    return linecache.getline(last.tb_frame.f_code.co_filename, last.tb_lineno).strip().startswith("raise")
