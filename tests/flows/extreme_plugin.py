"""A configuration as a user writes one: used by the tests as a plugin file."""

from statistics import fmean
from typing import ClassVar

from coordeval.configurations import Configuration, Elements, Endpoint, Forecast, Panel


class Extreme(Configuration):
    """The mean of independent estimates, pushed away from one half."""

    name: ClassVar[str] = "extreme"
    elements: ClassVar[Elements] = Elements(
        endpoints=(Endpoint("forecaster", "estimate"),),
        topology=(),
        authority="equal",
        synchronisation="all at once",
        aggregation="mean, extremised",
        termination="after one round",
        failure_handling="exclude",
    )

    agents: int = 3
    strength: float = 1.5

    async def forecast(self, panel: Panel) -> Forecast:
        mean = fmean(e.probability for e in await panel.ask_each("forecaster", self.agents))
        odds = (mean / (1 - mean)) ** self.strength if mean < 1 else float("inf")
        return panel.conclude(1.0 if odds == float("inf") else odds / (1 + odds))
