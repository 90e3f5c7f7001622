"""Reflective tree search: where it searches, what a value is, when it ends, and that its reviewer sees no price."""

import pytest

from coordeval.agents.answers import Answer
from coordeval.configurations.panel import NoForecast
from coordeval.configurations.reflective_tree_search import Node, ReflectiveTreeSearch
from tests.configurations.test_references import run


class Reviewed:
    """Estimates by the order of asking, and reviews by the estimate's number; 1,000 tokens an ask, or as its role takes."""

    def __init__(self, estimates, reviews, **takes):
        self.estimates, self.reviews = iter(estimates), iter(reviews)
        self.asks, self.tokens, self.takes = [], 0, takes

    async def answer(self, ask):
        self.asks.append(ask)
        self.tokens += self.takes.get(ask.role, 1000)
        if ask.role == "price_reader":
            own = float(ask.shown[0].text.split()[1])
            return Answer(probability=own, text="why", reading="r")
        if ask.answer == "estimate":
            return Answer(probability=next(self.estimates), text="why", reading="r")
        score, solved = next(self.reviews)
        names = ("evidence", "completeness", "consistency")
        parts = tuple(f"{name} {score}" for name in names) if score is not None else ("fine",)
        return Answer(probability=None, text="lacking", parts=(*parts, f"solved {solved}"))


def roles(answering):
    return [ask.role for ask in answering.asks]


async def test_terminals_are_pooled_by_their_value():
    answering = Reviewed([0.5, 0.2, 0.8], [(5, "no"), (10, "no"), (5, "no")])
    probability, _ = await run(ReflectiveTreeSearch(width=2, expansions=1, weight=1.0), answering)
    assert probability == pytest.approx((1.0 * 0.2 + 0.5 * 0.8) / 1.5, abs=1e-5)
    assert roles(answering) == ["forecaster", "reflector", *["expander"] * 2, *["reflector"] * 2, *["price_reader"] * 2]


async def test_the_best_leaf_is_worked_on_and_what_is_solved_ends_it():
    answering = Reviewed([0.5, 0.2, 0.8, 0.3, 0.3], [(5, "no"), (9, "no"), (1, "no"), (9, "yes"), (5, "no")])
    probability, _ = await run(ReflectiveTreeSearch(width=2, expansions=9, weight=1.0, c=0.0), answering)
    expanders = [ask for ask in answering.asks if ask.role == "expander"]
    assert [ask.shown[0].text.splitlines()[0] for ask in expanders] == ["Probability: 0.500"] * 2 + [
        "Probability: 0.200"
    ] * 2
    assert expanders[2].shown[1].text == "lacking", "and its review"
    assert probability == pytest.approx(0.3), "the solved one alone"


async def test_no_expansion_begins_that_would_pass_the_budget():
    estimates, reviews = [0.5] * 99, [(5, "no")] * 99
    answering = Reviewed(estimates, reviews)
    await run(ReflectiveTreeSearch(width=2, expansions=20, tokens=15_000), answering)
    assert roles(answering).count("expander") == 4, "2 asks, then 4 and 4 are 10,000; a third is held to take 6,000"
    assert roles(answering)[-2:] == ["price_reader"] * 2, "3,000 were held back for them"


@pytest.mark.parametrize("tokens", [3_500, 6_000, 9_000, 14_000, 20_000, 33_000])
@pytest.mark.parametrize("last", [1000, 1500])
async def test_all_of_it_stays_under_the_budget_the_end_with_it(tokens, last):
    answering = Reviewed([0.5] * 99, [(5, "no")] * 99, price_reader=last)
    await run(ReflectiveTreeSearch(width=3, expansions=50, tokens=tokens), answering)
    assert roles(answering)[-1] == "price_reader"
    assert answering.tokens <= tokens


async def test_a_budget_that_holds_no_search_is_refused_with_what_it_takes():
    with pytest.raises(NoForecast, match=r"tokens = 3,000 holds no search: .* take up to 3,500; give more"):
        await run(ReflectiveTreeSearch(tokens=3_000), Reviewed([0.5], [(5, "no")]))


async def test_where_the_search_took_more_than_was_held_there_is_no_forecast_and_nothing_more_is_asked():
    answering = Reviewed([0.5] * 9, [(5, "no")] * 9, expander=4_000)
    with pytest.raises(NoForecast, match=r"none of the 2 best terminals .* within 12,000 tokens, of which 12,000 are used"):
        await run(ReflectiveTreeSearch(width=2, tokens=12_000), answering)
    assert "price_reader" not in roles(answering)


async def test_a_review_that_cannot_be_read_leaves_agreement():
    answering = Reviewed([0.5, 0.2, 0.22, 0.9], [(5, "no"), (None, "no"), (None, "no"), (None, "no")])
    probability, _ = await run(ReflectiveTreeSearch(width=3, expansions=1), answering)
    assert probability == pytest.approx(0.21, abs=1e-4), "two of three agree, the third is worth nothing"


async def test_only_the_last_step_sees_the_price():
    answering = Reviewed([0.5] * 9, [(5, "no")] * 9)
    await run(ReflectiveTreeSearch(width=2, expansions=1), answering)
    assert {ask.role for ask in answering.asks if ask.show_price} == {"price_reader"}


def test_a_value_is_the_mean_reward_below_divided_once():
    root = Node(estimate=None)
    child = Node(estimate=None, parent=root)
    for reward in (0.2, 0.4):
        child.reward(reward)
    root.reward(0.9)
    assert (child.value, root.value) == (pytest.approx(0.3), pytest.approx(0.5))
    assert child.urgency(0.0) == child.value
