"""Reference: peer-critique debate."""

from statistics import median
from typing import ClassVar

from pydantic import Field

from coordeval.configurations.base import Configuration
from coordeval.configurations.elements import Elements, Endpoint
from coordeval.configurations.panel import Forecast, Panel, peers


class PeerCritiqueDebate(Configuration):
    """Agents estimate alone, then revise after reading each other; the median of the last round is the forecast."""

    name: ClassVar[str] = "peer_critique_debate"
    elements: ClassVar[Elements] = Elements(
        endpoints=(Endpoint("forecaster", "estimate"), Endpoint("critic", "estimate")),
        topology=(("forecaster", "critic"), ("critic", "critic")),
        authority="equal",
        synchronisation="rounds: everybody has spoken before anybody revises",
        aggregation="median of the last round",
        termination="after a fixed number of rounds",
        failure_handling="exclude",
    )

    agents: int = Field(default=3, ge=1, le=100)
    rounds: int = Field(default=2, ge=0, le=20)

    async def forecast(self, panel: Panel) -> Forecast:
        estimates = await panel.ask_each("forecaster", self.agents)
        for _ in range(self.rounds):
            estimates = await panel.revise(estimates, role="critic", shown=peers)
        return panel.conclude(median(e.probability for e in estimates))
