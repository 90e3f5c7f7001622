"""Reference: sequential pipeline."""

from typing import ClassVar

from coordeval.configurations.base import Configuration
from coordeval.configurations.elements import Elements, Endpoint
from coordeval.configurations.panel import Forecast, Panel


class SequentialPipeline(Configuration):
    """A researcher gathers, an analyst weighs, a closer forecasts from what the two wrote."""

    name: ClassVar[str] = "sequential_pipeline"
    elements: ClassVar[Elements] = Elements(
        endpoints=(Endpoint("researcher", "report"), Endpoint("analyst", "report"), Endpoint("closer", "estimate")),
        topology=(("researcher", "analyst"), ("researcher", "closer"), ("analyst", "closer")),
        authority="the last stage decides",
        synchronisation="strictly one after the other",
        aggregation="the closer's estimate",
        termination="after the third stage",
        failure_handling="abort",
    )

    async def forecast(self, panel: Panel) -> Forecast:
        research = await panel.report("researcher")
        analysis = await panel.report("analyst", shown=[research])
        estimate = await panel.ask("closer", shown=[research, analysis])
        return panel.conclude(estimate.probability)
