"""Is coordination better than spending the same money on plain sampling, the mean of k forecasts by one agent each?"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats, at_least, estimates, outcomes
from coordeval.analysis.base.estimates import padded
from coordeval.analysis.base.frames import Scored
from coordeval.analysis.base.grid import PRICE, Grid, grid
from coordeval.analysis.base.numerals import SAME
from coordeval.analysis.base.resampling import (
    AMOUNT,
    APART,
    PLAIN,
    UNIT,
    Draws,
    Resamples,
    interval,
    measured,
    ratio,
    scarce,
    tails,
)

LONE: Final = "single_agent"
SAMPLING: Final = "plain sampling"
"""The row of `ComputeMatched.to_match` that stands for the curve."""
_KINDS = ("premium", "k", "brier", "cost", "target", "reach", "per dollar")
_TABLE: Final[dict[str, Any]] = {
    **{"configuration": pl.String, "n_markets": pl.Int64},
    **dict.fromkeys(("cost", "k", "brier", "matched", "premium", "low", "high"), pl.Float64),
    "apart": pl.Boolean,
    "reason": pl.String,
}
_CURVE: Final[dict[str, Any]] = {
    "k": pl.Int64,
    **dict.fromkeys(("cost", "brier", "low", "high"), pl.Float64),
    "reason": pl.String,
}
_MATCH: Final[dict[str, Any]] = {
    "configuration": pl.String,
    **dict.fromkeys(("target", "cost", "low", "high", "reached"), pl.Float64),
    "reason": pl.String,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """E_k = V/k + C(1 − 1/k): the expected Brier score of the mean of k independent forecasts."""

    v: float
    """E_1, the expected Brier score of one."""
    c: float
    """The limit for k → ∞: what sampling cannot remove."""
    n_markets: int
    """Markets with at least two draws."""

    def brier(self, k: float) -> float:
        """E_k, for k ≥ 1, which need not be whole."""
        if not k >= 1:
            raise AnalysisError(f"k is {k!r}: it must be at least 1, for nobody can ask for less than one forecast")
        return self.v / k + self.c * (1 - 1 / k)

    def forecasts_for(self, brier: float) -> float | None:
        """The k ≥ 1 at which the curve reaches `brier`, not rounded; None where it never does."""
        if brier >= self.v:
            return 1.0
        return (self.v - self.c) / (brier - self.c) if brier > self.c else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeMatched:
    """Every configuration beside plain sampling at its own cost, on the markets where both are known."""

    table: pl.DataFrame
    """configuration, n_markets, cost, k, brier, matched, premium, low, high, apart, reason.

    `k`: cost in lone forecasts. `matched`: E_k at that cost, E_1 if it costs less than one. `premium` = matched − brier:
    positive means that coordination did better than plain sampling for the same money. `apart`: its interval of level
    1 − `alpha` is without 0; None where it has none.
    """
    curve: pl.DataFrame
    """k, cost, brier, low, high, reason."""
    to_match: pl.DataFrame
    """configuration (and the curve as SAMPLING), target, cost, low, high, reached, reason: USD per market to reach it.

    The target is a Brier score; the market price's, on those of the markets whose price is known and resampled with them, if
    none was given. A configuration costs what it costs if it reaches the target, which it does in the share `reached` of the
    resamples, and `low` and `high` are quantiles over all of them. The cost of SAMPLING is a ratio whose denominator may be
    0, so its ends are 1 over those of the inverse, and not below those of one forecast. An end is None where it is not
    reached.
    """
    exact: Curve | None
    cost: float | None
    """USD of one lone forecast, per market."""
    reason: str | None
    """Why there is no curve."""
    n: int
    seed: int
    level: float
    alpha: float
    """Of the test `apart`, which may be one of many; `low` and `high` are those of `level` all the same."""


@asked
def moments(p: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """V_i = mean_j (p_j − y)² and C_i = mean_{j≠l} (p_j − y)(p_l − y) of each market, exact, without resampling.

    `p`: (markets, draws), NaN where there is none; `y`: (markets,). NaN where a market has fewer than two draws.
    Raises AnalysisError where a forecast lies outside [0, 1], or the shapes do not fit.

    >>> from coordeval.analysis import moments
    >>> v, c = moments([[0.6, 0.8], [0.3, float("nan")]], [1, 0])
    >>> v.round(4).tolist(), c.round(4).tolist()
    ([0.1, nan], [0.08, nan])
    """
    values = estimates(p)
    if np.shape(y) != values.shape[:1]:
        raise AnalysisError(f"p has the shape {values.shape}, y {np.shape(y)}: give (markets, draws) and (markets,)")
    error = values - outcomes(y, like=np.zeros(values.shape[0]))[:, None]
    count = np.sum(~np.isnan(error), axis=1)
    total, squares = np.nan_to_num(error).sum(axis=1), np.nan_to_num(error**2).sum(axis=1)
    pairs = count * (count - 1)
    return np.where(pairs > 0, ratio(squares, count), np.nan), ratio(total**2 - squares, pairs)


@asked
def plain_sampling(p: ArrayLike, y: ArrayLike) -> Curve | None:
    """The curve of draws `p`, (markets, draws), over the markets with two or more; None where no market has.

    Raises AnalysisError as `moments` does.

    >>> from coordeval.analysis import plain_sampling
    >>> curve = plain_sampling([[0.6, 0.9], [0.3, 0.1]], [1, 0])
    >>> [round(curve.brier(k), 4) for k in (1, 2, 4)], round(curve.c, 4), round(curve.forecasts_for(0.05), 2)
    ([0.0675, 0.0513, 0.0431], 0.035, 2.17)
    """
    v, c = moments(p, y)
    there = ~np.isnan(c)
    if not there.any():
        return None
    return Curve(v=float(v[there].mean()), c=float(c[there].mean()), n_markets=int(there.sum()))


@asked
def compute_matched(
    scored: Scored,
    *,
    lone: str = LONE,
    draws: pl.DataFrame | None = None,
    target: float | None = None,
    sizes: Sequence[int] = tuple(range(1, 11)),
    n: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
    alpha: float | None = None,
) -> ComputeMatched:
    """The curve at cost k · c₁, each configuration's coordination premium E_{k(cost)} − BS, and the cost to match `target`.

    The draws are the replicates of the configuration `lone`, or the rows of `draws`: market_id, probability, cost_usd (null
    where unknown), each an independent forecast by one agent. Costs are those of the scored cells. Everything, costs
    included, is resampled by event, paired. `alpha`: of the test whether a premium is apart from 0; 1 − `level`.

    Raises:
        AnalysisError: nothing is scored, `draws` lacks a column, or an option is out of its range.

    >>> import polars as pl
    >>> from coordeval.analysis import compute_matched, example, scored
    >>> found = compute_matched(scored(example()), n=500)
    >>> found.table.select("configuration", pl.col("cost", "k", "brier", "matched", "premium").round(3)).rows()
    [('independent_ensemble', 0.03, 2.999, 0.189, 0.201, 0.012), ('peer_critique_debate', 0.061, 6.013, 0.189, 0.198, 0.01)]
    """
    for k in sizes:
        at_least("sizes", k, 1)
    sample = grid(scored)
    if draws is None:
        draws = scored.frame.filter(configuration=lone)
        missing = f"no market has two forecasts by {lone}: sample it twice, or give draws"
    else:
        missing = "no scored market has two draws"
    if absent := [name for name in ("market_id", "probability", "cost_usd") if name not in draws.columns]:
        raise AnalysisError(f"draws lacks {', '.join(absent)}: give one row per forecast by one agent")
    errors = sample.errors()
    v, c, lone_cost = _lone(sample, draws)
    goal = np.full(v.size, np.nan if target is None else target)
    if target is None and sample.configurations[-1] == PRICE:
        goal = errors[:, -1]
    names = [name for name in sample.configurations if name not in (PRICE, lone)]
    costs = _costs(sample, scored.frame, names)
    units = [_unit(v, c, lone_cost, error=v, cost=lone_cost, goal=goal)]
    units += [
        _unit(v, c, lone_cost, error=errors[:, sample.configurations.index(name)], cost=costs[:, j], goal=goal)
        for j, name in enumerate(names)
    ]
    resamples = Resamples(events=len(sample.events), n=n, seed=seed)
    drawn = measured(sample.by_event(np.stack(units, axis=-1)), _matched, resamples, left_out=True)
    known = ~np.isnan(c)
    events = int(np.unique(sample.event[known]).size)
    alpha = 1 - level if alpha is None else alpha

    def row(name: str, unit: int) -> dict[str, Any]:
        n_markets = int(units[unit][:, 0].sum())
        values = dict(zip(_KINDS, (_number(x) for x in drawn.estimate[:, unit]), strict=True))
        found = interval(drawn, 0, unit, method=PLAIN, events=events, level=level, bounds=APART)
        strict = interval(drawn, 0, unit, method=PLAIN, events=events, level=1 - alpha, bounds=APART)
        apart = None if strict.low is None or strict.high is None else strict.low > 0 or strict.high < 0
        why = found.reason and f"low, high: {found.reason}"
        if apart is None and strict.reason != found.reason:
            why = "; ".join(filter(None, (why, f"apart: {strict.reason}")))
        if not n_markets:
            why = "no market has both its forecast and two draws" if known.any() else missing
        elif values["k"] is None:
            why = "its cost or that of a lone forecast is unknown or 0"
        if values["premium"] is not None and values["brier"] is not None:
            values["matched"] = values["premium"] + values["brier"]
        ends = {"low": found.low, "high": found.high, "apart": apart}
        return {"configuration": name, "n_markets": n_markets, **values, **ends, "reason": why}

    return ComputeMatched(
        table=_frame([row(name, 1 + j) for j, name in enumerate(names)], _TABLE),
        curve=_curve(sample, units[0], sizes, resamples, level=level, events=events, missing=missing),
        to_match=_frame(
            [_reaches(drawn, name, j, events=events, level=level) for j, name in enumerate((SAMPLING, *names))], _MATCH
        ),
        exact=Curve(v=float(v[known].mean()), c=float(c[known].mean()), n_markets=int(known.sum())) if known.any() else None,
        cost=_number(drawn.estimate[3, 0]),
        reason=None if known.any() else missing,
        n=n,
        seed=seed,
        level=level,
        alpha=alpha,
    )


def _reaches(drawn: Draws, name: str, unit: int, *, events: int, level: float) -> dict[str, Any]:
    """A row of `ComputeMatched.to_match`."""
    ends = drawn.resampled[:, 5, unit]
    ends = ends[~np.isnan(ends)]
    cost, aim = drawn.estimate[5, unit], drawn.estimate[4, unit]
    share = float(np.mean(ends < inf)) if ends.size and events > 1 else None
    low = high = inf
    why = []
    if np.isnan(aim) or np.isnan(cost):
        why.append("the target or a cost is unknown")
    elif cost == inf:
        why.append("it does not reach the target")
    if share is None:
        why += ["reached: one event"] if ends.size else []
    elif too_few := scarce(events, level):
        why.append(f"low, high: {too_few}")
    else:
        low, high = np.quantile(ends, tails(events, level), method="inverted_cdf")
        undefined: str | None = "the same in every resample" if low == high else None
        if name == SAMPLING:
            highest = float(high) if share == 1 else inf
            low, high, undefined = _turned(drawn, unit, highest, events=events, level=level)
        if undefined:
            low, high = inf, inf
            why.append(f"low, high: {undefined}")
        elif high == inf:
            why.append(f"high: {1 - share:.1%} of the resamples do not reach it")
    values = {"cost": _number(cost), "target": _number(aim), "low": _number(low), "high": _number(high)}
    return {"configuration": name, **values, "reached": share, "reason": "; ".join(why) or None}


def _turned(drawn: Draws, unit: int, highest: float, *, events: int, level: float) -> tuple[float, float, str | None]:
    """Ends of the cost of sampling, or why it has none: 1 over what a dollar buys, and not below one forecast."""
    bought, one = (interval(drawn, kind, unit, method=PLAIN, events=events, level=level, bounds=AMOUNT) for kind in (6, 3))
    if bought.low is None or bought.high is None:
        return inf, inf, bought.reason
    least = (max(0.0, one.low), one.high) if one.low is not None and one.high is not None else (drawn.estimate[3, unit],) * 2
    cheap, dear = (1 / end if end > 0 else highest for end in (bought.high, bought.low))
    return max(cheap, float(least[0])), max(dear, float(least[1])), None


def _curve(
    sample: Grid, unit: Floats, sizes: Sequence[int], resamples: Resamples, *, level: float, events: int, missing: str
) -> pl.DataFrame:
    whole = np.array(sizes, dtype=np.float64)[:, None]

    def path(sums: Floats) -> Floats:
        return _expected(sums[:, 0:1], sums[:, 1:2], sums[:, 2:3], whole)

    drawn = measured(sample.by_event(unit[:, :, None]), path, resamples, left_out=True)
    n, cost = unit[:, 0].sum(), unit[:, 5].sum()
    rows = []
    for k, size in enumerate(sizes):
        found = interval(drawn, k, 0, method=PLAIN, events=events, level=level, bounds=UNIT)
        why = found.reason if n else missing
        ends = (found.low, found.high)
        rows.append((size, float(size * cost / n) if cost > 0 else None, _number(drawn.estimate[k, 0]), *ends, why))
    return pl.DataFrame(rows, schema=_CURVE, orient="row")


def _lone(sample: Grid, draws: pl.DataFrame) -> tuple[Floats, Floats, Floats]:
    """V, C and the mean cost of a draw of each market of the sample; NaN where there are not two, or a cost is unknown."""
    each = (
        draws.drop_nulls("probability")
        .group_by("market_id", maintain_order=True)
        .agg(
            pl.col("probability").cast(pl.Float64),
            pl.when(pl.col("cost_usd").is_not_null().all()).then(pl.col("cost_usd").mean()),
        )
    )
    mine = pl.DataFrame({"market_id": sample.markets}).join(each, on="market_id", how="left", maintain_order="left")
    p = padded(mine["probability"].fill_null([]))
    cost = mine["cost_usd"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    v, c = moments(p, sample.y)
    return np.where(np.isnan(c), np.nan, v), c, cost


def _costs(sample: Grid, frame: pl.DataFrame, names: Sequence[str]) -> Floats:
    """Mean cost of each market's scored cells, (markets, names); NaN where one is unknown or there is none."""
    mean = pl.when(pl.col("cost_usd").is_not_null().all()).then(pl.col("cost_usd").mean())
    found = frame.group_by("market_id", "configuration").agg(mean).drop_nulls()
    costs = np.full((len(sample.markets), len(names)), np.nan)
    rows, columns = (
        pl.DataFrame({key: keys}, schema={key: pl.String}).with_row_index(f"{key} place")
        for key, keys in (("market_id", sample.markets), ("configuration", names))
    )
    placed = found.join(rows, on="market_id").join(columns, on="configuration")
    costs[placed["market_id place"].to_numpy(), placed["configuration place"].to_numpy()] = placed["cost_usd"].to_numpy()
    return costs


def _unit(v: Floats, c: Floats, lone_cost: Floats, *, error: Floats, cost: Floats, goal: Floats) -> Floats:
    """Per market: n, V, C, error, cost, cost of a lone forecast, target, targets known. Costs are 0 if one is unknown."""
    there = ~np.isnan(c) & ~np.isnan(error)
    costs = np.stack([cost, lone_cost], axis=1) * (not np.isnan((cost + lone_cost)[there]).any())
    aim = there & ~np.isnan(goal)
    columns = np.column_stack([there, v, c, error, costs, np.where(aim, goal, 0), aim])
    return np.nan_to_num(np.where(there[:, None], columns, 0))


def _matched(sums: Floats) -> Floats:
    """premium, k, brier, cost, target, cost to match (∞ where it is not reached), and of sampling the inverse of that."""
    n, v, c, error, cost, lone, goal, aims = np.moveaxis(sums, 1, 0)
    k, brier, aim = ratio(cost, lone), ratio(error, n), ratio(goal, aims)
    price = np.where(lone > 0, ratio(cost, n), np.nan)
    reach = np.where(brier <= aim, price, np.where(np.isnan(aim + price), np.nan, inf))
    v1, c1 = ratio(v, n)[:, 0], ratio(c, n)[:, 0]
    differ = v1 - c1 > SAME * v1
    needed = np.where(differ, ratio(aim[:, 0] - c1, v1 - c1), np.where(aim[:, 0] >= v1, 1, 0))  # 1/k, above 1 where k < 1
    per_dollar = np.full_like(price, np.nan)
    per_dollar[:, 0] = needed * ratio(np.ones(len(price)), price[:, 0])
    share = np.minimum(needed, 1)
    with np.errstate(divide="ignore"):
        reach[:, 0] = np.where(share > 0, price[:, 0] / share, np.where(np.isnan(aim[:, 0] + price[:, 0]), np.nan, inf))
    return np.stack([_expected(n, v, c, np.maximum(k, 1)) - brier, k, brier, price, aim, reach, per_dollar], axis=1)


def _expected(n: Floats, v: Floats, c: Floats, k: Floats) -> Floats:
    return ratio(v, n) / k + ratio(c, n) * (1 - 1 / k)


def _number(x: float) -> float | None:
    return float(x) if np.isfinite(x) else None


def _frame(rows: list[dict[str, Any]], schema: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([{column: row.get(column) for column in schema} for row in rows], schema=schema)
