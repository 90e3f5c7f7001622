"""Adaptive ensemble: more agents only where those who were asked disagree."""

from contextlib import suppress
from statistics import median, stdev
from typing import ClassVar

from pydantic import Field

from coordeval.configurations.base import Configuration
from coordeval.configurations.elements import Elements, Endpoint
from coordeval.configurations.panel import Forecast, NoAnswer, Panel


class Adaptive(Configuration):
    """Agents estimate alone, one more at a time while the standard error of their mean is over the tolerance; the median."""

    name: ClassVar[str] = "adaptive"
    elements: ClassVar[Elements] = Elements(
        endpoints=(Endpoint("forecaster", "estimate"),),
        topology=(),
        authority="equal",
        synchronisation="the first few at once, then one after the other; nobody sees anybody",
        aggregation="median",
        termination="when the standard error of the mean is within the tolerance, or as many were asked as may be",
        failure_handling="exclude",
    )

    agents: int = Field(default=2, ge=2, le=100, description="How many are asked in any case.")
    most: int = Field(default=7, ge=2, le=100, description="How many are asked at most.")
    tolerance: float = Field(default=0.03, gt=0, le=0.5, description="Of the standard error, in probability.")

    async def forecast(self, panel: Panel) -> Forecast:
        said = await panel.ask_each("forecaster", self.agents)
        for agent in range(self.agents, self.most):
            if stdev(e.probability for e in said) / len(said) ** 0.5 <= self.tolerance:
                break
            with suppress(NoAnswer):  # one that has none was asked, and the next one may have one
                said.append(await panel.ask("forecaster", agent=agent))
        return panel.conclude(median(e.probability for e in said))
