"""How much several agents are worth: the correlation of their errors in each round, and the effective number of agents.

Sources: Hogarth (1978) and Clemen & Winkler (1985) for the number of independent experts that dependent ones are worth.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import Floats
from coordeval.analysis.base.estimates import matrix, numbered, resolved
from coordeval.analysis.base.resampling import AMOUNT, APART, ratio
from coordeval.analysis.talk.telling import NUMBERS, Telling, table

_SCHEMA: Final[dict[str, Any]] = {"configuration": pl.String, "round": pl.Int64, "measure": pl.String, **NUMBERS}
DIVERSITY: Final = ("error_correlation", "effective_agents")
_LEAST: Final = 1e-12


@asked
def diversity(frame: pl.DataFrame, *, n: int = 10_000, seed: int = 0, level: float = 0.95) -> pl.DataFrame:
    """configuration, round, measure (DIVERSITY), estimate, low, high, n_markets, reason, of a frame of estimates.

    With the error e = p − y of an agent in a round, pooled over agents, cells and markets:

    - error_correlation ρ: the covariance of the errors of two different agents of a cell over their variance
    - effective_agents n / (1 + (n − 1) ρ), n the agents of a cell: so many with independent errors would have a mean whose
      error varies as much. 1: all of them are worth one.

    The outcome is part of every error, so two agents who both know all that can be known still correlate; what talking did
    is the change from one round to the next. Scored are resolved cells with a forecast in which two agents or more estimate
    in that round; the replicates of a market share its weight of 1.

    Raises:
        AnalysisError: the frame breaks a rule, or an option is out of its range.

    >>> import polars as pl
    >>> from coordeval.analysis import diversity, example_estimates
    >>> found = diversity(example_estimates(), n=500).filter(configuration="peer_critique_debate")
    >>> found.select("round", "measure", pl.col("estimate").round(2)).rows()[::2]
    [(0, 'error_correlation', 0.93), (1, 'error_correlation', 0.99)]
    """
    cells = numbered(resolved(frame))
    tell = Telling(n, seed, level)
    rows: list[dict[str, Any]] = []
    for name in frame["configuration"].unique().sort():
        mine = cells.filter(configuration=name)
        found = list(_by_round(mine, tell))
        why = "no cell is resolved and answered" if mine.is_empty() else "no two agents estimate in one round"
        found = found or [{"measure": measure, "n_markets": 0, "reason": why} for measure in DIVERSITY]
        rows += [{"configuration": name, **row} for row in found]
    return table(rows, _SCHEMA)


def _by_round(mine: pl.DataFrame, tell: Telling) -> Iterator[dict[str, Any]]:
    for number in mine["round"].unique().sort():
        p, cells = matrix(mine.filter(round=number))
        count = np.sum(~np.isnan(p), axis=1).astype(np.float64)
        there = count > 1
        if not there.any():
            continue
        cells, count = cells.filter(pl.Series(there)), count[there]
        e = p[there] - cells["outcome"].cast(pl.Float64).to_numpy()[:, None]
        total, squares = np.nansum(e, axis=1), np.nansum(e**2, axis=1)
        pairs = (total**2 - squares) / (count * (count - 1))
        columns = np.stack([np.ones_like(count), total / count, squares / count, pairs, count], axis=1)
        why = "the errors do not vary"
        for measure, of, bounds in (("error_correlation", _correlation, APART), ("effective_agents", _effective, AMOUNT)):
            yield {"round": number, "measure": measure} | tell.row(cells, columns, of, why=why, bounds=bounds)


def _correlation(sums: Floats) -> Floats:
    weight = sums[:, 0:1]
    mean, squares, pairs = (ratio(sums[:, k : k + 1], weight) for k in (1, 2, 3))
    variance = squares - mean**2
    return np.where(variance > _LEAST, (pairs - mean**2) / np.where(variance > _LEAST, variance, 1), np.nan)


def _effective(sums: Floats) -> Floats:
    agents = ratio(sums[:, 4:5], sums[:, 0:1])
    inflation = 1 + (agents - 1) * _correlation(sums)
    return np.where(inflation > _LEAST, agents / np.where(inflation > _LEAST, inflation, 1), np.nan)
