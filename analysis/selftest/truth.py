"""The true values of the measures in a simulated world, by integration over its normal variables.

A forecaster's probabilities are hundredths, so everything about it is a table: how often it says each, and how often the
event then happens. Given the latent logit x the forecaster's own logit is normal: the table is one integral over x.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import brentq, isotonic_regression
from scipy.special import expit, logit, ndtr

from coordeval.analysis.base.checks import Floats
from coordeval.analysis.base.events import logit as clipped_logit
from coordeval.analysis.quality.decomposition import bin_index
from coordeval.analysis.quality.tracking import HELD
from coordeval.analysis.selftest.regimes import Regime, normal_grid
from coordeval.analysis.selftest.worlds import PRICE, Forecaster

HUNDREDTHS: Final = np.arange(101) / 100
_EDGES: Final = np.concatenate([[-np.inf], logit((np.arange(100) + 0.5) / 100), [np.inf]])
_COARSE, _KEPT = 801, 241  # nodes of x and of v where both are integrated over


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """How often a forecaster says each hundredth, and how often it then happens: (101,) each; `said` adds up to 1."""

    said: Floats
    hits: Floats


def table(who: Forecaster, regime: Regime) -> Table:
    """The joint law of what `who` says and what happens."""
    z, weight = normal_grid()
    latent = regime.latent(z)
    chance = _cells(who.slope * latent, float(np.hypot(who.kept, who.own)))
    return Table(said=weight @ chance, hits=(weight * expit(latent)) @ chance)


def measures(who: Forecaster, regime: Regime, *, bins: int = 10) -> Mapping[str, float]:
    """Measure -> its true value, for all `analysis.MEASURES`; what is corrected estimates what the plain one does."""
    mine = table(who, regime)
    said, hits = mine.said, mine.hits
    base = float(hits.sum())
    unc = base * (1 - base)
    score, theirs = brier(mine), brier(table(PRICE, regime))
    k = bin_index(HUNDREDTHS, bins=bins)
    n, p, y = (np.bincount(k, values, minlength=bins) for values in (said, said * HUNDREDTHS, hits))
    some = n > 0
    n, p, y = n[some], p[some], y[some]
    rel, res = float(np.sum((p - y) ** 2 / n)), float(np.sum(y * y / n) - base**2)
    wbv = float(said @ HUNDREDTHS**2 - np.sum(p * p / n))
    wbc = float(2 * (hits @ HUNDREDTHS - np.sum(p * y / n)))
    there = said > 0
    curve = isotonic_regression(hits[there] / said[there], weights=said[there]).x
    best = float(np.sum(said[there] * curve**2 - 2 * hits[there] * curve) + base)
    return {
        **{"brier": score, "alpha": theirs - score, "skill_market": 1 - score / theirs, "skill_base": 1 - score / unc},
        **{"rel": rel, "res": res, "unc": unc, "wbv": wbv, "wbc": wbc},
        **{"rel_corrected": rel, "res_corrected": res, "unc_corrected": unc},
        **{"mcb": score - best, "dsc": unc - best},
    }


def brier(mine: Table) -> float:
    """E (p − y)²."""
    return float(mine.said @ HUNDREDTHS**2 - 2 * mine.hits @ HUNDREDTHS + mine.hits.sum())


def pooled_brier(who: Forecaster, regime: Regime) -> float:
    """C = E (E[p | x, v] − y)²: what the mean of very many forecasts would score (`analysis.plain_sampling`)."""
    latent, weight, v, weight_v = _two(regime)
    mean = _cells_two(who, latent, v) @ HUNDREDTHS
    yes = expit(latent)[:, None]
    return float(weight @ ((mean * mean - 2 * mean * yes + yes) @ weight_v))


def follows(who: Forecaster, regime: Regime, *, within: float = 0.005) -> Mapping[str, float]:
    """Measure -> its true value, for all of `analysis.quality.tracking`, from the joint law of forecast, price, outcome."""
    z, weight = normal_grid()
    latent = regime.latent(z)
    mine = _cells(who.slope * latent, float(np.hypot(who.kept, who.own)))
    price = _cells(PRICE.slope * latent, float(np.hypot(PRICE.kept, PRICE.own)))
    both = (mine * weight[:, None]).T @ price  # (101, 101): forecast, price
    hits = (mine * (weight * expit(latent))[:, None]).T @ price
    p, m = HUNDREDTHS[:, None], HUNDREDTHS[None, :]
    said = clipped_logit(HUNDREDTHS, epsilon=HELD)
    y, x = said[:, None], said[None, :]

    def mean(values: Floats) -> float:
        return float(np.sum(both * values))

    slope = (mean(x * y) - mean(x + 0 * y) * mean(y + 0 * x)) / (mean(x * x + 0 * y) - mean(x + 0 * y) ** 2)

    def score(w: float) -> float:
        return float(np.sum((y - x) * (hits - both * expit(x + w * (y - x)))))

    w = brentq(score, -20, 20)
    blend = expit(x + w * (y - x))

    def error(q: Floats) -> float:
        return float(np.sum(both * q * q - 2 * hits * q + hits))

    return {
        "near": mean(np.asarray(np.abs(p - m) <= within + 1e-12, np.float64)),
        **{"slope": slope, "intercept": mean(y + 0 * x) - slope * mean(x + 0 * y)},
        **{"blend_weight": float(w), "blend_gain": error(expit(x) + 0 * p) - error(blend)},
    }


def components(forecasters: Sequence[Forecaster], regime: Regime) -> Mapping[str, float]:
    """The true variance components of the squared error, of these configurations (`analysis.plan.variance`).

    With m_ij = E[e | market i, configuration j] and S the covariance of m_ij over markets, (b, b):
    replicate E Var(e | i, j); market × configuration (tr S − 1ᵀS1/b)/(b − 1); market (1ᵀS1/b − that)/b; configuration the
    variance of the b mean errors, ddof = 1.
    """
    latent, weight, v, weight_v = _two(regime)
    yes = expit(latent)
    b = len(forecasters)
    given = np.empty((2, b, latent.size))  # E[m_ij | x, y]
    second, within = np.empty(b), 0.0
    for j, who in enumerate(forecasters):
        chance = _cells_two(who, latent, v)
        second[j] = 0.0
        for y, how_often in ((0, 1 - yes), (1, yes)):
            m = chance @ (HUNDREDTHS - y) ** 2
            given[y, j] = m @ weight_v
            second[j] += float((weight * how_often) @ (m * m @ weight_v))
            within += float((weight * how_often) @ (chance @ (HUNDREDTHS - y) ** 4 - m * m) @ weight_v) / b
    chances = np.stack([weight * (1 - yes), weight * yes])
    mean = np.einsum("yx,yjx->j", chances, given)
    s = np.einsum("yx,yjx,ykx->jk", chances, given, given)
    s[np.diag_indices(b)] = second
    s -= np.outer(mean, mean)
    together = float(s.sum()) / b
    both = (float(np.trace(s)) - together) / (b - 1)
    return {
        "market": (together - both) / b,
        "configuration": float(mean.var(ddof=1)),
        "market × configuration": both,
        "replicate": within,
    }


def _cells(centre: Floats, sd: float) -> Floats:
    """P(each hundredth), (nodes, 101), of a logit that is normal about `centre`."""
    if sd == 0:
        return np.asarray(np.round(expit(centre), 2)[:, None] == HUNDREDTHS, np.float64)
    return np.asarray(np.diff(ndtr((_EDGES - centre[:, None]) / sd), axis=1), np.float64)


def _cells_two(who: Forecaster, latent: Floats, v: Floats) -> Floats:
    """P(each hundredth | x, v), (nodes of x, nodes of v, 101)."""
    centre = who.slope * latent[:, None] + who.kept * v
    return _cells(centre.ravel(), who.own).reshape(*centre.shape, HUNDREDTHS.size)


def _two(regime: Regime) -> tuple[Floats, Floats, Floats, Floats]:
    """Nodes and weights of x and of v."""
    z, weight = normal_grid(_COARSE)
    v, weight_v = normal_grid(_KEPT)
    return regime.latent(z), weight, v, weight_v
