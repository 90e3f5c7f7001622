"""Reference: independent ensemble."""

from statistics import median
from typing import ClassVar

from pydantic import Field

from coordeval.configurations.base import Configuration
from coordeval.configurations.elements import Elements, Endpoint
from coordeval.configurations.panel import Forecast, Panel


class IndependentEnsemble(Configuration):
    """Agents estimate alone; the median is the forecast."""

    name: ClassVar[str] = "independent_ensemble"
    elements: ClassVar[Elements] = Elements(
        endpoints=(Endpoint("forecaster", "estimate"),),
        topology=(),
        authority="equal",
        synchronisation="all at once, nobody sees anybody",
        aggregation="median",
        termination="after one round",
        failure_handling="exclude",
    )

    agents: int = Field(default=3, ge=1, le=100)

    async def forecast(self, panel: Panel) -> Forecast:
        estimates = await panel.ask_each("forecaster", self.agents)
        return panel.conclude(median(e.probability for e in estimates))
