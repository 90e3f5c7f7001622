"""Where model providers come from: the entry-point group `coordeval.models`, or a Python file of the user's own."""

import inspect
import re
from functools import cache
from pathlib import Path
from typing import Any, get_args

from coordeval.agents.providers.base import ModelSettings, Money, Provider
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.plugins import PluginError, Plugins, installed
from coordeval.market_data.plugins import from_file as classes_of

GROUP = "coordeval.models"


@cache
def load() -> Plugins[type[Provider]]:
    """Everything that is installed; what cannot be loaded is listed with the reason."""
    return Plugins("model provider", *installed(GROUP, check))


def from_file(path: Path) -> type[Provider]:
    """The one provider that a Python file defines, which is run for that. Raises PluginError."""
    found = classes_of(path, wanted=_is_one, what="class with `model` and `settings`: a provider is one", check=check)
    if len(found) > 1:
        raise PluginError(f"plugin file {path} defines {len(found)} providers; leave one")
    provider: type[Provider] = found[0]
    return provider


def _is_one(cls: Any) -> bool:
    return hasattr(cls, "settings") and hasattr(cls, "money") and not cls.__name__.startswith("_")


def check(cls: Any, name: str) -> None:
    """The contract of `base.Provider`, at the door. Raises CoordevalError with everything that is wrong."""
    problems = []
    declared = getattr(cls, "name", None)
    if not isinstance(declared, str) or not re.fullmatch(r"[a-z][a-z0-9_-]*", declared):
        problems.append(f'name is {declared!r}; declare name = "lower_case_words"')
    elif declared != name:
        problems.append(f"name is {declared!r}, but it is registered as {name!r}; they must be equal")
    for word in ("about", "needs"):
        if not (isinstance(said := getattr(cls, word, None), str) and said.strip()):
            problems.append(f"{word} is missing; say it in a few words")
    if getattr(cls, "money", None) not in get_args(Money):
        problems.append(f"money is {getattr(cls, 'money', None)!r}; it must be one of {', '.join(get_args(Money))}")
    settings = getattr(cls, "settings", None)
    if not (inspect.isclass(settings) and issubclass(settings, ModelSettings)):
        problems.append(f"settings is {settings!r}; it must be a subclass of ModelSettings")
    made = getattr(cls, "model", None)
    if not callable(made) or inspect.iscoroutinefunction(made):
        problems.append("model is missing; write `@staticmethod def model(settings, around)`")
    if problems:
        raise CoordevalError(f"{getattr(cls, '__name__', cls)!s}: {'; '.join(problems)}; see docs/models.md")
