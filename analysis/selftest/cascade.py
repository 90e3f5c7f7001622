"""A planted error: one wrong first estimate in a simulated group, and what share of the others end with it, by topology.

Each world is run twice with the same noise, with the error and without: an agent has it where the error alone brought it
to the other side of even odds. Source of the question: arXiv 2603.04474.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from coordeval.analysis.base.checks import AnalysisError, Floats
from coordeval.analysis.selftest.regimes import REGIMES, Regime
from coordeval.analysis.selftest.talk import (
    EVIDENCE_NOISE,
    PARAMETERS,
    PRICE_NOISE,
    anchored,
    first_view,
    read,
    revised,
    said,
)

AGENTS: Final = 5
ROUNDS: Final = 2
_DOCUMENTS: Final = 6
_WRONG: Final = 0.98


def _heard(agents: int) -> Mapping[str, Floats]:
    """Topology -> who hears whom, (agents, agents), 1 where the row's agent is shown the column's estimate; agent 0 errs."""
    chain, ring, star = (np.zeros((agents, agents)) for _ in range(3))
    for i in range(agents):
        if i:
            chain[i, i - 1] = star[i, 0] = star[0, i] = 1
        ring[i, (i - 1) % agents] = ring[i, (i + 1) % agents] = 1
    leaf = star[::-1, ::-1].copy()  # the hub is the last agent, so that a leaf errs
    complete = 1 - np.eye(agents)
    alone = np.zeros((agents, agents))
    return {"alone": alone, "chain": chain, "ring": ring, "star, the hub errs": star, "star, a leaf errs": leaf,
            "everybody hears all": complete}  # fmt: skip


TOPOLOGIES: Final = tuple(_heard(AGENTS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascade:
    """Of one topology."""

    topology: str
    markets: int
    infected: float
    """Share of the other agents who end on the wrong side because of the error."""
    forecasts: float
    """Share of forecasts, the median of all agents, that end there because of it."""
    shift: float
    """Mean shift of the others in the end, as a share of that of the agent that erred, in logits."""
    expected: float
    """The same by the weights alone: the mean of column 0 of W^rounds below its first row."""


def weights(heard: Floats, herding: float) -> Floats:
    """W of x' = W x: an agent keeps 1 − herding, all of it where it hears nobody, and gives those it hears equal parts."""
    degree = heard.sum(axis=1, keepdims=True)
    share = np.divide(heard, degree, out=np.zeros_like(heard), where=degree > 0)
    return np.asarray(np.where(degree > 0, 1 - herding, 1.0) * np.eye(len(heard)) + herding * share, np.float64)


def cascade(
    markets: int = 4000, *, rounds: int = ROUNDS, agents: int = AGENTS, regime: Regime = REGIMES[0], seed: int = 0
) -> tuple[Cascade, ...]:
    """Every topology on the same worlds. Raises AnalysisError for fewer than three agents, or no market or round."""
    if agents < 3 or markets < 1 or rounds < 1:
        raise AnalysisError(
            f"{agents} agents, {markets} markets, {rounds} rounds: give 3 agents, 1 market and 1 round at least"
        )
    rng = np.random.default_rng([seed, agents, rounds])
    latent = rng.normal(regime.mean, regime.sd, markets)
    signals = latent[:, None] + EVIDENCE_NOISE * rng.standard_normal((markets, _DOCUMENTS))
    price = latent + PRICE_NOISE * rng.standard_normal(markets)
    bias = rng.standard_normal((markets, 1))
    view = first_view(signals.mean(axis=1)[:, None], bias, rng.standard_normal((markets, agents)), PARAMETERS)
    first = said(anchored(view, price[:, None], PARAMETERS))
    wrong = first.copy()
    wrong[:, 0] = np.where(np.median(first, axis=1) > 0.5, 1 - _WRONG, _WRONG)
    noise = [rng.standard_normal((markets, agents)) for _ in range(rounds)]
    made = []
    for name, heard in _heard(agents).items():
        clean, erring = (_last(p, heard, noise) for p in (first, wrong))
        side, other = (clean > 0.5), (erring > 0.5)
        toward = wrong[:, :1] > 0.5
        caught = (side != other) & (other == toward)
        middle = [np.median(p, axis=1) > 0.5 for p in (clean, erring)]
        start = read(wrong[:, 0]) - read(first[:, 0])
        shift = (read(erring[:, 1:]) - read(clean[:, 1:])).mean(axis=1)
        made.append(
            Cascade(
                topology=name,
                markets=markets,
                infected=float(caught[:, 1:].mean()),
                forecasts=float(((middle[0] != middle[1]) & (middle[1] == toward[:, 0])).mean()),
                shift=float((shift @ start) / (start @ start)),
                expected=float(np.linalg.matrix_power(weights(heard, PARAMETERS.herding), rounds)[1:, 0].mean()),
            )
        )
    return tuple(made)


def _last(first: Floats, heard: Floats, noise: list[Floats]) -> Floats:
    """What each agent says in the end."""
    p, degree = first, heard.sum(axis=1)
    for luck in noise:
        own = read(p)
        peers = np.where(degree > 0, own @ heard.T / np.maximum(degree, 1), own)
        p = said(revised(own, peers, PARAMETERS.herding, luck, PARAMETERS))
    return p
