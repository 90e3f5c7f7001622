"""Delphi: the group is known to its members as a summary only."""

from statistics import median, quantiles
from typing import ClassVar

from pydantic import Field

from coordeval.configurations.base import Configuration
from coordeval.configurations.elements import Elements, Endpoint
from coordeval.configurations.panel import Forecast, Panel


class Delphi(Configuration):
    """Agents estimate alone, then revise reading the group's median and middle half, no names and no reasons; the median."""

    name: ClassVar[str] = "delphi"
    elements: ClassVar[Elements] = Elements(
        endpoints=(Endpoint("forecaster", "estimate"), Endpoint("panelist", "estimate")),
        topology=(("forecaster", "panelist"), ("panelist", "panelist")),
        authority="equal, nobody is named",
        synchronisation="rounds: everybody has spoken before anybody revises",
        aggregation="median of the last round",
        termination="after a fixed number of rounds",
        failure_handling="exclude",
    )

    agents: int = Field(default=3, ge=2, le=100)
    rounds: int = Field(default=2, ge=0, le=20)

    async def forecast(self, panel: Panel) -> Forecast:
        said = await panel.ask_each("forecaster", self.agents)
        for _ in range(self.rounds):
            low, middle, high = quantiles([e.probability for e in said], n=4, method="inclusive")
            words = f"Median of the group: {middle:.3f}. Half of its {len(said)} members lie from {low:.3f} to {high:.3f}."
            summary = panel.statistic(words, of=said)
            said = await panel.revise(said, role="panelist", shown=lambda *_, it=summary: [it])
        return panel.conclude(median(e.probability for e in said))
