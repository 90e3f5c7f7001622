"""Brier's split in three terms that are never negative, and the smooth calibration error: two measures that need no bins."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import Floats, outcomes, probabilities
from coordeval.analysis.base.frames import Scored
from coordeval.analysis.base.grid import Grid, grid, units_of
from coordeval.analysis.base.numerals import SAME
from coordeval.analysis.base.one_thread import one_thread
from coordeval.analysis.base.resampling import (
    PLAIN,
    UNIT,
    Bounds,
    Draws,
    Interval,
    Resamples,
    bounded,
    interval,
    measured,
    ratio,
)
from coordeval.analysis.base.scipy_parts import fft

SPLIT: Final = ("variance_mismatch", "correlation_deficit", "in_the_large")
MEASURES: Final = (*SPLIT, "smooth_ce")
_SIGNED: Final = ("variance_mismatch", "in_the_large")
"""Squares: their intervals are those of what is squared, squared."""
_BOUNDS: Final[dict[str, Bounds]] = {"variance_mismatch": (0.0, 0.25), "correlation_deficit": (0.0, 1.0)}
_GRID: Final = 200  # steps of 0.005, so that hundredths lie on it
_MODES: Final = 2 * _GRID  # cosines: enough for a width of 0.007
_STEPS: Final = 40
_FADED: Final = 8.7  # exp(-8.7²/2) is below 2^-53
_WIDEST: Final = 1.0
_MOST: Final = 1_000
"""Resamples of the smooth calibration error, each of which takes a thousand times what one of a score takes."""
_GROUPS: Final = 2_000
"""Events of a large study are put into so many groups, which are drawn in their place: groups of independent events are
independent, and their sums tell as much of the spread, to one part in this number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreeTerms:
    """BS = variance mismatch + correlation deficit + calibration in the large, to rounding; none is negative."""

    variance_mismatch: float
    """(s_p − s_y)²: forecasts vary more, or less, than outcomes do."""
    correlation_deficit: float
    """2 (s_p s_y − cov(p, y)): what forecasts vary for nothing."""
    in_the_large: float
    """(p̄ − ȳ)²: they are too high, or too low, on the whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondSplit:
    """The terms and the smooth calibration error of every configuration and of the market price, each with its interval."""

    table: pl.DataFrame
    """configuration, measure (MEASURES), estimate, low, high, n_markets, reason (of every null)."""
    n: int
    seed: int
    level: float


@asked
def three_terms(p: ArrayLike, y: ArrayLike) -> ThreeTerms:
    """The three terms, with variances and covariance over all n. `p`, `y`: (n_obs,).

    Sources: Yates (1982); Theil (1966) for the terms of a mean squared error; arXiv 2603.05544 for forecasts.
    Raises AnalysisError as `brier` does.

    >>> from coordeval.analysis import three_terms
    >>> found = three_terms([0.2, 0.4, 0.9], [0, 1, 1])
    >>> round(found.variance_mismatch, 4), round(found.correlation_deficit, 4), round(found.in_the_large, 4)
    (0.0313, 0.0776, 0.0278)
    """
    p = probabilities(p)
    y = outcomes(y, like=p)
    sums = np.array([[p.size, p.sum(), (p * p).sum(), y.sum(), (p * y).sum()]], np.float64)[:, :, None]
    mismatch, deficit, large = _terms(sums)[0, :, 0]
    return ThreeTerms(variance_mismatch=float(mismatch**2), correlation_deficit=float(deficit), in_the_large=float(large**2))


@asked
def smooth_ce(p: ArrayLike, y: ArrayLike) -> float:
    """The smooth calibration error: the width σ at which forecasts, smoothed by σ, are off by σ. `p`, `y`: (n_obs,).

    off(σ) = ∫₀¹ |mean_i (y_i − p_i) K_σ(p_i, t)| dt with the Gaussian kernel reflected at 0 and 1, which falls as σ grows;
    so there is one σ with off(σ) = σ, and no bin or width to choose. 0 is calibrated.

    The kernel is a cosine series on forecasts held to a grid of 0.005, between whose points each is shared.
    Source: Błasiok & Nakkiran (2024). Raises AnalysisError as `brier` does.

    >>> from coordeval.analysis import smooth_ce
    >>> round(smooth_ce([0.1] * 50 + [0.9] * 50, [0] * 45 + [1] * 5 + [0] * 5 + [1] * 45), 3)
    0.0
    >>> round(smooth_ce([0.3] * 100, [0] * 50 + [1] * 50), 3)
    0.2
    """
    p = probabilities(p)
    y = outcomes(y, like=p)
    return float(_widths(_residual(p, y - p)[None] / p.size)[0])


@asked
def second_split(scored: Scored, *, n: int = 2000, seed: int = 0, level: float = 0.95) -> SecondSplit:
    """Both measures per replicate, averaged over a configuration's replicates; `n` resamples of events from `seed`.

    The intervals of the two squares are those of their roots, squared, and widened to hold the estimate; that of the smooth
    calibration error, which is too large by chance where there are few markets, is moved as that of MCB is.

    Raises:
        AnalysisError: nothing is scored, or an option is out of its range.

    >>> import polars as pl
    >>> from coordeval.analysis import example, scored, second_split
    >>> found = second_split(scored(example()), n=200).table
    >>> found.filter(configuration="single_agent").select("measure", pl.col("estimate").round(3)).rows()[:2]
    [('variance_mismatch', 0.056), ('correlation_deficit', 0.152)]
    """
    sample = grid(scored)
    resamples = Resamples(events=len(sample.events), n=n, seed=seed)
    owner, units = units_of(sample, together=False)
    rows: list[dict[str, Any]] = []
    for c, name in enumerate(sample.configurations):
        mine = [unit[:, 0] for unit, own in zip(units, owner, strict=True) if own == c]
        there = ~np.isnan(sample.p[:, c]).all(axis=1)
        options: dict[str, Any] = {"events": int(np.unique(sample.event[there]).size), "level": level}
        for measure, found, value in _measured(sample, mine, resamples, **options):
            row = {"configuration": name, "measure": measure, "estimate": value, "low": found.low, "high": found.high}
            rows.append(row | {"n_markets": int(there.sum()), "reason": found.reason})
    numbers = dict.fromkeys(("estimate", "low", "high"), pl.Float64)
    schema: dict[str, Any] = {"configuration": pl.String, "measure": pl.String, **numbers}
    return SecondSplit(
        table=pl.DataFrame(rows, schema=schema | {"n_markets": pl.Int64, "reason": pl.String}), n=n, seed=seed, level=level
    )


def _measured(sample: Grid, units: list[Floats], resamples: Resamples, *, events: int, level: float) -> Any:
    """Measure, its interval and its value, of one configuration."""
    columns = np.stack([_sums(sample, p) for p in units], axis=-1)
    drawn = _mean(measured(columns, _terms, resamples, left_out=True))
    each = _terms(columns.sum(axis=0)[None])[0]  # (terms, replicates)
    for k, measure in enumerate(SPLIT):
        found = interval(drawn, k, 0, method=PLAIN, events=events, level=level)
        value = float(np.mean(each[k] ** 2 if measure in _SIGNED else each[k]))
        if measure in _SIGNED and found.low is not None and found.high is not None:
            ends = sorted((found.low**2, found.high**2))
            low = 0.0 if found.low <= 0 <= found.high else ends[0]
            found = Interval(low=min(low, value), high=max(ends[1], value), sd=found.sd, reason=None)
        yield measure, bounded(found, value, _BOUNDS.get(measure, UNIT)), value
    groups = min(len(sample.events), _GROUPS)
    fewer = Resamples(events=groups, n=min(resamples.n, _MOST), seed=resamples.seed)
    widths = [_smooth(sample, p, fewer) for p in units]
    value = float(np.mean([own for own, _ in widths]))
    draws = np.mean([others for _, others in widths], axis=0)
    smooth = Draws(estimate=np.array([[value]]), resampled=draws[:, None, None], left_out=None)
    yield "smooth_ce", interval(smooth, 0, 0, method="reflected", events=events, level=level, bounds=UNIT), value


def _sums(sample: Grid, p: Floats) -> Floats:
    """Per event: forecasts, Σp, Σp², hits, Σpy."""
    there = ~np.isnan(p)
    p, y = np.where(there, p, 0), np.where(there, sample.y, 0)
    return sample.by_event(np.stack([there, p, p * p, y, p * y], axis=1))


def _terms(sums: Floats) -> Floats:
    """s_p − s_y, the correlation deficit, p̄ − ȳ."""
    n, p, pp, y, py = np.moveaxis(sums, 1, 0)
    mean, base = ratio(p, n), ratio(y, n)
    own = np.sqrt(np.maximum(ratio(pp, n) - mean**2, 0))
    theirs = np.sqrt(np.maximum(base - base**2, 0))
    deficit = np.maximum(2 * (own * theirs - ratio(py, n) + mean * base), 0)
    return np.stack([own - theirs, deficit, mean - base], axis=1)


def _mean(drawn: Draws) -> Draws:
    """Over replicates, which are the units."""
    parts = (drawn.estimate, drawn.resampled, drawn.left_out)
    estimate, resampled, left_out = (None if part is None else part.mean(axis=-1, keepdims=True) for part in parts)
    assert estimate is not None
    assert resampled is not None
    return Draws(estimate=estimate, resampled=resampled, left_out=left_out)


def _smooth(sample: Grid, p: Floats, resamples: Resamples) -> tuple[float, Floats]:
    """The smooth calibration error of one replicate, and of each resample."""
    there = ~np.isnan(p)
    p, y, event = p[there], sample.y[there], sample.event[there] % resamples.events
    place, share = _places(p)
    size = _GRID + 1
    cell, cells = event * size, resamples.events * size
    summed = sum(
        np.bincount(cell + np.minimum(part, _GRID), weight * (y - p), minlength=cells)
        for part, weight in ((place, 1 - share), (place + 1, share))
    )
    residual = np.asarray(summed, np.float64).reshape(-1, size)
    count = np.bincount(event, minlength=resamples.events).astype(np.float64)
    with one_thread():
        drawn = [_widths(ratio(w @ residual, (w @ count)[:, None])) for w in resamples.weights(rows=16)]
    return float(_widths(residual.sum(axis=0)[None] / p.size)[0]), np.concatenate(drawn)


def _places(p: Floats) -> tuple[Any, Floats]:
    """The grid point under each forecast, and the share of it that belongs to the next one."""
    scaled = p * _GRID
    place = np.floor(scaled + SAME * _GRID).astype(np.int64)
    return place, np.maximum(scaled - place, 0)


def _residual(p: Floats, apart: Floats) -> Floats:
    """(grid,): what lies at each point of the grid of what forecasts are `apart` from outcomes."""
    place, share = _places(p)
    sides = ((place, (1 - share) * apart), (np.minimum(place + 1, _GRID), share * apart))
    return np.asarray(sum(np.bincount(where, what, minlength=_GRID + 1) for where, what in sides), np.float64)


def _widths(residual: Floats) -> Floats:
    """σ with off(σ) = σ of each row of residuals, (rows, grid), by the false position."""
    modes = np.arange(_MODES)
    series = _series(residual)

    def beyond(width: Floats) -> Floats:
        """off(σ) − σ, which falls by 1 or more for each 1 of σ: it is how far σ is off at most."""
        seen = modes[np.pi * width.min() * modes < _FADED]  # the others are nothing at the narrowest width of them all
        faded = series[:, : len(seen)] * np.exp(-((np.pi * np.outer(width, seen)) ** 2) / 2)
        return np.asarray(np.abs(_between(faded)).mean(axis=1) - width, np.float64)

    low, high = np.zeros(len(residual)), np.full(len(residual), _WIDEST)
    above, below = beyond(low), beyond(high)
    width, last = high, np.zeros(len(residual))
    for _ in range(_STEPS):
        width = np.where(above > below, low + (high - low) * ratio(above, above - below), width)
        left = beyond(width)
        if np.nanmax(np.abs(left), initial=0.0) < SAME / 10:
            break
        # an end that stays a second time counts half (Illinois), so that both come in: a third of the steps of halving
        above = np.where(left < 0, np.where(last < 0, above / 2, above), left)
        below = np.where(left < 0, left, np.where(last > 0, below / 2, below))
        last = np.where(left < 0, -1, 1)
        high, low = np.where(left < 0, width, high), np.where(left < 0, low, width)
    return np.asarray(np.where(np.isnan(residual).any(axis=1), np.nan, np.where(width < SAME, 0.0, width)), np.float64)


def _series(residual: Floats) -> Floats:
    """(rows, modes): Σ over the grid of residual · cos(π mode at). Modes beyond the grid are, on it, its own again."""
    own = (fft.dct(residual, type=1) + residual[:, :1] + residual[:, -1:] * (-1.0) ** np.arange(_GRID + 1)) / 2
    return np.concatenate([own, own[:, _GRID - 1 : 0 : -1]], axis=1)


def _between(waves: Floats) -> Floats:
    """(rows, grid): waves[0] + 2 Σ waves[mode] · cos(π mode at), half-way between the points of the grid.

    There a mode of 2 · grid − k is mode k with the other sign, and the grid-th is nothing.
    """
    folded = np.zeros((len(waves), _GRID))
    own = waves[:, :_GRID]
    folded[:, : own.shape[1]] = own
    beyond = waves[:, _GRID + 1 :]
    folded[:, _GRID - beyond.shape[1] :] -= beyond[:, ::-1]
    return np.asarray(fft.dct(folded, type=3), np.float64)
