"""Reference: consensus alignment."""

from statistics import fmean
from typing import ClassVar

from pydantic import Field

from coordeval.configurations.base import Configuration
from coordeval.configurations.elements import Elements, Endpoint
from coordeval.configurations.panel import Estimate, Forecast, Panel, peers


class ConsensusAlignment(Configuration):
    """Agents estimate alone, then move toward the group until they agree or rounds are spent; the mean is the forecast."""

    name: ClassVar[str] = "consensus_alignment"
    elements: ClassVar[Elements] = Elements(
        endpoints=(Endpoint("forecaster", "estimate"), Endpoint("aligner", "estimate")),
        topology=(("forecaster", "aligner"), ("aligner", "aligner")),
        authority="equal, the group before the individual",
        synchronisation="rounds: everybody has spoken before anybody revises",
        aggregation="mean of the last round",
        termination="when highest and lowest estimate are less than the tolerance apart, or the rounds are spent",
        failure_handling="exclude",
    )

    agents: int = Field(default=3, ge=1, le=100)
    rounds: int = Field(default=2, ge=0, le=20)
    tolerance: float = Field(default=0.05, gt=0, le=1)

    async def forecast(self, panel: Panel) -> Forecast:
        estimates = await panel.ask_each("forecaster", self.agents)
        for _ in range(self.rounds):
            if spread(estimates) < self.tolerance:
                break
            estimates = await panel.revise(estimates, role="aligner", shown=peers)
        return panel.conclude(fmean(e.probability for e in estimates))


def spread(estimates: list[Estimate]) -> float:
    """Highest minus lowest probability."""
    probabilities = [e.probability for e in estimates]
    return max(probabilities) - min(probabilities)
