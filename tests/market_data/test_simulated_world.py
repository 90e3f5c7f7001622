"""The simulated world keeps what it states: its parameters, its calibration, and the wall before what is known later."""

import os
import subprocess
import sys
from collections import defaultdict
from itertools import combinations
from math import log, sqrt

import numpy as np
import pytest

from coordeval.market_data.errors import DataError
from coordeval.market_data.gate import MarketView
from coordeval.market_data.simulated import SIGNAL, SimulatedWorld


@pytest.fixture(scope="module")
def large():
    return SimulatedWorld(count=3000, seed=7)


def logit(p):
    return log(p / (1 - p))


def views(world):
    """One view per market at its reference time."""
    prices, documents = defaultdict(list), defaultdict(list)
    for point in world.prices():
        prices[point.market_id].append(point)
    for document in world.documents():
        documents[document.market_id].append(document)
    return [MarketView(m, m.reference_time, prices[m.id], documents[m.id]) for m in world.markets()]


def arrays(world):
    """(outcomes, latent probabilities, market prices as of the reference time), each of shape (n_markets,)."""
    outcomes = np.array([o.value for o in world.outcomes()], float)
    truths = np.array([world.truth(m.id) for m in world.markets()])
    return outcomes, truths, np.array([view.price.price for view in views(world)])


@pytest.mark.parametrize("count", [1, 7, 60])
def test_a_market_does_not_depend_on_how_many_there_are(count):
    few, many = SimulatedWorld(count=count), SimulatedWorld(count=90)
    assert few.markets() == many.markets()[:count]
    assert few.outcomes() == many.outcomes()[:count]
    assert few.prices() == many.prices()[: len(few.prices())]
    assert few.documents() == many.documents()[: len(few.documents())]
    assert [few.truth(m.id) for m in few.markets()] == [many.truth(m.id) for m in few.markets()]


def test_seed_and_index_are_the_identity():
    assert [m.id for m in SimulatedWorld(count=2, seed=5).markets()] == ["sim-5-0001", "sim-5-0002"]
    one, two = (SimulatedWorld(count=50, seed=seed) for seed in (1, 2))
    assert not {m.question for m in one.markets()} & {m.question for m in two.markets()}


def test_it_is_the_same_in_every_process():
    code = (
        "import hashlib; from coordeval.market_data.simulated import SimulatedWorld as W; w = W(count=30);"
        "print(hashlib.sha256(repr((w.markets(), w.prices(), w.documents(), w.outcomes())).encode()).hexdigest())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(printed) == 1


@pytest.mark.proof
def test_outcomes_come_true_as_often_as_their_latent_probability_says(large):
    outcomes, truths, _ = arrays(large)
    groups = np.array_split(np.argsort(truths), 10)
    for group in groups:
        sd = sqrt((truths[group] * (1 - truths[group])).sum())
        # events are clusters of about 1.5 correlated markets, which widens the sum a little
        assert abs((outcomes - truths)[group].sum()) < 4 * sd


def test_the_price_has_real_but_imperfect_skill(large):
    outcomes, truths, prices = arrays(large)
    price, truth = np.mean((prices - outcomes) ** 2), np.mean((truths - outcomes) ** 2)
    base_rate = outcomes.mean() * (1 - outcomes.mean())
    assert 0.15 < price < 0.19
    assert truth < price < base_rate - 0.05


@pytest.mark.parametrize("parameter", ["latent_correlation", "outcome_correlation"])
@pytest.mark.proof
def test_markets_of_one_event_are_as_alike_as_stated(parameter):
    related, unrelated = SimulatedWorld(count=2000), SimulatedWorld(count=2000, **{parameter: 0.0})

    def alike(world):
        truths = np.array([world.truth(m.id) for m in world.markets()])
        outcomes = np.array([o.value for o in world.outcomes()])
        x = np.log(truths / (1 - truths)) if parameter == "latent_correlation" else outcomes - truths
        x = (x - x.mean()) / x.std()
        members = defaultdict(list)
        for market, value in zip(world.markets(), x, strict=True):
            members[market.event_id].append(value)
        products = [a * b for group in members.values() for a, b in combinations(group, 2)]
        return np.mean(products), np.std(products) / sqrt(len(members))

    mean, error = alike(related)
    if parameter == "latent_correlation":
        assert abs(mean - related.latent_correlation) < 4 * error
    assert mean > 4 * error
    mean, error = alike(unrelated)
    assert abs(mean) < 4 * error


def test_an_event_has_one_to_three_markets_that_open_close_and_end_together(large):
    members = defaultdict(list)
    for market, outcome in zip(large.markets(), large.outcomes(), strict=True):
        members[market.event_id].append((market, outcome))
    assert {len(group) for group in members.values()} == {1, 2, 3}
    for group in members.values():
        shared = {(m.opened_at, m.scheduled_close, m.reference_time, m.category, o.resolved_at) for m, o in group}
        assert len(shared) == 1
        assert len({m.question for m, _ in group}) == len(group)


def test_as_of_is_days_before_the_end_and_the_end_is_not_after_the_deadline(large):
    for market, outcome in zip(large.markets(), large.outcomes(), strict=True):
        assert market.opened_at < market.reference_time
        assert (outcome.resolved_at - market.reference_time).days >= 4
        assert outcome.resolved_at <= market.scheduled_close


def test_a_resolution_time_would_give_the_outcome_away(large):
    early = [
        outcome.value
        for market, outcome in zip(large.markets(), large.outcomes(), strict=True)
        if outcome.resolved_at < market.scheduled_close
    ]
    assert np.mean(early) > 0.75


def test_questions_are_varied_and_say_that_they_are_invented(large):
    markets = large.markets()
    assert len({m.question for m in markets}) > 0.99 * len(markets)
    assert len({m.category for m in markets}) == 10
    assert all(m.simulated and "Simulated market" in m.description for m in markets)


def test_documents_state_the_latent_probability_with_the_stated_noise():
    world = SimulatedWorld(count=800, latent_sd=0.5, evidence_noise=0.6)
    errors = [
        logit(float(SIGNAL.search(document.text)[1])) - logit(world.truth(view.market.id))
        for view in views(world)
        for document in view.documents
    ]
    assert abs(np.mean(errors)) < 4 * 0.6 / sqrt(len(errors))
    assert np.std(errors) == pytest.approx(0.6, abs=4 * 0.6 / sqrt(2 * len(errors)))


def test_a_market_has_forty_prices_some_of_them_later_that_follow_the_evidence(large):
    followed = []
    for view in views(large)[:300]:
        late = [r for r in view.refusals if r.kind == "price"]
        assert len(view.prices) + len(late) == 40
        assert len(late) == 12
        signals = [logit(float(SIGNAL.search(d.text)[1])) for d in view.documents]
        followed.append((np.mean(signals), logit(view.price.price)))
    assert np.corrcoef(np.array(followed).T)[0, 1] > 0.9


def test_the_gate_holds_back_every_page_that_knows_the_answer(large):
    undated = 0
    for view in views(large):
        assert 4 <= len(view.documents) <= 8
        assert not any("the answer is" in f"{d.title} {d.text}" for d in view.documents)
        reasons = [r.reason for r in view.refusals if r.kind == "document"]
        assert reasons.count("later than as-of") == 2
        undated += reasons.count("undated")
    assert undated / large.count == pytest.approx(large.undated_rate, abs=4 * sqrt(0.24 / large.count))


def test_what_was_knowable_at_as_of_is_the_same_whatever_the_outcome():
    world, mirror = SimulatedWorld(count=200), SimulatedWorld(count=200, flipped=True)
    assert all(a.value != b.value for a, b in zip(world.outcomes(), mirror.outcomes(), strict=True))
    assert world.markets() == mirror.markets()
    for one, other in zip(views(world), views(mirror), strict=True):
        assert one.prices == other.prices
        assert one.documents == other.documents
        assert one.fingerprint == other.fingerprint
    assert world.documents() != mirror.documents()
    assert world.prices() != mirror.prices()


@pytest.mark.parametrize(
    "changes",
    [
        {"count": 0},
        {"seed": -1},
        {"latent_mean": float("nan")},
        {"latent_sd": 0.0},
        {"evidence_noise": -1.0},
        {"price_noise": float("inf")},
        {"latent_correlation": 1.1},
        {"outcome_correlation": -0.1},
        {"price_memory": 2},
        {"undated_rate": float("nan")},
    ],
    ids=lambda changes: "{}={}".format(*next(iter(changes.items()))),
)
def test_impossible_parameters_are_refused_by_name(changes):
    (name, value), *_ = changes.items()
    with pytest.raises(DataError, match=f"simulated world: {name} is {value!r}; it must be "):
        SimulatedWorld(**changes)


@pytest.mark.parametrize("changes", [{"latent_correlation": 1.0}, {"price_noise": 0.0}, {"price_memory": 1.0}])
def test_the_limits_of_the_parameters_work(changes):
    assert len(SimulatedWorld(count=5, **changes).markets()) == 5


def test_asking_for_the_truth_of_an_unknown_market_says_which_there_are():
    with pytest.raises(DataError, match=r"no market 'x' .* from sim-1-0001 to sim-1-0003"):
        SimulatedWorld(count=3).truth("x")
