"""The door for venues: the built-ins come through it like a user's own, and a broken one is named, not fatal."""

import inspect
from importlib.metadata import EntryPoint, entry_points

import pytest

from coordeval.market_data import plugins
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.venues import connect, from_file, load, registry

BUILT_IN = {"polymarket", "kalshi", "manifold", "metaculus"}
CLUB = """
class Club:
    name = "club"
    checked_against = "itself"
    needs = "nothing"

    @classmethod
    def at(cls, client, base_url, aside):
        return cls()

    async def pages(self, query, *, resume=None):
        yield None

    def restored(self, plain):
        return None

    async def prices(self, row, as_of, *, since=None):
        return None
"""


def test_all_built_ins_come_through_the_entry_points_and_say_what_they_are():
    found = load()
    assert set(found.classes) == BUILT_IN
    assert found.quarantined == {}
    assert {point.name for point in entry_points(group=registry.GROUP)} == BUILT_IN


async def test_a_file_of_the_users_own_is_a_venue(tmp_path):
    path = tmp_path / "club.py"
    path.write_text(CLUB)
    client, venue = connect(str(path))
    async with client:
        assert venue.name == "club"


BROKEN = {
    # what is wrong: (the source, what the error says)
    "it does not run": ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
    "it exits": ("import sys; sys.exit(1)", "SystemExit: 1"),
    "no class": ("x = 1", "defines no class with `pages`"),
    "two classes": (CLUB + CLUB.replace("Club", "Other"), "defines 2 classes with `pages`"),
    "no name": (CLUB.replace('name = "club"', ""), "declare name"),
    "a name with a space": (CLUB.replace('"club"', '"the club"'), "name is 'the club'"),
    "not checked": (CLUB.replace('checked_against = "itself"', ""), "checked_against is missing"),
    "no prices": (CLUB.replace("async def prices", "async def price"), "prices is missing"),
    "prices that do not wait": (CLUB.replace("async def prices", "def prices"), "prices is no coroutine"),
    "pages that yield nothing": (CLUB.replace("yield None", "return None"), "pages yields nothing"),
}


@pytest.mark.parametrize(("source", "says"), BROKEN.values(), ids=list(BROKEN))
def test_a_broken_file_is_an_error_that_says_what_to_mend(tmp_path, source, says):
    path = tmp_path / "club.py"
    path.write_text(source)
    with pytest.raises(CoordevalError) as caught:
        from_file(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CoordevalError, match=r"nowhere\.py does not exist"):
        connect(str(tmp_path / "nowhere.py"))


def test_a_broken_package_is_listed_with_the_reason_and_the_others_go_on(tmp_path, monkeypatch):
    (tmp_path / "club_plugin.py").write_text(CLUB)
    (tmp_path / "raising_plugin.py").write_text("raise RuntimeError('no licence')")
    monkeypatch.syspath_prepend(tmp_path)
    own = [
        EntryPoint("club", "club_plugin:Club", registry.GROUP),
        EntryPoint("society", "club_plugin:Club", registry.GROUP),
        EntryPoint("raising", "raising_plugin:X", registry.GROUP),
        EntryPoint("kalshi", "club_plugin:Club", registry.GROUP),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: [*entry_points(group=group), *own])
    found = load()
    assert set(found.classes) == BUILT_IN - {"kalshi"} | {"club"}
    assert "2 packages offer it" in found.quarantined["kalshi"]
    assert "no licence" in found.quarantined["raising"]
    assert "registered as 'society'" in found.quarantined["society"]
    with pytest.raises(CoordevalError, match=r"'raising' could not be loaded: .*no licence"):
        connect("raising")
    with pytest.raises(CoordevalError, match=r"could not be loaded: .*raising .*no licence"):
        connect("intrade")
    assert inspect.isclass(found.of("club"))
