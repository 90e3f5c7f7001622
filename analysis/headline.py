"""What must be read first: who leads, what kind of study this is, the answers, and what is missing."""

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from analysis.answers import Answer
from analysis.control import Control
from analysis.leaderboard import REFERENCE, Leaderboard
from analysis.numerals import number

HINDSIGHT: Final = "HINDSIGHT-ANCHORED: forecasts were made for a time that depends on when the market resolved"

POLICIES: Final = {
    "common": "only markets that every configuration answered in every replicate are scored",
    "available": "every configuration is scored on the markets that it answered, so rows rest on different markets",
    "fallback_half": "a failed forecast is scored as 0.5",
    "fallback_market": "a failed forecast is scored as the market price",
}
_FAILED_COUNT: Final = {
    "common": "they are missing, not scored.",
    "available": "they are missing, not scored.",
    "fallback_half": "each counts as 0.5 here.",
    "fallback_market": "each counts as the market price here.",
}


def opening(board: Leaderboard, *, simulated: bool) -> str:
    """The first sentence: who has the lowest score, which is not yet to be better."""
    rows = board.table.filter((pl.col("configuration") != REFERENCE) & pl.col("brier").is_not_null()).to_dicts()
    if not rows:
        nothing = "In this simulation, nothing" if simulated else "Nothing"
        return f"{nothing} is scored: no resolved market passes the policy {board.policy}."
    best = rows[0]
    return (
        f"{'In this simulation, ' if simulated else ''}{best['configuration']} has the lowest Brier score of "
        f"{_count(len(rows), 'configuration')}: {number(best['brier'])} on {_count(best['n_markets'], 'market')} "
        f"({POLICIES[board.policy]})."
    )


def headline(
    board: Leaderboard,
    answered: Sequence[Answer],
    *,
    simulated: bool,
    hindsight: bool,
    uncontrolled: str | None = None,
    pending: int = 0,
) -> tuple[str, ...]:
    """All sentences, most important first: what must not be overlooked, the answers in their order, what is missing."""
    banner = (*([HINDSIGHT] if hindsight else []), *([uncontrolled] if uncontrolled else []))
    said = tuple(sentence for answer in answered for sentence in answer.says)
    return (opening(board, simulated=simulated), *banner, *said, *missing(board, pending))


def uncontrolled_by(control: Control) -> str:
    """What must be said where something beside coordination differed between the configurations."""
    what = ", ".join(field.name for field in control.differences)
    return f"NOT COMPARABLE: the configurations were not given the same {what}; differences between them are not shown"


def missing(board: Leaderboard, pending: int) -> Iterator[str]:
    """What failed and what is not done yet."""
    answered, failed = board.table.filter(pl.col("configuration") != REFERENCE).select("answered", "failed").sum().row(0)
    if failed:
        yield f"{failed} of {_count(answered + failed, 'forecast')} failed; {_FAILED_COUNT[board.policy]}"
    if pending:
        yield f"The study is not finished: {_count(pending, 'forecast')} {'is' if pending == 1 else 'are'} still to be made."


def _count(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"
