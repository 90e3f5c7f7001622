"""The embedded forecaster as a provider: deterministic, free, and labelled SIMULATED wherever it speaks."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from coordeval.agents.messages import Model
from coordeval.agents.providers.base import Around, ModelSettings, Money
from coordeval.agents.simulated import SimulatedModel, SimulatedParameters
from coordeval.market_data.errors import CoordevalError


class SimulatedModelSection(ModelSettings):
    """The embedded forecaster; its parameters are those of `agents.simulated.SimulatedParameters`."""

    provider: Literal["simulated"]
    parameters: dict[str, float | int] = Field(default_factory=dict)
    """What the forecaster is like: its noise, bias, anchoring, herding."""

    @property
    def model_id(self) -> str:
        return SimulatedModel.name


class Simulated:
    """The embedded simulated forecaster."""

    name: ClassVar[str] = "simulated"
    about: ClassVar[str] = "the embedded forecaster of the simulated world: no key, no network, no money"
    needs: ClassVar[str] = "nothing"
    money: ClassVar[Money] = "simulated"
    settings: ClassVar[type[ModelSettings]] = SimulatedModelSection

    @staticmethod
    def model(settings: SimulatedModelSection, around: Around) -> Model:
        return SimulatedModel(parameters(settings.parameters))


def parameters(given: dict[str, Any]) -> SimulatedParameters:
    """Raises CoordevalError for a name that is no parameter."""
    known = SimulatedParameters.__dataclass_fields__
    for name, value in given.items():
        if name not in known:
            raise CoordevalError(f"model.parameters.{name} = {value!r}: no such parameter; known: {', '.join(known)}")
    return SimulatedParameters(**given)
