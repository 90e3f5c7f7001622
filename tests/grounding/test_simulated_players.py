"""Simulated players read what a model would, solve what they can, and fail at the rates that are planted in them."""

from collections import Counter

import pytest

from coordeval.agents.messages import Request, Slot
from coordeval.agents.scaffold import next_message
from coordeval.grounding.baselines import baseline
from coordeval.grounding.driving import FORMS, played
from coordeval.grounding.game import Conditions, Game, GameError
from coordeval.grounding.instances import instances
from coordeval.grounding.planned import best, equal_split, plan_worth, reward, splits_equally
from coordeval.grounding.playing import play
from coordeval.grounding.registry import load
from coordeval.grounding.simulated import HABITS, Habits, pair_of
from coordeval.grounding.simulated_model import SimulatedPlayers

GAMES = instances(6, seed=3)
ALL = load()


def games(habits: Habits, repair: str = "as_it_is", seat="pair", replicates=1, **conditions) -> tuple[list[Game], Counter]:
    planted: Counter[str] = Counter()
    made = []
    for one in GAMES:
        for replicate in range(replicates):
            players = pair_of(habits)
            made.append(
                played(play(one, Conditions(**conditions), ALL.create(repair), seat=seat), players, replicate=replicate)
            )
            planted.update(row.habit for player in players for row in player.planted)
    return made, planted


@pytest.mark.parametrize("repair", sorted(ALL.classes))
@pytest.mark.parametrize("conditions", [{}, {"structured": True}, {"disclosed": True}, {"history": "shifting"}], ids=str)
def test_without_habits_a_pair_that_talks_gets_all(repair, conditions):
    found, planted = games(Habits(), repair, **conditions)
    assert {game.efficiency for game in found} == {1.0}
    assert not planted
    assert not [mishap for game in found for mishap in game.mishaps]


@pytest.mark.parametrize("seat", ["solo", "oracle"])
def test_alone_and_for_both_the_optimum_is_found(seat):
    assert {game.efficiency for game in games(Habits(), seat=seat)[0]} == {1.0}


def test_without_talk_they_get_less_and_without_history_still_less():
    stable, shifting = (
        sum(g.efficiency for g in games(Habits(), talk=False, history=history)[0]) for history in ("stable", "shifting")
    )
    assert len(GAMES) * 0.9 > stable > shifting


def test_who_shares_a_convention_never_overdraws_without_a_word_and_gets_all_where_both_know_all():
    silent, _ = games(Habits(convention=1.0), talk=False)
    assert not [played for game in silent for played in game.rounds if played.over]
    assert [game.efficiency for game in silent] > [baseline("fair_split", one).efficiency for one in GAMES]
    assert {game.efficiency for game in games(Habits(convention=1.0), talk=False, disclosed=True)[0]} == {1.0}


def test_who_keeps_its_projects_to_itself_is_helped_by_disclosure_and_who_blunders_alone_is_not():
    secret, planted = games(Habits(withholds=1.0))
    assert set(planted) == {"withholds"}
    assert sum(game.efficiency for game in secret) < len(GAMES) * 0.6
    assert {game.efficiency for game in games(Habits(withholds=1.0), disclosed=True)[0]} == {1.0}
    for seat in ("solo", "oracle"):
        alone, planted = games(Habits(blunders=1.0), seat=seat)
        assert set(planted) == {"blunders"}
        assert max(game.efficiency for game in alone) < 0.95


@pytest.mark.parametrize("habit", HABITS)
def test_each_habit_shows_itself_and_no_other(habit):
    ladder = (0.6, 0.75, 0.9, 1.0) if habit == "anchors" else (0.75, 1.0)
    found, planted = games(Habits(ladder=ladder, **{habit: 1.0}), replicates=2)
    assert set(planted) == {habit}
    assert sum(g.efficiency for g in found) < 2 * len(GAMES) * 0.99


def test_what_binds_keeps_a_slip_from_counting():
    for repair, slipped in (("as_it_is", True), ("commitments", False)):
        found, planted = games(Habits(slips=1.0), repair)
        assert planted["slips"] > 0
        assert any(game.efficiency < 1 for game in found) is slipped


def test_plans_of_a_share_earn_no_more_than_it_and_rise():
    one = GAMES[1]
    rules, projects = one.rules, one.projects[0]
    worths = [reward(rules, projects, plan_worth(rules, projects, share, 0.5)) for share in (0.5, 0.75, 1.0)]
    assert worths == sorted(worths)
    assert worths[1] <= 0.75 * best(rules, projects)
    assert worths[2] == best(rules, projects)
    assert reward(rules, projects, plan_worth(rules, projects, 0.5, 0.1, over=worths[1])) > worths[1]


def test_an_equal_split_splits_what_both_want():
    split = [(one, equal_split(one.rules, one.projects[0])) for one in GAMES]
    assert all(
        plan is None or (splits_equally(one.rules, one.projects[0], plan) and not one.rules.over(plan))
        for one, plan in split
    )
    assert any(plan is not None for _, plan in split)


async def test_behind_the_model_interface_they_answer_the_same():
    asks = next(play(GAMES[0], Conditions()))
    text = next_message(asks[0])
    request = Request(
        model="m", system="s", messages=[{"role": "user", "content": text}], max_tokens=500, sampling={},
        tools=[form.tool for form in FORMS.values()],
    )  # fmt: skip
    slot = Slot(replicate=0, k=0, forecast_id="f", market_id="m", configuration="c", ask=0, turn=0)
    reply = await SimulatedPlayers().complete(request, slot)
    [(form, given)] = pair_of(Habits())[0].hand_in(text)
    assert [(block["name"], block["input"]) for block in reply.content] == [(f"submit_{form}", given)]
    assert SimulatedPlayers(Habits(slips=0.5)).identity != SimulatedPlayers().identity


@pytest.mark.parametrize(
    "wrong", [{"slips": 1.5}, {"heeds": -0.1}, {"ladder": ()}, {"ladder": (2.0,)}, {"splits": True}, {"convention": 2}]
)
def test_what_is_no_rate_is_named(wrong):
    with pytest.raises(GameError, match=next(iter(wrong))):
        Habits(**wrong)
