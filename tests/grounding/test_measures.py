"""What is counted of games is what was played: by hand, against planted rates, and in identities."""

from collections import Counter
from fractions import Fraction

import pytest

from coordeval.grounding.agreements import agreed, understood
from coordeval.grounding.baselines import BASELINES, baseline
from coordeval.grounding.driving import played
from coordeval.grounding.game import RULES, Conditions, Game, GameError, Instance, Message, Project, Round
from coordeval.grounding.instances import instances
from coordeval.grounding.measures import by_round, measured
from coordeval.grounding.modes import MODES, counted
from coordeval.grounding.playing import play
from coordeval.grounding.registry import load
from coordeval.grounding.rewards import settled
from coordeval.grounding.simulated import Habits, pair_of
from coordeval.grounding.waterfall import lost, waterfall

TIMBER = ((Project("A", (1, 0, 0), 2),), (Project("A", (1, 0, 0), 3),))  # the optimum: player 2 takes all ten, 30
GAME = Instance(rules=RULES, tension=0.6, rotating=False, seed=0, projects=(TIMBER,) * 4)


def says(player: int, text: str, plan=None, acts=()) -> Message:
    return Message(player=player, step="talk", exchange=0, text=text, plan=plan, acts=acts, ready=True)


def round_(number: int, one, two, *, messages=(), bound=None) -> Round:
    over, rewards = settled(RULES, TIMBER, (one or (0, 0, 0), two or (0, 0, 0)))
    return Round(
        number=number, messages=tuple(messages), submitted=(one, two), bound=bound, over=over, rewards=rewards, optimum=30
    )


def game(*rounds: Round, asks: int = 8) -> Game:
    return Game(
        instance=GAME, conditions=Conditions(), repair="as_it_is", seat="pair", replicate=0, rounds=rounds, mishaps=(),
        asks=asks,
    )  # fmt: skip


def t(n: int):
    return (n, 0, 0)


def test_measures_are_those_of_a_game_by_hand():
    found = measured(game(round_(0, t(6), t(6)), round_(1, t(5), t(5)), round_(2, t(5), t(5)), round_(3, t(0), t(10))))
    assert found["efficiency"] == pytest.approx((0 + 25 / 30 + 25 / 30 + 1) / 4)
    assert (found["optimum_rate"], found["overdraw_rate"], found["recovery"]) == (0.25, 0.25, 1.0)
    assert found["repeat_rate"] == pytest.approx(1 / 3)
    quiet = measured(game(round_(0, t(0), t(10))))
    assert (quiet["recovery"], quiet["repeat_rate"]) == (None, None)
    assert quiet["recovery_reason"] == "no round but the last was void"


def test_by_round_counts_recovery_right_after_a_void_one():
    rows = by_round([game(round_(0, t(6), t(6)), round_(1, t(5), t(5))), game(round_(0, t(9), t(9)), round_(1, t(9), t(9)))])
    assert [(row["overdraw_rate"], row["recovery"]) for row in rows] == [(1.0, None), (0.5, 0.5)]


def rate(mode: str, *rounds: Round, source=None):
    [found] = [one for one in counted([game(*rounds)]) if (one.mode, one.source) == (mode, source)]
    return found.chances, len(found.found)


@pytest.mark.parametrize(
    ("mode", "rounds", "expected", "why"),
    [
        ("stubborn_anchoring", [(4, 5), (4, 5)], (1, 1), "short, and the same again"),
        ("stubborn_anchoring", [(4, 5), (4, 6)], (1, 0), "short, and changed"),
        ("stubborn_anchoring", [(0, 10), (0, 10)], (0, 0), "the optimum is kept for good reason"),
        ("stubborn_anchoring", [(6, 6), (6, 6)], (0, 0), "nothing was carried out"),
        ("stubborn_anchoring", [(5, 5), (5, 5)], (1, 0), "an equal split again is fairness"),
        ("perfunctory_fairness", [(5, 5)], (1, 1), "half and half, 25 of 30"),
        ("perfunctory_fairness", [(4, 5)], (1, 0), "not equal"),
        ("perfunctory_fairness", [(4, 4)], (1, 0), "one more of it was there for both: no split of what there is"),
        ("perfunctory_fairness", [(6, 6)], (1, 0), "void"),
        ("no_shared_history", [(0, 10), (2, 5)], (1, 1), "what was reached is not kept"),
        ("no_shared_history", [(0, 10), (0, 10)], (1, 0), "kept"),
        ("no_shared_history", [(2, 5), (2, 6)], (0, 0), "nothing was reached"),
        ("no_shared_history", [(0, 10), (5, 5)], (1, 0), "an equal split is fairness"),
        ("no_shared_history", [(0, 10), (2, 5), (2, 5)], (2, 1), "the same short plan again is anchoring"),
    ],
)
def test_each_mode_counts_what_it_says(mode, rounds, expected, why):
    assert rate(mode, *(round_(i, t(a), t(b)) for i, (a, b) in enumerate(rounds))) == expected, why


PLAN = (t(4), t(6))


@pytest.mark.parametrize(
    ("messages", "text", "structure"),
    [
        ([says(0, "I take timber 4; you take timber 6."), says(1, "Agreed.")], PLAN, (None, None)),
        ([says(0, "So?", PLAN), says(1, "Agreed.")], (None, None), PLAN),
        ([says(0, "I take timber 4; you take timber 6."), says(1, "I see.")], (None, None), (None, None)),
        ([says(0, "I take timber 4; you take timber 6."), says(1, "I do not agree.")], (None, None), (None, None)),
        ([says(0, "I take timber 4."), says(1, "Then I take 6 timber and you take 4 timber.")], PLAN, (None, None)),
        ([says(0, "You take 6 timber."), says(1, "Okay.")], (None, t(6)), (None, None)),
        (
            [says(0, "I take timber 4; you take timber 6."), says(1, "Agreed."), says(0, "No, I take 5 timber.")],
            (None, None),
            (None, None),
        ),
        ([says(0, "x", PLAN, ("propose",)), says(1, "y", None, ("agree 1",))], (None, None), PLAN),
        ([says(0, "x", PLAN, ("propose",)), says(1, "y", None, ("acknowledge 1",))], (None, None), (None, None)),
        ([], (None, None), (None, None)),
    ],
)
def test_an_agreement_is_read_in_words_and_in_fields_apart(messages, text, structure):
    here = round_(0, t(4), t(6), messages=messages)
    assert agreed(here, RULES, "text") == text
    assert agreed(here, RULES, "structure") == structure


def test_a_submission_that_differs_from_what_was_agreed_is_one_of_two_chances():
    words = [says(0, "I take timber 4; you take timber 6."), says(1, "Agreed.")]
    assert rate("referential_binding", round_(0, t(4), t(5), messages=words), source="text") == (2, 1)
    assert rate("referential_binding", round_(0, t(4), t(6), messages=words), source="text") == (2, 0)
    assert rate("referential_binding", round_(0, t(4), None, messages=words), source="text") == (
        1,
        0,
    )  # nothing was submitted
    assert understood(round_(0, t(4), t(5), messages=words, bound=PLAN), RULES) == (PLAN, "binding")


def test_what_a_round_lost_has_its_cause():
    words = [says(0, "I take timber 4; you take timber 6."), says(1, "Agreed.")]
    too_much = [says(0, "I take timber 6; you take timber 6."), says(1, "Agreed.")]
    cases = [
        (round_(0, t(6), t(6)), {"overdrawn": 30}),
        (round_(0, None, t(6)), {"forfeited": 12}),
        (round_(0, t(5), t(5)), {"perfunctory_fairness": 5}),
        (round_(0, t(4), t(6), messages=words), {"short_plan": 4}),
        (round_(0, t(4), t(5), messages=words), {"short_plan": 4, "referential_binding": 3}),
        (round_(0, t(4), t(7), messages=words), {"short_plan": 4, "referential_binding": 26}),
        (round_(0, t(3), t(7), messages=words), {"short_plan": 4, "referential_binding": -1}),  # a gain by breaking it
        (round_(0, t(4), None, messages=words), {"short_plan": 4, "forfeited": 18}),
        (round_(0, t(6), t(6), messages=too_much), {"agreed_too_much": 30}),
    ]
    for here, expected in cases:
        assert {cause: loss for cause, loss in lost(game(here), here) if loss} == expected
    total = waterfall([game(here) for here, _ in cases])
    assert total.start - sum(step.loss for step in total.steps) == total.end


@pytest.fixture(scope="module")
def worlds() -> dict[str, tuple[list[Game], Counter]]:
    kinds = {
        "clean": Habits(ladder=(0.75, 1.0)),
        "forgets": Habits(ladder=(0.75, 1.0), forgets=0.4),
        "anchors": Habits(ladder=(0.6, 0.75, 0.9, 1.0), anchors=0.4),
        "splits": Habits(ladder=(0.75, 1.0), splits=0.4),
        "slips": Habits(slips=0.4),
    }
    found, several = {}, instances(12, seed=9)
    for name, habits in kinds.items():
        made, planted = [], Counter()
        for one in several:
            players = pair_of(habits)
            made.append(played(play(one, Conditions(structured=True)), players))
            planted.update((one.id, row.round, row.player) for player in players for row in player.planted)
        found[name] = made, planted
    return found


SHOWN_BY = dict(zip(("forgets", "anchors", "splits", "slips"), MODES, strict=True))


@pytest.mark.parametrize(("habit", "mode"), SHOWN_BY.items())
def test_what_is_planted_is_found_where_it_is(worlds, habit, mode):
    games, planted = worlds[habit]
    rows = [row for one in counted(games) if one.mode == mode for row in one.found]
    found = {(row.instance_id, row.round) for row in rows}
    truth = {(key[0], key[1]) for key in planted}
    assert len(truth) >= 5
    assert found <= truth
    assert len(found) >= 0.8 * len(truth)  # a poor plan may by chance be an equal split, a slip may undo another
    if habit == "slips":
        assert {(row.instance_id, row.round, row.player) for row in rows if row.source == "text"} == set(planted)
        assert {(row.instance_id, row.round, row.player) for row in rows if row.source == "structure"} == set(planted)


def test_nothing_is_found_in_players_without_habits(worlds):
    games, planted = worlds["clean"]
    assert not planted
    by_chance = {one.mode: len(one.found) for one in counted(games) if one.found}
    assert set(by_chance) <= {"perfunctory_fairness"}  # a plan of 75% of the optimum may happen to be an equal split
    assert sum(by_chance.values()) <= 1


def test_steps_add_up_to_the_whole_loss_exactly(worlds):
    solo = [
        played(play(one, Conditions(), seat="solo"), pair_of(Habits())) for one in {g.instance for g in worlds["clean"][0]}
    ]
    for games, _ in worlds.values():
        for alone in ((), solo):
            found = waterfall(games, alone)
            assert found.start - sum(step.loss for step in found.steps) == found.end
            assert float(found.end) == pytest.approx(sum(g.efficiency for g in games) / len(games))
            assert all(isinstance(step.loss, Fraction) for step in found.steps)


def test_no_game_is_nothing_to_explain():
    with pytest.raises(GameError, match="no game to explain"):
        waterfall([])


def test_a_mode_without_a_chance_has_no_rate_and_says_why():
    for one in counted([game(round_(0, t(0), t(10)))]):
        assert (one.rate is None) == (one.reason is not None)


def test_baselines_are_played_by_the_rules():
    found = {
        name: [baseline(name, one, replicate) for one in instances(6, seed=2) for replicate in range(2)]
        for name in BASELINES
    }
    assert all(not played.over for one in found["fair_split"] for played in one.rounds)
    means = {name: sum(one.efficiency for one in games) / len(games) for name, games in found.items()}
    assert means["chance"] < means["fair_split"] < 1
    assert baseline("chance", GAME).rounds == baseline("chance", GAME).rounds


def test_repairs_change_what_a_plan_is_read_from():
    one = instances(1, seed=4)[0]
    bound = played(play(one, Conditions(), load().create("commitments")), pair_of(Habits()))
    assert {understood(here, RULES)[1] for here in bound.rounds} == {"binding"}
