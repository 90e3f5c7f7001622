"""The questions that a study is run for, each answered in sentences that never claim more than the numbers do.

What is not known is said with its reason: every question has at least one sentence.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from analysis.answers_coordination import on_coordination, on_market
from analysis.answers_openings import on_openings
from analysis.answers_predictions import on_predictions
from analysis.answers_trust import on_trust
from analysis.answers_use import on_frontier, on_more, on_structure
from analysis.comparisons import holm
from analysis.compute_matched import LONE
from analysis.diagnostics import Diagnostics
from analysis.findings import ALPHA, CONTRASTS, Findings
from analysis.leaderboard import Leaderboard
from analysis.numerals import number
from analysis.phrases import ahead, counted, ends, listed, nothing, pairs_of, passes, size, turned, who

_ROUNDING: Final = 1e-12
_AFTER: Final = "after Holm's correction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One question and what the study says to it."""

    name: str
    question: str
    says: tuple[str, ...]


def answers(found: Findings, deeper: Diagnostics, board: Leaderboard) -> tuple[Answer, ...]:
    """In the order in which a reader needs them.

    >>> from analysis import Record, answers, diagnose, example, find, leaderboard, scored
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
        ("trust", "How far can this be trusted?", on_trust(deeper)),
        ("more", "What would it take to know more?", on_more(found)),
    )
    return tuple(Answer(name=name, question=question, says=tuple(says)) for name, question, says in asked)


def verdict(row: dict[str, Any], *, margin: float) -> str:
    """What a row of the comparisons shows, in a word or two."""
    if row["delta"] is None or row["p_holm"] is None:
        return "not known"
    said = []
    if row["p_holm"] < ALPHA:
        if row["ratio"] is None:
            said.append("differs, noise unknown")
        else:
            said.append(f"{'first' if row['delta'] < 0 else 'second'} is better" if row["ratio"] > 1 else "within the noise")
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
    copies = [row["first"] for row in rows if row["delta"] == 0 and row["p_value"] is None]
    if copies:
        yield f"{listed(copies)} {'repeats' if len(copies) == 1 else 'repeat'} the market price on every market."
    if real := [row for row in rows if row["first"] not in copies]:
        yield from _against(real, "the market price")


def _than_one_agent(found: Findings) -> Iterator[str]:
    rows = [turned(row, LONE) for row in pairs_of(found) if LONE in (row["first"], row["second"])]
    rows = [row for row in rows if row["delta"] is not None]
    if rows:
        yield from _against(rows, LONE)
    elif "differences" in found.reasons:
        yield f"Nothing is said about beating a single agent: {found.reasons['differences']}."
    else:
        yield f"{LONE} is not among what is compared, so nothing is said about beating a single agent."


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
        if clear := [row["first"] for row in mine if row["ratio"] is not None and row["ratio"] > 1]:
            yield f"Shown to be {word} than {other}, {_AFTER} and by more than the noise floor: {listed(clear)}."
        if unsure := [row["first"] for row in mine if row["ratio"] is None]:
            yield (
                f"{listed(unsure)} {'is' if len(unsure) == 1 else 'are'} {word} than {other} {_AFTER}, but with one "
                "replicate the noise of sampling is not known, so that is not shown."
            )
    if not passing:
        tested = [row["p_holm"] for row in rows if row["p_holm"] is not None]
        least = f" (sign flips of events; the smallest p is {min(tested):.2f})" if tested else ""
        yield f"No configuration differs from {other} {_AFTER}{least}."


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
    together = f"intervals of {matched.level:.1%}, 95% together"
    clear = [row for row in rows if row["low"] is not None and (row["low"] > 0 or row["high"] < 0)]
    for row in clear:
        word = "better" if row["premium"] > 0 else "worse"
        yield (
            f"{row['configuration']} does {word} than plain sampling for the same money, by {number(abs(row['premium']))} "
            f"(premium {ends(row)}; {together})."
        )
    if len(clear) < len(rows):
        top = max((row for row in rows if row not in clear), key=lambda row: row["premium"])
        yield (
            f"{'No configuration' if not clear else 'No other'} is told apart from plain sampling for the same money; the "
            f"highest premium, of {top['configuration']}, is {number(top['premium'])} {ends(top)} ({together})."
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
            f"No difference between configurations can be set against noise: {found.reasons['noise_floor']}. Of {total} "
            f"{len(passing)} {'passes' if len(passing) == 1 else 'pass'} a sign-flip test {_AFTER}."
        )
    else:
        said = (
            f"Two replicates of one configuration differ by {number(floor)} in Brier score on average"
            if found.floor_source == "replicates"
            else f"With one replicate, noise is what the A/A control shows: {number(floor)} in Brier score"
        )
        over = [row for row in rows if abs(row["delta"]) > floor + _ROUNDING]
        clear = [row for row in passing if row in over]
        if not over:
            yield f"{said}; no two configurations differ by more than that."
        else:
            said += f"; {len(over)} of {total} of configurations {'differs' if len(over) == 1 else 'differ'} by more"
            if clear:
                named = "; ".join(f"{who(row)} by {number(abs(row['delta']))}" for row in clear[:3])
                more = f"; and {len(clear) - 3} more" if len(clear) > 3 else ""
                yield f"{said}. Of these, {len(clear)} also pass a sign-flip test {_AFTER}: {named}{more}."
            else:
                yield f"{said}. None passes a sign-flip test {_AFTER}, so the study tells no two configurations apart."
    top = max(rows, key=lambda row: abs(row["delta"]))
    yield f"The largest difference is {size(top)}, {ahead(top)}."
    margin = found.comparisons.margin
    same = [row for row in rows if row["p_tost"] is not None and row["p_tost"] < ALPHA]
    if same:
        pairs = "; ".join(f"{row['first']} and {row['second']}" for row in same[:3])
        more = f"; and {len(same) - 3} more" if len(same) > 3 else ""
        yield f"{len(same)} of {total} {'is' if len(same) == 1 else 'are'} equivalent within {margin:g}: {pairs}{more}."
    else:
        yield f"No pair is shown to be equivalent within {margin:g} either: not told apart is not the same."


def _calibration(found: Findings, board: Leaderboard) -> Iterator[str]:
    rows = board.table.filter(pl.col("rel").is_not_null()).to_dicts()
    if not rows:
        yield nothing(found, "measures")
        return
    over = [row for row in rows if row["rel"] > row["null_rel_high"]]
    if not over:
        whose = "All reliabilities (REL) lie inside their null range"
        if any(row["rel"] < row["null_rel_low"] for row in rows):
            whose = "No reliability (REL) lies above its null range"
        yield f"{whose}: none is larger than chance gives a perfectly calibrated forecaster."
    else:
        yield (
            f"{len(over)} of {len(rows)} reliabilities (REL) {'exceeds its' if len(over) == 1 else 'exceed their'} null "
            f"range, what 95% of perfectly calibrated forecasters would show: {listed([r['configuration'] for r in over])}."
        )
    yield from _against_null(board)
    judged = found.contrasts.drop_nulls("delta")
    for measure, of in CONTRASTS.items():
        mine = judged.filter(measure=measure)
        if mine.is_empty():
            yield f"Whether {of} ({measure.upper()}) differs is not known: {_why_no_contrast(found)}."
        elif (apart := mine.filter("differs")).is_empty():
            yield f"No two differ in {of} ({measure.upper()}) after Bonferroni's correction for {judged.height} contrasts."
        else:
            named = "; ".join(_contrast(row) for row in apart.sort("delta").head(3).iter_rows(named=True))
            more = f"; and {apart.height - 3} more" if apart.height > 3 else ""
            pairs = counted(apart.height, "pair")
            yield f"In {of} ({measure.upper()}) {pairs} differ after Bonferroni's correction: {named}{more}."


def _against_null(board: Leaderboard) -> Iterator[str]:
    """Miscalibration beside what a calibrated forecaster with the same forecasts would show."""
    every = board.table.filter(pl.col("mcb").is_not_null()).select("configuration", p_value="calibration_p")
    rows = every.drop_nulls().to_dicts()
    if not rows:
        yield "Whether any miscalibration without bins (MCB) exceeds chance cannot be tested: see the notes."
        return
    for row, p in zip(rows, holm([row["p_value"] for row in rows]), strict=True):
        row["p_holm"] = p
    over = [row["configuration"] for row in rows if row["p_holm"] < ALPHA]
    drawn = f"what {board.resamples:,} calibrated forecasters with the same forecasts show"
    if untested := every.height - len(rows):
        drawn += f" ({untested} of {every.height} cannot be tested)"
    if over:
        yield f"Miscalibration without bins (MCB) exceeds {drawn}, {_AFTER}: {listed(over)}."
    else:
        least = min(row["p_value"] for row in rows)
        yield f"No miscalibration without bins (MCB) exceeds {drawn}, {_AFTER} (the smallest p is {least:.2f})."


def _why_no_contrast(found: Findings) -> str:
    if "contrasts" in found.reasons:
        return found.reasons["contrasts"]
    if found.corp is not None and found.corp.n_events < 6:
        return f"{counted(found.corp.n_events, 'event')}, an interval needs 6"
    return "there is nothing to compare it with, or it does not vary"


def _contrast(row: dict[str, Any]) -> str:
    return f"{row['first']} − {row['second']} {number(row['delta'])}"
