"""The parts of SciPy that are used, each imported when the first of its functions is called.

They take as long to import as everything else of a command that prints what was computed before.
"""

from importlib import import_module
from typing import Any


class _Part:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, function: str) -> Any:
        found = getattr(import_module(self._name), function)
        setattr(self, function, found)  # the next call finds it here
        return found


fft: Any = _Part("scipy.fft")
optimize: Any = _Part("scipy.optimize")
special: Any = _Part("scipy.special")
