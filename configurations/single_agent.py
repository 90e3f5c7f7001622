"""Baseline: one agent, asked once."""

from typing import ClassVar

from coordeval.configurations.base import Configuration
from coordeval.configurations.elements import Elements, Endpoint
from coordeval.configurations.panel import Forecast, Panel


class SingleAgent(Configuration):
    """One agent's estimate is the forecast. What any coordination has to beat."""

    name: ClassVar[str] = "single_agent"
    elements: ClassVar[Elements] = Elements(
        endpoints=(Endpoint("forecaster", "estimate"),),
        topology=(),
        authority="the one agent",
        synchronisation="none: there is one ask",
        aggregation="none",
        termination="after one answer",
        failure_handling="abort",
    )

    async def forecast(self, panel: Panel) -> Forecast:
        estimate = await panel.ask("forecaster")
        return panel.conclude(estimate.probability)
