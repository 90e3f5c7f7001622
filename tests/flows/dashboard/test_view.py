"""The address: what a view writes it reads back, and what nobody wrote does no harm."""

import pytest

from coordeval.flows.dashboard.view import View, parsed

VIEWS = [
    (View(), "nothing is said, all is default"),
    (View(study="seen", policy="fallback_half", category="Health", decile=0, replicate=0), "0 is not nothing"),
    (View(category="Law & Order = 50% #1?", q="A & B"), "signs that mean something in an address"),
    (View(kind="corp", configuration="a,b", other="x", first="a", second="b", market="m/1", forecast="f"), "all the rest"),
]


@pytest.mark.parametrize(("view", "why"), VIEWS)
def test_a_view_is_read_back_from_its_address(view, why):
    address = view.href("/markets")
    assert parsed(address.removeprefix("/markets")) == (view, ()), why


def test_what_is_default_is_not_written():
    assert View().href("/") == "/"
    assert View(decile=3).href("/costs", decile=None) == "/costs"


ODD = [
    ("?policy=guess", "policy", "not a policy"),
    ("?decile=10", "decile", "beyond the last"),
    ("?decile=x", "decile", "not a number"),
    ("?replicate=-1", "replicate", "below the first"),
    ("?kind='; DROP TABLE cells; --", "kind", "not a kind"),
    ("?nonsense=1", "nonsense", "no such thing"),
    ("?study=" + "a" * 5000, "study", "longer than any name"),
    ("?market=a%00b", "market", "a zero byte"),
]


@pytest.mark.parametrize(("search", "name", "why"), ODD)
def test_what_is_not_understood_is_named_and_left_out(search, name, why):
    assert parsed(search) == (View(), (name,)), why
