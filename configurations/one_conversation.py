"""One agent in the place of many: it plays all roles of a debate in one conversation (arXiv 2601.12307)."""

from contextlib import suppress
from statistics import median
from typing import ClassVar

from pydantic import Field

from coordeval.configurations.base import Configuration
from coordeval.configurations.elements import Elements, Endpoint
from coordeval.configurations.panel import Forecast, NoAnswer, Panel


class OneConversation(Configuration):
    """One agent speaks for every voice of a debate in turn, all in one conversation; the median of the last round."""

    name: ClassVar[str] = "one_conversation"
    elements: ClassVar[Elements] = Elements(
        endpoints=(Endpoint("forecaster", "estimate"), Endpoint("voice", "estimate")),
        topology=(("forecaster", "voice"), ("voice", "voice")),
        authority="the one agent",
        synchronisation="one voice after the other; each knows all that was said before",
        aggregation="the middle one of what each voice said last",
        termination="after a fixed number of rounds",
        failure_handling="exclude",
    )

    voices: int = Field(default=3, ge=1, le=20)
    rounds: int = Field(default=2, ge=0, le=20)

    async def forecast(self, panel: Panel) -> Forecast:
        standing = {0: (latest := await panel.ask("forecaster"))}
        for turn in range(1, self.voices * (self.rounds + 1)):
            round_, voice = divmod(turn, self.voices)
            with suppress(NoAnswer):  # a voice that has none stands where it stood
                latest = await panel.ask(
                    "voice", continues=latest, voice=voice + 1, voices=self.voices, round=round_, rounds=self.rounds
                )
                standing[voice] = latest
        return panel.conclude(median(e.probability for e in standing.values()))
