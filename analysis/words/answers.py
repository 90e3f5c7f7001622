"""The questions that a study is run for, each answered in sentences that never claim more than the numbers do.

What is not known is said with its reason: every question has at least one sentence.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.numerals import number
from coordeval.analysis.study.diagnostics import Diagnostics
from coordeval.analysis.study.family import ALPHA, CORRECTED
from coordeval.analysis.study.findings import CONTRASTS, Findings
from coordeval.analysis.study.leaderboard import Leaderboard
from coordeval.analysis.study.stated import beyond_noise, is_shown, null_rows, passes, sampled_apart, told_p, uncalibrated
from coordeval.analysis.words.coordination import on_coordination, on_market
from coordeval.analysis.words.openings import on_openings
from coordeval.analysis.words.phrases import (
    against_baseline,
    ahead,
    called,
    counted,
    ends,
    listed,
    no_baseline,
    nothing,
    pairs_of,
    size,
    twins,
    who,
)
from coordeval.analysis.words.predictions import on_predictions
from coordeval.analysis.words.trust import on_trust
from coordeval.analysis.words.use import on_frontier, on_more, on_structure

_ASIDE: Final = "after correction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One question and what the study says to it."""

    name: str
    question: str
    says: tuple[str, ...]


@asked
def answers(found: Findings, deeper: Diagnostics, board: Leaderboard) -> tuple[Answer, ...]:
    """In the order in which a reader needs them.

    >>> from coordeval.analysis import Record, answers, diagnose, example, find, leaderboard, scored
    >>> cells, kept = example(), scored(example())
    >>> deeper = diagnose(cells, kept, Record(), n=200)
    >>> said = answers(find(cells, kept, n=200), deeper, leaderboard(cells, resamples=100))
    >>> said[1].says
    ('What coordination itself did is not known: what agents said on the way was not recorded.',)
    """
    asked: tuple[tuple[str, str, Iterable[str]], ...] = (
        ("better", "Is any better than the market price, a single agent, plain sampling at the same cost?", _better(found)),
        ("coordination", "What did coordination itself add or destroy?", on_coordination(deeper)),
        ("differences", "Which differences exceed the noise floor and survive correction?", _differences(found)),
        ("predictions", "Did what was predicted come true?", on_predictions(found)),
        ("calibration", "Where do calibration and discrimination differ?", _calibration(found, board)),
        ("frontier", "Which are on the frontier of cost and Brier score, and how surely?", on_frontier(found)),
        ("structure", "Which are one and the same procedure?", (*on_structure(found), *on_openings(deeper))),
        ("market", "Do they know anything that the market price does not?", on_market(deeper)),
        ("trust", "How far can this be trusted?", (*on_trust(deeper), *_few(board))),
        ("more", "What would it take to know more?", on_more(found)),
    )
    return tuple(Answer(name=name, question=question, says=tuple(says)) for name, question, says in asked)


def _few(board: Leaderboard) -> Iterator[str]:
    """The warning of few markets of one outcome, as a sentence."""
    yield from (f"{note[0].upper()}{note[1:]}." for note in board.notes if note.startswith("few of a kind"))


def verdict(row: dict[str, Any], *, margin: float) -> str:
    """What a row of the comparisons shows, in a word or two."""
    if row["delta"] is None or row["p_whole"] is None:
        return "not known"
    said = []
    if passes(row):
        said.append(f"{'first' if row['delta'] < 0 else 'second'} is better" if is_shown(row) else "within the noise")
    if row["p_tost"] is not None and row["p_tost"] < ALPHA:
        said.append(f"equivalent within {margin:g}")
    return "; ".join(said) or "undecided"


def _better(found: Findings) -> Iterator[str]:
    if found.comparisons is None:
        yield nothing(found, "comparisons")
        return
    yield from _than_price(found)
    yield from _than_one_agent(found)
    yield from _than_sampling(found)


def _than_price(found: Findings) -> Iterator[str]:
    rows = [row for row in pairs_of(found, "market") if row["delta"] is not None]
    if not rows:
        yield "No market price is known for the scored markets, so nothing is said about beating the market."
        return
    copies = [row["first"] for row in rows if twins(row)]
    if copies:
        yield f"{listed(copies)} {'repeats' if len(copies) == 1 else 'repeat'} the market price on every market."
    if real := [row for row in rows if row["first"] not in copies]:
        yield from _against(real, "the market price")


def _than_one_agent(found: Findings) -> Iterator[str]:
    rows = against_baseline(found)
    if rows:
        yield from _against(rows, str(found.baseline))
    elif "differences" in found.reasons:
        yield f"Nothing is said about beating {called(found)}: {found.reasons['differences']}."
    elif found.baseline is None:
        yield f"{no_baseline(found)}, so nothing is said about beating one."
    else:
        yield f"{found.baseline} was scored beside no other, so nothing is said about beating it."


def _against(rows: Sequence[dict[str, Any]], other: str) -> Iterator[str]:
    """`rows` have the other one second: a delta under 0 is better than it."""
    top = min(rows, key=lambda row: row["delta"])
    ahead = [row for row in rows if row["delta"] < 0]
    if ahead:
        yield (
            f"{len(ahead)} of {counted(len(rows), 'configuration')} {'scores' if len(ahead) == 1 else 'score'} better than "
            f"{other} ({number(top['brier_second'])}), {top['first']} by the most, {size(top)}."
        )
    else:
        tie = "scores the same" if top["delta"] == 0 else f"is worse by {size(top)}"
        yield (
            f"No configuration beats {other}, whose Brier score is {number(top['brier_second'])}. The nearest, "
            f"{top['first']}, {tie}."
        )
    passing = [row for row in rows if passes(row)]
    for word, mine in (
        ("better", [r for r in passing if r["delta"] < 0]),
        ("worse", [r for r in passing if r["delta"] > 0]),
    ):
        if clear := [row["first"] for row in mine if beyond_noise(row)]:
            yield f"Shown to be {word} than {other}, {CORRECTED} and by more than the noise floor: {listed(clear)}."
        if alone := [row["first"] for row in mine if beyond_noise(row) is None]:
            yield (
                f"Shown to be {word} than {other} by events, {CORRECTED}: {listed(alone)}. With one replicate nobody knows "
                "how much of it sampling again would change."
            )
        if within := [row["first"] for row in mine if beyond_noise(row) is False]:
            yield (
                f"{listed(within)} {'passes' if len(within) == 1 else 'pass'} the test against {other}, but sampling the "
                "same configuration again changes as much, so nothing is stated."
            )
    if not passing:
        tested = [row["p_whole"] for row in rows if row["p_whole"] is not None]
        least = f" (sign flips of events; the smallest p is {min(tested):.2f})" if tested else ""
        yield f"No configuration is shown to differ from {other}, {CORRECTED}{least}."


def _than_sampling(found: Findings) -> Iterator[str]:
    matched = found.matched
    if matched is None or matched.reason:
        yield (
            "Nothing is said about plain sampling at the same cost: "
            f"{matched.reason if matched else found.reasons['matched']}."
        )
        return
    rows = [row for row in matched.table.iter_rows(named=True) if row["premium"] is not None]
    if not rows:
        why = matched.table["reason"].drop_nulls().to_list()
        yield f"Nothing is said about plain sampling at the same cost: {why[0] if why else 'nothing else was run'}."
        return
    clear = sampled_apart(found)
    for row in clear:
        word = "better" if row["premium"] > 0 else "worse"
        yield (
            f"{row['configuration']} does {word} than plain sampling for the same money, by {number(abs(row['premium']))} "
            f"(premium {ends(row)})."
        )
    if len(clear) < len(rows):
        top = max((row for row in rows if row not in clear), key=lambda row: row["premium"])
        yield (
            f"{'No configuration' if not clear else 'No other'} is told apart from plain sampling for the same money, "
            f"{CORRECTED}; the highest premium, of {top['configuration']}, is {number(top['premium'])} {ends(top)}."
        )


def _differences(found: Findings) -> Iterator[str]:
    if found.comparisons is None:
        yield nothing(found, "comparisons")
        return
    rows = [row for row in pairs_of(found) if row["delta"] is not None]
    if not rows:
        why = found.reasons.get("differences")
        yield f"Configurations are not compared: {why}." if why else "There is no pair of configurations to compare."
        return
    floor, total = found.comparisons.noise_floor, counted(len(rows), "pair")
    passing = sorted((row for row in rows if passes(row)), key=lambda row: row["p_holm"])
    if floor is None:
        yield (
            f"No difference between configurations can be set against noise: {found.reasons['noise_floor']}. By events "
            f"{len(passing)} of {total} {'is' if len(passing) == 1 else 'are'} told apart, {CORRECTED}"
            f"{f': {_named(passing)}' if passing else ''}."
        )
    else:
        said = _noise(found, floor)
        over = [row for row in rows if beyond_noise(row)]
        clear = [row for row in passing if row in over]
        if not over:
            yield f"{said}; no two configurations differ by more than that."
        else:
            said += f"; {len(over)} of {total} of configurations {'differs' if len(over) == 1 else 'differ'} by more"
            if clear:
                also = "also passes" if len(clear) == 1 else "also pass"
                yield f"{said}. Of these, {len(clear)} {also} a sign-flip test {CORRECTED}: {_named(clear)}."
            else:
                yield f"{said}. None passes a sign-flip test {CORRECTED}, so the study tells no two apart."
    top = max(rows, key=lambda row: abs(row["delta"]))
    if top["delta"]:
        yield f"The largest difference is {size(top)}, {ahead(top)}."
    yield from _alike(rows, found.comparisons.margin)


def _named(pairs: Sequence[dict[str, Any]]) -> str:
    """Who is better than whom, of at most three pairs."""
    more = f"; and {len(pairs) - 3} more" if len(pairs) > 3 else ""
    return "; ".join(f"{who(row)} by {number(abs(row['delta']))}" for row in pairs[:3]) + more


def _alike(rows: Sequence[dict[str, Any]], margin: float) -> Iterator[str]:
    """Which pairs score the same on every market, and which are shown to be equivalent."""

    def named(pairs: Sequence[dict[str, Any]]) -> str:
        more = f"; and {len(pairs) - 3} more" if len(pairs) > 3 else ""
        return "; ".join(f"{row['first']} and {row['second']}" for row in pairs[:3]) + more

    alike = [row for row in rows if twins(row)]
    if alike:
        yield f"The same score on every market: {named(alike)}."
    if len(alike) == len(rows):
        return
    if same := [row for row in rows if row["p_tost"] is not None and row["p_tost"] < ALPHA]:
        are = "is" if len(same) == 1 else "are"
        yield f"{len(same)} of {counted(len(rows), 'pair')} {are} equivalent within {margin:g}: {named(same)}."
    else:
        other = "other " if alike else ""
        yield f"No {other}pair is shown to be equivalent within {margin:g} either: not told apart is not the same."


def _noise(found: Findings, floor: float) -> str:
    if found.floor_source != "replicates":
        shown = f"{number(floor)} in Brier score" if floor else "nothing, for two runs of one procedure score the same"
        return f"With one replicate, noise is what the A/A control shows: {shown}"
    if not floor:
        return "Sampling a configuration again changes no score: the model answers alike each time"
    made, ends = found.comparisons, ""
    if made is not None and made.noise_low is not None and made.noise_high is not None:
        ends = f" (95%: {number(made.noise_low)} to {number(made.noise_high)})"
    return f"Two replicates of one configuration differ by {number(floor)}{ends} in Brier score on average"


def _calibration(found: Findings, board: Leaderboard) -> Iterator[str]:
    rows = board.table.filter(pl.col("rel").is_not_null()).to_dicts()
    if not rows:
        yield nothing(found, "measures")
        return
    over = uncalibrated(board, "rel")
    if not over:
        whose = "All reliabilities (REL) lie inside their null range"
        if any(not row["null_rel_low"] <= row["rel"] <= row["null_rel_high"] for row in rows):
            whose = f"No reliability (REL) lies above its null range {_ASIDE}"
        yield f"{whose}: none is larger than chance gives a perfectly calibrated forecaster."
    else:
        yield (
            f"{len(over)} of {len(rows)} reliabilities (REL) {'exceeds' if len(over) == 1 else 'exceed'} what a perfectly "
            f"calibrated forecaster would show, {_ASIDE}: {listed([r['configuration'] for r in over])}."
        )
    yield from _against_null(board)
    judged = found.contrasts.drop_nulls("delta")
    for measure, of in CONTRASTS.items():
        mine = judged.filter(measure=measure)
        if mine.is_empty():
            yield f"Whether {of} ({measure.upper()}) differs is not known: {_why_no_contrast(found)}."
        elif (apart := mine.filter("differs")).is_empty():
            yield f"No two are shown to differ in {of} ({measure.upper()}), {_ASIDE}."
        else:
            named = "; ".join(_contrast(row) for row in apart.sort("delta").head(3).iter_rows(named=True))
            more = f"; and {apart.height - 3} more" if apart.height > 3 else ""
            pairs = counted(apart.height, "pair")
            differ = "differs" if apart.height == 1 else "differ"
            yield f"In {of} ({measure.upper()}) {pairs} {differ}, {_ASIDE}: {named}{more}."


def _against_null(board: Leaderboard) -> Iterator[str]:
    """Miscalibration beside what a calibrated forecaster with the same forecasts would show."""
    every = board.table.drop_nulls("mcb")
    rows = null_rows(board, "mcb")
    if not rows:
        yield "Whether any miscalibration without bins (MCB) exceeds chance cannot be tested: see the notes."
        return
    over = [row["configuration"] for row in uncalibrated(board, "mcb")]
    drawn = f"what {board.resamples:,} calibrated forecasters with the same forecasts show"
    if untested := every.height - len(rows):
        drawn += f" ({untested} of {every.height} cannot be tested)"
    if over:
        yield f"Miscalibration without bins (MCB) exceeds {drawn}, {_ASIDE}: {listed(over)}."
    else:
        least = min(p for p in told_p(rows) if p is not None)
        yield f"No miscalibration without bins (MCB) exceeds {drawn}, {_ASIDE} (the smallest p is {least:.2f})."


def _why_no_contrast(found: Findings) -> str:
    if "contrasts" in found.reasons:
        return found.reasons["contrasts"]
    if found.corp is not None and found.corp.n_events < 6:
        return f"{counted(found.corp.n_events, 'event')}, an interval needs 6"
    return "there is nothing to compare it with, or it does not vary"


def _contrast(row: dict[str, Any]) -> str:
    return f"{row['first']} − {row['second']} {number(row['delta'])}"
