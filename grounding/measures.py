"""What a game came to: joint efficiency, optimum rate, overdraw rate, recovery, repeat rate, one row a game.

With r_t the joint reward of round t and o_t the joint optimum: efficiency = mean(r_t / o_t); optimum rate = share of rounds
with r_t ≥ 0.95 o_t; overdraw rate = share of rounds that were void; recovery = share of the rounds after a void one that
were carried out; repeat rate = share of rounds after the first in which both bought what they had bought in the one before.
Source: arXiv 2605.01750.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from coordeval.grounding.game import Game
from coordeval.grounding.planned import GOOD_ENOUGH

MEASURES: Final[Mapping[str, str]] = {
    "efficiency": "joint reward over the joint optimum",
    "optimum_rate": f"share of rounds that earned at least {GOOD_ENOUGH:.0%} of the optimum",
    "overdraw_rate": "share of rounds that were void",
    "recovery": "share of rounds after a void one that were carried out",
    "repeat_rate": "share of later rounds in which both bought the same as before",
}


def measured(game: Game) -> dict[str, Any]:
    """A game's row: instance_id, replicate, seat, repair, conditions, tension, asks, each of `MEASURES`, and a reason for
    each that is null: `recovery_reason`, `repeat_rate_reason`."""
    rounds = game.rounds
    after_void = [later for earlier, later in pairwise(rounds) if earlier.over]
    later = list(pairwise(rounds))
    return {
        "instance_id": game.instance.id,
        "replicate": game.replicate,
        "seat": game.seat,
        "repair": game.repair,
        "conditions": game.conditions.name,
        "tension": game.instance.tension,
        "asks": game.asks,
        "efficiency": game.efficiency,
        "optimum_rate": _share([played.efficiency >= GOOD_ENOUGH for played in rounds]),
        "overdraw_rate": _share([bool(played.over) for played in rounds]),
        "recovery": _share([not played.over for played in after_void]),
        "recovery_reason": None if after_void else "no round but the last was void",
        "repeat_rate": _share([one.plan == two.plan for one, two in later]),
        "repeat_rate_reason": None if later else "it had one round",
    }


def by_round(games: Sequence[Game]) -> list[dict[str, Any]]:
    """Over games, a row for each round: round (from 1), games, efficiency, overdraw_rate, recovery after a void round."""
    rows = []
    for number in range(max((len(game.rounds) for game in games), default=0)):
        here = [game.rounds[number] for game in games if number < len(game.rounds)]
        void = [game.rounds[number] for game in games if 0 < number < len(game.rounds) and game.rounds[number - 1].over]
        rows.append(
            {
                "round": number + 1,
                "games": len(here),
                "efficiency": sum(played.efficiency for played in here) / len(here),
                "overdraw_rate": _share([bool(played.over) for played in here]),
                "recovery": _share([not played.over for played in void]),
                "recovery_reason": None if void else "no game had a void round right before",
            }
        )
    return rows


def _share(found: Sequence[bool]) -> float | None:
    return sum(found) / len(found) if found else None
