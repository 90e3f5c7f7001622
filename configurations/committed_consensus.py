"""Consensus by commitment: no forecast without an agreement that binds, or a dissent that is recorded."""

from contextlib import suppress
from typing import ClassVar

from pydantic import Field

from coordeval.configurations.base import Configuration
from coordeval.configurations.elements import Elements, Endpoint
from coordeval.configurations.panel import Forecast, NoAnswer, NoForecast, Panel, Report, peers


class CommittedConsensus(Configuration):
    """Agents estimate alone, then propose in turn and agree, acknowledge or reject; the proposal that binds is the forecast.

    It binds where a majority agreed to it and everybody else rejected it: who only acknowledged it has not agreed.
    """

    name: ClassVar[str] = "committed_consensus"
    elements: ClassVar[Elements] = Elements(
        endpoints=(
            Endpoint("forecaster", "estimate"),
            Endpoint("proposer", "report"),
            Endpoint("party", "report"),
            Endpoint("committed", "estimate"),
        ),
        topology=(
            *(("forecaster", role) for role in ("proposer", "party", "committed")),
            *((speaker, role) for speaker in ("proposer", "party") for role in ("proposer", "party", "committed")),
        ),
        authority="equal; one after the other proposes",
        synchronisation="rounds: one proposes, then all others answer at once",
        aggregation="the proposal that binds",
        termination="when all agreed, or the rounds are spent",
        failure_handling="exclude",
    )

    agents: int = Field(default=3, ge=2, le=20)
    rounds: int = Field(default=3, ge=1, le=20)
    within: float = Field(default=0.05, ge=0, le=1, description="How far a later estimate may lie from what it is bound to.")

    async def forecast(self, panel: Panel) -> Forecast:
        estimates = await panel.ask_each("forecaster", self.agents)
        said: list[Report] = []
        for round_ in range(self.rounds):
            chair = estimates[round_ % len(estimates)]
            others = peers(estimates, chair)
            so_far = [panel.statistic(panel.positions(), of=said)] if said else []
            with suppress(NoAnswer):  # nobody proposes, or nobody answers: the next one proposes
                made = await panel.commit(
                    "proposer", [chair], shown=[*others, *so_far], within=self.within, agents=len(estimates)
                )
                said += made
                if not any(act.verb == "propose" for act in made[0].acts):
                    continue
                stands = panel.statistic(panel.positions(), of=said)
                number = made[0].acts[-1].proposal
                said += await panel.commit(
                    "party",
                    [e for e in others if not isinstance(e, Report)],
                    shown=[*made, stands],
                    within=self.within,
                    agents=len(estimates),
                    proposal=number,
                )
            if (best := panel.agreement()) is not None and len(best.agreed) == len(estimates):
                break
        if (best := panel.agreement()) is None:
            raise NoForecast(f"no agreement: nobody proposed anything in {self.rounds} rounds")
        stands = panel.statistic(panel.positions(), of=said)
        with suppress(NoAnswer):  # said for the record: whether who agreed still stands by it
            await panel.revise(estimates, role="committed", shown=lambda *_: [stands], proposal=best.proposal)
        agreed, only, dissent = (len(who) for who in (best.agreed, best.acknowledged, best.rejected))
        if 2 * agreed <= len(estimates) or agreed + dissent < len(estimates):
            raise NoForecast(
                f"no agreement: {agreed} of {len(estimates)} agents agreed to the best proposal, {best.probability:g}, "
                f"{only} only acknowledged it, {dissent} rejected it, "
                f"{len(estimates) - agreed - only - dissent} stand by another or none"
            )
        return panel.conclude(best.probability)
