"""Measures of groups against the simulator's known truth: diversity, flips by cause, agreement, and the metrics of scaling.

The worlds are those of `selftest.talk`, with three arms of one debate beside them: asked again alone, shown the estimates of
others, and shown their reasons too. Simulated agents read no reasons, so their true part is 0.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.base.checks import Floats, Ints
from coordeval.analysis.base.estimates import ESTIMATES
from coordeval.analysis.selftest.regimes import Regime
from coordeval.analysis.selftest.talk import AGENTS, PARAMETERS, Talk, estimates, read, revised, said, talk
from coordeval.analysis.talk.credit import TOLERANCE
from coordeval.analysis.talk.diversity import diversity
from coordeval.analysis.talk.ends import ends
from coordeval.analysis.talk.flips import flips
from coordeval.analysis.talk.scaling import TALKED, scaling

MARKETS: Final = 400_000
_BLOCK: Final = 100_000
ARMS: Final[Mapping[str, str]] = {"alone": "alone", "stance": "stance", "reasons": "reasons"}
_WEIGHTS: Final[Mapping[str, float]] = {"alone": 0.0, "stance": PARAMETERS.herding, "reasons": PARAMETERS.herding}
DEBATE: Final = "peer_critique_debate"
CONSENSUS: Final = "consensus_alignment"
_TURNS: Final = {"single_agent": 2, DEBATE: 9, CONSENSUS: 6}
_AGAIN: Final = 0.3
"""Of these turns, the share that take a second one, each by itself: an agent that calls a tool, and then answers."""
_MESSAGES: Final = {"single_agent": 0, DEBATE: 12, CONSENSUS: 6}
"""On average: of twice as many each is shown or not, by the toss of a coin."""
_WORDS: Final = 4
"""Words of a last statement."""
_SHARED: Final = {DEBATE: 0.4, CONSENSUS: 0.7}
"""Of these, the share that all agents of a group use; the others are nobody else's. Cosines of such texts are that share."""


@dataclass(frozen=True, slots=True)
class Groups:
    """A world, and what each agent says after a revision in each arm: (markets, agents)."""

    world: Talk
    arms: Mapping[str, Floats]
    used: Mapping[str, tuple[Ints, Ints, Ints]]
    """Configuration -> turns, messages and words that all agents share, of each market."""


def groups(markets: int, *, regime: Regime, rng: np.random.Generator) -> Groups:
    """One world; the same generator state gives the same world."""
    world = talk(markets, regime=regime, rng=rng)
    own = read(world.shown)
    peers = (own.sum(axis=1, keepdims=True) - own) / (AGENTS - 1)
    arms = {
        arm: said(revised(own, peers, weight, rng.standard_normal(own.shape), PARAMETERS))
        for arm, weight in _WEIGHTS.items()
    }
    used = {
        name: (
            turns + rng.binomial(turns, _AGAIN, markets),
            rng.binomial(2 * _MESSAGES[name], 0.5, markets),
            rng.binomial(_WORDS, _SHARED.get(name, 0.0), markets),
        )
        for name, turns in _TURNS.items()
    }
    return Groups(world, arms, used)


def measured(made: Groups, **options: Any) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    """((what, measure), the row with its interval) of each measure of a group, as a study computes them."""
    told = estimates(made.world)
    for row in diversity(told, **options).iter_rows(named=True):
        yield (row["configuration"], f"round {row['round']}: {row['measure']}"), row
    cells = _cells(told)
    for row in ends(told, cells, **options).filter(configuration=CONSENSUS).iter_rows(named=True):
        if row["measure"] in ("agreement", "verdict", "divided", "liveness", "validity", "wrong_together"):
            yield (CONSENSUS, row["measure"]), row
    for row in (
        flips(_arms(made), arms=ARMS, **options).table.filter(pl.col("part") != "empty_reasons").iter_rows(named=True)
    ):
        yield (row["part"], row["measure"]), row
    for row in scaling(_talked(made), **options).iter_rows(named=True):
        if row["configuration"] != "single_agent":
            yield (row["configuration"], row["measure"]), row


@cache
def true_values(regime: Regime, *, markets: int = MARKETS) -> Mapping[tuple[str, str], float]:
    """(what, measure) -> its true value: of large worlds, with formulas of their own."""
    sums: dict[tuple[str, str], Floats] = {}
    for number in range(-(-markets // _BLOCK)):
        size = min(_BLOCK, markets - number * _BLOCK)
        made = groups(size, regime=regime, rng=np.random.default_rng([markets, number, 7]))
        for key, values in _moments(made):
            sums[key] = sums.get(key, np.zeros(len(values))) + values
    found: dict[tuple[str, str], float] = {}
    for (what, measure), total in sums.items():
        if measure.endswith("errors"):
            m, squares, pairs = total[1:] / total[0]
            rho = (pairs - m**2) / (squares - m**2)
            name = measure.removesuffix("errors")
            found[what, f"{name}error_correlation"] = float(rho)
            found[what, f"{name}effective_agents"] = float(AGENTS / (1 + (AGENTS - 1) * rho))
        else:
            found[what, measure] = float(total[1] / total[0])
    for name in (DEBATE, CONSENSUS):
        ratio = _TURNS[name] / _TURNS["single_agent"]
        right, alone = found[name, "success"], found["single_agent", "success"]
        found[name, "efficiency"] = right / ratio
        found[name, "overhead"] = ratio - 1
        found[name, "message_density"] = _MESSAGES[name] / (_TURNS[name] * (1 + _AGAIN))
        found[name, "redundancy"] = _SHARED[name]
        found[name, "error_amplification"] = (1 - right) / (1 - alone)
        found[name, "brier_amplification"] = found[name, "brier"] / found["single_agent", "brier"]
    for measure in ("flips", "movement", "harm"):
        alone, stance, reasons = (found[arm, measure] for arm in ARMS)
        found["in_all", measure], found["second_thoughts", measure] = reasons, alone
        found["stance", measure], found["reasons", measure] = stance - alone, reasons - stance
    return found


def _moments(made: Groups) -> Iterator[tuple[tuple[str, str], Floats]]:
    world, y = made.world, made.world.y
    for name, last in world.last.items():
        for number, p in enumerate((world.shown, last)):
            e = p - y[:, None]
            pairs = [(e[:, a] * e[:, b]).sum() for a in range(AGENTS) for b in range(AGENTS) if a != b]
            size = float(e.size)
            across = sum(pairs) / len(pairs) * AGENTS
            yield (name, f"round {number}: errors"), np.array([size, e.sum(), (e**2).sum(), across])
    singles = {"single_agent": world.shown[:, 0], **world.forecast}
    for name, p in singles.items():
        yield (name, "success"), np.array([len(y), ((p > 0.5) == (y == 1)).sum()])
        yield (name, "brier"), np.array([len(y), ((p - y) ** 2).sum()])
    last, final = world.last[CONSENSUS], world.forecast[CONSENSUS]
    agreed = np.ptp(last, axis=1) <= TOLERANCE + 1e-9
    one_side = (last > 0.5).all(axis=1) | (last < 0.5).all(axis=1)
    valid = (final >= world.shown.min(axis=1) - 1e-9) & (final <= world.shown.max(axis=1) + 1e-9)
    wrong = (final > 0.5) != (y == 1)
    one = float(len(y))
    yield (CONSENSUS, "agreement"), np.array([one, agreed.sum()])
    yield (CONSENSUS, "liveness"), np.array([one, agreed.sum()])
    yield (CONSENSUS, "verdict"), np.array([one, (~agreed & one_side).sum()])
    yield (CONSENSUS, "divided"), np.array([one, (~agreed & ~one_side).sum()])
    yield (CONSENSUS, "validity"), np.array([agreed.sum(), (agreed & valid).sum()], np.float64)
    yield (CONSENSUS, "wrong_together"), np.array([agreed.sum(), (agreed & wrong).sum()], np.float64)
    q = world.shown
    for arm, p in made.arms.items():
        yield (arm, "flips"), np.array([p.size, ((p > 0.5) != (q > 0.5)).sum()])
        yield (arm, "movement"), np.array([p.size, np.abs(p - q).sum()])
        yield (arm, "harm"), np.array([p.size, ((p - y[:, None]) ** 2 - (q - y[:, None]) ** 2).sum()])


def _cells(told: pl.DataFrame) -> pl.DataFrame:
    first = told.unique(["configuration", "market_id", "replicate"], keep="first", maintain_order=True)
    shared = ("configuration", "market_id", "event_id", "replicate", "outcome")
    return first.select(*shared, status=pl.lit("answered"), probability="forecast", reason=pl.lit(None, pl.String))


def _arms(made: Groups) -> pl.DataFrame:
    """The three arms as a frame of estimates."""
    own = estimates(made.world).filter(pl.col("configuration") == DEBATE)
    first, later = own.filter(round=0), own.filter(round=1)
    parts = [
        frame.with_columns(configuration=pl.lit(arm), **values)
        for arm, p in made.arms.items()
        for frame, values in ((first, {}), (later, {"probability": pl.Series(p.ravel())}))
    ]
    return pl.concat(parts).select(pl.col(name).cast(kind) for name, kind in ESTIMATES.items())


def _texts(name: str, shared: Ints) -> list[list[str] | None]:
    """What each agent of a last round writes; null of single agents."""
    if name not in _SHARED:
        return [None] * len(shared)
    words = [[f"common{i}" if i < count else f"own{i}of{agent}" for i in range(_WORDS)]
             for count in range(_WORDS + 1) for agent in range(AGENTS)]  # fmt: skip
    of = [[" ".join(words[count * AGENTS + agent]) for agent in range(AGENTS)] for count in range(_WORDS + 1)]
    return [of[count] for count in shared]


def _talked(made: Groups) -> pl.DataFrame:
    """The frame of `scaling`: single agents are the first ones of the same world."""
    world = made.world
    forecasts = {"single_agent": world.shown[:, 0], **world.forecast}
    count = len(world.y)
    parts = [
        pl.DataFrame(
            {
                "configuration": [name] * count,
                "market_id": np.arange(count).astype(str),
                "event_id": world.event.astype(str),
                "replicate": np.zeros(count, np.int64),
                "outcome": world.y.astype(np.int64),
                "forecast": p,
                "turns": made.used[name][0],
                "messages": made.used[name][1],
                "texts": _texts(name, made.used[name][2]),
            },
            schema_overrides={"texts": pl.List(pl.String)},
        )
        for name, p in forecasts.items()
    ]
    return pl.concat(parts).select(pl.col(name).cast(kind) for name, kind in TALKED.items())
