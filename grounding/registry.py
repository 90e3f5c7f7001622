"""The door for repairs: the project's own and yours come through the same entry-point group."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from coordeval.grounding.repairs import Repair
from coordeval.market_data.plugins import PluginError, Plugins, from_file, installed

GROUP = "coordeval.repairs"


class Repairs(Plugins[type[Repair]]):
    """The repairs that can be used, and those that could not be loaded, with the reason."""

    def create(self, name: str, parameters: Mapping[str, Any] | None = None) -> Repair:
        """The repair with its parameters. Raises PluginError naming what exists, or the bad parameter."""
        cls = self.of(name)
        try:
            return cls(**(parameters or {}))
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc']))} = {e['input']!r}: {e['msg']}" for e in error.errors())
            raise PluginError(
                f"repair {name!r}: {problems}; it takes {', '.join(cls.model_fields) or 'no parameter'}"
            ) from error


def load(files: tuple[Path, ...] = ()) -> Repairs:
    """Everything installed, and the repairs found in `files`."""
    classes, quarantined, tracebacks = installed(GROUP, _check)
    for file in files:
        for cls in from_file(file, wanted=_is_one, what="subclass of coordeval.grounding.Repair", check=_check):
            if cls.name in classes:
                raise PluginError(f"{file}: repair {cls.name!r} exists already; give yours another name")
            classes[cls.name] = cls
    return Repairs("repair", classes, quarantined, tracebacks)


def _is_one(cls: type) -> bool:
    return issubclass(cls, Repair) and cls is not Repair


def _check(cls: object, name: str) -> None:
    """The contract, at the door. Raises PluginError with what is wrong."""
    if not (inspect.isclass(cls) and issubclass(cls, Repair)):
        raise PluginError(f"{cls!r} is not a subclass of coordeval.grounding.Repair")
    if (declared := cls.__dict__.get("name")) != name:
        raise PluginError(f"{cls.__name__}: name is {declared!r}, but it is registered as {name!r}; they must be equal")
    if not isinstance(cls.__dict__.get("about"), str):
        raise PluginError(f'{cls.__name__}: about is missing; declare about: ClassVar[str] = "what it does, in a line"')
