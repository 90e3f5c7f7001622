"""A made-up study, small enough to print: what the examples of the analysis and the notebooks start from."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import Floats, at_least
from coordeval.analysis.base.estimates import ESTIMATES
from coordeval.analysis.base.frames import SCHEMA
from coordeval.analysis.base.scipy_parts import special

__all__ = ["example", "example_estimates"]

CONFIGURATIONS: Final = {"single_agent": (1, 1), "independent_ensemble": (3, 1), "peer_critique_debate": (3, 2)}
"""Configuration -> agents, rounds. Its forecast is the median of the last round."""
HEARD: Final = 0.5
"""Weight that an agent of the debate gives to its peers, in logits."""
_MEMBERS: Final = 3
_ROLES: Final = ("forecaster", "critic")
_CATEGORIES: Final = ("economy", "politics", "science")
_FAILED: Final = ("peer_critique_debate", "m00", 0)
_START: Final = datetime(2026, 3, 1, tzinfo=UTC)


@asked
def example(*, markets: int = 40, replicates: int = 2, seed: int = 1) -> pl.DataFrame:
    """One row per cell: the columns of SCHEMA, and question, call_graph, as_of, scheduled_close, closed_at, resolved_at.

    Events have one or two markets; all are resolved and have a price; one cell failed. The first estimates of a replicate
    are shared by all three configurations, so that they differ in coordination only. With latent L of a market, in logits:
    P(YES) = σ(L); price σ(L + 0.5 ε); an agent's first estimate σ(L + 0.6 b + 0.7 ε), b the market's, ε its own; in the
    debate an agent then moves HEARD of the way to the mean of its peers, give or take 0.2 ε. `cost_usd` is the full price
    of what a forecast used; `paid_usd` counts a shared draw once.

    Raises:
        AnalysisError: fewer than two markets or no replicate.

    >>> from coordeval.analysis import example
    >>> example().select("configuration", "market_id", "replicate", "probability", "market_price", "outcome").row(0)
    ('independent_ensemble', 'm00', 0, 0.52, 0.32, 0)
    """
    facts, p, cost = _world(markets=markets, replicates=replicates, seed=seed)
    rows: list[dict[str, Any]] = []
    before = (0, 0)
    for name, (agents, rounds) in CONFIGURATIONS.items():
        calls = agents * rounds
        for fact, m, r in ((fact, m, r) for m, fact in enumerate(facts) for r in range(replicates)):
            failed = (name, fact["market_id"], r) == _FAILED
            charged, shared = (float(cost[m, r, :k, :j].sum()) for j, k in ((agents, rounds), before))
            row = {"configuration": name, **fact, "replicate": r, "status": "failed" if failed else "answered"}
            row |= {"probability": None if failed else _forecast(p[m, r], agents, rounds)}
            row |= {"reason": "refused" if failed else None, "cost_usd": charged, "paid_usd": charged - shared}
            row |= {"input_tokens": 1000 * calls, "output_tokens": 200 * calls, "total_tokens": 1200 * calls}
            row |= {"model_calls": calls, "tool_calls": 0}
            row |= {"seconds": 8.0 * rounds, "simulated": True, "call_graph": f"{agents} × {rounds}"}
            rows.append(row)
        before = (agents, rounds)
    return pl.DataFrame(rows, schema_overrides=SCHEMA).sort("configuration", "market_id", "replicate")


@asked
def example_estimates(*, markets: int = 40, replicates: int = 2, seed: int = 1) -> pl.DataFrame:
    """What each agent said in each round of the same study: the columns of `analysis.ESTIMATES`.

    Raises:
        AnalysisError: fewer than two markets or no replicate.

    >>> from coordeval.analysis import example_estimates
    >>> said = example_estimates().filter(configuration="peer_critique_debate", market_id="m01", replicate=0)
    >>> said.select("round", "agent", "probability", "forecast").rows()
    [(0, 0, 0.52, 0.46), (0, 1, 0.53, 0.46), (0, 2, 0.39, 0.46), (1, 0, 0.51, 0.46), (1, 1, 0.45, 0.46), (1, 2, 0.46, 0.46)]
    """
    facts, p, _ = _world(markets=markets, replicates=replicates, seed=seed)
    shared = ("market_id", "event_id", "outcome", "market_price")
    rows = [
        {"configuration": name, **{key: fact[key] for key in shared}, "replicate": r, "ask": k * agents + j, "agent": j}
        | {"round": k, "role": _ROLES[k], "probability": float(p[m, r, k, j])}
        | {"forecast": None if (name, fact["market_id"], r) == _FAILED else _forecast(p[m, r], agents, rounds)}
        for name, (agents, rounds) in CONFIGURATIONS.items()
        for m, fact in enumerate(facts)
        for r in range(replicates)
        for k in range(rounds)
        for j in range(agents)
    ]
    return pl.DataFrame(rows, schema=ESTIMATES).sort("configuration", "market_id", "replicate", "ask")


def _world(*, markets: int, replicates: int, seed: int) -> tuple[list[dict[str, Any]], Floats, Floats]:
    """The facts of each market, what is said and what it costs: (markets, replicates, rounds, agents)."""
    at_least("markets", markets, 2)
    at_least("replicates", replicates, 1)
    rng = np.random.default_rng(seed)
    event = 2 * np.arange(markets) // 3
    latent = rng.normal(0, 1, event[-1] + 1)[event] + rng.normal(0, 0.8, markets)
    yes = rng.random(markets) < special.expit(latent)
    price = _said(latent + rng.normal(0, 0.5, markets))
    early = yes & (rng.random(markets) < 0.5)
    shape = (markets, replicates, _MEMBERS)
    first = latent[:, None, None] + rng.normal(0, 0.6, (markets, 1, 1)) + rng.normal(0, 0.7, shape)
    peers = (first.sum(axis=2, keepdims=True) - first) / (_MEMBERS - 1)
    second = first + HEARD * (peers - first) + rng.normal(0, 0.2, shape)
    p = _said(np.stack([first, second], axis=2))
    facts: list[dict[str, Any]] = []
    for m in range(markets):
        as_of = _START + timedelta(days=m)
        end = as_of + timedelta(days=10 if early[m] else 30)
        facts.append(
            {"market_id": f"m{m:02}", "event_id": f"e{event[m]:02}", "category": _CATEGORIES[event[m] % 3]}
            | {"question": f"Will made-up thing {m} happen?", "outcome": int(yes[m]), "market_price": float(price[m])}
            | {"as_of": as_of, "scheduled_close": as_of + timedelta(days=30), "closed_at": end, "resolved_at": end}
        )
    return facts, p, rng.uniform(0.008, 0.012, p.shape)


def _said(logits: Floats) -> Floats:
    """Probabilities as people and models say them: in whole percent, never certain."""
    return np.asarray(np.clip(special.expit(logits).round(2), 0.01, 0.99), np.float64)


def _forecast(p: Floats, agents: int, rounds: int) -> float:
    return float(np.median(p[rounds - 1, :agents]))
