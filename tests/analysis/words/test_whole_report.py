"""A report is read as a whole: what it states as found, on studies in which nothing differs and where something does."""

import re
from functools import cache

import numpy as np
import polars as pl
import pytest

from coordeval.analysis import Record, answers, diagnose, find, judge, leaderboard, scored
from coordeval.analysis.selftest.regimes import REGIMES
from coordeval.analysis.selftest.worlds import Forecaster, draw, frame

pytestmark = pytest.mark.usefixtures("few_resamples")

ASIDE = re.compile(
    r"exceeds? what|differ after|scores? differ from the price|would have scored better|these differ:|talking made|adds info"
)
"""What a sentence that states a finding beside the questions says."""
MARKETS = 80


@cache
def told(seed: int, worse: float = 0.0) -> tuple[tuple[str, ...], tuple[str, ...], pl.DataFrame]:
    """Sentences, answers of the verdicts, and pairs of a study of three equal configurations, one `worse` by noise."""
    rng = np.random.default_rng([11, seed])
    cast = [Forecaster(name="single_agent", own=0.35, replicates=2), Forecaster(name="a", own=0.35, replicates=2)]
    cast.append(Forecaster(name="b", own=0.35, kept=worse, replicates=2))
    cells = frame(draw(MARKETS, regime=REGIMES[seed % 2], forecasters=cast, rng=rng), cast, rng=rng)
    kinds = pl.DataFrame({"market_id": [str(i) for i in range(MARKETS)], "kind": rng.choice(list("abcdef"), MARKETS)})
    cells = cells.join(kinds, on="market_id", maintain_order="left").with_columns(category="kind").drop("kind")
    kept = scored(cells)
    found, deeper = find(cells, kept, n=300, seed=seed), diagnose(cells, kept, Record(), n=300, seed=seed)
    said = answers(found, deeper, leaderboard(cells, resamples=300, seed=seed))
    sentences = tuple(sentence for answer in said for sentence in answer.says)
    return sentences, tuple(verdict.answer for verdict in judge(found)), found.comparisons.table


@pytest.mark.parametrize("seed", range(6))
def test_where_nothing_differs_nothing_is_stated_aside(seed: int):
    sentences, _, _ = told(seed)
    assert [sentence for sentence in sentences if ASIDE.search(sentence) and not sentence.startswith("No ")] == []


def test_nobody_is_told_what_it_would_take_to_tell_apart_what_is_told_apart():
    sentences, verdicts, pairs = told(0, worse=2.5)
    apart = pairs.filter(pl.col("p_holm") < 0.05)
    assert "yes" in verdicts
    assert apart.height
    for row in apart.iter_rows(named=True):
        second = "the market price" if row["second"] == "market price" else row["second"]
        assert not any(s.startswith(f"To tell {row['first']} from {second}") for s in sentences)


def test_only_cells_that_say_nothing_are_called_too_small():
    [cells] = [s for s in told(0, worse=2.5)[0] if "category and" in s]
    small = re.search(r"(\d+) of (\d+) cells", cells)
    assert small is None or int(small[1]) < int(small[2]) or "nothing can be said" in cells
