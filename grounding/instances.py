"""Instances of the game from a seed, at a wanted tension.

The distribution, which the paper does not state: each player has three projects; a run needs one or two kinds of resource
(even odds) and earns a whole number from 1 to 10. Half of the draws are *free*: kinds drawn evenly, 1 to 3 units of each.
The other half are *contested*: one resource, drawn evenly, is in every project of both players, 2 units to three fifths of
its supply, and a second kind takes 1 to 3 units. A pair of project lists is drawn again until its tension lies within
`WITHIN` of the wanted one, and both players can earn something alone.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from coordeval.grounding.game import RULES, GameError, Instance, Project, Projects, Rules
from coordeval.grounding.optimum import joint_tension, values

TENSIONS: Final = (0.5, 0.8, 1.0)
WITHIN: Final = 0.05
PROJECTS: Final = 3
_REWARDS: Final = (1, 10)
_SOME: Final = 3
_CONTESTED: Final = 0.6
_MOST_DRAWS: Final = 5000


def instance(seed: int, *, tension: float = 0.8, rotating: bool = False, rules: Rules = RULES) -> Instance:
    """The same seed, tension and rules give the same instance on every machine.

    Raises GameError for a tension outside of [0.5, 1] (the joint optimum is never under half of the two solo ones), and
    where these rules do not give it.
    """
    if isinstance(tension, bool) or not isinstance(tension, int | float) or not 0.5 <= tension <= 1:
        raise GameError(f"tension is {tension!r}; it is from 0.5 to 1, for one player alone earns half of both at least")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise GameError(f"seed is {seed!r}; it is a whole number from 0")
    rng = np.random.default_rng([17, seed, round(1000 * tension), int(rotating)])
    drawn = [_pair(rng, rules, tension) for _ in range(rules.rounds if rotating else 1)]
    return Instance(
        rules=rules,
        tension=float(tension),
        rotating=rotating,
        seed=seed,
        projects=tuple(drawn) if rotating else (drawn[0],) * rules.rounds,
    )


def instances(
    count: int, *, tensions: Sequence[float] = TENSIONS, rotating: bool = False, seed: int = 0, rules: Rules = RULES
) -> tuple[Instance, ...]:
    """`count` different instances, tensions in turn. Raises GameError where `count` is no whole number from 1."""
    if type(count) is not int or count < 1:
        raise GameError(f"{count!r} instances: give a whole number from 1")
    if not tensions:
        raise GameError("tensions is empty; give one of 0.5 to 1 at least")
    return tuple(
        instance(seed * 1_000_003 + k, tension=tensions[k % len(tensions)], rotating=rotating, rules=rules)
        for k in range(count)
    )


def _pair(rng: np.random.Generator, rules: Rules, tension: float) -> tuple[Projects, Projects]:
    for _ in range(_MOST_DRAWS):
        contested = int(rng.integers(len(rules.resources))) if rng.random() < 0.5 else None
        first, second = (_projects(rng, rules, contested) for _ in range(2))
        one, other = values(rules, first), values(rules, second)
        if one.any() and other.any() and abs(joint_tension(rules, one, other) - tension) <= WITHIN:
            return first, second
    raise GameError(f"no tension near {tension} in {_MOST_DRAWS} draws under these rules; change supplies, costs or budget")


def _projects(rng: np.random.Generator, rules: Rules, contested: int | None) -> Projects:
    kinds = len(rules.resources)
    made = []
    for number in range(PROJECTS):
        two = kinds > 1 and bool(rng.random() < 0.5)
        needs = [0] * kinds
        if contested is None:
            for kind in rng.permutation(kinds)[: 1 + two]:
                needs[kind] = int(rng.integers(1, _SOME + 1))
        else:
            most = max(2, round(_CONTESTED * rules.resources[contested].supply))
            needs[contested] = int(rng.integers(2, most + 1))
            if two:
                others = [kind for kind in range(kinds) if kind != contested]
                needs[others[rng.integers(len(others))]] = int(rng.integers(1, _SOME + 1))
        reward = int(rng.integers(_REWARDS[0], _REWARDS[1] + 1))
        made.append(Project("ABCDEFGHIJ"[number], tuple(needs), reward))
    return tuple(made)
