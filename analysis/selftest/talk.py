"""Worlds of agents who talk, by the equations of `agents.simulated` on the evidence and prices of `market_data.simulated`.

The same latent logits, outcomes and events as `analysis.selftest.worlds`; on top of them documents, a price that follows
them, and agents whose anchoring, herding and conformity are known. Arrays in place of prompts: a world takes milliseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from scipy.special import expit, logit

from coordeval.agents.simulated import SimulatedParameters
from coordeval.analysis.base.checks import Floats, Ints
from coordeval.analysis.base.estimates import ESTIMATES
from coordeval.analysis.selftest.regimes import Regime
from coordeval.analysis.selftest.worlds import draw

AGENTS: Final = 3
EVIDENCE_NOISE: Final = 0.9
PRICE_NOISE: Final = 0.35
_DOCUMENTS = 6
PARAMETERS: Final = SimulatedParameters()
STRUCTURES: Final[Mapping[str, tuple[str, float]]] = {
    "peer_critique_debate": ("critic", PARAMETERS.herding),
    "consensus_alignment": ("aligner", PARAMETERS.herding + PARAMETERS.conformity),
}
"""Configuration -> the role that revises, and the weight that it puts on its peers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """Round 0 of agents that saw the price and of agents that did not, and for each structure the round after."""

    event: Ints
    y: Floats
    price: Floats
    shown: Floats
    """(markets, agents)"""
    hidden: Floats
    last: Mapping[str, Floats]
    """Configuration -> (markets, agents)."""
    forecast: Mapping[str, Floats]
    """Configuration -> (markets,): the median of the debate, the mean of the alignment."""


def first_view(evidence: Floats, bias: Floats, noise: Floats, parameters: SimulatedParameters) -> Floats:
    """An agent's own view in logits, from the mean logit of what documents state."""
    p = parameters
    return np.asarray(p.evidence_weight * evidence + p.shared_bias * bias + p.private_noise * noise, np.float64)


def anchored(view: Floats, price: Floats, parameters: SimulatedParameters) -> Floats:
    """The estimate in logits of who holds `view` and was shown the price's logit."""
    return np.asarray(view + parameters.anchoring * (price - view), np.float64)


def revised(own: Floats, peers: Floats, weight: float, noise: Floats, parameters: SimulatedParameters) -> Floats:
    """The next estimate in logits, given the mean logit of the peers."""
    return np.asarray(own + weight * (peers - own) + parameters.revision_noise * noise, np.float64)


def said(x: Floats) -> Floats:
    """The probability that is stated: four decimals, in [0.001, 0.999]."""
    return np.asarray(np.clip(expit(np.clip(x, -7, 7)), 0.001, 0.999).round(4), np.float64)


def read(p: Floats) -> Floats:
    """The logit that a reader makes of a stated probability."""
    return np.asarray(logit(np.clip(p, 0.001, 0.999)), np.float64)


def talk(markets: int, *, regime: Regime, rng: np.random.Generator) -> Talk:
    """One world; the same generator state gives the same world."""
    world = draw(markets, regime=regime, forecasters=(), rng=rng)
    signals = world.latent[:, None] + EVIDENCE_NOISE * rng.standard_normal((markets, _DOCUMENTS))
    evidence = read(np.clip(expit(signals), 0.01, 0.99).round(2)).mean(axis=1)
    prior, weight = 1 / regime.sd**2, 1 / EVIDENCE_NOISE**2
    belief = (regime.mean * prior + signals.sum(axis=1) * weight) / (prior + _DOCUMENTS * weight)
    price = np.clip(expit(belief + PRICE_NOISE * rng.standard_normal(markets)), 0.01, 0.99).round(3)
    bias = rng.standard_normal(markets)

    def opening(with_price: bool) -> Floats:
        view = first_view(evidence[:, None], bias[:, None], rng.standard_normal((markets, AGENTS)), PARAMETERS)
        return said(anchored(view, read(price)[:, None], PARAMETERS) if with_price else view)

    shown, hidden = opening(True), opening(False)
    own = read(shown)
    peers = (own.sum(axis=1, keepdims=True) - own) / (AGENTS - 1)
    last = {
        name: said(revised(own, peers, herding, rng.standard_normal((markets, AGENTS)), PARAMETERS))
        for name, (_, herding) in STRUCTURES.items()
    }
    final = {name: np.median(p, axis=1) if name == "peer_critique_debate" else p.mean(axis=1) for name, p in last.items()}
    return Talk(event=world.event, y=world.y, price=price, shown=shown, hidden=hidden, last=last, forecast=final)


def estimates(world: Talk) -> pl.DataFrame:
    """The world as a frame of estimates, (`analysis.talk.pooling.ESTIMATES`)."""
    return pl.concat(
        _rows(world, name, world.forecast[name], ((world.shown, "forecaster"), (world.last[name], role)))
        for name, (role, _) in STRUCTURES.items()
    )


def openings(world: Talk, *, shown: bool) -> pl.DataFrame:
    """Round 0 alone of agents that saw the price or did not; the forecast is the mean."""
    p = world.shown if shown else world.hidden
    return _rows(world, "independent_ensemble", p.mean(axis=1), ((p, "forecaster"),))


def _rows(world: Talk, name: str, forecast: Floats, rounds: tuple[tuple[Floats, str], ...]) -> pl.DataFrame:
    markets, agents = world.shown.shape
    numbers = np.repeat(np.arange(markets), agents)
    parts = [
        pl.DataFrame(
            {
                "configuration": pl.repeat(name, p.size, eager=True),
                "market_id": numbers.astype(str),
                "event_id": world.event[numbers].astype(str),
                "replicate": np.zeros(p.size, np.int64),
                "ask": np.tile(np.arange(agents), markets) + number * agents,
                "agent": np.tile(np.arange(agents), markets),
                "round": np.full(p.size, number),
                "role": pl.repeat(role, p.size, eager=True),
                "probability": p.ravel(),
                "outcome": world.y[numbers].astype(np.int64),
                "market_price": world.price[numbers],
                "forecast": forecast[numbers],
            }
        )
        for number, (p, role) in enumerate(rounds)
    ]
    return pl.concat(parts).select(pl.col(name).cast(kind) for name, kind in ESTIMATES.items())
