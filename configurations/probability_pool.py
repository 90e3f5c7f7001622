"""Independent agents, pooled in other ways than by the median."""

from math import exp, log
from statistics import fmean
from typing import ClassVar, Literal

from pydantic import Field

from coordeval.configurations.base import Configuration
from coordeval.configurations.elements import Elements, Endpoint
from coordeval.configurations.panel import Forecast, Panel


class ProbabilityPool(Configuration):
    """Agents estimate alone; a trimmed mean, the mean of log odds or that mean extremised is the forecast."""

    name: ClassVar[str] = "probability_pool"
    elements: ClassVar[Elements] = Elements(
        endpoints=(Endpoint("forecaster", "estimate"),),
        topology=(),
        authority="equal",
        synchronisation="all at once, nobody sees anybody",
        aggregation="by the parameter pool: trimmed mean, mean of log odds, or that mean times a factor",
        termination="after one round",
        failure_handling="exclude",
    )

    agents: int = Field(default=5, ge=1, le=100)
    pool: Literal["trimmed", "log_odds", "extremised"] = "log_odds"
    trim: float = Field(default=0.2, ge=0, lt=0.5, description="Share that is left out at either end, for trimmed.")
    factor: float = Field(default=1.5, ge=1, le=10, description="What log odds are multiplied by, for extremised.")

    async def forecast(self, panel: Panel) -> Forecast:
        said = sorted(e.probability for e in await panel.ask_each("forecaster", self.agents))
        if self.pool == "trimmed":
            out = int(self.trim * len(said))
            return panel.conclude(fmean(said[out : len(said) - out]))
        inside = [min(max(p, 0.001), 0.999) for p in said]  # one that is sure would else decide alone
        odds = fmean(log(p / (1 - p)) for p in inside) * (self.factor if self.pool == "extremised" else 1)
        return panel.conclude(1 / (1 + exp(-odds)))
