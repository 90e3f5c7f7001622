"""How closely forecasts follow the market price, and whether they know anything beside it."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats, Ints, at_least
from coordeval.analysis.base.events import logit, mean_of, summary
from coordeval.analysis.base.frames import Scored
from coordeval.analysis.base.grid import PRICE, grid
from coordeval.analysis.base.numerals import SAME
from coordeval.analysis.base.resampling import PLAIN, Method, Resamples, ratio
from coordeval.analysis.base.scipy_parts import optimize, special

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


@asked
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
    >>> from coordeval.analysis import example, scored, tracking
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


def _near(p: Floats, m: Floats, *, weight: Floats, within: float) -> Any:
    """Columns, measure and reason of near."""
    return weight[:, None] * np.stack([np.ones_like(p), np.abs(p - m) <= within + SAME], axis=1), mean_of, None


def _follows(y: Floats, x: Floats, *, weight: Floats) -> list[Any]:
    """Columns, measure and reason of slope and intercept; forecast and price in logits."""
    line = weight[:, None] * np.stack([np.ones_like(x), x, y, x * x, x * y], axis=1)
    flat = f"the price, held in {HELD} to {1 - HELD}, is the same on every market" if np.ptp(x) <= SAME else None
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
    if np.abs(apart).max() <= SAME:
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
    fitted = special.expit(m + centre * apart)
    score, curvature = weight * apart * (y - fitted), weight * apart**2 * fitted * (1 - fitted)
    drift = score.sum() / curvature.sum()  # the step of the sample itself, so that the estimate is the mean over folds
    step = np.stack([curvature, score + (centre - drift) * curvature], axis=1)
    mix = special.expit(m + w[fold] * apart)
    gain, slope = (special.expit(m) - y) ** 2 - (mix - y) ** 2, -2 * (mix - y) * mix * (1 - mix) * apart
    gained = np.column_stack([weight, weight * gain, weight * slope, step])
    return [(step, mean_of, None), (gained, lambda sums: _gained(sums, centre), None)]


def _gained(sums: Floats, centre: float) -> Floats:
    """The mean gain, moved by its slope in the weight times how far the weight of a resample lies from the sample's."""
    return mean_of(sums[:, :2]) + ratio(sums[:, 2:3], sums[:, :1]) * (mean_of(sums[:, 3:]) - centre)


def _best_weight(apart: Floats, m: Floats, y: Floats, *, weight: Floats) -> float | None:
    """The root of the score, which falls as w rises; None where it has none."""

    def score(w: float) -> float:
        return float(np.sum(weight * apart * (y - special.expit(m + w * apart))))

    if score(-_WIDEST) <= 0 or score(_WIDEST) >= 0:
        return None
    return float(optimize.brentq(score, -_WIDEST, _WIDEST))
