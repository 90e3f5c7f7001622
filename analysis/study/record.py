"""What a study left behind beside its cells: the material of the measures that need more than forecasts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from coordeval.analysis.control import Control
from coordeval.analysis.linked.links import Links


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Frames as `ledger.estimates` makes them. What is None was not recorded, and what needs it says so."""

    estimates: pl.DataFrame | None = None
    """What each agent said in each round: `analysis.talk.pooling.ESTIMATES`."""
    openings: pl.DataFrame | None = None
    """How each configuration begins: `analysis.differences.openings.COLUMNS`."""
    links: Links | None = None
    """Markets whose outcomes depend on each other."""
    draws: pl.DataFrame | None = None
    """Forecasts by one agent each, see `analysis.cost.compute_matched`; None: the replicates of `single_agent`."""
    order: Sequence[str] | None = None
    """Markets as they resolved, the first one first."""
    control: Control | None = None
    """What was held fixed. Where it is not held, the comparison of configurations gives way to the difference."""
    parts: pl.DataFrame | None = None
    """What became of the parts that reports were asked for, a row per configuration: `ledger.estimates.parts_frame`."""
    talked: pl.DataFrame | None = None
    """Calls, messages and last texts of each forecast: `analysis.talk.scaling.TALKED`."""
    aggregation: Mapping[str, str] = field(default_factory=dict)
    """Configuration -> "mean" or "median": how it combines its agents' last estimates, where it says so."""


NOTHING: Final = Record()
"""Of a study of which only the cells are known."""
