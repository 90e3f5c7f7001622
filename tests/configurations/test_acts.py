"""Commitments: what counts as an agreement, what does not, and that no forecast comes without one or a recorded dissent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordeval.agents.answers import Answer
from coordeval.agents.cell import AskFailed
from coordeval.configurations import NoForecast, PanelError
from coordeval.configurations.acts import Acts
from coordeval.configurations.committed_consensus import CommittedConsensus
from tests.configurations.test_references import run


def after(*parts: tuple[int, str]) -> Acts:
    """The acts after agents (numbers) handed in these parts, one after the other."""
    acts = Acts()
    for ask, (agent, part) in enumerate(parts):
        acts.read([part], agent=agent, round_=1, ask=ask, within=0.05)
    return acts


@pytest.mark.parametrize(
    ("said", "agreed", "acknowledged", "rejected", "why"),
    [
        ([], (0,), (), (), "who proposes stands by it"),
        ([(1, "agree 1")], (0, 1), (), (), "an agreement"),
        ([(1, "acknowledge 1")], (0,), (1,), (), "to acknowledge is not to agree"),
        ([(1, "agree 1"), (1, "acknowledge 1")], (0, 1), (), (), "and takes no agreement back"),
        ([(1, "acknowledge 1"), (1, "agree 1")], (0, 1), (), (), "it can still agree"),
        ([(1, "reject 1")], (0,), (), (1,), "a dissent"),
        ([(1, "agree 1"), (1, "reject 1")], (0,), (), (1,), "the last word"),
        ([(1, "agree 1"), (1, "withdraw 1")], (0,), (), (), "taken back"),
        ([(1, "agree 1"), (1, "propose 0.7")], (0,), (), (), "one agent is bound to one proposal"),
        ([(1, "I agree with 1")], (0,), (), (), "prose is no act"),
        ([(1, "agree 2")], (0,), (), (), "there is no proposal 2"),
        ([(1, "Agree 1")], (0,), (), (), "one way of writing"),
        ([(1, "agree 1.0"), (2, "agree 01"), (3, "agree -1")], (0,), (), (), "nor numbers that only look alike"),
        ([(1, "agree 1"), (0, "withdraw 1")], (), (), (), "withdrawn by who made it: void for everybody"),
    ],
)
def test_who_stands_where(said, agreed, acknowledged, rejected, why):
    stands = after((0, "propose 0.4"), *said).on(1)
    assert (stands.agreed, stands.acknowledged, stands.rejected) == (agreed, acknowledged, rejected), why


@pytest.mark.parametrize("part", ["propose 1.5", "propose -0.2", "propose .4", "propose 40%", "propose", "propose nan"])
def test_a_proposal_is_a_probability(part):
    acts = after((0, part))
    assert ([act.verb for act in acts.all], acts.best()) == (["unreadable"], None)


def test_an_act_says_who_what_when_and_what_it_binds():
    [_, act] = after((2, "propose 0.4"), (1, "agree 1")).all
    assert (act.agent, act.verb, act.ask, act.proposal, act.probability, act.within) == (1, "agree", 1, 1, 0.4, 0.05)


def test_what_was_withdrawn_cannot_be_agreed_to():
    acts = after((0, "propose 0.4"), (0, "withdraw 1"), (1, "agree 1"))
    assert (acts.best(), acts.all[-1].verb) == (None, "unreadable")
    assert acts.words() == "Proposal 1 (agent 1): 0.400. withdrawn."


def test_who_stands_where_is_said_in_words():
    acts = after((0, "propose 0.4"), (1, "agree 1"), (2, "acknowledge 1"), (3, "reject 1"))
    assert acts.words() == (
        "Proposal 1 (agent 1): 0.400. agreed: agent 1, agent 2; acknowledged, not agreed: agent 3; rejected: agent 4."
    )


PART = st.sampled_from(["propose 0.3", "agree 1", "agree 2", "acknowledge 1", "reject 1", "withdraw 1", "withdraw 2", "yes"])


@given(st.lists(st.tuples(st.integers(0, 3), PART), max_size=20))
def test_no_agent_is_bound_that_did_not_say_so(said):
    acts = after(*said)
    best = acts.best()
    for agent in best.agreed if best else ():
        own = [act for act in acts.all if act.agent == agent and act.verb in ("propose", "agree", "reject", "withdraw")]
        own = [act for act in own if act.verb != "withdraw" or act.proposal == best.proposal]
        assert own[-1].verb in ("propose", "agree")
        assert own[-1].proposal == best.proposal
    rebuilt = Acts()
    rebuilt.add(acts.all)
    assert (rebuilt.best(), rebuilt.words()) == (best, acts.words()), "the rows hold all of it"


class Talks:
    """Estimates of three agents; parts by (role, how often that role was asked)."""

    def __init__(self, **parts: list[str | AskFailed]) -> None:
        self.parts = {role: iter(said) for role, said in parts.items()}
        self.asks = []

    async def answer(self, ask):
        self.asks.append(ask)
        if ask.answer == "estimate":
            return Answer(probability=0.2 + ask.agent / 10, text="why", reading="as worded")
        part = next(self.parts[ask.role])
        if isinstance(part, AskFailed):
            raise part
        return Answer(probability=None, text="reasons", parts=(part,))


FAILED = AskFailed("refused")


@pytest.mark.parametrize(
    ("parts", "rounds", "end", "why"),
    [
        ({"proposer": ["propose 0.3"], "party": ["agree 1", "agree 1"]}, 3, 0.3, "all agree at once"),
        (
            {"proposer": ["propose 0.3", "propose 0.25"], "party": ["agree 1", "reject 1", "agree 2", "agree 2"]},
            2,
            0.25,
            "a second proposal brings all together",
        ),
        ({"proposer": ["propose 0.3"], "party": ["agree 1", "reject 1"]}, 1, 0.3, "a majority, and the dissent is recorded"),
        (
            {"proposer": ["propose 0.3"], "party": ["agree 1", "acknowledge 1"]},
            1,
            "2 of 3 agents agreed to the best proposal, 0.3, 1 only acknowledged it, 0 rejected it, 0 stand by another",
            "one that acknowledges has neither agreed nor dissented",
        ),
        ({"proposer": ["propose 0.3"], "party": ["reject 1"] * 2}, 1, "1 of 3 agents agreed", "no majority"),
        ({"proposer": ["0.3?"]}, 1, "nobody proposed anything in 1 rounds", "no act, no proposal"),
        ({"proposer": [FAILED, "propose 0.3"], "party": ["agree 1"] * 2}, 2, 0.3, "the next one proposes"),
    ],
)
async def test_no_forecast_without_agreement_or_a_recorded_dissent(parts, rounds, end, why):
    configuration = CommittedConsensus(rounds=rounds)
    if isinstance(end, float):
        assert (await run(configuration, Talks(**parts)))[0] == end, why
    else:
        with pytest.raises(NoForecast, match="no agreement: " + end):
            await run(configuration, Talks(**parts))


async def test_each_party_reads_its_own_estimate_the_proposers_reasons_and_who_stands_where():
    answering = Talks(proposer=["propose 0.3"], party=["agree 1", "agree 1"])
    _, panel = await run(CommittedConsensus(), answering)
    party = answering.asks[4]
    assert [said.author for said in party.shown] == ["you", "agent 1", "the panel"]
    assert party.shown[2].text == "Proposal 1 (agent 1): 0.300. agreed: agent 1."
    assert "`agree 1` commits you" in party.role_text
    assert "within 0.05 of it" in party.role_text
    acts = [act for record in panel.asks for act in getattr(record["said"], "acts", ())]
    assert [(act.agent, act.verb) for act in acts] == [(0, "propose"), (1, "agree"), (2, "agree")]


@pytest.mark.parametrize("within", [-0.1, 1.5, True, "0.1"])
async def test_what_binds_is_a_difference_of_probabilities(within):
    class Odd(CommittedConsensus):
        async def forecast(self, panel):
            await panel.commit("party", await panel.ask_each("forecaster", 2), within=within)

    with pytest.raises(PanelError, match="it is a difference of probabilities"):
        await run(Odd(), Talks())
