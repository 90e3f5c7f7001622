"""What every public function asks of its arguments, read off its signature: the right kind, or an error that says which."""

import types
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import cache, wraps
from inspect import Parameter, signature
from math import isnan
from typing import Any, Final, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import polars as pl

from coordeval.analysis.base.checks import AnalysisError, at_least, chosen

P = ParamSpec("P")
R = TypeVar("R")
_LEAST: Final = {"seed": 0}
_MADE_BY: Final = {"Scored": "scored(frame)", "Comparisons": "comparisons(scored)", "Leaderboard": "leaderboard(frame)"}


def asked(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, whose arguments are checked and made what their annotations say before it is called.

    A table may be of polars, also a lazy one, or anything with the Arrow interface, such as pandas and pyarrow have; a whole
    number may be NumPy's. Raises AnalysisError for an argument of another kind, an unknown option, a
    number that is NaN, and a negative seed. What the values mean is for the function to check.
    """

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        rules, names = _rules(function)
        given: dict[str, Any] = {**dict(zip(names, args, strict=False)), **kwargs}
        made = {name: rules[name](name, value) if name in rules else value for name, value in given.items()}
        places = min(len(names), len(args))
        return function(*[made[name] for name in names[:places]], *args[places:], **{k: made[k] for k in kwargs})  # type: ignore[arg-type]

    return checked


def as_table(name: str, value: Any) -> pl.DataFrame:
    """`value` as a polars frame.

    >>> import polars as pl
    >>> from coordeval.analysis.base.arguments import as_table
    >>> as_table("frame", pl.LazyFrame({"a": [1]})).shape, as_table("frame", pl.DataFrame({"a": [1]}).to_arrow()).shape
    ((1, 1), (1, 1))
    """
    if isinstance(value, pl.DataFrame):
        return value
    if isinstance(value, pl.LazyFrame):
        return value.collect()
    if hasattr(value, "__arrow_c_stream__") and not isinstance(value, pl.Series):
        return pl.DataFrame(value)
    fix = ", not what scored gives" if type(value).__name__ == "Scored" else ""
    raise AnalysisError(f"{name} is {_said(value)}: it must be a table{fix}: polars, also lazy, pandas or Arrow")


@cache
def _rules(function: Callable[..., Any]) -> tuple[dict[str, Callable[[str, Any], Any]], list[str]]:
    """Argument -> what is made of it; and the names of those that may be given by place."""
    hints = get_type_hints(function)
    parameters = signature(function).parameters.values()
    places = [p.name for p in parameters if p.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)]
    named = (p for p in parameters if p.kind is not Parameter.VAR_POSITIONAL and p.name in hints)
    return {p.name: rule for p in named if (rule := _rule(hints[p.name]))}, places


def _rule(hint: Any) -> Callable[[str, Any], Any] | None:
    """What an annotation asks for; None where it says too little."""
    if get_origin(hint) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        inner = _rule(kinds[0]) if len(kinds) == 1 and len(kinds) < len(get_args(hint)) else None
        return inner and (lambda name, value: None if value is None else inner(name, value))
    if get_origin(hint) is Literal:
        return lambda name, value: _option(name, value, get_args(hint))
    if isinstance(hint, type) and is_dataclass(hint):
        return lambda name, value: _instance(name, value, hint)
    return {pl.DataFrame: as_table, int: _whole, float: _number}.get(hint)


def _option(name: str, value: Any, allowed: tuple[str, ...]) -> Any:
    chosen(name, value, allowed)
    return value


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise AnalysisError(f"{name} is {_said(value)}: it must be a whole number")
    if name in _LEAST:
        at_least(name, int(value), _LEAST[name])
    return int(value)


def _number(name: str, value: Any) -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)) or isnan(value):
        raise AnalysisError(f"{name} is {_said(value)}: it must be a number")
    return float(value)


def _instance(name: str, value: Any, kind: type) -> Any:
    if isinstance(value, kind):
        return value
    how = _MADE_BY.get(kind.__name__)
    raise AnalysisError(
        f"{name} is {_said(value)}: it must be a {kind.__name__}{f', which analysis.{how} gives' if how else ''}"
    )


def _said(value: Any) -> str:
    """A value that is short, or its kind."""
    text = repr(value)
    return (
        text if len(text) <= 40 and "\n" not in text else f"a {type(value).__module__.split('.')[0]} {type(value).__name__}"
    )
