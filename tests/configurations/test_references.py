"""The references and baselines: what each makes of given estimates, who is shown what, and which draws they share."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordeval.agents.answers import Answer
from coordeval.agents.cell import AskFailed, CellAgents, Settings
from coordeval.agents.draws import CommonDraws
from coordeval.agents.messages import Reply, Request, Slot, Usage
from coordeval.agents.scaffold import Ask
from coordeval.configurations import Configuration, Panel, PanelError
from coordeval.configurations.consensus_alignment import ConsensusAlignment
from coordeval.configurations.independent_ensemble import IndependentEnsemble
from coordeval.configurations.market_price import MarketPrice
from coordeval.configurations.orchestrator_specialist import OrchestratorSpecialist
from coordeval.configurations.peer_critique_debate import PeerCritiqueDebate
from coordeval.configurations.sequential_pipeline import SequentialPipeline
from coordeval.configurations.single_agent import SingleAgent
from coordeval.market_data.gate import MarketView
from coordeval.market_data.types import Market

AGENT_CONFIGURATIONS = [
    SingleAgent,
    IndependentEnsemble,
    PeerCritiqueDebate,
    ConsensusAlignment,
    OrchestratorSpecialist,
    SequentialPipeline,
]


class Rounds:
    """Answers an ask for an estimate by round and agent; a report names its ask. A failure is raised."""

    def __init__(self, *rounds: list[float | AskFailed]) -> None:
        self.rounds = rounds
        self.asks: list[Ask] = []

    async def answer(self, ask: Ask) -> Answer:
        self.asks.append(ask)
        said = self.rounds[ask.round][ask.agent] if ask.answer == "estimate" else f"report {ask.ordinal}"
        if isinstance(said, AskFailed):
            raise said
        if isinstance(said, str):
            return Answer(probability=None, text=said, parts=("first", "second", "third"))
        return Answer(probability=said, text="why", reading="reading")


async def run(configuration: Configuration, answering: Any, price: float | None = 0.5) -> tuple[float, Panel]:
    panel = Panel(
        question="?",
        market_price=price,
        elements=configuration.elements,
        roles=configuration.roles(),
        answering=answering,
    )
    return (await configuration.forecast(panel)).probability, panel


# --- from estimates to the forecast

FIRST = [0.1, 0.2, 0.9]


@pytest.mark.parametrize(
    ("configuration", "rounds", "forecast", "asks", "why"),
    [
        (SingleAgent(), [[0.3]], 0.3, 1, "the one estimate"),
        (IndependentEnsemble(), [FIRST], 0.2, 3, "the median, not the mean"),
        (IndependentEnsemble(agents=2), [[0.1, 0.4]], 0.25, 2, "an even number: half way between the middle two"),
        (PeerCritiqueDebate(rounds=1), [FIRST, [0.2, 0.3, 0.4]], 0.3, 6, "the median of the last round"),
        (PeerCritiqueDebate(), [FIRST, [0.2, 0.3, 0.4], [0.5, 0.6, 0.6]], 0.6, 9, "two rounds by default"),
        (PeerCritiqueDebate(rounds=0), [FIRST], 0.2, 3, "no round: an ensemble"),
        (ConsensusAlignment(rounds=0), [FIRST], fmean(FIRST), 3, "the mean, not the median"),
        (ConsensusAlignment(), [[0.3, 0.32, 0.34]], 0.32, 3, "agreed at once, so nobody revises"),
        (ConsensusAlignment(), [FIRST, [0.3, 0.3, 0.34]], fmean([0.3, 0.3, 0.34]), 6, "agreed after one round"),
        (ConsensusAlignment(), [FIRST, FIRST, [0.3, 0.4, 0.6]], fmean([0.3, 0.4, 0.6]), 9, "rounds are spent"),
        (
            ConsensusAlignment(tolerance=0.25, agents=2),
            [[0.25, 0.5], [0.3, 0.4]],
            0.35,
            4,
            "just the tolerance is no agreement",
        ),
        (ConsensusAlignment(tolerance=0.26, agents=2), [[0.25, 0.5]], 0.375, 2, "less than the tolerance is"),
        (OrchestratorSpecialist(), [[], [], [0.7]], 0.7, 5, "the integrator's word"),
        (OrchestratorSpecialist(agents=2), [[], [], [0.7]], 0.7, 4, "no more specialists than agents"),
        (SequentialPipeline(), [[], [], [0.8]], 0.8, 3, "the closer's word"),
    ],
)
async def test_the_forecast_that_follows_from_the_estimates(configuration, rounds, forecast, asks, why):
    probability, panel = await run(configuration, Rounds(*rounds))
    assert probability == pytest.approx(forecast, abs=1e-15), why
    assert len(panel.asks) == asks, why


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9).flatmap(lambda p: st.tuples(st.just(p), st.permutations(p))))
def test_the_order_of_the_agents_changes_no_pooled_forecast(orders):
    for configuration in (IndependentEnsemble, ConsensusAlignment, PeerCritiqueDebate):
        fixed = {} if configuration is IndependentEnsemble else {"rounds": 0}
        one, other = (asyncio.run(run(configuration(agents=len(order), **fixed), Rounds(order)))[0] for order in orders)
        assert one == other, configuration.name


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_a_pooled_forecast_lies_between_the_estimates(estimates):
    for configuration in (IndependentEnsemble, ConsensusAlignment):
        fixed = {} if configuration is IndependentEnsemble else {"rounds": 0}
        probability, _ = asyncio.run(run(configuration(agents=len(estimates), **fixed), Rounds(estimates)))
        assert min(estimates) - 1e-15 <= probability <= max(estimates) + 1e-15, "up to the mean's rounding"


@pytest.mark.parametrize("price", [0.0, 0.37, 1.0])
async def test_the_market_price_is_repeated_and_nobody_is_asked(price):
    probability, panel = await run(MarketPrice(), Rounds(), price)
    assert (probability, panel.asks) == (price, [])


async def test_a_market_without_a_price_has_no_price_forecast():
    with pytest.raises(PanelError, match="no price of this market was known at the as-of time"):
        await run(MarketPrice(), Rounds(), None)


# --- who is shown what


@pytest.mark.parametrize("configuration", [PeerCritiqueDebate(rounds=2), ConsensusAlignment(rounds=2)], ids=lambda c: c.name)
async def test_in_each_round_an_agent_reads_the_round_before_its_own_marked(configuration):
    answering = Rounds(FIRST, FIRST, FIRST)
    _, panel = await run(configuration, answering)
    assert [record["shown"] for record in panel.asks] == [[], [], [], *[[0, 1, 2]] * 3, *[[3, 4, 5]] * 3]
    for ask in answering.asks:
        if ask.round:
            others = [f"agent {i + 1}" for i in range(3) if i != ask.agent]
            assert [s.author for s in ask.shown] == ["you", *others]
            assert {s.round for s in ask.shown} == {ask.round - 1}
            assert f"Probability: {FIRST[ask.agent]:.3f}" in ask.shown[0].text
        else:
            assert not ask.shown


async def test_specialists_read_their_part_only_and_the_integrator_their_reports():
    answering = Rounds([], [], [0.7])
    _, panel = await run(OrchestratorSpecialist(), answering)
    assert [(r["role"], r["shown"]) for r in panel.asks] == [
        ("planner", []),
        ("specialist", [0]),
        ("specialist", [0]),
        ("specialist", [0]),
        ("integrator", [1, 2, 3]),
    ]
    assert [ask.role_text.strip().splitlines()[-1] for ask in answering.asks[1:4]] == ["first", "second", "third"]
    assert [len(ask.shown) for ask in answering.asks] == [0, 0, 0, 0, 3]
    assert "exactly 3 sub-questions" in answering.asks[0].role_text


async def test_each_stage_of_the_pipeline_reads_the_stages_before_it():
    answering = Rounds([], [], [0.8])
    _, panel = await run(SequentialPipeline(), answering)
    assert [(r["role"], r["shown"]) for r in panel.asks] == [("researcher", []), ("analyst", [0]), ("closer", [0, 1])]
    assert [s.text for s in answering.asks[2].shown] == ["report 0", "report 1"]


@pytest.mark.parametrize("configuration", AGENT_CONFIGURATIONS, ids=lambda c: c.name)
async def test_a_run_uses_every_declared_role_and_edge_and_no_other(configuration):
    _, panel = await run(configuration(), Rounds(FIRST, FIRST, FIRST))
    declared = configuration.elements
    assert {(r["role"], r["kind"]) for r in panel.asks} == {(e.role, e.answers) for e in declared.endpoints}
    roles = [record["role"] for record in panel.asks]
    assert {(roles[source], r["role"]) for r in panel.asks for source in r["shown"]} == set(declared.topology)


# --- failures

FINAL, PASSING = AskFailed("refused"), AskFailed("overloaded", retryable=True)


@pytest.mark.parametrize(
    ("configuration", "rounds", "end", "why"),
    [
        (IndependentEnsemble(), [[0.1, FINAL, 0.4]], 0.25, "the two that answered"),
        (IndependentEnsemble(), [[0.1, FINAL, FINAL]], FINAL, "one of three is no majority"),
        (IndependentEnsemble(), [[0.1, PASSING, 0.4]], PASSING, "what may pass is asked again"),
        (PeerCritiqueDebate(rounds=1), [[0.1, FINAL, 0.4], [0.2, 0.9, 0.3]], 0.25, "who failed takes no further part"),
        (PeerCritiqueDebate(rounds=1), [FIRST, [0.2, 0.3, FINAL]], 0.25, "also in a later round"),
        (ConsensusAlignment(), [[0.3, FINAL, 0.31]], 0.305, "two agree without the third"),
        (SingleAgent(), [[FINAL]], FINAL, "nobody is left"),
        (SequentialPipeline(), [[], [], [FINAL]], FINAL, "a stage cannot be left out"),
        (OrchestratorSpecialist(), [[], [], [PASSING]], PASSING, "the integrator cannot be left out"),
    ],
)
async def test_failures(configuration, rounds, end, why):
    if isinstance(end, float):
        assert (await run(configuration, Rounds(*rounds)))[0] == pytest.approx(end, abs=1e-15), why
    else:
        with pytest.raises(AskFailed) as caught:
            await run(configuration, Rounds(*rounds))
        assert caught.value.retryable == end.retryable, why
        assert end.reason in caught.value.reason


# --- which procedures are one


async def graph(configuration: Configuration, *rounds: list[float]) -> str:
    return (await run(configuration, Rounds(*rounds)))[1].call_graph


async def test_one_agent_is_one_agent_by_whatever_name():
    alone = await graph(SingleAgent(), [0.3])
    assert await graph(IndependentEnsemble(agents=1), [0.3]) == alone
    assert await graph(ConsensusAlignment(agents=1), [0.3]) == alone, "it agrees with itself at once"
    assert await graph(PeerCritiqueDebate(agents=1, rounds=0), [0.3]) == alone
    assert await graph(PeerCritiqueDebate(agents=1, rounds=1), [0.3], [0.3]) != alone, "it reads itself again"


async def test_the_references_as_they_come_are_different_procedures():
    graphs = [await graph(configuration(), FIRST, FIRST, FIRST) for configuration in AGENT_CONFIGURATIONS]
    assert len(set(graphs)) == len(AGENT_CONFIGURATIONS)


# --- common draws, through the real agents


class Sampling:
    """A model whose every draw is another estimate; remembers what it was sent, by configuration."""

    def __init__(self) -> None:
        self.identity = {"provider": "sampling"}
        self.seen: list[tuple[Slot, bytes]] = []

    async def complete(self, request: Request, slot: Slot) -> Reply:
        self.seen.append((slot, request.encoded))
        probability = 0.1 + 0.3 * slot.k
        given = {"probability": probability, "rationale": f"draw {slot.k}", "reading": "as worded"}
        return Reply(
            content=[{"type": "tool_use", "id": f"toolu_{slot.k}", "name": "submit_estimate", "input": given}],
            stop_reason="tool_use",
            model="m",
            usage=Usage(input_tokens=1, output_tokens=1),
            micro_usd=1,
            seconds=0.0,
        )


class Disk:
    """Keeps rows in memory: nothing here is restarted."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    async def put(self, table: str, row: dict[str, Any]) -> None:
        self.rows.append(row)


VIEW = MarketView(
    Market(id="m1", source="s", event_id="e", simulated=True, question="?"), datetime(2025, 3, 1, tzinfo=UTC), [], []
)


def agents(name: str, model: Any) -> CellAgents:
    settings = Settings(model="m", max_tokens=100)
    return CellAgents(model=model, settings=settings, view=VIEW, forecast_id=name, configuration=name, replicate=0)


SHARING: list[Callable[..., Configuration]] = [IndependentEnsemble, PeerCritiqueDebate, ConsensusAlignment]


async def test_the_first_round_is_the_same_bytes_in_every_configuration():
    model = Sampling()
    for configuration in SHARING:
        await run(configuration(), agents(configuration.name, model))
    first = {name: [] for name in ("independent_ensemble", "peer_critique_debate", "consensus_alignment")}
    for slot, encoded in model.seen:
        if slot.ask < 3:
            first[slot.configuration].append((slot.k, encoded))
    ensemble = first["independent_ensemble"]
    assert [k for k, _ in ensemble] == [0, 1, 2]
    assert len({encoded for _, encoded in ensemble}) == 1
    assert first["peer_critique_debate"] == first["consensus_alignment"] == ensemble


async def test_the_first_round_is_paid_once_and_attributed_to_each():
    model, disk = Sampling(), Disk()
    draws = CommonDraws(model, disk, {})
    cells = [(configuration(), agents(configuration.name, draws)) for configuration in SHARING]
    await asyncio.gather(*(run(configuration, cell) for configuration, cell in cells))
    first = [[call for call in cell.calls if call["round"] == 0] for _, cell in cells]
    assert [len(calls) for calls in first] == [3, 3, 3]
    assert len({tuple(sorted(call["draw_id"] for call in calls)) for calls in first}) == 1
    assert sum(call["attributed_micro_usd"] for calls in first for call in calls) == 9
    assert sum(call["paid_micro_usd"] for calls in first for call in calls) == 3
    every = [call for _, cell in cells for call in cell.calls]
    assert sum(call["paid_micro_usd"] for call in every) == sum(row["micro_usd"] for row in disk.rows) == len(model.seen)
