"""The measures of groups of a study, put together: diversity, flips by cause, ends, and scaling against one agent."""

from dataclasses import dataclass, replace

import polars as pl

from coordeval.analysis.talk.diversity import diversity
from coordeval.analysis.talk.ends import ends
from coordeval.analysis.talk.flips import flips
from coordeval.analysis.talk.scaling import scaling


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Tables of `analysis.talk.diversity`, `flips`, `ends` and `scaling`."""

    diversity: pl.DataFrame
    ends: pl.DataFrame
    flips: pl.DataFrame | None
    """None: see `withheld`."""
    scaling: pl.DataFrame | None
    """None: calls and messages were not recorded, or see `withheld`."""
    withheld: str | None
    """Why configurations are not set against each other."""


def groups_of(
    said: pl.DataFrame, cells: pl.DataFrame, talked: pl.DataFrame | None, *, baseline: str, n: int, seed: int
) -> Groups:
    """`said`: frame of estimates; `cells`: of forecasts; `talked`: see `analysis.talk.scaling.TALKED`."""
    return Groups(
        diversity=diversity(said, n=n, seed=seed),
        ends=ends(said, cells, n=n, seed=seed),
        flips=flips(said, n=n, seed=seed).table,
        scaling=None if talked is None else scaling(talked, baseline=baseline, n=n, seed=seed),
        withheld=None,
    )


def apart(found: Groups, why: str) -> Groups:
    """Without what sets configurations against each other, because of `why`."""
    return replace(found, flips=None, scaling=None, withheld=why)
