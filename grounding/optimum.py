"""The joint optimum and every Pareto-optimal allocation of one round, by going through all pairs of allocations.

An allocation is what one player may buy: whole units within the supply, of at most so many kinds, within the budget. The
paper's rules allow some 200 of them, so there are some 40,000 pairs.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
import numpy.typing as npt

from coordeval.grounding.game import GameError, Plan, Projects, Rules, Units

Ints = npt.NDArray[np.int64]
MOST_ALLOCATIONS = 5000
"""Of one player: pairs are all looked at, so that 25 million is where this stops being quick."""


@lru_cache(maxsize=16)
def allocations(rules: Rules) -> tuple[Units, ...]:
    """All that one player may buy, "nothing" first. Raises GameError where there are too many to go through."""
    sizes = [range(min(r.supply, int(rules.budget // r.cost)) + 1) for r in rules.resources]
    if np.prod([float(len(size)) for size in sizes]) > 1e6:
        raise GameError(f"supplies of {[r.supply for r in rules.resources]} units are too many to go through; lower them")
    found = tuple(
        units for units in product(*sizes) if sum(map(bool, units)) <= rules.most_types and rules.cost(units) <= rules.budget
    )
    if len(found) > MOST_ALLOCATIONS:
        raise GameError(f"{len(found)} allocations of one player are too many to pair; at most {MOST_ALLOCATIONS}")
    return found


@lru_cache(maxsize=16)
def _together(rules: Rules) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """All allocations as (n, resources), and which two can stand together, (n, n)."""
    bought = np.array(allocations(rules), np.int64)
    supply = np.array([resource.supply for resource in rules.resources])
    fits = np.asarray((bought[:, None, :] + bought[None, :, :] <= supply).all(axis=2))
    return bought, fits


@lru_cache(maxsize=16)
def together(rules: Rules) -> tuple[Ints, Ints]:
    """The places in `allocations` of all pairs that can stand together: rows are player 1's, columns player 2's."""
    rows, columns = np.nonzero(_together(rules)[1])
    return rows, columns


@lru_cache(maxsize=1024)
def values(rules: Rules, projects: Projects) -> Ints:
    """What each allocation earns, (n,), in the order of `allocations`, not to be written to: a run of a project leaves an
    allocation with fewer units, which comes before it in that order."""
    there = allocations(rules)
    best: dict[Units, int] = {}
    runs = [(project.needs, project.reward) for project in projects if any(project.needs)]
    for units in there:
        most = 0
        for needs, reward in runs:
            left = tuple([n - need for n, need in zip(units, needs, strict=True)])
            if min(left) >= 0:
                most = max(most, reward + best[left])
        best[units] = most
    earned = np.fromiter(best.values(), np.int64, len(there))
    earned.flags.writeable = False
    return earned


@dataclass(frozen=True)
class Optimum:
    """Of one round. Rewards are whole numbers, so that nothing here is rounded."""

    joint: int
    """The most that the two can earn together."""
    solo: tuple[int, int]
    """The most that each could earn if everything were there for it alone."""
    plans: tuple[Plan, ...]
    """Every pair of allocations that earns `joint`."""
    frontier: tuple[tuple[int, int], ...]
    """Rewards of the Pareto-optimal outcomes, by falling reward of player 1."""
    pareto: tuple[Plan, ...]
    """Every pair of allocations that earns one of `frontier`."""

    @property
    def tension(self) -> float:
        """The joint optimum over the sum of the two solo ones: 1 where the two do not get in each other's way."""
        return self.joint / sum(self.solo)


def joint_tension(rules: Rules, first: Ints, second: Ints) -> float:
    """Of the two players' `values`; 0 where neither can earn anything."""
    alone = int(first.max() + second.max())
    if not alone:
        return 0.0
    _, fits = _together(rules)
    return float((first[:, None] + second[None, :])[fits].max()) / alone


@lru_cache(maxsize=4096)
def optimum(rules: Rules, projects: tuple[Projects, Projects]) -> Optimum:
    """By exact enumeration. Raises GameError where nothing can be earned."""
    first, second = (values(rules, own) for own in projects)
    rows, columns = together(rules)
    one, other = first[rows], second[columns]
    both = one + other
    joint = int(both.max())
    if joint == 0:
        raise GameError("no project of either player can be run within supply, budget and kinds; change their needs")
    best_other = np.full(int(one.max()) + 1, -1, np.int64)
    np.maximum.at(best_other, one, other)
    frontier, most = [], -1
    for reward in range(len(best_other) - 1, -1, -1):
        if best_other[reward] > most:
            most = int(best_other[reward])
            frontier.append((reward, most))
    wanted = np.full(len(best_other), -1, np.int64)
    for reward, its in frontier:
        wanted[reward] = its
    there = allocations(rules)

    def plans(where: npt.NDArray[np.bool_]) -> tuple[Plan, ...]:
        return tuple((there[i], there[j]) for i, j in zip(rows[where].tolist(), columns[where].tolist(), strict=True))

    return Optimum(
        joint=joint,
        solo=(int(first.max()), int(second.max())),
        plans=plans(both == joint),
        frontier=tuple(frontier),
        pareto=plans(wanted[one] == other),
    )


def best_reply(rules: Rules, projects: Projects, other: Units) -> tuple[Units, ...]:
    """All allocations that earn a player the most where the other buys `other` and the round is not to be void."""
    bought, _ = _together(rules)
    supply = np.array([resource.supply for resource in rules.resources])
    fits = (bought + np.array(other) <= supply).all(axis=1)
    earned = np.where(fits, values(rules, projects), -1)
    there = allocations(rules)
    return tuple(there[i] for i in np.flatnonzero(earned == earned.max()).tolist()) if earned.max() >= 0 else ()
