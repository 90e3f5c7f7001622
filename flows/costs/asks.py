"""What the roles of a study are asked, on made-up markets: the questions of an exam."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from coordeval.agents.answers import Answer
from coordeval.agents.cell import AskFailed, CellAgents, Settings
from coordeval.agents.messages import Model
from coordeval.agents.scaffold import Ask
from coordeval.agents.simulated import SimulatedModel, SimulatedParameters
from coordeval.configurations import Panel, PanelError
from coordeval.flows.run.planning import Planned
from coordeval.market_data.gate import MarketView
from coordeval.market_data.simulated import SimulatedWorld

MARKETS: Final = 12
SEED: Final = 97


@dataclass(frozen=True, slots=True)
class Question:
    """One ask of one role, on a made-up market."""

    configuration: str
    ask: Ask
    view: MarketView


def agents_of(model: Model, settings: Settings, view: MarketView, label: str, *, replicate: int = 0) -> CellAgents:
    return CellAgents(
        model=model,
        settings=settings,
        view=view,
        forecast_id=f"exam {view.market.id}",
        configuration=label,
        replicate=replicate,
    )


@dataclass(slots=True)
class _Noting:
    """Answers a panel's asks, and keeps them."""

    agents: CellAgents
    asked: list[Ask] = field(default_factory=list)

    async def answer(self, ask: Ask) -> Answer:
        self.asked.append(ask)
        return await self.agents.answer(ask)


async def questions(planned: Sequence[Planned], most: int) -> dict[str, list[Question]]:
    """Role -> at most `most` asks, over configurations and markets; what agents are shown was said by the simulator."""
    world = SimulatedWorld(count=MARKETS, seed=SEED)
    prices, documents = world.prices(), world.documents()
    calm = SimulatedModel(SimulatedParameters(malformed_rate=0.0, refusal_rate=0.0, truncation_rate=0.0))
    found: dict[str, list[Question]] = defaultdict(list)
    for market in world.markets():
        assert market.reference_time is not None
        own = [document for document in documents if document.market_id == market.id]
        view = MarketView(market, market.reference_time, [p for p in prices if p.market_id == market.id], own)
        for one in planned:
            noting = _Noting(agents_of(calm, one.settings, view, one.label))
            panel = Panel(
                question=market.question,
                market_price=None,
                elements=one.configuration.elements,
                roles=one.roles,
                answering=noting,
            )
            with suppress(AskFailed, PanelError):  # what was asked until then counts
                await one.configuration.forecast(panel)
            for ask in noting.asked:
                if len(found[ask.role]) < most and not _twice(found[ask.role], one.label, view, ask):
                    found[ask.role].append(Question(one.label, ask, view))
    return dict(found)


def _twice(so_far: Sequence[Question], label: str, view: MarketView, ask: Ask) -> bool:
    """Whether the same first message is among them already: three agents of an ensemble are asked the same."""
    same = (view.market.id, ask.role_text, tuple(ask.shown), ask.answer)
    return any((q.view.market.id, q.ask.role_text, tuple(q.ask.shown), q.ask.answer) == same for q in so_far)
