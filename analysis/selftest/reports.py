"""Whole reports against simulated truth: how often they state anything where nothing is so, and what is so where it is.

For market i of event e(i), with u, ε and η standard normal and partly shared by the markets of an event, Φ the normal
distribution function and c = Φ⁻¹(1 − base rate):

    y_i   = 1 if u_i > c else 0
    s_ijr = ρ_j u_i + √(1 − ρ_j²) (√k ε_i + √(h − k) ε_ij + √(1 − h) η_ijr)
    p_ijr = Φ((ρ_j s_ijr − c)/√(1 − ρ_j²)), to two decimals

So every forecast, and the price, is calibrated, P(y = 1 | p) = p, and those of one ρ score the same: a report that states
that they differ, that one is miscalibrated or that sampling does better says what is not so. What is not null in such a
world is not counted: a blend with the price does add something, for both know something of their own.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import Any, Final, cast

import numpy as np
import polars as pl
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri
from scipy.stats import binom

from coordeval.analysis.base.checks import Floats, Ints
from coordeval.analysis.base.frames import SCHEMA, Scored
from coordeval.analysis.base.resampling import Method
from coordeval.analysis.cost.compute_matched import LONE, compute_matched
from coordeval.analysis.differences.comparisons import comparisons
from coordeval.analysis.differences.sequential import sequences
from coordeval.analysis.plan.power import power
from coordeval.analysis.plan.variance import variance
from coordeval.analysis.quality.bootstrap import bootstrap
from coordeval.analysis.quality.nulls import nulls
from coordeval.analysis.quality.subgroups import subgroups
from coordeval.analysis.selftest.worlds import as_scored
from coordeval.analysis.study.diagnostics import Diagnostics
from coordeval.analysis.study.family import ALPHA, QUESTIONS, factor, family_size, level
from coordeval.analysis.study.findings import Findings, contrasts_of
from coordeval.analysis.study.leaderboard import Leaderboard
from coordeval.analysis.study.stated import Statement, stated

CHANCE: Final = 0.01
"""Probability that a figure fails although it is just within what is promised."""
STATES: Final = (0.77, 0.83)
"""Share of reports that state a planted difference of the size planned for 80%."""
ANOTHER: Final = 0.01
"""Share of these that may state anything else that is not so."""
_PLAIN: Final[Mapping[str, Method]] = {"mcb": "percentile", "dsc": "percentile"}
"""Of the intervals of MCB and DSC, which state nothing: contrasts rest on the draws."""
_COST: Final = 0.1
_KINDS: Final = 6  # categories
_LARGE: Final = 400_000  # markets by which a true difference is known
_FIRST: Final = 20_000  # markets of the first study that is planned from


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What markets are like."""

    name: str
    base_rate: float = 0.45
    rho: float = 0.75
    """How much the price and every forecaster know."""
    kept: float = 0.7
    """h: what of a forecaster's error stays when it is sampled again."""
    common: float = 0.0
    """k: what of it all share."""
    heavy: bool = False
    """A fifth of all markets in one event, the others mostly alone."""

    @property
    def cut(self) -> float:
        return float(ndtri(1 - self.base_rate))


SHAPES: Final = (
    Shape(name="balanced"),
    Shape(name="4% resolve YES", base_rate=0.04),
    Shape(name="near 0 and 1", rho=0.97),
    Shape(name="one large event", heavy=True),
    Shape(name="correlated .98", kept=0.99, common=0.98),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What whole reports of one shape stated."""

    shape: str
    markets: int
    reports: int
    wrong: int
    """Reports that state anything that is not so."""
    kinds: Mapping[str, int]
    """Kind of statement -> reports that state one that is not so."""
    found: int | None = None
    """Reports that state the planted difference; None where none is planted."""

    @property
    def allowed(self) -> float:
        return ALPHA if self.found is None else ANOTHER

    @property
    def failures(self) -> tuple[str, ...]:
        """What is off beyond Monte Carlo error: exact, binomial."""
        said = []
        if self.wrong and binom.sf(self.wrong - 1, self.reports, self.allowed) < CHANCE:
            said.append(f"{self.wrong / self.reports:.1%} state what is not so, at most {self.allowed:.0%} may")
        if self.found is not None:
            low, high = STATES
            off = min(binom.cdf(self.found, self.reports, low), binom.sf(self.found - 1, self.reports, high))
            if off < CHANCE:
                said.append(
                    f"{self.found / self.reports:.1%} state the planted difference, planned are {low:.0%} to {high:.0%}"
                )
        return tuple(f"{self.shape}, {self.markets} markets: {each}" for each in said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many reports of how many markets."""

    null: Mapping[int, int]
    """Markets -> reports of each shape in which nothing is to be found."""
    planted: Mapping[int, int]
    """Markets -> reports with a planted difference, of `SHAPES[0]`."""
    resamples: int = 300
    shapes: tuple[Shape, ...] = field(default=SHAPES)


FULL: Final = Plan(null={60: 100, 150: 100}, planted={150: 1000})
QUICK: Final = Plan(null={60: 12}, planted={100: 40}, resamples=200)
"""It finds a report that states something three times as often as it may, and a planned power that is off by 20 points."""


def reports(plan: Plan = FULL, *, seed: int = 0, told: Callable[[str], None] = lambda text: None) -> tuple[Told, ...]:
    """Runs the plan; each report from its own seed."""
    made = []
    for markets, count in plan.null.items():
        for k, shape in enumerate(plan.shapes):
            told(f"{shape.name}, {markets} markets, nothing to be found")
            seeds = ((seed, 0, k, markets, i) for i in range(count))
            made.append(_null(shape, markets, [_statements(shape, markets, {}, s, plan.resamples) for s in seeds]))
    for markets, count in plan.planted.items():
        shape = plan.shapes[0]
        told(f"{shape.name}, {markets} markets, one configuration is worse")
        rho = planted(shape, markets)
        seeds = ((seed, 1, 0, markets, i) for i in range(count))
        every = [_statements(shape, markets, {"b": rho, "price": _better(shape)}, s, plan.resamples) for s in seeds]
        made.append(_planted(shape, markets, every))
    return tuple(made)


def _null(shape: Shape, markets: int, every: Sequence[tuple[Statement, ...]]) -> Told:
    return _counted(shape.name, markets, every, lambda said: said.kind != "blend")


def _planted(shape: Shape, markets: int, every: Sequence[tuple[Statement, ...]]) -> Told:
    """`b` is worse than `a` and `single_agent`, which are equal; the price is better than all three."""

    def wrong(said: Statement) -> bool:
        pair = {said.of, said.than}
        if said.kind in ("pair", "look", "dsc contrast"):
            if pair == {"a", LONE}:
                return True
            worse = "market price" not in pair and (said.of == "b") != (said.estimate > 0)
            return said.kind == "pair" and worse
        return said.kind in ("rel", "mcb", "mcb contrast") or (said.kind, said.of) == ("sampling", "a")

    found = sum(
        any(s.kind == "pair" and {s.of, s.than} == {"b", LONE} and (s.of == "b") == (s.estimate > 0) for s in statements)
        for statements in every
    )
    told = _counted(f"{shape.name}, one worse", markets, every, wrong)
    return Told(**{name: getattr(told, name) for name in ("shape", "markets", "reports", "wrong", "kinds")}, found=found)


def _counted(name: str, markets: int, every: Sequence[tuple[Statement, ...]], wrong: Callable[[Statement], bool]) -> Told:
    kinds: Counter[str] = Counter()
    for statements in every:
        kinds.update({said.kind for said in statements if wrong(said)})
    return Told(
        shape=name,
        markets=markets,
        reports=len(every),
        wrong=sum(any(map(wrong, statements)) for statements in every),
        kinds=dict(kinds),
    )


def _statements(
    shape: Shape, markets: int, rho: Mapping[str, float], seed: tuple[int, ...], n: int
) -> tuple[Statement, ...]:
    cells = frame(shape, markets, rho, rng=np.random.default_rng(seed))
    return statements(as_scored(cells), n=n, seed=seed[-1])


def statements(kept: Scored, *, n: int, seed: int) -> tuple[Statement, ...]:
    """What a report of these cells states, computing only what can be stated; a test holds it against `build_report`."""
    how: dict[str, Any] = {"n": n, "seed": seed}
    tests = family_size(kept.frame["configuration"].n_unique())
    empty = pl.DataFrame(schema={"stands": pl.Boolean})
    found = SimpleNamespace(
        comparisons=comparisons(kept, alpha=ALPHA, tests=factor(tests), **how),
        matched=compute_matched(kept, alpha=level(tests), sizes=(1,), **how),
        contrasts=contrasts_of(bootstrap(kept, families=["corp"], methods=_PLAIN, **how)),
        predictions=SimpleNamespace(table=empty),
    )
    cells = subgroups(kept, measures=["delta_market"])
    deeper = SimpleNamespace(
        coordination=None,
        tracking=None,
        pooling=None,
        subgroups=cells,
        sequences=sequences(kept),
    )
    board = SimpleNamespace(nulls=nulls(kept, **how))
    return stated(cast(Findings, found), cast(Diagnostics, deeper), cast(Leaderboard, board))  # of each, what it reads


@cache
def planted(shape: Shape, markets: int) -> float:
    """The ρ of a configuration whose difference a study of so many markets is planned to see in 80%, as `plan` plans."""

    def excess(rho: float) -> float:
        delta, first = true_difference(shape, rho)
        found = power(first, markets=[markets], replicates=[2], delta=delta, alpha=QUESTIONS, comparisons=family_size(3))
        return float(found["power"][0]) - 0.8

    return float(brentq(excess, 0.05, shape.rho - 0.02, xtol=1e-3))


def true_difference(shape: Shape, rho: float) -> tuple[float, Any]:
    """Brier of a forecaster of ρ over that of the shape's own, and the variance components of a first study of both."""
    rng = np.random.default_rng(7)
    _, y, said = _world(shape, _LARGE, {LONE: shape.rho, "b": rho}, rng=rng)
    worse = float(np.mean((said["b"] - y[:, None]) ** 2) - np.mean((said[LONE] - y[:, None]) ** 2))
    pair = {LONE: shape.rho, "b": rho}
    return max(worse, 1e-6), variance(as_scored(_framed(shape, _FIRST, pair, rng=np.random.default_rng(8))), n=2)


def _better(shape: Shape) -> float:
    return shape.rho + 0.6 * (1 - shape.rho)


def frame(shape: Shape, markets: int, rho: Mapping[str, float], *, rng: np.random.Generator) -> pl.DataFrame:
    """Three configurations and a price, all of the shape's ρ but for those that are given another."""
    return _framed(shape, markets, {name: rho.get(name, shape.rho) for name in (LONE, "a", "b", "price")}, rng=rng)


def _framed(shape: Shape, markets: int, rho: Mapping[str, float], *, rng: np.random.Generator) -> pl.DataFrame:
    event, y, said = _world(shape, markets, rho, rng=rng)
    kinds = rng.choice(list("abcdef")[:_KINDS], int(event[-1]) + 1)[event]
    price = said["price"][:, 0] if "price" in said else None
    parts = []
    for name, p in said.items():
        if name == "price":
            continue
        columns: dict[str, Any] = {
            "market_id": np.repeat(np.arange(markets).astype(str), 2),
            "event_id": np.repeat(event.astype(str), 2),
            "category": np.repeat(kinds, 2),
            "replicate": np.tile([0, 1], markets),
            "probability": p.ravel(),
            "outcome": np.repeat(y.astype(np.int64), 2),
            "market_price": None if price is None else np.repeat(price, 2),
        }
        parts.append(pl.DataFrame(columns).with_columns(configuration=pl.lit(name)))
    constant = {"status": "answered", "model_calls": 1, "simulated": True, "cost_usd": _COST}
    whole = pl.concat(parts).with_columns(**{name: pl.lit(value) for name, value in constant.items()})
    return whole.select(
        (pl.col(name) if name in whole.columns else pl.lit(None)).cast(kind).alias(name) for name, kind in SCHEMA.items()
    )


def _world(
    shape: Shape, markets: int, rho: Mapping[str, float], *, rng: np.random.Generator
) -> tuple[Ints, Floats, dict[str, Floats]]:
    """The event and outcome of each market, and what each says: (markets, 2 replicates)."""
    event = _events(shape, markets, rng)

    def normal() -> Floats:
        shared = rng.standard_normal(int(event[-1]) + 1)[event]
        return np.asarray(np.sqrt(0.5) * shared + np.sqrt(0.5) * rng.standard_normal(markets), np.float64)

    u, common = normal(), normal()

    def signals(r: float) -> Iterator[Floats]:
        own = np.sqrt(shape.kept - shape.common) * normal()
        for _ in range(2):
            error = np.sqrt(shape.common) * common + own + np.sqrt(1 - shape.kept) * rng.standard_normal(markets)
            yield r * u + np.sqrt(1 - r * r) * error

    said = {
        name: ndtr((r * np.stack(list(signals(r)), axis=1) - shape.cut) / np.sqrt(1 - r * r)).round(2)
        for name, r in rho.items()
    }
    return event, (u > shape.cut).astype(np.float64), said


def _events(shape: Shape, markets: int, rng: np.random.Generator) -> Ints:
    sizes = rng.choice((1, 2, 3), size=markets, p=(0.6, 0.25, 0.15))
    if shape.heavy:
        sizes[0] = markets // 5
    return np.repeat(np.arange(markets), sizes)[:markets].astype(np.int64)
