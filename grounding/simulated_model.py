"""The simulated players behind the model interface: a study of games without a key goes the way of one with a live model."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, ClassVar, Final

from coordeval.agents.messages import Block, Reply, Request, Slot, Usage, canonical
from coordeval.grounding.simulated import EVERYDAY, Habits, SimulatedPlayer

_DRAWS: Final = 1_000_003
"""Apart from each other in luck: draw k of replicate r is luck r · this + k."""


class SimulatedPlayers:
    """Every player of every game, and the mediator. The same request, replicate and k give the same reply everywhere."""

    name: ClassVar[str] = "simulated-players-1"
    usd_per_million: ClassVar[tuple[float, float]] = (5.0, 25.0)
    """Simulated dollars per million tokens of input and of output. Nobody pays them; they make costs comparable."""
    characters_per_token: ClassVar[int] = 4

    def __init__(self, habits: Habits | None = None) -> None:
        self.habits = habits or Habits()

    @property
    def identity(self) -> Mapping[str, Any]:
        return {
            "model": self.name,
            "simulated": True,
            "usd_per_million": list(self.usd_per_million),
            **asdict(self.habits),
            "ladder": list(self.habits.ladder),
        }

    async def complete(self, request: Request, slot: Slot) -> Reply:
        asked, *later = request.messages
        problem = _text(later[-1]["content"]) if later else ""
        player = SimulatedPlayer(self.habits)
        handed = player.hand_in(_text(asked["content"]), replicate=slot.replicate * _DRAWS + slot.k, problem=problem)
        content: list[Block] = [
            {"type": "tool_use", "id": f"toolu_{request.key[:16]}{i}", "name": f"submit_{form}", "input": given}
            for i, (form, given) in enumerate(handed)
        ]
        written = len(request.encoded) // self.characters_per_token
        spoken = max(len(canonical(content)) // self.characters_per_token, 1)
        per_input, per_output = self.usd_per_million
        return Reply(
            content=content,
            stop_reason="tool_use",
            model=self.name,
            usage=Usage(input_tokens=written, output_tokens=spoken),
            micro_usd=round(written * per_input + spoken * per_output),
            seconds=0.5 + written / 10_000 + spoken / 60,
        )


def passing(seed: int) -> SimulatedPlayers:
    """Players who pass for a model's: they learn from round to round, and now and then fail to understand each other."""
    return SimulatedPlayers(replace(EVERYDAY, seed=seed))


def _text(content: Any) -> str:
    """All text in a message's content, that of tool results too."""
    if isinstance(content, str):
        return content
    return "\n".join(
        _text(block["content"]) if block["type"] == "tool_result" else block.get("text", "") for block in content
    )
