"""The rules of the grounding game, and what a game is made of: two players, three resources that both need, four rounds.

In a round the two may talk (at most `exchanges` times, in turn), then each hands in alone how many units of which resources
it buys. What was handed in is locked. Where the two together want more of a resource than there is, the round is void for
both; otherwise each gets what its units are worth in its own projects, run as often as the units allow. Afterwards both see
both allocations, not the rewards. Source: arXiv 2605.01750, section by section in docs/grounding.md.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Final, Literal

from coordeval.agents.messages import content_hash
from coordeval.market_data.errors import CoordevalError

Units = tuple[int, ...]
"""Units of each resource, in the order of `Rules.resources`."""
Plan = tuple[Units, Units]
"""Units of player 1 and of player 2."""
PLAYERS: Final = (0, 1)
MEDIATOR: Final = 2
"""The number under which a third agent speaks; no player."""
_STEP: Final = 0.25


class GameError(CoordevalError):
    """A game that cannot be played as it is described; it names the item, the value, the rule and the fix."""


@dataclass(frozen=True, slots=True)
class Resource:
    """`supply` whole units each round for both together; `cost` per unit, a multiple of 0.25, so that sums are exact."""

    name: str
    supply: int
    cost: float


@dataclass(frozen=True, slots=True)
class Project:
    """Can be run as often as its units are there: each run uses `needs` and earns `reward`, a whole number."""

    name: str
    needs: Units
    reward: int


Projects = tuple[Project, ...]
"""One player's own."""


@dataclass(frozen=True)
class Rules:
    """The game's constants, by default those of the paper. Raises GameError where they make no game."""

    resources: tuple[Resource, ...] = (Resource("timber", 10, 1.0), Resource("stone", 10, 1.5), Resource("iron", 6, 3.0))
    budget: float = 18.0
    """Of each player in each round; what is left over is lost."""
    most_types: int = 2
    """How many kinds of resource one player may buy in one round."""
    rounds: int = 4
    exchanges: int = 5
    """In one exchange each player says one thing."""

    def __post_init__(self) -> None:
        names = [resource.name for resource in self.resources]
        if not names or len(set(names)) < len(names) or not all(name.isidentifier() for name in names):
            raise GameError(f"resources are named {names}; give each a name of its own, one word")
        for what, value, least in (
            *((f"supply of {resource.name}", resource.supply, 1) for resource in self.resources),
            ("most_types", self.most_types, 1),
            ("rounds", self.rounds, 1),
            ("exchanges", self.exchanges, 1),
        ):
            if type(value) is not int or value < least:
                raise GameError(f"{what} is {value!r}; it is a whole number from {least}")
        prices = [("budget", self.budget), *((f"cost of {resource.name}", resource.cost) for resource in self.resources)]
        for what, price in prices:
            if not 0 < price < 1e6 or price % _STEP:
                raise GameError(f"{what} is {price!r}; it is over 0 and a multiple of {_STEP}, so that sums are exact")

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(resource.name for resource in self.resources)

    @property
    def nothing(self) -> Units:
        return (0,) * len(self.resources)

    def cost(self, units: Units) -> float:
        return sum(n * resource.cost for n, resource in zip(units, self.resources, strict=True))

    def over(self, plan: Plan) -> tuple[str, ...]:
        """The resources of which the two together want more than there is; empty: the plan can be carried out."""
        wanted = zip(self.resources, *plan, strict=True)
        return tuple(resource.name for resource, one, other in wanted if one + other > resource.supply)

    def words(self, units: Units) -> str:
        """timber 3, iron 2; or nothing, also of no units at all, as after a round that both forfeited."""
        return ", ".join(f"{name} {n}" for name, n in zip(self.names, units, strict=bool(units)) if n) or "nothing"

    def plan_words(self, plan: Plan) -> str:
        return "; ".join(f"player {player + 1}: {self.words(units)}" for player, units in enumerate(plan))


RULES: Final = Rules()


@dataclass(frozen=True)
class Instance:
    """One task: whose projects are what in which round. Its `id` is the hash of all of it."""

    rules: Rules
    tension: float
    """Aimed at: the joint optimum over the sum of what each could earn with everything there for it alone."""
    rotating: bool
    """Whether each round has projects of its own."""
    seed: int
    projects: tuple[tuple[Projects, Projects], ...]
    """By round, then by player; the same ones in each round unless they rotate."""

    @cached_property
    def id(self) -> str:
        return content_hash("grounding-instance/1", asdict(self))


History = Literal["stable", "shifting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Under which a pair plays an instance."""

    history: History = "stable"
    """"stable": earlier rounds stay in sight; "shifting": they are wiped before each round."""
    talk: bool = True
    disclosed: bool = False
    """Whether each player is shown the other's projects."""
    structured: bool = False
    """Whether a message has a field for a plan beside its text."""

    @property
    def name(self) -> str:
        """ "stable", "shifting, disclosed", "stable, no talk, ..."."""
        parts = (self.history, not self.talk and "no talk", self.disclosed and "disclosed", self.structured and "structured")
        return ", ".join(part for part in parts if part)


Step = Literal["talk", "restating", "mediation", "submission"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What was said in a round, in the order in which it was."""

    player: int
    step: Step
    exchange: int
    """From 0; of what is not said in an exchange, how many there were before."""
    text: str
    plan: Plan | None = None
    """From the message's own field, where it has one; never read out of the text."""
    acts: tuple[str, ...] = ()
    """What it commits to, as it was written: "propose", "agree 2"."""
    ready: bool = False
    """Has nothing more to say in this round. When both are, the talk is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mishap:
    """Something that broke a rule, under its name in `grounding.faults.FAULTS`, and what was done about it."""

    round: int
    player: int
    ask: int
    name: str
    what: str
    """The value, the rule and the fix, as the player was told."""
    then: str
    """"asked again", "forfeited", "not delivered", "bound", "cut off", "void"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round as it was played."""

    number: int
    """From 0."""
    messages: tuple[Message, ...]
    submitted: tuple[Units | None, Units | None]
    """None: forfeited, nothing valid was handed in; it counts as nothing bought."""
    bound: Plan | None
    """What an agreement bound the two to."""
    over: tuple[str, ...]
    """Resources that were overdrawn; not empty: the round is void."""
    rewards: tuple[int, int]
    optimum: int
    """The most that the two could have earned together in this round."""

    @property
    def plan(self) -> Plan:
        """What counts as bought."""
        one, other = self.submitted
        width = len(one or other or ())
        return one or (0,) * width, other or (0,) * width

    @property
    def efficiency(self) -> float:
        """Joint reward over the joint optimum, from 0 to 1."""
        return sum(self.rewards) / self.optimum


Seat = Literal["pair", "solo", "oracle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Game:
    """All that happened in one game. `seat` says who played: a pair, one agent in each seat with the other's part given
    (`solo`), or one agent for both (`oracle`)."""

    instance: Instance
    conditions: Conditions
    repair: str
    seat: Seat
    replicate: int
    rounds: tuple[Round, ...]
    mishaps: tuple[Mishap, ...]
    asks: int
    """How many answers were asked for, re-asks counted."""
    extra: Mapping[str, int] = field(default_factory=dict)
    """Of these by step, such as {"talk": 16, "submission": 8}."""

    @property
    def efficiency(self) -> float:
        """The mean of its rounds'."""
        return sum(played.efficiency for played in self.rounds) / len(self.rounds)
