"""The grounding game's self-test: simulated pairs with known habits, what is found of these, the published pattern redone.

Three things are held: what is planted is found at its rate, and in players without it at most 2% of the chances are called a
failure; the published pattern shows itself, each statement in players who have the failure behind it and not in players who
do not (`STATEMENTS`); and in every arm the waterfall's steps add up to the whole loss exactly.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from coordeval.analysis.base.scipy_parts import special
from coordeval.analysis.games import Compared, compared
from coordeval.grounding.baselines import BASELINES, baseline
from coordeval.grounding.driving import played
from coordeval.grounding.game import Conditions, Game, Instance, Seat
from coordeval.grounding.instances import instances
from coordeval.grounding.measures import measured
from coordeval.grounding.modes import MODES, Mode, counted
from coordeval.grounding.planned import GOOD_ENOUGH
from coordeval.grounding.playing import play
from coordeval.grounding.repairs import Repair
from coordeval.grounding.simulated import Habits, pair_of
from coordeval.grounding.waterfall import Waterfall, waterfall

FALSE_ALARMS: Final = 0.02
"""Share of chances that may be called a failure where there is none."""
LEVEL: Final = 0.95
RATE: Final = 0.3
LEARNING: Final = (0.6, 0.75, 0.9, 1.0)
"""Shares of the optimum by rounds remembered: players who have to build on what they did before."""
ARMS: Final[Mapping[str, tuple[Conditions, Seat]]] = {
    "solo": (Conditions(), "solo"),
    "oracle": (Conditions(), "oracle"),
    "talk": (Conditions(structured=True), "pair"),
    "talk, disclosed": (Conditions(structured=True, disclosed=True), "pair"),
    "talk, shifting": (Conditions(structured=True, history="shifting"), "pair"),
    "no talk": (Conditions(talk=False), "pair"),
}
_OF_PAIRS: Final[Mapping[str, Habits]] = {
    "nothing": Habits(),
    "forgets": Habits(forgets=RATE),
    "splits": Habits(splits=RATE),
    "slips": Habits(slips=RATE),
    "learning": Habits(ladder=LEARNING),
    "learning, anchors": Habits(ladder=LEARNING, anchors=RATE),
    "all": Habits(ladder=(0.75, 1.0), forgets=RATE, anchors=RATE, splits=RATE, slips=RATE / 2),
}
WORLDS: Final[Mapping[str, Habits]] = {
    **_OF_PAIRS,
    "blunders": Habits(blunders=RATE),
    "withholds": Habits(withholds=1.0),
    "all, convention": replace(_OF_PAIRS["all"], convention=1.0),
}
Got = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement of the published pattern: it is to hold in the world `with_it`, and not in the world `without`."""

    says: str
    arms: tuple[str, ...]
    """Whose efficiency it is about."""
    holds: Callable[[Got], bool]
    with_it: str
    without: str


STATEMENTS: Final[tuple[Statement, ...]] = (
    Statement(
        says="solo agents are near the optimum",
        arms=("solo",),
        holds=lambda got: got["solo"] >= GOOD_ENOUGH,
        with_it="all",
        without="blunders",
    ),
    Statement(
        says="an oracle is near the optimum",
        arms=("oracle",),
        holds=lambda got: got["oracle"] >= GOOD_ENOUGH,
        with_it="all",
        without="blunders",
    ),
    Statement(
        says="pairs are below",
        arms=("oracle", "talk"),
        holds=lambda got: got["talk"] < GOOD_ENOUGH * got["oracle"],
        with_it="all",
        without="nothing",
    ),
    Statement(
        says="no talk is worst",
        arms=("talk", "talk, shifting", "no talk"),
        holds=lambda got: got["no talk"] == min(got.values()),
        with_it="all",
        without="all, convention",
    ),
    Statement(
        says="disclosure is not enough",
        arms=("talk", "talk, disclosed"),
        holds=lambda got: got["talk"] < GOOD_ENOUGH and got["talk, disclosed"] < GOOD_ENOUGH,
        with_it="all",
        without="withholds",
    ),
)
"""`GOOD_ENOUGH` is what the paper calls optimal. What solo agents and an oracle show is that nobody fails alone."""
CONTROL: Final[Mapping[str, str]] = {
    "forgets": "nothing",
    "splits": "nothing",
    "slips": "nothing",
    "learning, anchors": "learning",
}
"""World with something planted → the same without it."""
SHOWS: Final[Mapping[str, Mode]] = {
    "forgets": "no_shared_history",
    "learning, anchors": "stubborn_anchoring",
    "splits": "perfunctory_fairness",
    "slips": "referential_binding",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    instances: int
    replicates: int


FULL: Final = Size(instances=60, replicates=2)
QUICK: Final = Size(instances=24, replicates=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """One planted habit: the rate at which players have it, and what was counted. `low`, `high`: exact 95% interval."""

    world: str
    mode: Mode
    source: str | None
    planted: float
    acted: int
    """How often a player did it, by its own record."""
    chances: int
    found: int
    low: float
    high: float
    clean_chances: int
    clean_found: int
    """In players without any habit."""

    @property
    def rate(self) -> float:
        return self.found / self.chances

    @property
    def false_alarms(self) -> float:
        return self.clean_found / self.clean_chances


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundingTest:
    """What the self-test measured. `failures` says in words what does not hold."""

    size: Size
    seed: int
    games: int
    pattern: Mapping[str, Compared]
    """World → arms by efficiency, held against the oracle."""
    lowered: Compared
    """Worlds under `talk`, held against the world without anything planted."""
    detected: tuple[Detected, ...]
    repairs: Compared
    asks: Mapping[str, float]
    """Repair → answers asked for in a game."""
    losses: Mapping[str, Waterfall]
    """World → from what solo agents get to what pairs got."""
    baselines: Mapping[str, float]

    @property
    def failures(self) -> list[str]:
        return [*self._undetected(), *self._off_pattern()]

    def _undetected(self) -> list[str]:
        said = []
        for one in self.detected:
            what = f"{one.mode}{f' by {one.source}' if one.source else ''}"
            if not one.low <= one.planted <= one.high:
                said.append(f"{what}: planted at {one.planted:.0%}, found at {one.low:.1%} to {one.high:.1%}")
            if one.false_alarms > FALSE_ALARMS:
                said.append(f"{what}: {one.false_alarms:.1%} false alarms, at most {FALSE_ALARMS:.0%} may be")
        for world, found in self.losses.items():
            if found.start - sum(step.loss for step in found.steps) != found.end:
                said.append(f"{world}: the waterfall's steps do not add up")
        return said

    def _off_pattern(self) -> list[str]:
        said = []
        for one in STATEMENTS:
            if not one.holds(self.got(one.with_it)):
                said.append(f"{one.says}: not so where it is planted ({one.with_it})")
            if one.holds(self.got(one.without)):
                said.append(f"{one.says}: so where it is not planted, too ({one.without})")
        for world in ("learning", "learning, anchors"):
            if self.got(world)["talk, shifting"] >= self.got(world)["talk"]:
                said.append(f"{world}: history makes no difference")
        for world, control in CONTROL.items():
            high = self._below(world, control)
            if high is None or high >= 0:
                said.append(f"{world}: not clearly below {control}")
        return said

    def got(self, world: str) -> Got:
        """Arm → efficiency, in a world."""
        return dict(self.pattern[world].means.select("arm", "mean").iter_rows())

    def _below(self, world: str, control: str) -> float | None:
        """The upper end of the interval of what planting it changed."""
        rows = self.lowered.differences.filter((pl.col("arm") == world) & (pl.col("baseline") == control))
        return None if rows.is_empty() else rows["high"][0]


def grounding(
    size: Size,
    repairs: Sequence[Repair],
    *,
    seed: int = 0,
    told: Callable[[str], object] = lambda _: None,
) -> GroundingTest:
    """The whole self-test; the same seed gives the same figures. `repairs`: those that are tried, "as_it_is" among them."""
    tasks = instances(size.instances, seed=seed)
    acted: dict[str, int] = {}
    worlds: dict[str, dict[str, list[Game]]] = {}
    for world, habits in WORLDS.items():
        worlds[world] = {}
        for arm, (conditions, seat) in ARMS.items():
            told(f"{world}: {arm}")
            games, done = _play(tasks, habits, conditions, Repair(), seat, size.replicates)
            worlds[world][arm] = games
            if arm == "talk":
                acted[world] = done
    told("baselines")
    alone = {name: [baseline(name, one, r) for one in tasks for r in range(size.replicates)] for name in BASELINES}
    mended: dict[str, list[Game]] = {}
    for repair in repairs:
        told(f"repair: {repair.name}")
        mended[repair.name], _ = _play(tasks, WORLDS["all"], Conditions(structured=True), repair, "pair", size.replicates)
    talking = {world: arms["talk"] for world, arms in worlds.items()}
    return GroundingTest(
        size=size,
        seed=seed,
        games=size.instances * size.replicates * (len(WORLDS) * len(ARMS) + len(mended)),
        pattern={world: compared(_frame(arms), "efficiency", baseline="oracle") for world, arms in worlds.items()},
        lowered=_lowered(talking),
        detected=_detected(talking, acted),
        repairs=compared(_frame(mended), "efficiency", baseline=Repair.name),
        asks={name: sum(game.asks for game in games) / len(games) for name, games in mended.items()},
        losses={world: waterfall(arms["talk"], arms["solo"]) for world, arms in worlds.items()},
        baselines={name: sum(game.efficiency for game in games) / len(games) for name, games in alone.items()},
    )


def _play(
    tasks: Sequence[Instance], habits: Habits, conditions: Conditions, repair: Repair, seat: Seat, replicates: int
) -> tuple[list[Game], int]:
    """Games, and how often players did what is planted in them."""
    games, acted = [], 0
    for one in tasks:
        for replicate in range(replicates):
            players = pair_of(habits)
            games.append(played(play(one, conditions, repair, seat=seat), players, replicate=replicate))
            acted += sum(len(player.planted) for player in players)
    return games, acted


def _frame(arms: Mapping[str, Sequence[Game]]) -> pl.DataFrame:
    rows = [{"arm": arm, **measured(game)} for arm, games in arms.items() for game in games]
    return pl.DataFrame([{k: row[k] for k in ("arm", "instance_id", "replicate", "efficiency")} for row in rows])


def _lowered(talking: Mapping[str, Sequence[Game]]) -> Compared:
    frame = _frame(talking)
    found = [
        compared(frame, "efficiency", baseline=control, arms=[world for world, of in CONTROL.items() if of == control])
        for control in dict.fromkeys(CONTROL.values())
    ]
    return Compared(
        measure="efficiency",
        means=found[0].means,
        differences=pl.concat([one.differences for one in found]),
        noise_floor=found[0].noise_floor,
    )


def _detected(talking: Mapping[str, Sequence[Game]], acted: Mapping[str, int]) -> tuple[Detected, ...]:
    clean = counted([*talking["nothing"], *talking["learning"]])
    without = {(one.mode, one.source): one for one in clean}
    found = []
    for mode in MODES:
        world = next(world for world, shown in SHOWS.items() if shown == mode)
        for one in counted(talking[world]):
            if one.mode != mode or not one.chances:
                continue
            low, high = exact(len(one.found), one.chances)
            calm = without[one.mode, one.source]
            found.append(
                Detected(
                    world=world,
                    mode=mode,
                    source=one.source,
                    planted=RATE,
                    acted=acted[world],
                    chances=one.chances,
                    found=len(one.found),
                    low=low,
                    high=high,
                    clean_chances=calm.chances,
                    clean_found=len(calm.found),
                )
            )
    return tuple(found)


def exact(hits: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """The exact interval of a share (Clopper & Pearson 1934)."""
    tail, rest = (1 - level) / 2, trials - hits
    low = float(special.betaincinv(hits, rest + 1, tail)) if hits else 0.0
    return low, float(special.betaincinv(hits + 1, rest, 1 - tail)) if rest else 1.0
