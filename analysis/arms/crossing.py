"""The cells of a study with arms as arrays: which configuration, model and information each has, and what effects there are.

A cell here is a configuration in an arm. The mean errors of K of them are a vector of K numbers, and an effect (of the
configuration, of the model, of both together) is a subspace of it: effects are at right angles, so that they add up.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats, Ints
from coordeval.analysis.base.numerals import counted

TIMES: Final = " × "
MODEL: Final = "model"
"""The field of an arm that is a factor of its own; all others that differ are `INFORMATION`, or a factor of that name."""
INFORMATION: Final = "information"
_NEEDED: Final = ("arm", "configuration", "market_id", "event_id", "replicate", "probability", "outcome")


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """What every arm and every configuration scored, as arrays; markets are sorted by event."""

    configurations: tuple[str, ...]
    """Those that call a model and stand in every arm."""
    arms: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]
    """Factor -> its level in each cell, (cells,), of the factors that have two levels or more. Cells are arm by arm."""
    bases: Mapping[str, Floats]
    """Effect -> orthonormal columns that span it, (cells, degrees of freedom). The first is `mean`."""
    event: Ints
    """(markets,), nondecreasing from 0."""
    errors: Floats
    """(markets, cells, replicates): squared errors, none missing."""
    arm_fields: Mapping[str, Mapping[str, str]]
    """Arm -> field -> value, of all fields that are known."""
    left_out: tuple[str, ...]
    """What is not in it, and why, in words."""
    outcome: Floats | None = None
    """(markets,): what became of each; None where errors alone are given."""

    @property
    def x(self) -> Floats:
        """(markets, cells): the mean over replicates."""
        return np.asarray(self.errors.mean(axis=2), np.float64)

    @property
    def events(self) -> int:
        return int(self.event[-1]) + 1

    def by_event(self, values: Floats) -> Floats:
        """Sums over the markets of each event: (markets, ...) -> (events, ...)."""
        return np.asarray(np.add.reduceat(values, np.flatnonzero(np.diff(self.event, prepend=-1)), axis=0), np.float64)


@asked
def crossing(cells: pl.DataFrame, arms: pl.DataFrame) -> Crossing:
    """The markets that every arm and every configuration answered in every replicate.

    `cells`: a frame of forecasts with a column `arm`. `arms`: one row per arm, the column `arm`, and a column for each field
    that may differ between them (`model`, `tools`, `show_price`, `evidence`, ...). Configurations that never call a model,
    or do not run in every arm, are left out, which `left_out` says.

    Raises:
        AnalysisError: a column is absent, an arm has no row, two are the same, or there are not two arms and two markets.

    >>> import polars as pl
    >>> from coordeval.analysis import crossing, example
    >>> cells = pl.concat([example().with_columns(arm=pl.lit(arm)) for arm in ("plain", "bare")])
    >>> found = crossing(cells, pl.DataFrame({"arm": ["plain", "bare"], "tools": ["all", "none"]}))
    >>> found.errors.shape, list(found.bases)
    ((39, 6, 2), ['mean', 'configuration', 'tools', 'configuration × tools'])
    """
    if absent := [name for name in _NEEDED if name not in cells.columns]:
        raise AnalysisError(f"the frame lacks {', '.join(absent)}: arms are told apart by {', '.join(_NEEDED)}")
    fields = _fields(arms)
    names = tuple(cells["arm"].unique(maintain_order=True).to_list())
    if unknown := [name for name in names if name not in fields]:
        raise AnalysisError(f"arm {unknown[0]!r} has no row in `arms`, which has {', '.join(fields)}: give one for each arm")
    if len(names) < 2:
        raise AnalysisError(f"there is {counted(len(names), 'arm')}: what is separable needs two that differ")
    left: list[str] = []
    kept = _configurations(cells, names, left)
    if not kept:
        raise AnalysisError("no configuration that calls a model runs in every arm: arms are compared on those that do")
    event, errors, outcome = _errors(cells.filter(pl.col("configuration").is_in(kept)), names, kept, left)
    levels = {"configuration": tuple(kept) * len(names)} | _factors({n: fields[n] for n in names}, len(kept), left)
    levels = {name: values for name, values in levels.items() if len(set(values)) > 1}
    return Crossing(
        configurations=tuple(kept),
        arms=names,
        levels=levels,
        bases=bases_of(levels, len(names) * len(kept)),
        event=event,
        errors=errors,
        arm_fields={name: fields[name] for name in names},
        left_out=tuple(left),
        outcome=outcome,
    )


def bases_of(levels: Mapping[str, Sequence[str]], cells: int) -> dict[str, Floats]:
    """Effect -> its orthonormal basis, for factors that are fully crossed: `mean`, each factor, each product of them."""
    spaces: list[tuple[tuple[str, ...], Floats]] = [((), np.ones((cells, 1)) / np.sqrt(cells))]
    for name, values in levels.items():
        place = np.unique(np.asarray(values), return_inverse=True)[1]
        number = int(place.max()) + 1
        centred = np.eye(number)[:, 1:] - 1 / number
        own = np.linalg.qr(centred)[0][place]  # (cells, levels − 1), each column adds up to 0
        spaces += [((*factors, name), _product(basis, own)) for factors, basis in list(spaces)]
    spaces.sort(key=lambda item: (len(item[0]), [list(levels).index(f) for f in item[0]]))
    return {TIMES.join(factors) or "mean": basis for factors, basis in spaces}


def _product(one: Floats, other: Floats) -> Floats:
    both = (one[:, :, None] * other[:, None, :]).reshape(len(one), -1)
    return np.asarray(both / np.linalg.norm(both, axis=0), np.float64)


def _fields(arms: pl.DataFrame) -> dict[str, dict[str, str]]:
    """Arm -> field -> its value in words."""
    if "arm" not in arms.columns:
        raise AnalysisError("arms lacks the column arm: give one row for each arm, with what it changes")
    fields = {str(row["arm"]): {key: _said(value) for key, value in row.items() if key != "arm"} for row in arms.to_dicts()}
    seen: dict[tuple[str, ...], str] = {}
    for name, values in fields.items():
        if (same := seen.setdefault(tuple(values.values()), name)) != name:
            raise AnalysisError(f"arms {same!r} and {name!r} differ in no field: an arm is one that changes something")
    return fields


def _said(value: Any) -> str:
    if isinstance(value, pl.Series):
        value = value.to_list()
    return ", ".join(map(str, value)) if isinstance(value, list) else "none" if value is None else str(value)


def _configurations(cells: pl.DataFrame, arms: Sequence[str], left: list[str]) -> list[str]:
    silent = set()
    if "model_calls" in cells.columns:
        none = cells.group_by("configuration").agg(none=(pl.col("model_calls") == 0).fill_null(False).all())
        silent = set(none.filter("none")["configuration"])
    there = dict(cells.group_by("configuration").agg(pl.col("arm").n_unique()).iter_rows())
    for name in sorted(there):
        if name not in silent and there[name] < len(arms):
            left.append(f"{name} runs in {there[name]} of {len(arms)} arms")
    return [name for name in sorted(there) if name not in silent and there[name] == len(arms)]


def _errors(cells: pl.DataFrame, arms: Sequence[str], names: Sequence[str], left: list[str]) -> tuple[Ints, Floats, Floats]:
    each = cells.group_by("arm", "configuration").agg(pl.col("replicate").unique())["replicate"].to_list()
    shared = sorted(set.intersection(*map(set, each)))
    if not shared:
        raise AnalysisError("no replicate is in every arm: the arms of a study have the same replicates")
    ready = cells.filter(
        pl.col("replicate").is_in(shared) & pl.col("probability").is_not_null() & pl.col("outcome").is_not_null()
    )
    key = ("arm", "configuration", "market_id", "replicate")
    if (twice := ready.filter(ready.select(key).is_duplicated())).height:
        where = ", ".join(f"{name} {twice[name][0]}" for name in key)
        raise AnalysisError(f"{where}: this cell is there more than once; keep one row for each")
    needed = len(arms) * len(names) * len(shared)
    whole = ready.filter(pl.len().over("market_id") == needed)
    markets = whole.unique("market_id").sort("event_id", "market_id")
    every = cells["market_id"].n_unique()
    if markets.height < every:
        left.append(f"{counted(every - markets.height, 'market')} of {every}: not scored in every arm and configuration")
    if markets.height < 2:
        raise AnalysisError(
            f"{markets.height} of {every} markets were scored in every arm and configuration: two are needed"
        )
    places = [
        whole[column].replace_strict(list(values), np.arange(len(values)), return_dtype=pl.Int64).to_numpy()
        for column, values in (
            ("market_id", markets["market_id"]),
            ("arm", arms),
            ("configuration", names),
            ("replicate", shared),
        )
    ]
    errors = np.full((markets.height, len(arms), len(names), len(shared)), np.nan)
    errors[tuple(places)] = ((whole["probability"] - whole["outcome"]) ** 2).to_numpy()
    event = markets["event_id"].rle_id().cast(pl.Int64).to_numpy()
    outcome = markets["outcome"].cast(pl.Float64).to_numpy()
    return event, errors.reshape(markets.height, len(arms) * len(names), len(shared)), outcome


def _factors(fields: Mapping[str, Mapping[str, str]], each: int, left: list[str]) -> dict[str, tuple[str, ...]]:
    """Factor -> level in each cell: the model and all else where the arms are fully crossed in these, else the arm."""
    keys = [key for key in next(iter(fields.values())) if len({values[key] for values in fields.values()}) > 1]
    other = [key for key in keys if key != MODEL]
    name = other[0] if len(other) == 1 else INFORMATION
    model = [values.get(MODEL, "") for values in fields.values()]
    rest = ["; ".join(values[key] for key in other) for values in fields.values()]
    crossed = len(set(zip(model, rest, strict=True))) == len(set(model)) * len(set(rest)) == len(fields)
    if crossed:
        return {MODEL: _repeated(model, each), name: _repeated(rest, each)}
    left.append(f"model and {name} are not told apart: the arms are not every model with every {name}")
    return {"arm": _repeated(fields, each)}


def _repeated(levels: Iterable[str], each: int) -> tuple[str, ...]:
    return tuple(level for level in levels for _ in range(each))
