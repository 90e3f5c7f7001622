"""What every measure asks of its arrays, and the error that says which number breaks which rule."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coordeval.market_data.errors import CoordevalError, choose

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class AnalysisError(CoordevalError, ValueError):
    """Forecasts that cannot be measured as they stand, or an option that does not exist."""


def chosen(option: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raises AnalysisError unless `value` is one of `allowed`."""
    if value not in allowed:
        raise AnalysisError(choose(option, value, allowed))


def at_least(option: str, value: int, least: int) -> None:
    """Raises AnalysisError unless `value` is a whole number that is not less than `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise AnalysisError(f"{option} is {value!r}: it must be a whole number, {least} or more")


def numbers(values: ArrayLike, *, name: str) -> Floats:
    """`values` as floats, None as NaN; AnalysisError where they are no numbers, or rows of different lengths."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise AnalysisError(f"{name} is {type(values).__name__}, not an array of numbers: {error}") from error


def probabilities(p: ArrayLike, *, name: str = "probability") -> Floats:
    """`p` as an array of shape (n_obs,), n_obs ≥ 1, each in [0, 1].

    Raises:
        AnalysisError: wrong shape, no element, NaN, or outside [0, 1]; the first offender is named.
    """
    values = numbers(p, name=name)
    if values.ndim != 1 or not values.size:
        raise AnalysisError(f"{name} has the shape {values.shape}: give a one-dimensional array with at least one element")
    if (wrong := np.flatnonzero(~((values >= 0) & (values <= 1)))).size:
        raise AnalysisError(
            f"{name}[{wrong[0]}] is {values[wrong[0]]}: it must lie in [0, 1]; divide percentages by 100, drop missing ones"
        )
    return values


def estimates(p: ArrayLike, *, name: str = "p") -> Floats:
    """`p` as an array of shape (rows, draws), each in [0, 1] or NaN where there is none; AnalysisError otherwise."""
    values = numbers(p, name=name)
    if values.ndim != 2:
        raise AnalysisError(f"{name} has the shape {values.shape}: give two dimensions, a row of draws or agents for each")
    if (wrong := np.argwhere((values < 0) | (values > 1))).size:
        row, column = wrong[0]
        raise AnalysisError(f"{name}[{row}, {column}] is {values[row, column]}: it must lie in [0, 1], or be NaN")
    return values


def finite(values: ArrayLike, *, name: str) -> Floats:
    """`values` as floats of any shape, none NaN or infinite; AnalysisError otherwise, which names the first."""
    found = numbers(values, name=name)
    if (wrong := np.argwhere(~np.isfinite(found))).size:
        at = ", ".join(map(str, wrong[0]))
        raise AnalysisError(f"{name}[{at}] is {found[tuple(wrong[0])]}: it must be finite; leave an unknown one out")
    return found


def outcomes(y: ArrayLike, *, like: Floats) -> Floats:
    """`y` as an array of 0.0 and 1.0 with the shape of `like`; AnalysisError otherwise."""
    values = numbers(y, name="outcome")
    if values.shape != like.shape:
        raise AnalysisError(
            f"outcome has the shape {values.shape}, the forecasts {like.shape}: give one outcome per forecast"
        )
    if (wrong := np.flatnonzero((values != 0) & (values != 1))).size:
        raise AnalysisError(f"outcome[{wrong[0]}] is {values[wrong[0]]}: it must be 0 or 1; leave unresolved markets out")
    return values
