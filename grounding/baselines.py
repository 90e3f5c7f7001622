"""Players who are computed and read nothing: what chance gets of the optimum, and what a greedy fair split gets."""

import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from coordeval.grounding.game import PLAYERS, Conditions, Game, Instance, Round, Units
from coordeval.grounding.optimum import allocations, optimum
from coordeval.grounding.planned import best_within_half
from coordeval.grounding.rewards import settled

Buys = Callable[[Instance, int, int, int], Units]
"""(instance, round, player, replicate) → what the player buys."""


def chance(instance: Instance, number: int, player: int, replicate: int = 0) -> Units:
    """Any of all that a player may buy, evenly; the same again for the same arguments."""
    key = f"chance|{instance.id}|{number}|{player}|{replicate}".encode()
    may = allocations(instance.rules)
    return may[int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") % len(may)]


def fair_split(instance: Instance, number: int, player: int, replicate: int = 0) -> Units:
    """The player's best within half of every supply, so that nothing is ever overdrawn."""
    return best_within_half(instance.rules, instance.projects[number][player])


BASELINES: Final[Mapping[str, Buys]] = MappingProxyType({"chance": chance, "fair_split": fair_split})


def baseline(name: str, instance: Instance, replicate: int = 0) -> Game:
    """A game of two such players; its `repair` says which. Raises KeyError for a name that is not in `BASELINES`."""
    buys, rounds = BASELINES[name], []
    for number in range(instance.rules.rounds):
        first, second = (buys(instance, number, player, replicate) for player in PLAYERS)
        over, rewards = settled(instance.rules, instance.projects[number], (first, second))
        rounds.append(
            Round(
                number=number,
                messages=(),
                submitted=(first, second),
                bound=None,
                over=over,
                rewards=rewards,
                optimum=optimum(instance.rules, instance.projects[number]).joint,
            )
        )
    return Game(
        instance=instance,
        conditions=Conditions(talk=False),
        repair=name,
        seat="pair",
        replicate=replicate,
        rounds=tuple(rounds),
        mishaps=(),
        asks=0,
    )
