"""What must be read first: who leads, what kind of study this is, the answers, and what is missing."""

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from coordeval.analysis.base.frames import nothing_scored
from coordeval.analysis.base.numerals import number
from coordeval.analysis.control import Control
from coordeval.analysis.study.leaderboard import REFERENCE, Leaderboard
from coordeval.analysis.words.answers import Answer
from coordeval.analysis.words.phrases import counted
from coordeval.analysis.words.standing import Standing
from coordeval.analysis.words.verdicts import Verdict

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


def opening(board: Leaderboard, *, unfinished: bool = False) -> str:
    """Who has the lowest score, which is not yet to be better."""
    rows = board.table.filter((pl.col("configuration") != REFERENCE) & pl.col("brier").is_not_null()).to_dicts()
    if not rows:
        return f"Nothing is scored: {nothing_scored(board.policy)}."
    best = rows[0]
    return (
        f"{'So far ' if unfinished else ''}{best['configuration']} has the lowest Brier score of "
        f"{counted(len(rows), 'configuration')}: {number(best['brier'])} on {counted(best['n_markets'], 'market')} "
        f"({POLICIES[board.policy]})."
    )


def headline(
    stands: Standing,
    verdicts: Sequence[Verdict],
    board: Leaderboard,
    answered: Sequence[Answer],
) -> tuple[str, ...]:
    """All sentences, most important first: how much is there, of what kind, the verdicts, the answers, what is missing."""
    marks = (f"{mark.label}: {mark.sentence}" for mark in stands.marks if mark.name != "simulated")
    said = (sentence for answer in answered for sentence in answer.says)
    first = opening(board, unfinished=not stands.finished)
    return (stands.amount, *marks, *map(in_a_line, verdicts), first, *said, *missing(board, stands.planned - stands.made))


def in_a_line(verdict: Verdict) -> str:
    """Question, answer, sentence, and what it would take."""
    return f"{verdict.question} {verdict.answer.capitalize()}. {verdict.sentence} {verdict.takes}".rstrip()


def uncontrolled_by(control: Control) -> str:
    """What must be said where something beside coordination differed between the configurations."""
    what = ", ".join(field.name for field in control.differences)
    return f"NOT COMPARABLE: the configurations were not given the same {what}; differences between them are not shown"


def missing(board: Leaderboard, pending: int) -> Iterator[str]:
    """What failed and what is not done yet."""
    answered, failed = board.table.filter(pl.col("configuration") != REFERENCE).select("answered", "failed").sum().row(0)
    if failed:
        yield f"{failed:,} of {counted(answered + failed, 'forecast')} failed; {_FAILED_COUNT[board.policy]}"
    if pending:
        are = "is" if pending == 1 else "are"
        yield f"The study is not finished: {counted(pending, 'forecast')} {are} still to be made."
