"""Configurations that break a rule each, for the conformance check."""

import asyncio
import socket
import threading
from random import random
from typing import ClassVar

from coordeval import Configuration, Elements, Endpoint, Forecast, Panel


class _One(Configuration):
    elements: ClassVar[Elements] = Elements(
        endpoints=(Endpoint("forecaster", "estimate"),),
        topology=(),
        authority="the one agent",
        synchronisation="none",
        aggregation="none",
        termination="after one answer",
        failure_handling="exclude",
    )


class NotANumber(_One):
    name = "not_a_number"

    async def forecast(self, panel: Panel) -> Forecast:
        await panel.ask("forecaster")
        return panel.conclude(float("nan"))


class Chance(_One):
    name = "chance"

    async def forecast(self, panel: Panel) -> Forecast:
        said = await panel.ask("forecaster")
        return panel.conclude((said.probability + random()) / 2)


class Swallows(_One):
    name = "swallows"

    async def forecast(self, panel: Panel) -> Forecast:
        try:
            return panel.conclude((await panel.ask("forecaster")).probability)
        except Exception:
            return panel.conclude(0.5)


class Reacher(_One):
    name = "reacher"

    async def forecast(self, panel: Panel) -> Forecast:
        socket.socket().close()
        threading.Thread(target=len, args=("",)).start()
        with open("/proc/self/status") as file:  # noqa: ASYNC230 - it is to
            file.read()
        return panel.conclude((await panel.ask("forecaster")).probability)


class Idle(Configuration):
    name = "idle"
    elements: ClassVar[Elements] = Elements(
        endpoints=(Endpoint("forecaster", "estimate"), Endpoint("critic", "estimate")),
        topology=(("forecaster", "critic"),),
        authority="nobody",
        synchronisation="none",
        aggregation="none",
        termination="at once",
        failure_handling="exclude",
    )

    async def forecast(self, panel: Panel) -> Forecast:
        return panel.conclude((await panel.ask("forecaster")).probability)


class Changes(_One):
    name = "changes"

    async def forecast(self, panel: Panel) -> Forecast:
        Panel.market_price_of_mine = 0.5
        return panel.conclude((await panel.ask("forecaster")).probability)


class Endless(_One):
    name = "endless"

    async def forecast(self, panel: Panel) -> Forecast:
        while True:
            try:
                return panel.conclude((await panel.ask("forecaster")).probability)
            except asyncio.CancelledError:
                pass
