"""A repair comes through one door, and what it does wrong is named as its own; nothing of it is mended or swallowed."""

import re
from pathlib import Path
from typing import ClassVar

import pytest

from coordeval.agents.scaffold import Statement
from coordeval.grounding import Conditions, Extra, GameError, Repair, Table, instance, play
from coordeval.grounding.driving import played
from coordeval.grounding.registry import GROUP, load
from coordeval.grounding.repairs import Mediator
from coordeval.grounding.simulated import Habits, pair_of
from coordeval.market_data.plugins import PluginError

TASK = instance(3, tension=1.0)
OWN = """
from typing import ClassVar
from coordeval.grounding import Repair

class Louder(Repair):
    name: ClassVar[str] = "louder"
    about: ClassVar[str] = "everything twice"
    times: int = 2
"""


@pytest.fixture
def file(tmp_path: Path):
    def write(text: str) -> tuple[Path, ...]:
        path = tmp_path / "mine.py"
        path.write_text(text)
        return (path,)

    return write


def test_a_repair_of_ones_own_is_used_like_any_other(file):
    repairs = load(file(OWN))
    assert repairs.create("louder", {"times": 3}).times == 3
    assert played(play(TASK, Conditions(), repairs.create("louder")), pair_of(Habits())).repair == "louder"
    assert GROUP == "coordeval.repairs"


def test_the_repair_that_the_page_on_games_shows_plays(file):
    page = (Path(__file__).parents[2] / "docs/games.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    repair = load(file(shown)).create("say_it_again", {})
    assert played(play(TASK, Conditions(), repair), pair_of(Habits())).repair == "say_it_again"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("louder", "shared_record"), "exists already"),
        (('    about: ClassVar[str] = "everything twice"\n', ""), "about is missing"),
        (("class Louder(Repair)", "class Louder"), "subclass of coordeval.grounding.Repair"),
        (("times: int = 2", "times: int = nowhere"), "nowhere"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(file, change, said):
    with pytest.raises(PluginError, match=said):
        load(file(OWN.replace(*change)))


def test_a_name_or_a_parameter_that_is_not_there_is_said(file):
    with pytest.raises(PluginError, match="mediatr"):
        load().create("mediatr")
    with pytest.raises(PluginError, match="times = 'x'"):
        load(file(OWN)).create("louder", {"times": "x"})
    with pytest.raises(PluginError, match="no parameter"):
        load().create("mediator", {"loud": True})


def wrong(**methods):
    """A repair whose methods are these."""
    names = {"name": "bad", "about": "it is wrong", "__annotations__": {"name": ClassVar[str], "about": ClassVar[str]}}
    return type("Bad", (Repair,), {**names, "__module__": __name__, **methods})()


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        ({"earlier": lambda *_: None}, "earlier gave None; it gives a list of Statement"),
        ({"earlier": lambda *_: ["words"]}, "it gives a list of Statement"),
        ({"beside": lambda *_: 1 / 0}, "beside failed with ZeroDivisionError"),
        ({"extras": lambda *_: [Extra(player=7, step="restating", text="?")]}, "goes to player 7"),
        ({"extras": lambda *_: [Extra(player=0, step="submission", text="?")]}, "step 'submission'"),
        ({"extras": lambda *_: [Extra(player=0, step="restating", text="?")] * 2}, "asks one player twice"),
        ({"extras": lambda *_: "ab"}, "it gives a list of Extra"),
    ],
)
def test_a_repair_that_breaks_its_contract_is_named(methods, said):
    with pytest.raises(GameError, match="repair 'bad'") as failed:
        played(play(TASK, Conditions(), wrong(**methods)), pair_of(Habits()))
    assert said in str(failed.value)


def test_a_repair_sees_the_table_and_no_model():
    seen: list[Table] = []

    def beside(self, table, player):
        seen.append(table)
        return [Statement(author="the game", role="note", round=table.number + 1, text="Think.")]

    game = played(play(TASK, Conditions(), wrong(beside=beside)), pair_of(Habits()))
    assert game.efficiency == 1
    assert {type(table) for table in seen} == {Table}
    assert [len(seen[-1].done), seen[-1].number] == [3, 3]


def test_a_mediator_is_asked_where_nobody_talks_too():
    game = played(play(TASK, Conditions(talk=False), Mediator()), pair_of(Habits(heeds=1.0)))
    assert game.efficiency == 1
    assert {said.step for said in game.rounds[0].messages} == {"mediation"}


def test_projects_that_rotate_are_played_and_measured_by_round():
    rotating = instance(3, tension=1.0, rotating=True)
    game = played(play(rotating, Conditions()), pair_of(Habits(forgets=1.0, anchors=1.0)))
    assert game.efficiency == 1  # nothing that was reached before is of use, so nothing can be forgotten
    assert "Projects are others in each round." in next(play(rotating, Conditions()))[0].role_text
