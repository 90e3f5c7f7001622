"""Brier scores adjusted for how hard the markets were: for configurations that answered different ones."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import Floats
from coordeval.analysis.base.frames import Scored
from coordeval.analysis.base.grid import grid
from coordeval.analysis.base.numerals import SAME
from coordeval.analysis.base.resampling import APART, PLAIN, Resamples, interval, measured

_ROWS = 64  # resamples solved at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjusted:
    """What each would score, had all answered all markets."""

    table: pl.DataFrame
    """configuration, estimate, low, high, n_markets, reason (of every null), the market price among them."""
    n_markets: int
    """That anybody answered."""
    n: int
    seed: int
    level: float


@asked
def adjusted(scored: Scored, *, n: int = 2000, seed: int = 0, level: float = 0.95) -> Adjusted:
    """Two-way fixed effects: error of configuration j on market i = a_j + g_i + rest, by least squares.

    The score is a_j + the mean of g over all markets that anybody answered, the market price counting as one who answers; a
    market is the mean of its replicates. Where all answered all it is the Brier score. `n` resamples of events from `seed`.
    None where one shares no market, directly or by others, with the rest: then nobody knows whose markets were harder.

    That errors add up so is an assumption: who is better on hard markets only is told by no one number.
    Source: ForecastBench (Karger et al. 2025), the difficulty-adjusted Brier score.

    Raises:
        AnalysisError: nothing is scored, or an option is out of its range.

    >>> import polars as pl
    >>> from coordeval.analysis import adjusted, example, scored
    >>> half = example().filter(~((pl.col("configuration") == "single_agent") & (pl.col("market_id") < "m20")))
    >>> found = adjusted(scored(half, policy="available"), n=200).table
    >>> found.select("configuration", "n_markets", pl.col("estimate").round(3)).rows()[2]
    ('single_agent', 20, 0.203)
    """
    sample = grid(scored)
    errors = sample.errors()
    there = ~np.isnan(errors)
    k = len(sample.configurations)
    resamples = Resamples(events=len(sample.events), n=n, seed=seed)
    drawn = measured(
        sample.by_event(_columns(errors, there))[:, :, None], lambda sums: _scores(sums, k), resamples, left_out=True
    )
    rows: list[dict[str, Any]] = []
    for j, name in enumerate(sample.configurations):
        events = int(np.unique(sample.event[there[:, j]]).size)
        found = interval(drawn, j, 0, method=PLAIN, events=events, level=level, bounds=APART)
        value = float(drawn.estimate[j, 0])
        row: dict[str, Any] = {"configuration": name, "n_markets": int(there[:, j].sum())}
        if np.isnan(value):
            rows.append(row | {"reason": "not all are linked by markets that they share: nobody knows whose were harder"})
        else:
            rows.append(row | {"estimate": value, "low": found.low, "high": found.high, "reason": found.reason})
    schema: dict[str, Any] = {"configuration": pl.String, **dict.fromkeys(("estimate", "low", "high"), pl.Float64)}
    schema |= {"n_markets": pl.Int64, "reason": pl.String}
    table = pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)
    return Adjusted(table=table, n_markets=len(sample.markets), n=n, seed=seed, level=level)


def _columns(errors: Floats, there: Any) -> Floats:
    """Per market what the normal equations are sums of, once its own effect is taken out: (markets, k² + 2k + 2)."""
    have = there.astype(np.float64)
    e = np.where(there, errors, 0)
    share = have / have.sum(axis=1, keepdims=True)
    mean = (share * e).sum(axis=1, keepdims=True)
    k = have.shape[1]
    shared = have[:, :, None] * (np.eye(k) - share[:, None, :])
    own = have * (e - mean)
    return np.concatenate([shared.reshape(len(have), -1), own, share, mean, np.ones((len(have), 1))], axis=1)


def _scores(sums: Floats, k: int) -> Floats:
    """a_j + mean g, (rows, k, 1); NaN where the configurations are not all linked."""
    flat = sums[:, :, 0]
    found = np.full((len(flat), k, 1), np.nan)
    for start in range(0, len(flat), _ROWS):
        part = flat[start : start + _ROWS]
        shared, own = part[:, : k * k].reshape(-1, k, k), part[:, k * k : k * k + k]
        share, mean, n = part[:, k * k + k : k * k + 2 * k], part[:, -2], part[:, -1]
        size = np.maximum(n, 1)[:, None, None]
        whole = shared / size + np.full((k, k), 1.0 / k)  # the sum of effects is not told: it is taken as 0
        linked = np.linalg.cond(whole) < 1 / SAME
        effect = np.zeros_like(own)
        effect[linked] = np.linalg.solve(whole[linked], (own / size[:, :, 0])[linked][:, :, None])[:, :, 0]
        level = (mean - (share * effect).sum(axis=1)) / np.maximum(n, 1)
        found[start : start + _ROWS][linked] = (effect + level[:, None])[linked][:, :, None]
    return found
