"""The simulated players as a provider: `provider = "players"` in a study of games needs no key, no network and no money."""

from dataclasses import fields
from typing import Any, ClassVar, Literal

from pydantic import Field

from coordeval.agents.messages import Model
from coordeval.agents.providers.base import Around, ModelSettings, Money
from coordeval.grounding.simulated import Habits
from coordeval.grounding.simulated_model import SimulatedPlayers
from coordeval.market_data.errors import CoordevalError, choose


class PlayersSection(ModelSettings):
    """Simulated players; `habits` are those of `grounding.simulated.Habits`."""

    provider: Literal["players"]
    habits: dict[str, Any] = Field(default_factory=dict)
    """What goes wrong with them, at which rates: forgets, anchors, splits, slips, withholds, blunders; and convention,
    heeds, ladder, seed."""

    @property
    def model_id(self) -> str:
        return SimulatedPlayers.name


class Players:
    """Simulated players of the grounding game."""

    name: ClassVar[str] = "players"
    about: ClassVar[str] = "simulated players of the grounding game: no key, no network, no money"
    needs: ClassVar[str] = "nothing"
    money: ClassVar[Money] = "simulated"
    settings: ClassVar[type[ModelSettings]] = PlayersSection

    @staticmethod
    def model(settings: PlayersSection, around: Around) -> Model:
        return SimulatedPlayers(habits(settings.habits))


def habits(given: dict[str, Any]) -> Habits:
    """Raises CoordevalError for a name that is no habit, and for a rate that is none."""
    known = [field.name for field in fields(Habits)]
    for name in given:
        if name not in known:
            raise CoordevalError(f"model.habits: {choose('habit', name, known)}")
    own = dict(given)
    if isinstance(ladder := own.get("ladder"), list):
        own["ladder"] = tuple(ladder)
    return Habits(**own)
