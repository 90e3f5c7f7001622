"""Floor 5: what the forecasts are worth. Frames in, typed results out; nothing here asks a model or reads a database.

Each room lists its own names, and all of them can be had from here. A room is imported when one of its names is first used:
the report brings the figures with it, which take a second to load.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coordeval.analysis import (
        arms,
        base,
        cost,
        differences,
        leaks,
        linked,
        made_up,
        plan,
        quality,
        report,
        study,
        talk,
        tools,
        words,
    )
    from coordeval.analysis.arms import *
    from coordeval.analysis.base import *
    from coordeval.analysis.cost import *
    from coordeval.analysis.differences import *
    from coordeval.analysis.leaks import *
    from coordeval.analysis.linked import *
    from coordeval.analysis.made_up import *
    from coordeval.analysis.plan import *
    from coordeval.analysis.quality import *
    from coordeval.analysis.report import *
    from coordeval.analysis.study import *
    from coordeval.analysis.talk import *
    from coordeval.analysis.tools import *
    from coordeval.analysis.words import *

    __all__: list[str] = []
    __all__ += arms.__all__
    __all__ += base.__all__
    __all__ += cost.__all__
    __all__ += differences.__all__
    __all__ += leaks.__all__
    __all__ += linked.__all__
    __all__ += made_up.__all__
    __all__ += plan.__all__
    __all__ += quality.__all__
    __all__ += report.__all__
    __all__ += study.__all__
    __all__ += talk.__all__
    __all__ += tools.__all__
    __all__ += words.__all__

ROOMS = (
    "base",
    "made_up",
    "quality",
    "differences",
    "talk",
    "cost",
    "plan",
    "linked",
    "leaks",
    "arms",
    "tools",
    "study",
    "words",
    "report",
)
"""From the lowest to the highest that has names of its own to give; `figures`, `monitor` and `selftest` are asked for by
their path."""


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return sorted(name for room in ROOMS for name in _room(room).__all__)
    if not name.startswith("_"):
        for room in ROOMS:
            if name in _room(room).__all__:
                return getattr(_room(room), name)
    raise AttributeError(f"module 'coordeval.analysis' has no attribute {name!r}")


def _room(name: str) -> Any:
    return import_module(f"coordeval.analysis.{name}")


if __name__ == "analysis":  # from a checkout, by its folder's name: the same modules, not copies
    from coordeval.folders import same

    same(__name__)
