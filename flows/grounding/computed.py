"""Players who are computed and ask no model: what chance gets of the optimum, and what a fair split of everything gets."""

import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from coordeval.grounding.game import Instance, Units
from coordeval.grounding.handed import purchases_of
from coordeval.grounding.optimum import allocations, values

Purchases = Callable[[Instance, int, int, int], list[dict[str, Any]]]
"""(instance, round, player, replicate) → the rows of a submission."""


def _chance(instance: Instance, number: int, player: int, replicate: int) -> list[dict[str, Any]]:
    """Any of all that the player may buy, evenly."""
    key = f"chance|{instance.id}|{number}|{player}|{replicate}".encode()
    word = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest())
    may = allocations(instance.rules)
    return purchases_of(may[word % len(may)], instance.rules)


def _fair_split(instance: Instance, number: int, player: int, replicate: int) -> list[dict[str, Any]]:
    """The player's best within half of every supply, so that nothing is ever overdrawn."""
    return purchases_of(_best_of_half(instance, number, player), instance.rules)


@cache
def _best_of_half(instance: Instance, number: int, player: int) -> Units:
    may = allocations(instance.rules)
    half = np.array([resource.supply // 2 for resource in instance.rules.resources])
    worth = np.where((np.array(may) <= half).all(axis=1), values(instance.rules, instance.projects[number][player]), -1)
    return may[int(np.argmax(worth))]


COMPUTED: Final[Mapping[str, Purchases]] = MappingProxyType({"chance": _chance, "fair_split": _fair_split})
"""Seat → how it is played."""
