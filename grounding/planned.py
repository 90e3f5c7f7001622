"""Joint plans that a simulated player can think of: the best one, one that is worth a share of it, and an equal split."""

from functools import lru_cache
from typing import Final

import numpy as np

from coordeval.grounding.game import PLAYERS, Plan, Projects, Rules, Units
from coordeval.grounding.optimum import Ints, allocations, together, values

GOOD_ENOUGH: Final = 0.95
"""From this share of the optimum on a round is called optimal, as in the paper."""
Pair = tuple[Projects, Projects]


@lru_cache(maxsize=64)
def _worth(rules: Rules, projects: Pair) -> tuple[Ints, Ints, Ints]:
    """All plans that can be carried out, by rising joint reward: rows and columns of allocations, and the reward."""
    first, second = (values(rules, own) for own in projects)
    rows, columns = together(rules)
    joint = first[rows] + second[columns]
    order = np.argsort(joint, kind="stable")
    return rows[order], columns[order], joint[order]


def best(rules: Rules, projects: Pair) -> int:
    """The joint optimum."""
    return int(_worth(rules, projects)[2][-1])


def reward(rules: Rules, projects: Pair, plan: Plan) -> int:
    """What a plan earns together; 0 where it cannot be carried out."""
    if rules.over(plan):
        return 0
    return sum(_value(rules, own, units) for own, units in zip(projects, plan, strict=True))


def _value(rules: Rules, projects: Projects, units: Units) -> int:
    found = _by_units(rules, projects).get(units)
    return 0 if found is None else found


@lru_cache(maxsize=256)
def _by_units(rules: Rules, projects: Projects) -> dict[Units, int]:
    return dict(zip(allocations(rules), values(rules, projects).tolist(), strict=True))


def plan_worth(rules: Rules, projects: Pair, share: float, luck: float, *, over: int = -1) -> Plan:
    """A plan that earns at most `share` of the optimum, and as much of it as there is; the optimum itself for 1.

    `over`: a reward that it has to exceed, where any plan does; `luck` in [0, 1) picks one of several that are equal.
    """
    rows, columns, joint = _worth(rules, projects)
    most = max(int(share * int(joint[-1])), over + 1)
    end = int(np.searchsorted(joint, most, side="right"))
    at = int(joint[end - 1]) if end else int(joint[0])
    if at <= over and end < len(joint):
        at = int(joint[end])
    low, high = (int(np.searchsorted(joint, at, side=side)) for side in ("left", "right"))
    chosen = low + int(luck * (high - low))
    there = allocations(rules)
    return there[rows[chosen]], there[columns[chosen]]


@lru_cache(maxsize=4096)
def best_within_half(rules: Rules, projects: Projects) -> Units:
    """A player's best within half of every supply, so that two of them never want too much."""
    may, half = allocations(rules), np.array([resource.supply // 2 for resource in rules.resources])
    worth = np.where((np.array(may) <= half).all(axis=1), values(rules, projects), -1)
    return may[int(np.argmax(worth))]


def wanted_by_both(projects: Pair) -> tuple[int, ...]:
    """The kinds of resource that some project of each needs."""
    needed = [{kind for project in own for kind, n in enumerate(project.needs) if n} for own in projects]
    return tuple(sorted(needed[0] & needed[1]))


def splits_equally(rules: Rules, projects: Pair, plan: Plan) -> bool:
    """Whether every resource that both want is split equally: both buy the same of it, some of one is bought, and of what is
    bought not one more is there, or can be paid, for both."""
    shared = wanted_by_both(projects)
    bought = [k for k in shared if plan[0][k]]
    if not bought or any(plan[0][k] != plan[1][k] for k in shared):
        return False
    most = max(rules.cost(units) for units in plan)
    return all(
        2 * (plan[0][k] + 1) > rules.resources[k].supply or most + rules.resources[k].cost > rules.budget for k in bought
    )


@lru_cache(maxsize=1024)
def equal_split(rules: Rules, projects: Pair) -> Plan | None:
    """What two do who only want to be fair: half of everything that both want, as far as kinds and budget allow, the
    first kinds first, and of the rest what earns the most. None where both want nothing, or no such plan is there."""
    shared = wanted_by_both(projects)
    half = list(rules.nothing)
    for kind in shared:
        tried = half.copy()
        tried[kind] = rules.resources[kind].supply // 2
        if sum(map(bool, tried)) <= rules.most_types and rules.cost(tuple(tried)) <= rules.budget:
            half = tried
    if not any(half):
        return None
    found = []
    for player in PLAYERS:
        own = _by_units(rules, projects[player])
        fair = [units for units in own if all(units[k] == half[k] for k in shared)]
        found.append(max(fair, key=own.__getitem__))
    plan = (found[0], found[1])
    return None if rules.over(plan) else plan


def falls_short(rules: Rules, projects: Pair, plan: Plan) -> bool:
    """Whether a plan can be carried out and earns less than is called optimal."""
    earned = reward(rules, projects, plan)
    return earned < GOOD_ENOUGH * best(rules, projects)
