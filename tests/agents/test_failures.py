"""The table of failures is the rule that runs, and docs/failures.md shows it."""

from pathlib import Path
from typing import get_args

import pytest

from coordeval.agents.failures import RULES, End, Sign, ending

DOCS = Path(__file__).parents[2] / "docs" / "failures.md"


def test_the_documented_table_is_the_one_that_runs():
    table = DOCS.read_text().partition("|---|---|---|\n")[2].partition("\n\n")[0]
    assert table.splitlines() == [f"| {rule.seen} | {rule.end} | {rule.then} |" for rule in RULES]


def test_only_what_a_reply_says_is_final():
    assert {rule.sign for rule in RULES if rule.end is End.FINAL} == {"reply"}


@pytest.mark.parametrize("status", range(200, 600))
def test_every_answer_has_one_end_and_none_is_final(status):
    assert ending("answer", status=status, kind="no_such_type", text="no words that anybody knows").end is not End.FINAL


@pytest.mark.parametrize("sign", get_args(Sign))
def test_every_sign_has_a_row(sign):
    assert ending(sign, status=500, text="").sign == sign
