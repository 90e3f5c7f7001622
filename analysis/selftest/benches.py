"""What is tried in one simulated world: every interval against the true value, every test against a true null.

A bench draws a world from a seed, calls the measures of `analysis` as a study does, and tells of each check whether it
came out as it should say: an interval held the truth, a test rejected.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from math import inf
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from scipy.optimize import brentq
from scipy.special import stdtr

from coordeval.analysis.base.events import clustered_error
from coordeval.analysis.base.grid import PRICE as MARKET
from coordeval.analysis.base.resampling import PLAIN, Resamples, interval
from coordeval.analysis.cost.compute_matched import Curve, compute_matched
from coordeval.analysis.cost.frontier import frontier, hypervolume
from coordeval.analysis.differences.comparisons import comparisons, paired
from coordeval.analysis.differences.predictions import Prediction, verdicts
from coordeval.analysis.differences.sequential import sequences
from coordeval.analysis.differences.sign_flips import sign_flip
from coordeval.analysis.plan.power import power
from coordeval.analysis.plan.variance import variance
from coordeval.analysis.quality.bootstrap import bootstrap, of_grid
from coordeval.analysis.quality.nulls import nulls as component_nulls
from coordeval.analysis.quality.tracking import tracking
from coordeval.analysis.selftest import truth
from coordeval.analysis.selftest.arms import interaction_tests, judged
from coordeval.analysis.selftest.groups import groups, true_values
from coordeval.analysis.selftest.groups import measured as measured_groups
from coordeval.analysis.selftest.regimes import REGIMES, Regime, regime
from coordeval.analysis.selftest.talk import AGENTS, PARAMETERS, STRUCTURES, estimates, openings, talk
from coordeval.analysis.selftest.talk_truth import talked
from coordeval.analysis.selftest.worlds import FORECASTERS, PRICE, Forecaster, as_grid, as_scored, draw, frame
from coordeval.analysis.talk.coordination import anchoring, coordination
from coordeval.analysis.talk.pooling import pooling

Kind = Literal["interval", "test", "anytime", "power"]
"""What is counted: intervals that hold the truth, tests that reject a true null, sequences that are ever wrong, tests that
find a true difference."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Check:
    """One row of the self-test."""

    kind: Kind
    measure: str
    world: str
    markets: int
    of: str
    """The forecaster, pair or component."""


Seen = Iterator[tuple[Check, bool | None]]
"""True: the interval held the truth, the test rejected. None: there was no interval or no p-value."""
Bench = Callable[["Task"], Seen]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One world: the same task gives the same result."""

    bench: str
    world: str
    markets: int
    number: int
    seed: int = 0
    resamples: int = 500

    @property
    def regime(self) -> Regime:
        return regime(self.world)

    @property
    def rng(self) -> np.random.Generator:
        place = (list(BENCHES).index(self.bench), REGIMES.index(self.regime))
        return np.random.default_rng([self.seed, *place, self.markets, self.number])

    def check(self, kind: Kind, measure: str, of: str) -> Check:
        return Check(kind=kind, measure=measure, world=self.world, markets=self.markets, of=of)

    @property
    def options(self) -> dict[str, Any]:
        """Resamples and their seed, for every measure that asks for them."""
        return {"n": self.resamples, "seed": self.number}


ALPHA: Final = 0.05
MARGIN: Final = 0.01
REFERENCE: Final = (0.35, 0.25)
_TESTS: Final = {"sign flip": "p_value", "clustered t": "p_clustered", "paired t, as if independent": "p_t"}
_LEVELS: Final = (1, 2, 5, 10)
_LONE: Final = FORECASTERS[-1]
_TARGET_K: Final = 3.0


def forecasts(task: Task) -> Seen:
    """Every interval of the leaderboard, the pairs, the frontier, plain sampling and tracking, for five forecasters."""
    rng, regime = task.rng, task.regime
    cells = frame(draw(task.markets, regime=regime, rng=rng), rng=rng)
    scored, true = as_scored(cells), _forecast_truth(regime)
    for row in bootstrap(scored, **task.options).table.iter_rows(named=True):
        if row["reason"] is None or row["estimate"] is not None:
            yield task.check("interval", row["measure"], row["configuration"]), _held(row, true.get(_key(row)))
    for row in comparisons(scored, **task.options).table.iter_rows(named=True):
        value = true[row["first"], "brier"] - true[row["second"], "brier"]
        yield task.check("interval", "Δ Brier", f"{row['first']} − {row['second']}"), _held(row, value)
    found = frontier(cells, reference=REFERENCE, **task.options)
    for row in found.table.iter_rows(named=True):
        name, ends = row["configuration"], {"low": row["cost_low"], "high": row["cost_high"]}
        yield task.check("interval", "cost per market", name), _held(ends, true[name, "cost"])
    ends = {"low": found.hypervolume_low, "high": found.hypervolume_high}
    yield task.check("interval", "hypervolume", "frontier"), _held(ends, true["", "hypervolume"])
    curve = Curve(v=true[_LONE.name, "brier"], c=true[_LONE.name, "pooled"], n_markets=1)
    target = curve.brier(_TARGET_K)
    matched = compute_matched(scored, target=target, sizes=_LEVELS, **task.options)
    for row in matched.table.iter_rows(named=True):
        name = row["configuration"]
        value = curve.brier(max(true[name, "cost"] / _LONE.cost, 1)) - true[name, "brier"]
        yield task.check("interval", "coordination premium", name), _held(row, value)
    for row in matched.curve.iter_rows(named=True):
        yield task.check("interval", "plain sampling E_k", f"k = {row['k']}"), _held(row, curve.brier(row["k"]))
    row = matched.to_match.row(0, named=True)
    ends = {side: inf if row[side] is None else row[side] for side in ("low", "high")}
    yield task.check("interval", "cost to match", "plain sampling"), _held(ends, _TARGET_K * _LONE.cost)
    for row in tracking(scored, **task.options).table.iter_rows(named=True):
        yield task.check("interval", row["measure"], row["configuration"]), _held(row, true[_key(row)])


def nulls(task: Task) -> Seen:
    """Every test where nothing is to be found: exchangeable configurations, and one that differs but scores the same."""
    rng, regime = task.rng, task.regime
    others = {"other": _scoring(regime, 0.0), "worse": _scoring(regime, MARGIN)}
    cast = (*(replace(_TWIN, name=f"twin {k}") for k in range(4)), *(replace(w, name=n) for n, w in others.items()))
    world = draw(task.markets, regime=regime, forecasters=cast, rng=rng)
    same = as_scored(frame(world, cast[:5], rng=rng))
    found = comparisons(same, **task.options | {"n": 999})
    rows = {(row["first"], row["second"]): row for row in found.table.iter_rows(named=True)}
    for of, pair in (("exchangeable", ("twin 0", "twin 1")), ("same score, other errors", ("other", "twin 0"))):
        for name, column in _TESTS.items():
            yield task.check("test", name, of), _rejects(rows[pair][column])
        yield task.check("interval", "Δ Brier", f"true null: {of}"), _held(rows[pair], 0.0)
    family = [row for row in rows.values() if row["family"] == "configurations"]
    for name in ("holm", "bonferroni"):
        known = [row[f"p_{name}"] for row in family if row[f"p_{name}"] is not None]
        yield task.check("test", f"any of {len(family)} pairs, {name.capitalize()}", "familywise"), _rejects(min(known))
    edge = as_scored(frame(world, (cast[0], cast[5]), rng=rng))
    row = comparisons(edge, **task.options | {"n": 9}, margin=MARGIN).table.row(0, named=True)
    yield task.check("test", "TOST", "Δ at the margin"), _rejects(row["p_tost"])
    told = bootstrap(same, families=("brier", "binned", "corp"), **task.options)
    for measure in ("brier", "rel", "res", "mcb", "dsc"):
        claim = Prediction(claim="null", measure=measure, of="twin 0", than="twin 1", direction="lower")
        p = verdicts([claim, claim.model_copy(update={"direction": "higher"})], told).table["p_value"].to_list()
        yield task.check("test", f"prediction on {measure}, either way", "exchangeable"), _rejects(_least(p))


def calibrated(task: Task) -> Seen:
    """Tests of calibration of a calibrated forecaster, and of pairs, where every market is an event of its own and not."""
    rng = task.rng
    good = FORECASTERS[0]
    cast = (good, replace(_TWIN, name="twin 0"), replace(_TWIN, name="twin 1"))
    for of, alone in (("independent markets", True), ("correlated markets", False)):
        world = draw(task.markets, regime=task.regime, forecasters=cast, rng=rng, alone=alone)
        found = component_nulls(as_scored(frame(world, cast[:1], rng=rng)), n=199, seed=task.number).table
        null = {row["measure"]: row for row in found.filter(configuration=good.name).iter_rows(named=True)}
        yield task.check("test", "calibration p-value", of), _rejects(null["mcb"]["p_value"])
        yield task.check("interval", "null REL", of), null["rel"]["low"] <= null["rel"]["seen"] <= null["rel"]["high"]
        if alone:
            pairs = comparisons(as_scored(frame(world, cast[1:], rng=rng)), **task.options | {"n": 9}).table
            row = pairs.row(by_predicate=pl.col("family") == "configurations", named=True)
            yield task.check("test", "paired t, as if independent", of), _rejects(row["p_t"])


def looks(task: Task) -> Seen:
    """Confidence sequences and e-values looked at after every event."""
    rng, regime = task.rng, task.regime
    cast = (replace(_TWIN, name="twin"), replace(_scoring(regime, 0.0), name="other"))
    scored = as_scored(frame(draw(task.markets, regime=regime, forecasters=cast, rng=rng), cast, rng=rng))
    found = sequences(scored, alpha=ALPHA)
    null = found.paths["other", "twin"]
    yield task.check("anytime", "e-value ever ≥ 20", "true null"), bool(null.e_value.max() >= 1 / ALPHA)
    yield task.check("anytime", "sequence ever excludes 0", "true null"), null.excluded_at is not None
    path = found.paths["twin", MARKET]
    value = truth.brier(truth.table(_TWIN, regime)) - truth.brier(truth.table(PRICE, regime))
    yield (
        task.check("anytime", "sequence ever excludes the truth", "true difference"),
        not bool(path.low[-1] <= value <= path.high[-1]),
    )


def parts(task: Task) -> Seen:
    """Variance components, and the power of the clustered t test beside what was planned for this size."""
    rng, regime = task.rng, task.regime
    scored = as_scored(frame(draw(task.markets, regime=regime, forecasters=TRIO, rng=rng), TRIO, rng=rng))
    true = _component_truth(regime)
    for row in variance(scored, **task.options).components.iter_rows(named=True):
        yield (
            task.check("interval", f"variance: {row['component']}", "three configurations"),
            _held(row, true[row["component"]]),
        )
    pair = _powered(regime, task.markets)
    scored = as_scored(frame(draw(task.markets, regime=regime, forecasters=pair, rng=rng), pair, rng=rng))
    found = comparisons(scored, **task.options | {"n": 999}).table
    row = found.row(by_predicate=pl.col("family") == "configurations", named=True)
    for name in ("clustered t", "sign flip"):
        yield task.check("power", name, "pair"), _rejects(row[_TESTS[name]])


def shapes(task: Task) -> Seen:
    """What a report says first, in a world shaped like markets: scores, components, differences, and their tests."""
    rng, where = task.rng, task.regime
    tested = (*(replace(_TWIN, name=f"twin {k}") for k in range(2)), replace(_scoring(where, 0.0), name="other"))
    edge = replace(_scoring(where, MARGIN), name="worse")
    world = draw(task.markets, regime=where, forecasters=(*SHOWN, *tested, edge), rng=rng)
    scored, true = as_scored(frame(world, SHOWN, rng=rng)), _score_truth(where)
    for row in bootstrap(scored, **task.options).table.iter_rows(named=True):
        if row["reason"] is None or row["estimate"] is not None:
            yield task.check("interval", row["measure"], row["configuration"]), _held(row, true[_key(row)])
    for row in comparisons(scored, **task.options).table.iter_rows(named=True):
        value = true[row["first"], "brier"] - true[row["second"], "brier"]
        yield task.check("interval", "Δ Brier", f"{row['first']} − {row['second']}"), _held(row, value)
    found = comparisons(as_scored(frame(world, tested, rng=rng)), **task.options | {"n": 999}).table
    rows = {(row["first"], row["second"]): row for row in found.iter_rows(named=True)}
    for of, pair in (("exchangeable", ("twin 0", "twin 1")), ("same score, other errors", ("other", "twin 0"))):
        for name in ("sign flip", "clustered t"):
            yield task.check("test", name, of), _rejects(rows[pair][_TESTS[name]])
        yield task.check("interval", "Δ Brier", f"true null: {of}"), _held(rows[pair], 0.0)
    at = as_scored(frame(world, (tested[0], edge), rng=rng))
    row = comparisons(at, **task.options | {"n": 9}, margin=MARGIN).table.row(0, named=True)
    yield task.check("test", "TOST", "Δ at the margin"), _rejects(row["p_tost"])


def headline(task: Task) -> Seen:
    """What a report says first, of two forecasters and the price, as arrays: so many worlds that 4 points are seen."""
    rng, where = task.rng, task.regime
    cast = FORECASTERS[1:3]
    world = draw(task.markets, regime=where, forecasters=cast, rng=rng)
    sample, true = as_grid(world, [who.name for who in cast]), _score_truth(where)
    told = of_grid(sample, "common", families=("brier", "market", "binned", "corp"), **task.options)
    for row in told.table.filter(pl.col("measure").is_in(HEADLINE)).iter_rows(named=True):
        if row["configuration"] != cast[1].name:  # one forecaster and the price are enough
            yield task.check("interval", row["measure"], row["configuration"]), _held(row, true[_key(row)])
    errors = sample.errors()
    d = (errors[:, 0] - errors[:, 1])[:, None]
    drawn = paired(sample, d, Resamples(events=len(sample.events), n=task.resamples, seed=task.number))
    value = true[cast[0].name, "brier"] - true[cast[1].name, "brier"]
    found = interval(drawn, 0, 0, method=PLAIN, events=len(sample.events))
    yield task.check("interval", "Δ Brier", "noisy − overconfident"), _held({"low": found.low, "high": found.high}, value)
    twins = draw(task.markets, regime=where, forecasters=(_TWIN, replace(_TWIN, name="other")), rng=rng)
    errors = as_grid(twins, ["twin", "other"]).errors()
    d = errors[:, 0] - errors[:, 1]
    sem, df = clustered_error(d, twins.event)
    yield task.check("test", "clustered t", "exchangeable"), bool(2 * stdtr(df, -abs(float(d.mean())) / sem) <= ALPHA)
    sums = np.asarray(np.bincount(twins.event, d), np.float64)[:, None]
    yield task.check("test", "sign flip", "exchangeable"), _rejects(sign_flip(sums, n=999, seed=task.number)[0][0])


def talks(task: Task) -> Seen:
    """What coordination did, and the anchoring, herding and conformity that the agents were given."""
    world = talk(task.markets, regime=task.regime, rng=task.rng)
    told, true = estimates(world), talked(task.regime)
    found = coordination(told, **task.options)
    for row in found.gain.iter_rows(named=True):
        yield task.check("interval", f"talk: {row['measure']}", row["configuration"]), _held(row, true[_key(row)])
    for row in found.rounds.iter_rows(named=True):
        measure = f"round {row['round']}: {row['measure']}"
        yield task.check("interval", measure, row["configuration"]), _held(row, true[row["configuration"], measure])
    for row in found.influence.iter_rows(named=True):
        herding = STRUCTURES[row["configuration"]][1]
        shares = {"peers": herding, "agent": herding / (AGENTS - 1)}
        value = shares.get(row["measure"], true.get(_key(row)))
        of = row["configuration"] if row["agent"] is None else f"{row['configuration']}, agent {row['agent']}"
        yield task.check("interval", f"influence: {row['measure']}", of), _held(row, value)
    for row in pooling(told, **task.options).table.filter(stage="first").iter_rows(named=True):
        name, ends = row["configuration"], {"low": row["delta_low"], "high": row["delta_high"]}
        yield task.check("interval", f"pool: {row['pool']}", name), _held(ends, true[name, row["pool"]])
    row = anchoring(openings(world, shown=True), openings(world, shown=False), **task.options).row(0, named=True)
    yield task.check("interval", "anchoring", row["configuration"]), _held(row, PARAMETERS.anchoring)


def grouped(task: Task) -> Seen:
    """Diversity, flips by cause, agreement and the metrics of scaling."""
    true = true_values(task.regime)
    for (of, measure), row in measured_groups(groups(task.markets, regime=task.regime, rng=task.rng), **task.options):
        yield task.check("interval", f"group: {measure}", of), _held(row, true[of, measure])


def arms(task: Task) -> Seen:
    """What is separable: components, interactions and the agreement of rankings, in worlds of two models and two arms."""
    for kind, measure, of, found in judged(task.markets, regime=task.regime, rng=task.rng, **task.options):
        yield task.check(kind, measure, of), _rejects(found) if kind == "test" else _held(*found)


def crossed(task: Task) -> Seen:
    """Whether what a configuration does hangs on the arm, where it does not: in the shapes in which `arms` is not tried."""
    for kind, measure, of, found in interaction_tests(task.markets, regime=task.regime, rng=task.rng, **task.options):
        yield task.check(kind, measure, of), _rejects(found)


BENCHES: Final[Mapping[str, Bench]] = {
    bench.__name__: bench
    for bench in (forecasts, nulls, calibrated, looks, parts, talks, shapes, headline, grouped, arms, crossed)
}
"""Name -> what is tried in one world."""
TRIO: Final = (
    Forecaster(name="careful", kept=0.5, own=0.5, replicates=2),
    Forecaster(name="extreme", slope=1.6, kept=0.4, own=0.6, replicates=2),
    Forecaster(name="timid", slope=0.5, kept=0.6, own=0.4, replicates=2),
)
HEADLINE: Final = ("brier", "alpha", "rel", "res", "mcb", "dsc")
SHOWN: Final = FORECASTERS[:4]
"""Who is scored in the worlds that are shaped like markets."""
_TWIN: Final = Forecaster(name="twin", kept=0.5, own=0.5)


_BASE: Final = Forecaster(name="base", kept=0.4, own=0.5, replicates=2)
_AT: Final = (100, 400, 1600)
_NOISIER: Final = {"balanced": (2.45, 1.2, 0.78), "skewed": (2.9, 1.32, 0.84)}
"""Regime -> the `kept` of a forecaster that `_AT` markets tell from `_BASE` about 80% of the time."""


@cache
def planned(world: str, markets: int) -> float:
    """The power that `analysis.plan.power` plans for the pair of `parts`, from a first study of 40,000 markets."""
    where = regime(world)
    pair = _powered(where, markets)
    rng = np.random.default_rng([markets, 1])
    first = variance(as_scored(frame(draw(40_000, regime=where, forecasters=pair, rng=rng), pair, rng=rng)), n=2)
    delta = abs(truth.brier(truth.table(pair[0], where)) - truth.brier(truth.table(pair[1], where)))
    return float(power(first, markets=[markets], replicates=[2], delta=delta)["power"][0])


def _powered(regime: Regime, markets: int) -> tuple[Forecaster, Forecaster]:
    kept = float(np.interp(np.log(markets), np.log(_AT), _NOISIER[regime.name]))
    return _BASE, replace(_BASE, name="noisier", kept=kept)


@cache
def _scoring(regime: Regime, excess: float) -> Forecaster:
    """One that errs in another way than a twin, with a Brier score that is higher by `excess`."""
    aim = truth.brier(truth.table(_TWIN, regime)) + excess
    bold = Forecaster(name="bold", slope=1.3)

    def beyond(kept: float) -> float:
        return truth.brier(truth.table(replace(bold, kept=kept), regime)) - aim

    return replace(bold, kept=float(brentq(beyond, 0.0, 4.0)))


@cache
def _component_truth(regime: Regime) -> Mapping[str, float]:
    return truth.components(TRIO, regime)


@cache
def _score_truth(regime: Regime) -> Mapping[tuple[str, str], float]:
    """(configuration, measure) -> true value, of all that `shapes` measures."""
    cast = (*SHOWN, replace(PRICE, name=MARKET))
    return {(who.name, name): value for who in cast for name, value in truth.measures(who, regime).items()}


@cache
def _forecast_truth(regime: Regime) -> Mapping[tuple[str, str], float]:
    """(configuration, measure) -> true value, of all that `forecasts` measures."""
    true: dict[tuple[str, str], float] = {}
    for who in (*FORECASTERS, replace(PRICE, name=MARKET)):
        measures = dict(truth.measures(who, regime))
        measures |= {} if who.name == MARKET else truth.follows(who, regime)
        true |= {(who.name, measure): value for measure, value in measures.items()}
        true[who.name, "cost"] = who.cost
    true[_LONE.name, "pooled"] = truth.pooled_brier(_LONE, regime)
    cost, score = (np.array([[true[who.name, axis] for who in FORECASTERS]]) for axis in ("cost", "brier"))
    true["", "hypervolume"] = float(hypervolume(cost, score, reference=REFERENCE)[0])
    return true


def _key(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["configuration"], row["measure"]


def _held(row: Mapping[str, Any], value: float | None) -> bool | None:
    """Whether the interval holds the value, to rounding; None where there is no interval."""
    low, high = row["low"], row["high"]
    if low is None or high is None or value is None:
        return None
    return bool(low - 1e-9 <= value <= high + 1e-9)


def _rejects(p: float | None) -> bool | None:
    return None if p is None else p <= ALPHA


def _least(p: list[float | None]) -> float | None:
    known = [value for value in p if value is not None]
    return min(known) if known else None
