"""The one error family of the project: the command line prints these without a traceback."""

from typing import Any


class CoordevalError(Exception):
    """A problem that the user can mend. The message names the item, the value, the rule and the fix.

    Every one can be copied and sent to another process, whatever its constructor wants: it is made from what it holds.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (type(self), self.args), self.__dict__


def _made_again(kind: type[CoordevalError], args: tuple[Any, ...]) -> CoordevalError:
    return kind.__new__(kind, *args)


class DataError(CoordevalError, ValueError):
    """Market, price, evidence or outcome data that break a rule."""


def choose(kind: str, asked: str, available: "dict[str, object] | list[str] | tuple[str, ...]") -> str:
    """The message for a name that does not exist: what was asked and everything that exists."""
    return f"unknown {kind} {asked!r}: it must be one of {', '.join(sorted(available)) or '(none is registered)'}"
