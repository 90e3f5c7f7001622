"""Pooling as a choice: what other ways to combine the stored estimates would have scored, without a new call."""

from dataclasses import dataclass
from math import sqrt
from typing import Any, Final, Literal, get_args

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats, estimates
from coordeval.analysis.base.estimates import CELL, matrix, numbered, resolved, shares
from coordeval.analysis.base.events import EPSILON, logit, mean_of, summary
from coordeval.analysis.base.resampling import APART, UNIT, Resamples
from coordeval.analysis.base.scipy_parts import special

Pool = Literal["mean", "median", "log_odds", "extremised", "trimmed"]
FACTOR: Final = sqrt(3)
"""Of the extremised pool, for many agents. Source: Neyman & Roughgarden (2021)."""
LOG_ODDS: Final = ("log_odds", "extremised")
"""Pools that hold each estimate in `base.events.EPSILON` to 1 − EPSILON."""
_SCHEMA: Final[dict[str, Any]] = {
    **{"configuration": pl.String, "stage": pl.String, "pool": pl.String, "n_markets": pl.Int64},
    **dict.fromkeys(("brier", "low", "high", "delta", "delta_low", "delta_high"), pl.Float64),
    "reason": pl.String,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooling:
    """Every pool of every configuration, on its own first and last estimates."""

    table: pl.DataFrame
    """configuration, stage, pool, n_markets, brier, low, high, delta, delta_low, delta_high, reason (of every null).

    `stage` is `first` (round 0) or `last` (the last round of each cell). `delta`: Brier of the pool − Brier of what the
    configuration itself concluded, on the same cells; negative: the other pool would have been better.
    """
    trim: float
    factor: float
    held: float
    """Log-odds pools hold each estimate in this to 1 − this."""
    n: int
    seed: int
    level: float


@asked
def pooling(
    frame: pl.DataFrame,
    *,
    trim: float = 0.1,
    factor: float = FACTOR,
    n: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> Pooling:
    """The Brier score of each pool, a market being the mean of its replicates; `n` resamples of events from `seed`.

    Scored are resolved cells with a forecast: what is missing is missing in all pools alike, and `n_markets` says what is
    left. Raises AnalysisError where the frame of estimates breaks a rule, or an option is out of its range.

    >>> import polars as pl
    >>> from coordeval.analysis import example_estimates, pooling
    >>> table = pooling(example_estimates(), n=500).table.filter(configuration="peer_critique_debate", stage="first")
    >>> table.select("pool", pl.col("delta").round(3)).rows()
    [('mean', 0.002), ('median', -0.001), ('log_odds', 0.003), ('extremised', 0.016), ('trimmed', -0.001)]
    """
    cells = numbered(resolved(frame))
    rows: list[dict[str, Any]] = []
    for name in frame["configuration"].unique().sort():
        mine = cells.filter(configuration=name)
        for stage in ("first", "last"):
            at = pl.lit(0) if stage == "first" else pl.col("round").max().over(CELL)
            said = mine.filter(pl.col("round") == at)
            p, cell = matrix(said)
            for pool in get_args(Pool):
                row = {"configuration": name, "stage": stage, "pool": pool, "n_markets": said["market_id"].n_unique()}
                if said.is_empty():
                    why = "no cell is resolved and answered" if mine.is_empty() else "nobody estimates in round 0"
                    rows.append(row | {"reason": why})
                    continue
                row |= _scored(pooled(p, pool=pool, trim=trim, factor=factor), cell, n=n, seed=seed, level=level)
                rows.append(row)
    table = pl.DataFrame([{column: row.get(column) for column in _SCHEMA} for row in rows], schema=_SCHEMA)
    return Pooling(table=table, trim=trim, factor=factor, held=EPSILON, n=n, seed=seed, level=level)


@asked
def pooled(p: Floats, *, pool: Pool, trim: float = 0.1, factor: float = FACTOR) -> Floats:
    """One forecast per cell, (cells,), of estimates (cells, agents), NaN where an agent said nothing.

    - `log_odds`: σ(mean logit p), the normalised geometric mean of odds; `extremised`: σ(factor · mean logit p). For both, p
      is held in 0.001 to 0.999 (`base.events.EPSILON`): a 0 or 1 of one agent would else decide whatever the others say.
    - `trimmed`: the mean without the g lowest and g highest, g = max(1, ⌊trim · agents⌋); of fewer than three, the mean.

    Sources: Satopää et al. (2014) for log-odds and extremising; Jose & Winkler (2008) for trimming.

    Raises:
        AnalysisError: an unknown pool, trim outside [0, 0.5), a factor that is not positive, or a cell without an estimate.

    >>> import numpy as np
    >>> from coordeval.analysis import pooled
    >>> p = np.array([[0.1, 0.2, 0.6], [0.9, 0.8, np.nan]])
    >>> {pool: pooled(p, pool=pool).round(3).tolist() for pool in ("mean", "median", "extremised")}
    {'mean': [0.3, 0.85], 'median': [0.2, 0.85], 'extremised': [0.138, 0.957]}
    """
    p = estimates(p)
    if not 0 <= trim < 0.5:
        raise AnalysisError(f"trim is {trim!r}: it must be the share cut from each end, in [0, 0.5), such as 0.1")
    if not 0 < factor < np.inf:
        raise AnalysisError(f"factor is {factor!r}: it must be positive; above 1 it moves away from even odds")
    count = np.sum(~np.isnan(p), axis=1)
    if (empty := np.flatnonzero(count == 0)).size:
        raise AnalysisError(f"cell {empty[0]} has no estimate: there must be at least one; leave the cell out")
    if pool == "mean":
        return np.asarray(np.nanmean(p, axis=1), np.float64)
    if pool == "median":
        return np.asarray(np.nanmedian(p, axis=1), np.float64)
    if pool == "trimmed":
        cut = np.where(count < 3, 0, np.maximum(1, np.floor(trim * count + 1e-9)))[:, None]
        place = np.arange(p.shape[1])
        inner = (place >= cut) & (place < count[:, None] - cut)
        return np.asarray(np.sum(np.where(inner, np.sort(p, axis=1), 0), axis=1) / inner.sum(axis=1), np.float64)
    return np.asarray(special.expit((factor if pool == "extremised" else 1.0) * np.nanmean(logit(p), axis=1)), np.float64)


def _scored(p: Floats, cell: pl.DataFrame, *, n: int, seed: int, level: float) -> dict[str, Any]:
    weight, event = shares(cell)
    y = cell["outcome"].cast(pl.Float64).to_numpy()
    error = (p - y) ** 2
    resamples = Resamples(events=int(event.max()) + 1, n=n, seed=seed)
    brier, delta = (
        summary(
            np.stack([weight, weight * value], axis=1),
            event,
            mean_of,
            resamples=resamples,
            level=level,
            bounds=bounds,
            outcome=outcome,
        )
        for value, bounds, outcome in ((error, UNIT, y), (error - (cell["forecast"].to_numpy() - y) ** 2, APART, None))
    )
    reasons = [brier["reason"], delta["reason"] and f"delta_{delta['reason'].replace(', ', ', delta_', 1)}"]
    return {
        **{"brier": brier["estimate"], "low": brier["low"], "high": brier["high"]},
        **{"delta": delta["estimate"], "delta_low": delta["low"], "delta_high": delta["high"]},
        "reason": "; ".join(filter(None, reasons)) or None,
    }
