"""The four failure modes of arXiv 2605.01750, each by what can be counted: chances to fail, and the rounds that did.

- `no_shared_history`: projects are the same in every round and an earlier round was optimal; the two now plan for less. What
  they had reached together is not there any more. (Their average price is the difference of stable and shifting history.)
- `stubborn_anchoring`: the round before was carried out and fell short of the optimum; both buy the same again.
- `perfunctory_fairness`: an equal split of all that both want would fall short; they split equally, and do.
- `referential_binding`: an agreement said how much a player buys; the player submitted something else, and not what a
  mediator advised afterwards. A chance is one player in one round; what was agreed is read in three ways
  (`grounding.agreements`), reported apart.

A round counts for one of the first three at most: an equal split made again is fairness, not anchoring, and the same
short plan again is anchoring, not a lost history. "Optimal" is 95% of the optimum or more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from coordeval.grounding.agreements import SOURCES, Source, agreed, kept, meant
from coordeval.grounding.game import PLAYERS, Game, Plan, Round
from coordeval.grounding.planned import GOOD_ENOUGH, equal_split, falls_short, reward, splits_equally

Mode = Literal["no_shared_history", "stubborn_anchoring", "perfunctory_fairness", "referential_binding"]
MODES: Final[tuple[Mode, ...]] = (
    "no_shared_history",
    "stubborn_anchoring",
    "perfunctory_fairness",
    "referential_binding",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One failure: where, and what shows it."""

    mode: Mode
    instance_id: str
    replicate: int
    round: int
    """From 0."""
    player: int | None
    """Of referential binding: whose submission; else None, it takes two."""
    source: Source | None
    """Of referential binding: how the agreement was read."""
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One mode over games. `rate` is None where there was no chance to fail, with `reason`."""

    mode: Mode
    source: Source | None
    chances: int
    found: tuple[Finding, ...]

    @property
    def rate(self) -> float | None:
        return len(self.found) / self.chances if self.chances else None

    @property
    def reason(self) -> str | None:
        if self.chances:
            return None
        return {
            "no_shared_history": "no round came after an optimal one with the same projects",
            "stubborn_anchoring": "no round came after one that was carried out and fell short",
            "perfunctory_fairness": "no round in which an equal split of what both want falls short",
            "referential_binding": f"no agreement on numbers was read by {self.source}",
        }[self.mode]


def counted(games: Iterable[Game]) -> tuple[Counted, ...]:
    """Every mode over these games, referential binding once for each way of reading an agreement."""
    keys: list[tuple[Mode, Source | None]] = [(mode, None) for mode in MODES[:3]]
    keys += [("referential_binding", source) for source in SOURCES]
    chances, found = dict.fromkeys(keys, 0), {key: list[Finding]() for key in keys}
    for game in games:
        for played in game.rounds:
            for mode, here, shown in _of_two(game, played):
                chances[mode, None] += here
                if shown:
                    found[mode, None].append(_finding(game, played, mode, shown))
            for source in SOURCES:
                for player, shown in _unbound(game, played, source):
                    chances["referential_binding", source] += 1
                    if shown:
                        finding = _finding(game, played, "referential_binding", shown, player=player, source=source)
                        found["referential_binding", source].append(finding)
    return tuple(
        Counted(mode=mode, source=source, chances=chances[mode, source], found=tuple(found[mode, source]))
        for mode, source in keys
    )


def mode_of(game: Game, played: Round) -> Mode | None:
    """The mode by which a round's plan falls short, of the three that it takes two for."""
    return next((mode for mode, _, shown in _of_two(game, played) if shown), None)


def planned(game: Game, played: Round) -> Plan:
    """What the two meant to do: what they agreed on where that is said for both, else what they submitted."""
    first, second = meant(played, game.instance.rules)
    return played.plan if first is None or second is None else (first, second)


def _of_two(game: Game, played: Round) -> Sequence[tuple[Mode, bool, str]]:
    """(mode, whether it could show itself here, what shows it) of the modes that it takes two for."""
    rules, projects = game.instance.rules, game.instance.projects[played.number]
    before = game.rounds[: played.number]
    plan = planned(game, played)
    short = played.efficiency < GOOD_ENOUGH
    split = equal_split(rules, projects)
    could_split = split is not None and falls_short(rules, projects, split)
    fair = could_split and short and not played.over and splits_equally(rules, projects, played.plan)
    last = before[-1] if before else None
    could_anchor = last is not None and not last.over and last.efficiency < GOOD_ENOUGH and None not in last.submitted
    same = last is not None and played.submitted == last.submitted
    anchored = could_anchor and same and not fair
    reached = [one for one in before if one.efficiency >= GOOD_ENOUGH] if not game.instance.rotating else []
    lost = bool(reached) and falls_short(rules, projects, plan) and not splits_equally(rules, projects, plan) and not same
    words = rules.plan_words
    return (
        (
            "no_shared_history",
            bool(reached),
            f"round {reached[-1].number + 1} was optimal with {words(reached[-1].plan)}; now {words(plan)} was meant, "
            f"worth {reward(rules, projects, plan)} of {played.optimum}"
            if lost
            else "",
        ),
        ("stubborn_anchoring", could_anchor, f"{words(played.plan)} again, {_of(played)}" if anchored else ""),
        ("perfunctory_fairness", could_split, f"{words(played.plan)}, {_of(played)}" if fair else ""),
    )


def _unbound(game: Game, played: Round, source: Source) -> Iterable[tuple[int, str]]:
    """(player, how its submission differs from what was agreed, "" where it does not) for each whose part was agreed."""
    rules, parts = game.instance.rules, agreed(played, game.instance.rules, source)
    for player in PLAYERS:
        part, bought = parts[player], played.submitted[player]
        if part is not None and bought is not None:
            differs = not kept(played, rules, player, part)
            yield player, f"agreed {rules.words(part)}, submitted {rules.words(bought)}" if differs else ""


def _of(played: Round) -> str:
    return f"{sum(played.rewards)} of {played.optimum}"


def _finding(
    game: Game, played: Round, mode: Mode, what: str, *, player: int | None = None, source: Source | None = None
) -> Finding:
    return Finding(
        mode=mode,
        instance_id=game.instance.id,
        replicate=game.replicate,
        round=played.number,
        player=player,
        source=source,
        what=what,
    )
