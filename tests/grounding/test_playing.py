"""A game goes by its rules, whatever is handed in: what breaks one is sent back once, named, and never mended."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from coordeval.grounding.driving import Handed, played
from coordeval.grounding.faults import FAULTS
from coordeval.grounding.game import RULES, Conditions, Game, GameError, Instance, Project, Rules
from coordeval.grounding.handed import purchases_of
from coordeval.grounding.playing import play
from coordeval.grounding.registry import load

OWN = (Project("A", (2, 0, 0), 3), Project("B", (0, 1, 1), 7))
OTHER = (Project("A", (1, 0, 0), 2), Project("B", (0, 2, 0), 4))
ONE = Rules(rounds=1)
GAME = Instance(rules=ONE, tension=0.8, rotating=False, seed=0, projects=((OWN, OTHER),))
TWO = Instance(rules=Rules(rounds=2), tension=0.8, rotating=False, seed=0, projects=((OWN, OTHER),) * 2)
QUIET = Conditions(talk=False)


class Scripted:
    """Hands in what it is told, one thing after the other; the last one again and again."""

    def __init__(self, *handed: Handed) -> None:
        self.handed, self.read, self.problems = list(handed), list[str](), list[str]()

    def hand_in(self, text: str, *, replicate: int, problem: str) -> Handed:
        self.read.append(text)
        self.problems.append(problem)
        return self.handed.pop(0) if len(self.handed) > 1 else self.handed[0]


def buys(*units: int) -> Handed:
    return [("submission", {"purchases": purchases_of(units, RULES)})]


def bought(*rows: tuple[str, Any]) -> Handed:
    return [("submission", {"purchases": [{"resource": name, "units": n} for name, n in rows]})]


def says(text: str, *, done: bool = True) -> Handed:
    return [("words", {"text": text, "done": done})]


def does(*acts: tuple[str, Any], done: bool = False) -> Handed:
    rows = [
        {"verb": verb, "proposal": None, "plan": on} if verb == "propose" else {"verb": verb, "proposal": on, "plan": []}
        for verb, on in acts
    ]
    return [("proposal", {"text": "So.", "acts": rows, "done": done})]


def plan(me: Mapping[str, int], you: Mapping[str, int]) -> list[dict[str, Any]]:
    rows = (("me", me), ("you", you))
    return [{"who": who, "resource": name, "units": n} for who, part in rows for name, n in part.items()]


def game(first: Sequence[Handed], second: Sequence[Handed], *, conditions=QUIET, instance=GAME, repair="as_it_is") -> Game:
    players = Scripted(*first), Scripted(*second)
    return played(play(instance, conditions, load().create(repair)), players)


def test_what_units_earn_and_what_is_the_most_is_by_hand():
    got = game([buys(0, 3, 3)], [buys(10, 2, 0)]).rounds[0]
    assert got.rewards == (21, 24)
    assert got.over == ()
    assert (
        got.optimum == 7 * 4 + 4 * 3 + 2 * 9
    )  # four times B for player 1; stone 6 and timber 9 for player 2: 18 coins each


def test_what_is_wanted_too_much_voids_the_round_for_both():
    got = game([buys(6, 0, 0)], [buys(5, 4, 0)])
    assert got.rounds[0].over == ("timber",)
    assert got.rounds[0].rewards == (0, 0)
    assert [(m.name, m.player, m.then) for m in got.mishaps] == [("overdrawn", 0, "void"), ("overdrawn", 1, "void")]
    assert [m.ask for m in got.mishaps] == [0, 1]  # the submissions


BAD = [
    ("over budget", buys(10, 10, 0), "cost 25 coins, which is over the budget of 18"),
    ("too many kinds", buys(1, 1, 1), "3 kinds of resource are bought, at most 2"),
    ("unknown resource", bought(("gold", 1)), "'gold' is no resource of this game; there are timber, stone, iron"),
    ("negative units", bought(("timber", -1)), "units of timber is -1"),
    ("fractional units", bought(("timber", 1.5)), "units of timber is 1.5"),
    ("fractional units", bought(("timber", 2.0)), "units of timber is 2.0"),
    ("malformed", bought(("timber", True)), "units of timber is True"),
    ("malformed", bought(("timber", "3")), "units of timber is '3'"),
    ("twice", bought(("timber", 1), ("timber", 2)), "names timber twice"),
    ("malformed", [("submission", {})], "purchases is missing"),
    ("malformed", [("submission", {"purchases": "all"})], "must be a list"),
    ("none", [], "without a call of submit_submission"),
    ("several", [*buys(1, 0, 0), *buys(2, 0, 0)], "2 answers were submitted at once"),
    ("another form", says("I buy 3 timber."), "submit_words was called where submit_submission is wanted"),
]


@pytest.mark.parametrize(("name", "handed", "said"), BAD, ids=[f"{n}-{i}" for i, (n, _, _) in enumerate(BAD)])
def test_a_bad_submission_is_sent_back_once_and_then_forfeited(name: str, handed: Handed, said: str):
    assert name in FAULTS
    mended = game([handed, buys(2, 0, 0)], [buys(3, 0, 0)])
    [mishap] = mended.mishaps
    assert (mishap.name, mishap.then, mishap.player) == (name, "asked again", 0)
    assert said in mishap.what
    assert mended.rounds[0].submitted == ((2, 0, 0), (3, 0, 0))
    assert mended.asks == 3
    forfeited = game([handed], [buys(3, 0, 0)])
    [mishap] = forfeited.mishaps
    assert (mishap.name, mishap.then) == (name, "forfeited")
    assert forfeited.rounds[0].submitted == (None, (3, 0, 0))
    assert forfeited.rounds[0].rewards == (0, 6)  # who did hand in gets what its units earn


def test_a_player_is_told_what_was_wrong():
    first = Scripted(bought(("gold", 1)), buys(0, 0, 0))
    played(play(GAME, QUIET), (first, Scripted(buys(0, 0, 0))))
    assert first.problems == ["", "'gold' is no resource of this game; there are timber, stone, iron"]


def test_a_talk_that_does_not_end_is_cut_off_and_named():
    got = game(
        [says("And then?", done=False)] * 5 + [buys(2, 0, 0)],
        [says("Hm.", done=False)] * 5 + [buys(0, 0, 0)],
        conditions=Conditions(),
    )
    assert len(got.rounds[0].messages) == 10
    assert {(m.name, m.player, m.then) for m in got.mishaps} == {("endless talk", p, "cut off") for p in (0, 1)}


def test_a_talk_ends_when_both_are_done():
    got = game([says("a", done=False), says("b"), buys(0, 0, 0)], [says("c"), buys(0, 0, 0)], conditions=Conditions())
    assert [said.text for said in got.rounds[0].messages] == ["a", "c", "b"]
    assert not got.mishaps


def test_a_message_that_stays_malformed_is_not_delivered():
    got = game([says(" "), says(" "), says("now"), buys(0, 0, 0)], [says("x"), buys(0, 0, 0)], conditions=Conditions())
    assert [said.text for said in got.rounds[0].messages] == ["x", "now"]
    assert [(m.name, m.then) for m in got.mishaps] == [("malformed", "not delivered")]


GOOD = plan({"stone": 4, "iron": 4}, {"timber": 10})


def test_a_plan_that_both_stand_by_binds_both():
    first, second = [does(("propose", GOOD)), buys(0, 4, 4)], [does(("agree", 1)), buys(9, 0, 0), buys(9, 0, 0)]
    got = game(first, second, conditions=Conditions(), repair="commitments")
    assert got.rounds[0].bound == ((0, 4, 4), (10, 0, 0)) == got.rounds[0].plan
    [mishap] = got.mishaps
    assert (mishap.name, mishap.then, mishap.player) == ("breaks agreement", "bound", 1)
    assert [said.acts for said in got.rounds[0].messages] == [("propose",), ("agree 1",)]


def test_who_only_acknowledges_is_not_bound():
    first = [does(("propose", GOOD), done=True), buys(0, 4, 4)]
    got = game(first, [does(("acknowledge", 1), done=True), buys(9, 0, 0)], conditions=Conditions(), repair="commitments")
    assert got.rounds[0].bound is None
    assert got.rounds[0].plan[1] == (9, 0, 0)
    assert not got.mishaps


ACTS = [
    ("agrees to two", does(("agree", 1), ("agree", 2)), "agrees to two proposals at once ([1, 2])"),
    ("agrees to two", does(("agree", 1), ("propose", GOOD)), "agrees to two proposals at once"),
    ("no such proposal", does(("agree", 9)), "there is no proposal 9 to agree"),
    ("impossible proposal", does(("propose", plan({"iron": 4}, {"iron": 3}))), "more iron than there is"),
    ("impossible proposal", does(("propose", plan({"iron": 6, "timber": 1}, {}))), "over the budget of 18"),
    ("impossible proposal", does(("propose", plan({"gold": 4}, {}))), "'gold' is no resource"),
]


@pytest.mark.parametrize(("name", "bad", "said"), ACTS, ids=[f"{n}-{i}" for i, (n, _, _) in enumerate(ACTS)])
def test_acts_that_break_a_rule_are_sent_back(name: str, bad: Handed, said: str):
    first = [does(("propose", GOOD)), does(("propose", plan({"iron": 6}, {"timber": 2}))), does(done=True), buys(0, 0, 0)]
    second = [does(), bad, bad, does(done=True), buys(1, 0, 0)]
    got = game(first, second, conditions=Conditions(), repair="commitments")
    [mishap] = got.mishaps
    assert (mishap.name, mishap.then) == (name, "not delivered")
    assert said in mishap.what
    assert name in FAULTS
    assert got.rounds[0].bound is None


@pytest.mark.parametrize(
    ("history", "repair", "seen"),
    [
        ("stable", "as_it_is", True),
        ("shifting", "as_it_is", False),
        ("stable", "no_history", False),
        ("shifting", "free_history", True),
        ("shifting", "commitments", False),
    ],
)
def test_what_is_seen_of_earlier_rounds_is_what_the_arm_says(history, repair, seen):
    speaks = does(done=True) if repair == "commitments" else says("WORD")
    first, second = (Scripted(speaks, buys(2, 0, 0), speaks, buys(2, 0, 0)) for _ in range(2))
    played(play(TWO, Conditions(history=history), load().create(repair)), (first, second))
    assert ("Bought: player 1: timber 2; player 2: timber 2." in first.read[-1]) is seen
    assert "You earned 3." in first.read[-1] or not seen
    assert "You earned 4." not in first.read[-1]  # the other's reward is never seen


def test_the_shared_record_says_what_was_bought_and_where_it_is_not_what_was_said():
    first = Scripted(says("I take 2 timber, you take 4 timber."), buys(2, 0, 0))
    second = Scripted(says("Agreed."), buys(8, 0, 0), says("Agreed."), buys(4, 0, 0))
    first.handed = [*first.handed, *first.handed]
    played(play(TWO, Conditions(history="shifting"), load().create("shared_record")), (first, second))
    assert "Round 1. Bought: player 1: timber 2; player 2: timber 8." in first.read[-1]
    assert "It was said that player 2 buys timber 4; it bought something else." in first.read[-1]
    assert "Agreed." not in first.read[-1].split("Last plan")[0].split("Round 1.")[1].split("Record")[0]


def test_projects_are_disclosed_only_where_it_is_said():
    for disclosed in (False, True):
        first = Scripted(buys(0, 0, 0))
        played(play(GAME, Conditions(talk=False, disclosed=disclosed)), (first, Scripted(buys(0, 0, 0))))
        assert ("B: each run needs stone 2 and earns 4" in first.read[0]) is disclosed


def test_each_restates_and_both_read_it_before_they_submit():
    first, second = Scripted(says("x"), says("mine"), buys(0, 0, 0)), Scripted(says("y"), says("yours"), buys(0, 0, 0))
    got = played(play(GAME, Conditions(), load().create("restating")), (first, second))
    assert "mine" not in second.read[1]
    assert "mine" in second.read[2]
    assert [said.step for said in got.rounds[0].messages] == ["talk", "talk", "restating", "restating"]


def test_the_mediator_sees_both_projects_and_the_players_read_it():
    first, second, mediator = (
        Scripted(says("x"), buys(0, 0, 0)),
        Scripted(says("y"), buys(0, 0, 0)),
        Scripted(says("ADVICE")),
    )
    first.handed, second.handed = first.handed * 2, second.handed * 2
    played(play(TWO, Conditions(), load().create("mediator")), (first, second, mediator))
    told, again = mediator.read
    assert "player 2: nothing.\n" in again  # how the first round ended, and nobody's earnings
    assert told.count("A: each run needs") == 2
    assert "ADVICE" in first.read[-1]
    assert "ADVICE" in second.read[-1]


def test_alone_the_others_part_is_given_and_for_both_nothing_is_hidden():
    player = Scripted(buys(0, 4, 4))
    alone = played(play(GAME, QUIET, seat="solo"), [player])
    assert "Player 2 buys" in player.read[0]
    assert alone.asks == 1
    oracle = Scripted(buys(0, 4, 4), buys(9, 6, 0))
    both = played(play(GAME, QUIET, seat="oracle"), [oracle])
    assert "Player 1 buys stone 4, iron 4." in oracle.read[1]
    assert both.efficiency == 1


def test_a_seat_that_does_not_exist_is_named():
    with pytest.raises(GameError, match="'both'; it is pair, solo or oracle"):
        next(play(GAME, QUIET, seat="both"))
