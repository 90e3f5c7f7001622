"""The plugin registry: every configuration, built-in or not, comes through the same entry-point group.

An installed package offers one by the entry point group `coordeval.configurations`; a study file may also name a Python
file. A plugin that cannot be loaded is quarantined: its name is listed with the reason, and asking for it says why.
"""

import inspect
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from coordeval.configurations.base import Configuration
from coordeval.configurations.elements import Elements
from coordeval.configurations.isolation.outside import Isolated, isolated
from coordeval.market_data.plugins import PluginError, Plugins, from_file, installed

GROUP = "coordeval.configurations"


class Registry(Plugins[type[Configuration]]):
    """The configurations that can be used, and those that could not be loaded, with the reason."""

    def create(self, name: str, parameters: Mapping[str, Any]) -> Configuration:
        """The configuration with its parameters. Raises PluginError naming what exists, or the bad parameter."""
        cls = self.of(name)
        if issubclass(cls, Isolated):
            return cls.made(parameters)
        try:
            return cls(**parameters)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(str(part) for part in e['loc'])} = {e['input']!r}: {e['msg']}" for e in error.errors()
            )
            takes = ", ".join(f"{key} ({_default(f)})" for key, f in cls.model_fields.items()) or "no parameter"
            raise PluginError(f"configuration {name!r}: {problems}; it takes {takes}") from error


def load(files: tuple[Path, ...] = (), isolate: Collection[Path] = ()) -> Registry:
    """Everything installed, and the configurations found in `files`; those also in `isolate` are never loaded here.

    They run in worker processes, and stand-ins take their place (see `configurations.isolation`).
    """
    classes, quarantined, tracebacks = installed(GROUP, _check)
    for file in files:
        for cls in isolated(file) if file in isolate else classes_in(file):
            _check(cls, cls.name)
            if cls.name in classes and not _from(classes[cls.name], file):
                raise PluginError(
                    f"{file}: configuration {cls.name!r} exists already; give yours another name, or uninstall the other"
                )
            classes[cls.name] = cls
    return Registry("configuration", classes, quarantined, tracebacks)


def classes_in(file: Path) -> list[type[Configuration]]:
    """The configurations that a Python file defines, which is run for that. Raises PluginError saying what is wrong."""
    return from_file(file, wanted=_is_one, what="subclass of configurations.Configuration", check=_check)


def _from(cls: type, file: Path) -> bool:
    """Whether an installed class is that of this very file, or of a copy of it, as where a package's author tries it."""
    try:
        own = Path(inspect.getfile(cls))
        return own.samefile(file) or own.read_bytes() == file.read_bytes()
    except (OSError, TypeError):  # it has no file
        return False


def _default(field: FieldInfo) -> str:
    return "required" if field.is_required() else f"default {field.get_default(call_default_factory=True)!r}"


def _is_one(cls: type) -> bool:
    """Not a base that the file's own configurations share."""
    return issubclass(cls, Configuration) and not cls.__name__.startswith("_")


def _check(cls: object, name: str) -> None:
    """The contract, at the door. Raises PluginError with everything that is wrong."""
    if not (inspect.isclass(cls) and issubclass(cls, Configuration)):
        raise PluginError(f"{cls!r} is not a subclass of configurations.Configuration")
    problems = []
    declared = getattr(cls, "name", None)
    if not isinstance(declared, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", declared):
        problems.append(f'name is {declared!r}; declare name: ClassVar[str] = "lower_case_words"')
    elif declared != name:
        problems.append(f"name is {declared!r}, but it is registered as {name!r}; they must be equal")
    if not isinstance(getattr(cls, "elements", None), Elements):
        problems.append("elements is missing; declare elements: ClassVar[Elements] = Elements(...)")
    elif cls.forecast is Configuration.forecast or not inspect.iscoroutinefunction(cls.forecast):
        problems.append("forecast is missing; write `async def forecast(self, panel)`")
    else:
        cls.roles()
    if problems:
        raise PluginError(f"{cls.__name__}: " + "; ".join(problems))
