"""Plugin files whose forecast() is a few lines of a test."""

from textwrap import indent

_FILE = '''
"""A configuration of one agent, whose coroutine is given by a test."""

import asyncio
import os
import time
from typing import ClassVar

from coordeval.configurations import Configuration, Elements, Endpoint, Forecast, Panel


class Mine(Configuration):
    """What a test wants to see."""

    name: ClassVar[str] = "mine"
    elements: ClassVar[Elements] = Elements(
        endpoints=(Endpoint("forecaster", "estimate"),),
        topology=(),
        authority="the one agent",
        synchronisation="none",
        aggregation="none",
        termination="after one answer",
        failure_handling="abort",
    )

    async def forecast(self, panel: Panel) -> Forecast:
'''


def plugin(body: str) -> str:
    """The file of a configuration called "mine"."""
    return _FILE + indent(body, " " * 8) + "\n"
