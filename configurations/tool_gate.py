"""Tool gate: a few estimates without tools first; an estimator that was fitted on earlier studies decides on tools."""

from collections.abc import Collection, Mapping
from pathlib import Path
from statistics import fmean, median, pstdev
from typing import Any, ClassVar

from pydantic import Field, PrivateAttr

from coordeval.configurations.base import Configuration, code_hash
from coordeval.configurations.elements import Elements, Endpoint
from coordeval.configurations.gates import Gate, GateError, features, read_gate
from coordeval.configurations.panel import Forecast, Panel


class ToolGate(Configuration):
    """Agents estimate without tools; where tools are expected to gain more than they must, as many ask again with them."""

    name: ClassVar[str] = "tool_gate"
    elements: ClassVar[Elements] = Elements(
        endpoints=(Endpoint("forecaster", "estimate", tools="optional"),),
        topology=(),
        authority="equal; a fitted estimator decides whether tools are used",
        synchronisation="the first few at once without tools, then as many at once with them, or nobody",
        aggregation="median of those with tools where they were used, else of those without",
        termination="after the first estimates, or after those with tools",
        failure_handling="exclude",
    )
    files: ClassVar[tuple[str, ...]] = ("gate",)

    gate: str = Field(default="", description="The file of a fitted gate, beside the study; else `spread` decides.")
    agents: int = Field(default=3, ge=1, le=100, description="Estimates without tools, and with them.")
    spread: float = Field(
        default=0.3, ge=0, le=10, description="Without a gate file: tools where first estimates spread more, in logits."
    )
    _gate: Gate | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any) -> None:
        if self.gate:
            self._gate = read_gate(Path(self.gate))
            if self._gate.draws != self.agents:
                raise GateError(
                    f"gate file {self.gate} was fitted on {self._gate.draws} first estimates, tool_gate asks {self.agents}: "
                    f"say agents = {self._gate.draws}, or fit one on a study with {self.agents}"
                )

    def identity(self) -> Mapping[str, Any]:
        """With the gate file's content in place of where it lies, and the code that reads its numbers and decides."""
        told = dict(super().identity())
        own = {name: value for name, value in told["parameters"].items() if name != "gate"}
        return told | {"parameters": own | {"gate": self._gate.sha256 if self._gate else ""}, "decides": code_hash(Gate)}

    def refuses(self, markets: Collection[str]) -> str | None:
        """Why it may not judge these: a gate that was fitted on them knows their outcomes."""
        known = sorted(self._gate.markets.intersection(markets)) if self._gate else []
        if not known:
            return None
        return (
            f"gate file {self.gate} was fitted on {len(known)} of the {len(markets)} markets of this study, such as "
            f"{known[0]}, and so knows their outcomes: fit one on other studies, or take other markets"
        )

    async def forecast(self, panel: Panel) -> Forecast:
        first = await panel.ask_each("forecaster", self.agents, without_tools=True)
        said = [e.probability for e in first]
        if self._gate is None:
            opens = len(said) > 1 and pstdev(_logits(said)) > self.spread
        else:
            size = fmean(len(e.rationale) for e in first)
            known = features(said, price=panel.market_price, facts=panel.facts, rationale=size)
            opens = self._gate.opens(known, panel.facts.get("category"))
        if opens:
            said = [e.probability for e in await panel.ask_each("forecaster", self.agents)]
        return panel.conclude(median(said))


def _logits(said: list[float]) -> list[float]:
    return [features([p], price=p, facts={}, rationale=None)["price"] or 0.0 for p in said]
