"""Simulated players, with what goes wrong between players planted at stated rates: the test bench of every measure.

Each reads what a real one would, its ask's text. It can solve the task: who knows both players' projects finds the plan that
it wants. The first to know them proposes it, the other agrees, and both submit what was agreed. Its luck is drawn from the
text's bytes; at stated rates it

    forgets   once a round was optimal, it plans as if nothing had been reached: something worth 40 to 75% of the optimum
    anchors   after a round that was carried out and short of the optimum, it proposes the same again
    splits    it proposes half of everything that both want, where that is short of the optimum
    slips     what it submits is a unit more or less of something than it agreed to
    withholds it does not tell the other its projects
    blunders  alone, or for both, it buys half of what it should

and where nothing goes wrong it earns `ladder[n]` of the optimum in the n-th round that it can remember, and never less than
before. `heeds` is the chance that a record, a restatement or a mediator's advice before its eyes keeps it from what it would
have got wrong. Without talk it buys the best for itself, against what the other bought last where it saw that; or, at the
rate `convention`, what it would expect of anybody: the first of the best plans where it knows both, else the best within
half of everything, and from then on by turns one takes the best of what the other left.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from hashlib import blake2b
from struct import unpack
from typing import Any, Final, Literal

from coordeval.grounding.driving import Handed
from coordeval.grounding.game import MEDIATOR, GameError, Plan, Units
from coordeval.grounding.handed import purchase_problem, purchases_of, rows_of
from coordeval.grounding.optimum import best_reply
from coordeval.grounding.planned import Pair, best_within_half, equal_split, falls_short, plan_worth, reward
from coordeval.grounding.reading import Heard, Past, Seen, projects_in, read

Habit = Literal["forgets", "anchors", "splits", "slips", "withholds", "blunders"]
HABITS: Final[tuple[Habit, ...]] = ("forgets", "anchors", "splits", "slips")
"""Those of pairs, one for each failure mode."""
_POOR: Final = (0.4, 0.75)


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What makes one simulated player differ from another; rates are in [0, 1]. Raises GameError for what is no rate."""

    seed: int = 1
    ladder: tuple[float, ...] = (1.0,)
    forgets: float = 0.0
    anchors: float = 0.0
    splits: float = 0.0
    slips: float = 0.0
    withholds: float = 0.0
    blunders: float = 0.0
    convention: float = 0.0
    heeds: float = 0.8

    def __post_init__(self) -> None:
        rates = [(f.name, getattr(self, f.name)) for f in fields(self) if f.name not in ("seed", "ladder")]
        for name, rate in [*rates, *(("ladder", share) for share in self.ladder)]:
            if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
                raise GameError(f"simulated player: {name} is {rate!r}; it is a number from 0 to 1")
        if not self.ladder:
            raise GameError("simulated player: ladder is empty; give the share of the optimum for a first round at least")


EVERYDAY: Final = Habits(ladder=(0.75, 0.9, 1.0), forgets=0.1, anchors=0.3, splits=0.15, slips=0.2)
"""Who learns from round to round, and now and then fails: those of studies/grounding.toml, of quotes and of the stand-in."""


@dataclass(frozen=True, slots=True)
class Planted:
    """Something that a player got wrong because it has that habit: the truth that a measure has to find."""

    round: int
    player: int
    habit: Habit


class SimulatedPlayer:
    """The player of `Habits`. The same text, replicate and habits give the same answer on every machine."""

    def __init__(self, habits: Habits | None = None) -> None:
        self.habits = habits or Habits()
        self.planted: list[Planted] = []

    def hand_in(self, text: str, *, replicate: int = 0, problem: str = "") -> Handed:
        seen = read(text)
        luck = _Luck(self.habits.seed, replicate, text)
        if seen.form == "submission":
            return [("submission", {"purchases": purchases_of(self._units(seen, luck, problem), seen.told.rules)})]
        if seen.step == "mediation":
            return [("words", {"text": self._advice(seen, luck), "done": True})]
        if seen.step == "restating":
            plan = _agreed(seen)
            said = "There is no agreement." if plan is None else f"We agreed that {_words(plan, seen)}"
            return [("words", {"text": said, "done": True})]
        return self._speak(seen, luck)

    def _speak(self, seen: Seen, luck: "_Luck") -> Handed:
        """Tells its projects, or proposes, or agrees, whatever is next."""
        named = [said for said in _now(seen) if said.plan is not None]
        if seen.form == "proposal" and seen.offers:
            offer = seen.offers[-1]
            verbs: list[dict[str, Any]] = (
                [] if offer.by == seen.me or offer.agreed else [{"verb": "agree", "proposal": offer.number, "plan": []}]
            )
            return [("proposal", {"text": "Agreed." if verbs else "I stand by it.", "acts": verbs, "done": True})]
        if named and named[-1].author != "you":
            plan = named[-1].plan
            assert plan is not None
            return self._says(seen, f"Agreed: {_words(plan, seen)}", plan, done=True)
        if named:
            return self._says(seen, "That is settled.", None, done=True)
        if (projects := _known(seen)) is None:
            if luck("withholds") < self.habits.withholds:
                self.planted.append(Planted(seen.told.number, seen.me, "withholds"))
                return self._says(seen, "I keep what I need it for to myself.", None, done=True)
            own = seen.told.projects[seen.me] or ()
            told = "; ".join(f"{p.name}: each run needs {seen.told.rules.words(p.needs)} and earns {p.reward}" for p in own)
            return self._says(seen, f"My projects: {told}.", None, done=False)
        plan = self._plan(seen, projects, luck)
        return self._says(seen, f"I propose that {_words(plan, seen)}", plan, done=True)

    @staticmethod
    def _says(seen: Seen, text: str, plan: Plan | None, *, done: bool) -> Handed:
        rows = [] if plan is None else rows_of(plan, seen.me, seen.told.rules)
        if seen.form == "proposal":
            acts = [{"verb": "propose", "proposal": None, "plan": rows}] if rows else []
            return [("proposal", {"text": text, "acts": acts, "done": done})]
        if seen.form == "message":
            return [("message", {"text": text, "plan": rows, "done": done})]
        return [("words", {"text": text, "done": done})]

    def _plan(self, seen: Seen, projects: Pair, luck: "_Luck") -> Plan:
        """The plan that it proposes: see the top of the module."""
        rules, past = seen.told.rules, [] if seen.told.rotating else list(seen.past)
        minds = any(said.role == "record" for said in seen.heard) or _recorded(seen)
        keeps = minds and luck("heeds") < self.habits.heeds
        earned = [reward(rules, projects, one.plan) for one in past]
        reached = [one for one in past if not one.void and not falls_short(rules, projects, one.plan)]
        if reached and not keeps and luck("forgets") < self.habits.forgets:
            share = _POOR[0] + (_POOR[1] - _POOR[0]) * luck("poor")
            return self._did("forgets", seen, plan_worth(rules, projects, share, luck("which")))
        last: Past | None = past[-1] if past else None
        short = last is not None and not last.void and falls_short(rules, projects, last.plan)
        if last is not None and short and not keeps and luck("anchors") < self.habits.anchors:
            return self._did("anchors", seen, last.plan)
        split = equal_split(rules, projects)
        if split is not None and falls_short(rules, projects, split) and luck("splits") < self.habits.splits:
            return self._did("splits", seen, split)
        share = self.habits.ladder[min(sum(not one.void for one in past), len(self.habits.ladder) - 1)]
        over = max(earned, default=-1)
        return plan_worth(rules, projects, share, luck("which"), over=over if share < 1 else -1)

    def _did(self, habit: Habit, seen: Seen, plan: Plan) -> Plan:
        self.planted.append(Planted(seen.told.number, seen.me, habit))
        return plan

    def _units(self, seen: Seen, luck: "_Luck", problem: str) -> Units:
        """What it submits."""
        rules, me = seen.told.rules, seen.me
        if problem and not any(offer.agreed for offer in seen.offers):
            return rules.nothing
        if seen.told.answers_for is not None or seen.fixed:
            units = _alone(seen, luck)
            if luck("blunders") >= self.habits.blunders:
                return units
            self.planted.append(Planted(seen.told.number, me, "blunders"))
            return tuple(n // 2 for n in units)
        warned = any(said.role in ("restating", "mediation") for said in _now(seen, every=True))
        minds = warned and luck("heeds") < self.habits.heeds
        plan = _agreed(seen)
        advice = [said.plan for said in _now(seen, every=True) if said.role == "mediation" and said.plan is not None]
        if advice and (minds or plan is None):
            plan = advice[-1]
        if plan is None:
            return _by_convention(seen) if luck("convention") < self.habits.convention else _selfish(seen, luck)
        if not problem and not minds and luck("slips") < self.habits.slips:
            near = [units for units in _near(plan[me]) if not purchase_problem(units, rules) and min(units) >= 0]
            if near:
                self.planted.append(Planted(seen.told.number, me, "slips"))
                return near[int(luck("near") * len(near))]
        return plan[me]

    def _advice(self, seen: Seen, luck: "_Luck") -> str:
        """What a mediator says: what was agreed where that is good enough, else the best plan."""
        first, second = seen.told.projects
        rules, plan = seen.told.rules, _agreed(seen)
        projects = (first or (), second or ())
        if plan is None or falls_short(rules, projects, plan):
            plan = plan_worth(rules, projects, 1.0, luck("which"))
        return f"I advise: {rules.plan_words(plan)}"


class _Luck:
    """Uniform draws in [0, 1) by name, of a text's bytes."""

    __slots__ = ("_of",)

    def __init__(self, seed: int, replicate: int, text: str) -> None:
        self._of = blake2b(f"{seed}\x1f{replicate}\x1f{text}".encode(), digest_size=16).digest()

    def __call__(self, name: str) -> float:
        [drawn] = unpack("<Q", blake2b(name.encode(), key=self._of, digest_size=8).digest())
        return float(drawn / 2**64)


def _now(seen: Seen, *, every: bool = False) -> list[Heard]:
    """What was said in this round: its talk, or all of it."""
    return [said for said in seen.heard if said.round == seen.told.number and (every or said.role == "talk")]


def _recorded(seen: Seen) -> bool:
    """Whether what is seen of earlier rounds is a record: it comes without a word that was said in them."""
    return bool(seen.past) and not any(said.round < seen.told.number for said in seen.heard)


def _known(seen: Seen) -> Pair | None:
    """Both players' projects, where both are told."""
    found = list(seen.told.projects)
    for said in seen.heard:
        here = said.round == seen.told.number or not seen.told.rotating
        if here and said.author != "you" and said.author.startswith("player ") and "y projects: " in said.text:
            found[1 - seen.me] = projects_in(said.text, seen.told.rules.names)
    return (found[0], found[1]) if found[0] and found[1] else None


def _agreed(seen: Seen) -> Plan | None:
    """What the two agreed on in this round, as it understood it: the last plan that was named, or what binds."""
    bound = [offer.plan for offer in seen.offers if offer.agreed]
    named = [said.plan for said in _now(seen) if said.plan is not None]
    return bound[-1] if bound else named[-1] if named else None


def _words(plan: Plan, seen: Seen) -> str:
    rules, me = seen.told.rules, seen.me
    return f"I take {rules.words(plan[me])}; you take {rules.words(plan[1 - me])}."


def _near(units: Units) -> list[Units]:
    """One unit more or less of each kind that is bought."""
    return [
        tuple(n + by if k == kind else n for k, n in enumerate(units))
        for kind, bought in enumerate(units)
        if bought
        for by in (-1, 1)
    ]


def _alone(seen: Seen, luck: _Luck) -> Units:
    """With the other's part given, or for both."""
    told = seen.told
    me = told.answers_for if told.answers_for is not None else seen.me
    for player, units in seen.fixed:
        if player != me:
            return best_reply(told.rules, told.projects[me] or (), units)[0]
    return plan_worth(told.rules, (told.projects[0] or (), told.projects[1] or ()), 1.0, luck("which"))[me]


def _selfish(seen: Seen, luck: _Luck) -> Units:
    """Nothing was agreed: its part of a best plan where it knows both, else the best against what it saw the other buy."""
    rules, me = seen.told.rules, seen.me
    if (projects := _known(seen)) is not None:
        return plan_worth(rules, projects, 1.0, luck("which"))[me]
    other = seen.past[-1].plan[1 - me] if seen.past else rules.nothing
    replies = best_reply(rules, seen.told.projects[me] or (), other)
    return replies[int(luck("which") * len(replies))]


def _by_convention(seen: Seen) -> Units:
    """What anybody would expect of it, so that two who follow it never want too much."""
    rules, me = seen.told.rules, seen.me
    if (projects := _known(seen)) is not None:
        return plan_worth(rules, projects, 1.0, 0.0)[me]
    last = seen.past[-1] if seen.past and not seen.told.rotating else None
    if last is None or last.void:
        return best_within_half(rules, seen.told.projects[me] or ())
    if seen.told.number % 2 != me:
        return last.plan[me]
    return best_reply(rules, seen.told.projects[me] or (), last.plan[1 - me])[0]


def pair_of(habits: Habits) -> Sequence[SimulatedPlayer]:
    """Two players and a mediator, alike but for their luck, which comes from what each reads."""
    return [SimulatedPlayer(habits) for _ in range(MEDIATOR + 1)]
