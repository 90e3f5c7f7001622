"""The simulated model gone bad without a word, for test benches of who has to notice: its identity says nothing of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from coordeval.agents.messages import Block, Reply, Request, Slot
from coordeval.agents.simulated import SimulatedModel, SimulatedParameters

USUAL = SimulatedParameters()


@dataclass(frozen=True, slots=True)
class Degraded:
    """What is said to be the usual simulated model. As it stands nothing is wrong with it."""

    parameters: SimulatedParameters = USUAL
    """How its agents behave in truth."""
    served: str | None = None
    """The model that answers in place of the one asked."""
    blind: bool = False
    """Whatever is searched for is found nowhere: the tool answers, and returns nothing."""
    turned: bool = False
    """Each estimate is that of NO: as firm, as long and as cheap as before."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """That of the model which it passes for."""
        return SimulatedModel(USUAL).identity

    async def complete(self, request: Request, slot: Slot) -> Reply:
        """The reply to one request."""
        reply = await SimulatedModel(self.parameters).complete(request, slot)
        content = [self._worse(block) for block in reply.content]
        return replace(reply, content=content, model=self.served or reply.model)

    def _worse(self, block: Block) -> Block:
        if self.blind and block.get("name") == "search_evidence":
            return {**block, "input": {"query": "zzzz"}}
        if self.turned and block.get("name") == "submit_estimate":
            given = block["input"].get("probability")
            if isinstance(given, float) and 0 <= given <= 1:
                return {**block, "input": {**block["input"], "probability": round(1 - given, 4)}}
        return block
