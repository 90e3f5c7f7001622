"""Configurations that ran as one and the same procedure, whatever their names: replicates of each other, an A/A control."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.base.frames import Policy, scored, validated
from coordeval.analysis.base.grid import grid
from coordeval.analysis.base.numerals import without_rounding
from coordeval.analysis.base.resampling import APART, PLAIN, Resamples, interval
from coordeval.analysis.differences.comparisons import paired
from coordeval.analysis.differences.sign_flips import sign_flip

_NUMBERS = ("delta", "low", "high", "p_value", "delta_cost")
_SCHEMA: Final[dict[str, Any]] = {
    **dict.fromkeys(("first", "second"), pl.String),
    **dict.fromkeys(("n_shared", "n_same"), pl.Int64),
    "identical": pl.Boolean,
    **dict.fromkeys(_NUMBERS, pl.Float64),
    "reason": pl.String,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """Who did the same as whom, by the recorded call graphs."""

    groups: tuple[tuple[str, ...], ...]
    """Configurations that are replicates of each other, largest group first; one that is like no other is in none."""
    table: pl.DataFrame
    """first, second, n_shared, n_same, identical, delta, low, high, p_value, delta_cost, reason (of every null).

    One row per pair. `n_shared` markets have a call graph in both, in `n_same` of them the same; `identical`: in all. For an
    identical pair, where nothing but sampling differs: Δ Brier on the markets that both scored with its interval
    and its sign-flip p-value, and |Δ USD per market|.
    """
    noise_floor: float | None
    """Mean |Δ Brier| over the identical pairs: what a difference between two names for one procedure looks like."""
    cost_floor: float | None
    """Mean |Δ USD per market| over the identical pairs."""
    reason: str | None
    """Why there is no floor."""


@asked
def structure(
    frame: pl.DataFrame, *, policy: Policy = "common", n: int = 10_000, seed: int = 0, level: float = 0.95
) -> Structure:
    """Compares `call_graph` (string; null where nothing was asked) on the markets that two configurations share.

    `frame` has the columns of `analysis.base.frames.SCHEMA` and `call_graph`. Replicates of one market may differ in their
    graphs, as when an agent fails: two configurations are the same there if their sets of graphs are. A group holds
    configurations each of which is identical to every other.

    Source of the A/A control: Kohavi, Tang & Xu (2020).

    Raises:
        AnalysisError: there is no column call_graph, it does not hold strings, or what `validated` and `scored` raise.

    >>> import polars as pl
    >>> from coordeval.analysis import example, structure
    >>> structure(example(), n=500).table.select("first", "second", "n_shared", "n_same", "identical").row(0)
    ('independent_ensemble', 'peer_critique_debate', 40, 0, False)
    >>> found = structure(example().with_columns(call_graph=pl.lit("the same for all")), n=500)
    >>> found.groups, round(found.noise_floor, 3)
    ((('independent_ensemble', 'peer_critique_debate', 'single_agent'),), 0.014)
    """
    if "call_graph" not in frame.columns or frame.schema["call_graph"] not in (pl.String, pl.Null):
        raise AnalysisError(
            "the frame needs a column call_graph of strings: the hash that the ledger stores with each forecast"
        )
    cells = validated(frame)
    names = cells["configuration"].unique().sort().to_list()
    graphs = _graphs(frame, names)
    rows: list[dict[str, Any]] = []
    for first, second in combinations(names, 2):
        both = graphs[first].join(graphs[second], on="market_id")
        shared, same = both.height, int((both["graphs"] == both["graphs_right"]).sum())
        row: dict[str, Any] = dict.fromkeys(_SCHEMA) | {"first": first, "second": second}
        row |= {"n_shared": shared, "n_same": same, "identical": same == shared if shared else None}
        if not row["identical"]:
            row["reason"] = "delta: not the same procedure" if shared else "identical: no market has a call graph in both"
        rows.append(row)
    alike = [row for row in rows if row["identical"]]
    _measure(alike, cells, policy=policy, n=n, seed=seed, level=level)
    deltas = [abs(row["delta"]) for row in alike if row["delta"] is not None]
    costs = [row["delta_cost"] for row in alike if row["delta_cost"] is not None]
    none = "no two configurations are the same procedure" if not alike else "none of the identical pairs is scored"
    return Structure(
        groups=cliques(names, {frozenset((row["first"], row["second"])) for row in alike}),
        table=pl.DataFrame(rows, schema=_SCHEMA),
        noise_floor=float(np.mean(deltas)) if deltas else None,
        cost_floor=float(np.mean(costs)) if costs else None,
        reason=None if deltas else none,
    )


def _graphs(frame: pl.DataFrame, names: list[str]) -> dict[str, pl.DataFrame]:
    """Configuration -> market_id and graphs, its distinct ones, sorted."""
    distinct = (
        frame.drop_nulls("call_graph")
        .cast({"call_graph": pl.String})
        .group_by("configuration", "market_id")
        .agg(graphs=pl.col("call_graph").unique().sort())
    )
    return {name: distinct.filter(configuration=name).drop("configuration") for name in names}


def cliques(names: list[str], alike: set[frozenset[str]]) -> tuple[tuple[str, ...], ...]:
    left, groups = list(names), []
    while left:
        group = [left[0]]
        group += [name for name in left[1:] if all(frozenset((name, other)) in alike for other in group)]
        left = [name for name in left if name not in group]
        if len(group) > 1:
            groups.append(tuple(group))
    return tuple(sorted(groups, key=lambda group: (-len(group), group)))


def _measure(rows: list[dict[str, Any]], cells: pl.DataFrame, *, policy: Policy, n: int, seed: int, level: float) -> None:
    """Adds to each row of an identical pair how far the two are apart, and the reason of every null."""
    known = pl.when(pl.col("cost_usd").is_not_null().all()).then(pl.col("cost_usd").mean())
    cost = dict(cells.group_by("configuration").agg(known).iter_rows())
    kept = scored(cells, policy=policy)
    if not rows or not kept.n_markets:
        for row in rows:
            row["reason"] = f"delta: nothing is scored under the policy {policy}"
        return
    sample = grid(kept)
    errors = dict(zip(sample.configurations, sample.errors().T, strict=True))
    none = np.full(len(sample.markets), np.nan)
    d = without_rounding(
        np.stack([errors.get(row["first"], none) - errors.get(row["second"], none) for row in rows], axis=1)
    )
    drawn = paired(sample, d, Resamples(events=len(sample.events), n=n, seed=seed))
    flips = sign_flip(sample.by_event(np.nan_to_num(d)), n=n, seed=seed)
    for k, row in enumerate(rows):
        there = ~np.isnan(d[:, k])
        reasons = []
        a, b = cost[row["first"]], cost[row["second"]]
        if a is None or b is None:
            reasons.append("delta_cost: a cost is unknown")
        else:
            row["delta_cost"] = abs(a - b)
        if there.any():
            events = int(np.unique(sample.event[there]).size)
            found = interval(drawn, 0, k, method=PLAIN, events=events, level=level, bounds=APART)
            row |= {
                "delta": float(without_rounding(d[there, k].mean())),
                "low": found.low,
                "high": found.high,
                "p_value": flips[k][0],
            }
            reasons += [f"low, high: {found.reason}"] if found.reason else []
        else:
            reasons.append("delta: no market was scored for both")
        row["reason"] = "; ".join(reasons) or None
