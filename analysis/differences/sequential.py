"""Looking while the data come in: intervals and evidence that stay valid however often, and whenever, one looks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats
from coordeval.analysis.base.frames import Scored
from coordeval.analysis.base.grid import Grid, grid
from coordeval.analysis.base.numerals import without_rounding
from coordeval.analysis.base.resampling import ratio

_POINTS = 801  # candidate means, 7e-5 apart at 0 and 1.5% of their distance from it farther out
_DENSITY = 6.0
_BLOCK = 2_000_000  # numbers held at a time
_STRETCH = 128  # observations after which it is first looked for candidates that are out
_BOLDEST = 0.75  # the largest share of the capital that a bet can lose
_TABLE: Final[dict[str, Any]] = {
    **dict.fromkeys(("first", "second"), pl.String),
    "n_events": pl.Int64,
    **dict.fromkeys(("mean", "low", "high", "e_value", "p_value"), pl.Float64),
    "excluded_at": pl.Int64,
    "reason": pl.String,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceSequence:
    """After each observation, what is known of the mean of differences; (n,) arrays. Valid at all times together."""

    low: Floats
    high: Floats
    """The interval, which never widens. Where differences of changing mean contradict each other none is left: NaN."""
    e_value: Floats
    """Evidence against a mean of 0: a bet's capital, which under a true 0 ever reaches 1/α with probability at most α."""
    alpha: float

    @property
    def excluded_at(self) -> int | None:
        """Observations after which 0 was first outside; None if it never was."""
        out = np.flatnonzero(~((self.low <= 0) & (self.high >= 0)))
        return int(out[0]) + 1 if out.size else None

    @property
    def p_value(self) -> float:
        """min(1, 1/the largest e-value so far), valid at any stopping time."""
        return float(min(1.0, 1 / self.e_value.max()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequences:
    """A confidence sequence for every pair; each holds with probability 1 − alpha on its own."""

    table: pl.DataFrame
    """first, second, n_events, mean, low, high, e_value, p_value, excluded_at (events), reason: after the last event."""
    paths: Mapping[tuple[str, str], ConfidenceSequence]
    alpha: float


@asked
def confidence_sequence(d: ArrayLike, *, alpha: float = 0.05) -> ConfidenceSequence:
    """Hedged betting on the mean of independent differences `d`, (n,), each in [−1, 1], in the order in which they came.

    With x = (d + 1)/2 and a candidate mean m, capitals are K± = Π(1 ± λ±(x − m)), λ⁺ = min(λ, c/m), λ⁻ = min(λ, c/(1 − m))
    where the bet λₜ = √(2 ln(2/α) / (σ̂²ₜ₋₁ t ln(1 + t))) knows only what came before. Once max(K⁺, K⁻)/2 ≥ 1/α, m is out for
    good. The e-value is (K⁺ + K⁻)/2 at d = 0. Ends are rounded outwards to a grid. Source: Waudby-Smith & Ramdas (2024).

    c is 0.75: no bet risks more than that share of the capital.

    Raises:
        AnalysisError: no difference, one outside [−1, 1] or NaN, or `alpha` not strictly between 0 and 1.

    >>> from coordeval.analysis import confidence_sequence
    >>> found = confidence_sequence([-0.10, -0.16, -0.12, -0.14] * 50)
    >>> found.excluded_at, round(float(found.low[-1]), 2), round(float(found.high[-1]), 2)
    (40, -0.15, -0.1)
    """
    x, bets = _observed(d, alpha=alpha)
    candidates = np.sinh(np.linspace(-_DENSITY, _DENSITY, _POINTS)) / np.sinh(_DENSITY)
    first, last = np.full(x.size, _POINTS), np.full(x.size, -1)
    left = np.arange(_POINTS)  # a candidate that is out is out for good, so later stretches have fewer of them
    so_far = np.zeros((2, _POINTS))
    start = 0
    while start < x.size and left.size:
        end = min(x.size, start + max(_STRETCH, start // 4), start + max(1, _BLOCK // left.size))
        capital = np.stack(_capital(x[start:end], bets[start:end], (candidates[left] + 1) / 2)) + so_far[:, None, left]
        kept = np.logical_and.accumulate(capital.max(axis=0) < np.log(2 / alpha), axis=0)
        some = kept.any(axis=1)
        first[start:end] = np.where(some, left[kept.argmax(axis=1)], _POINTS)
        last[start:end] = np.where(some, left[kept.shape[1] - 1 - kept[:, ::-1].argmax(axis=1)], -1)
        so_far[:, left] = capital[:, -1]
        left, start = left[kept[-1]], end
    return ConfidenceSequence(
        low=np.where(last < 0, np.nan, candidates[np.clip(first - 1, 0, _POINTS - 1)]),
        high=np.where(last < 0, np.nan, candidates[np.clip(last + 1, 0, _POINTS - 1)]),
        e_value=_evidence(x, bets),
        alpha=alpha,
    )


@asked
def e_values(d: ArrayLike, *, alpha: float = 0.05) -> Floats:
    """`ConfidenceSequence.e_value` alone, which costs next to nothing; `alpha` is what the bets aim at.

    Raises AnalysisError as `confidence_sequence` does.

    >>> from coordeval.analysis import e_values
    >>> e_values([-0.10, -0.16, -0.12, -0.14] * 25)[[0, 49, 99]].round(2).tolist()
    [1.0, 52.07, 5424.4]
    """
    return _evidence(*_observed(d, alpha=alpha))


@asked
def sequences(scored: Scored, *, alpha: float = 0.05, order: Sequence[str] | None = None) -> Sequences:
    """Every pair of configurations, and each with the market price: the mean over events of an event's mean Δ Brier.

    Markets of one event are one observation, because only events are independent. `order` lists markets as they resolved;
    an event counts from its last one. Without it events come in the order of their names, which says nothing of the results.

    Raises:
        AnalysisError: nothing is scored, or `order` lacks a scored market.

    >>> import polars as pl
    >>> from coordeval.analysis import example, scored, sequences
    >>> found = sequences(scored(example()))
    >>> found.table.select("first", "second", "n_events", pl.col("mean", "low", "high", "e_value").round(2)).row(0)
    ('independent_ensemble', 'peer_critique_debate', 27, 0.0, -0.17, 0.17, 0.99)
    """
    sample = grid(scored)
    errors = sample.errors()
    turn = _turns(sample, order)
    rows: list[dict[str, Any]] = []
    paths: dict[tuple[str, str], ConfidenceSequence] = {}
    for i, j in combinations(range(len(sample.configurations)), 2):
        pair = (sample.configurations[i], sample.configurations[j])
        d = without_rounding(errors[:, i] - errors[:, j])
        sums = sample.by_event(np.stack([np.nan_to_num(d), ~np.isnan(d)], axis=1))[turn]
        means = ratio(sums[:, 0], sums[:, 1])
        means = means[~np.isnan(means)]
        row: dict[str, Any] = dict.fromkeys(_TABLE) | {"first": pair[0], "second": pair[1], "n_events": means.size}
        if means.size:
            path = paths[pair] = confidence_sequence(means, alpha=alpha)
            row |= {"mean": float(means.mean()), "e_value": float(path.e_value[-1]), "p_value": path.p_value}
            row |= {"excluded_at": path.excluded_at}
            if np.isnan(path.low[-1]):
                row["reason"] = "low, high: no mean fits the whole sequence, so the mean changed on the way"
            else:
                row |= {"low": float(path.low[-1]), "high": float(path.high[-1])}
        else:
            row["reason"] = "no market was scored for both"
        rows.append(row)
    return Sequences(table=pl.DataFrame(rows, schema=_TABLE), paths=paths, alpha=alpha)


def _observed(d: ArrayLike, *, alpha: float) -> tuple[Floats, Floats]:
    """The differences moved to [0, 1], and the bet on each."""
    if not 0 < alpha < 1:
        raise AnalysisError(f"alpha is {alpha!r}: it must lie strictly between 0 and 1, such as 0.05")
    values = np.asarray(d, dtype=np.float64)
    if values.ndim != 1 or not values.size:
        raise AnalysisError(f"d has the shape {values.shape}: give a one-dimensional array with at least one difference")
    if (wrong := np.flatnonzero(~(np.abs(values) <= 1))).size:
        raise AnalysisError(
            f"d[{wrong[0]}] is {values[wrong[0]]}: a difference of Brier scores lies in [−1, 1]; drop missing ones"
        )
    x = (values + 1) / 2
    return x, _bets(x, alpha=alpha)


def _evidence(x: Floats, bets: Floats) -> Floats:
    up, down = _capital(x, bets, np.array([0.5]))
    return np.asarray(np.exp(np.minimum(np.logaddexp(up, down)[:, 0] - np.log(2), 700.0)), np.float64)


def _bets(x: Floats, *, alpha: float) -> Floats:
    """λₜ, before it is capped: from x₁ … xₜ₋₁ alone."""
    t = np.arange(1, x.size + 1)
    mean = (0.5 + np.cumsum(x)) / (t + 1)
    variance = (0.25 + np.cumsum((x - mean) ** 2)) / (t + 1)
    before = np.concatenate(([0.25], variance[:-1]))
    return np.asarray(np.sqrt(2 * np.log(2 / alpha) / (before * t * np.log1p(t))), np.float64)


def _capital(x: Floats, bets: Floats, m: Floats) -> tuple[Floats, Floats]:
    """ln K⁺ and ln K⁻ after each observation, (n, candidates)."""
    gain = x[:, None] - m
    up = np.minimum(bets[:, None], _BOLDEST / np.maximum(m, 1e-12))
    down = np.minimum(bets[:, None], _BOLDEST / np.maximum(1 - m, 1e-12))
    return np.cumsum(np.log1p(up * gain), axis=0), np.cumsum(np.log1p(-down * gain), axis=0)


def _turns(sample: Grid, order: Sequence[str] | None) -> Any:
    """The events of the sample in the order in which their last market came."""
    if order is None:
        return np.arange(len(sample.events))
    place = {market: k for k, market in enumerate(order)}
    if absent := [market for market in sample.markets if market not in place]:
        raise AnalysisError(f"order lacks the market {absent[0]!r}: list every scored market as it resolved")
    when = np.array([place[market] for market in sample.markets])
    latest = np.zeros(len(sample.events), dtype=np.int64)
    np.maximum.at(latest, sample.event, when)
    return np.argsort(latest, kind="stable")
