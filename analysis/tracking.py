"""How closely forecasts follow the market price, and whether they know anything beside it."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import expit

from analysis.checks import AnalysisError, Floats, Ints, at_least
from analysis.frames import Scored
from analysis.grid import PRICE, grid
from analysis.resampling import PLAIN, Draws, Method, Resamples, interval, measured, ratio

EPSILON: Final = 1e-3
"""Probabilities are held in [ε, 1 − ε] before their logit is taken."""
HELD: Final = 0.01
"""The ε of `tracking`. Forecasts are said in hundredths, so a 0 is a rounding; with an ε of 0.001 the few markets that got
one carry the slope, and its 95% interval from 100 simulated markets held the truth in 89%."""
MEASURES: Final = ("near", "slope", "intercept", "blend_weight", "blend_gain")
_METHODS: Final[dict[str, Method]] = {"near": "share", "blend_gain": "percentile+student"}  # the gain is near its maximum
_WIDEST = 20.0  # a weight beyond this means that the likelihood has no maximum
_SCHEMA: Final[dict[str, Any]] = {
    **{"configuration": pl.String, "measure": pl.String},
    **dict.fromkeys(("estimate", "low", "high"), pl.Float64),
    **{"n_markets": pl.Int64, "reason": pl.String},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """Forecasts beside the market price, on the markets where a price is known."""

    table: pl.DataFrame
    """configuration, measure (MEASURES), estimate, low, high, n_markets, reason (of every null).

    `near`: share of forecasts within `within` of the price. For all else both are held in [HELD, 1 − HELD]. `slope`,
    `intercept`: of logit p on logit m. `blend_weight`: w of the blend σ((1 − w) logit m + w logit p), 0 where the forecast
    adds nothing to the price. `blend_gain`: Brier of the price − Brier of the blend, each market with the weight of the
    other folds; positive: it adds information.
    """
    within: float
    held: float
    """HELD"""
    folds: int
    n: int
    seed: int
    level: float


def tracking(
    scored: Scored, *, within: float = 0.005, folds: int = 5, n: int = 10_000, seed: int = 0, level: float = 0.95
) -> Tracking:
    """Section 8 of the statistics. Replicates of a market share its weight of 1; `n` resamples of events from `seed`.

    The blend weight minimises the log score on all folds but one, folds being whole events; the estimate is the mean over
    folds. Its interval takes one Newton step from that mean in every resample, and the gain moves with it, to first order.
    Source: Davidson & MacKinnon (1999).

    Raises:
        AnalysisError: nothing is scored, or an option is out of its range.

    >>> import polars as pl
    >>> from analysis import example, scored, tracking
    >>> table = tracking(scored(example()), n=500).table.filter(configuration="independent_ensemble")
    >>> table.select("measure", pl.col("estimate").round(2)).rows()
    [('near', 0.03), ('slope', 0.9), ('intercept', -0.08), ('blend_weight', 1.64), ('blend_gain', 0.02)]
    """
    at_least("folds", folds, 2)
    if not 0 <= within < 1:
        raise AnalysisError(f"within is {within!r}: it must be a distance between probabilities in [0, 1), such as 0.005")
    sample = grid(scored)
    rows: list[dict[str, Any]] = []
    for c, name in enumerate(sample.configurations):
        if name == PRICE:
            continue
        market, replicate = np.nonzero(~np.isnan(sample.p[:, c]) & ~np.isnan(sample.price)[:, None])
        _, place, counts = np.unique(market, return_inverse=True, return_counts=True)
        base = {"configuration": name, "n_markets": counts.size}
        if not market.size:
            rows += [{**base, "measure": measure, "reason": "no market price is known"} for measure in MEASURES]
            continue
        p, m, y = sample.p[market, c, replicate], sample.price[market], sample.y[market]
        theirs, mine = logit(m, epsilon=HELD), logit(p, epsilon=HELD)
        event, weight = np.unique(sample.event[market], return_inverse=True)[1], 1 / counts[place]
        told = [_near(p, m, weight=weight, within=within), *_follows(mine, theirs, weight=weight)]
        told += _blend(mine, theirs, y, weight=weight, event=event, folds=folds, seed=seed)
        resamples = Resamples(events=int(event.max()) + 1, n=n, seed=seed)
        for measure, (columns, of, reason) in zip(MEASURES, told, strict=True):
            found: dict[str, Any] = {"reason": reason}
            if not reason:
                method = _METHODS.get(measure, PLAIN)
                found = summary(columns, event, of, resamples=resamples, level=level, method=method)
            rows.append({**base, "measure": measure, **found})
    table = pl.DataFrame([{column: row.get(column) for column in _SCHEMA} for row in rows], schema=_SCHEMA)
    return Tracking(table=table, within=within, held=HELD, folds=folds, n=n, seed=seed, level=level)


def logit(p: ArrayLike, *, epsilon: float = EPSILON) -> Floats:
    """ln(p/(1 − p)), with p held in [epsilon, 1 − epsilon]; NaN stays NaN.

    >>> from analysis.tracking import logit
    >>> logit([0.5, 0.9, 1.0]).round(3).tolist()
    [0.0, 2.197, 6.907]
    """
    held = np.clip(np.asarray(p, np.float64), epsilon, 1 - epsilon)
    return np.asarray(np.log(held / (1 - held)), np.float64)


def event_sums(values: Floats, event: Ints) -> Floats:
    """Sums over the rows of each event: (rows, kinds) and positions 0..G − 1 in any order -> (G, kinds).

    >>> import numpy as np
    >>> from analysis.tracking import event_sums
    >>> event_sums(np.array([[1, 0.2], [1, 0.3], [1, 0.5]]), np.array([1, 0, 1])).tolist()
    [[1.0, 0.3], [2.0, 0.7]]
    """
    size = int(event.max()) + 1
    return np.stack([np.bincount(event, column, minlength=size) for column in values.T], axis=1)


def mean_of(sums: Floats) -> Floats:
    """The measure Σ second column / Σ first column: a weighted mean, or a regression through 0.

    >>> import numpy as np
    >>> from analysis.tracking import mean_of
    >>> mean_of(np.array([[4.0, 1.0], [0.0, 0.0]])).tolist()
    [[0.25], [nan]]
    """
    return ratio(sums[:, 1:2], sums[:, 0:1])


def summary(
    columns: Floats,
    event: Ints,
    of: Any,
    *,
    resamples: Resamples,
    level: float,
    reason: str = "undefined here",
    method: Method = PLAIN,
) -> dict[str, Any]:
    """estimate, low, high, reason of the measure `of` sums of `columns`, (rows, kinds); `reason` where it is undefined.

    >>> import numpy as np
    >>> from analysis import Resamples
    >>> from analysis.tracking import mean_of, summary
    >>> columns = np.stack([np.ones(20), np.linspace(0, 1, 20)], axis=1)
    >>> found = summary(columns, np.arange(20) // 2, mean_of, resamples=Resamples(events=10, n=500), level=0.95)
    >>> round(found["estimate"], 2), found["low"] < 0.5 < found["high"], found["reason"]
    (0.5, True, None)
    """
    drawn: Draws = measured(event_sums(columns, event)[:, :, None], of, resamples, left_out=True)
    estimate = float(drawn.estimate[0, 0])
    if np.isnan(estimate):
        return {"estimate": None, "low": None, "high": None, "reason": reason}
    found = interval(drawn, 0, 0, method=method, events=resamples.events, level=level)
    ends = {"low": found.low, "high": found.high, "reason": found.reason and f"low, high: {found.reason}"}
    return {"estimate": estimate, **ends}


def _near(p: Floats, m: Floats, *, weight: Floats, within: float) -> Any:
    """Columns, measure and reason of near."""
    return weight[:, None] * np.stack([np.ones_like(p), np.abs(p - m) <= within + 1e-12], axis=1), mean_of, None


def _follows(y: Floats, x: Floats, *, weight: Floats) -> list[Any]:
    """Columns, measure and reason of slope and intercept; forecast and price in logits."""
    line = weight[:, None] * np.stack([np.ones_like(x), x, y, x * x, x * y], axis=1)
    flat = f"the price, held in {HELD} to {1 - HELD}, is the same on every market" if np.ptp(x) <= 1e-12 else None
    return [(line, lambda s: _line(s)[:, :1], flat), (line, lambda s: _line(s)[:, 1:], flat)]


def _line(sums: Floats) -> Floats:
    """Least squares: slope and intercept."""
    n, x, y, xx, xy = np.moveaxis(sums, 1, 0)
    above = n * xx - x * x
    slope = ratio(n * xy - x * y, np.where(above > 1e-9 * n * xx, above, 0))
    return np.stack([slope, ratio(y - slope * x, n)], axis=1)


def _blend(p: Floats, m: Floats, y: Floats, *, weight: Floats, event: Ints, folds: int, seed: int) -> list[Any]:
    """Columns, measure and reason of blend_weight and blend_gain; `p` and `m` in logits."""
    nothing = np.zeros((p.size, 2))
    events = int(event.max()) + 1
    apart = p - m
    if np.abs(apart).max() <= 1e-9:
        return [
            (nothing, mean_of, f"the forecast, held in {HELD} to {1 - HELD}, is the price: there is nothing to weigh")
        ] * 2
    if events < folds:
        return [(nothing, mean_of, f"{events} event{'s' * (events > 1)}: {folds} folds need as many")] * 2
    fold = (np.random.default_rng(seed).permutation(events) % folds)[event]
    weights = [_best_weight(apart, m, y, weight=weight * (fold != k)) for k in range(folds)]
    if any(w is None for w in weights):
        return [(nothing, mean_of, "the outcomes are told apart perfectly: no weight is best")] * 2
    w = np.array(weights, np.float64)
    centre = float(w.mean())
    fitted = expit(m + centre * apart)
    score, curvature = weight * apart * (y - fitted), weight * apart**2 * fitted * (1 - fitted)
    drift = score.sum() / curvature.sum()  # the step of the sample itself, so that the estimate is the mean over folds
    step = np.stack([curvature, score + (centre - drift) * curvature], axis=1)
    mix = expit(m + w[fold] * apart)
    gain, slope = (expit(m) - y) ** 2 - (mix - y) ** 2, -2 * (mix - y) * mix * (1 - mix) * apart
    gained = np.column_stack([weight, weight * gain, weight * slope, step])
    return [(step, mean_of, None), (gained, lambda sums: _gained(sums, centre), None)]


def _gained(sums: Floats, centre: float) -> Floats:
    """The mean gain, moved by its slope in the weight times how far the weight of a resample lies from the sample's."""
    return mean_of(sums[:, :2]) + ratio(sums[:, 2:3], sums[:, :1]) * (mean_of(sums[:, 3:]) - centre)


def _best_weight(apart: Floats, m: Floats, y: Floats, *, weight: Floats) -> float | None:
    """The root of the score, which falls as w rises; None where it has none."""

    def score(w: float) -> float:
        return float(np.sum(weight * apart * (y - expit(m + w * apart))))

    if score(-_WIDEST) <= 0 or score(_WIDEST) >= 0:
        return None
    return float(brentq(score, -_WIDEST, _WIDEST))
