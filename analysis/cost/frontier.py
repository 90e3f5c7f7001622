"""How surely a configuration is on the frontier of cost and Brier score, and which places on it are only ties."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats, finite
from coordeval.analysis.base.frames import Policy, scored, validated
from coordeval.analysis.base.grid import PRICE, Grid, grid
from coordeval.analysis.base.numerals import SAME
from coordeval.analysis.base.resampling import AMOUNT, PLAIN, UNIT, Draws, Resamples, interval, measured, ratio
from coordeval.analysis.cost.pareto import Placement, pareto_frontier
from coordeval.analysis.differences.replicates import spread

_SCHEMA: Final[dict[str, Any]] = {
    "configuration": pl.String,
    **dict.fromkeys(("cost", "cost_low", "cost_high", "brier", "brier_low", "brier_high"), pl.Float64),
    "on_frontier": pl.Boolean,
    "probability": pl.Float64,
    "dominated_by": pl.List(pl.String),
    "on_epsilon_frontier": pl.Boolean,
    "epsilon_dominated_by": pl.List(pl.String),
    "reason": pl.String,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """The frontier over (USD per market, Brier score), both minimised, of the sample and over its resamples."""

    table: pl.DataFrame
    """configuration, cost, cost_low, cost_high, brier, brier_low, brier_high, on_frontier, probability, dominated_by,
    on_epsilon_frontier, epsilon_dominated_by, reason (of every null); by increasing cost.

    `probability`: share of the resamples in which it is on the strict frontier.
    """
    dominance: pl.DataFrame
    """dominating, dominated, strict (in the sample), probability: every ordered pair that dominates somewhere."""
    hypervolume: float | None
    """Area between the frontier and the reference point, in USD · Brier points."""
    hypervolume_low: float | None
    hypervolume_high: float | None
    reference: tuple[float, float] | None
    """(cost, Brier score) that the hypervolume is measured from."""
    epsilon_brier: float | None
    epsilon_cost: float | None
    """Differences that are no larger count as ties on the ε-frontier."""
    reasons: dict[str, str]
    """Field -> why it is None."""
    n: int
    seed: int
    level: float


@asked
def frontier(
    frame: pl.DataFrame,
    *,
    policy: Policy = "common",
    epsilon_brier: float | None = None,
    epsilon_cost: float | None = None,
    reference: tuple[float, float] | None = None,
    n: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> Frontier:
    """Cost is the mean over all cells of a configuration, failed ones too; each market's score the mean of its replicates.

    Events are resampled with their markets' scores and costs together. With ties of ε, a configuration is dominated by one
    that is at most ε worse in either and more than ε better in one; no cycle of such dominance exists, so the ε-frontier is
    never empty. ε is by default the mean difference between two replicates of one configuration, in each of the two. The
    reference point is by default (the highest cost, 0.25): a Brier score of 0.25 is what a constant 0.5 earns.

    `cost` is in USD per market.

    Raises:
        AnalysisError: the frame breaks a rule, nothing is scored, an ε is negative, or an option is unknown.

    >>> import polars as pl
    >>> from coordeval.analysis import example, frontier
    >>> found = frontier(example(), n=500)
    >>> found.table.select("configuration", pl.col("cost").round(3), "on_frontier").rows()
    [('single_agent', 0.01, True), ('independent_ensemble', 0.03, True), ('peer_critique_debate', 0.061, True)]
    >>> found.table["probability"].round(1).to_list()
    [1.0, 0.9, 0.5]
    """
    for option, value in (("epsilon_brier", epsilon_brier), ("epsilon_cost", epsilon_cost)):
        if value is not None and not value >= 0:
            raise AnalysisError(f"{option} is {value!r}: it must be a number from 0, in the unit of the axis")
    cells = validated(frame)
    kept = scored(cells, policy=policy)
    sample = grid(kept)
    names = [name for name in sample.configurations if name != PRICE]
    columns = _columns(sample, cells, names)
    events = columns.shape[0]
    drawn = measured(columns, _score_and_cost, Resamples(events=events, n=n, seed=seed), left_out=True)
    unknown = set(cells.filter(pl.col("cost_usd").is_null())["configuration"].unique())
    placed = [c for c, name in enumerate(names) if name not in unknown]
    score, cost = drawn.estimate
    draws = drawn.resampled[:, :, placed]
    draws = draws[~np.any(np.isnan(draws), axis=(1, 2))]
    strict = _dominates(draws[:, 0], draws[:, 1])
    places = pareto_frontier(
        names, cost=[None if name in unknown else float(cost[c]) for c, name in enumerate(names)], brier=score.tolist()
    )
    between = spread(kept)
    if epsilon_brier is None:
        epsilon_brier = between.noise_floor
    if epsilon_cost is None:
        epsilon_cost = _cost_floor(cells, set(between.table.filter("sampled")["configuration"]))
    ties = {"epsilon_brier": epsilon_brier, "epsilon_cost": epsilon_cost}
    reasons = {name: f"no configuration was sampled twice: give {name}" for name, tie in ties.items() if tie is None}
    tied = None if reasons else _dominates(score[None, placed], cost[None, placed], epsilon_brier, epsilon_cost)[0]
    rows: list[dict[str, Any]] = []
    for c, place in enumerate(places):
        row, why = _axes(drawn, c, known=c in placed, events=events, level=level)
        row |= {"configuration": names[c], "on_frontier": place.on_frontier, "dominated_by": list(place.dominated_by)}
        why += [place.reason] if place.reason else []
        if c in placed and events > 1:
            row["probability"] = float(1 - np.mean(strict[:, :, placed.index(c)].any(axis=1)))
        else:
            why.append("probability: " + ("one event" if events == 1 else "its cost is unknown"))
        if c in placed and tied is not None:
            better = np.flatnonzero(tied[:, placed.index(c)])
            row |= {"epsilon_dominated_by": [names[placed[k]] for k in better], "on_epsilon_frontier": not better.size}
        else:
            why.append("on_epsilon_frontier: " + ("its cost" if tied is not None else "an epsilon") + " is unknown")
        rows.append({column: row.get(column) for column in _SCHEMA} | {"reason": "; ".join(why) or None})
    at = reference or ((float(cost[placed].max()), 0.25) if placed else None)
    area: tuple[float | None, float | None, float | None] = (None, None, None)
    if at is None:
        reasons["hypervolume"] = "no configuration has a known cost"
    else:
        volumes = _volumes(drawn, placed, draws, reference=at)
        ends = interval(volumes, 0, 0, method=PLAIN, events=events, level=level, bounds=AMOUNT)
        area = (float(volumes.estimate[0, 0]), ends.low, ends.high)
        reasons |= {"hypervolume_low, hypervolume_high": ends.reason} if ends.reason else {}
    return Frontier(
        table=pl.DataFrame(rows, schema=_SCHEMA).sort("cost", "configuration", nulls_last=True),
        dominance=_dominance([names[c] for c in placed], strict, places),
        hypervolume=area[0],
        hypervolume_low=area[1],
        hypervolume_high=area[2],
        reference=at,
        epsilon_brier=epsilon_brier,
        epsilon_cost=epsilon_cost,
        reasons=reasons,
        n=n,
        seed=seed,
        level=level,
    )


@asked
def hypervolume(cost: Floats, brier: Floats, *, reference: tuple[float, float]) -> Floats:
    """Area that the points dominate inside the reference point, of each row: (rows, configurations) -> (rows,).

    Source: Zitzler & Thiele (1998). Points beyond the reference add nothing.

    >>> import numpy as np
    >>> from coordeval.analysis import hypervolume
    >>> hypervolume(np.array([[1.0, 2.0]]), np.array([[0.20, 0.15]]), reference=(4.0, 0.25)).round(4).tolist()
    [0.25]
    """
    cost, brier = finite(cost, name="cost"), finite(brier, name="brier")
    if cost.ndim != 2 or cost.shape != brier.shape:
        raise AnalysisError(f"cost has the shape {cost.shape}, brier {brier.shape}: give (rows, configurations) of both")
    return _area(cost, brier, reference)


def _area(cost: Floats, brier: Floats, reference: tuple[float, float]) -> Floats:
    """The same, NaN where a point is."""
    order = np.argsort(cost, axis=1, kind="stable")
    edge = np.minimum(np.take_along_axis(cost, order, axis=1), reference[0])
    best = np.minimum.accumulate(np.take_along_axis(brier, order, axis=1), axis=1)
    width = np.diff(edge, axis=1, append=np.full((edge.shape[0], 1), reference[0]))
    return np.asarray(np.sum(width * np.maximum(reference[1] - best, 0), axis=1), np.float64)


def _volumes(drawn: Draws, placed: list[int], draws: Floats, *, reference: tuple[float, float]) -> Draws:
    """The hypervolume as a measure of one unit; `draws` are the resamples in which all of `placed` are known."""
    left_out = drawn.left_out
    estimate, resampled, rest = (
        _area(points[:, 1], points[:, 0], reference)[:, None]
        for points in (drawn.estimate[None, :, placed], draws, draws if left_out is None else left_out[:, :, placed])
    )
    return Draws(estimate=estimate, resampled=resampled[:, :, None], left_out=None if left_out is None else rest[:, :, None])


def _columns(sample: Grid, cells: pl.DataFrame, names: list[str]) -> Floats:
    """(events, [scored markets, their errors, cells, their cost], configurations); unscored events last."""
    events = [*sample.events, *sorted(set(cells["event_id"].unique()) - set(sample.events))]
    columns = np.zeros((len(events), 4, len(names)))
    errors = sample.errors()[:, : len(names)]
    columns[: len(sample.events), :2] = sample.by_event(np.stack([~np.isnan(errors), np.nan_to_num(errors)], axis=1))
    place = pl.DataFrame({"event_id": events}).with_row_index("place")
    sums = cells.group_by("event_id", "configuration").agg(pl.len(), pl.col("cost_usd").sum()).join(place, on="event_id")
    for c, name in enumerate(names):
        own = sums.filter(configuration=name)
        columns[own["place"].to_numpy(), 2:, c] = own.select("len", "cost_usd").to_numpy()
    return columns


def _axes(drawn: Draws, c: int, *, known: bool, events: int, level: float) -> tuple[dict[str, Any], list[str]]:
    """Score and cost with their intervals, and why one is None."""
    row: dict[str, Any] = {}
    why: list[str] = []
    for m, axis in enumerate(("brier", "cost") if known else ("brier",)):
        found = interval(drawn, m, c, method=PLAIN, events=events, level=level, bounds=UNIT if axis == "brier" else AMOUNT)
        row |= {axis: float(drawn.estimate[m, c]), f"{axis}_low": found.low, f"{axis}_high": found.high}
        if found.reason:
            why.append(f"{axis}_low, {axis}_high: {found.reason}")
    return row, why


def _score_and_cost(sums: Floats) -> Floats:
    return np.stack([ratio(sums[:, 1], sums[:, 0]), ratio(sums[:, 3], sums[:, 2])], axis=1)


def _dominates(brier: Floats, cost: Floats, tie_brier: float | None = 0, tie_cost: float | None = 0) -> Any:
    """(rows, configurations, configurations), bool: whether the first dominates the second."""
    tie_brier, tie_cost = (tie_brier or 0) + SAME, (tie_cost or 0) + SAME
    behind, dearer = brier[:, None, :] - brier[:, :, None], cost[:, None, :] - cost[:, :, None]
    return (behind >= -tie_brier) & (dearer >= -tie_cost) & ((behind > tie_brier) | (dearer > tie_cost))


def _cost_floor(cells: pl.DataFrame, sampled: set[str]) -> float | None:
    """Mean |Δ cost per market| over every pair of replicates of every sampled configuration."""
    means = (
        cells.filter(pl.col("configuration").is_in(sampled))
        .group_by("configuration", "replicate")
        .agg(pl.when(pl.col("cost_usd").is_not_null().all()).then(pl.col("cost_usd").mean()))
        .drop_nulls()
        .sort("configuration", "replicate")
    )
    apart = [
        abs(a - b)
        for _, mine in means.group_by("configuration", maintain_order=True)
        for a, b in combinations(mine["cost_usd"].to_list(), 2)
    ]
    return float(np.mean(apart)) if apart else None


def _dominance(names: list[str], strict: Any, places: Sequence[Placement]) -> pl.DataFrame:
    now = {place.configuration: place.dominated_by for place in places}
    share = strict.mean(axis=0) if len(strict) else np.zeros((len(names), len(names)))
    rows = [
        (first, second, first in now[second], float(share[i, j]))
        for j, second in enumerate(names)
        for i, first in enumerate(names)
        if share[i, j] > 0 or first in now[second]
    ]
    schema: dict[str, Any] = {
        "dominating": pl.String,
        "dominated": pl.String,
        "strict": pl.Boolean,
        "probability": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")
