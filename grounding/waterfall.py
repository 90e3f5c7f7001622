"""From what solo agents get to what pairs got, a step for each cause; the steps add up to the whole loss, exactly.

With o the optimum of a round, g what was got, and v what the agreed plan is worth (0 where it wants too much): o − g =
(o − v) + (v − g). The first part was lost in planning, and goes to the failure mode by which the plan fell short, or to a
plan that is short for no such reason. The second was lost in carrying out, and may be a gain. Where nothing was agreed it is
one loss: of a void round, of a forfeited submission, or of the short plan. Solo agents' own loss is taken off the last. All
of it is in fractions.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from coordeval.grounding.agreements import meant
from coordeval.grounding.game import Game, GameError, Plan, Round
from coordeval.grounding.modes import mode_of
from coordeval.grounding.planned import reward

CAUSES: Final[Mapping[str, str]] = {
    "no_shared_history": "no shared history: what was reached before is not kept",
    "stubborn_anchoring": "stubborn anchoring: the same short plan again",
    "perfunctory_fairness": "perfunctory fairness: an equal split that falls short",
    "agreed_too_much": "an agreement on more than there is",
    "referential_binding": "referential binding: submitted something else than was agreed",
    "overdrawn": "overdrawn without an agreement",
    "forfeited": "nothing valid was handed in",
    "short_plan": "a plan that falls short for none of these reasons",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One cause: `loss` in joint efficiency, exact; `rounds` that lost something to it."""

    cause: str
    loss: Fraction
    rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Waterfall:
    """start − the sum of all losses = end, exactly."""

    start: Fraction
    """What solo agents get of the optimum; 1 where none played."""
    steps: tuple[Step, ...]
    end: Fraction
    games: int
    solo_games: int


def waterfall(games: Sequence[Game], solo: Sequence[Game] = ()) -> Waterfall:
    """Of one arm; instances weigh alike, and so do an instance's games. `solo`: games of the seat "solo".

    Raises GameError where there is no game.
    """
    if not games:
        raise GameError("there is no game to explain; give the games of one arm")
    losses, rounds = dict.fromkeys(CAUSES, Fraction(0)), Counter[str]()
    for game, weight in _weighed(games):
        for played in game.rounds:
            for cause, loss in lost(game, played):
                losses[cause] += weight * Fraction(loss, played.optimum * len(game.rounds))
                rounds[cause] += loss != 0
    start = _efficiency(solo) if solo else Fraction(1)
    losses["short_plan"] -= 1 - start
    steps = tuple(Step(cause=cause, loss=loss, rounds=rounds[cause]) for cause, loss in losses.items())
    return Waterfall(start=start, steps=steps, end=_efficiency(games), games=len(games), solo_games=len(solo))


def lost(game: Game, played: Round) -> list[tuple[str, int]]:
    """(cause, reward lost to it) of one round; they add up to the optimum less what was got."""
    whole = played.optimum - sum(played.rewards)
    first, second = meant(played, game.instance.rules)
    if first is None or second is None:
        if whole and None in played.submitted:
            return [("forfeited", whole)]
        return [("overdrawn" if played.over else mode_of(game, played) or "short_plan", whole)]
    plan: Plan = (first, second)
    projects = game.instance.projects[played.number]
    worth = reward(game.instance.rules, projects, plan)
    too_much = bool(game.instance.rules.over(plan))
    planning = "agreed_too_much" if too_much else mode_of(game, played) or "short_plan"
    carried = "forfeited" if None in played.submitted else "referential_binding"
    return [(planning, played.optimum - worth), (carried, worth - sum(played.rewards))]


def _weighed(games: Sequence[Game]) -> list[tuple[Game, Fraction]]:
    of = Counter(game.instance.id for game in games)
    return [(game, Fraction(1, len(of) * of[game.instance.id])) for game in games]


def _efficiency(games: Sequence[Game]) -> Fraction:
    return sum(
        (
            weight * Fraction(sum(played.rewards), played.optimum * len(game.rounds))
            for game, weight in _weighed(games)
            for played in game.rounds
        ),
        Fraction(0),
    )
