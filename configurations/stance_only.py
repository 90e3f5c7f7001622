"""Control arm of the debate: where the others stand, and not why."""

from statistics import median
from typing import ClassVar

from pydantic import Field

from coordeval.configurations.base import Configuration
from coordeval.configurations.elements import Elements, Endpoint
from coordeval.configurations.panel import Forecast, Panel


class StanceOnly(Configuration):
    """Agents estimate alone, then revise reading their peers' numbers without reasons; the median of the last round."""

    name: ClassVar[str] = "stance_only"
    elements: ClassVar[Elements] = Elements(
        endpoints=(Endpoint("forecaster", "estimate"), Endpoint("listener", "estimate")),
        topology=(("forecaster", "listener"), ("listener", "listener")),
        authority="equal",
        synchronisation="rounds: everybody has spoken before anybody revises",
        aggregation="median of the last round",
        termination="after a fixed number of rounds",
        failure_handling="exclude",
    )

    agents: int = Field(default=3, ge=1, le=100)
    rounds: int = Field(default=2, ge=0, le=20)
    filler: str = Field(default="", description="Said as each peer's reason, the same for all: the arm of empty reasons.")

    async def forecast(self, panel: Panel) -> Forecast:
        said = await panel.ask_each("forecaster", self.agents)
        why = f"\nRationale: {self.filler}" if self.filler else ""
        for _ in range(self.rounds):
            told = {
                e.agent: panel.statistic(f"Agent {e.agent + 1} estimates {e.probability:.3f}{why}", of=[e]) for e in said
            }
            peers = lambda _, own, told=told: [told[a] for a in told if a != own.agent]  # noqa: E731
            said = await panel.revise(said, role="listener", shown=peers)
        return panel.conclude(median(e.probability for e in said))
