"""Murphy's decomposition of the Brier score over bins: five terms, bias-corrected, and the REL of a calibrated one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import Floats, Ints, at_least, chosen, outcomes, probabilities
from coordeval.analysis.base.numerals import SAME, distinct

Edges = Literal["decimal", "float", "quantile", "distinct"]
_BLOCK = 4_000_000  # simulated numbers held at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Decomposition:
    """BS = UNC + REL − RES + WBV − WBC, to rounding."""

    n: int
    occupied: int
    """Bins with a forecast in them."""
    alone: int
    """Bins with one forecast: the bias correction cannot see them."""
    brier: float
    rel: float
    """Reliability, Σ n_k(p̄_k − ȳ_k)²/N; 0 is calibrated."""
    res: float
    """Resolution, Σ n_k(ȳ_k − ȳ)²/N; more is better."""
    unc: float
    """Uncertainty, ȳ(1 − ȳ)."""
    wbv: float
    """Within-bin variance of the forecasts."""
    wbc: float
    """Twice the within-bin covariance of forecasts and outcomes."""
    rel_corrected: float | None
    res_corrected: float | None
    unc_corrected: float | None
    reasons: Mapping[str, str]
    """Field -> why it is None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NullReliability:
    """REL that a perfectly calibrated forecaster with the same forecasts would show."""

    mean: float
    low: float
    """2.5% of the draws are lower."""
    high: float
    """97.5% of the draws are lower."""
    n: int
    seed: int


@asked
def bin_index(p: ArrayLike, *, bins: int = 10, edges: Edges = "decimal") -> Ints:
    """The bin of each forecast, 0 ≤ k < K, nondecreasing in p; p = 1 is in the last. Shape (n_obs,).

    - `decimal`: [k/K, (k+1)/K): 0.3 is in [0.3, 0.4), and so is what lies under the edge by rounding only
      (`base.numerals.SAME`), such as a mean of three decimals.
    - `float`: the same with the edges of `numpy.linspace`, which put 0.3 into [0.2, 0.3): to reproduce a publication.
    - `quantile`: at most K bins of about equal counts; equal forecasts stay together.
    - `distinct`: one bin per distinct forecast; K is not used.

    Raises AnalysisError where a forecast lies outside [0, 1], or an option is unknown or out of its range.

    >>> from coordeval.analysis import bin_index
    >>> bin_index([0.05, 0.3, 1.0]).tolist(), bin_index([0.05, 0.3, 1.0], edges="float").tolist()
    ([0, 3, 9], [0, 2, 9])
    """
    chosen("edges", edges, get_args(Edges))
    at_least("bins", bins, 1)
    p = probabilities(p)
    if edges == "distinct":
        return distinct(p)[1]
    if edges == "quantile":
        values, place = distinct(p)
        p = values[place]
        upper = np.quantile(p, np.arange(1, bins) / bins, method="inverted_cdf")
        return np.searchsorted(upper, p, side="left").astype(np.int64)
    if edges == "float":
        return np.minimum(np.digitize(p, np.linspace(0, 1, bins + 1)) - 1, bins - 1).astype(np.int64)
    return np.minimum(np.floor((p + SAME) * bins).astype(np.int64), bins - 1)


@asked
def decompose(p: ArrayLike, y: ArrayLike, *, bins: int = 10, edges: Edges = "decimal") -> Decomposition:
    """The five terms over the bins of `bin_index`, and REL, RES, UNC corrected for their bias. `p`, `y`: (n_obs,).

    With B = Σ_{n_k>1} n_k ȳ_k(1 − ȳ_k)/(n_k − 1)/N: REL′ = REL − B, RES′ = RES − B + UNC/(N − 1), UNC′ = UNC·N/(N − 1).
    REL′ and RES′ may be negative. They are None where no bin has two forecasts (B is unknown), all three for N = 1.

    Sources: Murphy (1973); Stephenson, Coelho & Jolliffe (2008) for WBV and WBC; Ferro & Fricker (2012) for the correction.
    Raises AnalysisError as `bin_index` and `brier` do.

    >>> from coordeval.analysis import decompose
    >>> d = decompose([0.1, 0.1, 0.3, 0.8, 0.84], [0, 0, 1, 1, 0])
    >>> round(d.rel, 4), round(d.res, 4), round(d.unc, 4), round(d.rel_corrected, 4)
    (0.143, 0.14, 0.24, 0.043)
    >>> abs(d.brier - (d.unc + d.rel - d.res + d.wbv - d.wbc)) < 1e-12
    True
    """
    p = probabilities(p)
    y = outcomes(y, like=p)
    _, k, count = np.unique(bin_index(p, bins=bins, edges=edges), return_inverse=True, return_counts=True)
    n = p.size
    p_bar, y_bar, base = np.bincount(k, p) / count, np.bincount(k, y) / count, np.mean(y)
    unc = float(base * (1 - base))
    rel = float(count @ (p_bar - y_bar) ** 2 / n)
    res = float(count @ (y_bar - base) ** 2 / n)
    shared = count > 1
    bias = (
        float(np.sum(count[shared] * y_bar[shared] * (1 - y_bar[shared]) / (count[shared] - 1)) / n)
        if shared.any()
        else None
    )
    reasons = {}
    if bias is None:
        reasons = dict.fromkeys(
            ("rel_corrected", "res_corrected"), "no bin holds two forecasts: the bias cannot be estimated"
        )
    if n == 1:
        reasons["unc_corrected"] = "one forecast: a variance needs two"
    return Decomposition(
        n=n,
        occupied=count.size,
        alone=int(np.sum(~shared)),
        brier=float(np.mean((p - y) ** 2)),
        rel=rel,
        res=res,
        unc=unc,
        wbv=float(np.mean((p - p_bar[k]) ** 2)),
        wbc=float(2 * np.mean((p - p_bar[k]) * (y - y_bar[k]))),
        rel_corrected=None if bias is None else rel - bias,
        res_corrected=None if bias is None else res - bias + unc / (n - 1),
        unc_corrected=None if n == 1 else unc * n / (n - 1),
        reasons=reasons,
    )


@asked
def null_reliability(
    p: ArrayLike, *, bins: int = 10, edges: Edges = "decimal", n: int = 1000, seed: int = 0
) -> NullReliability:
    """REL of `n` draws y ~ Bernoulli(p), with the bins of `p`. The order of the forecasts does not matter.

    A REL inside [low, high] is no evidence of miscalibration. Source: Bröcker & Smith (2007).
    `p`: (n_obs,). Raises AnalysisError as `bin_index` does, or where `n` is less than 1.

    >>> from coordeval.analysis import decompose, null_reliability
    >>> p, y = [0.1] * 20 + [0.9] * 20, [0] * 16 + [1] * 24
    >>> null = null_reliability(p)
    >>> round(decompose(p, y).rel, 4), round(null.mean, 4), round(null.high, 4)
    (0.01, 0.0045, 0.0163)
    """
    at_least("n", n, 1)
    p = np.sort(probabilities(p))
    value, count = np.unique(p, return_counts=True)
    first, last = np.cumsum(count) - count, np.cumsum(count)
    k = bin_index(p, bins=bins, edges=edges)[first]
    starts = np.flatnonzero(np.diff(k, prepend=-1))
    size = np.add.reduceat(last - first, starts)
    rng = np.random.default_rng(seed)
    rows = max(1, _BLOCK // value.size)
    rel: Floats = np.concatenate(
        [
            np.add.reduceat(count * value - rng.binomial(count, value, (min(rows, n - done), value.size)), starts, axis=1)
            ** 2
            @ (1 / size)
            / p.size
            for done in range(0, n, rows)
        ]
    )
    low, high = np.quantile(rel, (0.025, 0.975))
    return NullReliability(mean=float(rel.mean()), low=float(low), high=float(high), n=n, seed=seed)
