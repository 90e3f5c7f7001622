"""Control arm of the debate: as many rounds, and nobody else to read."""

from statistics import median
from typing import ClassVar

from pydantic import Field

from coordeval.configurations.base import Configuration
from coordeval.configurations.elements import Elements, Endpoint
from coordeval.configurations.panel import Forecast, Panel


class SelfRevision(Configuration):
    """Agents estimate alone, then revise seeing their own estimate only; the median of the last round is the forecast."""

    name: ClassVar[str] = "self_revision"
    elements: ClassVar[Elements] = Elements(
        endpoints=(Endpoint("forecaster", "estimate"), Endpoint("reviser", "estimate")),
        topology=(("forecaster", "reviser"), ("reviser", "reviser")),
        authority="equal",
        synchronisation="rounds, in which each is alone with its own estimate",
        aggregation="median of the last round",
        termination="after a fixed number of rounds",
        failure_handling="exclude",
    )

    agents: int = Field(default=3, ge=1, le=100)
    rounds: int = Field(default=2, ge=0, le=20)

    async def forecast(self, panel: Panel) -> Forecast:
        estimates = await panel.ask_each("forecaster", self.agents)
        for _ in range(self.rounds):
            estimates = await panel.revise(estimates, role="reviser", shown=lambda everyone, own: [])
        return panel.conclude(median(e.probability for e in estimates))
