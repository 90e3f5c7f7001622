"""The table of a study's arms: what each holds, and which may be compared with which."""

import polars as pl
import pytest

from coordeval.analysis.base.arms import ARMS, FACTORS, arms_in, arms_table, comparable, differing, varied
from coordeval.analysis.base.checks import AnalysisError

CONTENT = {
    "model": {"id": "large", "sampling": {"temperature": 1}},
    "models": {"small": {"id": "small-1"}},
    "agents": {"tools": ["market_details", "search_evidence"], "show_price": True, "max_turns": 12},
    "evidence": {"providers": [], "limit": 5, "base_url": None, "contact": ""},
    "configurations": [{"name": "single_agent", "label": ""}, {"name": "delphi", "label": "oracle"}],
    "arms": [
        {"name": "bare", "tools": []},
        {"name": "small", "model": "small"},
        {"name": "small bare", "model": "small", "tools": [], "configurations": ["single_agent"]},
        {"name": "cold", "sampling": {"temperature": 0}},
        {"name": "blind", "show_price": False, "max_turns": 3},
        {"name": "read", "evidence": {"providers": ["gdelt"], "limit": 5, "contact": ""}},
    ],
}


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return arms_table(CONTENT)


def test_an_arm_holds_what_it_changes_and_else_what_the_study_says(table):
    assert dict(table.schema) == {name: kind if isinstance(kind, pl.DataType) else kind() for name, kind in ARMS.items()}
    rows = {row["arm"]: row for row in table.to_dicts()}
    assert list(rows) == ["main", "bare", "small", "small bare", "cold", "blind", "read"]
    own = {"model": "large", "tools": "market_details, search_evidence", "show_price": True, "max_turns": 12,
           "evidence": "{}", "sampling": "{}", "configurations": ["single_agent", "oracle"]}  # fmt: skip
    assert rows["main"] == {"arm": "main", **own}
    assert rows["bare"] == {**own, "arm": "bare", "tools": "none"}
    assert rows["small bare"] == {
        **own, "arm": "small bare", "model": "small", "tools": "none", "configurations": ["single_agent"],
    }  # fmt: skip
    assert rows["read"] == {**own, "arm": "read", "evidence": '{"providers":["gdelt"]}'}


@pytest.mark.parametrize(
    ("first", "second", "factors", "why"),
    [
        ("main", "main", (), "an arm is itself"),
        ("main", "bare", ("tools",), "one factor"),
        ("small", "small bare", ("tools",), "within the other model too"),
        ("main", "small", ("model",), "its own temperature is the model's"),
        ("main", "small bare", ("model", "tools"), "in the order of FACTORS"),
        ("cold", "main", ("sampling",), "either way round"),
        ("main", "blind", ("show_price", "max_turns"), "two"),
        ("main", "read", ("evidence",), "evidence"),
    ],
)
def test_the_factors_that_tell_two_arms_apart(table, first, second, factors, why):
    assert differing(table, first, second) == factors, why
    pairs = {(a, b): factor for a, b, factor in comparable(table)}
    expected = factors[0] if len(factors) == 1 else None
    assert pairs.get((first, second), pairs.get((second, first))) == expected, why


def test_what_varies_among_them(table):
    assert varied(table) == FACTORS
    assert varied(table.filter(pl.col("arm").is_in(["main", "bare"]))) == ("tools",)


def test_an_arm_that_is_not_there_is_named_with_those_that_are(table):
    with pytest.raises(AnalysisError, match=r"'bear'.*bare"):
        differing(table, "main", "bear")


@pytest.mark.parametrize("content", [{}, {"imported": "x"}, {"model": {"provider": "simulated"}}])
def test_a_study_without_arms_has_one(content):
    table = arms_table(content)
    assert table["arm"].to_list() == ["main"]
    assert (comparable(table), varied(table)) == ([], ())


def test_the_arms_of_a_frame():
    assert arms_in(pl.DataFrame({"arm": ["b", "a", "b"]})) == ["a", "b"]
    assert arms_in(pl.DataFrame({"configuration": ["x"]})) == ["main"]
