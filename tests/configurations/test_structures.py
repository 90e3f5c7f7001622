"""The structures beside the references: what each makes of given estimates, and what its agents read of each other."""

from math import exp, log
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import trim_mean

from coordeval.agents.answers import Answer
from coordeval.agents.cell import AskFailed
from coordeval.configurations import Configuration, Elements, Endpoint, PanelError, load
from tests.configurations.test_references import FIRST, Rounds, run

FINAL = AskFailed("refused")


def made(name, **parameters):
    return load().create(name, parameters)


def logit(p):
    return log(p / (1 - p))


@pytest.mark.parametrize(
    ("name", "parameters", "rounds", "forecast", "asks", "why"),
    [
        ("adaptive", {}, [[0.3, 0.33]], 0.315, 2, "two that agree are enough"),
        ("adaptive", {}, [[0.30, 0.37, 0.36]], 0.36, 3, "0.035 is too wide, the standard error of three is 0.022"),
        ("adaptive", {"most": 4}, [[0.1, 0.9, 0.2, 0.8]], 0.5, 4, "they never agree: at most so many are asked"),
        ("adaptive", {"most": 2}, [[0.1, 0.9]], 0.5, 2, "no more than the most, however far apart"),
        ("adaptive", {"most": 4}, [[0.1, 0.9, FINAL, 0.8]], 0.8, 4, "one without an answer was asked, and is left out"),
        ("probability_pool", {"pool": "trimmed"}, [[0.0, 0.2, 0.3, 0.4, 1.0]], 0.3, 5, "the outermost of five are left out"),
        ("probability_pool", {"pool": "trimmed", "trim": 0.1}, [[0.0, 0.2, 0.3, 0.4, 1.0]], 0.38, 5, "a tenth is nobody"),
        ("probability_pool", {"agents": 2}, [[0.5, 0.8]], 2 / 3, 2, "odds 1 and 4: their geometric mean is 2"),
        ("probability_pool", {"agents": 2, "pool": "extremised", "factor": 2}, [[0.5, 0.8]], 0.8, 2, "2 squared is 4"),
        ("probability_pool", {"agents": 2, "pool": "extremised", "factor": 1}, [[0.5, 0.8]], 2 / 3, 2, "a factor of 1"),
        ("probability_pool", {"agents": 2}, [[0.0, 1.0]], 0.5, 2, "who is sure is counted as nearly sure"),
        ("self_revision", {}, [FIRST, FIRST, [0.3, 0.4, 0.5]], 0.4, 9, "the median of the last round"),
        ("stance_only", {"rounds": 1}, [FIRST, [0.3, 0.4, 0.5]], 0.4, 6, "the median of the last round"),
        ("delphi", {"rounds": 1}, [FIRST, [0.3, 0.4, 0.5]], 0.4, 6, "the median of the last round"),
        ("delphi", {"rounds": 0}, [FIRST], 0.2, 3, "no round: an ensemble"),
    ],
)
async def test_the_forecast_that_follows_from_the_estimates(name, parameters, rounds, forecast, asks, why):
    probability, panel = await run(made(name, **parameters), Rounds(*rounds))
    assert probability == pytest.approx(forecast, abs=1e-12), why
    assert len(panel.asks) == asks, why


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.45]))
async def test_the_trimmed_mean_is_scipys(estimates, trim):
    probability, _ = await run(made("probability_pool", agents=len(estimates), pool="trimmed", trim=trim), Rounds(estimates))
    assert probability == pytest.approx(trim_mean(estimates, trim), abs=1e-12)


@settings(max_examples=30)
@given(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=9), st.floats(1, 3))
async def test_pooled_log_odds_are_the_factor_times_their_mean(estimates, factor):
    given = {"agents": len(estimates), "pool": "extremised", "factor": factor}
    probability, _ = await run(made("probability_pool", **given), Rounds(estimates))
    assert probability == pytest.approx(1 / (1 + exp(-factor * fmean(map(logit, estimates)))), abs=1e-12)


FILLER = "I have thought about it."
SHOWN = {
    "self_revision": ({}, []),
    "stance_only": ({}, ["Agent 1 estimates 0.100", "Agent 3 estimates 0.900"]),
    "empty reasons": (
        {"filler": FILLER},
        [f"Agent 1 estimates 0.100\nRationale: {FILLER}", f"Agent 3 estimates 0.900\nRationale: {FILLER}"],
    ),
    "delphi": ({}, ["Median of the group: 0.200. Half of its 3 members lie from 0.150 to 0.550."]),
}


@pytest.mark.parametrize("arm", SHOWN)
async def test_what_an_agent_reads_when_it_revises(arm):
    parameters, others = SHOWN[arm]
    answering = Rounds(FIRST, FIRST)
    name = "stance_only" if arm == "empty reasons" else arm
    await run(made(name, rounds=1, **parameters), answering)
    own, *shown = answering.asks[4].shown
    assert (own.author, own.text.splitlines()[0]) == ("you", "Probability: 0.200")
    assert [(one.author, one.text) for one in shown] == [("the panel", text) for text in others]
    assert not any("why" in one.text for one in shown), "the peers' reasons are theirs"


@pytest.mark.parametrize("name", ["adaptive", "probability_pool", "self_revision", "stance_only", "delphi"])
async def test_a_run_uses_every_declared_role_and_edge_and_no_other(name):
    configuration = made(name)
    _, panel = await run(configuration, Rounds(*[[0.1, 0.2, 0.9, 0.4, 0.5, 0.6, 0.7]] * 3))
    declared = configuration.elements
    assert {(r["role"], r["kind"]) for r in panel.asks} == {(e.role, e.answers) for e in declared.endpoints}
    roles = [record["role"] for record in panel.asks]
    assert {(roles[source], r["role"]) for r in panel.asks for source in r["shown"]} == set(declared.topology)


async def test_all_of_them_begin_with_the_request_of_the_ensemble():
    texts = set()
    for name in ("independent_ensemble", "adaptive", "probability_pool", "self_revision", "stance_only", "delphi"):
        answering = Rounds(*[[0.1, 0.2, 0.9, 0.4, 0.5, 0.6, 0.7]] * 3)
        await run(made(name), answering)
        texts |= {(ask.role, ask.role_text) for ask in answering.asks if ask.round == 0}
    assert len(texts) == 1, "so the first round is shared, and what then differs is coordination"


# --- before and after the price, and one conversation


async def test_who_is_asked_blind_is_asked_without_the_price_and_reads_itself_only():
    answering = Rounds([0.1, 0.2, 0.9], [0.3, 0.4, 0.5])
    probability, _ = await run(made("blind_then_price"), answering)
    assert probability == 0.4
    assert [ask.show_price for ask in answering.asks] == [False] * 3 + [True] * 3
    assert [[one.author for one in ask.shown] for ask in answering.asks[3:]] == [["you"]] * 3


def test_who_sees_the_price_tells_it_to_nobody_who_does_not():
    ends = (Endpoint("seer", "estimate"), Endpoint("blind", "estimate", sees_price=False))
    rest = dict.fromkeys(("authority", "synchronisation", "aggregation", "termination"), "x")
    with pytest.raises(ValueError, match="'blind' does not see the price, and 'seer', which does, would tell it"):
        Elements(endpoints=ends, topology=(("seer", "blind"),), failure_handling="abort", **rest)
    assert Elements(endpoints=ends, topology=(("blind", "seer"),), failure_handling="abort", **rest).blind == {"blind"}


def test_what_stands_at_its_default_changes_no_identity():
    assert repr(Endpoint("a", "estimate")) == "Endpoint(role='a', answers='estimate')"
    assert "sees_price" not in str(load().classes["peer_critique_debate"].elements.as_dict())


async def test_one_agent_goes_on_in_one_conversation():
    turns = [[p] for p in (0.1, 0.2, 0.9, 0.3, 0.4, 0.5)]
    answering = Rounds(*turns)
    probability, panel = await run(made("one_conversation", rounds=1), answering)
    assert probability == 0.4, "the median of the three voices in the last round"
    assert [ask.continues for ask in answering.asks] == [None, 0, 1, 2, 3, 4]
    assert {ask.agent for ask in answering.asks} == {0}
    assert [record["shown"] for record in panel.asks] == [[], [0], [1], [2], [3], [4]]
    assert "now you are voice 3, in round 1." in answering.asks[-1].role_text.lower()


async def test_a_voice_without_an_answer_stands_where_it_stood():
    answering = Rounds()

    async def answer(ask):  # the failed ask stands in the same round as the next one
        answering.asks.append(ask)
        said = [0.1, 0.2, 0.9, 0.3, FINAL, 0.5][ask.ordinal]
        if isinstance(said, AskFailed):
            raise said
        return Answer(probability=said, text="why", reading="reading")

    answering.answer = answer
    probability, _ = await run(made("one_conversation", rounds=1), answering)
    assert probability == 0.3, "0.3, 0.2 from the round before, 0.5"
    assert answering.asks[5].continues == 3


async def test_one_conversation_has_one_view_of_the_market():
    class Mixed(Configuration):
        name = "mixed"
        elements = Elements(
            endpoints=(Endpoint("forecaster", "estimate", sees_price=False), Endpoint("voice", "estimate")),
            topology=(("forecaster", "voice"),), authority="x", synchronisation="x", aggregation="x", termination="x",
            failure_handling="abort",
        )  # fmt: skip

        async def forecast(self, panel):
            first = await panel.ask("forecaster")
            await panel.ask("voice", continues=first)

    with pytest.raises(PanelError, match="one conversation has one view of the market"):
        await run(Mixed(), Rounds([0.1], [0.2]))


# --- withheld tools


def endpoints(*ends):
    rest = dict.fromkeys(("authority", "synchronisation", "aggregation", "termination"), "x")
    return Elements(endpoints=ends, topology=(), failure_handling="abort", **rest)


@pytest.mark.parametrize(
    ("tools", "asked", "withheld", "why"),
    [
        ("given", False, False, "the study's tools, as always"),
        ("optional", False, False, "an ask that does not withhold them has them"),
        ("optional", True, True, "an ask that does has none"),
        ("withheld", False, True, "the role never has any"),
        ("withheld", True, True, "which may be said twice"),
    ],
)
async def test_an_ask_has_no_tools_where_that_is_declared(tools, asked, withheld, why):
    class One(Configuration):
        name = "one"
        elements = endpoints(Endpoint("forecaster", "estimate", tools=tools))

        async def forecast(self, panel):
            said = await panel.ask("forecaster", without_tools=asked)
            return panel.conclude(said.probability)

    answering = Rounds([0.1])
    _, panel = await run(One(), answering)
    assert [ask.without_tools for ask in answering.asks] == [withheld], why
    assert panel.asks[0]["without_tools"] is withheld


@pytest.mark.parametrize(
    ("first", "then", "problem"),
    [
        (False, True, "goes on, without tools, with a conversation that had them"),
        (True, "yes", "without_tools is 'yes'; it is True or False"),
    ],
)
async def test_what_cannot_be_withheld_is_refused(first, then, problem):
    class Two(Configuration):
        name = "two"
        elements = Elements(
            endpoints=(Endpoint("forecaster", "estimate", tools="optional"),), topology=(("forecaster", "forecaster"),),
            authority="x", synchronisation="x", aggregation="x", termination="x", failure_handling="abort",
        )  # fmt: skip

        async def forecast(self, panel):
            said = await panel.ask("forecaster", without_tools=first)
            await panel.ask("forecaster", continues=said, without_tools=then)

    with pytest.raises(PanelError, match=problem):
        await run(Two(), Rounds([0.1], [0.2]))


def test_withheld_tools_are_declared_and_change_no_identity_where_they_are_not():
    ends = (Endpoint("a", "estimate"), Endpoint("b", "estimate", tools="withheld"))
    assert repr(ends) == "(Endpoint(role='a', answers='estimate'), Endpoint(role='b', answers='estimate', tools='withheld'))"
    assert [end.get("tools") for end in endpoints(*ends).as_dict()["endpoints"]] == [None, "withheld"]
    with pytest.raises(ValueError, match="tools"):
        Endpoint("a", "estimate", tools="more")
