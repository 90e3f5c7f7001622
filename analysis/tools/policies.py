"""Brier score against calls: never, always, the agent's own choice, chance, an estimator, and the best that was possible.

Every policy gives tools to some cases; its score is the mean of scores with a call there and of those without elsewhere.
`always` and all that is chosen rest on draws in which the agent did call, which are its own choice: where it calls when its
draw would have been bad, they look worse than a call is.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats
from coordeval.analysis.base.events import mean_of, summary
from coordeval.analysis.base.resampling import APART, UNIT, Resamples
from coordeval.analysis.tools.answers import Paired, mean_of_rows
from coordeval.analysis.tools.need import UNUSED
from coordeval.analysis.tools.posterior import ONE, of_utility

NEVER, ALWAYS, OWN, ESTIMATOR = "never", "always", "own choice", "estimator"
CHANCE, SPLIT, BEST = "chance", "best, chosen on half the draws", "best possible"
_POINTS: Final = 51
_SAMPLES: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """What each policy scores."""

    points: pl.DataFrame
    """policy, share (of cases given tools), calls, brier, low, high, gain, gain_low, gain_high, cost_usd, reason. `gain`:
    the score of never calling minus this one; above 0 the policy is better."""
    curve: pl.DataFrame
    """policy, share, calls, brier: of those that can be held to any number of calls, best cases first."""
    n_cases: int
    n_events: int
    left_out: int
    """Cases in which no draw called a tool."""
    reasons: dict[str, str]
    """Policy -> why it is not there."""
    n: int
    seed: int
    level: float


@asked
def policies(
    found: Paired, *, predicted: Floats | None = None, least: float = 0.0, n: int = 2_000, seed: int = 0, level: float = 0.95
) -> Policies:
    """`predicted`: (cases,) utilities by an estimator that has not seen the case's event; it calls where one is over
    `least`, and not where it is NaN.

    The best is known in two ways: `best, chosen on half the draws`: cases are ranked by one half of their draws and judged
    on the other, which is fair and a little too low; `best possible`: the best K of the true utilities that noise allows
    (`posterior`), which is what a perfect estimator of this case's outcome would reach.

    Raises:
        AnalysisError: `predicted` has another length, or no draw called a tool.

    >>> from coordeval.analysis import policies
    >>> from coordeval.analysis.tools.example import tool_example
    >>> told = policies(tool_example(), n=100)
    >>> told.points.select("policy", "brier").filter(policy="never")["brier"].round(3).to_list()
    [0.158]
    """
    if predicted is not None and len(predicted) != len(found.case):
        raise AnalysisError(f"predicted has {len(predicted)} values, there are {len(found.case)} cases: give one for each")
    tried = found.tried
    if not tried.any():
        raise AnalysisError(UNUSED)
    kept = found.only(tried)
    ahead = None if predicted is None else np.asarray(predicted, np.float64)[tried]
    bare, used, own = (mean_of_rows(values) for values in (kept.without, kept.used, kept.given))
    spent = mean_of_rows(np.where(kept.calls > 0, kept.calls, np.nan))
    chosen: dict[str, tuple[Floats, Floats, Floats, float]] = {}
    for name, pick in ((NEVER, np.zeros_like(bare)), (ALWAYS, np.ones_like(bare))):
        chosen[name] = (np.where(pick > 0, used, bare), pick * spent, pick, float(pick.mean()))
    called = mean_of_rows(np.where(np.isnan(kept.calls), np.nan, kept.calls > 0))
    chosen[OWN] = (own, mean_of_rows(kept.calls), called, float(called.mean()))
    reasons: dict[str, str] = {}
    if ahead is None:
        reasons[ESTIMATOR] = "no gate was given: `coordeval tools fit` makes one"
    else:
        pick = (ahead > least).astype(np.float64)
        chosen[ESTIMATOR] = (np.where(pick > 0, used, bare), pick * spent, pick, float(pick.mean()))
    resamples = Resamples(events=kept.events, n=n, seed=seed)
    ones = np.ones_like(bare)
    rows = []
    for name, (score, calls, pick, share) in chosen.items():
        how: dict[str, Any] = {"resamples": resamples, "level": level}
        told = summary(np.stack([ones, score], 1), kept.event, mean_of, bounds=UNIT, outcome=kept.outcome, **how)
        gain = summary(np.stack([ones, bare - score], 1), kept.event, mean_of, bounds=APART, **how)
        dear = kept.cost[:, 1] if name == OWN else kept.cost[:, 0] + pick * (kept.cost[:, 2] - kept.cost[:, 0])
        cost = float(np.mean(dear))
        row: dict[str, Any] = {"policy": name, "share": share, "calls": float(calls.mean()), "brier": told["estimate"]}
        row |= {"low": told["low"], "high": told["high"], "gain": gain["estimate"], "gain_low": gain["low"]}
        row |= {"gain_high": gain["high"], "cost_usd": None if np.isnan(cost) else cost}
        why = [told["reason"], None if name != NEVER else "gain_low, gain_high: it is what the others are set against"]
        why.append("cost_usd: a price is not known" if np.isnan(cost) else None)
        rows.append(row | {"reason": "; ".join(dict.fromkeys(w for w in why if w)) or None})
    curve = _Curve(kept, bare, used, spent)
    lines = [curve.chance()]
    if ahead is not None:
        lines.append(curve.ranked(ESTIMATOR, ahead, bare - used))
    for line, name in ((curve.split(), SPLIT), (curve.best(seed), BEST)):
        if line is None:
            reasons[name] = ONE
        else:
            lines.append(line)
    numbers = ("share", "calls", "brier", "low", "high", "gain", "gain_low", "gain_high", "cost_usd")
    schema: dict[str, Any] = {"policy": pl.String, **dict.fromkeys(numbers, pl.Float64), "reason": pl.String}
    return Policies(
        points=pl.DataFrame(rows, schema=schema),
        curve=pl.concat(lines),
        n_cases=len(bare),
        n_events=kept.events,
        left_out=int((~tried).sum()),
        reasons=reasons,
        n=n,
        seed=seed,
        level=level,
    )


class _Curve:
    """Lines over the share of cases that are given tools."""

    def __init__(self, kept: Paired, bare: Floats, used: Floats, spent: Floats) -> None:
        self._kept, self._bare, self._used, self._spent = kept, bare, used, spent
        self._sizes = np.unique(np.linspace(0, len(bare), _POINTS).round().astype(int))

    def chance(self) -> pl.DataFrame:
        share = self._sizes / len(self._bare)
        return self._line(CHANCE, share * self._spent.mean(), self._bare.mean() - share * (self._bare - self._used).mean())

    def ranked(self, name: str, by: Floats, gain: Floats) -> pl.DataFrame:
        """The cases with the highest `by` first; what each gains is `gain`."""
        order = np.argsort(-by, kind="stable")
        return self._line(name, self._sums(self._spent[order]), self._bare.mean() - self._sums(gain[order]))

    def split(self) -> pl.DataFrame | None:
        halves = [self._half(k) for k in (0, 1)]
        both = ~np.isnan(halves[0]) & ~np.isnan(halves[1])
        if not both.any():
            return None
        lines = []
        for ranking, judged in (halves, halves[::-1]):
            # a case that one half does not know is ranked last and gains what is seen of it
            order = np.argsort(-np.where(both, ranking, -np.inf), kind="stable")
            gain = np.where(both, judged, self._bare - self._used)
            lines.append(self.ranked(SPLIT, -np.argsort(order).astype(np.float64), gain))
        mean = [(lines[0][name] + lines[1][name]) / 2 for name in ("calls", "brier")]
        return self._line(SPLIT, mean[0].to_numpy(), mean[1].to_numpy())

    def best(self, seed: int) -> pl.DataFrame | None:
        known = of_utility(self._kept.without, self._kept.used)
        if known is None:
            return None
        rng = np.random.default_rng(seed)
        drawn = known.mean + known.sd * rng.standard_normal((_SAMPLES, len(self._bare)))
        gain = np.sort(drawn, axis=1)[:, ::-1].mean(axis=0)
        order = np.argsort(-known.mean, kind="stable")
        return self._line(BEST, self._sums(self._spent[order]), self._bare.mean() - self._sums(gain))

    def _half(self, k: int) -> Floats:
        """(cases,): the utility by every other draw, NaN where the half has none of either kind."""
        return mean_of_rows(_every_other(self._kept.without, k)) - mean_of_rows(_every_other(self._kept.used, k))

    def _sums(self, values: Floats) -> Floats:
        return np.asarray(np.concatenate([[0.0], np.cumsum(values)])[self._sizes] / len(values), np.float64)

    def _line(self, name: str, calls: Any, brier: Any) -> pl.DataFrame:
        share = self._sizes / len(self._bare)
        return pl.DataFrame({"policy": [name] * len(share), "share": share, "calls": calls, "brier": brier})


def _every_other(values: Floats, k: int) -> Floats:
    """Of the draws that a row has, the first, third, ... (k = 0) or the others; NaN elsewhere."""
    there: NDArray[np.bool_] = ~np.isnan(values)
    number = np.cumsum(there, axis=1) - 1
    return np.asarray(np.where(there & (number % 2 == k), values, np.nan), np.float64)
