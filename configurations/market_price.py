"""Baseline: the market's own price."""

from typing import ClassVar

from coordeval.configurations.base import Configuration
from coordeval.configurations.elements import Elements
from coordeval.configurations.panel import Forecast, NoForecast, Panel


class MarketPrice(Configuration):
    """The last price knowable at the as-of time is the forecast. It asks no agent and costs nothing."""

    name: ClassVar[str] = "market_price"
    elements: ClassVar[Elements] = Elements(
        endpoints=(),
        topology=(),
        authority="the market",
        synchronisation="none",
        aggregation="the market's own: traders' money",
        termination="at once",
        failure_handling="abort",
    )

    async def forecast(self, panel: Panel) -> Forecast:
        if panel.market_price is None:
            raise NoForecast("no price of this market was known at the as-of time, so there is none to repeat")
        return panel.conclude(panel.market_price)
