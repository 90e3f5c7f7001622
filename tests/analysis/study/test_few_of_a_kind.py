"""A report on markets of which few resolved one way says what that does to its intervals."""

import pytest

from coordeval.analysis import Record, answers, diagnose, find, leaderboard, scored
from tests.analysis.reference import cell, table


def rare(yes: int, markets: int = 40):
    return table(
        *(
            cell(configuration=name, market_id=f"m{i}", outcome=int(i < yes), probability=0.1 + 0.01 * (i % 7))
            for name in "ab"
            for i in range(markets)
        )
    )


@pytest.mark.parametrize(
    ("yes", "says"),
    [
        pytest.param(1, "few of a kind: 1 event resolved YES, in 40 markets;", id="one YES"),
        pytest.param(14, "few of a kind: 14 events resolved YES", id="just too few"),
        pytest.param(15, None, id="enough of both"),
        pytest.param(40, "few of a kind: 0 events resolved NO", id="all YES"),
    ],
)
def test_the_leaderboard_notes_it(yes: int, says: str | None):
    notes = [note for note in leaderboard(rare(yes), resamples=20).notes if note.startswith("few")]
    assert (notes == []) if says is None else notes[0].startswith(says)


def test_and_so_does_the_answer_on_trust():
    cells = rare(2)
    kept = scored(cells)
    said = answers(find(cells, kept, n=50), diagnose(cells, kept, Record(), n=50), leaderboard(cells, resamples=20))
    [trust] = [answer for answer in said if answer.name == "trust"]
    assert trust.says[-1].startswith("Few of a kind: 2 events resolved YES, in 40 markets")
