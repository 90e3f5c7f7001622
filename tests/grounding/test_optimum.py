"""The joint optimum by enumeration, held against an integer programme; instances are what they say."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp

from coordeval.grounding.game import RULES, GameError, Instance, Project, Resource, Rules
from coordeval.grounding.instances import TENSIONS, WITHIN, instance, instances
from coordeval.grounding.optimum import allocations, best_reply, optimum, values
from coordeval.grounding.rewards import settled, worth


@pytest.fixture(scope="module")
def some() -> tuple[Instance, ...]:
    return instances(12, seed=5)


def by_programme(rules: Rules, projects) -> int:
    """Variables: runs of each project of each player, units bought, and whether a kind is bought at all."""
    kinds = len(rules.resources)
    runs = [len(own) for own in projects]
    width = sum(runs) + 2 * kinds + 2 * kinds
    rows, upper = [], []

    def limit(entries, most):
        row = np.zeros(width)
        for at, value in entries:
            row[at] += value
        rows.append(row)
        upper.append(most)

    start, bought, used = [0, runs[0]], sum(runs), sum(runs) + 2 * kinds
    for player, own in enumerate(projects):
        for kind, resource in enumerate(rules.resources):
            units, whether = bought + player * kinds + kind, used + player * kinds + kind
            limit([(start[player] + p, project.needs[kind]) for p, project in enumerate(own)] + [(units, -1)], 0)
            limit([(units, 1), (whether, -resource.supply)], 0)
        limit([(bought + player * kinds + kind, r.cost) for kind, r in enumerate(rules.resources)], rules.budget)
        limit([(used + player * kinds + kind, 1) for kind in range(kinds)], rules.most_types)
    for kind, resource in enumerate(rules.resources):
        limit([(bought + kind, 1), (bought + kinds + kind, 1)], resource.supply)
    gain = np.zeros(width)
    for player, own in enumerate(projects):
        for p, project in enumerate(own):
            gain[start[player] + p] = project.reward
    top = np.full(width, np.inf)
    top[used:] = 1
    found = milp(
        -gain,
        constraints=LinearConstraint(np.array(rows), ub=np.array(upper, float)),
        integrality=np.ones(width),
        bounds=Bounds(np.zeros(width), top),
    )
    assert found.success
    return round(-found.fun)


def test_the_joint_optimum_is_that_of_an_integer_programme(some):
    for one in some:
        assert optimum(RULES, one.projects[0]).joint == by_programme(RULES, one.projects[0])


@pytest.mark.proof
def test_the_joint_optimum_is_that_of_an_integer_programme_in_many_instances():
    for one in instances(150, seed=6):
        assert optimum(RULES, one.projects[0]).joint == by_programme(RULES, one.projects[0])


def test_other_rules_have_their_optimum_too():
    rules = Rules(resources=(Resource("salt", 4, 2.0), Resource("wool", 3, 0.75)), budget=5.25, most_types=1)
    for seed in range(3):
        projects = instance(seed, tension=0.7, rules=rules).projects[0]
        assert optimum(rules, projects).joint == by_programme(rules, projects)


def test_every_pareto_optimal_allocation_is_found_and_no_other(some):
    one = some[0]
    found = optimum(RULES, one.projects[0])
    assert all(a[0] > b[0] and a[1] < b[1] for a, b in pairwise(found.frontier))
    every = [
        (first, second)
        for first in allocations(RULES)[::5]
        for second in allocations(RULES)[::5]
        if not RULES.over((first, second))
    ]
    for plan in every:
        rewards = settled(RULES, one.projects[0], plan)[1]
        best = rewards in found.frontier
        assert best == (plan in found.pareto)
        assert best or any(r[0] >= rewards[0] and r[1] >= rewards[1] for r in found.frontier)
    assert set(found.plans) <= set(found.pareto)
    assert all(sum(settled(RULES, one.projects[0], plan)[1]) == found.joint for plan in found.plans)


def test_what_all_allocations_are_worth_is_what_each_is(some):
    for one in some[:3]:
        own = one.projects[0][0]
        assert values(RULES, own).tolist() == [worth(own, units) for units in allocations(RULES)]


def test_a_best_reply_to_the_others_part_of_an_optimum_gives_the_optimum(some):
    for one in some[:4]:
        found = optimum(RULES, one.projects[0])
        reply = best_reply(RULES, one.projects[0][0], found.plans[0][1])[0]
        assert sum(settled(RULES, one.projects[0], (reply, found.plans[0][1]))[1]) == found.joint


@pytest.mark.parametrize("tension", TENSIONS)
def test_an_instance_has_the_tension_it_says(tension: float):
    for seed in range(2):
        made = instance(seed, tension=tension)
        assert abs(optimum(RULES, made.projects[0]).tension - tension) <= WITHIN


def test_projects_rotate_only_where_it_is_said():
    fixed, rotating = instance(1, tension=1.0), instance(1, tension=1.0, rotating=True)
    assert len(set(fixed.projects)) == 1
    assert len(set(rotating.projects)) == RULES.rounds == len(rotating.projects)
    assert all(abs(optimum(RULES, pair).tension - 1.0) <= WITHIN for pair in rotating.projects)


def test_an_instance_is_kept_by_its_content():
    assert instance(3).id == instance(3).id
    assert len({one.id for one in (instance(3), instance(4), instance(3, tension=1.0))}) == 3


def test_nothing_to_earn_is_no_instance():
    never = (Project("A", (11, 0, 0), 5),)
    with pytest.raises(GameError, match="no project of either player can be run"):
        optimum(RULES, (never, never))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"tension": 0.4}, "from 0.5 to 1"),
        ({"tension": True}, "from 0.5 to 1"),
        ({"tension": float("nan")}, "from 0.5 to 1"),
        ({"seed": -1}, "whole number from 0"),
        ({"seed": 1.5}, "whole number from 0"),
    ],
)
def test_what_is_no_seed_or_tension_is_named(wrong: dict, said: str):
    with pytest.raises(GameError, match=said):
        instance(**({"seed": 1} | wrong))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"budget": 0}, "budget is 0"),
        ({"budget": 18.1}, "multiple of 0.25"),
        ({"rounds": 0}, "rounds is 0"),
        ({"most_types": 1.5}, "most_types is 1.5"),
        ({"resources": (Resource("a", 1, 1.0), Resource("a", 1, 1.0))}, "name of its own"),
        ({"resources": (Resource("a", 0, 1.0),)}, "supply of a is 0"),
        ({"resources": (Resource("a", 1, -1.0),)}, "cost of a is -1.0"),
        ({"resources": ()}, "name of its own"),
    ],
)
def test_rules_that_make_no_game_are_named(wrong: dict, said: str):
    with pytest.raises(GameError, match=said):
        Rules(**wrong)
