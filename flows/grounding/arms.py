"""The arms of a study of games, as configurations: who plays, under which conditions, with which repair.

Each declares the seven elements that every coordination structure has. It sits down at a table in place of a panel, so it
makes no forecast; what its cell answers with is the game's efficiency.
"""

from typing import Any, ClassVar, Final, Literal

from coordeval.configurations import Configuration, Forecast, Panel, PanelError
from coordeval.configurations.elements import Elements, Endpoint
from coordeval.grounding.game import Conditions
from coordeval.grounding.registry import Repairs
from coordeval.grounding.repairs import Repair
from coordeval.market_data.plugins import PluginError

Seats = Literal["pair", "solo", "oracle", "chance", "fair_split"]
_ROUNDS: Final = "all rounds of the instance are played"


class Arm(Configuration):
    """Who plays. Subclasses say under which elements."""

    seat: ClassVar[Seats]

    async def forecast(self, panel: Panel) -> Forecast:
        raise PanelError(f"{self.name} plays a game and makes no forecast: run its study with `coordeval grounding run`")

    @classmethod
    def roles(cls) -> dict[str, str]:
        """None: a game's prompts are the game's own, and part of a cell's identity with its code."""
        return {}

    @property
    def conditions(self) -> Conditions:
        return Conditions()

    def repaired(self, repairs: Repairs) -> Repair:
        """What mends it. Raises PluginError for a repair that is not there, or a parameter that it does not take."""
        return Repair()


def _alone(decides: str) -> Elements:
    return Elements(
        endpoints=(Endpoint("submission", "submission"),),
        topology=(),
        authority=decides,
        synchronisation="round by round",
        aggregation="joint reward of both submissions over the joint optimum, mean over rounds",
        termination=_ROUNDS,
        failure_handling="exclude",
    )


class Pair(Arm):
    """Two agents, each with projects of its own, who may talk before each submits alone."""

    name: ClassVar[str] = "pair"
    seat: ClassVar[Seats] = "pair"
    elements: ClassVar[Elements] = Elements(
        endpoints=(
            Endpoint("talk", "message"),
            Endpoint("restating", "message"),
            Endpoint("mediation", "message"),
            Endpoint("submission", "submission"),
        ),
        topology=(
            *((speaker, listener) for speaker in ("talk", "submission") for listener in ("talk", "restating", "mediation")),
            *((speaker, "submission") for speaker in ("talk", "restating", "mediation", "submission")),
        ),
        authority="each player over its own submission",
        synchronisation="turn by turn while they talk; submissions are made alone and locked",
        aggregation="joint reward of both submissions over the joint optimum, mean over rounds; overdrawn, nothing for both",
        termination=_ROUNDS,
        failure_handling="exclude",
    )
    history: Literal["stable", "shifting"] = "stable"
    """Whether earlier rounds stay in sight, or are wiped before each."""
    talk: bool = True
    disclosed: bool = False
    """Whether each is shown the other's projects."""
    structured: bool = False
    """Whether a message has a field for a plan beside its text."""
    repair: str | dict[str, Any] = Repair.name
    """Which repair mends it, by name, or as a table with name and parameters; `coordeval grounding repairs` lists them."""

    @property
    def conditions(self) -> Conditions:
        return Conditions(history=self.history, talk=self.talk, disclosed=self.disclosed, structured=self.structured)

    def repaired(self, repairs: Repairs) -> Repair:
        given = dict(self.repair) if isinstance(self.repair, dict) else {"name": self.repair}
        name = given.pop("name", None)
        if not isinstance(name, str):
            raise PluginError(f"repair = {self.repair!r}: a table has a name, such as repair = {{ name = 'shared_record' }}")
        return repairs.create(name, given)


class Solo(Arm):
    """One agent in each seat, the other's part given: what each can do alone."""

    name: ClassVar[str] = "solo"
    seat: ClassVar[Seats] = "solo"
    elements: ClassVar[Elements] = _alone("each agent over its own part; the other's is the optimum's")


class Oracle(Arm):
    """One agent who sees both players' projects and submits for both."""

    name: ClassVar[str] = "oracle"
    seat: ClassVar[Seats] = "oracle"
    elements: ClassVar[Elements] = _alone("one agent over both submissions")


def _computed(how: str) -> Elements:
    return Elements(
        endpoints=(),
        topology=(),
        authority="none: no model is asked",
        synchronisation="round by round",
        aggregation=how,
        termination=_ROUNDS,
        failure_handling="exclude",
    )


class Chance(Arm):
    """Each player buys at random what it may: asks no model."""

    name: ClassVar[str] = "chance"
    seat: ClassVar[Seats] = "chance"
    elements: ClassVar[Elements] = _computed("each submission drawn evenly from all that a player may buy")


class FairSplit(Arm):
    """Each player takes half of every supply and makes the best of it: asks no model."""

    name: ClassVar[str] = "fair_split"
    seat: ClassVar[Seats] = "fair_split"
    elements: ClassVar[Elements] = _computed("each player's best within half of every supply")


ARMS: Final[dict[str, type[Arm]]] = {arm.name: arm for arm in (Pair, Solo, Oracle, Chance, FairSplit)}


def described() -> list[dict[str, Any]]:
    """Every arm with its parameters and what it does, for a list."""
    return [
        {
            "name": name,
            "about": (arm.__doc__ or "").strip(),
            "parameters": {key: field.get_default() for key, field in arm.model_fields.items()},
        }
        for name, arm in ARMS.items()
    ]
