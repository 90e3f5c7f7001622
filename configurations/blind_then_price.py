"""How much of a forecast is the price: an estimate before it is shown, and one after."""

from statistics import median
from typing import ClassVar

from pydantic import Field

from coordeval.configurations.base import Configuration
from coordeval.configurations.elements import Elements, Endpoint
from coordeval.configurations.panel import Forecast, Panel


class BlindThenPrice(Configuration):
    """Agents estimate alone without the market's price, then once more with it; the median of the second is the forecast."""

    name: ClassVar[str] = "blind_then_price"
    elements: ClassVar[Elements] = Elements(
        endpoints=(Endpoint("forecaster", "estimate", sees_price=False), Endpoint("price_reader", "estimate")),
        topology=(("forecaster", "price_reader"),),
        authority="equal",
        synchronisation="two rounds, in which each is alone",
        aggregation="median of the second round",
        termination="after the second estimate",
        failure_handling="exclude",
    )

    agents: int = Field(default=3, ge=1, le=100)

    async def forecast(self, panel: Panel) -> Forecast:
        blind = await panel.ask_each("forecaster", self.agents)
        seeing = await panel.revise(blind, role="price_reader", shown=lambda everyone, own: [])
        return panel.conclude(median(e.probability for e in seeing))
