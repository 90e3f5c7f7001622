"""What coordination itself did: the gain beyond pooling, the movement in each round, and who moved whom.

Sources: Krogh & Vedelsby (1995) for the ambiguity; DeGroot (1974) for weights on others' estimates.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import Floats, chosen
from coordeval.analysis.base.estimates import CELL, matrix, numbered, resolved, shares
from coordeval.analysis.base.events import logit, mean_of, summary
from coordeval.analysis.base.numerals import SAME
from coordeval.analysis.base.resampling import APART, FREE, UNIT, Bounds, Resamples
from coordeval.analysis.talk.pooling import pooled

Aggregation = Literal["mean", "median"]
AGGREGATIONS: Final[Mapping[str, Aggregation]] = {
    "single_agent": "mean",
    "independent_ensemble": "median",
    "peer_critique_debate": "median",
    "consensus_alignment": "mean",
}
"""How the reference configurations that begin with independent estimates combine their last ones."""
_NUMBERS: Final[dict[str, Any]] = {**dict.fromkeys(("estimate", "low", "high"), pl.Float64), "n_markets": pl.Int64}
_GAIN: Final[dict[str, Any]] = {"configuration": pl.String, "measure": pl.String, **_NUMBERS, "reason": pl.String}
_ROUNDS: Final[dict[str, Any]] = {"configuration": pl.String, "round": pl.Int64, **_GAIN}
_WEIGHTS: Final[dict[str, Any]] = {"configuration": pl.String, "role": pl.String, "agent": pl.Int64, **_GAIN}
GAIN: Final = ("individual", "ambiguity", "static_pool", "pool", "final", "gain", "away")
_SCORES: Final = ("individual", "static_pool", "pool", "final")
ROUNDS: Final = ("spread", "toward_peers", "toward_price", "toward_truth", "away")


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordination:
    """What talking did, in Brier points, in probability, and in weights."""

    gain: pl.DataFrame
    """configuration, measure (GAIN), estimate, low, high, n_markets, reason.

    Of round-0 estimates p_j and the forecast p: individual b₀ = mean_j (p_j − y)², ambiguity A₀ = mean_j (p_j − p̄₀)²,
    static_pool s₀ = (p̄₀ − y)² = b₀ − A₀, pool = (pool₀ − y)² with the configuration's own aggregation, final = (p − y)²,
    gain = pool − final (positive: talking helped beyond pooling), away: share of cells whose p is further from y than pool₀.
    """
    rounds: pl.DataFrame
    """configuration, round, measure (ROUNDS), estimate, low, high, n_markets, reason.

    spread: highest − lowest estimate. Movement of an agent from q to p toward g is |q − g| − |p − g| in probability: toward
    the mean of its peers' last estimates, the price, the outcome. away: share of cells whose mean moved away from y.
    """
    influence: pl.DataFrame
    """configuration, role, agent, measure, estimate, low, high, n_markets, reason; in logits, over all revisions.

    `peers` (agent null): h of x_new − x_own = h (mean of the peers' x − x_own). `agent`: w_j of the same movement =
    Σ_j w_j (x_j − x_own), the weight that others put on agent j. `first_mover` (role and agent null): u of
    x_final − o = u (x_first − o) − its equal share 1/n, o the mean of the others' first estimates; 0 where being first is
    worth nothing.
    """
    n: int
    seed: int
    level: float


@asked
def coordination(
    frame: pl.DataFrame,
    *,
    aggregation: Mapping[str, str] = AGGREGATIONS,
    n: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> Coordination:
    """Section 6 of the statistics, of a frame of estimates (`analysis.talk.pooling.ESTIMATES`).

    `aggregation`: configuration -> "mean" or "median". Scored are resolved cells with a forecast; the replicates of a market
    share its weight of 1; intervals from `n` resamples of events from `seed`.

    Raises:
        AnalysisError: the frame breaks a rule, or an option is unknown or out of its range.

    >>> import polars as pl
    >>> from coordeval.analysis import coordination, example_estimates
    >>> found = coordination(example_estimates(), n=500)
    >>> gain = found.gain.filter(pl.col("measure").is_in(["pool", "final", "gain"]), configuration="peer_critique_debate")
    >>> gain.select("measure", pl.col("estimate").round(3)).rows()
    [('pool', 0.19), ('final', 0.191), ('gain', -0.001)]
    >>> found.influence.filter(measure="peers")["estimate"].round(1).to_list()  # they were made to give their peers 0.5
    [0.5]
    """
    for name, value in aggregation.items():
        chosen(f"aggregation of {name}", value, ("mean", "median"))
    cells = numbered(resolved(frame))
    tables: dict[str, list[dict[str, Any]]] = {"gain": [], "rounds": [], "influence": []}

    def tell(
        facts: pl.DataFrame,
        columns: Floats,
        of: Any = mean_of,
        why: str = "nothing to measure",
        bounds: Bounds = FREE,
        outcome: Floats | None = None,
    ) -> dict[str, Any]:
        if facts.is_empty():
            return {"n_markets": 0, "reason": why}
        weight, event = shares(facts)
        resamples = Resamples(events=int(event.max()) + 1, n=n, seed=seed)
        how: dict[str, Any] = {"level": level, "reason": why, "bounds": bounds, "outcome": outcome}
        found = summary(columns * weight[:, None], event, of, resamples=resamples, **how)
        return {"n_markets": facts["market_id"].n_unique(), **found}

    for name in frame["configuration"].unique().sort():
        mine = cells.filter(configuration=name)
        moves = _moves(mine)
        tables["gain"] += [{"configuration": name, **row} for row in _gain(mine, aggregation.get(name), tell)]
        tables["rounds"] += [{"configuration": name, **row} for row in _rounds(mine, moves, tell)]
        tables["influence"] += [{"configuration": name, **row} for row in _influence(mine, moves, tell)]
    made = {
        key: pl.DataFrame([{column: row.get(column) for column in schema} for row in tables[key]], schema=schema)
        for key, schema in (("gain", _GAIN), ("rounds", _ROUNDS), ("influence", _WEIGHTS))
    }
    return Coordination(**made, n=n, seed=seed, level=level)


@asked
def aggregations(elements: Mapping[str, Any]) -> dict[str, str]:
    """Configuration -> "mean" or "median", by the first word of the aggregation that it declares; others are left out.

    `elements`: configuration -> its declared elements. One that declares "none" asks one agent, whose estimate is the mean.

    >>> from coordeval.analysis import aggregations
    >>> aggregations({"debate": {"aggregation": "median of the last round"}, "tree": {"aggregation": "the root decides"}})
    {'debate': 'median'}
    """
    declared = {name: str(own.get("aggregation", "")).split(" ")[0] for name, own in elements.items() if own}
    return {name: "mean" if how == "none" else how for name, how in declared.items() if how in ("mean", "median", "none")}


@asked
def anchoring(
    shown: pl.DataFrame, hidden: pl.DataFrame, *, n: int = 10_000, seed: int = 0, level: float = 0.95
) -> pl.DataFrame:
    """configuration, measure (`anchoring`), estimate, low, high, n_markets, reason: the weight of the price shown.

    `shown` and `hidden` are frames of estimates of two studies that differ in whether agents saw the price. With x the
    mean round-0 logit where it was shown, m the price's, h_k those where it was hidden: x = (1 − a) h + a m, so

        a = Σ_{k≠l} (m − h_k)(x − h_l) / Σ_{k≠l} (m − h_k)(m − h_l).

    Taking two different draws in each product keeps an agent's noise, on both sides, from passing for anchoring: one draw
    is the other's instrument. Within one study evidence and price move together, so there it cannot be told.
    Source: Angrist, Imbens & Krueger (1999), jackknife instruments. Raises AnalysisError where a frame breaks a rule.

    >>> import polars as pl
    >>> from coordeval.analysis import anchoring, example_estimates
    >>> def logit(p): return (p / (1 - p)).log()
    >>> said, half = example_estimates(markets=400, replicates=4), pl.col("replicate") < 2
    >>> pulled = 0.7 * logit(pl.col("probability")) + 0.3 * logit(pl.col("market_price"))
    >>> shown = said.filter(~half).with_columns(probability=1 / (1 + (-pulled).exp()))  # they were made to give it 0.3
    >>> anchoring(shown, said.filter(half), n=500).select("configuration", pl.col("estimate").round(1)).rows()
    [('independent_ensemble', 0.3), ('peer_critique_debate', 0.3), ('single_agent', 0.3)]
    """
    first, other = (_opening(frame) for frame in (shown, hidden))
    rows: list[dict[str, Any]] = []
    for name in sorted({*shown["configuration"], *hidden["configuration"]}):
        both = first.filter(configuration=name).join(other.filter(configuration=name), on="market_id", suffix="_hidden")
        both = both.filter((pl.col("x_hidden").list.len() > 1) & pl.col("market_price").is_not_null())
        row = {"configuration": name, "measure": "anchoring", "n_markets": both.height}
        if both.is_empty():
            rows.append(row | {"reason": "no market has a price, a view with it and two views without it"})
            continue
        m, x = logit(both["market_price"]), both["x"].list.mean().to_numpy()
        columns = np.array([_crossed(m[i], x[i], np.array(h)) for i, h in enumerate(both["x_hidden"].to_list())])
        event = np.unique(both["event_id"].to_numpy(), return_inverse=True)[1]
        resamples = Resamples(events=int(event.max()) + 1, n=n, seed=seed)
        why = "views without the price do not differ from it"
        rows.append(row | summary(columns, event, mean_of, resamples=resamples, level=level, reason=why))
    return pl.DataFrame([{column: row.get(column) for column in _GAIN} for row in rows], schema=_GAIN)


_Tell = Callable[..., dict[str, Any]]


def _gain(mine: pl.DataFrame, aggregation: str | None, tell: _Tell) -> Iterator[dict[str, Any]]:
    p, cells = matrix(mine.filter(pl.col("round") == 0))
    if cells.is_empty():
        why = "no cell is resolved and answered" if mine.is_empty() else "it does not begin with independent estimates"
        yield from ({"measure": measure, "n_markets": 0, "reason": why} for measure in GAIN)
        return
    y, final = (cells[name].cast(pl.Float64).to_numpy() for name in ("outcome", "forecast"))
    centre = np.nanmean(p, axis=1)
    found = {
        "individual": np.nanmean((p - y[:, None]) ** 2, axis=1),
        "ambiguity": np.nanmean((p - centre[:, None]) ** 2, axis=1),
        "static_pool": (centre - y) ** 2,
        "final": (final - y) ** 2,
    }
    if aggregation:
        pool = pooled(p, pool="mean" if aggregation == "mean" else "median")
        found |= {"pool": (pool - y) ** 2, "gain": (pool - y) ** 2 - found["final"]}
        found["away"] = (np.abs(final - y) > np.abs(pool - y) + SAME).astype(np.float64)
    for measure in GAIN:
        if measure not in found:
            n_markets = cells["market_id"].n_unique()
            yield {"measure": measure, "n_markets": n_markets, "reason": "its aggregation is not stated"}
        else:
            yield {"measure": measure} | tell(
                cells,
                np.stack([np.ones_like(y), found[measure]], axis=1),
                bounds=APART if measure == "gain" else UNIT,
                outcome=y if measure in _SCORES else None,
            )


def _moves(mine: pl.DataFrame) -> pl.DataFrame:
    """One row per revision: the estimate, `own` of the round before, `peers`: others' of that round, with their agents."""
    before = mine.select(*CELL, "agent", own="probability", round=pl.col("round") + 1)
    before = before.unique([*CELL, "agent", "round"], keep="last", maintain_order=True)
    everybody = before.group_by(*CELL, "round").agg(others=pl.struct("agent", "own").sort_by("agent"))
    joined = mine.join(before, on=[*CELL, "agent", "round"], how="inner", maintain_order="left")
    return joined.join(everybody, on=[*CELL, "round"], how="left", maintain_order="left").with_columns(
        peers=pl.col("others").list.eval(pl.element().struct.field("own")).list.sum() - pl.col("own"),
        n_peers=pl.col("others").list.len() - 1,
    )


def _rounds(mine: pl.DataFrame, moves: pl.DataFrame, tell: _Tell) -> Iterator[dict[str, Any]]:
    for number in mine["round"].unique().sort():
        p, cells = matrix(mine.filter(round=number))
        there = np.sum(~np.isnan(p), axis=1) > 1
        spread = np.nanmax(p, axis=1) - np.nanmin(p, axis=1)
        yield {"round": number, "measure": "spread"} | tell(
            cells.filter(pl.Series(there)),
            np.stack([np.ones(there.sum()), spread[there]], axis=1),
            why="one agent estimates",
            bounds=UNIT,
        )
        now = moves.filter(round=number)
        if now.is_empty():
            continue
        targets = {
            "toward_peers": pl.when(pl.col("n_peers") > 0).then(pl.col("peers") / pl.col("n_peers")),
            "toward_price": pl.col("market_price"),
            "toward_truth": pl.col("outcome").cast(pl.Float64),
        }
        for measure, goal in targets.items():
            part = now.with_columns(moved=(pl.col("own") - goal).abs() - (pl.col("probability") - goal).abs()).filter(
                pl.col("moved").is_not_null()
            )
            columns = np.stack([np.ones(part.height), part["moved"].to_numpy()], axis=1)
            why = "there are no peers" if measure == "toward_peers" else "no market price is known"
            yield {"round": number, "measure": measure} | tell(part, columns, why=why, bounds=APART)
        group = now.group_by(CELL, maintain_order=True).agg(
            pl.col("event_id", "outcome").first(), pl.col("own", "probability").mean()
        )
        off = [(group[name] - group["outcome"]).abs().to_numpy() for name in ("own", "probability")]
        yield {"round": number, "measure": "away"} | tell(
            group, np.stack([np.ones(group.height), off[1] > off[0] + SAME], axis=1), bounds=UNIT
        )


def _influence(mine: pl.DataFrame, moves: pl.DataFrame, tell: _Tell) -> Iterator[dict[str, Any]]:
    for role in moves["role"].unique().sort():
        now = moves.filter((pl.col("role") == role) & (pl.col("n_peers") > 0))
        own, new = (logit(now[name]) for name in ("own", "probability"))
        seen = now.select(pl.int_range(pl.len()).alias("row"), "others").explode("others").unnest("others")
        agents = seen["agent"].unique().sort().to_list()
        row_of, place = seen["row"].to_numpy(), seen["agent"].rank("dense").cast(pl.Int64).to_numpy() - 1
        x = np.zeros((now.height, len(agents)))
        x[row_of, place] = logit(seen["own"]) - own[row_of]  # its own column is 0
        mean, moved = x.sum(axis=1) / now["n_peers"].to_numpy(), new - own
        row = {"role": role, "measure": "peers"}
        yield row | tell(now, np.stack([mean**2, mean * moved], axis=1), why="peers never differ")
        squares = (x[:, :, None] * x[:, None, :]).reshape(len(x), len(agents) ** 2)
        columns = np.concatenate([squares, x * moved[:, None]], axis=1)
        for j, agent in enumerate(agents):
            row = {"role": role, "agent": agent, "measure": "agent"}
            yield row | tell(now, columns, _solved(len(agents), j), why="the agents' estimates do not differ apart")
    first = mine.group_by([*CELL, "agent"], maintain_order=True).first()
    p, cells = matrix(first.sort(*CELL, "ask"))
    count = np.sum(~np.isnan(p), axis=1)
    there = count > 1
    x, cells = logit(p[there]), cells.filter(pl.Series(there, dtype=pl.Boolean))
    others = (np.nansum(x, axis=1) - x[:, 0]) / (count[there] - 1) if there.any() else np.zeros(0)
    apart = x[:, 0] - others if there.any() else others
    moved = logit(cells["forecast"]) - others - apart / count[there]
    columns = np.stack([apart**2, apart * moved], axis=1)
    yield {"measure": "first_mover"} | tell(cells, columns, why="fewer than two agents estimate")


def _solved(agents: int, j: int) -> Callable[[Floats], Floats]:
    """Coefficient j of a least-squares fit from the sums of x xᵀ and x y; NaN where it is not determined."""

    def of(sums: Floats) -> Floats:
        a = sums[:, : agents**2, 0].reshape(-1, agents, agents)
        b = sums[:, agents**2 :, 0]
        fine = np.linalg.matrix_rank(a, hermitian=True) == agents
        found = np.full((len(a), 1, 1), np.nan)
        found[fine, 0, 0] = np.linalg.solve(a[fine], b[fine, :, None])[:, j, 0]
        return found

    return of


def _opening(frame: pl.DataFrame) -> pl.DataFrame:
    """Per configuration and market: the round-0 estimates in logits as a list."""
    said = resolved(frame).filter(pl.col("round") == 0)
    said = said.with_columns(pl.Series("x", logit(said["probability"]), dtype=pl.Float64))
    return said.group_by("configuration", "market_id", maintain_order=True).agg(
        pl.col("event_id", "market_price").first(), "x"
    )


def _crossed(m: float, x: float, hidden: Floats) -> tuple[float, float]:
    """Means over pairs of different draws: (m − h_k)(m − h_l) and (m − h_k)(x − h_l)."""
    a, b = m - hidden, x - hidden
    pairs = hidden.size * (hidden.size - 1)
    return float((a.sum() ** 2 - a @ a) / pairs), float((a.sum() * b.sum() - a @ b) / pairs)
