"""Reference: orchestrator and specialists."""

from typing import ClassVar

from pydantic import Field

from coordeval.configurations.base import Configuration
from coordeval.configurations.elements import Elements, Endpoint
from coordeval.configurations.panel import Forecast, Panel


class OrchestratorSpecialist(Configuration):
    """A planner splits the question, specialists each investigate one part, an integrator forecasts from their reports."""

    name: ClassVar[str] = "orchestrator_specialist"
    elements: ClassVar[Elements] = Elements(
        endpoints=(Endpoint("planner", "report"), Endpoint("specialist", "report"), Endpoint("integrator", "estimate")),
        topology=(("planner", "specialist"), ("specialist", "integrator")),
        authority="the planner sets the questions, the integrator decides",
        synchronisation="three stages; specialists work at once and do not see each other",
        aggregation="the integrator's estimate",
        termination="after the integrator's answer",
        failure_handling="exclude",
    )

    agents: int = Field(default=3, ge=1, le=20, description="How many specialists.")

    async def forecast(self, panel: Panel) -> Forecast:
        plan = await panel.report("planner", count=self.agents)
        reports = await panel.delegate("specialist", plan, limit=self.agents)
        estimate = await panel.ask("integrator", shown=reports)
        return panel.conclude(estimate.probability)
