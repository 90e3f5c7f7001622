"""The true values of what `talk.coordination` and `talk.pooling` measure in `selftest.talk`'s worlds.

Medians and spreads of three agents have no short integral, so these are means over 500,000 markets: their own standard error
is 6% of that of a study of 1,600 markets, which moves a coverage by less than 0.1 points. Herding and anchoring are not
among them: those are the parameters themselves.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final

import numpy as np
from scipy.special import expit

from coordeval.analysis.base.checks import Floats
from coordeval.analysis.selftest.regimes import Regime
from coordeval.analysis.selftest.talk import STRUCTURES, Talk, read, talk
from coordeval.analysis.talk.pooling import FACTOR

MARKETS: Final = 500_000
_BLOCK = 100_000
_ROUNDING = 1e-9


@cache
def talked(regime: Regime, *, markets: int = MARKETS) -> Mapping[tuple[str, str], float]:
    """(configuration, measure) -> its true value; the measures of `analysis.selftest.benches.talks`."""
    sums: dict[tuple[str, str], tuple[float, float]] = {}
    for number in range(-(-markets // _BLOCK)):
        world = talk(min(_BLOCK, markets - number * _BLOCK), regime=regime, rng=np.random.default_rng([markets, number]))
        for name in STRUCTURES:
            for measure, over, under in _measured(world, name):
                before = sums.get((name, measure), (0.0, 0.0))
                sums[name, measure] = (before[0] + float(over.sum()), before[1] + float(under.sum()))
    return {key: over / under for key, (over, under) in sums.items()}


def _measured(world: Talk, name: str) -> Iterator[tuple[str, Floats, Floats]]:
    """Measure, and what to sum above and below the line."""
    y, first, last, final = world.y, world.shown, world.last[name], world.forecast[name]
    one = np.ones_like(y)
    centre = first.mean(axis=1)
    pool = np.median(first, axis=1) if name == "peer_critique_debate" else centre
    means = {
        "individual": ((first - y[:, None]) ** 2).mean(axis=1),
        "ambiguity": ((first - centre[:, None]) ** 2).mean(axis=1),
        "static_pool": (centre - y) ** 2,
        "pool": (pool - y) ** 2,
        "final": (final - y) ** 2,
        "gain": (pool - y) ** 2 - (final - y) ** 2,
        "away": (np.abs(final - y) > np.abs(pool - y) + _ROUNDING).astype(np.float64),
        "round 0: spread": np.ptp(first, axis=1),
        "round 1: spread": np.ptp(last, axis=1),
        "round 1: away": (np.abs(last.mean(axis=1) - y) > np.abs(centre - y) + _ROUNDING).astype(np.float64),
    }
    agents = first.shape[1]
    peers = (first.sum(axis=1, keepdims=True) - first) / (agents - 1)
    goals = {"peers": peers, "price": world.price[:, None], "truth": y[:, None]}
    for goal, at in goals.items():
        means[f"round 1: toward_{goal}"] = (np.abs(first - at) - np.abs(last - at)).mean(axis=1)
    low, high = first.min(axis=1), first.max(axis=1)
    pools = {
        **{"mean": centre, "median": np.median(first, axis=1), "trimmed": first.sum(axis=1) - low - high},
        **{"log_odds": expit(read(first).mean(axis=1)), "extremised": expit(FACTOR * read(first).mean(axis=1))},
    }
    means |= {pool: (p - y) ** 2 - (final - y) ** 2 for pool, p in pools.items()}
    yield from ((measure, values, one) for measure, values in means.items())
    x = read(first)
    others = x[:, 1:].mean(axis=1)
    apart = x[:, 0] - others
    yield "first_mover", apart * (read(final) - others - apart / agents), apart**2
